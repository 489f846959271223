"""
Weights of stars whose SED errors have longer tails than normal errors.

Real stars have some errors that no SED says: a wrong E(B-V), a companion, a peculiar composition.
The variance of each star's SED errors is multiplied by an unknown factor, whose distribution is
inverse gamma, so that the errors follow Student's t-distribution (Lange et al. 1989).  The number
of degrees of freedom comes from the residuals of all stars.  Where the residuals are normal, all
weights are one.

A star with a weight tells less than the weight says, because the weight follows its residual: of a
t-distribution with nu degrees of freedom in p dimensions, the information on the mean is
(nu + p) / (nu + p + 2) of what the mean weight of one would give (Lange et al. 1989).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["TailWeights", "tail_weights"]

#: Degrees of freedom of the t-distributions that are compared with a normal one; together they
#: are as likely as it before the stars are seen.
_DEGREES = (2.5, 4.0, 7.0, 12.0, 20.0, 35.0)
#: Factors on the variance of a star: the range of their logarithms, and their step.
_LOG_RANGE, _LOG_STEP = (-4.0, 6.0), 0.2
#: Fewest stars that tell a distribution.
_LEAST_STARS = 6


class TailWeights(NamedTuple):
    """
    Weights of N stars, and what they tell.

    Attributes
    ----------
    weight : `~numpy.ndarray`, shape (N,)
        Factors on the inverse variance of each star's SED errors: the mean over the distributions,
        each as probable as the residuals make it.
    information : `~numpy.ndarray`, shape (N,)
        The same, of the information that a star has on the response; not above ``weight``.
    """

    weight: np.ndarray
    information: np.ndarray


def tail_weights(signal: np.ndarray, square: np.ndarray, used: np.ndarray, *,
                 single: np.ndarray) -> TailWeights:
    """
    Factors on the inverse variance of each star's SED errors.

    Parameters
    ----------
    signal : `~numpy.ndarray`, shape (N, r)
        Variance of the SED errors over that of the noise along each of their directions; zero
        leaves a direction out.
    square : `~numpy.ndarray`, shape (N, r)
        Squared deviations along these directions, in units of their expected values.
    used : `~numpy.ndarray` of bool, shape (N,)
        Stars that tell the distribution; rejected ones do not.
    single : `~numpy.ndarray`, shape (N,)
        Weights of the stars if the errors of all others are normal.

    Returns
    -------
    weights : `TailWeights`
    """
    number = int(used.sum())
    if number < _LEAST_STARS:
        return TailWeights(single, single)
    # The response follows the stars, so that the residuals are a little too small.
    square = square * (number / (number - 1.0))
    log_factor = np.arange(*_LOG_RANGE, _LOG_STEP)
    likelihood = _log_likelihood(signal, square, np.exp(log_factor))
    largest = likelihood.max(axis=1, keepdims=True)
    likelihood = np.exp(likelihood - largest)
    evidence, weights, information = [np.log(len(_DEGREES))], [single], [single]
    dimensions = (signal / (1.0 + signal)).sum(axis=1)
    for degrees in _DEGREES:
        prior = np.exp(-0.5 * degrees * (log_factor + np.exp(-log_factor) - 1.0))
        prior /= prior.sum()
        total = likelihood @ prior
        weight = likelihood @ (prior * np.exp(-log_factor)) / total
        weights.append(weight)
        information.append(weight * (degrees + dimensions) / (degrees + dimensions + 2.0))
        evidence.append(float((np.log(total) + largest[:, 0])[used].sum()))
    probability = np.exp(np.array(evidence) - max(evidence))
    probability /= probability.sum()
    return TailWeights(probability @ np.stack(weights), probability @ np.stack(information))


def _log_likelihood(signal, square, factors):
    """Log likelihood of factors on the variance of each star, relative to a factor of one."""
    found = []
    for factor in factors:
        ratio = (1.0 + factor * signal) / (1.0 + signal)
        found.append(-0.5 * (np.log(ratio) + square * (1.0 / ratio - 1.0)).sum(axis=1))
    return np.stack(found, axis=1)
