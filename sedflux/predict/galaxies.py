"""
What tells galaxies and nebulae from stars: forbidden emission lines, and lines that are too broad.

Mixtures of stars fit a galaxy at rest within the noise, and its SED is wrong all the same.  Two
things are no star's.  Doublets of [O III], [N II] and [S II] stand above the projection, which
has no such lines.  And the velocities of its stars broaden all lines: a spectrum then has less
power at high frequencies, relative to that at lower ones, than its resolving power allows.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft

from sedflux.predict.rejection import LINE_ERROR
from sedflux.spectra.grids import input_grid
from sedflux.spectra.resolution import FWHM_PER_SIGMA
from sedflux.units import LIGHT_KM_S

__all__ = ["BROAD", "NEBULAR", "forbidden_emission", "line_broadening"]

#: Significance of forbidden lines, and broadening of lines (km/s), that no star has.  MILES stars
#: of 4200-10750 K reach 2.6 and 50, with defects of surveys too, unless a cosmic ray hits a line.
NEBULAR, BROAD = 3.0, 70.0
#: Doublets: vacuum wavelengths (Angstrom) and relative fluxes.
_DOUBLETS = (((4960.30, 0.25), (5008.24, 0.75)), ((6549.86, 0.25), (6585.27, 0.75)),
             ((6718.29, 0.55), (6732.67, 0.45)))
#: Width of these lines as they are looked for (km/s), and half width of their surroundings
#: (Angstrom), whose mean is taken out.
_LINE_SIGMA, _SURROUNDINGS = 150.0, 25.0
#: Significance that one doublet has at the most: a cosmic ray on one of them alone is no nebula.
_MOST = 4.0
#: Frequencies (1 / pixel of the input grid) that are compared.
_LOW, _HIGH = (0.04, 0.08), (0.10, 0.18)
#: Ratio of the power in them, of stars of 4200-10750 K in MILES, brought to an infinite resolving
#: power.
_SHARP_RATIO = 0.63
#: Least resolving power at which velocities of galaxies broaden lines enough.
_LEAST_POWER = 1500.0
#: Least power of the lines for a comparison, absolute and in units of the noise.
_LEAST_LINES, _LEAST_OVER_NOISE = 6e-4, 3.0
#: Share of the noise that counts at high frequencies: the least that rebinning leaves there.
_NOISE_SHARE = 0.5
#: Half width (Angstrom) of what is left out at Balmer lines, which are broad in stars, and pixels
#: over which both ends fade.
_BALMER, _BALMER_WIDTH, _FADE = (4102.9, 4341.7, 4862.7, 6564.6), 35.0, 60
#: Length of the Fourier transform, and standard errors that are added to a power.
_LENGTH, _ERRORS = 2500, 2.0
#: Inverse variance below which pixels count as noise alone.
_LEAST_IVAR = np.float32(1e-6)


@lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    """Profiles of the doublets less their mean in the surroundings, (3, m)."""
    grid = input_grid()
    found = np.zeros((len(_DOUBLETS), grid.size), dtype=np.float32)
    for row, doublet in zip(found, _DOUBLETS, strict=True):
        for centre, share in doublet:
            sigma = centre * _LINE_SIGMA / LIGHT_KM_S
            profile = np.exp(-0.5 * ((grid - centre) / sigma) ** 2)
            near = np.abs(grid - centre) < _SURROUNDINGS
            row += share * (profile - near * profile.sum() / near.sum())
    return found


def forbidden_emission(residual: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """
    Significance of forbidden emission lines at rest.

    Parameters
    ----------
    residual, ivar : `~numpy.ndarray`, shape (N, m)
        Of normalised spectra about the projection; bad pixels have ``ivar = 0``.

    Returns
    -------
    significance : `~numpy.ndarray`, shape (N,)
        Of three doublets together, in standard errors.
    """
    filters = _filters()
    weight = ivar / (1.0 + ivar * np.float32(LINE_ERROR**2))
    signal = (weight * residual) @ filters.T
    noise = np.sqrt(weight @ (filters.T**2))
    # Where residuals are larger than the noise and the error of lines, they are the noise.
    good = np.maximum((ivar > 0).sum(axis=1), 1)
    noise *= np.sqrt(np.maximum((weight * residual**2).sum(axis=1) / good, 1.0))[:, None]
    each = np.divide(signal, noise, out=np.zeros_like(signal), where=noise > 0)
    return np.clip(each, -_MOST, _MOST).sum(axis=1, dtype=float) / np.sqrt(len(_DOUBLETS))


@lru_cache(maxsize=1)
def _window() -> np.ndarray:
    """Weights of pixels in the transform, (m,)."""
    grid = input_grid()
    window = np.ones(grid.size, dtype=np.float32)
    rise = np.sin(0.5 * np.pi * (np.arange(_FADE) + 0.5) / _FADE) ** 2
    window[:_FADE], window[-_FADE:] = rise, rise[::-1]
    for centre in _BALMER:
        window[np.abs(grid - centre) < _BALMER_WIDTH] = 0.0
    return window


def line_broadening(normalised: np.ndarray, ivar: np.ndarray, power: float) -> np.ndarray:
    """
    Velocity dispersion by which lines are broader than the resolving power says, at the least.

    Parameters
    ----------
    normalised, ivar : `~numpy.ndarray`, shape (N, m)
        From `~sedflux.spectra.normalise.normalise_spectra`; bad pixels have ``ivar = 0``.
    power : float
        Resolving power.

    Returns
    -------
    dispersion : `~numpy.ndarray`, shape (N,)
        In km/s; zero where it cannot be told, as in spectra with few lines or much noise.
    """
    dispersion = np.zeros(len(normalised))
    if power < _LEAST_POWER:
        return dispersion
    grid = input_grid()
    pixel = LIGHT_KM_S * np.log(grid[1] / grid[0])
    window = _window()
    good = ivar > 0
    lines = np.ascontiguousarray(normalised * good, dtype=np.float32) * window
    spectrum = scipy.fft.rfft(lines, _LENGTH, axis=1)
    total = np.maximum(good.astype(np.float32) @ window**2, 1.0).astype(float)
    noise = (good / np.maximum(ivar, _LEAST_IVAR)) @ window**2 / total
    bands = [slice(*np.rint(np.multiply(_LENGTH, band)).astype(int)) for band in (_LOW, _HIGH)]
    low, high = ((np.abs(spectrum[:, band]) ** 2).mean(axis=1, dtype=float) / total
                 for band in bands)
    low -= noise
    # Independent values in the higher band.
    count = (bands[1].stop - bands[1].start) * grid.size / _LENGTH
    high += noise * (_ERRORS / np.sqrt(count) - _NOISE_SHARE)
    known = (low > _LEAST_LINES) & (low > _LEAST_OVER_NOISE * noise)
    squares = [((np.arange(band.start, band.stop) / _LENGTH) ** 2).mean() for band in bands]
    fall = 4.0 * np.pi**2 * (squares[1] - squares[0])
    own = LIGHT_KM_S / power / FWHM_PER_SIGMA / pixel
    expected = _SHARP_RATIO * np.exp(-fall * own**2)
    ratio = np.maximum(high[known], 1e-3 * low[known]) / low[known]
    dispersion[known] = pixel * np.sqrt(np.maximum(np.log(expected / ratio), 0.0) / fall)
    return dispersion
