"""Accuracy on real white dwarfs: HST/STIS SEDs, ground-based lines, and HST colours."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import numpy as np
from astropy.io import fits
from astropy.stats import mad_std
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.libraries.library import SpectralLibrary, read_library
from sedflux.predict.checks import MIN_COVERAGE
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor
from sedflux.spectra.bands import band_rows
from sedflux.spectra.grids import input_grid, sed_grid
from sedflux.spectra.reddening import R_V, extinction_curve
from sedflux.training.left_out import TRUTH_ERROR, fit_reddening
from sedflux.training.stars import stis_arrays, stis_sed
from sedflux.validation.metrics import score

__all__ = ["GroundSpectra", "color_rows", "color_scores", "each_white_dwarf",
           "names_with_seds", "predict_ground", "predict_stis", "white_dwarf_scores"]

#: Bands (Angstrom) of the tables, the first for all.
_BANDS = {"2550-10000": (2550.0, 10000.0), "2550-3000": (2550.0, 3000.0),
          "3000-4000": (3000.0, 4000.0), "4000-7000": (4000.0, 7000.0),
          "7000-10000": (7000.0, 10000.0)}
#: Temperatures (K) of the classes: those that the figures refer to, and the cooler ones.
_CLASSES = ((15000.0, np.inf), (0.0, 15000.0))
#: FWHM (Angstrom) that is assumed for ground-based spectra.
_FWHM = 8.0
#: Difference in ln(temperature) beyond which two white dwarfs are not the same.
_SAME_STAR = 0.2
#: Colours (bands of HST's WFC3).
_COLORS = (("F275W", "F475W"), ("F336W", "F475W"), ("F475W", "F775W"))
#: Wavelengths (Angstrom) to which SEDs are continued, and whose slope continues them.
_BLUE_END, _SLOPE_RANGES = 2000.0, ((2500.0, 2600.0), (2600.0, 2700.0))


class GroundSpectra:
    """
    Ground-based spectra of white dwarfs with HST magnitudes.

    Parameters
    ----------
    path : path-like
        FITS library of STARS with the extension ERROR.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.library = read_library(path)
        with fits.open(path) as hdus:
            self.error = np.asarray(hdus["ERROR"].data, float)

    @property
    def names(self) -> list[str]:
        """Names of the stars, one a spectrum."""
        return [str(name).strip() for name in self.library.table["NAME"]]


def predict_stis(predictor: Predictor, stis: SpectralLibrary) -> dict[str, SEDPrediction]:
    """Predictions of all DA white dwarfs from their STIS lines, by name."""
    found = {}
    for row, kind in enumerate(stis.table["SPTYPE"]):
        if not str(kind).strip().startswith("DA"):
            continue
        wavelength, flux, ivar, mask, power = stis_arrays(stis, row)
        found[str(stis.table["NAME"][row]).strip()] = predictor.predict(
            wavelength, flux, ivar, mask=mask, resolving_power=power)
    return found


def predict_ground(predictor: Predictor, spectra: GroundSpectra, *, fwhm: float = _FWHM
                   ) -> dict[int, SEDPrediction]:
    """Predictions from ground-based lines, by row; spectra that cover too little are left out."""
    found, library = {}, spectra.library
    grid, least = input_grid(), predictor.metadata.get("least_coverage", MIN_COVERAGE)
    for row in range(len(library)):
        flux, error = library.flux[row].astype(float), spectra.error[row]
        use = np.isfinite(flux) & np.isfinite(error) & (error > 0)
        wavelength = library.wavelength[use]
        seen = np.zeros(0) if wavelength.size < 2 else grid[
            (grid >= wavelength[0]) & (grid <= wavelength[-1])]
        if seen.size < least * grid.size:
            continue
        try:
            found[row] = predictor.predict(wavelength, flux[use], error[use] ** -2.0,
                                           resolving_power=wavelength / fwhm)
        except InputError:  # models of stars need longer spectra
            continue
    return found


def names_with_seds(ground: GroundSpectra, from_stis: Mapping[str, SEDPrediction]
                    ) -> dict[int, str]:
    """
    Names of ground-based spectra, by row, whose star has a STIS SED.

    Names of SDSS stars give the right ascension alone here, to a minute, in which there can be two
    stars: published temperatures must agree within 20 % with the lines of the STIS spectrum.

    Parameters
    ----------
    ground : `GroundSpectra`
    from_stis : dict
        From `predict_stis`.

    Returns
    -------
    names : dict of int to str
    """
    found = {}
    published: np.ndarray = np.ma.filled(np.ma.asarray(ground.library.table["TEFF"], float), np.nan)
    for row, name in enumerate(ground.names):
        partner = _partner(name, from_stis)
        if partner is None:
            continue
        ratio = published[row] / float(from_stis[partner].diagnostics["teff"])
        # Nothing published speaks against no star.
        if partner.lower() == name.lower() or not abs(np.log(ratio)) > _SAME_STAR:
            found[row] = name
    return found


def _partner(name, stis):
    """Name of a ground-based star among STIS SEDs: the same, or by its right ascension."""
    short = re.sub(r"^sdssj(\d{4}).*", r"WDFS\1", name.lower())
    return next((other for other in stis if other.upper().startswith(short.upper())), None)


def each_white_dwarf(predictions: Mapping[str, SEDPrediction] | Mapping[int, SEDPrediction],
                     names: Mapping, stis: SpectralLibrary, source: str
                     ) -> tuple[Table, list[tuple[np.ndarray, ...]]]:
    """
    Predictions against STIS SEDs, with E(B-V) fitted.

    Parameters
    ----------
    predictions : dict
        One each spectrum.
    names : dict
        Name of the star, by the same keys; others are left out.
    stis : `~sedflux.libraries.SpectralLibrary`
    source : str
        Where the lines come from.

    Returns
    -------
    table : `~astropy.table.Table`
        One row a spectrum.
    arrays : list of tuple
        Flux, diagonal, factor and truth of each, for `white_dwarf_scores`.
    """
    places = {str(name).strip(): row for row, name in enumerate(stis.table["NAME"])}
    bands, rows = band_rows(sed_grid(), _BANDS), []
    arrays: list[tuple[np.ndarray, ...]] = []
    for key, part in predictions.items():
        partner = _partner(names[key], places) if key in names else None
        if partner is None:
            continue
        truth = stis_sed(stis, places[partner])
        ebv = fit_reddening(part, truth, TRUTH_ERROR["CALSPEC"])
        seen = part.reddened(ebv)
        arrays.append((seen.flux, seen.diagonal, seen.factor, truth))
        left = seen.flux / truth - 1.0
        rows.append({"star": names[key], "lines": source,
                     **{name: float(part.diagnostics[name]) for name in
                        ("snr", "teff", "logg", "second_weight", "excess")},
                     "ebv": ebv, "flags": int(part.flag_bits),
                     **{band: float(np.nanmedian(left[inside])) if
                        np.isfinite(left[inside]).any() else np.nan
                        for band, inside in bands.items()}})
    return Table(rows), arrays


def white_dwarf_scores(each: Table, arrays: Sequence[tuple[np.ndarray, ...]]) -> Table:
    """
    Scores by class of temperature and band.

    Parameters
    ----------
    each, arrays
        From `each_white_dwarf`.

    Returns
    -------
    table : `~astropy.table.Table`
    """
    rank = max(factor.shape[0] for _, _, factor, _ in arrays)
    flux, diagonal, truth = (np.stack([one[place] for one in arrays]) for place in (0, 1, 3))
    factor = np.stack([np.pad(one[2], ((0, rank - len(one[2])), (0, 0))) for one in arrays])
    diagonal = diagonal + TRUTH_ERROR["CALSPEC"] ** 2
    teff, rows = np.asarray(each["teff"]), []
    for low, high in _CLASSES:
        cell = (teff >= low) & (teff < high)
        if not cell.any():
            continue
        for band, inside in band_rows(sed_grid(), _BANDS).items():
            result = score(flux[cell], diagonal[cell], factor[cell], truth[cell], inside)
            rows.append({"lines": each["lines"][0], "teff": low, "band": band, **vars(result)})
    return Table(rows)


def _continued(grid):
    """Wavelengths from 2000 Angstrom, and the operator that continues ln(SED) to them."""
    blue = np.arange(_BLUE_END, grid[0], 10.0)
    wavelength = np.r_[blue, grid]
    near = [(grid >= low) & (grid < high) for low, high in _SLOPE_RANGES]
    means = [inside / inside.sum() for inside in near]
    places = [np.log(grid[inside]).mean() for inside in near]
    share = (np.log(blue) - places[0]) / (places[1] - places[0])
    operator = np.vstack([(1.0 - share)[:, None] * means[0] + share[:, None] * means[1],
                          np.eye(grid.size)])
    return wavelength, operator


def color_rows(part: SEDPrediction, av: float, measured: Mapping[str, tuple[float, float]],
               passbands: Mapping[str, tuple[np.ndarray, np.ndarray]], *, av_error: float = 0.0
               ) -> list[dict]:
    """
    Predicted minus measured colours of a star with known dust.

    Below 2500 Angstrom, where F275W has a fifth of its light, the SED is continued by its slope.

    Parameters
    ----------
    part : `~sedflux.SEDPrediction`
        Of one star, without dust.
    av : float
        Extinction in mag.
    measured : dict of str to tuple of float
        Magnitude and its error by band.
    passbands : dict
        From `sedflux.training.stars.read_passbands`.
    av_error : float, optional
        Of the extinction, in mag.

    Returns
    -------
    rows : list of dict
    """
    wavelength, operator = _continued(part.wavelength)
    dust = extinction_curve(wavelength) / R_V
    log_flux = operator @ np.log(part.flux) + av * dust
    factor = np.vstack([part.factor @ operator.T, av_error * dust])
    steps = np.gradient(wavelength)
    shares, magnitudes = {}, {}
    for band, (place, throughput) in passbands.items():
        weight = steps * np.interp(wavelength, place, throughput, left=0.0, right=0.0)
        light = weight * wavelength * np.exp(log_flux)
        shares[band] = light / light.sum()
        magnitudes[band] = -2.5 * np.log10(light.sum() / (weight / wavelength).sum())
    rows = []
    for first, second in _COLORS:
        change = 2.5 / np.log(10.0) * (shares[first] - shares[second])
        variance = ((factor @ change) ** 2).sum() + (change[-part.flux.size:] ** 2
                                                     * part.diagonal).sum()
        color = magnitudes[first] - magnitudes[second]
        truth = measured[first][0] - measured[second][0]
        rows.append({"color": f"{first}-{second}", "difference": color - truth,
                     "sigma": float(np.sqrt(variance)),
                     "error": float(np.hypot(measured[first][1], measured[second][1]))})
    return rows


def color_scores(rows: Table) -> Table:
    """Median, scatter and pulls of colours: one row a colour."""
    found = []
    for color in sorted(set(rows["color"])):
        some = rows[rows["color"] == color]
        pull = some["difference"] / np.hypot(some["sigma"], some["error"])
        found.append({"color": color, "spectra": len(some),
                      "median": float(np.median(some["difference"])),
                      "scatter": float(mad_std(some["difference"])),
                      "largest": float(np.abs(some["difference"]).max()),
                      "sigma": float(np.mean(some["sigma"])),
                      "pull": float(np.sqrt(np.mean(pull**2)))})
    return Table(found)
