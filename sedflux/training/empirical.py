r"""
What real stars add to the models: corrections of lines and SEDs, and their scatter.

Synthetic lines differ from real ones by a few percent, coherently, and so do SEDs
below 4500 Angstrom.  Both differences are smooth in the labels, so that stars with
published labels measure them.  The *input correction* is the mean difference
:math:`D(t)` of normalised spectra at labels :math:`t`; the *SED correction* is
:math:`S(t)`, the mean difference of ln(SED), from all truths at once, with the reddening of
each star, the errors of each source and a common error of MILES as unknowns.  Both
are cubic in (5040 K / TEFF, LOGG, MH) and fade where no star is near.  What is left of
each star, its *discrepancy*, is drawn anew for every training example: lines from the
residuals of stars with similar labels, SEDs from their covariance.

A library whose models carry the mean corrections is still a library: emulator, engine
and label fit use it as they use the synthetic one.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import BSpline

from sedflux.grids import input_grid, sed_grid
from sedflux.libraries.emulator import scale_labels
from sedflux.reddening import extinction_curve
from sedflux.training.examples import input_basis
from sedflux.training.stars import MILES_POWER, STIS_POWER
from sedflux.validation.labelfit import LabelFit

__all__ = ["Correction", "fit_correction", "label_terms", "sed_splines"]

#: Band against which colours are taken.
REFERENCE_BAND = "SDSS_R"
#: Degree of the corrections in the three leading labels.
DEGREE = 3
#: Leverage beyond which a correction fades: no star is near.
_LEVERAGE = 0.15
_NEIGHBOURS = 12
_SPLINES = 26
_ITERATIONS = 4
_COMPONENTS = 40
#: S/N that discrepancies leave to spectra at R = 500, and chi-square beyond which a star is odd.
_COARSE_SNR = 40.0
_COARSE_CHI2 = 2.0
#: Chi-square of the SED, a sample, beyond which labels of a coarse spectrum are wrong: above
#: `_HOT`, where models have the right SEDs, and below.
_COARSE_SHAPE, _HOT = (1.0, 3.0), 7000.0
#: Temperature above which the spectral type, good to 300 K, replaces coarse lines.
_EARLY, _EARLY_ERRORS = 8800.0, (300.0, 0.3)
#: Stars that must have measured a wavelength for the correction to hold there.
_FEWEST = 8
#: Trial labels for coarse spectra, how many of the best count, and how far lines may move them.
_TRIALS, _BEST = 20000, 10
_REFINE = np.array([150.0, 0.15, 0.15, 0.05, 0.05, 0.2])
_SEED = 11


def label_terms(labels):
    """
    Monomials up to the third degree in the scaled TEFF, LOGG and MH.

    Parameters
    ----------
    labels : array_like, shape (N, 6)

    Returns
    -------
    terms : `~numpy.ndarray`, shape (N, 20)
    """
    x, y, z = scale_labels(labels)[:, :3].T
    powers = [(a, b, c) for a in range(DEGREE + 1) for b in range(DEGREE + 1 - a)
              for c in range(DEGREE + 1 - a - b)]
    powers.sort(key=sum)
    return np.stack([x**a * y**b * z**c for a, b, c in powers], axis=1)


def warmth(labels):
    """
    Share that a star has in the warm class: the SEDs of cool ones scatter far more.

    Parameters
    ----------
    labels : array_like, shape (N, 6)

    Returns
    -------
    share : `~numpy.ndarray`, shape (N,)
        0 below 5200 K, 1 above 5600 K.
    """
    return np.clip((np.asarray(labels)[:, 0] - 5200.0) / 400.0, 0.0, 1.0)


def sed_splines():
    """
    Cubic B-splines in ln(wavelength) on the SED grid, shape (575, 26).
    """
    place = np.linspace(0.0, 1.0, sed_grid().size)
    inner = np.linspace(0.0, 1.0, _SPLINES - 2)
    knots = np.r_[[0.0] * 3, inner, [1.0] * 3]
    return BSpline.design_matrix(np.clip(place, 0.0, 1.0 - 1e-12), knots, 3).toarray()


@dataclass(frozen=True)
class Correction:
    """
    Mean corrections of a synthetic library, and the scatter of stars about them.

    Attributes
    ----------
    input_terms : `~numpy.ndarray`, shape (20, 2430)
        Coefficients of the correction of normalised spectra.
    sed_terms : `~numpy.ndarray`, shape (20, 575)
        Coefficients of the correction of ln(SED).
    spread : `~numpy.ndarray`, shape (20, 20)
        Inverse normal matrix of the terms, for the leverage.
    star_labels : `~numpy.ndarray`, shape (n, 6)
    residuals : `~numpy.ndarray`, shape (n, 2430)
        What the input correction leaves of each star's normalised spectrum.
    sed_factors : `~numpy.ndarray`, shape (2, r, 575)
        Rows of the covariance of ln(SED) of stars about the correction: cool and warm ones.
    sed_noise : `~numpy.ndarray`, shape (2, 575)
        Standard deviation that varies from sample to sample.
    """

    input_terms: np.ndarray
    sed_terms: np.ndarray
    spread: np.ndarray
    star_labels: np.ndarray
    residuals: np.ndarray
    sed_factors: np.ndarray
    sed_noise: np.ndarray

    def _faded(self, labels):
        """Terms, smaller where the stars say nothing."""
        terms = label_terms(labels)
        leverage = np.einsum("ni,ij,nj->n", terms, self.spread, terms)
        return terms * np.minimum(1.0, _LEVERAGE / leverage)[:, None]

    def input_correction(self, labels):
        """Correction of the normalised spectrum at labels (N, 6), shape (N, 2430)."""
        return self._faded(labels) @ self.input_terms

    def sed_correction(self, labels):
        """Correction of ln(SED) at labels (N, 6), shape (N, 575)."""
        return self._faded(labels) @ self.sed_terms

    def correct(self, library):
        """
        A library whose models carry the mean corrections.

        Parameters
        ----------
        library : `~sedflux.libraries.SpectralLibrary`
            Synthetic.

        Returns
        -------
        library : `~sedflux.libraries.SpectralLibrary`
        """
        lines = np.log1p(np.clip(self.input_correction(library.labels), -0.3, 0.3))
        shape = self.sed_correction(library.labels)
        wave = library.wavelength
        change = np.stack([np.interp(wave, input_grid(), row, left=0.0, right=0.0)
                           for row in lines])
        better = np.stack([np.interp(wave, sed_grid(), row) for row in shape])
        factor = 1.0 if library.sed_factor is None else library.sed_factor
        return replace(library, flux=(library.flux * np.exp(change)).astype(np.float32),
                       sed_factor=(factor * np.exp(better - change)).astype(np.float32))

    def draw(self, labels, rng):
        """
        Discrepancies of stars that nobody has seen.

        Parameters
        ----------
        labels : `~numpy.ndarray`, shape (N, 6)
        rng : `numpy.random.Generator`

        Returns
        -------
        lines : `~numpy.ndarray`, shape (N, 2430)
            Relative change of the spectrum.
        log_sed : `~numpy.ndarray`, shape (N, 575)
        """
        here, there = (scale_labels(values)[:, :3] for values in (labels, self.star_labels))
        distance = ((here[:, None] - there[None]) ** 2).sum(axis=-1)
        near = np.argpartition(distance, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
        mix = rng.standard_normal(near.shape) / np.sqrt(_NEIGHBOURS)
        weights = np.zeros((len(labels), len(self.residuals)), dtype=np.float32)
        np.put_along_axis(weights, near, mix.astype(np.float32), axis=1)
        warm = (rng.random(len(labels)) < warmth(labels)).astype(int)
        mix = rng.standard_normal((len(labels), self.sed_factors.shape[1]))
        sed = np.where(warm[:, None], mix @ self.sed_factors[1], mix @ self.sed_factors[0])
        sed += self.sed_noise[warm] * rng.standard_normal(sed.shape)
        return weights @ self.residuals, sed.astype(np.float32)


def _ridge(terms, values, penalty):
    """Coefficients, leave-one-out residuals and inverse normal matrix."""
    strength = penalty * np.arange(terms.shape[1]).clip(0, 1)
    inverse = np.linalg.inv(terms.T @ terms + np.diag(strength + 1e-6))
    coefficients = inverse @ (terms.T @ values)
    leverage = np.einsum("ni,ij,nj->n", terms, inverse, terms)
    return coefficients, (values - terms @ coefficients) / (1.0 - leverage)[:, None], inverse


def _label_steps(residual, slopes, precision, offset, variance, factor):
    """Generalised least squares for the labels of each star, with their priors."""
    steps = np.empty((len(residual), slopes.shape[0]))
    rows = factor / np.sqrt(variance)
    inner = np.linalg.inv(np.eye(len(rows)) + rows @ rows.T)
    for star, values in enumerate(residual):
        design = np.vstack([slopes[:, star], values]) / np.sqrt(variance)
        along = design @ rows.T
        gram = design @ design.T - along @ inner @ along.T
        prior = np.diag(precision[star])
        steps[star] = np.linalg.solve(gram[:-1, :-1] + prior,
                                      gram[:-1, -1] + prior @ offset[star])
    return steps


def _refine_labels(fitter, stars, low, high):
    """
    Labels of stars that agree with their lines, and the correction of those lines.

    Published labels fix the mean of the correction; given the correction, each
    star's own lines fix its labels far better than the publication.
    """
    published, labels = stars.labels, stars.labels.copy()
    precision = stars.label_errors**-2.0
    variance, factor = np.full(stars.normalised.shape[1], 0.01**2), np.zeros((0, 1))
    factor = np.zeros((0, variance.size))
    for _ in range(_ITERATIONS):
        model, slopes = fitter.models(labels)
        terms = label_terms(published)
        _, left, _ = _ridge(terms, stars.normalised - model, 10.0)
        steps = _label_steps(left, slopes, precision, published - labels, variance, factor)
        rest = left - np.einsum("nk,knp->np", steps, slopes)
        labels = np.clip(labels + steps, low, high)
        _, sizes, directions = np.linalg.svd(rest, full_matrices=False)
        factor = directions[:_COMPONENTS] * (sizes[:_COMPONENTS] / np.sqrt(len(rest)))[:, None]
        variance = np.maximum((rest**2).mean(axis=0) - (factor**2).sum(axis=0), 0.003**2)
    model, _ = fitter.models(labels)
    coefficients, rest, inverse = _ridge(label_terms(labels), stars.normalised - model, 10.0)
    return labels, coefficients, rest, inverse


@dataclass(frozen=True)
class _Truth:
    """Truth of one star as a linear Gaussian measurement of its spline coefficients."""

    design: np.ndarray
    data: np.ndarray
    variance: np.ndarray
    nuisance: np.ndarray
    star: int
    miles: bool


#: Errors that a source shares over wavelengths, as spline coefficients: blue, middle, red.
_SOURCE_ERRORS = {"MILES": (0.03, 0.008, 0.015), "CALSPEC": (0.01, 0.005, 0.01),
                  "NGSL": (0.02, 0.01, 0.02)}
#: What splines leave of a star's SED, by wavelength: lines too narrow for them.
_WHITE = ([2500.0, 3000.0, 3300.0, 4000.0, 4500.0], [0.12, 0.08, 0.04, 0.02, 0.01])
#: Penalty on terms of each degree in the second, fine step of the correction.
_FINE_PENALTY = np.repeat([0.3, 1.0, 6.0, 12.0], [1, 3, 6, 10])
#: Prior E(B-V) and its error: MILES (dereddened), unknown, and known.
_EBV = {"MILES": (0.0, 0.03), "CALSPEC": (0.015, 0.02), "NGSL": (0.02, 0.03), "known": 0.025}
_PHOTOMETRY_ERROR = 0.01
_STEP = 3


def _knot_values(blue, middle, red):
    """A quantity at every spline, interpolated between blue, middle and red."""
    centre = np.exp(np.interp(np.arange(_SPLINES), [0, _SPLINES - 1], np.log([2500.0, 10500.0])))
    return np.interp(centre, [3900.0, 4700.0, 6200.0, 7500.0], [blue, middle, middle, red])


def _sed_truth(star, splines, difference, source, ebv, curve, *, miles, more=None):
    """Measurement of one star by its SED; ``more`` are further common errors."""
    known = np.flatnonzero(np.isfinite(difference))[::_STEP]
    mean, error = ebv
    nuisance = np.vstack([np.ones(known.size), error * curve[known],
                          (_knot_values(*_SOURCE_ERRORS[source])[:, None] * splines.T[:, known])])
    if more is not None:
        nuisance = np.vstack([nuisance, more[:, known]])
    return _Truth(splines[known], difference[known] - mean * curve[known],
                  np.interp(sed_grid()[known], *_WHITE) ** 2, nuisance, star, miles)


def _band_weights(passbands):
    """Photon-counting weights of every band on the SED grid, the reference band last."""
    grid = sed_grid()
    order = [name for name in passbands if name != REFERENCE_BAND] + [REFERENCE_BAND]
    width = grid * np.gradient(np.log(grid))
    return np.stack([np.interp(grid, passbands[name][0], passbands[name][1].clip(min=0.0),
                               left=0.0, right=0.0) * grid * width for name in order])


def _color_truth(star, splines, weights, colors, log_sed, ebv, curve):
    """Measurement of one star by its colours against the reference band."""
    known = np.isfinite(colors)
    light = weights * np.exp(log_sed)
    response = light / light.sum(axis=1, keepdims=True)
    response = (response[:-1] - response[-1])[known]
    magnitudes = -2.5 * np.log10(light.sum(axis=1) / (weights / sed_grid() ** 2).sum(axis=1))
    model = magnitudes[:-1] - magnitudes[-1]
    offset = (colors - model)[known] * -0.4 * np.log(10.0)
    mean, error = ebv
    return _Truth(response @ splines, offset - mean * (response @ curve),
                  np.full(known.sum(), _PHOTOMETRY_ERROR**2),
                  (response @ (error * curve))[None], star, False)


def _truths(stars, log_sed, doubt, weights, names):
    """All measurements of all stars, relative to the models at their labels."""
    splines, curve = sed_splines(), extinction_curve(sed_grid())
    found = []
    for star in range(len(stars)):
        known = np.isfinite(stars.ebv[star])
        source = "NGSL" if stars.source[star] == "MILES" else stars.source[star]
        ebv = (max(stars.ebv[star], 0.0), _EBV["known"]) if known else _EBV[source]
        base = log_sed[star]
        if np.isfinite(stars.miles_sed[star]).any():
            found.append(_sed_truth(star, splines, stars.miles_sed[star] - base, "MILES",
                                    _EBV["MILES"], curve, miles=True))
        if np.isfinite(stars.stis_sed[star]).any():
            more = doubt[star] if stars.labels[star, 0] > _EARLY and source == "CALSPEC" else None
            found.append(_sed_truth(star, splines, stars.stis_sed[star] - base, source, ebv,
                                    curve, miles=False, more=more))
        elif np.isfinite(stars.magnitudes[star]).any():
            ordered = dict(zip(names, stars.magnitudes[star], strict=True))
            reference = ordered.pop(REFERENCE_BAND)
            colors = np.array(list(ordered.values())) - reference
            found.append(_color_truth(star, splines, weights, colors, base, ebv, curve))
    return found


def _information(truth, scatter):
    """Information of one measurement on its splines, and its weighted data."""
    rows = np.vstack([truth.nuisance, scatter @ truth.design.T]) / np.sqrt(truth.variance)
    inner = np.linalg.inv(np.eye(len(rows)) + rows @ rows.T)
    design = truth.design.T / np.sqrt(truth.variance)
    data = truth.data / np.sqrt(truth.variance)
    along, along_data = design @ rows.T, rows @ data
    return (design @ design.T - along @ inner @ along.T,
            design @ data - along @ (inner @ along_data))


def _solve_sed(truths, terms, scatters, warm):
    """
    Generalised least squares for the SED correction of all stars at once.

    Returns
    -------
    coefficients : `~numpy.ndarray`, shape (20, 26)
    """
    size = terms.shape[1] + 1
    normal = np.zeros((size, _SPLINES, size, _SPLINES))
    right = np.zeros((size, _SPLINES))
    for truth in truths:
        gram, data = _information(truth, scatters[int(warm[truth.star])])
        row = np.r_[terms[truth.star], float(truth.miles)]
        normal += row[:, None, None, None] * row[None, None, :, None] * gram[None, :, None, :]
        right += row[:, None] * data
    degree = np.r_[0, np.repeat([1, 2, 3], [3, 6, 10])]
    strength = _knot_values(0.3, 0.05, 0.08)[None] / (2.0**degree)[:, None]
    prior = np.vstack([strength, _knot_values(0.03, 0.01, 0.02)]) ** -2.0
    flat = normal.reshape(size * _SPLINES, -1) + np.diag(prior.ravel())
    return np.linalg.solve(flat, right.ravel()).reshape(size, _SPLINES)


def _star_scatter(truths, terms, coefficients, *, iterations=3, weight=10.0):
    """Covariance of stars about the correction (splines), from the complete truths alone."""
    start = _first_scatter().T @ _first_scatter()
    covariance = start
    for _ in range(iterations):
        total, count = weight * start, weight
        for truth in truths:
            if truth.miles:
                continue
            data = truth.data - truth.design @ (terms[truth.star] @ coefficients[:-1])
            noise = truth.nuisance.T @ truth.nuisance + np.diag(truth.variance)
            cross = covariance @ truth.design.T
            gain = np.linalg.solve(truth.design @ cross + noise, cross.T).T
            mean = gain @ data
            total = total + np.outer(mean, mean) + covariance - gain @ cross.T
            count += 1.0
        covariance = total / count
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0.0))).T[::-1]


def _fine_correction(stars, log_sed, terms, coarse, common):
    """
    What splines leave, wavelength by wavelength: lines in the SED that models lack.

    Every star's dust and scale are taken out by its own fit to the spline correction.

    Returns
    -------
    coefficients : `~numpy.ndarray`, shape (20, 575)
    left : `~numpy.ndarray`, shape (N, 575)
        What remains of the STIS stars.
    """
    curve, splines = extinction_curve(sed_grid()), sed_splines()
    left = np.stack([stars.stis_sed, stars.miles_sed - common]) - log_sed - terms @ coarse
    smooth = np.column_stack([curve, splines * _knot_values(0.05, 0.01, 0.02)])
    for row in left.reshape(-1, left.shape[-1]):
        known = np.isfinite(row)
        if known.any():
            weight = 1.0 / np.interp(sed_grid()[known], *_WHITE) ** 2
            design = smooth[known]
            normal = (design.T * weight) @ design + np.eye(design.shape[1])
            row -= smooth @ np.linalg.solve(normal, design.T @ (weight * row[known]))
    stacked = np.vstack([terms, terms])
    both = left.reshape(-1, left.shape[-1])
    coefficients = np.zeros((terms.shape[1], both.shape[1]))
    for sample in range(both.shape[1]):
        known = np.isfinite(both[:, sample])
        design = stacked[known]
        normal = design.T @ design + np.diag(_FINE_PENALTY)
        coefficients[:, sample] = np.linalg.solve(normal, design.T @ both[known, sample])
    return coefficients, left[0] - terms @ coefficients


def _rms(values):
    """Rms of each column over the rows that are known, 2 % where there are too few."""
    count = np.isfinite(values).sum(axis=0)
    square = np.nansum(values**2, axis=0) / np.maximum(count, 1)
    return np.where(count > 2, np.sqrt(square), 0.02)


def _first_scatter():
    """Where the search for the stars' scatter begins: smooth, a few percent."""
    size = _knot_values(0.05, 0.008, 0.012)
    near = np.exp(-0.5 * ((np.arange(_SPLINES)[:, None] - np.arange(_SPLINES)) / 2.0) ** 2)
    return np.linalg.cholesky(size[:, None] * near * size + 1e-8 * np.eye(_SPLINES)).T


def fit_correction(library, kernels, stars, passbands):
    """
    Measure what real stars add to a synthetic library.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        Training models.
    kernels : tuple of `~sedflux.libraries.emulator.Kernel`
    stars : `~sedflux.training.stars.RealStars`
        Without those that are to be left out.
    passbands : dict
        From `sedflux.training.stars.read_passbands`.

    Returns
    -------
    correction : `Correction`
    """
    low, high = library.labels.min(axis=0), library.labels.max(axis=0)
    sharp = stars.take(stars.source == "MILES")
    fitter = LabelFit(library, kernels, resolving_power=MILES_POWER)
    labels, input_terms, residuals, spread = _refine_labels(fitter, sharp, low, high)
    samples = sed_grid().size
    first = Correction(input_terms, np.zeros((len(input_terms), samples)), spread, labels,
                       residuals.astype(np.float32), np.zeros((2, 1, samples)),
                       np.zeros((2, samples)))
    every, coarse = sharp, stars.take(stars.source != "MILES")
    if len(coarse):
        fitted, kept = _coarse_labels(first.correct(library), kernels, coarse)
        rows = np.r_[np.flatnonzero(stars.source == "MILES"),
                     np.flatnonzero(stars.source != "MILES")[kept]]
        every, labels = stars.take(rows), np.vstack([labels, fitted[kept]])
    log_sed = fitter.emulator.mean(labels)[:, -samples:]
    doubt = np.stack([fitter.emulator.mean(labels + step)[:, -samples:] - log_sed
                      for step in np.diag([*_EARLY_ERRORS, 0, 0, 0, 0])[:2]], axis=1)
    truths = _truths(every, log_sed, doubt, _band_weights(passbands), list(passbands))
    terms, warm = first._faded(labels), warmth(labels) > 0.5
    scatters = [_first_scatter()] * 2
    for _ in range(_ITERATIONS):
        coefficients = _solve_sed(truths, terms, scatters, warm)
        scatters = [_star_scatter([truth for truth in truths if warm[truth.star] == kind], terms,
                                  coefficients) for kind in (False, True)]
    splines = sed_splines()
    coarse = coefficients[:-1] @ splines.T
    fine, left = _fine_correction(every, log_sed, terms, coarse, coefficients[-1] @ splines.T)
    noise = np.stack([_rms(left[warm == kind]) for kind in (False, True)])
    count = np.isfinite(every.stis_sed).sum(axis=0)
    known = np.flatnonzero(count >= min(_FEWEST, count.max()))
    # Beyond the reddest and bluest samples that HST has measured, the last value holds.
    held = np.clip(np.arange(samples), known[0], known[-1])
    return replace(first, sed_terms=(coarse + fine)[:, held], sed_noise=noise[:, held],
                   sed_factors=(np.stack(scatters) @ splines.T)[:, :, held])


def _coarse_labels(library, kernels, stars):
    """
    Labels of stars with coarse spectra through the corrected library; which to keep.

    Near 9000 K the same Balmer lines belong to two temperatures and coarse spectra cannot
    tell them apart, so labels are searched over the whole library by lines and the star's
    own SED together, within what dust and models may do, and then refined by the lines.
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
        # A dozen trial points around the best one: a mean is steadier than the best.
        best = np.argsort(total)[:_BEST]
        fit = fitter.fit(values, weight, start=trial[best].mean(axis=0), errors=_REFINE)
        labels[index], chi2[index] = fit.labels, fit.chi2 / values.size
    # Coarse lines of A0 stars look like those at 8000 K: there the spectral type says more,
    # unless the SED contradicts it.
    typed, fitted = (_shape_chi2(fitter, stars, values) for values in (stars.labels, labels))
    early = (stars.labels[:, 0] > _EARLY) & (typed < fitted)
    labels = np.where(early[:, None], stars.labels, labels)
    shape = np.where(early, typed, fitted)
    limit = np.where(labels[:, 0] > _HOT, *_COARSE_SHAPE)
    return labels, (early | (chi2 < _COARSE_CHI2)) & (shape < limit)


def _shape_chi2(fitter, stars, labels):
    """Chi-square a sample of each star's SED against the model at its labels."""
    seds = fitter.emulator.mean(labels)[:, -sed_grid().size :]
    total = [_sed_chi2(stars, index, seds[index : index + 1])[0] for index in range(len(stars))]
    return np.array(total) * _STEP / np.isfinite(stars.stis_sed).sum(axis=1)


def _trial_labels(labels, rng):
    """Labels spread over the library: each model's, moved towards another near it."""
    scaled = scale_labels(labels)
    near = np.argsort(((scaled[:, None] - scaled[None]) ** 2).sum(axis=-1), axis=1)[:, 1:13]
    first = rng.integers(0, len(labels), _TRIALS)
    second = near[first, rng.integers(0, near.shape[1], _TRIALS)]
    share = rng.uniform(0.0, 1.0, (_TRIALS, labels.shape[1]))
    return labels[first] + share * (labels[second] - labels[first])


def _sed_chi2(stars, index, log_sed):
    """How badly models' SEDs (N, 575) agree with a star's own, whatever its dust."""
    source, curve = stars.source[index], extinction_curve(sed_grid())
    splines = sed_splines()
    truth = _sed_truth(index, splines, stars.stis_sed[index] - log_sed[0], source, _EBV[source],
                       curve, miles=False)
    rows = np.vstack([truth.nuisance, _first_scatter() @ truth.design.T])
    inverse = np.linalg.inv(np.diag(truth.variance) + rows.T @ rows)
    known = np.flatnonzero(np.isfinite(stars.stis_sed[index]))[::_STEP]
    data = truth.data + log_sed[0, known] - log_sed[:, known]
    return np.einsum("ni,ij,nj->n", data, inverse, data, optimize=True)
