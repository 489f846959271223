"""Count rates of simulated stars on a detector, and their noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from scipy import sparse

from sedflux.exceptions import InputError
from sedflux.slitless.forward import fine_operators, sed_operator
from sedflux.slitless.instrument import SlitlessBand
from sedflux.spectra.grids import integral_matrix

__all__ = ["BandOperators", "contaminating_light", "noisy_rates"]

#: Pixels by which the fine grid extends beyond the detector, for shifted spectra.
_MARGIN = 3.0
#: Points of the fine grid per pixel, without a line-spread function.
_POINTS_PER_PIXEL = 6
#: Variance (electrons squared) added so that sigma is positive even without signal and noise.
_LEAST_VARIANCE = 1e-6
#: Contaminated spectra, in round numbers: the light of another star begins in the first 70 % of
#: the spectrum, rises within 2 % of its length, and is 10-60 % of the star's light.
_LAST_START, _ONSET, _CONTAMINATION = 0.3, 0.02, (0.1, 0.6)


class BandOperators:
    """
    Fine grid, photons, effective area and line-spread function of one band, computed once.

    Parameters
    ----------
    band : `~sedflux.SlitlessBand`
        With a throughput.
    source : `~sedflux.simulate.stars.LibraryStars` or `~sedflux.simulate.stars.ModelStars`
        Its SEDs have these wavelengths and this resolving power.

    Attributes
    ----------
    fine : `~numpy.ndarray`, shape (m,)
        Fine grid in Angstrom.
    effective_area : `~numpy.ndarray`, shape (m,)
        Collecting area times throughput in cm2.
    """

    def __init__(self, band: SlitlessBand, source: Any) -> None:
        if band.throughput is None:
            raise InputError(f"band {band.name!r} has no throughput; give one with "
                             "band.with_throughput(path)")
        pixels = band.wavelengths()
        margin = _MARGIN * np.diff(pixels).max()
        low, high = pixels[0] - margin, pixels[-1] + margin
        self.fine, self._blur = fine_operators(
            low, high, band.line_spread, limits=source.wavelength[[0, -1]],
            extra=np.concatenate([source.wavelength, band.throughput.wavelength]),
            points=np.linspace(low, high, _POINTS_PER_PIXEL * pixels.size))
        self._photons = sed_operator(source.wavelength, self.fine,
                                     sed_resolving_power=source.resolving_power)
        self.effective_area = band.area.to_value(u.cm**2) * band.throughput(self.fine)

    def rate_density(self, flux: np.ndarray, factor: float | np.ndarray = 1.0) -> np.ndarray:
        """
        Count rates per Angstrom on the fine grid.

        Parameters
        ----------
        flux : `~numpy.ndarray`, shape (N, n)
            SEDs in erg/s/cm2/Angstrom.
        factor : float or `~numpy.ndarray`, shape (N, m), optional
            Throughput divided by that of the band.

        Returns
        -------
        density : `~numpy.ndarray`, shape (N, m)
            Electrons per second and Angstrom.
        """
        density = self.effective_area * factor * (self._photons @ flux.T).T
        return density if self._blur is None else (self._blur @ density.T).T

    def pixel_integrals(self, edges: np.ndarray) -> sparse.csr_matrix:
        """Integrals over the pixels with given edges (p + 1,), sparse (p, m)."""
        return integral_matrix(self.fine, edges[:-1], edges[1:])


def contaminating_light(pixels: np.ndarray, other: np.ndarray, rate: np.ndarray,
                        rng: np.random.Generator) -> np.ndarray:
    """
    Count rates from another star on a part of a spectrum.

    Parameters
    ----------
    pixels : `~numpy.ndarray`, shape (p,)
        Wavelengths in Angstrom.
    other, rate : `~numpy.ndarray`, shape (p,)
        Count rates of the other star and of the star.
    rng : `numpy.random.Generator`

    Returns
    -------
    light : `~numpy.ndarray`, shape (p,)
        Count rates to add.
    """
    length = np.ptp(pixels)
    begin = rng.uniform(pixels[0], pixels[-1] - _LAST_START * length)
    inside = 1.0 / (1.0 + np.exp(-(pixels - begin) / (_ONSET * length)))
    return inside * other * rng.uniform(*_CONTAMINATION) * rate.sum() / max(other.sum(), 1e-300)


def noisy_rates(rate: np.ndarray, band: SlitlessBand, exposure: float,
                rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """
    Count rates with photon, background and read noise, and the errors that a pipeline reports.

    Parameters
    ----------
    rate : `~numpy.ndarray`, shape (p,)
        True rates in electrons per second and pixel.
    band : `~sedflux.SlitlessBand`
    exposure : float
        Seconds.
    rng : `numpy.random.Generator`

    Returns
    -------
    rate, sigma : `~numpy.ndarray`, shape (p,)
    """
    background = (band.sky + band.dark) * band.height * exposure + band.height * band.read_noise**2
    electrons = np.clip(rate, 0.0, None) * exposure
    noisy = electrons + rng.standard_normal(rate.size) * np.sqrt(electrons + background)
    # A pipeline estimates errors from the noisy counts.
    sigma = np.sqrt(np.clip(noisy, 0.0, None) + background + _LEAST_VARIANCE)
    return noisy / exposure, sigma / exposure
