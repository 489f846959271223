"""Gauss-Newton iterations of a response fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from sedflux.exceptions import InputError, SedfluxWarning
from sedflux.response.common_rows import sed_columns
from sedflux.response.common_terms import (
    changed_stars,
    fitted_names,
    fitted_rows,
    term_step,
    term_table,
)
from sedflux.response.convergence import has_converged, warn_of_step
from sedflux.response.curve import ResponseCurve
from sedflux.response.diagnostics import CHECKED_STARS, warn_of_causes
from sedflux.response.error_factor import ErrorFactor
from sedflux.response.evidence import solve
from sedflux.response.extrapolation import Extrapolation
from sedflux.response.field_terms import FieldTerms
from sedflux.response.model import ResponseModel, response_model
from sedflux.response.options import Options
from sedflux.response.outliers import RobustWeights, check_agreement, robust_weights
from sedflux.response.patterns import (
    FitPatterns,
    instrument_columns,
    measured_stars,
    places_of_stars,
)
from sedflux.response.problem import LinearProblem
from sedflux.response.result import response_curve
from sedflux.response.second_errors import mixed_errors
from sedflux.response.solve import Mapper, normal_equations, star_statistics
from sedflux.response.star_arrays import StarArrays
from sedflux.response.start import starting_coefficients

__all__ = ["ResponseFit", "fit_stars"]

#: Largest change of ln T in one step.
_MAX_STEP = 1.0
#: Smallest variance of a pixel, relative to that in its spectrum.
_MIN_VARIANCE = 1e-12
#: Largest relative error that a shift of the wavelengths may cause.
_MAX_SHIFT_ERROR = 0.5
#: Largest ratio of the prior variances of second differences, between curved and flat parts.
_MAX_BEND = 1e4
#: Number of stars in the first fit, which gives the starting curve if there are many stars.
_FIRST_FIT_STARS = 120
#: Largest deviation of a pixel that is told, in sigma: single precision holds its square.
_MAX_PULL = 1e15
#: Most steps of the parameters of the instrument.
_TERM_STEPS = 12


def fit_stars(stars: StarArrays, options: Options, *, field: FieldTerms | None = None,
              terms: np.ndarray | None = None,
              fwhm: Callable[[np.ndarray], np.ndarray] | None = None,
              mapper: Mapper = map) -> ResponseCurve:
    """
    Fit a response to arrays of stars: the part of `fit_response` after its checks.

    Parameters
    ----------
    stars : `~sedflux.response.star_arrays.StarArrays`
    options : `~sedflux.response.options.Options`
    field : `~sedflux.FieldTerms`, optional
    terms : `~numpy.ndarray`, shape (N, q), optional
        Values of the field terms.
    fwhm : callable, optional
        FWHM of the line-spread function at wavelengths in Angstrom.
    mapper : callable, optional
        See `~sedflux.response.solve.normal_equations`.

    Returns
    -------
    response : `ResponseCurve`
    """
    model = response_model(stars, knot_spacing=options.knot_spacing, field=field, terms=terms,
                           fwhm=fwhm)
    whole = ResponseFit(stars, options, model, mapper)
    names = fitted_names(stars, options.common)
    start = _first_fit(whole, field, terms, fwhm)
    if not names or len(stars) < CHECKED_STARS:
        return whole.run(start)
    return _fit_terms(whole, start, names)


def _first_fit(whole, field, terms, fwhm):
    """A fit to some of many stars, which gives a good starting curve in less time; or None."""
    stars, options, model = whole.stars, whole.options, whole.model
    if len(stars) < 3 * _FIRST_FIT_STARS:
        return None
    rows = np.linspace(0, len(stars) - 1, _FIRST_FIT_STARS).astype(int)
    some = stars.take(rows)
    first = ResponseFit(some, options, response_model(
        some, field=field, terms=None if terms is None else terms[rows], fwhm=fwhm,
        knots=model.knots))
    try:
        first.iterate()
        first.check_agreement()
    except InputError:
        return None
    return first


def _fit_terms(whole, start, names):
    """Fit parameters of the instrument, too: see `sedflux.response.common_terms`."""
    base, options, model, values = whole.stars, whole.options, whole.model, np.zeros(len(names))
    fit, present = start, whole
    for _ in range(_TERM_STEPS):
        curve = present.result(*present.iterate(fit))
        step = term_step(curve.problem, names, values)
        if step.converged:
            present.check_agreement()
            return present.tested(replace(
                curve, common=term_table(step, names, options.common),
                systematics=dict(curve.systematics) | fitted_rows(
                    curve.problem, step, names, model.spline)))
        values = step.values
        fit, present = present, ResponseFit(changed_stars(base, names, values), options, model,
                                            whole._mapper)
    said = ", ".join(f"{name} {value:.2g}" for name, value in zip(names, values, strict=True))
    warnings.warn(f"the fit of {', '.join(names)} does not converge (last: {said}); they stay "
                  "errors of the budget.  Check dispersion and line-spread function, or fit fewer",
                  SedfluxWarning, stacklevel=4)
    return ResponseFit(base, options, model, whole._mapper).run(start)


class ResponseFit:
    """
    One fit by Gauss-Newton steps, with weights from the residuals.

    Parameters
    ----------
    stars : `~sedflux.response.star_arrays.StarArrays`
    options : `~sedflux.response.options.Options`
    model : `~sedflux.response.model.ResponseModel`
    mapper : callable, optional
        See `~sedflux.response.solve.normal_equations`.

    Attributes
    ----------
    coefficients : `~numpy.ndarray`, shape (n,)
        Current solution.
    robust : `~sedflux.response.outliers.RobustWeights`
    roughness_weight : `~numpy.ndarray`, shape (k - 2,)
        Factor on the inverse prior variance of each second difference.
    """

    def __init__(self, stars: StarArrays, options: Options, model: ResponseModel,
                 mapper: Mapper = map) -> None:
        self.stars, self.options, self.model, self._mapper = stars, options, model, mapper
        self.coefficients = np.zeros(model.design.size)
        self.robust = RobustWeights.ones(stars.rate.size, len(stars))
        self.roughness_weight = np.ones(model.k - 2)
        self._noise = stars.noise_models()
        self._state = np.empty_like(stars.rate), np.empty_like(stars.rate)
        self._factor, self._diagonal = self._errors()
        self._parts = stars.parts

    def run(self, start: ResponseFit | None = None) -> ResponseCurve:
        """
        Iterate to convergence, and test the fit.

        Parameters
        ----------
        start : `ResponseFit`, optional
            A fit of the same model to other stars, as a start.

        Returns
        -------
        response : `ResponseCurve`
        """
        curve = self.result(*self.iterate(start))
        self.check_agreement()
        return self.tested(curve)

    def tested(self, curve: ResponseCurve) -> ResponseCurve:
        """The response; warns of what its tests find."""
        warn_of_step(self.model, self.stars.nodes, *self._last)
        if self.options.robust and np.isfinite(self.robust.inflation).sum() >= CHECKED_STARS:
            warn_of_causes(curve.diagnostics())
        return curve

    def iterate(self, start: ResponseFit | None = None) -> tuple[np.ndarray, float]:
        """
        Iterate to convergence.

        Parameters
        ----------
        start : `ResponseFit`, optional
            A fit of the same model to other stars, as a start.

        Returns
        -------
        inverse : `~numpy.ndarray`, shape (n, n)
            Posterior inverse covariance of the coefficients.
        smoothness : float
        """
        if start is None:
            self.coefficients = starting_coefficients(self.stars, self.model)
            min_steps, first_robust, robust_steps = 3, 1, 7
        else:
            self.coefficients, self.roughness_weight = start.coefficients, start.roughness_weight
            min_steps, first_robust, robust_steps = 1, 0, 3
        used: np.ndarray | None = None
        extrapolation = Extrapolation()
        for step in range(self.options.iterations):
            state = self._linearise()
            if self.options.robust and first_robust <= step < first_robust + robust_steps:
                self._reweight(state)
            normal, right = self._normal_equations(state)
            new, inverse, smoothness = solve(
                normal, right, self.coefficients, self.model.prior(self.roughness_weight),
                self.options.smoothness)
            change = np.clip(new - self.coefficients, -_MAX_STEP, _MAX_STEP)
            new = self.coefficients + change
            if (start is not None and step >= first_robust + robust_steps - 1
                    and np.abs(change).max() < _MAX_STEP):
                # From here on the weights stay.  Fits of few stars end well within their errors.
                new = extrapolation.next_point(self.coefficients, change, inverse)
                new = self.coefficients + np.clip(new - self.coefficients, -_MAX_STEP, _MAX_STEP)
            self.coefficients = new
            if step == 2 and start is None:
                self._adapt_roughness()
            former, used = used, np.isfinite(self.robust.inflation)
            settled = former is not None and np.array_equal(former, used)
            if step > min_steps and settled and has_converged(self.model, change, inverse):
                break
        self._last = change, inverse
        return inverse, smoothness

    def _linearise(self):
        """Expected counts of the first order and variances, in the place of those of the last step.

        Errors that depend on the response follow it.
        """
        stars, shift = self.stars, self._factor.shift
        first, variance = self._state
        for rows, pixels, density, rate in stars.rates(
                lambda rows: self.model.throughput(self.coefficients, rows)):
            first[pixels], variance[pixels] = rate, self._variance(rate, pixels)
            if shift is not None:
                shift[rows] = self._shift_errors(density)
        if stars.second_errors is not None:
            self._mix_errors(first, variance)
        return first, variance

    def _variance(self, first, pixels):
        """Variances of the counts of some pixels, from the expected counts of the first order."""
        # Variances from noisy counts favour pixels with low counts, which would bias the
        # response; variances from the expected counts do not.
        stars, given = self.stars, self.stars.variance[pixels]
        a, b = (one[stars.star[pixels]] for one in self._noise)
        whole = first + stars.second[pixels] + stars.background
        return np.maximum(np.where(np.isfinite(a), a + b * whole, given), _MIN_VARIANCE * given)

    def _mix_errors(self, first, variance):
        """Errors of the SEDs in the light of both orders."""
        factor, self._diagonal, self._parts = mixed_errors(self.stars, first, variance)
        if self.options.covariance == "diagonal":
            self._diagonal = self._diagonal + np.square(factor, dtype=float).sum(axis=1)
        else:
            self._factor = replace(self._factor, sed=factor)

    def _errors(self):
        """Factor and diagonal; errors that depend on the response are zero here."""
        stars, options = self.stars, self.options
        factor, diagonal = stars.factor, stars.diagonal
        if options.covariance == "diagonal":
            diagonal = diagonal + np.square(factor, dtype=float).sum(axis=1)
            factor = factor[:, :0]
        shift = None
        if options.shift_error > 0:
            shift = np.zeros(diagonal.shape, dtype=np.float32)
        return ErrorFactor(factor, options.grey_error, shift), diagonal

    def _shift_errors(self, density):
        """Relative errors at the nodes from the wavelength zero points, (N, g)."""
        fine, nodes = self.stars.fine, self.stars.nodes
        index = np.clip(np.searchsorted(fine, nodes), 1, fine.size - 2)
        after, before = (np.log(np.maximum(density[:, index + one], 1e-300)) for one in (1, -1))
        slope = (after - before) / (fine[index + 1] - fine[index - 1])
        return np.clip(self.options.shift_error * slope, -_MAX_SHIFT_ERROR, _MAX_SHIFT_ERROR)

    def _at_nodes(self, state):
        """Weights and residuals at the nodes."""
        weight, residual = (np.empty((len(self.stars), self.stars.nodes.size)) for _ in range(2))
        for rows, pixels in self.stars.blocks():
            first, variance = (one[pixels] for one in state)
            share = self.robust.pixel[pixels] * first / variance
            weight[rows], data = self.stars.block_to_nodes(
                rows, pixels, share * first, share * (self.stars.first_rate(pixels) - first))
            residual[rows] = np.divide(data, weight[rows], out=np.zeros_like(data),
                                       where=weight[rows] > 0)
        return weight, residual

    def _normal_equations(self, state):
        weight, residual = self._at_nodes(state)
        return normal_equations(self.model.design, self._factor, weight, self._diagonal, residual,
                                self.robust.inflation, mapper=self._mapper)

    def _statistics(self, weight, residual):
        return star_statistics(self._factor, weight, self._diagonal, residual, mapper=self._mapper)

    def _pulls(self, state, explained):
        """Deviations of the pixels from the SED errors (N, g) at the nodes, in sigma."""
        # In single precision: weights take several arrays of this size at once.
        pull = np.empty(self.stars.rate.shape, dtype=np.float32)
        for rows, pixels in self.stars.blocks():
            first, variance = (one[pixels] for one in state)
            common, own = (self.stars.at_pixels(rows, pixels, values[rows])
                           for values in (explained, self._diagonal))
            # Where no light is expected, rounding leaves any sign.
            left = self.stars.first_rate(pixels) - first * (1.0 + common)
            pull[pixels] = np.clip(left / np.sqrt(variance + first**2 * own),
                                   -_MAX_PULL, _MAX_PULL)
        return pull

    def _adapt_roughness(self):
        """Reduce the smoothness prior where the spline is curved: at the edges of a band."""
        bend = np.diff(self.coefficients[: self.model.k], n=2) ** 2
        bend = uniform_filter1d(bend, 5, mode="nearest")
        middle = max(np.median(bend), 1e-16)
        self.roughness_weight = 1.0 / (1.0 + np.minimum(bend / middle, _MAX_BEND))

    def _reweight(self, state):
        """Weights of pixels and stars from the current residuals."""
        weight, residual = self._at_nodes(state)
        found = self._statistics(weight, residual)
        pull = self._pulls(state, residual - found.residual)
        self.robust = robust_weights(found, pull, self.stars.star)

    def check_agreement(self) -> None:
        """Refuse stars with SEDs of other stars; warn if errors are too small."""
        if self.options.robust:
            check_agreement(self.robust)

    def _patterns(self, state):
        """What common errors do to the counts of the stars."""
        rows = measured_stars(np.flatnonzero(np.isfinite(self.robust.inflation)))
        weight = self.robust.pixel / state[1]
        stars = self.stars
        if rows.size < len(stars):
            stars, weight = stars.take(rows), weight[stars.pixels_of(rows)]
        terms = self.model.design.terms[rows]
        model = replace(self.model, design=replace(self.model.design, terms=terms))
        columns = instrument_columns(
            stars, lambda part: model.throughput(self.coefficients, part), weight=weight,
            pixel=stars.pixel_width, line_spread=stars.line_spread)
        dust = sed_columns(stars, second=columns.get("second_order"))
        return FitPatterns(rows, columns | dust, **places_of_stars(stars),
                           deviation=max(self.robust.noise_scale, self.robust.sed_scale))

    def result(self, inverse: np.ndarray, smoothness: float) -> ResponseCurve:
        """
        The response at the current coefficients.

        Parameters
        ----------
        inverse, smoothness
            From `iterate`.

        Returns
        -------
        response : `ResponseCurve`
        """
        state = self._linearise()
        weight, residual = self._at_nodes(state)
        found = self._statistics(weight, residual)
        problem = LinearProblem(
            np.array(self.stars.name), self._parts, self.options, self.model.design,
            self._factor, weight, self._diagonal, residual, self.robust.inflation,
            self.robust.spread, inverse,
            self.model.prior(self.roughness_weight).inverse(smoothness), self._patterns(state))
        return response_curve(
            problem, self.model, self.stars, self.robust, found=found,
            pull=self._pulls(state, residual - found.residual), coefficients=self.coefficients,
            smoothness=smoothness)

