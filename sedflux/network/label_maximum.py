"""
The best model of a grid of two labels, between its points.

Where the posterior is narrower than the steps of the grid, the labels that fit best are found by
Gauss-Newton steps: the coefficients of the projection are splines in the labels, and linear in the
velocity.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

__all__ = ["GridAtPower", "Maximum"]

#: Steps, and the longest one, in steps of the grid.
_STEPS, _LONGEST = 8, 0.5
#: Prior precision of labels in units of the grid's steps, which keeps matrices regular.
_FLAT = 1e-4


class Maximum(NamedTuple):
    """
    The model that fits each of N spectra best.

    Attributes
    ----------
    chi2 : `~numpy.ndarray`, shape (N,)
        ``c^T A c - 2 b^T c`` and the square of the velocity in units of its spread.
    scores : `~numpy.ndarray`, shape (N, c)
        Components of its ln(SED).
    rows : `~numpy.ndarray`, shape (N, 2, c)
        Of their covariance, ``rows.T @ rows``.
    width : `~numpy.ndarray`, shape (N,)
        Larger one of the standard deviations of both labels, in steps of the grid.
    """

    chi2: np.ndarray
    scores: np.ndarray
    rows: np.ndarray
    width: np.ndarray


class GridAtPower:
    """
    Models on a grid of TEFF and LOGG at one resolving power.

    Parameters
    ----------
    points, slopes : `~numpy.ndarray`, shape (t, g, k)
        Coefficients of the projection, and their change with the velocity.
    scores : `~numpy.ndarray`, shape (t, g, c)
        Components of ln(SED).
    """

    def __init__(self, points: np.ndarray, slopes: np.ndarray, scores: np.ndarray) -> None:
        self.points, self.slopes, self.scores = points, slopes, scores

    @cached_property
    def _splines(self) -> tuple[Any, Any]:
        """Splines of the values at unit steps of both axes, by the values at the nodes."""
        # Slow to import, and of no use to other models.
        from scipy.interpolate import make_interp_spline

        teff, logg = (make_interp_spline(np.arange(size), np.eye(size), k=min(3, size - 1))
                      for size in self.points.shape[:2])
        return teff, logg

    def _weights(self, place: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights of the nodes of both axes for a value, and its change along each axis."""
        teff, logg = self._splines
        value, along_teff, along_logg = (
            teff(place[:, 0]), teff(place[:, 0], 1), logg(place[:, 1], 1))
        across = logg(place[:, 1])
        return [(value, across), (along_teff, across), (value, along_logg)]

    def maximum(self, normal: np.ndarray, right: np.ndarray, start: np.ndarray) -> Maximum:
        """
        Climb to the maximum of the posterior.

        Parameters
        ----------
        normal : `~numpy.ndarray`, shape (N, k (k + 1) / 2)
            Lower triangles of the normal matrices.
        right : `~numpy.ndarray`, shape (N, k)
        start : `~numpy.ndarray`, shape (N, 2)
            Places where to start, in steps of the grid.

        Returns
        -------
        maximum : `Maximum`
        """
        matrix, right = _whole(normal), right.astype(float)
        last = np.array(self.points.shape[:2]) - 1.0
        place, velocity = start, np.zeros((len(start), 1))
        for _ in range(_STEPS):
            fitted, changes = self._fitted(place, velocity)
            seen = matrix @ changes
            precision = np.swapaxes(changes, 1, 2) @ seen + np.diag([_FLAT, _FLAT, 1.0])
            left = (np.swapaxes(changes, 1, 2) @ right[..., None]
                    - np.swapaxes(seen, 1, 2) @ fitted[..., None])[..., 0]
            left[:, 2:] -= velocity
            step = np.linalg.solve(precision, left[..., None])[..., 0]
            place = np.clip(place + np.clip(step[:, :2], -_LONGEST, _LONGEST), 0.0, last)
            velocity = velocity + step[:, 2:]
        fitted, _ = self._fitted(place, velocity)
        chi2 = ((matrix @ fitted[..., None])[..., 0] - 2.0 * right) * fitted
        covariance = np.linalg.inv(precision)[:, :2, :2]
        scores, *changes = (_between(self.scores, *weights) for weights in self._weights(place))
        rows = _root(covariance) @ np.stack(changes, axis=1)
        width = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)).max(axis=1)
        return Maximum(chi2.sum(axis=1) + velocity[:, 0] ** 2, scores, rows, width)

    def _fitted(self, place, velocity):
        """Coefficients (N, k), and their changes with labels and velocity (N, k, 3)."""
        points, slopes = ([_between(values, *weights) for weights in self._weights(place)]
                          for values in (self.points, self.slopes))
        fitted, *changes = (point + velocity * slope
                            for point, slope in zip(points, slopes, strict=True))
        return fitted, np.stack([*changes, slopes[0]], axis=2)


def _between(values, teff, logg):
    """Values (t, g, k) between the nodes, by weights of these (N, t) and (N, g): (N, k)."""
    size, count, width = values.shape
    across = (teff @ values.reshape(size, -1)).reshape(-1, count, width)
    return (logg[:, None] @ across)[:, 0]


def _root(covariance):
    """Upper triangles (N, 2, 2) whose squares are covariances of two labels."""
    first = np.sqrt(covariance[:, 0, 0])
    across = covariance[:, 0, 1] / first
    second = np.sqrt(np.maximum(covariance[:, 1, 1] - across**2, 0.0))
    return np.stack([np.stack([first, across], axis=1),
                     np.stack([np.zeros_like(first), second], axis=1)], axis=1)


def _whole(packed):
    """Symmetric matrices (N, k, k) from their lower triangles."""
    size = int(np.sqrt(2 * packed.shape[1]))
    rows, columns = np.tril_indices(size)
    matrix = np.empty((len(packed), size, size))
    matrix[:, rows, columns] = matrix[:, columns, rows] = packed
    return matrix
