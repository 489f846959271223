"""Baseline: ridge regression from principal components of the normalised input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["RidgeBaseline", "fit_ridge"]


@dataclass(frozen=True)
class RidgeBaseline:
    """
    Linear map from principal components of the input to ln(SED), at one noise level.

    Attributes
    ----------
    mean, components : `~numpy.ndarray`, shapes (2430,) and (k, 2430)
    coefficients : `~numpy.ndarray`, shape (k + 1, 575)
        The last row is the intercept.
    variance : `~numpy.ndarray`, shape (575,)
        Of the residuals in training, without the common part.
    factor : `~numpy.ndarray`, shape (r, 575)
        Common part of the residuals: their leading principal components.
    """

    mean: np.ndarray
    components: np.ndarray
    coefficients: np.ndarray
    variance: np.ndarray
    factor: np.ndarray

    def predict(self, normalised: np.ndarray) -> np.ndarray:
        """ln(SED) of spectra (N, 2430), shape (N, 575)."""
        scores = (normalised - self.mean) @ self.components.T
        return scores @ self.coefficients[:-1] + self.coefficients[-1]


def fit_ridge(normalised: np.ndarray, log_sed: np.ndarray, *, components: int = 60,
              penalty: float = 1e-3, rank: int = 10) -> RidgeBaseline:
    """
    Fit the baseline to training examples of one noise level.

    Parameters
    ----------
    normalised : `~numpy.ndarray`, shape (N, 2430)
    log_sed : `~numpy.ndarray`, shape (N, 575)
    components : int, optional
        Principal components to keep.
    penalty : float, optional
        Ridge penalty, relative to the mean variance of the components.
    rank : int, optional
        Rank of the common part of the errors.

    Returns
    -------
    baseline : `RidgeBaseline`
    """
    mean = normalised.mean(axis=0)
    covariance = (normalised - mean).T @ (normalised - mean) / len(normalised)
    vectors = np.linalg.eigh(covariance)[1][:, ::-1][:, :components].T
    design = np.column_stack([(normalised - mean) @ vectors.T, np.ones(len(normalised))])
    normal = design.T @ design
    ridge = penalty * np.trace(normal[:-1, :-1]) / components * np.eye(components + 1)
    ridge[-1, -1] = 0.0
    coefficients = np.linalg.solve(normal + ridge, design.T @ log_sed)
    residual = log_sed - design @ coefficients
    _, singular, right = np.linalg.svd(residual, full_matrices=False)
    factor = right[:rank] * (singular[:rank] / np.sqrt(len(residual)))[:, None]
    variance = np.maximum(residual.var(axis=0) - (factor**2).sum(axis=0), 1e-8)
    return RidgeBaseline(mean, vectors, coefficients, variance, factor)
