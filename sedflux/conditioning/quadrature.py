"""Nodes of E(B-V) >= 0, and percentiles of densities from their values at the nodes."""

from __future__ import annotations

from functools import cache

import numpy as np

from sedflux.predict.checks import MAX_REDDENING

__all__ = ["between", "nodes_of_fewer", "percentiles", "quadrature"]

#: Standard deviations of E(B-V) that the nodes reach to either side.
_REACH = 7.0
#: Points between which percentiles are interpolated.
_POINTS = 513


def quadrature(mean: np.ndarray, error: np.ndarray, count: int
               ) -> tuple[np.ndarray, np.ndarray]:
    """
    Nodes of E(B-V) >= 0 and their weights, for Gaussians that are cut at zero.

    Parameters
    ----------
    mean, error : `~numpy.ndarray`, shape (N,)
    count : int

    Returns
    -------
    ebv, weights : `~numpy.ndarray`, shape (N, count)
    """
    reach = _REACH * error
    high = mean + np.where(mean > 0, reach, np.hypot(mean, reach))
    low, high = np.clip(mean - reach, 0.0, MAX_REDDENING), np.clip(high, 1e-9, MAX_REDDENING)
    low = np.minimum(low, 0.9 * high)
    place, weight = _legendre(count)
    half = 0.5 * (high - low)[:, None]
    return 0.5 * (high + low)[:, None] + half * place, half * weight


def nodes_of_fewer(ebv: np.ndarray, count: int) -> np.ndarray:
    """
    Nodes of a quadrature over the same ranges by fewer nodes.

    Parameters
    ----------
    ebv : `~numpy.ndarray`, shape (N, G)
        From `quadrature`.
    count : int

    Returns
    -------
    ebv : `~numpy.ndarray`, shape (N, count)
    """
    return ebv @ between(ebv.shape[1], count).T


def percentiles(ebv: np.ndarray, weights: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """
    Percentiles of a density at the nodes of `quadrature`, whose polynomial is integrated.

    Parameters
    ----------
    ebv, weights : `~numpy.ndarray`, shape (N, count)
        Nodes, and density times their weights, with a sum of one.
    shares : tuple of float, length m

    Returns
    -------
    ebv : `~numpy.ndarray`, shape (N, m)
    """
    count = ebv.shape[1]
    if count == 1:
        return np.repeat(ebv, len(shares), axis=1)
    place, _ = _legendre(count)
    half = (ebv[:, -1] - ebv[:, 0]) / (place[-1] - place[0])
    middle = 0.5 * (ebv[:, 0] + ebv[:, -1])
    total = np.maximum.accumulate(weights @ _integrals(count), axis=1)
    points = np.linspace(-1.0, 1.0, _POINTS)
    return middle[:, None] + half[:, None] * _crossings(points, total, np.array(shares))


@cache
def _legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of nodes between -1 and 1, and their weights."""
    return np.polynomial.legendre.leggauss(count)


@cache
def _integrals(count: int) -> np.ndarray:
    """From weights of nodes to the integral of their polynomial up to each point, (count, p)."""
    legendre, points = np.polynomial.legendre.legvander, np.linspace(-1.0, 1.0, _POINTS)
    place, _ = _legendre(count)
    # The integral of P_m from -1 is (P_m+1 - P_m-1) / (2 m + 1).
    above = legendre(points, count)
    integral = np.column_stack([points + 1.0, 0.5 * (above[:, 2:] - above[:, :-2])])
    return legendre(place, count - 1) * np.r_[0.5, np.ones(count - 1)] @ integral.T


@cache
def between(count: int, other: int) -> np.ndarray:
    """
    Interpolate values at the nodes of a quadrature to those of another one, by a polynomial.

    Parameters
    ----------
    count, other : int
        Numbers of nodes at which values are given, and at which they are wanted.

    Returns
    -------
    matrix : `~numpy.ndarray`, shape (other, count)
    """
    here, there = (np.polynomial.legendre.legvander(_legendre(size)[0], count - 1)
                   for size in (count, other))
    return there @ np.linalg.inv(here)


def _crossings(points, total, shares):
    """Where rows of ascending values (N, p) at points (p,) cross values (m,), (N, m)."""
    above = (total[:, None] < shares[:, None]).sum(axis=-1).clip(1, points.size - 1)
    low, high = (np.take_along_axis(total, place, axis=1) for place in (above - 1, above))
    part = np.divide(shares - low, high - low, out=np.zeros_like(low), where=high > low)
    start = points[above - 1]
    return start + part.clip(0.0, 1.0) * (points[above] - start)
