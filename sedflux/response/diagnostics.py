"""
Tests of a fit: does anything in the residuals follow what the model of the fit leaves out?

Each test asks whether a pattern, such as a slope with the colour of the stars, would make the
fit better (score test, Rao 1948).  The covariance of the SEDs, any change of the response and the
common errors of the budget are taken into account, so that p-values are uniform where the model
is right.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.table import Table
from scipy.stats import chi2 as chi2_distribution

from sedflux.exceptions import InputError, SedfluxWarning
from sedflux.response.dust_test import dust_scale_test
from sedflux.response.patterns import FitPatterns, star_patterns
from sedflux.response.problem import LinearProblem
from sedflux.response.solve import Design, column_equations, normal_equations

__all__ = ["CHECKED_STARS", "fit_tests", "warn_of_causes"]

#: Fewest stars for the tests.
CHECKED_STARS = 8
#: A test with a smaller p-value gives a warning.
_SMALLEST_P = 1e-3
#: Relative error of chi-square that is not worth a warning: robust weights and estimated
#: variances change it by a few percent.
_CHI2_TOLERANCE = 0.05
#: Errors of the stacked residuals at single nodes that are not worth a warning: SEDs of R = 200
#: give the depths of lines no better (docs/accuracy/resolution.rst).
_LINE_TOLERANCE = 0.003
#: Directions whose information is below this share of the largest are left out of a test.
_LEAST_INFORMATION = 1e-6
#: Most causes that one warning names.
_MOST_CAUSES = 3
#: Likely causes, by test.
_CAUSES = {
    "chi2": "errors of counts or SEDs that are too small",
    "wavelength": "SEDs and line-spread function: their lines differ in width or strength",
    "dispersion": "the dispersion: zero point, scale, or wavelengths in air",
    "line spread": "the width of the line-spread function",
    "background": "the background",
    "E(B-V)": "the scale of E(B-V), or the law of extinction",
    "E(B-V) scale": "the scale of E(B-V): stars deviate in proportion to it",
    "colour": "the SEDs, whose errors change with colour, or light of another order",
    "magnitude": "the linearity of the detector, or the background",
    "epoch": "a response that changes with time: FieldTerms(epoch=True)",
    "position": "a response that depends on the position: FieldTerms(position=1)",
    "dispersion over the field": "a dispersion that depends on the position",
    "detector column": "flat field or bad columns of the detector",
    "detector": "a response that differs between detectors: FieldTerms(detectors=...)",
}


@dataclass(frozen=True)
class _Scores:
    """Scores of all patterns, whatever the response, and their covariance."""

    names: list[str]
    columns: Mapping[str, slice]
    score: np.ndarray
    information: np.ndarray

    def test(self, name, known=()):
        """Chi-square of a pattern, and its degrees of freedom, where other patterns are free."""
        here = np.arange(self.score.size)[self.columns[name]]
        score, information = self.score[here], self.information[np.ix_(here, here)]
        scale = np.diag(information).max(initial=0.0)
        if known:
            free = np.concatenate([np.arange(self.score.size)[self.columns[one]] for one in known])
            cross = _solve(self.information[np.ix_(free, free)],
                           self.information[np.ix_(free, here)])
            score = score - cross.T @ self.score[free]
            information = information - cross.T @ self.information[np.ix_(free, here)]
        return _chi_square(information, score, scale)

    def without(self, budget):
        """The same where common errors, in units of those of the budget, are not known either."""
        solved = np.linalg.solve(self.information[budget, budget] + np.eye(budget.stop),
                                 np.c_[self.information[budget], self.score[budget]])
        cross = self.information[:, budget]
        return replace(self, score=self.score - cross @ solved[:, -1],
                       information=self.information - cross @ solved[:, :-1])


def _solve(matrix, right):
    """Solution of equations with a symmetric matrix that may be singular."""
    value, vector = np.linalg.eigh(0.5 * (matrix + matrix.T))
    keep = value > _LEAST_INFORMATION * max(value.max(initial=0.0), 1e-300)
    return vector[:, keep] @ ((vector[:, keep].T @ right) / value[keep, None])


def _chi_square(covariance, values, scale):
    """Chi-square of values, and the number of directions in it."""
    value, vector = np.linalg.eigh(0.5 * (covariance + covariance.T))
    use = value > _LEAST_INFORMATION * max(scale, 1e-300)
    along = vector[:, use].T @ values
    return float((along**2 / value[use]).sum()), int(use.sum())


def _scores(problem: LinearProblem, patterns: FitPatterns) -> tuple[_Scores, _Scores]:
    """Scores of patterns, whatever the response is; and the same whatever the common errors are."""
    known = _known_errors(problem, patterns)
    searched = star_patterns(patterns, least=CHECKED_STARS)
    begin, places = len(known), {}
    for name, columns in searched.items():
        places[name] = slice(begin, begin + columns.shape[2])
        begin += columns.shape[2]
    cross, own, right = column_equations(
        problem.design, problem.factor, problem.weight, problem.diagonal, problem.residual,
        problem.inflation, np.concatenate([*known, *searched.values()], axis=2))
    normal, response_right = problem.normal_equations()
    # Neither the spline nor field terms have a prior here: tests do not depend on it.
    solved = _solve(normal, np.c_[cross, response_right])
    unit = 1.0 / np.sqrt(np.maximum(np.diag(own), 1e-300))
    unit[: len(known)] = 1.0
    # Where all stars deviate by more than their errors, a pattern must stand out from that.
    variance = patterns.deviation**2
    score = unit * (right - cross.T @ solved[:, -1]) / variance
    information = unit[:, None] * (own - cross.T @ solved[:, :-1]) * unit / variance
    found = _Scores(list(searched), places, score, information)
    return found, found.without(slice(0, len(known)))


def _known_errors(problem, patterns):
    """What errors of the budget do to the counts, each (n, g, 1)."""
    known = {name: error * patterns.columns[name] for name, error in
             problem.options.common.given().items() if name in patterns.columns}
    if "line_spread" in known:
        # A width that is wrong at one end of a band need not be at the other; and SEDs of R = 200
        # give lines of another width to its ends.
        known["line_spread along the band"] = patterns.place * known["line_spread"]
    return [column[:, :, None] for column in known.values()]


def _stacked_test(problem: LinearProblem, variance: float) -> tuple[float, int]:
    """Chi-square of the residuals of all stars at each node, after any change of the spline."""
    size = problem.weight.shape[1]
    each = Design(np.eye(size), np.zeros((size, 0)), np.zeros((len(problem.weight), 0)))
    information, score = normal_equations(each, problem.factor, problem.weight, problem.diagonal,
                                          problem.residual, problem.inflation)
    spline = problem.design.spline
    cross = information @ spline
    solved = _solve(spline.T @ cross, np.c_[cross.T, spline.T @ score])
    scale = np.diag(information).max(initial=0.0)
    information = information - cross @ solved[:, :-1]
    covariance = variance * information + _LINE_TOLERANCE**2 * information @ information
    return _chi_square(covariance, score - cross @ solved[:, -1], scale)


def _needed_problem(response):
    """The linear problem of a response, and its patterns, for the stars they are measured on."""
    problem = response.problem
    if problem is None or problem.patterns is None:
        raise InputError("this response was not fitted just now, and has no residuals; test it "
                         "right after fit_response, before it is written")
    return problem.take(problem.patterns.rows), problem.patterns


def fit_tests(response: Any) -> Table:
    """
    Tests of a fit, one row each.

    Parameters
    ----------
    response : `~sedflux.ResponseCurve`
        Fresh from `~sedflux.fit_response`.

    Returns
    -------
    table : `~astropy.table.Table`
        ``test``; ``chi2``, ``dof`` and ``scatter``, the expected scatter of chi2 / dof; ``p``;
        ``suspect`` where p is below 0.001; ``order`` in which the suspects explain the residuals,
        1 first, and 0 for those that the others explain; and the likely ``cause``.

    Raises
    ------
    sedflux.exceptions.InputError
        If the response was not fitted just now.

    Examples
    --------
    >>> from sedflux import fit_response, get_instrument, simulate_field
    >>> band = get_instrument("lookalike").bands["GV"]
    >>> field = simulate_field({"GV": band}, size=8, seed=1, outliers=0.0)
    >>> response = fit_response(field.counts["GV"], field.seds, band=band, grey_error=0.01,
    ...                         wavelength_error=0.5)
    >>> from sedflux.response.diagnostics import fit_tests
    >>> tests = fit_tests(response)
    >>> "dispersion" in tests["test"], bool(tests["suspect"].any())
    (True, False)
    """
    problem, patterns = _needed_problem(response)
    found = {"chi2": (response.chi2 / (1.0 + _CHI2_TOLERANCE), response.degrees_of_freedom)}
    order: list[str] = []
    if patterns.rows.size >= CHECKED_STARS:
        found["wavelength"] = _stacked_test(problem, patterns.deviation**2)
        plain, scores = _scores(problem, patterns)
        found |= {name: scores.test(name) for name in scores.names}
        order = _explaining(plain, scores)
        found["E(B-V) scale"] = dust_scale_test(problem, patterns, least=CHECKED_STARS)
        if _probability(*found["E(B-V) scale"]) < _SMALLEST_P and "E(B-V)" not in order:
            order.insert(0, "E(B-V) scale")
    order += [name for name in ("chi2", "wavelength")
              if name in found and not order and _probability(*found[name]) < _SMALLEST_P]
    found["chi2"] = (response.chi2, response.degrees_of_freedom)
    names = [name for name, (_, number) in found.items() if number]
    chi2, number = (np.array([found[name][row] for name in names]) for row in (0, 1))
    tested = np.where(np.array(names) == "chi2", chi2 / (1.0 + _CHI2_TOLERANCE), chi2)
    p = _probability(tested, number)
    return Table({"test": names, "chi2": chi2, "dof": number.astype(int),
                  "scatter": np.sqrt(2.0 / number), "p": p, "suspect": p < _SMALLEST_P,
                  "order": [order.index(name) + 1 if name in order else 0 for name in names],
                  "cause": [_CAUSES[name] for name in names]})


def _probability(chi2, number):
    return chi2_distribution.sf(chi2, np.maximum(number, 1))


def _explaining(plain: _Scores, scores: _Scores) -> list[str]:
    """Patterns that explain the residuals: the one that explains most, and what is left clear."""
    order: list[str] = []
    while len(order) < _MOST_CAUSES:
        # A common error of the size that the budget holds is no reason to warn.
        clear = [name for name in scores.names if name not in order
                 and _probability(*scores.test(name, order)) < _SMALLEST_P]
        if not clear:
            break
        order.append(max(clear, key=lambda name: plain.test(name, order)[0]))
    return order


def warn_of_causes(tests: Table) -> None:
    """
    Warn of the likely causes of a pattern in the residuals.

    Parameters
    ----------
    tests : `~astropy.table.Table`
        From `fit_tests`.
    """
    causes = tests[tests["order"] > 0]
    if not len(causes):
        return
    causes.sort("order")
    said = "; ".join(f"{row['cause']} (test of {row['test']}, p = {row['p']:.1g})"
                     for row in causes)
    warnings.warn(f"the residuals of the fit are not only noise, and its errors do not say so.  "
                  f"Check {said}.  response.diagnostics() has all tests", SedfluxWarning,
                  stacklevel=6)
