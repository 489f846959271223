"""Normalised spectra on the input grid: flux over continuum, without spikes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sedflux.spectra.continuum import remove_continuum, smooth_basis
from sedflux.spectra.grids import Rebinning, input_grid
from sedflux.spectra.reddening import continuum_shapes

__all__ = ["input_basis", "normalise_spectra", "rebinning_to_input", "some_spectra"]

#: Pixels further above the continuum than this, and than five sigma, are emission or cosmic rays.
SPIKE_HEIGHT = 0.5
#: Largest normalised flux; larger values mean that the fitted continuum is close to zero.
MAX_NORMALISED = 1e4
#: Step of the continuum at which its fit ends, before one step in double precision.
TOLERANCE = 1e-3
#: Operators that are kept: the spectra of a survey share a grid, and often a velocity.
_KEPT_OPERATORS = 8


def input_basis() -> np.ndarray:
    """Basis of the continuum on the input grid: polynomials and extinction curves."""
    grid = input_grid()
    return smooth_basis(grid.size, shapes=continuum_shapes(grid))


def rebinning_to_input(wavelength: np.ndarray) -> Rebinning:
    """
    Operator from pixels to the input grid; the last few are kept.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Ascending, in Angstrom.
    """
    return _rebinning(np.ascontiguousarray(wavelength, dtype=float).tobytes())


@lru_cache(maxsize=_KEPT_OPERATORS)
def _rebinning(wavelength: bytes) -> Rebinning:
    return Rebinning(np.frombuffer(wavelength), input_grid())


def some_spectra(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """
    Some rows of an array whose pixels are the slow axis; they are in the result.

    Parameters
    ----------
    values : `~numpy.ndarray`, shape (N, m)
    rows : `~numpy.ndarray` of int, shape (K,)
    """
    return values.T[:, rows].T


def normalise_spectra(flux: np.ndarray, ivar: np.ndarray, basis: np.ndarray
                      ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Continuum-normalised flux minus one, without emission lines and cosmic rays.

    Parameters
    ----------
    flux, ivar : `~numpy.ndarray`, shape (N, m)
        On the input grid, in any unit, the flux in double and its inverse variance in single
        precision (see `remove_continuum`); bad pixels have ``ivar = 0``.  Spectra that cannot be
        used have no good pixel.
    basis : `~numpy.ndarray`, shape (m, k)
        From `input_basis`.

    Returns
    -------
    normalised, ivar : `~numpy.ndarray`, shape (N, m)
        Zero where the spectrum is bad, has a spike, or has no continuum.
    spikes : `~numpy.ndarray` of int, shape (N,)
        Pixels that were left out as spikes.
    """
    good = ivar > 0
    count = good.sum(axis=1)
    total = (flux * good).sum(axis=1)
    level = np.where(count > 0, total, 1.0) / np.maximum(count, 1)
    flux, ivar = flux / level[:, None], ivar * (level[:, None] ** 2).astype(ivar.dtype)
    normalised, new_ivar = remove_continuum(flux, ivar, basis, tolerance=TOLERANCE)
    spikes = normalised > SPIKE_HEIGHT
    rows = np.flatnonzero(spikes.any(axis=1))
    spikes[rows] &= normalised[rows] ** 2 * new_ivar[rows] > 25.0
    rows = rows[spikes[rows].any(axis=1)]
    if rows.size:
        flux, ivar = (some_spectra(part, rows) for part in (flux, ivar * ~spikes))
        normalised[rows], new_ivar[rows] = remove_continuum(flux, ivar, basis, tolerance=TOLERANCE)
    # A spectrum of noise alone may have no continuum, here and there or anywhere.
    if not (normalised.min() > -MAX_NORMALISED and normalised.max() < MAX_NORMALISED
            and np.isfinite(new_ivar.sum(dtype=float))):
        none = ~(np.abs(normalised) < MAX_NORMALISED) | ~np.isfinite(new_ivar)
        normalised, new_ivar = np.where(none, 0.0, normalised), np.where(none, 0.0, new_ivar)
    return normalised, new_ivar, spikes.sum(axis=1)
