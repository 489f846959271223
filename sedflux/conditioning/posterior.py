"""Moments of the posterior over the nodes of E(B-V), as means and low-rank covariances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from sedflux.conditioning.bands import BandRows
from sedflux.conditioning.dust import Dust
from sedflux.conditioning.update import (
    Nodes,
    Sample,
    Solution,
    Stars,
    percentiles,
    quadrature,
    search,
    settle,
    solve,
)

__all__ = ["Posterior", "update"]

#: Nodes of E(B-V).
_NODES = 28
#: Weight of a direction, relative to the strongest, below which rounding made it.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Posterior:
    """
    What magnitudes make of N stars; see `sedflux.conditioning.result.ConditionedSEDs`.

    Attributes
    ----------
    log_flux : `~numpy.ndarray`, shape (N, n)
    factor : `~numpy.ndarray`, shape (N, R, n)
        Common part of the covariance; rows that are not needed are zero.
    ebv, ebv_error : `~numpy.ndarray`, shape (N,)
        Mean and standard deviation of E(B-V).
    interval : `~numpy.ndarray`, shape (N, 2)
        16th and 84th percentile of E(B-V).
    with_ebv : `~numpy.ndarray`, shape (N, n)
        Covariance of ln(flux) with E(B-V), over the standard deviation of E(B-V).
    gains : `~numpy.ndarray`, shape (N, b, n)
        Change of ln(flux) with each magnitude.
    chi2, p_value : `~numpy.ndarray`, shape (N,)
    dof : `~numpy.ndarray` of int, shape (N,)
    pulls : `~numpy.ndarray`, shape (N, b)
        Of each magnitude, against lines and all other magnitudes; NaN where it is unknown, or
        nothing predicts it.
    """

    log_flux: np.ndarray
    factor: np.ndarray
    ebv: np.ndarray
    ebv_error: np.ndarray
    interval: np.ndarray
    with_ebv: np.ndarray
    gains: np.ndarray
    chi2: np.ndarray
    p_value: np.ndarray
    dof: np.ndarray
    pulls: np.ndarray


def update(stars: Stars, bands: BandRows, dust: Dust, *, intrinsic: bool = False) -> Posterior:
    """
    Condition SEDs on magnitudes.

    Parameters
    ----------
    stars : `~sedflux.conditioning.update.Stars`
    bands : `~sedflux.conditioning.bands.BandRows`
    dust : `~sedflux.conditioning.dust.Dust`
    intrinsic : bool, optional
        Take the dust off again.

    Returns
    -------
    posterior : `Posterior`
    """
    nodes, error, sample, own_rows = search(stars, bands, dust)
    if dust.fixed:
        ebv, weights = dust.mean[:, None], np.ones((len(dust.mean), 1))
    else:
        ebv, weights = quadrature(nodes.ebv[:, 0], error, _NODES)
    moments = _Moments(stars, dust, *settle(stars, bands, dust, ebv, nodes, own_rows), weights,
                       own_rows)
    tests = _tests(stars, bands, dust, nodes, sample, own_rows)
    rows = _rows(stars, dust, own_rows, intrinsic=intrinsic)
    mean, covariance = moments.mean, moments.covariance
    place = rows.shape[1] - own_rows.shape[1] - 1
    log_flux = stars.log_flux + (mean[:, None] @ rows)[:, 0]
    spread = np.sqrt(np.clip(covariance[:, place, place], 0.0, None))
    unit = np.where(spread > 0, spread, 1.0)[:, None]
    with_ebv = (covariance[:, place, None] @ rows)[:, 0] / unit
    gains = np.swapaxes(_gains(stars, dust, nodes, sample), 1, 2) @ rows
    return Posterior(log_flux, positive_parts(rows, covariance), mean[:, place], spread,
                     moments.interval, with_ebv, gains, *tests)


def _rows(stars, dust, own_rows, *, intrinsic):
    """Directions of ln(flux): those of z, q, s, E(B-V) and of the independent errors."""
    seen = 0.0 if intrinsic else 1.0
    smooth = np.stack([seen * dust.slope, np.ones_like(dust.curve), seen * dust.curve])
    smooth = np.broadcast_to(smooth, (len(stars.log_flux), *smooth.shape))
    return np.concatenate([stars.factor, smooth, own_rows * stars.diagonal[:, None]], axis=1)


class _Moments:
    """Mean and covariance of (z, E q, s, E, weights of the rows of independent errors)."""

    def __init__(self, stars: Stars, dust: Dust, nodes: Nodes, sample: Sample,
                 solution: Solution, weights: np.ndarray, own_rows: np.ndarray) -> None:
        self._weights = self._posterior(dust, nodes, solution, weights)
        self._nodes = nodes
        r = stars.factor.shape[1]
        common = nodes.common.copy()
        common[..., r] *= nodes.ebv
        each = np.concatenate([common, nodes.scale[..., None], nodes.ebv[..., None], nodes.own],
                              axis=-1)
        weighted = self._weights[..., None]
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
        # How each coordinate answers to a magnitude, and its variance before.
        answer = np.concatenate([sample.common * strength,
                                 np.broadcast_to(np.eye(count), (stars, size, count, count))],
                                axis=-1)
        weighted = self._weights[..., None, None]
        gain = solution.information @ answer
        taken = (np.swapaxes(answer * weighted, -1, -2) @ gain).sum(axis=1)
        cross = -((self._weights[..., None, None] * solution.grey_gain[..., None, :])
                  @ answer).sum(axis=1)[:, 0]
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
    """Changes of all coordinates with the magnitudes, (N, coordinates, b); E(B-V) as Gaussian."""
    free = (nodes.ebv[:, 0] > 0) & (not dust.fixed)
    column = sample.dust * np.where(free, dust.error, 0.0)[:, None, None]
    solution = solve(sample, relative=stars.relative, column=column)
    information = solution.information[:, 0]
    common = sample.common[:, 0].copy()
    common[..., -1] *= nodes.ebv
    towards = np.swapaxes(common, 1, 2) @ information
    dusty = dust.error[:, None, None] * (column @ information)
    return np.concatenate([towards, solution.grey_gain, dusty, information], axis=1) \
        * stars.known[:, None]


def _tests(stars, bands, dust, nodes, sample, own_rows):
    """chi2, its p-value and degrees of freedom, and the pulls, at the most likely E(B-V) >= 0."""
    free = (nodes.ebv[:, 0] > 0) & (not dust.fixed)
    ebv = dust.mean[:, None] if dust.fixed else np.maximum(nodes.ebv, 0.0)
    _, sample, solution = settle(stars, bands, dust, ebv, nodes, own_rows)
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


def positive_parts(rows: np.ndarray, core: np.ndarray) -> np.ndarray:
    """
    `sedflux.covariance.positive_part` of N matrices, with rows of zeros for the rest.

    Parameters
    ----------
    rows : `~numpy.ndarray`, shape (N, R, n)
    core : `~numpy.ndarray`, shape (N, R, R)

    Returns
    -------
    factor : `~numpy.ndarray`, shape (N, R, n)
    """
    length = np.sqrt((rows**2).sum(axis=-1))
    length = np.where(length > 0, length, 1.0)
    unit = rows / length[..., None]
    values, vectors = np.linalg.eigh(unit @ np.swapaxes(unit, 1, 2))
    keep = values > _ROUNDING * values[:, -1:]
    root = np.sqrt(np.where(keep, values, 1.0))
    # Orthonormal rows: ``towards @ unit``; zero where rounding made the direction.
    towards = np.swapaxes(vectors, 1, 2) * (keep / root)[..., None]
    triangle = vectors * (root * keep)[:, None]
    core = core * length[..., None] * length[:, None]
    value, turn = np.linalg.eigh(np.swapaxes(triangle, 1, 2) @ core @ triangle)
    turn = np.swapaxes(turn * np.sqrt(np.clip(value, 0.0, None))[:, None], 1, 2)
    factor = (turn @ towards) @ unit
    # Strongest directions first; those that are zero for all stars are cut.
    factor = factor[:, ::-1]
    most = max(int((value > 0).sum(axis=1).max(initial=0)), 1)
    return factor[:, :most]
