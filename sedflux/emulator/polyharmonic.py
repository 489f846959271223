"""
Polyharmonic spline: smooth interpolation of models on a dense grid of two labels.

Between models of white dwarfs, 250 K and 0.25 dex apart, spectra change smoothly, and nothing is
random.  The spline ``sum_i w_i r_i^5`` plus a quadratic polynomial passes through every model and
needs no complete grid, so that single models can be held out.  Its leave-one-out errors have the
closed form of all such interpolations (Rippa 1999): ``w_i / (A^-1)_ii``.
"""

from __future__ import annotations

import numpy as np

from sedflux.exceptions import InputError
from sedflux.libraries.labels import WHITE_DWARFS

__all__ = ["PolyharmonicSpline"]

#: Lengths of ln(TEFF) and LOGG that count the same: about the distance of neighbours in the grid.
_LENGTHS = np.array([0.03, 0.25])
#: Power of the distance, and least number of models.
_POWER, _LEAST_MODELS = 5, 12


class PolyharmonicSpline:
    """
    Interpolation of outputs in TEFF and LOGG.

    Parameters
    ----------
    labels : `~numpy.ndarray`, shape (n, 2)
        TEFF (K) and LOGG of the models, all different.
    outputs : `~numpy.ndarray`, shape (n, m)
        What is interpolated.

    Attributes
    ----------
    errors : `~numpy.ndarray`, shape (n, m)
        Leave-one-out errors: model minus the interpolation without it.

    Raises
    ------
    sedflux.exceptions.InputError
        If there are too few models, two have the same labels, or a value is not finite.
    """

    def __init__(self, labels: np.ndarray, outputs: np.ndarray) -> None:
        if len(labels) != len(outputs) or len(labels) < _LEAST_MODELS:
            raise InputError(f"labels and outputs have {len(labels)} and {len(outputs)} rows; the "
                             f"same number of both, and {_LEAST_MODELS} or more, are needed")
        if not (np.isfinite(labels).all() and np.isfinite(outputs).all() and (labels > 0).all()):
            raise InputError("labels and outputs of models must be finite, and the labels of white "
                             "dwarfs positive; leave out models with gaps")
        self._points = _coordinates(labels)
        basis = _quadratic(labels)
        size = basis.shape[1]
        matrix = np.zeros((len(labels) + size,) * 2)
        matrix[:-size, :-size] = _distance(self._points, self._points)
        matrix[:-size, -size:], matrix[-size:, :-size] = basis, basis.T
        try:
            inverse = np.linalg.inv(matrix)
        except np.linalg.LinAlgError as error:
            raise InputError("labels of models do not fix a spline: two models have the same "
                             "labels, or all lie on one line") from error
        self._weights = inverse[:, :-size] @ outputs
        self.errors = self._weights[:-size] / np.diag(inverse)[:-size, None]

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Outputs at labels (N, 2), shape (N, m)."""
        design = np.hstack([_distance(_coordinates(labels), self._points), _quadratic(labels)])
        return design @ self._weights


def _coordinates(labels):
    return np.column_stack([np.log(labels[:, 0]), labels[:, 1]]) / _LENGTHS


def _distance(first, second):
    """Powers of the distances between points, (N, M)."""
    square = sum((first[:, None, axis] - second[None, :, axis]) ** 2 for axis in range(2))
    return square ** (0.5 * _POWER)


def _quadratic(labels):
    """Constant, linear and quadratic terms of the labels, (N, 6)."""
    x, y = WHITE_DWARFS.scale(labels).T
    return np.column_stack([np.ones(len(labels)), x, y, x * x, x * y, y * y])
