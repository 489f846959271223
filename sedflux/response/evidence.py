"""Coefficients of ln(response) from normal equations, and their smoothness by the evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.optimize import minimize_scalar

__all__ = ["SmoothnessPrior", "root_of_inverse", "solve"]

#: Range of the standard deviation of the second differences of ln T in the search by evidence.
_SMOOTHNESS_RANGE = (1e-4, 3.0)
#: Relative size of what is added to the diagonal of a matrix that may be singular.
_JITTER = 1e-13


@dataclass(frozen=True)
class SmoothnessPrior:
    """
    Gaussian prior of the coefficients, about zero.

    Attributes
    ----------
    roughness : `~numpy.ndarray`, shape (n, n)
        Inverse covariance for a smoothness of one.
    fixed : `~numpy.ndarray`, shape (n, n)
        Inverse covariance that does not depend on the smoothness.
    rank : int
        Rank of the roughness.
    """

    roughness: np.ndarray
    fixed: np.ndarray
    rank: int

    def inverse(self, smoothness: float) -> np.ndarray:
        """
        Inverse covariance of the coefficients, shape (n, n).

        Parameters
        ----------
        smoothness : float
        """
        return self.fixed + self.roughness / smoothness**2


def solve(normal: np.ndarray, right: np.ndarray, present: np.ndarray, prior: SmoothnessPrior,
          smoothness: float | None = None) -> tuple[np.ndarray, np.ndarray, float]:
    """
    Coefficients, and the smoothness of the largest evidence (MacKay 1992).

    Parameters
    ----------
    normal : `~numpy.ndarray`, shape (n, n)
    right : `~numpy.ndarray`, shape (n,)
        Of the residuals at the present coefficients.
    present : `~numpy.ndarray`, shape (n,)
        Coefficients about which the problem was linearised.
    prior : `SmoothnessPrior`
    smoothness : float, optional
        Standard deviation of the second differences of ln T; chosen if not given.

    Returns
    -------
    coefficients : `~numpy.ndarray`, shape (n,)
    inverse : `~numpy.ndarray`, shape (n, n)
        Posterior inverse covariance.
    smoothness : float
    """
    whole = right + normal @ present
    jitter = _JITTER * np.trace(normal) / len(normal) * np.eye(len(normal))

    def cost(log_size):
        total = normal + prior.fixed + prior.roughness * np.exp(-2.0 * log_size)
        triangle = cho_factor(total + jitter, lower=True)
        gain = whole @ cho_solve(triangle, whole)
        return 2.0 * np.log(np.diag(triangle[0])).sum() + 2.0 * prior.rank * log_size - gain

    if smoothness is None:
        low, high = np.log(_SMOOTHNESS_RANGE)
        smoothness = float(np.exp(minimize_scalar(cost, bounds=(low, high), method="bounded",
                                                  options={"xatol": 0.02}).x))
    prior_inverse = prior.inverse(smoothness)
    inverse = normal + prior_inverse
    # As a step from the present coefficients, the solution at convergence is free of the jitter.
    step = cho_solve(cho_factor(inverse + jitter, lower=True), right - prior_inverse @ present)
    return present + step, inverse, smoothness


def root_of_inverse(matrix: np.ndarray) -> np.ndarray:
    """
    Square root of the inverse of a positive matrix.

    Parameters
    ----------
    matrix : `~numpy.ndarray`, shape (n, n)

    Returns
    -------
    root : `~numpy.ndarray`, shape (n, n)
        ``root @ root.T`` is the inverse.
    """
    values, vectors = eigh(matrix)
    return vectors / np.sqrt(np.maximum(values, _JITTER * values.max()))
