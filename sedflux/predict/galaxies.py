"""
What tells galaxies and nebulae from stars: forbidden emission lines, and lines that are too broad.

Mixtures of stars fit a galaxy at rest within the noise, and its SED is wrong all the same.  Two
things are no star's.  Doublets of [O III], [N II] and [S II] stand above the projection, which
has no such lines.  And the velocities of its stars broaden all lines, which templates of coarse
spectra follow: the fitted spectrum then has less power at high frequencies, relative to that at
lower ones, than the resolving power allows.  It has hardly any noise.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft

from sedflux.predict.rejection import LINE_ERROR, misfit_scale
from sedflux.spectra.grids import input_grid
from sedflux.spectra.resolution import FWHM_PER_SIGMA
from sedflux.units import LIGHT_KM_S

__all__ = ["BROAD", "NEBULAR", "forbidden_emission", "line_broadening"]

#: Significance of forbidden lines that no star has, and broadening of lines (km/s) by temperature
#: (K).  MILES stars of 4200-10750 K reach 2.6 and 54, with defects of surveys too, unless a cosmic
#: ray hits a line; stars above 6200 K that rotate with 250 km/s reach 95.
NEBULAR, BROAD = 3.0, ((5900.0, 6150.0), (70.0, 95.0))
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
#: power; and the least one, of lines that are broader than can be measured.
_SHARP_RATIO, _LEAST_RATIO = 0.63, 1e-3
#: Least resolving power at which velocities of galaxies broaden lines enough, and least power of
#: the lines.
_LEAST_POWER, _LEAST_LINES = 1500.0, 6e-4
#: Half width (Angstrom) of what is left out at Balmer lines, which are broad in stars, and pixels
#: over which both ends fade.
_BALMER, _BALMER_WIDTH, _FADE = (4102.9, 4341.7, 4862.7, 6564.6), 35.0, 60
#: Length of the Fourier transform.
_LENGTH = 2500


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
    weighted = weight * residual
    signal, noise = weighted @ filters.T, np.sqrt(weight @ (filters.T**2))
    # Where residuals are larger than the noise and the error of lines, they are the noise.
    noise *= misfit_scale(weighted, residual, ivar)[:, None]
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


def line_broadening(fitted: np.ndarray, power: float) -> np.ndarray:
    """
    Velocity dispersion by which lines are broader than the resolving power says, at the least.

    Parameters
    ----------
    fitted : `~numpy.ndarray`, shape (N, m)
        Normalised spectra as the projection fits them.
    power : float
        Resolving power.

    Returns
    -------
    dispersion : `~numpy.ndarray`, shape (N,)
        In km/s; zero where it cannot be told, as in spectra with few lines.
    """
    dispersion = np.zeros(len(fitted))
    if power < _LEAST_POWER:
        return dispersion
    grid, window = input_grid(), _window()
    pixel = LIGHT_KM_S * np.log(grid[1] / grid[0])
    spectrum = scipy.fft.rfft(np.ascontiguousarray(fitted, dtype=np.float32) * window, _LENGTH,
                              axis=1)
    bands = [slice(*np.rint(np.multiply(_LENGTH, band)).astype(int)) for band in (_LOW, _HIGH)]
    low, high = ((np.abs(spectrum[:, band]) ** 2).mean(axis=1, dtype=float) / (window**2).sum()
                 for band in bands)
    known = low > _LEAST_LINES
    squares = [((np.arange(band.start, band.stop) / _LENGTH) ** 2).mean() for band in bands]
    fall = 4.0 * np.pi**2 * (squares[1] - squares[0])
    own = LIGHT_KM_S / power / FWHM_PER_SIGMA / pixel
    expected = _SHARP_RATIO * np.exp(-fall * own**2)
    ratio = np.maximum(high[known] / low[known], _LEAST_RATIO)
    dispersion[known] = pixel * np.sqrt(np.maximum(np.log(expected / ratio), 0.0) / fall)
    return dispersion
