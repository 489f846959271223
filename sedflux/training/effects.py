"""
What surveys do to spectra beyond noise: dust bands, stray light, wiggles, joints, emission, sky.

Every effect hits some of the training spectra, in random strength, and most spectra get none:
the network learns to look elsewhere for what an effect has spoilt.
"""

import numpy as np

from sedflux.spectra.grids import input_grid
from sedflux.spectra.resolution import FWHM_PER_SIGMA
from sedflux.units import LIGHT_KM_S

__all__ = ["survey_effects"]

#: Diffuse interstellar bands: vacuum wavelength, FWHM and equivalent width a mag of E(B-V), in
#: Angstrom (Jenniskens & Desert 1994, rounded).
_BANDS = ((4429.3, 17.3, 2.23), (4763.0, 13.0, 0.17), (4881.5, 19.6, 0.43), (5452.0, 13.5, 0.29),
          (5538.0, 23.0, 0.42), (5706.7, 2.5, 0.12), (5781.6, 2.1, 0.58), (5798.6, 1.0, 0.20),
          (6011.7, 4.0, 0.14), (6047.6, 12.0, 0.21), (6178.9, 23.0, 0.66), (6204.8, 2.0, 0.32),
          (6271.6, 1.4, 0.12), (6285.5, 3.8, 0.90), (6615.4, 1.2, 0.23), (6946.0, 7.0, 0.10))
#: Interstellar Na D: vacuum wavelength, and equivalent width at which it saturates (Angstrom).
_SODIUM = ((5891.58, 0.75), (5897.56, 0.60))
#: Balmer lines, and their emission relative to H alpha in equivalent width.
_BALMER = ((6564.6, 1.0), (4862.7, 0.3), (4341.7, 0.12))
#: Lines of the night sky and of street lamps (vacuum, Angstrom).
_SKY = (4047.7, 4359.6, 5462.3, 5578.9, 5891.6, 5897.6, 6302.0, 6365.5, 6865.0)
#: Shares of spectra that each effect hits.
_SHARES = {"dust": 0.35, "stray": 0.2, "wiggle": 0.2, "joint": 0.12, "emission": 0.08,
           "sky": 0.15, "cosmic": 0.15}
#: Share of spectra that no effect hits at all.
_CLEAN = 0.4
#: Equivalent width of H alpha emission (Angstrom), at the most.
_EMISSION = 1.5


def survey_effects(flux, resolving_power, rng):
    """
    Spoil some spectra as surveys do.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (N, 2430)
        Noiseless spectra on the input grid, continuum of order one.
    resolving_power : `~numpy.ndarray`, shape (N,)
    rng : `numpy.random.Generator`

    Returns
    -------
    flux : `~numpy.ndarray`, shape (N, 2430)
    """
    flux = np.array(flux, dtype=float)
    grid = input_grid()
    hit = rng.random(len(flux)) >= _CLEAN
    effects = {"dust": _dust, "wiggle": _wiggle, "joint": _joint, "stray": _stray,
               "emission": _emission, "sky": _sky, "cosmic": _cosmic}
    for name, effect in effects.items():
        for row in np.flatnonzero(hit & (rng.random(len(flux)) < _SHARES[name] / (1 - _CLEAN))):
            flux[row] = effect(flux[row], grid, resolving_power[row], rng)
    return np.maximum(flux, 1e-3)


def _line(grid, centre, fwhm, power):
    """A Gaussian of unit area, broadened by the instrument; in 1 / Angstrom."""
    sigma = np.hypot(fwhm, centre / power) / FWHM_PER_SIGMA
    profile = np.exp(-0.5 * ((grid - centre) / sigma) ** 2)
    return profile / (sigma * np.sqrt(2.0 * np.pi))


def _dust(flux, grid, power, rng):
    """Bands and Na D of E(B-V) up to 1.5 mag, at the cloud's velocity."""
    ebv = min(rng.exponential(0.45), 1.5)
    shift = 1.0 + rng.normal(0.0, 40.0) / LIGHT_KM_S
    depth = np.zeros(grid.size)
    for centre, fwhm, width in _BANDS:
        strength = ebv * width * np.exp(rng.normal(0.0, 0.2))
        depth += strength * _line(grid, centre * shift, fwhm, power)
    for centre, width in _SODIUM:
        depth += width * (1.0 - np.exp(-2.0 * ebv)) * _line(grid, centre * shift, 0.3, power)
    return flux * np.exp(-depth)


def _stray(flux, grid, power, rng):
    """Light added or sky over-subtracted: -5 to +10 % of the mean flux, sloping."""
    slope = 1.0 + rng.normal(0.0, 0.3) * np.linspace(-1.0, 1.0, grid.size)
    return flux + rng.uniform(-0.05, 0.10) * flux.mean() * slope


def _wiggle(flux, grid, power, rng):
    """A wave of up to 3 % with a period of 100-300 Angstrom, over part of the spectrum."""
    period, centre = rng.uniform(100.0, 300.0), rng.uniform(grid[0], grid[-1])
    extent = np.exp(-0.5 * ((grid - centre) / rng.uniform(300.0, 3000.0)) ** 2)
    wave = np.sin(2.0 * np.pi * (grid / period + rng.random()))
    return flux * (1.0 + rng.uniform(0.0, 0.03) * extent * wave)


def _joint(flux, grid, power, rng):
    """Arms that do not fit: a step of up to 10 % or a dip of up to 25 % at 5600-6100 Angstrom."""
    centre = rng.uniform(5600.0, 6100.0)
    if rng.random() < 0.5:
        step = rng.uniform(-0.1, 0.1)
        return flux * (1.0 + step / (1.0 + np.exp(-(grid - centre) / rng.uniform(3.0, 60.0))))
    width = rng.uniform(30.0, 120.0)
    return flux * (1.0 - rng.uniform(0.0, 0.25) * np.exp(-(((grid - centre) / width) ** 4)))


def _emission(flux, grid, power, rng):
    """Weak emission in the Balmer lines."""
    width = rng.uniform(0.1, _EMISSION)
    return flux * (1.0 + sum(width * share * _line(grid, centre, 1.5, power)
                             for centre, share in _BALMER))


def _sky(flux, grid, power, rng):
    """Residuals of sky lines, at a velocity that is not the star's."""
    shift, level = 1.0 + rng.normal(0.0, 40.0) / LIGHT_KM_S, np.exp(rng.normal(-0.7, 0.8))
    return flux + flux.mean() * sum(
        level * rng.normal() * _line(grid, centre * shift, 0.0, power)
        for centre in _SKY if rng.random() < 0.6)


def _cosmic(flux, grid, power, rng):
    """One to four cosmic rays, or cold pixels."""
    for _ in range(rng.integers(1, 5)):
        begin = rng.integers(0, grid.size - 3)
        flux[begin : begin + rng.integers(1, 4)] *= 1.0 + rng.uniform(-0.3, 1.0)
    return flux
