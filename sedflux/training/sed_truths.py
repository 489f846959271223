"""
Measured SEDs and colours of real stars, as one linear model of the correction.

Each truth measures a star's difference from the model at its labels, in splines of wavelength.
Its errors are those of the star's dust and scale, those that its source has in common at all
wavelengths, and independent ones.  Generalised least squares gives the correction for all stars
at once, with a common error of MILES as a further unknown.  The scatter of stars about it is
estimated by expectation-maximisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import cho_solve

from sedflux.libraries.labels import scale_labels
from sedflux.spectra.grids import SED_RANGE, sed_grid
from sedflux.spectra.reddening import extinction_curve
from sedflux.training.correction import SPLINES, sed_splines
from sedflux.training.johnson import color_responses, zero_points
from sedflux.training.miles_errors import COMMON_PRIOR, STAR_ERRORS, slopes
from sedflux.units import MAG_PER_LN

if TYPE_CHECKING:
    from sedflux.training.stars import RealStars
    from sedflux.training.types import BandWeights, Passbands

__all__ = ["MILES_ROWS", "Truth", "band_weights", "fine_correction", "first_scatter",
           "information", "measure",
           "predictive_chi2", "prior_size", "rms_of_known", "sed_truth", "solve_sed",
           "star_scatter", "truth_rows", "without_outliers"]

#: Band from which the magnitudes in all others are subtracted.
REFERENCE_BAND = "SDSS_R"
#: Temperature (K) above which stars with coarse spectra may keep the labels of their spectral type.
EARLY_TEFF = 8800.0


@dataclass(frozen=True)
class Truth:
    """A star's truth from one source: a linear Gaussian measurement of its spline coefficients."""

    design: np.ndarray
    data: np.ndarray
    variance: np.ndarray
    nuisance: np.ndarray
    star: int
    source: str


#: Errors that a source has in common at all wavelengths, as spline coefficients: blue, middle, red.
_SOURCE_ERRORS = {"MILES": STAR_ERRORS, "CALSPEC": (0.01, 0.005, 0.01),
                  "NGSL": (0.02, 0.01, 0.02)}
#: Rms of a star's SED about its splines, which do not resolve lines, by wavelength (Angstrom).
_SPLINE_RMS = ([2500.0, 3000.0, 3300.0, 4000.0, 4500.0], [0.12, 0.08, 0.04, 0.02, 0.01])
#: Penalty on the features in `fine_correction`.
_FINE_PENALTY = 4.0
#: Prior size of the correction: blue, middle, red.
_PRIOR = (0.12, 0.02, 0.03)
#: Unknowns of the common error: a constant, and slopes with temperature and gravity.
MILES_ROWS = 3
#: Chi-square per datum above which colours of a star get less weight.
_OUTLIER = 4.0
#: Prior E(B-V) and its error: MILES (dereddened), unknown, and known.
EBV: dict[str, Any] = {"MILES": (0.0, 0.03), "CALSPEC": (0.015, 0.02), "NGSL": (0.02, 0.03),
                       "known": 0.025}
#: Error (mag) of a measured colour.
_PHOTOMETRY_ERROR = 0.01
#: Every third sample of an SED is used: the splines are much broader.
STEP = 3


def _knot_values(blue, middle, red):
    """A quantity at every spline, interpolated between blue, middle and red."""
    centre = np.exp(np.interp(np.arange(SPLINES), [0, SPLINES - 1], np.log(SED_RANGE)))
    return np.interp(centre, [3900.0, 4700.0, 6200.0, 7500.0], [blue, middle, middle, red])


def sed_truth(star: int, splines: np.ndarray, difference: np.ndarray, source: str,
              ebv: tuple[float, float], curve: np.ndarray, *, more: np.ndarray | None = None
              ) -> Truth:
    """One star's truth from its SED; ``more`` are further common errors."""
    known = np.flatnonzero(np.isfinite(difference))[::STEP]
    mean, error = ebv
    nuisance = np.vstack([np.ones(known.size), error * curve[known],
                          (_knot_values(*_SOURCE_ERRORS[source])[:, None] * splines.T[:, known])])
    if more is not None:
        nuisance = np.vstack([nuisance, more[:, known]])
    return Truth(splines[known], difference[known] - mean * curve[known],
                  np.interp(sed_grid()[known], *_SPLINE_RMS) ** 2, nuisance, star, source)


def band_weights(passbands: Passbands) -> np.ndarray:
    """Photon-counting weights of every band on the SED grid, the reference band last."""
    grid = sed_grid()
    order = [name for name in passbands if name != REFERENCE_BAND] + [REFERENCE_BAND]
    width = grid * np.gradient(np.log(grid))
    return np.stack([np.interp(grid, passbands[name][0], passbands[name][1].clip(min=0.0),
                               left=0.0, right=0.0) * grid * width for name in order])


def _color_truth(star, splines, weights, colors, log_sed, ebv, curve):
    """One star's truth from its colours relative to the reference band."""
    known = np.isfinite(colors)
    light = weights * np.exp(log_sed)
    response = light / light.sum(axis=1, keepdims=True)
    response = (response[:-1] - response[-1])[known]
    magnitudes = -2.5 * np.log10(light.sum(axis=1) / (weights / sed_grid() ** 2).sum(axis=1))
    model = magnitudes[:-1] - magnitudes[-1]
    offset = -(colors - model)[known] / MAG_PER_LN
    mean, error = ebv
    return Truth(response @ splines, offset - mean * (response @ curve),
                  np.full(known.sum(), _PHOTOMETRY_ERROR**2),
                  (response @ (error * curve))[None], star, "COLOR")


def _johnson_truth(star, splines, responses, offset, errors, ebv, curve):
    """One star's truth from its Johnson colours, relative to those of its model."""
    known = np.isfinite(offset)
    response, (mean, error) = responses[known], ebv
    return Truth(response @ splines, offset[known] - mean * (response @ curve),
                 errors[known] ** 2, (error * (response @ curve))[None], star, "JOHNSON")


def measure(stars: RealStars, log_sed: np.ndarray, label_changes: np.ndarray,
            weights: np.ndarray, names: Sequence[str], johnson: BandWeights | None = None
            ) -> list[Truth]:
    """
    The truths of all stars, relative to the models at their labels.

    Parameters
    ----------
    stars : `~sedflux.training.stars.RealStars`
    log_sed : `~numpy.ndarray`, shape (N, 575)
        Models at the stars' labels.
    label_changes : `~numpy.ndarray`, shape (N, 2, 575)
        Changes of ln(SED) for errors of TEFF and LOGG of early stars with coarse spectra.
    weights, names
        From `band_weights`, and the names of the bands of the photometry.
    johnson : dict, optional
        From `~sedflux.training.johnson.johnson_weights`.

    Returns
    -------
    truths : list of `Truth`
    """
    splines, curve = sed_splines(), extinction_curve(sed_grid())
    slope = slopes()
    found = []
    for star in range(len(stars)):
        known = np.isfinite(stars.ebv[star])
        source = "NGSL" if stars.source[star] == "MILES" else stars.source[star]
        ebv = (max(stars.ebv[star], 0.0), EBV["known"]) if known else EBV[source]
        base = log_sed[star]
        if np.isfinite(stars.miles_sed[star]).any():
            found.append(sed_truth(star, splines, stars.miles_sed[star] - base, "MILES",
                                   EBV["MILES"], curve, more=slope[None]))
        if np.isfinite(stars.stis_sed[star]).any():
            early = stars.labels[star, 0] > EARLY_TEFF and source == "CALSPEC"
            found.append(sed_truth(star, splines, stars.stis_sed[star] - base, source, ebv,
                                   curve, more=label_changes[star] if early else None))
        elif np.isfinite(stars.magnitudes[star]).any():
            ordered = dict(zip(names, stars.magnitudes[star], strict=True))
            reference = ordered.pop(REFERENCE_BAND)
            colors = np.array(list(ordered.values())) - reference
            found.append(_color_truth(star, splines, weights, colors, base, ebv, curve))
    if johnson is not None:
        found += _johnson_truths(stars, log_sed, splines, curve, johnson)
    return found


def _johnson_truths(stars, log_sed, splines, curve, weights):
    """Truths from Johnson colours, with the zero points of `zero_points`."""
    synthetic, responses = color_responses(log_sed, weights)
    dust = stars.dust[:, :1] * (responses @ curve)
    residual = synthetic + dust - stars.johnson
    offset = zero_points(stars.johnson, stars.johnson_zero, residual) - residual + dust
    return [_johnson_truth(star, splines, responses[star], offset[star],
                           stars.johnson_error[star], stars.dust[star], curve)
            for star in np.flatnonzero(np.isfinite(offset).any(axis=1))]


def _information(truth, scatter):
    """Information of one truth on its splines, and its weighted data."""
    rows = np.vstack([truth.nuisance, scatter @ truth.design.T]) / np.sqrt(truth.variance)
    inner = np.linalg.inv(np.eye(len(rows)) + rows @ rows.T)
    design = truth.design.T / np.sqrt(truth.variance)
    data = truth.data / np.sqrt(truth.variance)
    along, along_data = design @ rows.T, rows @ data
    return (design @ design.T - along @ inner @ along.T,
            design @ data - along @ (inner @ along_data))


def _accumulate(rows, grams, data):
    """Normal matrix (m, 26, m, 26) and right side (m, 26) of truths with rows (n, m)."""
    size = rows.shape[1]
    # No -1 in these shapes, because there may be no truth at all.
    pairs = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), size**2)
    normal = (pairs.T @ grams.reshape(len(rows), SPLINES**2)).reshape(
        size, size, SPLINES, SPLINES)
    return normal.transpose(0, 2, 1, 3), rows.T @ data


def truth_rows(truths: Sequence[Truth], features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """
    Design rows of the truths: features of the star, and terms of the common error of MILES.

    The common error is linear in the scaled temperature and gravity.

    Returns
    -------
    rows : `~numpy.ndarray`, shape (n, M + 3)
    """
    stars = np.array([truth.star for truth in truths])
    miles = np.array([truth.source == "MILES" for truth in truths], dtype=float)
    common = np.column_stack([np.ones(len(labels)), scale_labels(labels)[:, :2]])
    return np.column_stack([features[stars], miles[:, None] * common[stars]])


def information(truths: Sequence[Truth], scatters: Sequence[np.ndarray], shares: np.ndarray
                ) -> tuple[np.ndarray, np.ndarray]:
    """
    Information of every truth on its splines, and its weighted data.

    Parameters
    ----------
    truths : list of `Truth`
    scatters : sequence of `~numpy.ndarray`
        Rows of the covariance of stars about the correction, by class of stars.
    shares : `~numpy.ndarray`, shape (N, classes)
        Share that each star has in each class.

    Returns
    -------
    grams : `~numpy.ndarray`, shape (n, 26, 26)
    data : `~numpy.ndarray`, shape (n, 26)
    """
    kinds = shares.argmax(axis=1)
    parts = [_information(truth, scatters[kinds[truth.star]]) for truth in truths]
    return np.stack([gram for gram, _ in parts]), np.stack([data for _, data in parts])


def prior_size(amplitude: float) -> np.ndarray:
    """Standard deviation of the correction under its prior, spline by spline (26,)."""
    return amplitude * _knot_values(*_PRIOR)


def solve_sed(rows: np.ndarray, grams: np.ndarray, data: np.ndarray, amplitude: float
              ) -> tuple[np.ndarray, np.ndarray]:
    """
    Generalised least squares for the SED correction of all stars at once.

    Parameters
    ----------
    rows : `~numpy.ndarray`, shape (n, M + 3)
        From `truth_rows`.
    grams, data
        From `information`.
    amplitude : float
        Size of the correction under its prior, in units of the prior sizes of this module.

    Returns
    -------
    coefficients : `~numpy.ndarray`, shape (M + 3, 26)
        The last `MILES_ROWS` are those of the common error of MILES.
    root : `~numpy.ndarray`, shape ((M + 3) * 26, (M + 3) * 26)
        Cholesky factor of the precision, for draws.
    """
    normal, right = _accumulate(rows, grams, data)
    size = rows.shape[1]
    prior = np.tile(prior_size(amplitude), (size, 1))
    prior[-MILES_ROWS:] = _knot_values(*COMMON_PRIOR)
    flat = normal.reshape(size * SPLINES, -1) + np.diag(prior.ravel() ** -2.0)
    root = np.linalg.cholesky(flat)
    solved = cho_solve((root, True), right.ravel())
    return solved.reshape(size, SPLINES), root


def predictive_chi2(truth: Truth, row: np.ndarray, coefficients: np.ndarray, scatter: np.ndarray
                    ) -> float:
    """Chi-square per datum of one truth about the correction."""
    left = truth.data - truth.design @ (row @ coefficients)
    rows = np.vstack([truth.nuisance, scatter @ truth.design.T])
    covariance = rows.T @ rows + np.diag(truth.variance)
    return float(left @ np.linalg.solve(covariance, left)) / left.size


def without_outliers(truths: Sequence[Truth], rows: np.ndarray, coefficients: np.ndarray,
                     scatters: Sequence[np.ndarray], shares: np.ndarray) -> list[Truth]:
    """Increase the variance of colours that lie further from the correction than their errors."""
    kinds, found = shares.argmax(axis=1), []
    for truth, row in zip(truths, rows, strict=True):
        if truth.source in ("JOHNSON", "COLOR"):
            chi2 = predictive_chi2(truth, row, coefficients, scatters[kinds[truth.star]])
            truth = replace(truth, variance=truth.variance * max(1.0, (chi2 / _OUTLIER) ** 2))
        found.append(truth)
    return found


def star_scatter(truths: Sequence[Truth], rows: np.ndarray, coefficients: np.ndarray, *,
                 iterations: int = 3, weight: float = 10.0) -> np.ndarray:
    """Root of the covariance of stars about the correction, in splines, without MILES fluxes."""
    root = first_scatter()
    start = root.T @ root
    covariance = start
    for _ in range(iterations):
        total, count = weight * start, weight
        for truth, row in zip(truths, rows, strict=True):
            if truth.source == "MILES":
                continue
            data = truth.data - truth.design @ (row @ coefficients)
            noise = truth.nuisance.T @ truth.nuisance + np.diag(truth.variance)
            cross = covariance @ truth.design.T
            gain = np.linalg.solve(truth.design @ cross + noise, cross.T).T
            mean = gain @ data
            total = total + np.outer(mean, mean) + covariance - gain @ cross.T
            count += 1.0
        covariance = total / count
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0.0))).T[::-1]


def fine_correction(stars: RealStars, log_sed: np.ndarray, features: np.ndarray, coarse: np.ndarray
                    ) -> tuple[np.ndarray, np.ndarray]:
    """
    Correction of narrow features in the SED, which the splines do not resolve.

    The dust and the scale of each star are fitted and removed first.

    Returns
    -------
    coefficients : `~numpy.ndarray`, shape (M, 575)
    left : `~numpy.ndarray`, shape (N, 575)
        Residuals of the stars with STIS SEDs.
    """
    curve, splines = extinction_curve(sed_grid()), sed_splines()
    left = np.stack([stars.stis_sed, stars.miles_sed]) - log_sed - features @ coarse
    smooth = np.column_stack([curve, splines * _knot_values(0.05, 0.01, 0.02)])
    for row in left.reshape(-1, left.shape[-1]):
        known = np.isfinite(row)
        if known.any():
            weight = 1.0 / np.interp(sed_grid()[known], *_SPLINE_RMS) ** 2
            design = smooth[known]
            normal = (design.T * weight) @ design + np.eye(design.shape[1])
            row -= smooth @ np.linalg.solve(normal, design.T @ (weight * row[known]))
    stacked = np.vstack([features, features])
    both = left.reshape(-1, left.shape[-1])
    coefficients = np.zeros((features.shape[1], both.shape[1]))
    for sample in range(both.shape[1]):
        known = np.isfinite(both[:, sample])
        design = stacked[known]
        normal = design.T @ design + _FINE_PENALTY * np.eye(design.shape[1])
        coefficients[:, sample] = np.linalg.solve(normal, design.T @ both[known, sample])
    return coefficients, left[0] - features @ coefficients


def rms_of_known(values: np.ndarray) -> np.ndarray:
    """Rms of each column over its finite rows; 2 % where there are fewer than three."""
    count = np.isfinite(values).sum(axis=0)
    square = np.nansum(values**2, axis=0) / np.maximum(count, 1)
    return np.where(count > 2, np.sqrt(square), 0.02)


def first_scatter() -> np.ndarray:
    """Scatter of stars with which the iteration starts: smooth, a few percent."""
    size = _knot_values(0.05, 0.008, 0.012)
    near = np.exp(-0.5 * ((np.arange(SPLINES)[:, None] - np.arange(SPLINES)) / 2.0) ** 2)
    return np.linalg.cholesky(size[:, None] * near * size + 1e-8 * np.eye(SPLINES)).T
