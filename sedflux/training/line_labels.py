"""
Labels of real stars from their lines.

Published labels fix the mean of the correction of lines.  With that correction, labels are then
fitted to the lines alone, as the network does.  The correction of SEDs is applied at labels of the
network, so it must be measured at labels from lines too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sedflux.libraries.labels import unscale_labels
from sedflux.training.label_features import LabelFeatures

if TYPE_CHECKING:
    from sedflux.emulator.labelfit import LabelFit
    from sedflux.training.stars import RealStars
    from sedflux.training.types import Network

__all__ = ["LINE_ERROR", "LineModel", "fit_lines", "line_labels", "network_labels"]

_ITERATIONS = 4
#: Iterations of the fit of labels to lines alone, and the largest step of each label in one of
#: them: TEFF (K), LOGG, MH, ALPHA, CARBON, VMICRO (km/s).
_LINE_ITERATIONS = 5
_LARGEST_STEP = np.array([400.0, 0.5, 0.4, 0.15, 0.15, 0.5])
#: Principal components of the residuals that describe their correlated errors.
_COMPONENTS = 40
#: Smoothness of the line correction in the scaled labels.
LINE_LENGTHS = (1.2, 1.6, 1.6)
#: Variance of the residuals relative to the prior variance of the correction: its penalty.
_PENALTY = 1.0
#: Least error of a pixel, and the error of every pixel in the fit to lines alone (S/N 80).
_FLOOR, LINE_ERROR = 0.003, 1.0 / 80.0


@dataclass(frozen=True)
class LineModel:
    """
    Correction of normalised spectra, and the covariance of the residuals of stars.

    Attributes
    ----------
    features : `LabelFeatures`
    terms : `~numpy.ndarray`, shape (M, 2430)
    variance : `~numpy.ndarray`, shape (2430,)
    factor : `~numpy.ndarray`, shape (40, 2430)
        Covariance of the residuals: ``diag(variance) + factor.T @ factor``.
    """

    features: LabelFeatures
    terms: np.ndarray
    variance: np.ndarray
    factor: np.ndarray

    def correction(self, labels: np.ndarray) -> np.ndarray:
        """Correction at labels (N, 6), shape (N, 2430)."""
        return self.features(labels) @ self.terms


def _penalised_fit(features, values):
    """Coefficients and leave-one-out residuals."""
    inverse = np.linalg.inv(features.T @ features + _PENALTY * np.eye(features.shape[1]))
    coefficients = inverse @ (features.T @ values)
    leverage = np.einsum("ni,ij,nj->n", features, inverse, features)
    return coefficients, (values - features @ coefficients) / (1.0 - leverage)[:, None]


def _label_steps(residual, slopes, precision, offset, variance, factor):
    """Generalised least squares for the labels of each star, with their priors."""
    steps = np.empty((len(residual), slopes.shape[0]))
    rows = factor / np.sqrt(variance)
    inner = np.linalg.inv(np.eye(len(rows)) + rows @ rows.T)
    for star, values in enumerate(residual):
        design = np.vstack([slopes[:, star], values]) / np.sqrt(variance)
        along = design @ rows.T
        gram = design @ design.T - along @ inner @ along.T
        prior = precision[star]
        steps[star] = np.linalg.solve(gram[:-1, :-1] + prior,
                                      gram[:-1, -1] + prior @ offset[star])
    return steps


def fit_lines(fitter: LabelFit, stars: RealStars, low: np.ndarray, high: np.ndarray
              ) -> tuple[LineModel, np.ndarray, np.ndarray]:
    """
    Fit the correction of lines, and each star's labels with the published ones as their prior.

    Parameters
    ----------
    fitter : `~sedflux.emulator.labelfit.LabelFit`
    stars : `~sedflux.training.stars.RealStars`
    low, high : `~numpy.ndarray`, shape (6,)
        Range of the library.

    Returns
    -------
    lines : `LineModel`
    labels : `~numpy.ndarray`, shape (N, 6)
        From lines, with the published labels as prior.
    residuals : `~numpy.ndarray`, shape (N, 2430)
        Leave-one-out residuals of the stars' spectra.
    """
    published = np.clip(stars.labels, low, high)
    labels = published.copy()
    precision = np.stack([np.diag(errors**-2.0) for errors in stars.label_errors])
    variance = np.full(stars.normalised.shape[1], 0.01**2)
    factor = np.zeros((0, variance.size))
    features = LabelFeatures.of_stars(published, LINE_LENGTHS)
    for _ in range(_ITERATIONS):
        model, slopes = fitter.models(labels)
        _, left = _penalised_fit(features(published), stars.normalised - model)
        steps = _label_steps(left, slopes, precision, published - labels, variance, factor)
        rest = left - np.einsum("nk,knp->np", steps, slopes)
        labels = np.clip(labels + steps, low, high)
        _, sizes, directions = np.linalg.svd(rest, full_matrices=False)
        factor = directions[:_COMPONENTS] * (sizes[:_COMPONENTS] / np.sqrt(len(rest)))[:, None]
        variance = np.maximum((rest**2).mean(axis=0) - (factor**2).sum(axis=0), _FLOOR**2)
    model, _ = fitter.models(labels)
    coefficients, rest = _penalised_fit(features(labels), stars.normalised - model)
    return LineModel(features, coefficients, variance, factor), labels, rest


def line_labels(fitter: LabelFit, normalised: np.ndarray, low: np.ndarray, high: np.ndarray
                ) -> np.ndarray:
    """
    Fit labels to lines alone, with the distribution of the library's labels as prior.

    All pixels have the same weight, as they do for a network.  With pixels weighted by the
    residuals of the line correction, temperatures below 5500 K come out 30-60 K lower, and the SED
    correction would be measured at other labels than those at which it is applied.

    Parameters
    ----------
    fitter : `~sedflux.emulator.labelfit.LabelFit`
        Of the library with corrected lines.
    normalised : `~numpy.ndarray`, shape (N, 2430)
    low, high : `~numpy.ndarray`, shape (6,)
        Range of the library.

    Returns
    -------
    labels : `~numpy.ndarray`, shape (N, 6)
    """
    variance = np.full(normalised.shape[1], LINE_ERROR**2)
    none = np.zeros((0, variance.size))
    square = (fitter.spectra**2).sum(axis=1) - 2.0 * normalised @ fitter.spectra.T
    labels = fitter.emulator.labels[np.argmin(square, axis=1)]
    precision = np.repeat(fitter.prior_precision[None], len(labels), axis=0)
    for _ in range(_LINE_ITERATIONS):
        model, slopes = fitter.models(labels)
        steps = _label_steps(normalised - model, slopes, precision, fitter.prior_mean - labels,
                             variance, none)
        labels = np.clip(labels + np.clip(steps, -_LARGEST_STEP, _LARGEST_STEP), low, high)
    return labels


def network_labels(network: Network, stars: RealStars) -> np.ndarray:
    """
    Labels that a network gives to stars.

    Parameters
    ----------
    network : `torch.nn.Module`
        Trained on a library with corrected lines.
    stars : `~sedflux.training.stars.RealStars`

    Returns
    -------
    labels : `~numpy.ndarray`, shape (N, 6)
    """
    import torch

    arrays = (stars.normalised, stars.ivar, stars.resolving_power)
    found = []
    with torch.inference_mode():
        for rows in np.array_split(np.arange(len(stars)), max(len(stars) // 256, 1)):
            output = network(*(torch.from_numpy(np.asarray(values[rows], np.float32))
                               for values in arrays))
            found.append(output.label_mean.numpy())
    return unscale_labels(np.concatenate(found))
