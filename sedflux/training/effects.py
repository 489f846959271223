"""
Defects of survey spectra beyond noise: dust bands, stray light, ripples, steps, emission, sky.

Every effect is added to some of the training spectra, in random strength, and two in five spectra
stay clean.  A network trained on them does not depend on any single feature of a spectrum.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sedflux.spectra.grids import input_grid
from sedflux.spectra.resolution import FWHM_PER_SIGMA
from sedflux.units import LIGHT_KM_S

__all__ = ["add_emission", "add_light", "add_sky", "dim_by_dust", "dip", "ripple", "step",
           "survey_effects"]

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
#: Shares of spectra that have each effect.
_SHARES = {"dust": 0.35, "stray": 0.2, "wiggle": 0.2, "joint": 0.12, "emission": 0.08,
           "sky": 0.15, "cosmic": 0.15}
#: Share of spectra without any effect.
_CLEAN = 0.4
#: Largest equivalent width of H alpha emission (Angstrom).
_EMISSION = 1.5


def survey_effects(flux: np.ndarray, resolving_power: np.ndarray, rng: np.random.Generator
                   ) -> np.ndarray:
    """
    Add effects of surveys to some spectra.

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
            flux[row] = effect(grid, flux[row], resolving_power[row], rng)
    return np.maximum(flux, 1e-3)


def _line(grid, centre, fwhm, power):
    """A Gaussian of unit area, broadened by the instrument; in 1 / Angstrom."""
    sigma = np.hypot(fwhm, centre / power) / FWHM_PER_SIGMA
    profile = np.exp(-0.5 * ((grid - centre) / sigma) ** 2)
    return profile / (sigma * np.sqrt(2.0 * np.pi))


def dim_by_dust(wavelength: np.ndarray, flux: np.ndarray, power: float, *, ebv: float,
                shift: float = 1.0, scatter: np.ndarray | None = None) -> np.ndarray:
    """
    Diffuse interstellar bands and Na D.

    Parameters
    ----------
    wavelength, flux : `~numpy.ndarray`, shape (n,)
        In Angstrom and any unit.
    power : float
        Resolving power.
    ebv : float
        E(B-V) in mag.
    shift : float, optional
        1 + velocity / c of the cloud.
    scatter : `~numpy.ndarray`, shape (16,), optional
        Factors on the strength of each band.

    Returns
    -------
    flux : `~numpy.ndarray`, shape (n,)
    """
    depth = np.zeros(wavelength.size)
    for index, (centre, fwhm, width) in enumerate(_BANDS):
        strength = ebv * width * (1.0 if scatter is None else scatter[index])
        depth += strength * _line(wavelength, centre * shift, fwhm, power)
    for centre, width in _SODIUM:
        saturated = width * (1.0 - np.exp(-2.0 * ebv))
        depth += saturated * _line(wavelength, centre * shift, 0.3, power)
    return flux * np.exp(-depth)


def add_light(wavelength: np.ndarray, flux: np.ndarray, *, share: float, slope: float = 0.0
              ) -> np.ndarray:
    """Add stray light: a share of the mean flux, with a relative slope; negative for lost sky."""
    tilt = 1.0 + slope * np.linspace(-1.0, 1.0, wavelength.size)
    return flux + share * flux.mean() * tilt


def ripple(wavelength: np.ndarray, flux: np.ndarray, *, period: float, height: float,
           phase: float = 0.0, envelope: float | np.ndarray = 1.0) -> np.ndarray:
    """A wave with a period in Angstrom and a relative height."""
    wave = np.sin(2.0 * np.pi * (wavelength / period + phase))
    return flux * (1.0 + height * envelope * wave)


def step(wavelength: np.ndarray, flux: np.ndarray, *, centre: float, height: float, width: float
         ) -> np.ndarray:
    """A relative step at a wavelength, with its width in Angstrom: arms scaled differently."""
    return flux * (1.0 + height / (1.0 + np.exp(-(wavelength - centre) / width)))


def dip(wavelength: np.ndarray, flux: np.ndarray, *, centre: float, depth: float, width: float
        ) -> np.ndarray:
    """A flat-bottomed dip of a relative depth, with its half width in Angstrom."""
    return flux * (1.0 - depth * np.exp(-(((wavelength - centre) / width) ** 4)))


def add_emission(wavelength: np.ndarray, flux: np.ndarray, power: float, *, width: float
                 ) -> np.ndarray:
    """Emission in the Balmer lines; the equivalent width of H alpha is in Angstrom."""
    return flux * (1.0 + sum(width * share * _line(wavelength, centre, 1.5, power)
                             for centre, share in _BALMER))


def add_sky(wavelength: np.ndarray, flux: np.ndarray, power: float, *,
            levels: Mapping[float, float], shift: float = 1.0) -> np.ndarray:
    """Residuals of sky lines, each by its wavelength and its equivalent width (Angstrom)."""
    return flux + flux.mean() * sum(level * _line(wavelength, centre * shift, 0.0, power)
                                    for centre, level in levels.items())


def _dust(grid, flux, power, rng):
    """Bands and Na D of E(B-V) up to 1.5 mag, at the cloud's velocity."""
    ebv = min(rng.exponential(0.45), 1.5)
    shift = 1.0 + rng.normal(0.0, 40.0) / LIGHT_KM_S
    scatter = np.exp(rng.normal(0.0, 0.2, len(_BANDS)))
    return dim_by_dust(grid, flux, power, ebv=ebv, shift=shift, scatter=scatter)


def _stray(grid, flux, power, rng):
    """Stray light, or sky over-subtracted: -5 to +10 % of the mean flux, with a slope."""
    slope = rng.normal(0.0, 0.3)
    return add_light(grid, flux, share=rng.uniform(-0.05, 0.10), slope=slope)


def _wiggle(grid, flux, power, rng):
    """A wave of up to 3 % with a period of 100-300 Angstrom, over part of the spectrum."""
    period, centre = rng.uniform(100.0, 300.0), rng.uniform(grid[0], grid[-1])
    envelope = np.exp(-0.5 * ((grid - centre) / rng.uniform(300.0, 3000.0)) ** 2)
    phase = rng.random()
    return ripple(grid, flux, period=period, phase=phase, height=rng.uniform(0.0, 0.03),
                  envelope=envelope)


def _joint(grid, flux, power, rng):
    """A bad joint of two arms: a step of up to 10 % or a dip of up to 25 %, 5600-6100 Angstrom."""
    centre = rng.uniform(5600.0, 6100.0)
    if rng.random() < 0.5:
        height = rng.uniform(-0.1, 0.1)
        return step(grid, flux, centre=centre, height=height, width=rng.uniform(3.0, 60.0))
    width = rng.uniform(30.0, 120.0)
    return dip(grid, flux, centre=centre, width=width, depth=rng.uniform(0.0, 0.25))


def _emission(grid, flux, power, rng):
    """Weak emission in the Balmer lines."""
    return add_emission(grid, flux, power, width=rng.uniform(0.1, _EMISSION))


def _sky(grid, flux, power, rng):
    """Residuals of sky lines, at a velocity that is not the star's."""
    shift, level = 1.0 + rng.normal(0.0, 40.0) / LIGHT_KM_S, np.exp(rng.normal(-0.7, 0.8))
    levels = {centre: level * rng.normal() for centre in _SKY if rng.random() < 0.6}
    return add_sky(grid, flux, power, levels=levels, shift=shift)


def _cosmic(grid, flux, power, rng):
    """One to four cosmic rays, or cold pixels."""
    for _ in range(rng.integers(1, 5)):
        begin = rng.integers(0, grid.size - 3)
        flux[begin : begin + rng.integers(1, 4)] *= 1.0 + rng.uniform(-0.3, 1.0)
    return flux
