"""Moments of the posterior over the nodes of E(B-V), as means and low-rank covariances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from sedflux.conditioning.bands import BandRows
from sedflux.conditioning.dust import Dust
from sedflux.conditioning.quadrature import percentiles, quadrature
from sedflux.conditioning.update import Nodes, Sample, Solution, Stars, search, settle, solve

__all__ = ["Posterior", "update"]

#: Nodes of E(B-V).
_NODES = 28
#: Weight of a direction, relative to the strongest, below which rounding made it.
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
    nodes, error, sample, directions = search(stars, bands, dust)
    if dust.fixed:
        ebv, weights = dust.mean[:, None], np.ones((len(dust.mean), 1))
    else:
        ebv, weights = quadrature(nodes.ebv[:, 0], error, _NODES)
    moments = _Moments(dust, *settle(stars, bands, ebv, nodes, directions), weights)
    tests = _tests(stars, bands, dust, nodes, sample, directions)
    rows, mean, covariance = directions.rows, moments.mean, moments.covariance
    place = stars.factor.shape[1] + 2
    if intrinsic:
        rows[:, [place - 2, place]] = 0.0
    log_flux = stars.log_flux + (mean[:, None] @ rows)[:, 0]
    spread = np.sqrt(np.clip(covariance[:, place, place], 0.0, None))
    unit = np.where(spread > 0, spread, 1.0)[:, None]
    with_ebv = (covariance[:, place, None] @ rows)[:, 0] / unit
    gains = _gains(stars, dust, nodes, sample)[:, asked] @ rows
    return Posterior(log_flux, *signed_parts(rows, covariance), mean[:, place], spread,
                     moments.interval, with_ebv, gains, *tests)


class _Moments:
    """Mean and covariance of (z, E q, s, E, weights of the rows of independent errors)."""

    def __init__(self, dust: Dust, nodes: Nodes, sample: Sample, solution: Solution,
                 weights: np.ndarray) -> None:
        self._weights = self._posterior(dust, nodes, solution, weights)
        self._nodes = nodes
        each, weighted = nodes.coordinates, self._weights[..., None]
        self.mean = (weighted * each).sum(axis=1)
        left = (each - self.mean[:, None]) * np.sqrt(weighted)
        self.covariance = (np.swapaxes(left, 1, 2) @ left
                           + self._within(nodes, sample, solution))

    @staticmethod
    def _posterior(dust, nodes, solution, weights):
        """Weights of the nodes, normalised."""
        log = solution.log_likelihood + np.log(weights)
        if not dust.flat and not dust.fixed:
            log = log - 0.5 * ((nodes.ebv - dust.mean[:, None]) / dust.error[:, None]) ** 2
        weights = np.exp(log - log.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def _within(self, nodes, sample, solution):
        """Covariance at fixed E(B-V), averaged over the nodes."""
        stars, size, count, q = sample.common.shape
        strength = np.ones((stars, size, 1, q))
        strength[..., q - 1] = nodes.ebv[..., None]
        weighted = self._weights[..., None, None]
        # Covariance of each coordinate with each magnitude, over all nodes.
        answer = np.concatenate([sample.common * strength,
                                 np.broadcast_to(np.eye(count), (stars, size, count, count))],
                                axis=-1).reshape(stars, size * count, q + count)
        information = weighted * solution.information
        gain = np.concatenate([(information @ sample.common) * strength, information], axis=-1)
        taken = np.swapaxes(answer, 1, 2) @ gain.reshape(answer.shape)
        grey = (self._weights[..., None] * solution.grey_gain).reshape(stars, 1, size * count)
        cross = -(grey @ answer)[:, 0]
        before = np.zeros((stars, q + count))
        before[:, :q] = (self._weights[..., None] * strength[..., 0, :] ** 2).sum(axis=1)
        total = np.zeros((stars, q + 2 + count, q + 2 + count))
        others = np.r_[:q, q + 2:q + 2 + count]
        total[:, others[:, None], others] = (before[..., None] * np.eye(q + count)) - taken
        total[:, q, others] = total[:, others, q] = cross
        total[:, q, q] = (self._weights * solution.grey_variance).sum(axis=1)
        return total

    @property
    def interval(self):
        """16th and 84th percentile of E(B-V), (N, 2)."""
        return percentiles(self._nodes.ebv, self._weights, (0.1587, 0.8413))


def _gains(stars, dust, nodes, sample):
    """Changes of all coordinates with the magnitudes, (N, b, R); E(B-V) as Gaussian."""
    free = (nodes.ebv[:, 0] > 0) & (not dust.fixed)
    column = sample.dust * np.where(free, dust.error, 0.0)[:, None, None]
    solution = solve(sample, relative=stars.relative, column=column)
    information = solution.information[:, 0]
    common = sample.common[:, 0].copy()
    common[..., -1] *= nodes.ebv
    towards = np.swapaxes(common, 1, 2) @ information
    dusty = dust.error[:, None, None] * (column @ information)
    gains = np.concatenate([towards, solution.grey_gain, dusty, information], axis=1)
    return np.swapaxes(gains * stars.known[:, None], 1, 2)


def _tests(stars, bands, dust, nodes, sample, directions):
    """chi2, its p-value and degrees of freedom, and the pulls, at the most likely E(B-V) >= 0."""
    free = (nodes.ebv[:, 0] > 0) & (not dust.fixed)
    ebv = dust.mean[:, None] if dust.fixed else np.maximum(nodes.ebv, 0.0)
    _, sample, solution = settle(stars, bands, ebv, nodes, directions)
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
        sample = Sample(sample.residual + sample.dust * away, sample.common, sample.dust,
                        sample.grey, sample.noise)
    joint = solve(sample, relative=stars.relative, column=column)
    information = np.diagonal(joint.information[:, 0], axis1=1, axis2=2)
    noise = np.diagonal(sample.noise[:, 0], axis1=1, axis2=2)
    told = stars.known & (information * noise > 1e-8)
    pulls = np.where(told, joint.innovation[:, 0] / np.sqrt(np.where(told, information, 1.0)),
                     np.nan)
    return chi2, p_value, dof, pulls


def signed_parts(rows: np.ndarray, core: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    N symmetric matrices ``rows.T @ core @ rows`` as differences of squares.

    Parameters
    ----------
    rows : `~numpy.ndarray`, shape (N, R, n)
    core : `~numpy.ndarray`, shape (N, R, R)

    Returns
    -------
    factor, removed : `~numpy.ndarray`, shape (N, F, n) and (N, S, n)
        ``factor.T @ factor - removed.T @ removed`` is the matrix; the strongest rows are first, and
        those that a matrix does not need are zero.
    """
    gram = rows @ np.swapaxes(rows, 1, 2)
    length = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
    length = np.where(length > 0, length, 1.0)
    size = length[..., None] * length[:, None]
    values, vectors = np.linalg.eigh(gram / size)
    keep = values > _ROUNDING * values[:, -1:]
    root = np.sqrt(np.where(keep, values, 1.0))
    # ``towards @ rows`` are orthonormal; zero where rounding made the direction.
    towards = np.swapaxes(vectors / length[..., None], 1, 2) * (keep / root)[..., None]
    triangle = vectors * (root * keep)[:, None]
    value, turn = np.linalg.eigh(np.swapaxes(triangle, 1, 2) @ (core * size) @ triangle)
    turn = np.swapaxes(turn, 1, 2) @ towards
    value[np.abs(value) <= _ROUNDING * np.abs(value).max(axis=1, keepdims=True)] = 0.0
    return _positive(value[:, ::-1], turn[:, ::-1]) @ rows, _positive(-value, turn) @ rows


def _positive(size: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Rows (N, R, R) times the roots of their sizes, descending; those above zero, (N, F, R)."""
    most = int((size > 0).sum(axis=1).max(initial=0))
    return turn[:, :most] * np.sqrt(np.clip(size[:, :most], 0.0, None))[..., None]
