"""Labels of stars and models, and the coordinates of order one that emulators use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sedflux.exceptions import InputError

__all__ = ["LABELS", "TEFF_EDGES", "TEFF_RANGE", "is_solar_scaled", "scale_labels",
           "unscale_labels"]

#: Labels of the synthetic library, in the order of every label array.
LABELS = ("TEFF", "LOGG", "MH", "ALPHA", "CARBON", "VMICRO")
#: Edges (K) of the classes in which models are scored and stars are counted; the synthetic library
#: ends at the outer ones.
TEFF_EDGES = (4500.0, 5500.0, 6500.0, 8000.0, 10250.0)
#: Range of effective temperature (K) whose accuracy is stated: 500 K inside the library.
TEFF_RANGE = (TEFF_EDGES[0] + 500.0, TEFF_EDGES[-1] - 500.0)
#: Round numbers near the mean and standard deviation of the labels in the synthetic library,
#: with 5040 K / TEFF for the temperature.
_CENTRE = np.array([0.75, 3.3, -0.85, 0.1, 0.0, 2.0])
_WIDTH = np.array([0.2, 1.1, 0.9, 0.15, 0.2, 0.6])
#: theta = 5040 K / TEFF, the reciprocal temperature of stellar spectroscopy.
_THETA = 5040.0
#: Least theta that is turned into a temperature.
_LEAST_THETA = 1e-2


def scale_labels(labels: npt.ArrayLike) -> np.ndarray:
    """
    Scale labels to the emulator's coordinates of order one.

    Parameters
    ----------
    labels : array_like, shape (N, 6)
        TEFF (K), LOGG, MH, ALPHA, CARBON, VMICRO (km/s).

    Returns
    -------
    scaled : `~numpy.ndarray`, shape (N, 6)
        With 5040 K / TEFF for the temperature.

    Raises
    ------
    sedflux.exceptions.InputError
        If there are not six labels.
    """
    scaled = np.array(np.atleast_2d(labels), dtype=float)
    if scaled.ndim != 2 or scaled.shape[1] != len(LABELS):
        raise InputError(f"labels have the shape {np.shape(labels)}; (N, {len(LABELS)}) is needed: "
                         f"{', '.join(LABELS)}")
    scaled[:, 0] = _THETA / scaled[:, 0]
    return (scaled - _CENTRE) / _WIDTH


def unscale_labels(scaled: npt.ArrayLike) -> np.ndarray:
    """The inverse of `scale_labels`."""
    labels = np.atleast_2d(scaled) * _WIDTH + _CENTRE
    labels[:, 0] = _THETA / np.maximum(labels[:, 0], _LEAST_THETA)
    return labels


def is_solar_scaled(labels: np.ndarray) -> np.ndarray:
    """Which models (N, 6) have solar-scaled abundances: ALPHA and CARBON of zero."""
    columns = [LABELS.index("ALPHA"), LABELS.index("CARBON")]
    return (labels[:, columns] == 0).all(axis=1)
