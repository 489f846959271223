"""
Accuracy of SEDs given lines and photometry, on real stars left out.

Magnitudes in the red condition predictions from R = 2000 spectra; magnitudes in the blue, and
HST/STIS below 4000 Angstrom, say what that is worth.  Before and after differ in the magnitudes
alone: "before" has one of them for the scale, and the same knowledge of the dust.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table

from sedflux.conditioning.condition import condition
from sedflux.photometry import band_rows as photometric_rows
from sedflux.photometry import synthetic_photometry
from sedflux.slitless.throughput import Throughput
from sedflux.spectra.bands import BANDS, band_rows
from sedflux.spectra.grids import sed_grid
from sedflux.training.left_out import LeftOut

__all__ = ["conditioned_stis_table", "conditioned_table"]

#: Bands of the photometry that condition, the one that sets the scale first, and their errors.
_RED, _MAGNITUDE_ERROR = ("SWIFT_V", "SDSS_R", "SDSS_I", "SDSS_Z"), 0.02
#: Bands that are taken from STIS SEDs, and their errors.
_GRIZ, _STIS_ERROR = ("SDSS_R", "CSP_G", "SDSS_I", "SDSS_Z"), 0.01
#: Error of a known E(B-V), and what is taken for an unknown one (mag).
_KNOWN_ERROR, _UNKNOWN = 0.025, (0.03, 0.05)


def _elements(passbands: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    return {name: Throughput(*curve).to_synphot() for name, curve in passbands.items()}


def _score(difference: np.ndarray, sigma: np.ndarray) -> dict[str, float]:
    """Bias, scatter and pulls of predicted minus measured values."""
    return {"stars": len(difference), "median": float(np.median(difference)),
            "scatter": float(mad_std(difference)),
            "rms": float(np.sqrt(np.mean(difference**2))),
            "sigma": float(np.median(sigma)),
            "pull_rms": float(np.sqrt(np.mean((difference / sigma) ** 2)))}


def conditioned_table(left_out: LeftOut,
                      passbands: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Table:
    """
    Blue magnitudes from lines and red magnitudes, and E(B-V).

    Parameters
    ----------
    left_out : `~sedflux.training.left_out.LeftOut`
        With magnitudes.
    passbands : dict
        From `~sedflux.training.stars.read_passbands`.

    Returns
    -------
    table : `~astropy.table.Table`
        One row a band that was not given, and treatment: predicted minus measured, in mag; and
        one of E(B-V) minus the published values.
    """
    names, bands = list(passbands), _elements(passbands)
    red = [names.index(name) for name in _RED]
    blue = [name for name in names if name not in _RED]
    known = np.isfinite(left_out.stars.magnitudes).all(axis=1)
    left_out = left_out.take(known)
    found: dict[tuple[str, str], list] = {}
    dust = []
    for part, magnitudes, ebv in zip(left_out.predictions, left_out.stars.magnitudes,
                                     left_out.stars.ebv, strict=True):
        given = {names[index]: (magnitudes[index], _MAGNITUDE_ERROR) for index in red}
        prior = (max(float(ebv), 0.0), _KNOWN_ERROR) if np.isfinite(ebv) else _UNKNOWN
        free = condition(part, given, bands)
        if np.isfinite(ebv):
            dust.append((free.reddening - ebv, np.hypot(free.reddening_error, _KNOWN_ERROR)))
        after = condition(part, given, bands, reddening=prior)
        before = condition(part, {_RED[0]: given[_RED[0]]}, bands, reddening=prior)
        for treatment, one in (("V", before), ("V r i z", after), ("V r i z, dust free", free)):
            synthetic = synthetic_photometry(one.to_spectrum(), {name: bands[name]
                                                                 for name in blue})
            for name, value, sigma in zip(blue, synthetic.value.value, synthetic.sigma.value,
                                          strict=True):
                found.setdefault((name, treatment), []).append(
                    (value - magnitudes[names.index(name)], np.hypot(sigma, _MAGNITUDE_ERROR)))
    rows = [{"quantity": name, "given": treatment} | _score(*np.array(pairs).T)
            for (name, treatment), pairs in found.items()]
    rows += [{"quantity": "E(B-V)", "given": "V r i z"} | _score(*np.array(dust).T)] if dust else []
    return Table(rows)


def conditioned_stis_table(left_out: LeftOut,
                           passbands: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Table:
    """
    Errors against HST/STIS by band of wavelength, before and after griz of the same SED.

    Parameters
    ----------
    left_out, passbands
        As for `conditioned_table`; stars with complete STIS SEDs count.

    Returns
    -------
    table : `~astropy.table.Table`
        One row a band and treatment; errors are means over the band of ln(predicted / measured).
    """
    bands = {name: curve for name, curve in _elements(passbands).items() if name in _GRIZ}
    grid = sed_grid()
    complete = np.isfinite(left_out.stars.stis_sed[:, (grid > 2600) & (grid < 10000)]).all(axis=1)
    left_out = left_out.take(complete)
    names, (rows, zero_points) = photometric_rows(grid, bands)
    rng = np.random.default_rng(12)
    found: dict[tuple[str, str], list] = {}
    for part, log_flux in zip(left_out.predictions, left_out.stars.stis_sed, strict=True):
        flux = np.interp(grid, grid[np.isfinite(log_flux)], np.exp(log_flux[np.isfinite(log_flux)]))
        exact = zero_points - 2.5 * np.log10(rows @ flux)
        given = {name: (value + _STIS_ERROR * rng.standard_normal(), _STIS_ERROR)
                 for name, value in zip(names, exact, strict=True)}
        after = condition(part, given, bands)
        before = condition(part, {_GRIZ[0]: given[_GRIZ[0]]}, bands,
                           reddening=(float(after.reddening), float(after.reddening_error)))
        for treatment, one in (("r", before), ("g r i z", after)):
            for band, inside in band_rows(grid, BANDS).items():
                inside = inside & np.isfinite(log_flux)
                mean = np.where(inside, 1.0 / inside.sum(), 0.0)
                difference = mean @ (np.log(one.flux) - np.where(inside, log_flux, 0.0) * inside)
                sigma = one.relative_covariance.propagate(mean[None]).sigma[0]
                found.setdefault((band, treatment), []).append((difference, sigma))
    return Table([{"band": band, "given": treatment} | _score(*np.array(pairs).T)
                  for (band, treatment), pairs in found.items()])
