"""
Accuracy on real stars: MILES spectra against HST/STIS SEDs, colours and MILES fluxes.

A fine-tuned model is trained on stars, so each star is predicted by the model that was
trained without its fold (`sedflux.training.stars.fold_of`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table, vstack

from sedflux.spectra.bands import band_rows
from sedflux.spectra.grids import optical_mean, sed_grid
from sedflux.spectra.reddening import extinction_curve
from sedflux.training.left_out import TRUTH_ERROR, LeftOut, fit_reddening, stis_error
from sedflux.training.sed_truths import EBV
from sedflux.validation.cells import MILES_BANDS, TEFF_CELLS, TEFF_RANGE, table_bands
from sedflux.validation.metrics import score

__all__ = ["both_miles_tables", "color_table", "miles_errors", "miles_table", "star_table",
           "stis_errors"]

#: Lowest E(B-V) in fits to MILES fluxes, some of which may be dereddened too much.
_LOWEST_REDDENING = -0.3
#: Fewest stars of a cell.
_LEAST_STARS = 3


def _scores(left_out, flux, truth, error, bands):
    """Scores in every band; the error of the truth is added to sigma."""
    diagonal = left_out.stack("diagonal") + np.reshape(error, (-1, 1)) ** 2
    factor = left_out.stack("factor")
    return [{"band": band} | vars(score(flux, diagonal, factor, truth, inside))
            for band, inside in bands.items() if np.isfinite(truth[:, inside]).any()]


def star_table(left_out: LeftOut, *, teff: tuple[float, float] = TEFF_RANGE
               ) -> tuple[Table, Table]:
    """
    Score predictions from R = 2000 spectra against STIS SEDs, with and without dust.

    Parameters
    ----------
    left_out : `~sedflux.training.left_out.LeftOut`
    teff : tuple of float, optional
        Range of the published temperatures (K) that is scored.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per treatment of dust and band.
    each : `~astropy.table.Table`
        One row per star: errors of the bands, E(B-V), flags.
    """
    temperature = left_out.stars.labels[:, 0]
    known = np.isfinite(left_out.stars.stis_sed).any(axis=1)
    left_out = left_out.take(known & (temperature > teff[0]) & (temperature < teff[1]))
    stars, bands = left_out.stars, band_rows(sed_grid(), table_bands())
    truth = np.exp(stars.stis_sed)
    errors = np.array([stis_error(row) for row in truth])
    ebv = [fit_reddening(part, row, error) for part, row, error in
           zip(left_out.predictions, truth, errors, strict=True)]
    fitted = np.stack([part.reddened(value).flux
                       for part, value in zip(left_out.predictions, ebv, strict=True)])
    rows = [{"E(B-V)": label} | row
            for label, flux in (("none", left_out.stack("flux")), ("fitted", fitted))
            for row in _scores(left_out, flux, truth, errors, bands)]
    each = [{"star": str(stars.name[index]), "teff": stars.labels[index, 0],
             "teff_predicted": float(part.diagnostics["teff"]),
             "excess": float(part.diagnostics["excess"]), "ebv": ebv[index]}
            | _band_errors(fitted[index], truth[index], bands)
            | {"flags": "; ".join(part.flags)}
            for index, part in enumerate(left_out.predictions)]
    return Table(rows), Table(each)


def _band_errors(flux, truth, bands):
    """Mean of predicted / true - 1 of one star in every band; NaN where the truth is unknown."""
    return {band: float(np.nanmean(flux[inside] / truth[inside] - 1.0))
            if np.isfinite(truth[inside]).any() else np.nan for band, inside in bands.items()}


def stis_errors(left_out: LeftOut) -> np.ndarray:
    """
    Errors against HST/STIS, with E(B-V) fitted to each star.

    Returns
    -------
    errors : `~numpy.ndarray`, shape (N, 575)
        Predicted / measured - 1 of the stars that STIS observed.
    """
    known = left_out.take(np.isfinite(left_out.stars.stis_sed).any(axis=1))
    return np.stack([part.reddened(fit_reddening(part, row, TRUTH_ERROR["NGSL"])).flux / row - 1.0
                     for part, row in zip(known.predictions, np.exp(known.stars.stis_sed),
                                          strict=True)])


def miles_errors(left_out: LeftOut) -> dict[str, np.ndarray]:
    """
    Errors against MILES, by temperature.

    Returns
    -------
    errors : dict of str to `~numpy.ndarray`, shape (N, 575)
        Predicted / measured - 1, by the name of the cell.
    """
    errors = left_out.stack("flux") / np.exp(left_out.stars.miles_sed) - 1.0
    teff = left_out.stars.labels[:, 0]
    return {f"MILES, {low:.0f}-{high:.0f} K": errors[(teff >= low) & (teff < high)]
            for low, high in TEFF_CELLS[:-1]}


def color_table(left_out: LeftOut, passbands: Mapping[str, tuple[np.ndarray, np.ndarray]], *,
                reference: str = "SDSS_R", teff: tuple[float, float] = TEFF_RANGE) -> Table:
    """
    Predicted minus measured colours of MILES stars with HST/STIS photometry.

    Only stars with a known E(B-V) are used; their predictions are reddened by it.

    Parameters
    ----------
    left_out : `~sedflux.training.left_out.LeftOut`
    passbands : dict
        From `sedflux.training.stars.read_passbands`, in the order of the magnitudes.
    reference : str, optional
        Band from which the magnitudes in all others are subtracted.
    teff : tuple of float, optional
        Range of effective temperature (K).

    Returns
    -------
    table : `~astropy.table.Table`
        One row per colour: median, scatter, mean predicted sigma, rms of the pulls.
    """
    from sedflux.photometry import synthetic_photometry

    stars, temperature = left_out.stars, left_out.stars.labels[:, 0]
    use = np.isfinite(stars.ebv) & (temperature > teff[0]) & (temperature < teff[1])
    names, bands = list(passbands), _synphot_bands(passbands)
    others = [name for name in names if name != reference]
    difference: dict[str, list[float]] = {name: [] for name in others}
    sigma: dict[str, list[float]] = {name: [] for name in others}
    for index in np.flatnonzero(use):
        sed = left_out.predictions[index].reddened(max(float(stars.ebv[index]), 0.0),
                                                   reddening_error=EBV["known"])
        result = synthetic_photometry(sed.to_spectrum(), bands)
        measured = dict(zip(names, stars.magnitudes[index], strict=True))
        for name in others:
            color, error = result.color(name, reference)
            difference[name].append(color.value - (measured[name] - measured[reference]))
            sigma[name].append(error.value)
    lines = []
    for name in others:
        values, errors = np.array(difference[name]), np.array(sigma[name])
        # A relative error of the flux is about the same error in mag.
        pulls = values / np.hypot(errors, TRUTH_ERROR["NGSL"])
        lines.append({"color": f"{name} - {reference}", "stars": int(np.isfinite(values).sum()),
                      "median": np.nanmedian(values),
                      "scatter": float(mad_std(values, ignore_nan=True)),
                      "sigma": float(errors.mean()),
                      "pull": float(np.sqrt(np.nanmean(pulls**2)))})
    return Table(lines)


def _synphot_bands(passbands):
    """Passbands for synphot, with a zero at each end; synphot extrapolates others."""
    from astropy import units as u
    from synphot import SpectralElement
    from synphot.models import Empirical1D

    return {name: SpectralElement(
        Empirical1D, points=np.r_[wavelength[0] - 1.0, wavelength, wavelength[-1] + 1.0] * u.AA,
        lookup_table=np.r_[0.0, np.clip(passed, 0.0, None), 0.0])
        for name, (wavelength, passed) in passbands.items()}


def miles_table(left_out: LeftOut, *, dereddened: bool = True) -> Table:
    """
    Score predictions against MILES fluxes, by temperature and band.

    Parameters
    ----------
    left_out : `~sedflux.training.left_out.LeftOut`
    dereddened : bool, optional
        Assume that MILES fluxes are free of dust, as they appear to be; if False, fit the
        remaining E(B-V).

    Returns
    -------
    table : `~astropy.table.Table`
        Bias and scatter of predicted / measured - 1, and scatter of the pulls with 2 % error
        of the truth, in every cell of 3 stars or more.  Scatter is measured by the median
        absolute deviation.
    """
    stars = left_out.stars
    temperature, truth = stars.labels[:, 0], np.exp(stars.miles_sed)
    flux, error = left_out.stack("flux"), TRUTH_ERROR["MILES"]
    if not dereddened:
        flux = _reddened_to(left_out, flux, truth)
    sigma = np.sqrt(left_out.stack("diagonal") + (left_out.stack("factor") ** 2).sum(axis=1))
    rows = []
    for low, high in TEFF_CELLS:
        cell = (temperature >= low) & (temperature < high)
        if cell.sum() < _LEAST_STARS:
            continue
        for band, inside in band_rows(sed_grid(), MILES_BANDS).items():
            values = flux[cell][:, inside] / truth[cell][:, inside] - 1.0
            pulls = values / np.hypot(sigma[cell][:, inside], error)
            rows.append({"dust": "removed" if dereddened else "fitted", "teff": low,
                         "teff_end": high, "band": band, "stars": int(cell.sum()),
                         "bias": float(np.nanmedian(values)),
                         "scatter": float(mad_std(values, ignore_nan=True)),
                         "error": float(np.sqrt(np.nanmean(values**2))),
                         "pull": float(mad_std(pulls, ignore_nan=True))})
    return Table(rows)


def _reddened_to(left_out, flux, truth):
    """Predicted fluxes with the E(B-V) that brings each closest to MILES."""
    curve, mean = extinction_curve(sed_grid()), optical_mean(sed_grid())
    ebv = [fit_reddening(part, row, TRUTH_ERROR["MILES"], curve=curve, lowest=_LOWEST_REDDENING)
           for part, row in zip(left_out.predictions, truth, strict=True)]
    flux = flux * np.exp(np.multiply.outer(ebv, curve))
    return flux / (mean @ flux.T).T


def both_miles_tables(left_out: LeftOut) -> Table:
    """`miles_table` without and with a fit of the remaining dust, in one table."""
    return vstack([miles_table(left_out, dereddened=flag) for flag in (True, False)])
