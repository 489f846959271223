r"""
Corrections of a synthetic library by real stars, of lines and SEDs, and the scatter of stars.

Synthetic lines differ from real ones by a few percent, coherently, and so do SEDs
below 4500 Angstrom.  Both differences are smooth in the labels, so that stars with
published labels measure them.  The *input correction* is the mean difference
:math:`D(t)` of normalised spectra at labels :math:`t`; the *SED correction* is
:math:`S(t)`, the mean difference of ln(SED), from all truths at once, with the reddening of
each star, the errors of each source and a common error of MILES as unknowns.  Both
are smooth in (5040 K / TEFF, LOGG, MH) and vanish where no star is near.  The SED correction is
measured at labels from lines alone, because it is applied at such labels.  The residual of
each star, its *discrepancy*, is drawn at random for every training example: lines from the
residuals of stars with similar labels, SEDs from their covariance.

A library with the mean corrections is still a library: emulator, label fit and the generator of
examples use it like the synthetic one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import solve_triangular

from sedflux.emulator.labelfit import LabelFit
from sedflux.libraries.labels import scale_labels
from sedflux.spectra.grids import sed_grid
from sedflux.spectra.normalise import input_basis
from sedflux.spectra.reddening import extinction_curve
from sedflux.training.correction import SPLINES, Correction, class_shares, sed_splines
from sedflux.training.label_features import LabelFeatures
from sedflux.training.line_labels import LineModel, fit_lines, line_labels, network_labels
from sedflux.training.sed_truths import (
    EARLY_TEFF,
    EBV,
    MILES_ROWS,
    STEP,
    band_weights,
    fine_correction,
    first_scatter,
    information,
    measure,
    prior_size,
    rms_of_known,
    sed_truth,
    solve_sed,
    star_scatter,
    truth_rows,
    without_outliers,
)
from sedflux.training.smoothness import choose_smoothness
from sedflux.training.stars import MILES_POWER, STIS_POWER, RealStars, inner_fold

if TYPE_CHECKING:
    from sedflux.libraries.library import SpectralLibrary
    from sedflux.training.types import BandWeights, Kernels, Network, Passbands

__all__ = ["PlacedStars", "correct_seds", "fit_correction", "place_stars",
           "with_network_labels"]

_log = logging.getLogger(__name__)

#: Iterations of the scatter and the weights of outliers; the smoothness is chosen before two.
_ITERATIONS, _CHOICES = 4, (0, 2)
#: Number of classes of stars (`~sedflux.training.correction.class_shares`), and of draws of the
#: errors of the correction.
_CLASSES, _DRAWS = 4, 64
#: S/N per pixel of spectra at R = 500, discrepancies included, and the chi-square per pixel above
#: which a star is left out.
_COARSE_SNR = 40.0
_COARSE_CHI2 = 2.0
#: Chi-square per SED sample above which a star with a coarse spectrum is left out: hotter than
#: `_HOT_TEFF` (K), where SEDs of models are accurate, and cooler.
_COARSE_SED_CHI2, _HOT_TEFF = (1.0, 3.0), 7000.0
#: Errors of TEFF (K) and LOGG from an early-A spectral type.
_EARLY_ERRORS = (300.0, 0.3)
#: Fewest stars with STIS fluxes at a wavelength where the correction is measured.
_LEAST_STARS = 8
#: Trial labels for a coarse spectrum, at most and for each model of the library; the number of the
#: best that are averaged, and the errors of this mean: TEFF (K), LOGG, MH, ALPHA, CARBON,
#: VMICRO (km/s).
_TRIALS, _TRIALS_PER_MODEL, _BEST = 20000, 50, 10
_TRIAL_ERRORS = np.array([150.0, 0.15, 0.15, 0.05, 0.05, 0.2])
_SEED = 11


def _sed_fit(truths, stars, labels):
    """Features, coefficients with their posterior, and scatters of the SED correction."""
    shares, scatters = class_shares(labels), [first_scatter()] * _CLASSES
    kinds = shares.argmax(axis=1)
    folds = np.array([inner_fold(name) for name in stars.name])
    smooth = None
    for iteration in range(_ITERATIONS):
        grams, data = information(truths, scatters, shares)
        if iteration in _CHOICES:
            smooth = choose_smoothness(truths, labels, folds, grams, data, scatters, kinds)
            features = LabelFeatures.of_stars(labels, smooth.lengths)
            rows = truth_rows(truths, features(labels), labels)
        assert smooth is not None
        coefficients, root = solve_sed(rows, grams, data, smooth.size)
        scatters = [_class_scatter(truths, rows, coefficients, kinds == kind)
                    for kind in range(_CLASSES)]
        if iteration + 1 < _ITERATIONS:
            truths = without_outliers(truths, rows, coefficients, scatters, shares)
    assert smooth is not None
    _log.info("smoothness: lengths %s, size %g", smooth.lengths, smooth.size)
    return features, smooth, coefficients, root, scatters


def _class_scatter(truths, rows, coefficients, members):
    inside = np.array([members[truth.star] for truth in truths])
    chosen = [truth for truth, one in zip(truths, inside, strict=True) if one]
    return star_scatter(chosen, rows[inside], coefficients)


def fit_correction(library: SpectralLibrary, kernels: Kernels, stars: RealStars,
                   passbands: Passbands, johnson: BandWeights | None = None) -> Correction:
    """
    Measure the corrections of a synthetic library by real stars.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        Training models.
    kernels : tuple of `~sedflux.emulator.gaussian_process.Kernel`
    stars : `~sedflux.training.stars.RealStars`
        Without the stars that are left out.
    passbands : dict
        From `sedflux.training.stars.read_passbands`.
    johnson : dict, optional
        From `sedflux.training.johnson.johnson_weights`.

    Returns
    -------
    correction : `Correction`
    """
    fitter = LabelFit(library, kernels, resolving_power=MILES_POWER)
    placed = place_stars(library, kernels, fitter, stars)
    return correct_seds(fitter, placed, passbands, johnson)


@dataclass(frozen=True)
class PlacedStars:
    """
    Stars with labels from their lines.

    Attributes
    ----------
    stars : `~sedflux.training.stars.RealStars`
        Stars with R = 2000 spectra (sharp), then those with R = 500 (coarse).
    labels : `~numpy.ndarray`, shape (N, 6)
    lines : `~sedflux.training.line_labels.LineModel`
    residuals : `~numpy.ndarray`, shape (n, 2430)
        Of the sharp spectra.
    """

    stars: RealStars
    labels: np.ndarray
    lines: LineModel
    residuals: np.ndarray


def place_stars(library: SpectralLibrary, kernels: Kernels, fitter: LabelFit, stars: RealStars
                ) -> PlacedStars:
    """
    Fit the correction of lines, and then each star's labels to its lines.

    Parameters
    ----------
    library, kernels, stars
        See `fit_correction`.
    fitter : `~sedflux.emulator.labelfit.LabelFit`
        At the resolving power of the sharp spectra.

    Returns
    -------
    placed : `PlacedStars`
    """
    low, high = library.labels.min(axis=0), library.labels.max(axis=0)
    sharp, coarse = stars.take(stars.source == "MILES"), stars.take(stars.source != "MILES")
    lines, _, residuals = fit_lines(fitter, sharp, low, high)
    better = lines_alone(lines, sharp.labels, residuals).correct(library)
    corrected = LabelFit(better, kernels, resolving_power=MILES_POWER)
    labels = line_labels(corrected, sharp.normalised, low, high)
    if not len(coarse):
        return PlacedStars(sharp, labels, lines, residuals)
    fitted, kept = _coarse_labels(better, kernels, coarse)
    rows = np.r_[np.flatnonzero(stars.source == "MILES"),
                 np.flatnonzero(stars.source != "MILES")[kept]]
    return PlacedStars(stars.take(rows), np.vstack([labels, fitted[kept]]), lines, residuals)


def with_network_labels(placed: PlacedStars, network: Network, library: SpectralLibrary
                        ) -> PlacedStars:
    """
    Replace the labels of stars with sharp spectra by those that a network gives them.

    Parameters
    ----------
    placed : `PlacedStars`
    network : `torch.nn.Module`
        Trained on the library with these corrected lines, from the same stars.
    library : `~sedflux.libraries.SpectralLibrary`

    Returns
    -------
    placed : `PlacedStars`
    """
    low, high = library.labels.min(axis=0), library.labels.max(axis=0)
    sharp, labels = placed.stars.source == "MILES", placed.labels.copy()
    labels[sharp] = np.clip(network_labels(network, placed.stars.take(sharp)), low, high)
    return replace(placed, labels=labels)


def lines_alone(lines: LineModel, labels: np.ndarray, residuals: np.ndarray) -> Correction:
    """A correction of lines that leaves SEDs as they are."""
    samples, features = sed_grid().size, lines.features
    size = len(features.centres)
    return Correction(lines, features, np.zeros((size, samples)), labels,
                      residuals.astype(np.float32), np.zeros((_CLASSES, 1, samples)),
                      np.zeros((_CLASSES, samples)), np.zeros((1, size, SPLINES)),
                      np.zeros(SPLINES))


def correct_seds(fitter: LabelFit, placed: PlacedStars, passbands: Passbands,
                 johnson: BandWeights | None = None) -> Correction:
    """
    Fit the correction of SEDs at labels from lines.

    Parameters
    ----------
    fitter : `~sedflux.emulator.labelfit.LabelFit`
    placed : `PlacedStars`
    passbands, johnson
        See `fit_correction`.

    Returns
    -------
    correction : `Correction`
    """
    stars, labels, samples = placed.stars, placed.labels, sed_grid().size
    log_sed = fitter.emulator.mean(labels)[:, -samples:]
    label_changes = np.stack([fitter.emulator.mean(labels + step)[:, -samples:] - log_sed
                              for step in np.diag([*_EARLY_ERRORS, 0, 0, 0, 0])[:2]], axis=1)
    truths = measure(stars, log_sed, label_changes, band_weights(passbands), list(passbands),
                     johnson)
    features, smooth, coefficients, root, scatters = _sed_fit(truths, stars, labels)
    splines = sed_splines()
    coarse = coefficients[:-MILES_ROWS] @ splines.T
    fine, left = fine_correction(stars, log_sed, features(labels), coarse)
    kinds = class_shares(labels).argmax(axis=1)
    noise = np.stack([rms_of_known(left[kinds == kind]) for kind in range(_CLASSES)])
    count = np.isfinite(stars.stis_sed).sum(axis=0)
    known = np.flatnonzero(count >= min(_LEAST_STARS, count.max()))
    # Beyond the bluest and reddest of these samples the correction is constant.
    held = np.clip(np.arange(samples), known[0], known[-1])
    first = lines_alone(placed.lines, labels[: len(placed.residuals)], placed.residuals)
    return replace(first, features=features, sed_terms=(coarse + fine)[:, held],
                   sed_noise=noise[:, held],
                   sed_factors=(np.stack(scatters) @ splines.T)[:, :, held],
                   sed_draws=_posterior_draws(root, coefficients.shape),
                   prior_size=prior_size(smooth.size))


def _posterior_draws(root, shape):
    """Draws of the errors of the coefficients (M, 26) from their posterior."""
    white = np.random.default_rng(_SEED).standard_normal((len(root), _DRAWS))
    return solve_triangular(root.T, white, lower=False).T.reshape(_DRAWS, *shape)[:, :-MILES_ROWS]


def _coarse_labels(library, kernels, stars):
    """
    Labels of stars with coarse spectra by the corrected library, and which stars to keep.

    Near 9000 K two temperatures have the same Balmer lines, which coarse
    spectra do not separate.  So the first labels come from a search over the whole
    library, by the lines and the star's SED within the errors of dust and models.
    A fit to the lines then improves them.
    """
    fitter = LabelFit(library, kernels, resolving_power=STIS_POWER)
    trial = _trial_labels(library.labels, np.random.default_rng(_SEED))
    joint = fitter.emulator.mean(trial)
    models = np.expm1(joint[:, : -sed_grid().size])
    models -= (models @ input_basis()) @ input_basis().T
    labels, chi2 = np.empty(stars.labels.shape), np.empty(len(stars))
    for index in range(len(stars)):
        values = stars.normalised[index]
        weight = np.where(stars.ivar[index] > 0, _COARSE_SNR**2, 0.0)
        total = ((models - values) ** 2) @ weight
        total += _sed_chi2(stars, index, joint[:, -sed_grid().size :])
        # The mean of the best trial labels has less noise than the single best one.
        best = np.argsort(total)[:_BEST]
        fit = fitter.fit(values, weight, start=trial[best].mean(axis=0), errors=_TRIAL_ERRORS)
        labels[index], chi2[index] = fit.labels, fit.chi2 / values.size
    # At R = 500, lines of A0 stars look like those at 8000 K.  Such stars keep the labels of their
    # spectral type, unless the SED contradicts them.
    typed, fitted = (_mean_sed_chi2(fitter, stars, values) for values in (stars.labels, labels))
    early = (stars.labels[:, 0] > EARLY_TEFF) & (typed < fitted)
    labels = np.where(early[:, None], stars.labels, labels)
    sed_chi2 = np.where(early, typed, fitted)
    limit = np.where(labels[:, 0] > _HOT_TEFF, *_COARSE_SED_CHI2)
    return labels, (early | (chi2 < _COARSE_CHI2)) & (sed_chi2 < limit)


def _mean_sed_chi2(fitter, stars, labels):
    """Chi-square per sample of each star's SED against the model at its labels."""
    seds = fitter.emulator.mean(labels)[:, -sed_grid().size :]
    total = [_sed_chi2(stars, index, seds[index : index + 1])[0] for index in range(len(stars))]
    return np.array(total) * STEP / np.isfinite(stars.stis_sed).sum(axis=1)


def _trial_labels(labels, rng):
    """Labels spread over the library: those of models, moved towards a neighbour's."""
    scaled = scale_labels(labels)
    near = np.argsort(((scaled[:, None] - scaled[None]) ** 2).sum(axis=-1), axis=1)[:, 1:13]
    count = min(_TRIALS, _TRIALS_PER_MODEL * len(labels))
    first = rng.integers(0, len(labels), count)
    second = near[first, rng.integers(0, near.shape[1], count)]
    share = rng.uniform(0.0, 1.0, (count, labels.shape[1]))
    return labels[first] + share * (labels[second] - labels[first])


def _sed_chi2(stars, index, log_sed):
    """Chi-square of a star's SED against SEDs of models (N, 575), with free dust."""
    source, curve = stars.source[index], extinction_curve(sed_grid())
    splines = sed_splines()
    truth = sed_truth(index, splines, stars.stis_sed[index] - log_sed[0], source, EBV[source],
                      curve)
    rows = np.vstack([truth.nuisance, first_scatter() @ truth.design.T])
    inverse = np.linalg.inv(np.diag(truth.variance) + rows.T @ rows)
    known = np.flatnonzero(np.isfinite(stars.stis_sed[index]))[::STEP]
    data = truth.data + log_sed[0, known] - log_sed[:, known]
    return np.einsum("ni,ij,nj->n", data, inverse, data, optimize=True)
