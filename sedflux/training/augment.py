"""
What observing does to a spectrum: velocity, rotation, resolution, calibration, noise.

Spectra are sampled on the *fine grid*, two samples to an input pixel and a margin
on both sides, where broadening and shifts are products in Fourier space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, special

from sedflux.spectra.grids import INPUT_PIXELS, INPUT_START, INPUT_STEP, input_grid
from sedflux.spectra.reddening import extinction_curve
from sedflux.spectra.resolution import FWHM_PER_SIGMA
from sedflux.units import LIGHT_KM_S

__all__ = ["Observing", "draw_observing", "fine_grid", "noisy_inputs", "observe", "random_curves",
           "random_noise"]

#: Resolving power of spectra on the fine grid: nothing sharper can be simulated.
FINE_RESOLVING_POWER = 2500.0
_MARGIN = 70
_STEP = 0.5 * INPUT_STEP * np.log(10.0)
_LIMB_DARKENING = 0.6


def fine_grid() -> np.ndarray:
    """Wavelengths of the fine grid in Angstrom, shape (5000,)."""
    index = np.arange(-_MARGIN, 2 * INPUT_PIXELS + _MARGIN)
    return 10 ** (INPUT_START + 0.5 * INPUT_STEP * (index - 0.5))


@dataclass(frozen=True)
class Observing:
    """Resolving power, velocity and rotation (km/s) of N observed spectra, each (N,)."""

    resolving_power: np.ndarray
    velocity: np.ndarray
    rotation: np.ndarray


def draw_observing(teff: np.ndarray, rng: np.random.Generator) -> Observing:
    """
    Draw resolving powers, velocities and rotations for training examples.

    Half of the spectra have a resolving power of 1500-2500, half 500-2500
    (logarithmic).  The velocity left after the shift to rest is up to 15 km/s, and up to
    120 km/s in one spectrum of seven, as if it had not been shifted.  Of the stars above
    6200 K, seven in ten rotate with 0-250 km/s; cooler stars have lost their rotation.

    Parameters
    ----------
    teff : `~numpy.ndarray`, shape (N,)
        Effective temperatures in K.
    rng : `numpy.random.Generator`

    Returns
    -------
    observing : `Observing`
    """
    size = len(teff)
    wide = np.exp(rng.uniform(np.log(500.0), np.log(2500.0), size))
    power = np.where(rng.random(size) < 0.5, rng.uniform(1500.0, 2500.0, size), wide)
    rotates = (teff > 6200.0) & (rng.random(size) < 0.7)
    rotation = np.where(rotates, rng.uniform(0.0, 250.0, size), 0.0)
    reach = np.where(rng.random(size) < 1.0 / 7.0, 120.0, 15.0)
    return Observing(power, reach * rng.uniform(-1.0, 1.0, size), rotation)


def _rotation_transfer(argument):
    """Fourier transform of the rotation profile with linear limb darkening (Gray 2005)."""
    u = np.maximum(argument, 1e-3)
    disc = 2.0 * (1.0 - _LIMB_DARKENING) * special.j1(u) / u
    limb = 2.0 * _LIMB_DARKENING * (np.sin(u) - u * np.cos(u)) / u**3
    return (disc + limb) / (1.0 - _LIMB_DARKENING / 3.0)


def observe(flux: np.ndarray, observing: Observing) -> np.ndarray:
    """
    Broaden, shift and bin spectra from the fine grid to the input pixels.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (N, 5000)
        Flux on the fine grid at its resolving power, continuum of order one.
    observing : `Observing`

    Returns
    -------
    flux : `~numpy.ndarray`, shape (N, 2430)
    """
    frequency = fft.rfftfreq(flux.shape[1]).astype(np.float32)
    width = np.clip(observing.resolving_power**-2.0 - FINE_RESOLVING_POWER**-2.0, 0.0, None)
    sigma = (np.sqrt(width) / FWHM_PER_SIGMA / _STEP).astype(np.float32)
    shift = (observing.velocity / LIGHT_KM_S / _STEP).astype(np.float32)
    phase = (-2.0 * np.pi * shift)[:, None] * frequency
    transfer = np.exp(-2.0 * (np.pi * sigma[:, None] * frequency) ** 2)
    reach = 2.0 * np.pi * observing.rotation / LIGHT_KM_S / _STEP
    table = np.linspace(0.0, np.pi * 250.0 / LIGHT_KM_S / _STEP + 1.0, 4000)
    values = _rotation_transfer(table)
    rotates = np.flatnonzero(observing.rotation > 1.0)
    transfer[rotates] *= np.interp(reach[rotates, None] * frequency, table, values)
    spectrum = fft.rfft(flux, axis=1) * (transfer * np.exp(1j * phase))
    broad = fft.irfft(spectrum, n=flux.shape[1], axis=1)
    inner = broad[:, _MARGIN : _MARGIN + 2 * INPUT_PIXELS]
    return inner.reshape(len(flux), INPUT_PIXELS, 2).mean(axis=2)


def random_curves(size: int, rng: np.random.Generator, dust_curve: np.ndarray, *,
                  ripples: bool | np.ndarray = True) -> np.ndarray:
    """
    Random smooth multiplicative curves: calibration, fibre, dust.

    Each curve is the exponential of a cubic of large amplitude and of reddening with E(B-V) up to
    2 mag.  Half of the curves also have ripples of 0.02-0.5 %: Legendre polynomials of degree 9
    to 16, which the continuum fit cannot follow.

    Parameters
    ----------
    size : int
        Number of curves.
    rng : `numpy.random.Generator`
    dust_curve : `~numpy.ndarray`, shape (2430,)
        ln(flux) for a unit of E(B-V).
    ripples : bool or `~numpy.ndarray` of bool, shape (size,), optional
        Whether, or to which curves, ripples may be added.

    Returns
    -------
    curves : `~numpy.ndarray`, shape (size, 2430)
        Positive factors of order one.
    """
    legendre = np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, INPUT_PIXELS), 16)
    low = rng.normal(0.0, [0.5, 0.2, 0.1], (size, 3)) @ legendre[:, 1:4].T
    amplitude = np.exp(rng.uniform(np.log(2e-4), np.log(5e-3), size)) * (rng.random(size) < 0.5)
    high = rng.normal(0.0, 1.0, (size, 8)) @ legendre[:, 9:17].T
    high *= (amplitude * ripples / high.std(axis=1))[:, None]
    reddening = rng.uniform(0.0, 2.0, size)[:, None] * (dust_curve - dust_curve.mean())
    return np.exp(low + high + reddening)


def random_noise(size: int, rng: np.random.Generator, *, low: float = 5.0, high: float = 300.0,
                 missing: tuple[float, int] = (0.08, 300)) -> tuple[np.ndarray, np.ndarray]:
    """
    Random noise levels: S/N per pixel, varying along the spectrum, with gaps.

    Parameters
    ----------
    size : int
        Number of spectra.
    rng : `numpy.random.Generator`
    low, high : float, optional
        Limits of the typical S/N per pixel, drawn evenly in its logarithm.
    missing : tuple, optional
        Share of spectra that end early, and most pixels that they lack.

    Returns
    -------
    sigma : `~numpy.ndarray`, shape (size, 2430)
        Noise relative to the continuum.
    good : `~numpy.ndarray` of bool, shape (size, 2430)
    """
    x = np.linspace(-1.0, 1.0, INPUT_PIXELS)
    signal = np.exp(rng.uniform(np.log(low), np.log(high), size))
    varies = rng.random(size) < 0.5
    slope = rng.normal(0.0, [0.35, 0.2], (size, 2)) * varies[:, None]
    shape = slope @ np.stack([x, 1.5 * x**2 - 0.5])
    sigma = np.exp(shape - np.log(signal)[:, None])
    good = np.ones((size, INPUT_PIXELS), dtype=bool)
    for row in np.flatnonzero(rng.random(size) < 0.3):
        for _ in range(rng.integers(1, 4)):
            begin = rng.integers(0, INPUT_PIXELS)
            good[row, begin : begin + rng.integers(1, 150)] = False
    share, most = missing
    for row in np.flatnonzero(rng.random(size) < share):
        count = rng.integers(1, most)
        good[row, slice(None, count) if rng.random() < 0.5 else slice(-count, None)] = False
    return sigma, good


def noisy_inputs(flux: np.ndarray, snr: float, rng: np.random.Generator
                 ) -> tuple[np.ndarray, np.ndarray]:
    """
    Add white noise of constant S/N per pixel, and multiply by a random smooth curve.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (N, 2430)
    snr : float
    rng : `numpy.random.Generator`

    Returns
    -------
    flux, ivar : `~numpy.ndarray`, shape (N, 2430)
    """
    noisy = flux * (1.0 + rng.standard_normal(flux.shape) / snr)
    curve = random_curves(len(flux), rng, extinction_curve(input_grid()), ripples=False)
    return noisy * curve, (snr / (flux * curve)) ** 2
