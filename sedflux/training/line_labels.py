"""
Labels of real stars from their lines.

Published labels fix the mean of the correction of lines.  Given that correction, lines alone
give the labels, as they do for the network: where the correction of SEDs is used, it must be
measured at these labels.
"""

from dataclasses import dataclass

import numpy as np

from sedflux.training.label_features import LabelFeatures

__all__ = ["LineModel", "fit_lines", "line_labels"]

_ITERATIONS = 4
#: Iterations of the labels from lines alone, and how far one of them moves a label: TEFF (K),
#: LOGG, MH, ALPHA, CARBON, VMICRO (km/s).
_LINE_ITERATIONS = 5
_LARGEST_STEP = np.array([400.0, 0.5, 0.4, 0.15, 0.15, 0.5])
#: Principal components of residual lines that count as correlated errors.
_COMPONENTS = 40
#: Smoothness of the line correction in the scaled labels.
LINE_LENGTHS = (1.2, 1.6, 1.6)
#: Variance of residual lines in units of that of their correction: the penalty on it.
_PENALTY = 1.0
#: Least error of a pixel.
_FLOOR = 0.003


@dataclass(frozen=True)
class LineModel:
    """
    Correction of normalised spectra, and what it leaves of the stars.

    Attributes
    ----------
    features : `LabelFeatures`
    terms : `~numpy.ndarray`, shape (M, 2430)
    variance : `~numpy.ndarray`, shape (2430,)
    factor : `~numpy.ndarray`, shape (40, 2430)
        Covariance of residual lines: ``diag(variance) + factor.T @ factor``.
    """

    features: LabelFeatures
    terms: np.ndarray
    variance: np.ndarray
    factor: np.ndarray

    def correction(self, labels):
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


def fit_lines(fitter, stars, low, high):
    """
    Correction of lines, with published labels as priors of each star's own.

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
        By lines and publication.
    residuals : `~numpy.ndarray`, shape (N, 2430)
        Of the stars' spectra, as if each star had been left out.
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


def line_labels(fitter, lines, normalised, low, high):
    """
    Labels that lines alone give, with the library's spread as their prior.

    Parameters
    ----------
    fitter : `~sedflux.emulator.labelfit.LabelFit`
        Of the library without corrections.
    lines : `LineModel`
    normalised : `~numpy.ndarray`, shape (N, 2430)
    low, high : `~numpy.ndarray`, shape (6,)

    Returns
    -------
    labels : `~numpy.ndarray`, shape (N, 6)
    """
    known = fitter.emulator.labels
    spectra = fitter.spectra + lines.correction(known)
    labels = known[_nearest(normalised, spectra, lines)]
    precision = np.repeat(fitter.prior_precision[None], len(labels), axis=0)
    for _ in range(_LINE_ITERATIONS):
        model, slopes = fitter.models(labels)
        left = normalised - model - lines.correction(labels)
        steps = _label_steps(left, slopes, precision, fitter.prior_mean - labels,
                             lines.variance, lines.factor)
        labels = np.clip(labels + np.clip(steps, -_LARGEST_STEP, _LARGEST_STEP), low, high)
    return labels


def _nearest(normalised, spectra, lines):
    """Row of the model that is nearest to each spectrum under the covariance of residuals."""
    scale = np.sqrt(lines.variance)
    rows = lines.factor / scale
    inverse = np.linalg.inv(np.eye(len(rows)) + rows @ rows.T)
    root = np.linalg.cholesky(inverse)
    first, second = normalised / scale, spectra / scale
    along = [(values @ rows.T) @ root for values in (first, second)]
    cross = first @ second.T - along[0] @ along[1].T
    own = (second**2).sum(axis=1) - (along[1] ** 2).sum(axis=1)
    return np.argmin(own - 2.0 * cross, axis=1)
