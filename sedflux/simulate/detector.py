"""Counts of simulated stars on a detector."""

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.slitless.forward import blur_operator, distinct_points, fine_grid, sed_operator

__all__ = ["BandOperators", "electrons", "neighbour"]


class BandOperators:
    """Fine grid and line-spread operator of one band, made once."""

    def __init__(self, band, source):
        if band.throughput is None:
            raise InputError(f"band {band.name!r} has no throughput; give one with "
                             "band.with_throughput(path)")
        self.band = band
        pixels = band.wavelengths()
        margin = 3.0 * np.diff(pixels).max()
        low, high = pixels[0] - margin, pixels[-1] + margin
        points = np.concatenate([source.wavelength, band.throughput.wavelength])
        if band.line_spread is None:
            even = np.linspace(low, high, 6 * pixels.size)
            self.fine = distinct_points(np.r_[even, points], low, high)
            self.spread = None
        else:
            self.fine = fine_grid(low, high, band.line_spread, extra=points,
                                  limits=source.wavelength[[0, -1]])
            self.spread = blur_operator(self.fine, band.line_spread)
        self.photons = sed_operator(source.wavelength, self.fine,
                                    sed_resolving_power=source.resolving_power)
        self.passed = band.area.to_value(u.cm**2) * band.throughput(self.fine)

    def density(self, flux, change):
        """Electrons a second and Angstrom on the fine grid, (N, m)."""
        rate = self.passed * change * (self.photons @ flux.T).T
        return rate if self.spread is None else (self.spread @ rate.T).T


def neighbour(pixels, other, rate, rng):
    """Light of another star that overlaps part of the spectrum."""
    begin = rng.uniform(pixels[0], pixels[-1] - 0.3 * np.ptp(pixels))
    inside = 1.0 / (1.0 + np.exp(-(pixels - begin) / (0.02 * np.ptp(pixels))))
    return inside * other * rng.uniform(0.1, 0.6) * rate.sum() / max(other.sum(), 1e-300)


def electrons(rate, band, exposure, rng):
    """
    Count rates with photon, background and read noise, and their errors as measured.

    Parameters
    ----------
    rate : `~numpy.ndarray`, shape (p,)
        True rates in electron/s a pixel.
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
    # A pipeline knows the noisy counts alone.
    sigma = np.sqrt(np.clip(noisy, 0.0, None) + background + 1e-6)
    return noisy / exposure, sigma / exposure
