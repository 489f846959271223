"""
Accuracy of SEDs from lines and photometry, on real stars left out.

Predictions from R = 2000 spectra are conditioned on red magnitudes, and compared with blue
magnitudes and with HST/STIS SEDs.  For comparison, the same predictions are conditioned on one
magnitude alone, which sets the scale, with the same prior of the dust.
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
from sedflux.training.sed_truths import EBV

__all__ = ["conditioned_stis_table", "conditioned_table", "score"]

#: Mean wavelength (Angstrom) above which a band is red, and error of a magnitude (mag).
_RED_EDGE, _MAGNITUDE_ERROR = 5000.0, 0.02
#: The same for magnitudes that are computed from STIS SEDs.
_STIS_EDGE, _STIS_ERROR = 4500.0, 0.01
#: Error of a known E(B-V), and E(B-V) and error of stars without a known one (mag).
_KNOWN_ERROR, _UNKNOWN = EBV["known"], (0.03, 0.05)


def _elements(passbands: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    return {name: Throughput(*curve).to_synphot() for name, curve in passbands.items()}


def _redder(passbands: Mapping[str, tuple[np.ndarray, np.ndarray]], edge: float) -> list[str]:
    """Names of the bands with a mean wavelength above a limit, the bluest first."""
    mean = {name: float(np.average(wavelength, weights=value))
            for name, (wavelength, value) in passbands.items()}
    return sorted((name for name in mean if mean[name] > edge), key=lambda name: mean[name])


def score(difference: np.ndarray, sigma: np.ndarray) -> dict[str, float]:
    """
    Bias, scatter and pulls of predicted minus measured values.

    Parameters
    ----------
    difference, sigma : `~numpy.ndarray`, shape (N,)
        Of N stars, and the errors that are claimed.
    """
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
        One row per blue band and set of given magnitudes: predicted minus measured, in mag; and
        one row of E(B-V) minus the published values.
    """
    names, bands = list(passbands), _elements(passbands)
    red = _redder(passbands, _RED_EDGE)
    blue = [name for name in names if name not in red]
    known = np.isfinite(left_out.stars.magnitudes).all(axis=1)
    left_out = left_out.take(known)
    found: dict[tuple[str, str], list] = {}
    dust = []
    for part, magnitudes, ebv in zip(left_out.predictions, left_out.stars.magnitudes,
                                     left_out.stars.ebv, strict=True):
        given = {name: (magnitudes[names.index(name)], _MAGNITUDE_ERROR) for name in red}
        prior = (max(float(ebv), 0.0), _KNOWN_ERROR) if np.isfinite(ebv) else _UNKNOWN
        free = condition(part, given, bands)
        if np.isfinite(ebv):
            dust.append((free.reddening - ebv, np.hypot(free.reddening_error, _KNOWN_ERROR)))
        after = condition(part, given, bands, reddening=prior)
        before = condition(part, {red[0]: given[red[0]]}, bands, reddening=prior)
        for treatment, one in (("one", before), ("all red", after),
                               ("all red, dust unknown", free)):
            synthetic = synthetic_photometry(one.to_spectrum(), {name: bands[name]
                                                                 for name in blue})
            for name, value, sigma in zip(blue, synthetic.value.value, synthetic.sigma.value,
                                          strict=True):
                found.setdefault((name, treatment), []).append(
                    (value - magnitudes[names.index(name)], np.hypot(sigma, _MAGNITUDE_ERROR)))
    rows = [{"quantity": name, "given": treatment} | score(*np.array(pairs).T)
            for (name, treatment), pairs in found.items()]
    if dust:
        rows.append({"quantity": "E(B-V)", "given": "all red, dust unknown"}
                    | score(*np.array(dust).T))
    return Table(rows)


def conditioned_stis_table(left_out: LeftOut,
                           passbands: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Table:
    """
    Errors against HST/STIS by band, without and with red magnitudes of the same SED.

    Parameters
    ----------
    left_out, passbands
        As for `conditioned_table`; stars with complete STIS SEDs are used.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per band and set of given magnitudes; errors are means over the band of
        ln(predicted / measured).
    """
    chosen = _redder(passbands, _STIS_EDGE)
    bands = _elements({name: passbands[name] for name in chosen})
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
        before = condition(part, {chosen[0]: given[chosen[0]]}, bands,
                           reddening=(float(after.reddening), float(after.reddening_error)))
        for treatment, one in (("one", before), ("all", after)):
            for band, inside in band_rows(grid, BANDS).items():
                inside = inside & np.isfinite(log_flux)
                mean = np.where(inside, 1.0 / inside.sum(), 0.0)
                difference = mean @ (np.log(one.flux) - np.where(inside, log_flux, 0.0) * inside)
                sigma = one.relative_covariance.propagate(mean[None]).sigma[0]
                found.setdefault((band, treatment), []).append((difference, sigma))
    return Table([{"band": band, "given": treatment} | score(*np.array(pairs).T)
                  for (band, treatment), pairs in found.items()])
