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
import torch
from torch import nn

__all__ = ["VELOCITY_SPREAD", "LabelGrid", "Solutions"]

#: Points that are interpolated between neighbours of the grid, by axis: temperature and gravity.
_FINER = (3, 2)
#: Standard deviation of the velocity (km/s) that is left, the unit of the slopes.
VELOCITY_SPREAD = 150.0
#: Least weight of a second solution, and depth of the valley between the two: the density there
#: is at most this share of the lower peak.
_LEAST_WEIGHT, _VALLEY = 0.05, 0.5
#: Least ratio of the temperatures of two solutions.
_LEAST_RATIO = 1.12
#: Parameters of a point: two labels, the velocity, and one to spare.
_FITTED = 4
#: Resolving powers for which coefficients are kept.
_KEPT = 2


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
    """

    weight: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


class LabelGrid(nn.Module):
    """
    Coefficients and SEDs of models on a grid of resolving power, TEFF and LOGG.

    Parameters
    ----------
    shape : tuple of int
        Number of resolving powers r, of temperatures t and of gravities g.
    components, sed_components : int
        Coefficients k of the projection, and components c of ln(SED).
    """

    power: torch.Tensor
    teff: torch.Tensor
    logg: torch.Tensor
    points: torch.Tensor
    slopes: torch.Tensor
    scores: torch.Tensor

    def __init__(self, shape, components, sed_components):
        super().__init__()
        powers, temperatures, gravities = shape
        nodes = temperatures * gravities
        self.register_buffer("power", torch.arange(1.0, powers + 1.0))
        self.register_buffer("teff", torch.arange(1.0, temperatures + 1.0))
        self.register_buffer("logg", torch.arange(1.0, gravities + 1.0))
        self.register_buffer("points", torch.zeros(powers * nodes, components))
        self.register_buffer("slopes", torch.zeros(powers * nodes, components))
        self.register_buffer("scores", torch.zeros(nodes, sed_components))
        self._at = lru_cache(maxsize=_KEPT)(self._interpolated)

    def __deepcopy__(self, memo):
        """A copy with its own cache."""
        shape = (len(self.power), len(self.teff), len(self.logg))
        copy = LabelGrid(shape, self.points.shape[1], self.scores.shape[1])
        copy.load_state_dict(self.state_dict())
        return copy

    def axes(self):
        """ln(TEFF) and LOGG of the finer grid, each of one dimension."""
        places = [_finer(len(axis), step) for axis, step in
                  zip((self.teff, self.logg), _FINER, strict=True)]
        teff, logg = self.teff.cpu().double().log().numpy(), self.logg.cpu().double().numpy()
        return (np.interp(places[0], np.arange(teff.size), teff),
                np.interp(places[1], np.arange(logg.size), logg))

    def _interpolated(self, power):
        """
        The finer grid at a resolving power.

        Points and slopes (n, k), scores (n, c), and products of points, of points with slopes
        and of slopes, (n, k (k + 1) / 2).
        """
        teff, logg = (_cubic_matrix(len(axis), _finer(len(axis), step)) for axis, step in
                      zip((self.teff, self.logg), _FINER, strict=True))
        axis = np.log(self.power.cpu().double().numpy())
        place = np.interp(np.log(power), axis, np.arange(axis.size))
        across = _cubic_matrix(axis.size, np.array([place]))[0]
        shape = (len(self.power), len(self.teff), len(self.logg), -1)
        found = []
        for values in (self.points, self.slopes):
            at = np.tensordot(across, values.cpu().double().numpy().reshape(shape), axes=1)
            found.append(np.einsum("ai,bj,ijk->abk", teff, logg, at).reshape(-1, at.shape[-1]))
        scores = self.scores.cpu().double().numpy().reshape(shape[1:])
        scores = np.einsum("ai,bj,ijk->abk", teff, logg, scores)
        points, slopes = (torch.from_numpy(value).float().to(self.points.device)
                          for value in found)
        return (points, slopes, scores.reshape(-1, scores.shape[-1]), _pairs(points, points),
                _pairs(points, slopes), _pairs(slopes, slopes))

    def log_density(self, normal, right, power):
        """
        Logarithm of the posterior on the finer grid, to a constant.

        Chi-square is divided by that of the best point a degree of freedom, where this exceeds one:
        spectra that no point fits, or whose noise is finer than the grid, have a wider posterior.

        Parameters
        ----------
        normal : `torch.Tensor`, shape (N, k (k + 1) / 2)
            Upper triangles of the normal matrices, from `Projection.equations`.
        right : `torch.Tensor`, shape (N, k)
        power : float
            Resolving power of the spectra.

        Returns
        -------
        density : `~numpy.ndarray`, shape (N, t', g')
        """
        points, slopes, _, *pairs = self._at(float(power))
        square, along, steep = (normal @ pair.T for pair in pairs)
        gain = right @ slopes.T - along
        chi2 = square - 2.0 * right @ points.T - gain**2 / (steep + 1.0)
        chi2 = chi2.double()
        least = chi2.min(dim=1).values - _least_chi2(normal, right)
        freedom = max(points.shape[1] - _FITTED, 1)
        density = -0.5 * chi2 / (least / freedom).clamp(min=1.0)[:, None]
        teff, logg = self.axes()
        return density.cpu().numpy().reshape(len(density), teff.size, logg.size)

    def solutions(self, normal, right, power):
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
                          np.full((count, 2, scores.shape[1]), np.nan))
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
    """Products of coefficients that belong to the upper triangle of a symmetric matrix."""
    rows, columns = torch.triu_indices(first.shape[1], first.shape[1])
    both = first[:, rows] * second[:, columns] + first[:, columns] * second[:, rows]
    return both * torch.where(rows == columns, 0.5, 1.0).to(both)


def _least_chi2(normal, right):
    """Least chi-square of any coefficients, without those of the data alone, (N,)."""
    size = right.shape[1]
    columns, rows = torch.triu_indices(size, size)
    matrix = right.new_zeros(len(right), size, size, dtype=torch.float64)
    matrix[:, rows, columns] = normal.double()
    matrix.diagonal(dim1=-2, dim2=-1).add_(1e-3)
    triangle = torch.linalg.cholesky(matrix)
    white = torch.linalg.solve_triangular(triangle, right.double()[..., None], upper=False)
    return -(white**2).sum(dim=(1, 2))
