"""
Moments of the posterior over E(B-V), as means and low-rank covariances.

Solutions at given E(B-V) are smooth in it: a few nodes are solved, and polynomials through them
give all others.  Weights of the nodes are their marginal likelihoods times the prior.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from sedflux.conditioning.bands import BandRows
from sedflux.conditioning.dust import Dust
from sedflux.conditioning.quadrature import between, nodes_of_fewer, percentiles, quadrature
from sedflux.conditioning.update import (
    Nodes,
    Sample,
    Solution,
    Stars,
    band_changes,
    search,
    settle,
    solve,
)

__all__ = ["Posterior", "update"]

#: Nodes of E(B-V) for priors that are Gaussian or flat, and for others; and those that are solved.
_NODES, _MANY_NODES, _SOLVED = 28, 256, 10
#: Variance, relative to that of the strongest direction, below which rounding made it.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Posterior:
    """
    Posterior of N stars, given their magnitudes; see `sedflux.conditioning.result.ConditionedSEDs`.

    Attributes
    ----------
    log_flux : `~numpy.ndarray`, shape (N, n)
    factor, removed : `~numpy.ndarray`, shape (N, F, n) and (N, S, n)
        Common part of the covariance, and the directions that the magnitudes remove from it and
        from the independent part; rows that are not needed are zero.
    ebv, ebv_error : `~numpy.ndarray`, shape (N,)
        Mean and standard deviation of E(B-V).
    interval : `~numpy.ndarray`, shape (N, 2)
        16th and 84th percentile of E(B-V).
    with_ebv : `~numpy.ndarray`, shape (N, n)
        Covariance of ln(flux) with E(B-V), over the standard deviation of E(B-V).
    gains : `~numpy.ndarray`, shape (N, m, n)
        Change of ln(flux) with the magnitude of each band that was asked for.
    parts : `~numpy.ndarray`, shape (N, p, n)
        What the magnitudes leave of errors whose origin is known.
    chi2, p_value : `~numpy.ndarray`, shape (N,)
    dof : `~numpy.ndarray` of int, shape (N,)
    pulls : `~numpy.ndarray`, shape (N, b)
        Of each magnitude, against lines and all other magnitudes; NaN where it is unknown, or
        nothing predicts it.
    """

    log_flux: np.ndarray
    factor: np.ndarray
    removed: np.ndarray
    ebv: np.ndarray
    ebv_error: np.ndarray
    interval: np.ndarray
    with_ebv: np.ndarray
    gains: np.ndarray
    parts: np.ndarray
    chi2: np.ndarray
    p_value: np.ndarray
    dof: np.ndarray
    pulls: np.ndarray


def update(stars: Stars, bands: BandRows, dust: Dust, *, intrinsic: bool = False,
           asked: Any = slice(None)) -> Posterior:
    """
    Condition SEDs on magnitudes.

    Parameters
    ----------
    stars : `~sedflux.conditioning.update.Stars`
    bands : `~sedflux.conditioning.bands.BandRows`
    dust : `~sedflux.conditioning.dust.Dust`
    intrinsic : bool, optional
        Give the SEDs without dust.
    asked : index of bands, optional
        Whose gains are wanted; all by default.

    Returns
    -------
    posterior : `Posterior`
    """
    found = search(stars, bands, dust)
    if dust.fixed:
        best = ebv = solved = dust.mean[:, None]
        weights = np.ones_like(ebv)
    else:
        best = np.maximum(found.nodes.ebv, 0.0)
        ebv, weights = quadrature(found.nodes.ebv[:, 0], found.error,
                                  _NODES if dust.parts is None else _MANY_NODES)
        solved = nodes_of_fewer(ebv, _SOLVED)
    settled = settle(stars, bands, dust, np.concatenate([solved, best], axis=1), found)
    moments = _Moments(dust, ebv, weights, *(part.nodes(slice(0, -1)) for part in settled))
    tests = _tests(stars, dust, found, *(part.nodes(slice(-1, None)) for part in settled))
    rows, place = found.directions.rows, stars.factor.shape[1] + 2
    seen = _seen(stars, bands, found)
    if intrinsic:
        rows[:, [place - 2, place]] = 0.0
    spread = np.sqrt(np.clip(moments.covariance[:, place, place], 0.0, None))
    own = moments.mean[:, None], _with_one(moments.covariance, place, spread)
    gains = _gains(stars, dust, found, slice(None) if seen.size else asked)
    factor, removed = signed_parts(moments.covariance, stars.known)
    # One product reads the rows once.
    sizes = np.cumsum([factor.shape[1], 1, 1])
    factor, mean, with_ebv, gains = np.split(np.concatenate([factor, *own, gains], axis=1) @ rows,
                                             sizes, axis=1)
    removed = removed @ rows[:, place + 1:]
    parts = stars.parts
    if seen.size:
        # The solution follows what the magnitudes see of an error.
        parts, gains = parts - seen @ gains, gains[:, asked]
    return Posterior(stars.log_flux + mean[:, 0], factor, removed, moments.mean[:, place], spread,
                     moments.interval, with_ebv[:, 0], gains, parts, *tests)


def _seen(stars, bands, found):
    """Changes of the magnitudes with the errors whose origin is known, (N, p, b)."""
    if not stars.parts.any():
        return np.zeros((len(stars.known), 0, len(bands)))
    log_flux = found.nodes.coordinates @ found.directions.rows + stars.log_flux[:, None]
    return band_changes(bands, log_flux, stars.parts) * stars.known[:, None]


def _with_one(covariance, place, spread):
    """Covariance with one coordinate, over its standard deviation, (N, 1, R)."""
    return covariance[:, place, None] / np.where(spread > 0, spread, 1.0)[:, None, None]


class _Moments:
    """Mean and covariance of (z, E q, s, E, weights of the rows of independent errors)."""

    def __init__(self, dust: Dust, ebv: np.ndarray, weights: np.ndarray, nodes: Nodes,
                 sample: Sample, solution: Solution) -> None:
        spread, coordinates = between(nodes.ebv.shape[1], ebv.shape[1]), nodes.coordinates
        log = solution.log_likelihood @ spread.T + np.log(weights) + dust.log_prior(ebv)
        weights = np.exp(log - log.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        self._ebv, self._weights = ebv, weights
        # The mean of a polynomial is one of its values at the nodes that are solved.
        shares = weights @ spread
        self.mean = (shares[:, None] @ coordinates)[:, 0]
        left = spread @ (coordinates - self.mean[:, None]) * np.sqrt(weights)[..., None]
        self.covariance = (np.swapaxes(left, 1, 2) @ left
                           + self._within(shares, nodes, sample, solution))

    @staticmethod
    def _within(shares, nodes, sample, solution):
        """Covariance at fixed E(B-V), averaged over the nodes."""
        stars, size, count, q = sample.common.shape
        strength = np.ones((stars, size, 1, q))
        strength[..., q - 1] = nodes.ebv[..., None]
        weighted = shares[..., None, None]
        # Covariance of each coordinate with each magnitude, over all nodes.
        answer = np.concatenate([sample.common * strength,
                                 np.broadcast_to(np.eye(count), (stars, size, count, count))],
                                axis=-1).reshape(stars, size * count, q + count)
        information = weighted * solution.information
        gain = np.concatenate([(information @ sample.common) * strength, information], axis=-1)
        taken = np.swapaxes(answer, 1, 2) @ gain.reshape(answer.shape)
        grey = (shares[..., None] * solution.grey_gain).reshape(stars, 1, size * count)
        cross = -(grey @ answer)[:, 0]
        before = np.zeros((stars, q + count))
        before[:, :q] = (shares[..., None] * strength[..., 0, :] ** 2).sum(axis=1)
        total = np.zeros((stars, q + 2 + count, q + 2 + count))
        others = np.r_[:q, q + 2:q + 2 + count]
        total[:, others[:, None], others] = (before[..., None] * np.eye(q + count)) - taken
        total[:, q, others] = total[:, others, q] = cross
        total[:, q, q] = (shares * solution.grey_variance).sum(axis=1)
        return total

    @property
    def interval(self):
        """16th and 84th percentile of E(B-V), (N, 2)."""
        return percentiles(self._ebv, self._weights, (0.1587, 0.8413))


def _gains(stars, dust, found, asked):
    """Changes of all coordinates with some of the magnitudes, (N, m, R); E(B-V) as Gaussian."""
    count = len(stars.known)
    if not len(np.arange(stars.known.shape[1])[asked]):
        return np.zeros((count, 0, found.directions.rows.shape[1]))
    sample, ebv = found.sample, found.nodes.ebv
    free = (ebv[:, 0] > 0) & (not dust.fixed)
    column = sample.dust * np.where(free, dust.error, 0.0)[:, None, None]
    solution = solve(sample, relative=stars.relative, column=column)
    information = solution.information[:, 0]
    common = sample.common[:, 0].copy()
    common[..., -1] *= ebv
    towards = np.swapaxes(common, 1, 2) @ information
    dusty = dust.error[:, None, None] * (column @ information)
    gains = np.concatenate([towards, solution.grey_gain, dusty, information], axis=1)
    return np.swapaxes(gains * stars.known[:, None], 1, 2)[:, asked]


def _tests(stars, dust, found, nodes, sample, solution):
    """chi2, its p-value and degrees of freedom, and the pulls, at the most likely E(B-V) >= 0."""
    free, ebv = (found.nodes.ebv[:, 0] > 0) & (not dust.fixed), nodes.ebv
    prior = (np.zeros(len(ebv)) if dust.flat or dust.fixed
             else ((ebv[:, 0] - dust.mean) / dust.error) ** 2)
    chi2 = solution.chi2[:, 0] + prior
    count = stars.known.sum(axis=1)
    dof = count - stars.relative - (free & dust.flat)
    if not dust.flat and not dust.fixed:
        dof = dof + ~free
    dof = np.maximum(dof, 0)
    p_value = np.where(dof > 0, stats.chi2.sf(chi2, np.maximum(dof, 1)), np.nan)
    column = sample.dust * np.where(free, dust.error, 0.0)[:, None, None]
    if not dust.flat:
        # About the prior mean, whose error is one of the common ones.
        away = np.where(free, ebv[:, 0] - dust.mean, 0.0)[:, None, None]
        sample = replace(sample, residual=sample.residual + sample.dust * away)
    joint = solve(sample, relative=stars.relative, column=column)
    information = np.diagonal(joint.information[:, 0], axis1=1, axis2=2)
    noise = np.diagonal(sample.noise[:, 0], axis1=1, axis2=2)
    told = stars.known & (information * noise > 1e-8)
    pulls = np.where(told, joint.innovation[:, 0] / np.sqrt(np.where(told, information, 1.0)),
                     np.nan)
    return chi2, p_value, dof, pulls


def signed_parts(covariance: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    The covariance of all coordinates as a difference of squares.

    Parameters
    ----------
    covariance : `~numpy.ndarray`, shape (N, y + b, y + b)
        Of y common errors, and of the weights of b rows of independent errors, from which what
        these errors have by themselves is left out.
    known : `~numpy.ndarray` of bool, shape (N, b)

    Returns
    -------
    factor : `~numpy.ndarray`, shape (N, F, y + b)
    removed : `~numpy.ndarray`, shape (N, S, b)
        ``factor.T @ factor`` less ``removed.T @ removed`` of the independent errors is the
        covariance.
    """
    size = covariance.shape[1] - known.shape[1]
    common, cross = covariance[:, :size, :size], covariance[:, :size, size:]
    length = np.sqrt(np.clip(np.diagonal(common, axis1=1, axis2=2), 0.0, None))
    unit = np.where(length > 0, length, 1.0)[..., None]
    root, inverse = _roots(common / (unit * np.swapaxes(unit, 1, 2)))
    # Given the common errors, magnitudes can only reduce the independent ones.
    across = inverse @ (cross / unit)
    factor = np.concatenate([np.swapaxes(root, 1, 2) * length[:, None], across], axis=2)
    factor = factor[:, (length > 0).any(axis=0)]
    taken = np.swapaxes(across, 1, 2) @ across - covariance[:, size:, size:]
    value, turn = np.linalg.eigh(taken * known[..., None] * known[:, None])
    value[np.abs(value) <= _ROUNDING * np.abs(value).max(axis=1, keepdims=True)] = 0.0
    turn = np.swapaxes(turn, 1, 2)
    more = _positive(-value, turn)
    if more.shape[1]:
        factor = np.concatenate([factor, np.pad(more, ((0, 0), (0, 0), (size, 0)))], axis=1)
    return factor, _positive(value[:, ::-1], turn[:, ::-1])


def _roots(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``root @ root.T`` of matrices (N, y, y) with ones on the diagonal, and the inverse roots."""
    diagonal = np.arange(correlation.shape[1])
    correlation[:, diagonal, diagonal] = 1.0 + _ROUNDING
    try:
        root = np.linalg.cholesky(correlation)
        return root, np.linalg.inv(root)
    except np.linalg.LinAlgError:
        # Rounding left nothing in some direction.
        value, turn = np.linalg.eigh(correlation)
        length = np.sqrt(np.maximum(value, _ROUNDING))[:, None]
        return turn * length, np.swapaxes(turn / length, 1, 2)


def _positive(size: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Rows (N, b, b) times the roots of their sizes, descending; those above zero, (N, S, b)."""
    most = int((size > 0).sum(axis=1).max(initial=0))
    return turn[:, :most] * np.sqrt(np.clip(size[:, :most], 0.0, None))[..., None]
