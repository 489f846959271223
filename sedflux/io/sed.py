"""
SEDs and calibrated spectra as FITS files, with the whole covariance, flags and provenance.

The layout is described in docs/data_model.  The table of the first extension is what
`~specutils.Spectrum` and `~astropy.table.Table` read without sedflux.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.io.fits.verify import VerifyError
from astropy.nddata import StdDevUncertainty
from astropy.table import QTable, Table

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError, SedfluxError
from sedflux.io.checked_fits import (
    LAYOUT,
    check_hdus,
    describe_columns,
    open_checked,
    write_checked,
)
from sedflux.io.reading import FITS_ERRORS, file_name, first_line
from sedflux.spectra.sed import RelativeErrors, covariance_of, notes_of, parts_of
from sedflux.spectra.spectrum import flux_variance, vacuum_angstrom
from sedflux.units import positive_number
from sedflux.writing import write_whole

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["DIAGNOSTICS", "identify_sed", "read_sed", "write_sed", "write_spectrum"]

_VERSION = "sedflux-sed-2"
#: Endings of the files of this layout, and those that specutils gives to images.
_ENDINGS, _IMAGE_ENDINGS = (".fits", ".fit"), ("wcs.fits", "wcs1d.fits", "wcs.fit")
#: Unit in files of a flux that has none: specutils finds no flux column without a unit.
_RELATIVE = u.adu
#: Begins the names of extensions with directions of known origin.
_PART = "PART "
#: What a covariance may be of.
_OF_LN_FLUX, _OF_FLUX = "ln(flux)", "flux"
#: Descriptions and UCDs of the columns of the spectrum.
_COLUMNS = {
    "wavelength": ("wavelength in vacuum", "em.wl"),
    "frequency": ("frequency", "em.freq"),
    "energy": ("energy of photons", "em.energy"),
    "wavenumber": ("wavenumber in vacuum", "em.wavenumber"),
    "flux": ("flux density; the unit adu marks a relative flux", "phot.flux.density"),
    "uncertainty": ("standard deviation of flux", "stat.error;phot.flux.density"),
    "mask": ("true for values that are not to be used", "meta.code.qual"),
}
_FLAG_COLUMNS = {"NAME": ("name of a flag of the star", "meta.code.qual"),
                 "SENTENCE": ("what it means", "meta.note")}
#: Units, descriptions and UCDs of the diagnostics that a file holds.
DIAGNOSTICS = {
    "snr": ("", "S/N per pixel of the input", "stat.snr"),
    "resolving_power": ("", "lambda / FWHM of the input, as used", "spect.resolution"),
    "broadening": ("km / s", "dispersion by which lines are too broad", "phys.veloc.dispersion"),
    "nebular": ("", "significance of forbidden emission lines", "stat.snr"),
    "rejected": ("", "pixels of the input that no star has, left out", "meta.number"),
    "misfit": ("", "chi2 per pixel of the normalised lines", "stat.fit.chi2"),
    "excess": ("", "rms residual of the lines beyond the noise", "stat.fit.residual"),
    "unusual": ("", "distance from the mean of the training", "stat.value"),
    "strange": ("", "distance from the nearest training star", "stat.value"),
    "teff": ("K", "effective temperature", "phys.temperature.effective"),
    "logg": ("", "log10 of the surface gravity in cm/s2", "phys.gravity"),
    "mh": ("", "log10 of the metallicity relative to the Sun", "phys.abund.Z"),
    "second_weight": ("", "weight of a second solution, of white dwarfs", "stat.probability"),
    "first_teff": ("K", "temperature of the likelier solution", "phys.temperature.effective"),
    "first_logg": ("", "log10 of its surface gravity in cm/s2", "phys.gravity"),
    "second_teff": ("K", "temperature of the other solution", "phys.temperature.effective"),
    "second_logg": ("", "log10 of its surface gravity in cm/s2", "phys.gravity"),
    "log_odds": ("", "log10 of the odds of the model used against the other", "stat.likelihood"),
}


def identify_sed(origin: str, path: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether sedflux wrote a file, or should write it, for the registry."""
    if origin == "write":
        name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
        return (str(name).lower().endswith(_ENDINGS) and not str(name).endswith(_IMAGE_ENDINGS)
                and "hdu" not in kwargs)
    try:
        with fits.open(path) as hdus:
            return (str(hdus[0].header.get(LAYOUT, "")).startswith("sedflux-sed")
                    or "SEDMODEL" in hdus[0].header or "SEDMODEL" in hdus[1].header)
    except (OSError, ValueError, TypeError, IndexError):
        return False


def write_spectrum(spectrum: Spectrum, path: str | os.PathLike[str], *, overwrite: bool = False,
                   **options: Any) -> None:
    """
    Write any spectrum, for ``spectrum.write("name.fits")`` of `~specutils.Spectrum`.

    SEDs and calibrated spectra of sedflux are written by `write_sed`, other spectra by
    specutils in its layout ``tabular-fits``.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
    path : path-like
    overwrite : bool, optional
    **options
        For ``tabular-fits``; an SED takes none.

    Raises
    ------
    sedflux.exceptions.InputError
        If an SED gets options, or cannot be written.
    """
    if "sedflux" not in (spectrum.meta or {}):
        write_whole(path, lambda place: spectrum.write(place, format="tabular-fits", **options),
                    overwrite=overwrite)
        return
    if options:
        raise InputError(f"options {', '.join(options)} are unknown for an SED; write it without "
                         "them, or with format='tabular-fits' without its covariance")
    write_sed(spectrum, path, overwrite=overwrite)


def write_sed(sed: Spectrum, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """
    Write an SED or a calibrated spectrum with its covariance, flags and provenance.

    ``sed.write(path)`` does the same.  The file is written whole or not at all.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        Of one star, from `sedflux.predict_sed`, `sedflux.anchor`,
        `sedflux.ResponseCurve.calibrate` or `sedflux.with_covariance`.
    path : path-like
    overwrite : bool, optional

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no single SED, its covariance no longer belongs to it, or the file exists.
    sedflux.exceptions.WriteError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from sedflux import predict_sed
    >>> from sedflux.demo import demo_spectrum
    >>> from sedflux.io.sed import read_sed, write_sed
    >>> sed = predict_sed(demo_spectrum())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_sed(sed, f"{folder}/sed.fits")
    ...     again = read_sed(f"{folder}/sed.fits")
    >>> bool((again.flux == sed.flux).all()), again.meta["sedflux"]["model"]
    (True, 'uara.stars2')
    """
    if getattr(getattr(sed, "flux", None), "ndim", 0) != 1:
        raise InputError("sed must be one specutils.Spectrum of one dimension; give one SED, and "
                         "write the rows of several one by one")
    notes, cards = notes_of(sed)
    try:
        hdus = [_primary(sed, notes, cards), _table(sed), *_covariance_hdus(sed, notes),
                *_note_hdus(notes)]
    except (u.UnitsError, VerifyError) as error:
        raise InputError(f"sed cannot be written as FITS ({first_line(error)}); convert its "
                         "units to some that FITS knows") from error
    write_checked(path, hdus, layout=_VERSION, overwrite=overwrite)


def _primary(sed, notes, cards):
    """The cards of the spectrum, without those that describe the file that they came from."""
    header = fits.Header()
    for card in getattr((sed.meta or {}).get("header"), "cards", []):
        header.append(card)
    for name, card in cards.items():
        if name not in header:
            header[name] = card
    header.strip()
    for name in ("CHECKSUM", "DATASUM", "EXTNAME"):
        header.remove(name, ignore_missing=True)
    header["AIRORVAC"] = ("vac", "wavelengths in vacuum")
    header["SEDREL"] = (sed.flux.unit == u.dimensionless_unscaled,
                        "flux is relative, its unit arbitrary")
    power = notes.get("resolving_power")
    power = 0.0 if power is None else positive_number(power, "resolving_power of sed", zero=True)
    header["SEDRES"] = (power, "lambda / FWHM of the SED, 0 if not known")
    return fits.PrimaryHDU(header=header)


def _table(sed):
    """Wavelength, flux, uncertainty and mask, in the layout that specutils reads."""
    axis = sed.spectral_axis.unit.physical_type
    name = {"length": "wavelength", "energy": "energy"}.get(str(axis).split("/")[0], str(axis))
    unit = _RELATIVE if sed.flux.unit == u.dimensionless_unscaled else sed.flux.unit
    table = QTable({name: u.Quantity(sed.spectral_axis), "flux": sed.flux.value * unit})
    variance = flux_variance(sed)
    if isinstance(sed.uncertainty, StdDevUncertainty):
        # Not through the variance, which would round.
        table["uncertainty"] = sed.uncertainty.quantity.to_value(sed.flux.unit) * unit
    elif variance is not None:
        table["uncertainty"] = np.sqrt(variance) * unit
    if sed.mask is not None:
        table["mask"] = np.asarray(sed.mask) != 0
    hdu = fits.BinTableHDU(table, name="DATA")
    describe_columns(hdu, _COLUMNS)
    return hdu


def _covariance_hdus(sed, notes):
    """Covariance and directions of known origin; of ln(flux) where the flux allows it."""
    covariance, kind, unit = covariance_of(sed), _OF_FLUX, sed.flux.unit
    if "errors" in notes:
        covariance = notes["errors"].at(vacuum_angstrom(sed, "vacuum")).covariance
        kind, unit = _OF_LN_FLUX, u.dimensionless_unscaled
    hdus = [fits.ImageHDU(covariance.diagonal, name="DIAGONAL")]
    hdus += [fits.ImageHDU(rows, name=name) for name, rows in
             (("FACTOR", covariance.factor), ("REMOVED", covariance.removed)) if len(rows)]
    hdus += [fits.ImageHDU(direction, name=_PART + name)
             for name, direction in parts_of(sed).items()]
    form = "DIAGONAL + FACTOR^T FACTOR" + len(covariance.removed[:1]) * " - REMOVED^T REMOVED"
    for hdu in hdus:
        hdu.header["COVOF"] = (kind, "what the covariance is of")
        hdu.header["COVFORM"] = (form, "how it is rebuilt")
        power = 2 if hdu.name == "DIAGONAL" else 1
        if unit != u.dimensionless_unscaled:
            hdu.header["BUNIT"] = (unit**power).to_string("fits")
    return hdus


def _note_hdus(notes):
    """Flags and diagnostics as tables."""
    hdus = []
    sentences, names = (_texts(notes, name) for name in ("flags", "flag_names"))
    if sentences:
        flags = Table({"NAME": names or [""] * len(sentences), "SENTENCE": sentences})
        hdus.append(fits.BinTableHDU(flags, name="FLAGS"))
        describe_columns(hdus[-1], _FLAG_COLUMNS)
    diagnostics = notes.get("diagnostics", {})
    if not isinstance(diagnostics, Mapping):
        raise InputError("sed has diagnostics in meta['sedflux'] that are no dictionary; leave "
                         "them as sedflux made them")
    known = {name: value for name, value in diagnostics.items()
             if name in DIAGNOSTICS and np.ndim(value) == 0
             and np.asarray(value).dtype.kind in "fiu" and not hasattr(value, "unit")}
    if known:
        table = QTable({name: [float(value)] * u.Unit(DIAGNOSTICS[name][0])
                        for name, value in known.items()})
        hdus.append(fits.BinTableHDU(table, name="DIAGNOSTICS"))
        describe_columns(hdus[-1], {
            name: (text, ucd) for name, (_, text, ucd) in DIAGNOSTICS.items()})
    return hdus


def _texts(notes, name):
    """Names or sentences of flags, as many as there are flags."""
    texts = notes.get(name, ())
    if not isinstance(texts, (tuple, list)) or not all(
            isinstance(text, str) and text.isascii() for text in texts) or (
            texts and len(texts) != len(notes.get("flags", texts))):
        raise InputError(f"sed has {name} in meta['sedflux'] that are no texts, one a flag; leave "
                         "them as sedflux made them")
    return list(texts)


def read_sed(path: str | os.PathLike[str], **kwargs: Any) -> Spectrum:
    """
    Read a file of `write_sed`, with everything that was written.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    sed : `~specutils.Spectrum`
        Flux, sigma, mask, ``meta["header"]`` and ``meta["sedflux"]`` as they were written.

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is missing or damaged: an extension or a checksum is missing or wrong.
    """
    try:
        with open_checked(path) as hdus:
            layout = hdus[0].header.get(LAYOUT)
            if layout is None:
                return _read_first_layout(hdus)
            if layout != _VERSION:
                raise ValueError(f"its layout is {layout!r}; this sedflux reads {_VERSION!r}")
            check_hdus(hdus)
            return _spectrum(hdus)
    except FileNotFoundError as error:
        raise InputError(f"SED file {str(path)!r} does not exist") from error
    except SedfluxError:
        raise
    except FITS_ERRORS as error:
        raise InputError(f"{file_name(path)} is no SED file of sedflux, or damaged "
                         f"({first_line(error)}); write it again") from error


def _spectrum(hdus):
    from specutils import Spectrum

    header = hdus[0].header.copy()
    table = QTable.read(hdus["DATA"])
    axis, flux, sigma, mask = _columns(table, relative=bool(header["SEDREL"]))
    # Cards of the file, not of the spectrum.
    header.strip()
    for name in ("CHECKSUM", "DATASUM", *(card for card in header if card.startswith("NEED"))):
        header.remove(name, ignore_missing=True)
    sed = Spectrum(spectral_axis=axis, flux=flux, uncertainty=sigma, mask=mask,
                   meta={"header": header})
    sed.meta["sedflux"] = _notes(hdus, header) | _covariance_notes(
        hdus, vacuum_angstrom(sed, "vacuum"))
    covariance_of(sed)
    return sed


def _columns(table, *, relative):
    """Spectral axis, flux, uncertainty and mask of the table."""
    unit = u.dimensionless_unscaled if relative else table["flux"].unit
    flux = u.Quantity(table["flux"].value, unit)
    sigma = None
    if "uncertainty" in table.colnames:
        sigma = StdDevUncertainty(u.Quantity(table["uncertainty"].value, unit))
    mask = np.asarray(table["mask"]) if "mask" in table.colnames else None
    return table[table.colnames[0]], flux, sigma, mask


def _notes(hdus, header) -> dict[str, Any]:
    """What ``meta["sedflux"]`` holds beside the covariance."""
    notes: dict[str, Any] = {}
    if "SEDMODEL" in header:
        notes |= {"model": header["SEDMODEL"], "sha256": header.get("SEDHASH", "")}
    if "SEDFBITS" in header:
        notes |= {"flag_bits": int(header["SEDFBITS"]), "flags": (), "flag_names": ()}
    if "FLAGS" in hdus:
        table = Table.read(hdus["FLAGS"])
        notes |= {"flags": tuple(str(text) for text in table["SENTENCE"]),
                  "flag_names": tuple(str(name) for name in table["NAME"])}
    if "DIAGNOSTICS" in hdus:
        row = Table.read(hdus["DIAGNOSTICS"])[0]
        # NaN, of labels that a kind of star has not, is read as a masked value.
        notes["diagnostics"] = {name: np.float64(np.ma.filled(row[name], np.nan))
                                for name in row.colnames}
    if header["SEDRES"]:
        notes["resolving_power"] = float(header["SEDRES"])
    return notes


def _arrays(hdus) -> tuple[LowRankCovariance, Mapping[str, np.ndarray]]:
    """Covariance and its directions of known origin."""
    diagonal = np.asarray(hdus["DIAGONAL"].data, dtype=float)
    factor, removed = (np.asarray(hdus[name].data, dtype=float) if name in hdus
                       else np.zeros((0, diagonal.size)) for name in ("FACTOR", "REMOVED"))
    return LowRankCovariance(diagonal, factor, removed), {
        hdu.name[len(_PART):].lower(): np.asarray(hdu.data, dtype=float)
        for hdu in hdus if hdu.name.startswith(_PART)}


def _covariance_notes(hdus, wavelength):
    covariance, parts = _arrays(hdus)
    kind = hdus["DIAGONAL"].header["COVOF"]
    if kind == _OF_FLUX:
        return {"covariance": covariance}
    if kind != _OF_LN_FLUX:
        raise ValueError(f"COVOF is {kind!r}")
    return {"errors": RelativeErrors(wavelength, covariance, parts)}


def _read_first_layout(hdus):
    """A file of sedflux before 0.2, or of ``sed.write(path, format="tabular-fits")``."""
    from specutils import Spectrum

    header = hdus[0].header if "SEDMODEL" in hdus[0].header else hdus[1].header
    table = QTable.read(hdus[1])
    flux = table["flux"]
    unit = getattr(flux, "unit", None) or u.dimensionless_unscaled
    names = [name for name in table.colnames if "uncertainty" in name]
    # Many stars are written with the spectral axis first.
    sigma = StdDevUncertainty(u.Quantity(table[names[0]], unit).T) if names else None
    mask = table["mask"].T if "mask" in table.colnames else None
    sed = Spectrum(spectral_axis=table[table.colnames[0]], flux=u.Quantity(flux, unit).T,
                   uncertainty=sigma, mask=mask, meta={"header": header})
    if "DIAGONAL" in hdus:
        covariance, parts = _arrays(hdus)
        notes = {"covariance": covariance}
        if (sed.flux.value > 0).all():
            notes = {"errors": RelativeErrors(vacuum_angstrom(sed, "vacuum"),
                                              covariance.scaled(1.0 / sed.flux.value), parts)}
        power = hdus["DIAGONAL"].header.get("SEDRES", 0.0)
        sed.meta["sedflux"] = notes | ({"resolving_power": power} if power else {})
    return sed
