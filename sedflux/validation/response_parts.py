"""Functions that the studies of responses share: spectra, SEDs, errors over intervals."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty

from sedflux.covariance import LowRankCovariance
from sedflux.response.curve import ResponseCurve
from sedflux.slitless.throughput import Throughput
from sedflux.spectra.grids import SED_RESOLVING_POWER, sed_grid
from sedflux.units import FLAM
from sedflux.validation.cells import INTERVAL

__all__ = ["count_spectrum", "interval_errors", "sed_spectrum"]


def count_spectrum(wavelength: np.ndarray, rate: np.ndarray, sigma: np.ndarray) -> Any:
    """
    Extracted counts of a star.

    Parameters
    ----------
    wavelength, rate, sigma : `~numpy.ndarray`, shape (n,)
        Angstrom, electron/s per pixel, and its standard deviation.

    Returns
    -------
    spectrum : `~specutils.Spectrum`
    """
    from specutils import Spectrum

    unit = u.ct / u.s
    return Spectrum(spectral_axis=wavelength * u.AA, flux=rate * unit,
                    uncertainty=StdDevUncertainty(sigma * unit))


def sed_spectrum(flux: np.ndarray, covariance: LowRankCovariance) -> Any:
    """
    An SED in absolute flux on the SED grid, in the form that `sedflux.anchor` returns.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (575,)
    covariance : `~sedflux.LowRankCovariance`
        Of the flux.

    Returns
    -------
    spectrum : `~specutils.Spectrum`
    """
    from specutils import Spectrum

    return Spectrum(spectral_axis=sed_grid() * u.AA, flux=flux * FLAM, meta={"sedflux": {
        "resolving_power": SED_RESOLVING_POWER, "covariance": covariance}})


def interval_errors(response: ResponseCurve, truth: Throughput
                    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Error and sigma of ln(response), averaged over intervals of 50 Angstrom.

    Parameters
    ----------
    response : `~sedflux.ResponseCurve`
    truth : `~sedflux.slitless.throughput.Throughput`

    Returns
    -------
    middle, error, sigma : `~numpy.ndarray`, shape (k,)
        Wavelengths in Angstrom; NaN in intervals where the response is not good.
    """
    low, high = truth.wavelength[truth.value > 0][[0, -1]]
    edges = np.arange(np.floor(low / INTERVAL) * INTERVAL, high + INTERVAL, INTERVAL)
    value = np.log(np.maximum(truth(response.wavelength), 1e-12))
    error, sigma = [], []
    for begin, end in pairwise(edges):
        rows = (response.wavelength >= begin) & (response.wavelength < end)
        if not rows.any() or not response.good[rows].all():
            error.append(np.nan)
            sigma.append(np.nan)
            continue
        mean = response.covariance.factor[:, rows].mean(axis=1)
        error.append((np.log(response.throughput[rows]) - value[rows]).mean())
        sigma.append(np.sqrt((mean**2).sum()))
    return 0.5 * (edges[:-1] + edges[1:]), np.array(error), np.array(sigma)
