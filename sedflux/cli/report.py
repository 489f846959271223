"""Results of ``sedflux predict``: printed lines, JSON, the table of stars, data for figures."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sedflux import __version__
from sedflux.io.sed import DIAGNOSTICS
from sedflux.predict.flags import flag_names
from sedflux.predict.prediction import SEDPrediction
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import (
    OPTICAL_RANGE,
    SED_RESOLVING_POWER,
    input_grid,
    optical_mean,
    rebin_spectra,
)
from sedflux.spectra.normalise import input_basis
from sedflux.spectra.resolution import broadening_sigma, lsf_matrix
from sedflux.spectra.spectrum import from_spectrum
from sedflux.training.left_out import TRUTH_ERROR
from sedflux.units import LIGHT_KM_S
from sedflux.writing import write_whole

__all__ = ["UNITS", "heading", "json_document", "measured_sed", "normalised_input", "report",
           "short_report", "star_record", "write_table"]

#: Units of the entries of `star_record`; other numbers have none.
UNITS = {"wavelength": "Angstrom", "radial_velocity": "km / s", "teff": "K"}
#: Columns of the table of stars.
_COLUMNS = {"file": str, "object": str, "class": str, "snr": float, "resolving_power": float,
            "radial_velocity": float, "teff": float, "logg": float, "mh": float, "excess": float,
            "flags": int, "flag_names": str, "model": str, "sha256": str}

#: Wavelengths of the printed SED, in Angstrom.
_PRINTED = (2600.0, 3000.0, 3500.0, 3800.0, 4500.0, 5500.0, 6500.0, 7500.0, 8500.0, 10000.0)


def _rest_wavelength(arrays, prediction):
    return arrays.wavelength / (1.0 + prediction.radial_velocity / LIGHT_KM_S)


def measured_sed(spectrum: Any, wavelength: np.ndarray, velocity: float
                 ) -> tuple[np.ndarray, np.ndarray] | None:
    """
    Measured flux of a star on the grid of its predicted SED.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
    wavelength : `~numpy.ndarray`, shape (575,)
        Of the predicted SED, in Angstrom.
    velocity : float
        Of the star in this spectrum, in km/s.

    Returns
    -------
    flux, sigma : `~numpy.ndarray`, shape (575,)
        Relative to the mean over 4000-7000 Angstrom; NaN outside the spectrum.  None instead of
        both for spectra from other telescopes than HST, whose flux calibration is not accurate
        enough, and for those that do not cover 4000-7000 Angstrom.
    """
    if spectrum.meta.get("telescope") != "HST":
        return None
    arrays = from_spectrum(spectrum)
    rest = arrays.wavelength / (1.0 + velocity / LIGHT_KM_S)
    if rest[0] > OPTICAL_RANGE[0] or rest[-1] < OPTICAL_RANGE[1]:
        return None
    power: Any = arrays.resolving_power
    power = np.interp(wavelength, rest, np.broadcast_to(power, rest.shape))
    kernel = lsf_matrix(rest, broadening_sigma(wavelength, power, SED_RESOLVING_POWER),
                        new_wavelength=wavelength)
    flux = kernel @ arrays.flux[0]
    flux = flux / (optical_mean(wavelength) @ flux)
    flux[(wavelength < rest[0]) | (wavelength > rest[-1])] = np.nan
    return flux, TRUTH_ERROR["CALSPEC"] * flux


def normalised_input(spectrum: Any, prediction: SEDPrediction, options: Namespace
                     ) -> tuple[np.ndarray, np.ndarray]:
    """
    The spectrum divided by its continuum, on the model's input grid.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
    prediction : `~sedflux.SEDPrediction`
        Of this spectrum.
    options : `argparse.Namespace`
        With ``medium`` and ``resolving_power``.

    Returns
    -------
    wavelength, flux : `~numpy.ndarray`, shape (2430,)
        Flux is NaN in bad pixels.
    """
    arrays = from_spectrum(spectrum, medium=options.medium,
                           resolving_power=options.resolving_power)
    grid = input_grid()
    flux, ivar = rebin_spectra(_rest_wavelength(arrays, prediction), arrays.flux, arrays.ivar, grid)
    level = flux[ivar > 0].mean()
    normalised, weight = remove_continuum(flux / level, ivar * level**2, input_basis())
    return grid, np.where(weight[0] > 0, 1.0 + normalised[0], np.nan)


def star_record(file: str, spectrum: Any, prediction: SEDPrediction,
                measured: tuple[np.ndarray, np.ndarray] | None) -> dict[str, Any]:
    """
    Results for one star, for the printed lines, JSON and the table of stars.

    Parameters
    ----------
    file : str
    spectrum : `~specutils.Spectrum`
    prediction : `~sedflux.SEDPrediction`
        Of one star.
    measured : tuple of `~numpy.ndarray`, optional
        From `measured_sed`.

    Returns
    -------
    record : dict
        Texts, numbers and lists, in the units of `UNITS`.
    """
    notes = {name: float(np.ravel(value)[0]) for name, value in prediction.diagnostics.items()
             if np.size(value) == 1}
    rows = [int(np.argmin(np.abs(prediction.wavelength - wanted))) for wanted in _PRINTED]
    sed = {"wavelength": prediction.wavelength[rows].tolist(),
           "flux": prediction.flux[rows].tolist(), "sigma": prediction.sigma[rows].tolist()}
    if measured is not None:
        sed |= {"measured": measured[0][rows].tolist(),
                "measured_sigma": measured[1][rows].tolist()}
    return {"file": file, "object": str(spectrum.meta.get("object") or file),
            "class": str(spectrum.meta.get("class", "")),
            "radial_velocity": float(prediction.radial_velocity), **notes,
            "flags": int(prediction.flag_bits),
            "flag_names": list(flag_names(int(prediction.flag_bits))),
            "flag_sentences": list(prediction.flags),
            "model": prediction.model, "sha256": prediction.sha256, "sed": sed}


def report(record: Mapping[str, Any], caveat: str | None) -> Iterator[str]:
    """
    Lines about one star: model, input, labels, flags, and the SED at ten wavelengths.

    Parameters
    ----------
    record : dict
        From `star_record`.  Differences are predicted minus measured.
    caveat : str, optional
        Of the model.

    Yields
    ------
    line : str
    """
    yield f"star      {record['object']}  {record['class']}".rstrip()
    yield f"model     {record['model']}  (SHA-256 {record['sha256'][:12]})"
    if "log_odds" in record:
        yield (f"odds      10^{record['log_odds']:.0f} to 1 that the star is of this model's kind, "
               "not of the other")
    yield (f"input     S/N {record['snr']:.0f} per pixel, R = {record['resolving_power']:.0f}, "
           f"{_velocity(record)} removed")
    yield (f"labels    Teff about {record['teff']:.0f} K, log g {record['logg']:.1f}"
           f"{_metallicity(record)}; {_fit_of_lines(record['excess'])}")
    if record.get("second_weight"):
        share = record["second_weight"]
        yield (f"solutions Teff {record['first_teff']:.0f} K, log g {record['first_logg']:.1f} "
               f"({1.0 - share:.0%}) or Teff {record['second_teff']:.0f} K, log g "
               f"{record['second_logg']:.1f} ({share:.0%})")
    yield f"flags     {'; '.join(record['flag_sentences']) or 'none'}"
    if caveat:
        yield f"caveat    {caveat}"
    sed = record["sed"]
    yield ("wavelength   SED     sigma"
           + ("   measured  difference  in sigma" if "measured" in sed else ""))
    for index, wavelength in enumerate(sed["wavelength"]):
        flux, sigma = sed["flux"][index], sed["sigma"][index]
        line = f"{wavelength:8.0f}  {flux:8.4f}  {sigma:7.4f}"
        if "measured" in sed:
            value, error = sed["measured"][index], sed["measured_sigma"][index]
            line += (f"  {value:8.4f}  {100 * (flux / value - 1):+8.1f} %"
                     f"  {(flux - value) / np.hypot(sigma, error):+8.1f}")
        yield line


def _velocity(record):
    """The velocity that was taken out; files may not tell it."""
    velocity = record["radial_velocity"]
    return f"radial velocity {velocity:+.1f} km/s" if velocity else "no radial velocity"


def _metallicity(record):
    """[M/H], of stars that have one."""
    return f", [M/H] {record['mh']:+.1f}" if np.isfinite(record["mh"]) else ""


def heading() -> str:
    """Heading for the lines of `short_report`."""
    return f"{'S/N':>5} {'Teff (K)':>8} {'log g':>5} {'[M/H]':>5}  object  flags"


def short_report(record: Mapping[str, Any]) -> str:
    """One line about a star, for many stars."""
    name = record["object"]
    if name != record["file"]:
        name = f"{name} ({record['file']})"
    return (f"{record['snr']:5.0f} {record['teff']:8.0f} {record['logg']:5.1f} "
            f"{record['mh']:+5.1f}  {name}  {', '.join(record['flag_names']) or '-'}")


def json_document(records: Sequence[Mapping[str, Any]], failed: Mapping[str, str],
                  model: Mapping[str, Any]) -> str:
    """
    All results of ``sedflux predict`` as JSON; numbers that are not finite become null.

    Parameters
    ----------
    records : sequence of dict
        From `star_record`.
    failed : mapping of str to str
        Reasons, by file.
    model : mapping
        ``name``, ``sha256`` and ``caveat``.
    """
    document = {
        "sedflux": __version__, "model": dict(model), "units": UNITS,
        "predicted": len(records), "flagged": sum(row["flags"] != 0 for row in records),
        "failed": [{"file": file, "reason": reason} for file, reason in failed.items()],
        "stars": [dict(row) for row in records]}
    return json.dumps(_finite(document), indent=1, allow_nan=False)


def _finite(value):
    """The value with None for numbers that are not finite, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_table(path: Path, records: Sequence[Mapping[str, Any]], caveat: str | None) -> None:
    """
    Write the table of stars as ECSV, one row per star, with units.

    Parameters
    ----------
    path : `~pathlib.Path`
    records : sequence of dict
        From `star_record`.
    caveat : str, optional
        Of the model.
    """
    from astropy.table import Table

    table = Table({name: [_cell(row[name]) for row in records] for name in _COLUMNS},
                  dtype=list(_COLUMNS.values()))
    for name in table.colnames:
        table[name].unit = UNITS.get(name)
        _, table[name].description, _ = DIAGNOSTICS.get(name, ("", None, ""))
    table["flags"].description = "bit mask, see sedflux.predict.flags"
    table.meta = {"sedflux": __version__} | ({"caveat": caveat} if caveat else {})
    write_whole(path, lambda temporary: table.write(temporary, format="ascii.ecsv"))


def _cell(value):
    """A value for the table; empty text becomes ``none``, because ECSV marks missing text by it."""
    return (" ".join(value) or "none") if isinstance(value, list) else value


def _fit_of_lines(excess):
    """Quality of the fit to the lines; ``excess`` is the rms of the residuals beyond the noise."""
    if round(100 * excess, 1) == 0:
        return "lines fit within the noise"
    return f"lines fit to {100 * excess:.1f} %"
