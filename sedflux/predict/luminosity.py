"""
Luminous stars by the shape of their Balmer lines.

The lines of some supergiants fit a gravity that the library has, because it has none of lower
gravity.  Their Balmer lines are narrow for their depth.  A linear discriminant of the depths in the
cores and beside them, of temperature and of the fitted gravity tells them; it is in the model's
header, from `sedflux.training.luminosity`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from sedflux.spectra.grids import input_grid

__all__ = ["LEAST_POWER", "balmer_shape", "discriminant_terms", "is_luminous"]

#: Least resolving power at which cores and wings differ enough, and least S/N per pixel.
LEAST_POWER, _LEAST_SNR = 1500.0, 10.0
#: Balmer lines (Angstrom), half width of a core, and where its wings begin and end.
_LINES, _CORE, _WINGS = (4102.9, 4341.7, 4862.7, 6564.6), 4.0, (10.0, 25.0)
#: Temperature (K) relative to which its logarithm counts.
_TYPICAL_TEFF = 6000.0


@lru_cache(maxsize=1)
def _windows() -> np.ndarray:
    """Pixels of cores and of wings, (m, 8)."""
    offset = np.abs(input_grid()[:, None] - np.array(_LINES))
    low, high = _WINGS
    return np.hstack([offset < _CORE, (offset > low) & (offset < high)]).astype(np.float32)


def balmer_shape(normalised: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """
    Mean flux over continuum, minus one, in cores and wings of four Balmer lines.

    Parameters
    ----------
    normalised, ivar : `~numpy.ndarray`, shape (N, m)
        On the input grid; bad pixels have ``ivar = 0``.

    Returns
    -------
    shape : `~numpy.ndarray`, shape (N, 8)
        Zero where no pixel is good.
    """
    good = (ivar > 0).astype(np.float32)
    windows = _windows()
    return (normalised * good) @ windows / np.maximum(good @ windows, 1.0)


def discriminant_terms(shape: np.ndarray, teff: np.ndarray, above: np.ndarray) -> np.ndarray:
    """
    What the discriminant is linear in.

    Parameters
    ----------
    shape : `~numpy.ndarray`, shape (N, 8)
        From `balmer_shape`.
    teff : `~numpy.ndarray`, shape (N,)
        In K.
    above : `~numpy.ndarray`, shape (N,)
        log g above the limit of the flag.

    Returns
    -------
    terms : `~numpy.ndarray`, shape (N, 20)
    """
    hot = np.log(np.asarray(teff, float) / _TYPICAL_TEFF)[:, None]
    return np.hstack([shape, shape * hot, hot, hot**2, hot**3, np.asarray(above)[:, None]])


def is_luminous(values: Mapping[str, np.ndarray], limits: Mapping[str, Any], teff: np.ndarray,
                logg: np.ndarray) -> np.ndarray:
    """
    Which stars the discriminant takes for more luminous than the library.

    Parameters
    ----------
    values : dict of str to `~numpy.ndarray`
        With ``balmer`` (N, 8), ``resolving_power`` and ``snr`` (N,).
    limits : dict
        The model's domain, with ``gravity`` and ``luminous``: the ``weights`` of
        `discriminant_terms`, a ``constant``, and a range of ``teff`` in K.
    teff, logg : `~numpy.ndarray`, shape (N,)
        As the lines give them.

    Returns
    -------
    luminous : `~numpy.ndarray` of bool, shape (N,)
    """
    entry = limits["luminous"]
    terms = discriminant_terms(values["balmer"], teff, logg - np.interp(teff, *limits["gravity"]))
    low, high = entry["teff"]
    return ((terms @ np.asarray(entry["weights"]) + entry["constant"] < 0.0)
            & (teff > low) & (teff < high) & (values["resolving_power"] >= LEAST_POWER)
            & (values["snr"] >= _LEAST_SNR))
