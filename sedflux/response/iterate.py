"""Gauss-Newton iterations of a response fit."""

import warnings
from dataclasses import replace

import numpy as np
from astropy import units as u
from astropy.table import Table
from scipy.ndimage import uniform_filter1d
from scipy.stats import chi2 as chi2_distribution

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError, SedfluxWarning
from sedflux.response.curve import ResponseCurve, spline_basis
from sedflux.response.field_terms import FieldTerms
from sedflux.response.outliers import Rejection, find_rejections, noise_models
from sedflux.response.problem import LinearProblem
from sedflux.response.solve import (
    Design,
    SmoothnessPrior,
    normal_equations,
    root_of_inverse,
    solve,
    star_information,
    star_statistics,
)
from sedflux.response.systematics import common_errors
from sedflux.spectra.grids import interpolation_matrix

__all__ = ["ResponseFit", "fit_stars", "spline_knots"]

#: Residuals beyond this many sigma begin to lose weight (Huber 1964).
_HUBER = 3.0
#: Relative width over which expected counts must reach this precision to be trusted.
_PRECISION = 0.1
#: Largest change of ln T in one step.
_STEP = 1.0
_FLOOR = 1e-3
#: Median of the modulus of a standard normal variable.
_MEDIAN = 0.6745
#: Deviations that all stars share, in units of the errors: worth a warning, and an error.
_WARN_DEVIATION, _MAX_DEVIATION = 2.0, 8.0
#: Most knots of a spline (a fit takes minutes), and most values of its basis on the fine grid
#: (1.6 GB): many times those of any slitless spectrograph.
_MAX_KNOTS, _MAX_BASIS_VALUES = 3000, 200_000_000
#: Stars of the first fit that gives the starting curve, where there are many stars.
_FIRST_FIT_STARS = 120


def spline_knots(nodes: np.ndarray, fine: np.ndarray, spacing: float) -> np.ndarray:
    """
    Knots of the cubic spline of ln(response).

    Parameters
    ----------
    nodes : `~numpy.ndarray`, shape (g,)
        Ascending wavelengths in Angstrom, from the first pixel to the last.
    fine : `~numpy.ndarray`, shape (m,)
        Wavelengths of the fine grid, which may reach further.
    spacing : float
        Largest distance of the knots in Angstrom.

    Returns
    -------
    knots : `~numpy.ndarray`
        Evenly spaced, the first and the last four times.

    Raises
    ------
    sedflux.exceptions.InputError
        If there are too many of them.
    """
    low, high = nodes[[0, -1]]
    # Light from beyond the last pixels reaches them through the line-spread function.
    beyond = max(low - fine[0], 0.0), max(fine[-1] - high, 0.0)
    most = min(_MAX_KNOTS, _MAX_BASIS_VALUES // fine.size)
    if (high - low + sum(beyond)) / spacing > most:
        raise InputError(
            f"knot_spacing is {spacing:.3g} Angstrom: at {low:.0f}-{high:.0f} Angstrom these are "
            f"more than {most} knots; {(high - low + sum(beyond)) / most:.2g} Angstrom or more "
            "are allowed, and less than a resolution element gains nothing")
    intervals = max(int(np.ceil((high - low) / spacing)), 4)
    spacing = (high - low) / intervals
    before, after = (int(np.ceil(length / spacing)) for length in beyond)
    inner = low + spacing * np.arange(-before, intervals + after + 1)
    return np.r_[[inner[0]] * 3, inner, [inner[-1]] * 3]


def fit_stars(stars, options, *, field=None, terms=None, fwhm=None):
    """
    Fit stars that are arrays already; what `fit_response` does after its checks.

    Parameters
    ----------
    stars : `~sedflux.response.stars.Stars`
    options : `Options`
    field : `FieldTerms`, optional
    terms : `~numpy.ndarray`, shape (N, q), optional
        Values of the field terms.
    fwhm : callable, optional
        FWHM of the line-spread function at wavelengths in Angstrom.

    Returns
    -------
    response : `ResponseCurve`
    """
    field = field or FieldTerms()
    whole = ResponseFit(stars, options, field, terms, fwhm)
    if len(stars) < 3 * _FIRST_FIT_STARS:
        return whole.run()
    # Some of many stars show already where the response lies.
    rows = np.linspace(0, len(stars) - 1, _FIRST_FIT_STARS).astype(int)
    part = ResponseFit(stars.take(rows), options, field, None if terms is None else terms[rows],
                       fwhm, knots=whole.knots)
    try:
        part.run()
    except InputError:
        return whole.run()
    return whole.run(part)


class ResponseFit:
    """State of one fit: Gauss-Newton steps with weights that follow the residuals."""

    def __init__(self, stars, options, field, terms, fwhm, knots=None):
        self.stars, self.options, self.field = stars, options, field
        self.low, self.high = stars.nodes[[0, -1]]
        if knots is None:
            spacing = options.knot_spacing
            if spacing is None:
                spacing = np.diff(stars.nodes)[0] * (1.0 if fwhm is None else 2.0)
            knots = spline_knots(stars.nodes, stars.fine, spacing)
        self.knots = knots
        terms = np.zeros((len(stars), 0)) if terms is None else terms
        smooth = field.basis(stars.nodes, (self.low, self.high))
        self.at_nodes = spline_basis(self.knots, stars.nodes)
        self.fine_base = spline_basis(self.knots, stars.fine)
        # Counts constrain ln T after convolution with the line-spread function.
        felt = self.at_nodes if stars.spread is None else interpolation_matrix(
            stars.fine, np.clip(stars.nodes, *stars.fine[[0, -1]])) @ (
                stars.spread @ self.fine_base)
        self.design = Design(felt, smooth, terms)
        # Within a resolution element of the last pixels, the unseen beyond them weighs in.
        margin = np.zeros(2) if fwhm is None else fwhm(np.array([self.low, self.high]))
        self.inside = ((stars.nodes >= self.low + margin[0])
                       & (stars.nodes <= self.high - margin[1]))
        self.fine_smooth = field.basis(stars.fine, (self.low, self.high))
        self.k = self.design.base.shape[1]
        self.inflation = np.ones(len(stars))
        self.pixel_weight = np.ones(stars.rate.size)
        self.rejections = {}
        self.common = (1.0, 1.0)
        self.noise = noise_models(stars)
        self.local = np.ones(self.k - 2)
        self.common_modes, self.own = self._common_modes()

    def run(self, start=None):
        """Iterate to convergence, from an earlier fit if there is one, and gather the result."""
        beta = self._start() if start is None else start.beta
        if start is not None:
            self.local = start.local
        least, first, settle = (3, 1, 7) if start is None else (1, 0, 3)
        smoothness, last = self.options.smoothness, None
        for step in range(self.options.iterations):
            state = self._linearise(beta)
            if self.options.robust and first <= step < first + settle:
                self._reweight(state)
            normal, right = self._normal(state)
            new, inverse, chosen = solve(normal, right, beta, self._prior(), smoothness)
            change = np.clip(new - beta, -_STEP, _STEP)
            beta = beta + change
            if step == 2 and start is None:
                self._adapt(beta)
            settled = last is not None and np.array_equal(last, np.isfinite(self.inflation))
            last = np.isfinite(self.inflation)
            if step > least and settled and self._converged(change, inverse):
                break
        self.beta = beta
        if self.options.robust:
            self._judge()
        return self._gather(beta, inverse, chosen)

    def _converged(self, change, inverse):
        """Whether the response moved by less than a thirtieth of its error everywhere."""
        base = self.at_nodes[self.inside]
        moved = np.abs(base @ change[: self.k])
        if moved.max() > 0.1:
            return False
        variance = (base @ np.linalg.inv(inverse)[: self.k, : self.k] * base).sum(axis=1)
        return bool((moved < np.maximum(0.03 * np.sqrt(np.maximum(variance, 0.0)), 1e-7)).all())

    def _start(self):
        """Spline through the median over stars of the ratio of counts and photons."""
        stars = self.stars
        expected = stars.expected(stars.density(np.ones(stars.fine.size)))
        weight = expected**2 / stars.variance
        summed, ratio = stars.to_nodes(weight, weight * stars.rate / np.maximum(expected, 1e-300))
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(summed > 0, ratio / summed, np.nan)
        known = np.isfinite(ratio).any(axis=0)
        middle = np.full(stars.nodes.size, np.nan)
        middle[known] = np.nanmedian(ratio[:, known], axis=0)
        top = np.nanmax(middle)
        if not top > 0:
            raise InputError("counts are not positive at any wavelength; nothing can be fitted")
        middle = np.interp(stars.nodes, stars.nodes[known], middle[known])
        base = self.at_nodes
        second = np.diff(np.eye(self.k), n=2, axis=0)
        total = base.T @ base + 1e-2 * second.T @ second
        beta = np.zeros(self.design.size)
        beta[: self.k] = np.linalg.solve(
            total, base.T @ np.log(np.clip(middle, _FLOOR * top, None)))
        return beta

    def _throughput(self, beta):
        """On the fine grid, (m,) or (N, m)."""
        base = self.fine_base @ beta[: self.k]
        if self.design.field.shape[1]:
            shape = beta[self.k:].reshape(self.design.field.shape[1], -1)
            base = base + self.design.field @ (shape @ self.fine_smooth.T)
        return np.exp(np.clip(base, -40.0, 5.0))

    def _linearise(self, beta):
        """Expected counts, residuals and weights at the present response."""
        stars, (a, b) = self.stars, self.noise
        density = stars.density(self._throughput(beta))
        expected = stars.expected(density)
        # Errors taken from noisy counts favour low ones; the model's counts do not.
        variance = np.where(np.isfinite(a[stars.star]),
                            a[stars.star] + b[stars.star] * expected, stars.variance)
        self.modes = self.common_modes
        if self.options.wavelength_error > 0:
            self.modes = _with_row(self.modes, self._shift_errors(density))
        return expected, np.maximum(variance, 1e-12 * stars.variance)

    def _common_modes(self):
        """Common errors of each star that no response changes, and independent variances."""
        stars, modes, own = self.stars, self.stars.modes, self.stars.own
        if self.options.covariance == "diagonal":
            own = own + (modes.astype(float) ** 2).sum(axis=1)
            modes = modes[:, :0]
        if self.options.grey_error > 0:
            modes = _with_row(modes, np.full((len(stars), stars.nodes.size),
                                             self.options.grey_error))
        return modes, own

    def _shift_errors(self, density):
        """Relative errors at the nodes from the wavelengths' zero point, (N, g)."""
        fine, nodes = self.stars.fine, self.stars.nodes
        index = np.clip(np.searchsorted(fine, nodes), 1, fine.size - 2)
        after, before = (np.log(np.maximum(density[:, index + one], 1e-300)) for one in (1, -1))
        slope = (after - before) / (fine[index + 1] - fine[index - 1])
        return np.clip(self.options.wavelength_error * slope, -0.5, 0.5)

    def _at_nodes(self, state):
        """Weights and residuals at the nodes."""
        expected, variance = state
        weight = self.pixel_weight * expected**2 / variance
        data = self.pixel_weight * expected * (self.stars.rate - expected) / variance
        weight, data = self.stars.to_nodes(weight, data)
        return weight, np.divide(data, weight, out=np.zeros_like(data), where=weight > 0)

    def _normal(self, state):
        weight, residual = self._at_nodes(state)
        return normal_equations(self.design, self.modes, weight, self.own, residual,
                                self.inflation)

    def _pulls(self, state, explained):
        """Deviations of the pixels from what SEDs' errors (N, g) explain, in sigma."""
        expected, variance = state
        expected = np.maximum(expected, 1e-300)
        left = self.stars.rate / expected - 1.0 - self.stars.at_pixels(explained)
        return left / np.sqrt(variance / expected**2 + self.stars.at_pixels(self.own))

    def _prior(self):
        """Second differences of the spline, and the field terms about zero."""
        size = self.design.size
        second = np.zeros((self.k - 2, size))
        second[:, : self.k] = np.diff(np.eye(self.k), n=2, axis=0)
        rough = second.T @ (self.local[:, None] * second)
        fixed = np.zeros((size, size))
        rest = np.arange(self.k, size)
        fixed[rest, rest] = self.field.scatter**-2
        # A level that no star fixes at all is still a number.
        fixed[np.arange(self.k), np.arange(self.k)] += 1e-6
        return SmoothnessPrior(rough, fixed, self.k - 2)

    def _adapt(self, beta):
        """Let the spline bend more where it bends more already: at the edges of a band."""
        bend = np.diff(beta[: self.k], n=2) ** 2
        bend = uniform_filter1d(bend, 5, mode="nearest")
        middle = max(np.median(bend), 1e-16)
        self.local = 1.0 / (1.0 + np.minimum(bend / middle, 1e4))

    def _reweight(self, state):
        """Huber's weights for pixels, and for stars whose SEDs do not explain them."""
        weight, residual = self._at_nodes(state)
        found = star_statistics(self.modes, weight, self.own, residual)
        pull = self._pulls(state, residual - found.residual)
        size = np.abs(np.where(np.isfinite(pull), pull, 0.0))
        # While the response is far off, or where all noise is underestimated, all stars
        # deviate: an outlier is what deviates more than most.
        pixels = max(1.0, float(np.median(size)) / _MEDIAN)
        size = size / pixels
        ratio = found.mode_chi2 / np.maximum(found.mode_number, 1)
        common = max(1.0, float(np.median(ratio)))
        self.common = (pixels, np.sqrt(common))
        found = replace(found, mode_chi2=found.mode_chi2 / common,
                        largest=found.largest / np.sqrt(common))
        self.pixel_weight = np.where(size > _HUBER, _HUBER / np.maximum(size, _HUBER), 1.0)
        self.pixel_weight[size > 2.5 * _HUBER] = 0.0
        limit = chi2_distribution.ppf(0.99, np.maximum(found.mode_number, 1))
        self.inflation = np.maximum(found.mode_chi2 / np.maximum(limit, 1e-9), 1.0)
        self.rejections = find_rejections(found, size, self.stars.star)
        for row in self.rejections:
            self.inflation[row] = np.inf

    def _judge(self):
        """Say so if stars and SEDs do not belong together, or errors are too small."""
        pixels, seds = self.common
        none = not np.isfinite(self.inflation).any()
        if none or (len(self.stars) > 2 and max(pixels, seds) > _MAX_DEVIATION):
            reason = next((one.reason for one in self.rejections.values()), "")
            raise InputError(
                f"all {len(self.stars)} stars were rejected: they deviate from any common response "
                f"by {pixels:.0f} times the noise and {seds:.0f} times the errors of their SEDs"
                f"{'; ' * bool(reason)}{reason}.  Check fluxes, units, area and line-spread "
                "function, or use robust=False to see the fit")
        if len(self.stars) > 2 and max(pixels, seds) > _WARN_DEVIATION:
            warnings.warn(
                f"stars deviate from their common response by {pixels:.1f} times the noise of the "
                f"counts and {seds:.1f} times the errors of their SEDs: one of these is too small, "
                "and so are the errors of the response", SedfluxWarning, stacklevel=4)

    def _gather(self, beta, inverse, smoothness):
        """The result, with what is needed to judge it."""
        state = self._linearise(beta)
        weight, residual = self._at_nodes(state)
        found = star_statistics(self.modes, weight, self.own, residual)
        used = np.isfinite(self.inflation)
        information = star_information(self.modes, weight, self.own, self.inflation)
        total = information.sum(axis=0)
        effective = np.divide(total**2, (information**2).sum(axis=0),
                              out=np.zeros_like(total), where=total > 0)
        noise = np.where(used[:, None], weight, 0.0).sum(axis=0)
        good = (noise > _PRECISION**-2) & (effective >= min(self.options.min_stars,
                                                            0.5 * used.sum()))
        pull2 = self.pixel_weight * self._pulls(state, residual - found.residual) ** 2
        chi2 = np.bincount(self.stars.star, pull2, len(self.stars))
        pixels = np.bincount(self.stars.star, self.pixel_weight > 0, len(self.stars))
        good &= self.inside & _smooth_guard(good)
        table = self._star_table(found, chi2, pixels, residual)
        degrees = int(pixels[used].sum()) - self.design.size
        nodes = self.stars.nodes
        log_throughput = self.at_nodes @ beta[: self.k]
        top = float(np.exp(log_throughput[good].max(initial=-np.inf)))
        if top > 1.0:
            warnings.warn(f"the throughput reaches {top:.3g}, more electrons than photons: check "
                          "collecting area, units of counts, exposure time and magnitudes",
                          SedfluxWarning, stacklevel=4)
        root = root_of_inverse(inverse)
        statistical = LowRankCovariance(np.zeros(nodes.size),
                                        (self.at_nodes @ root[: self.k]).T)
        return ResponseCurve(
            wavelength=nodes, throughput=np.exp(log_throughput), covariance=statistical,
            area=self.stars.area * u.cm**2, good=good,
            systematics=common_errors(nodes, truth_scale=self.options.truth_scale,
                                      library_error=self.options.library_error),
            chi2=float((chi2 + found.mode_chi2)[used].sum()),
            degrees_of_freedom=max(degrees + int(found.mode_number[used].sum()), 1),
            effective_stars=effective, stars=table,
            residuals=np.where(weight > 0, residual, np.nan), smoothness=float(smoothness),
            knots=self.knots, coefficients=beta, root=root, field=self.field,
            problem=LinearProblem(np.array(self.stars.name), self.stars.parts, self.options,
                             self.design, self.modes, weight, self.own, residual,
                             self.inflation, inverse))

    def _star_table(self, found, chi2, pixels, residual):
        """One row a star, those that could not be used at the end."""
        used = np.isfinite(self.inflation)
        none = Rejection("", "")
        rows = [{"name": name, "used": bool(used[row]),
                 "kind": self.rejections.get(row, none).kind,
                 "reason": self.rejections.get(row, none).reason,
                 "weight": float(1.0 / self.inflation[row]), "pixels": int(pixels[row]),
                 "chi2": float(chi2[row]), "sed_chi2": float(found.mode_chi2[row]),
                 "sed_number": int(found.mode_number[row]),
                 "largest": float(found.largest[row]),
                 "offset": float(np.median(residual[row]))}
                for row, name in enumerate(self.stars.name)]
        rows += [{"name": name, "used": False, "kind": one.kind, "reason": one.reason,
                  "weight": 0.0, "pixels": 0, "chi2": np.nan, "sed_chi2": np.nan,
                  "sed_number": 0, "largest": np.nan, "offset": np.nan}
                 for name, one in self.stars.rejected.items()]
        return Table(rows)


def _with_row(modes, row):
    """Modes (N, r, g) with one more, (N, g)."""
    return np.concatenate([modes, row[:, None].astype(np.float32)], axis=1)


def _smooth_guard(good):
    """Leave out single nodes that are cut off from the rest."""
    padded = np.r_[False, good, False]
    return padded[:-2] | padded[2:]
