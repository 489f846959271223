"""
Exact posterior of two labels on a grid, in the space of the projection.

A model of two labels is known at every point of a grid, as coefficients of the projection's
templates.  With the normal matrix A and the right-hand side b of a spectrum, the chi-square of a
point with coefficients c is ``c^T A c - 2 b^T c`` and a constant.  The velocity enters linearly,
``c + v c'``, and its best value counts.  The posterior tells whether two solutions fit a spectrum:
Balmer lines grow to about 13,000 K and fade beyond.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sedflux.network.label_maximum import GridAtPower
from sedflux.network.triangles import inverse_of_triangles, root_of_packed

__all__ = ["LabelPosterior", "Solutions"]

#: Points that are interpolated between neighbours of the grid, by axis: temperature and gravity.
_FINER = (3, 2)
#: Least weight of a second solution, and depth of the valley between the two: the density there
#: is at most this share of the lower peak.
_LEAST_WEIGHT, _VALLEY = 0.05, 0.5
#: Least ratio of the temperatures of two solutions.
_LEAST_RATIO = 1.12
#: Parameters of a point: two labels, the velocity, and one to spare.
_FITTED = 4
#: Resolving powers for which coefficients are kept.
_KEPT = 2
#: Keeps normal matrices regular where the data alone are counted.
_LEAST_NORMAL = 1e-3


class Solutions(NamedTuple):
    """
    The posterior of N spectra in short.

    Attributes
    ----------
    weight : `~numpy.ndarray`, shape (N, 2)
        Of the likelier solution and the other; the second is zero where there is one alone.
    labels : `~numpy.ndarray`, shape (N, 2, 2)
        Mean of ln(TEFF) and LOGG of each solution; NaN where there is none.
    scores : `~numpy.ndarray`, shape (N, 2, c)
        Mean of the components of ln(SED) of each; NaN where there is none.
    fit : `~numpy.ndarray`, shape (N,)
        Chi-square of the best model between the points, beyond that of free coefficients, a degree
        of freedom.
    best : `~numpy.ndarray`, shape (N, c)
        Components of the ln(SED) of that model.
    rows : `~numpy.ndarray`, shape (N, 2, c)
        Of their covariance, ``rows.T @ rows``, which grows with ``fit`` beyond one.
    width : `~numpy.ndarray`, shape (N,)
        See `~sedflux.network.label_maximum.Maximum`.
    """

    weight: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    fit: np.ndarray
    best: np.ndarray
    rows: np.ndarray
    width: np.ndarray


class LabelPosterior:
    """
    Posterior of labels among models on a grid of resolving power, TEFF and LOGG.

    Parameters
    ----------
    power, teff, logg : `~numpy.ndarray`, shape (r,), (t,), (g,)
        Axes of the grid.
    points, slopes : `~numpy.ndarray`, shape (r t g, k)
        Coefficients of the projection, and their change with the velocity.
    scores : `~numpy.ndarray`, shape (t g, c)
        Components of ln(SED).
    """

    def __init__(self, power: np.ndarray, teff: np.ndarray, logg: np.ndarray, points: np.ndarray,
                 slopes: np.ndarray, scores: np.ndarray) -> None:
        self._power, self._log_teff, self._logg = (
            np.log(power.astype(float)), np.log(teff.astype(float)), logg.astype(float))
        self._points, self._slopes, self._scores = points, slopes, scores
        self._at = lru_cache(maxsize=_KEPT)(self._interpolated)

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """ln(TEFF) and LOGG of the finer grid, each of one dimension."""
        teff, logg = (np.interp(_finer(axis.size, step), np.arange(axis.size), axis)
                      for axis, step in zip((self._log_teff, self._logg), _FINER, strict=True))
        return teff, logg

    def _interpolated(self, power):
        """
        The finer grid at a resolving power.

        Points and slopes (n, k), scores (n, c), the coarser grid, and products of points, of points
        with slopes and of slopes, (n, k (k + 1) / 2).
        """
        axes = (self._log_teff, self._logg)
        teff, logg = (_cubic_matrix(axis.size, _finer(axis.size, step))
                      for axis, step in zip(axes, _FINER, strict=True))
        place = np.interp(np.log(power), self._power, np.arange(self._power.size))
        across = _cubic_matrix(self._power.size, np.array([place]))[0]
        shape = (self._power.size, *(axis.size for axis in axes), -1)
        coarse = [np.tensordot(across, values.astype(float).reshape(shape), axes=1)
                  for values in (self._points, self._slopes)]
        coarse.append(self._scores.astype(float).reshape(shape[1:]))
        *found, scores = (np.einsum("ai,bj,ijk->abk", teff, logg, at, optimize=True).reshape(
            -1, at.shape[-1]) for at in coarse)
        points, slopes = (value.astype(np.float32) for value in found)
        return (points, slopes, scores, GridAtPower(*coarse), _pairs(points, points),
                _pairs(points, slopes), _pairs(slopes, slopes))

    def log_density(self, normal: np.ndarray, right: np.ndarray, power: float) -> np.ndarray:
        """
        Logarithm of the posterior on the finer grid, to a constant.

        Chi-square is divided by that of the best point a degree of freedom, where this exceeds one:
        spectra that no point fits, or whose noise is finer than the grid, have a wider posterior.

        Parameters
        ----------
        normal : `~numpy.ndarray`, shape (N, k (k + 1) / 2)
            Lower triangles of the normal matrices of the projection, without the prior.
        right : `~numpy.ndarray`, shape (N, k)
        power : float
            Resolving power of the spectra.

        Returns
        -------
        density : `~numpy.ndarray`, shape (N, t', g')
        """
        points, slopes, _, _, *pairs = self._at(float(power))
        square, along, steep = (normal @ pair.T for pair in pairs)
        gain = right @ slopes.T - along
        chi2 = (square - 2.0 * right @ points.T - gain**2 / (steep + 1.0)).astype(float)
        least = chi2.min(axis=1) - _least_chi2(normal, right)
        freedom = max(points.shape[1] - _FITTED, 1)
        density = -0.5 * chi2 / np.maximum(least / freedom, 1.0)[:, None]
        teff, logg = self.axes()
        return density.reshape(len(density), teff.size, logg.size)

    def solutions(self, normal: np.ndarray, right: np.ndarray, power: float) -> Solutions:
        """
        One solution, or two where two separate ranges of temperature fit.

        Parameters
        ----------
        normal, right, power
            See `log_density`.

        Returns
        -------
        solutions : `Solutions`
        """
        density = self.log_density(normal, right, power)
        share = np.exp(density - density.max(axis=(1, 2), keepdims=True))
        share /= share.sum(axis=(1, 2), keepdims=True)
        scores = self._at(float(power))[2]
        teff, logg = self.axes()
        count = len(share)
        found = Solutions(np.zeros((count, 2)), np.full((count, 2, 2), np.nan),
                          np.full((count, 2, scores.shape[1]), np.nan),
                          *self._best(normal, right, power, density))
        for row, one in enumerate(share):
            cut = _cut(one.sum(axis=1), teff)
            parts = [one] if cut is None else [np.where(side[:, None], one, 0.0) for side in
                                               (np.arange(teff.size) < cut,
                                                np.arange(teff.size) >= cut)]
            parts.sort(key=lambda part: -part.sum())
            for place, part in enumerate(parts):
                weight = part.sum()
                found.weight[row, place] = weight
                found.labels[row, place] = (part.sum(axis=1) @ teff / weight,
                                            part.sum(axis=0) @ logg / weight)
                found.scores[row, place] = part.ravel() @ scores / weight
        return found

    def _best(self, normal, right, power, density):
        """The best model between the points: fit, components, rows of their covariance, width."""
        place = np.column_stack(np.unravel_index(
            density.reshape(len(density), -1).argmax(axis=1), density.shape[1:])) / _FINER
        found = self._at(float(power))[3].maximum(normal, right, place)
        freedom = max(right.shape[1] - _FITTED, 1)
        fit = (found.chi2 - _least_chi2(normal, right)) / freedom
        rows = found.rows * np.sqrt(np.maximum(fit, 1.0))[:, None, None]
        return fit, found.scores, rows, found.width


def _cut(density, log_teff):
    """Where a valley parts two solutions in temperature: an index, or None."""
    first = int(np.argmax(density))
    best = None
    for step in (1, -1):
        # The deepest point on the way to every other point of this side.
        side = density[first::step]
        lowest = np.minimum.accumulate(side)
        usable = (lowest < _VALLEY * side) & (
            np.abs(log_teff[first::step] - log_teff[first]) > np.log(_LEAST_RATIO))
        if not usable.any():
            continue
        peak = int(np.argmax(np.where(usable, side, -1.0)))
        valley = int(np.argmin(side[: peak + 1]))
        cut = first + step * valley + (step < 0)
        weight = density[cut:].sum() if step > 0 else density[:cut].sum()
        if weight >= _LEAST_WEIGHT and (best is None or weight > best[0]):
            best = (weight, cut)
    return None if best is None else best[1]


def _finer(size, step):
    """Places of a finer grid, in units of the steps of the grid."""
    return np.arange(step * (size - 1) + 1) / step


def _cubic_matrix(size, place):
    """Interpolation by a cubic spline from equal steps to places, (m, size)."""
    # Slow to import, and of no use to other models.
    from scipy.interpolate import make_interp_spline

    degree = min(3, size - 1)
    return make_interp_spline(np.arange(size), np.eye(size), k=degree)(place)


def _pairs(first, second):
    """Products of coefficients that belong to the lower triangle of a symmetric matrix."""
    rows, columns = np.tril_indices(first.shape[1])
    both = first[:, rows] * second[:, columns] + first[:, columns] * second[:, rows]
    return both * np.where(rows == columns, np.float32(0.5), np.float32(1.0))


def _least_chi2(normal, right):
    """Least chi-square of any coefficients, without those of the data alone, (N,)."""
    root = inverse_of_triangles(root_of_packed(normal, _LEAST_NORMAL))
    return -((root @ right[..., None].astype(float)) ** 2).sum(axis=(1, 2))
