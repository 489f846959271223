"""Do stars deviate from a response in proportion to their E(B-V)?"""

from __future__ import annotations

import numpy as np
from scipy.stats import theilslopes

from sedflux.response.patterns import FitPatterns
from sedflux.response.problem import LinearProblem

__all__ = ["amplitudes_of", "dust_scale_test"]

#: Confidence of the interval that gives the error of a slope: one sigma to both sides.
_ONE_SIGMA = 0.683


def amplitudes_of(problem: LinearProblem, direction: np.ndarray) -> np.ndarray:
    """
    How much of a direction the residuals of each star have, by the star's own covariance.

    Parameters
    ----------
    problem : `~sedflux.response.problem.LinearProblem`
    direction : `~numpy.ndarray`, shape (N, g)

    Returns
    -------
    amplitude : `~numpy.ndarray`, shape (N,)
        Zero for stars whose pixels do not tell.
    """
    factor = np.asarray(problem.factor, dtype=float)
    inverse = problem.weight / (1.0 + problem.weight * problem.diagonal)
    weighted = factor * inverse[:, None, :]
    core = np.eye(factor.shape[1]) + weighted @ factor.transpose(0, 2, 1)
    along = np.linalg.solve(core, weighted @ direction[:, :, None])
    white = inverse * direction - (weighted * along).sum(axis=1)
    size = (white * direction).sum(axis=1)
    return np.divide((white * problem.residual).sum(axis=1), size, out=np.zeros_like(size),
                     where=size > 0)


def dust_scale_test(problem: LinearProblem, patterns: FitPatterns, *, least: int) \
        -> tuple[float, int]:
    """
    Chi-square of errors of E(B-V) that grow with E(B-V), beyond the scale error of the budget.

    Weights of tails hide a scale that is wrong by far: every star is then an outlier of its own.
    The median of the slopes between pairs of stars (Theil 1950, Sen 1968) needs no weights.

    Parameters
    ----------
    problem : `~sedflux.response.problem.LinearProblem`
        Of the stars that the patterns are measured on.
    patterns : `~sedflux.response.patterns.FitPatterns`
    least : int
        Fewest stars of which E(B-V) must be known.

    Returns
    -------
    chi2 : float
    number : int
        Degrees of freedom: 1, or 0 without E(B-V).
    """
    direction, ebv = (patterns.columns.get("reddening_zero_point"),
                      patterns.star_values.get("E(B-V)"))
    if direction is None or ebv is None:
        return 0.0, 0
    known = np.isfinite(ebv)
    if known.sum() < least or not np.ptp(ebv[known]) > 0:
        return 0.0, 0
    error = amplitudes_of(problem, direction)
    slope, _, low, high = theilslopes(error[known], ebv[known], _ONE_SIGMA)
    allowed = problem.options.common.given().get("reddening_scale", 0.0)
    return float(slope**2 / (0.25 * (high - low) ** 2 + allowed**2)), 1
