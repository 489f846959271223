"""
Common errors of the instrument as parameters of a fit.

Wavelengths, line-spread function and background have Gaussian priors about zero, of the size that
`~sedflux.response.common_errors.CommonErrors` holds.  The response is fitted for given parameters,
the parameters move by one linear step, and so on until they stay.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Table
from scipy import sparse

from sedflux.covariance import LowRankCovariance
from sedflux.response.common_errors import CommonErrors
from sedflux.response.common_rows import ROWS, pattern_equations, shared_rows
from sedflux.response.problem import LinearProblem
from sedflux.response.star_arrays import StarArrays
from sedflux.slitless.forward import blur_operator
from sedflux.slitless.line_spread import LineSpread

__all__ = ["TermStep", "changed_stars", "fitted_names", "fitted_rows", "term_step", "term_table"]

#: Units of the parameters.
_UNITS = {"shift": "pix", "stretch": "", "line_spread": "", "background": "electron/s",
          "second_order": "", "shift_x": "pix", "shift_y": "pix", "line_spread_x": "",
          "line_spread_y": ""}
#: Longest step in standard errors before the fit: patterns are linear for small changes only.
_LONGEST_STEP = 4.0
#: Converged: steps below this share of the error after the fit.
_CONVERGED = 0.1
#: Smallest factor on the width of the line-spread function.
_NARROWEST = 0.3


@dataclass(frozen=True)
class TermStep:
    """
    One step of the parameters.

    Attributes
    ----------
    values : `~numpy.ndarray`, shape (c,)
        After the step.
    covariance : `~numpy.ndarray`, shape (c, c)
        Of the parameters, after the fit.
    influence : `~numpy.ndarray`, shape (n, c)
        Change of the coefficients of the response for a unit of each parameter.
    converged : bool
        Whether the step is far below the errors.
    """

    values: np.ndarray
    covariance: np.ndarray
    influence: np.ndarray
    converged: bool


def fitted_names(stars: StarArrays, errors: CommonErrors) -> tuple[str, ...]:
    """
    Parameters that are asked for, and that these stars have.

    Parameters
    ----------
    stars : `~sedflux.response.star_arrays.StarArrays`
    errors : `~sedflux.response.common_errors.CommonErrors`

    Returns
    -------
    names : tuple of str
    """
    return tuple(name for name in errors.fitted if getattr(errors, name) > 0
                 and (not name.startswith("line_spread") or stars.line_spread is not None)
                 and (name != "second_order" or stars.second.any())
                 and (name[-2:] not in ("_x", "_y") or stars.across(name[-1]) is not None))


def changed_stars(stars: StarArrays, names: tuple[str, ...], values: np.ndarray) -> StarArrays:
    """
    Stars as an instrument with other parameters sees them.

    Parameters
    ----------
    stars : `~sedflux.response.star_arrays.StarArrays`
        For parameters of zero.
    names : tuple of str
    values : `~numpy.ndarray`, shape (c,)

    Returns
    -------
    stars : `~sedflux.response.star_arrays.StarArrays`
    """
    named = dict(zip(names, values.tolist(), strict=True))
    found = copy.copy(stars)
    if stars.line_spread is not None and "line_spread" in named:
        found.line_spread = _wider(stars.line_spread, max(1.0 + named["line_spread"], _NARROWEST))
        found.blur = blur_operator(stars.fine, found.line_spread)
    shift, stretch = named.get("shift", 0.0) * stars.pixel_width, named.get("stretch", 0.0)
    if shift or stretch:
        fine, middle = stars.fine, 0.5 * (stars.nodes[0] + stars.nodes[-1])
        moved = (1.0 + stretch) * _parabolas(fine, fine + shift + stretch * (fine - middle))
        found.blur = sparse.csr_matrix(moved if found.blur is None else moved @ found.blur)
    found.second = (1.0 + named.get("second_order", 0.0)) * stars.second
    found.background = named.get("background", 0.0)
    found.own_shift = _over_field(stars, named, "shift")
    found.own_spread = _over_field(stars, named, "line_spread")
    if found.own_shift is not None:
        found.own_shift = stars.pixel_width * found.own_shift
    return found


def _over_field(stars, named, kind):
    """Value of a quantity that changes over the field for every star (N,), None if none does."""
    parts = [named[f"{kind}_{axis}"] * stars.across(axis) for axis in "xy"
             if named.get(f"{kind}_{axis}")]
    return sum(parts) if parts else None


def term_step(problem: LinearProblem, names: tuple[str, ...], values: np.ndarray) -> TermStep:
    """
    One linear step of the parameters at the response that fits best for their present values.

    Parameters
    ----------
    problem : `~sedflux.response.problem.LinearProblem`
        At this response.
    names : tuple of str
    values : `~numpy.ndarray`, shape (c,)

    Returns
    -------
    step : `TermStep`
    """
    prior = np.array([getattr(problem.options.common, name) for name in names])
    cross, own, right = pattern_equations(problem, names)
    influence = -np.linalg.solve(problem.inverse, cross)
    inverse = own + cross.T @ influence + np.diag(prior**-2)
    covariance = np.linalg.inv(0.5 * (inverse + inverse.T))
    step = covariance @ (right - values / prior**2)
    converged = bool(np.all(np.abs(step) < _CONVERGED * np.sqrt(np.diag(covariance))))
    step = step / max(1.0, np.max(np.abs(step) / (_LONGEST_STEP * prior)))
    return TermStep(values + step, covariance, influence, converged)


def fitted_rows(problem: LinearProblem, step: TermStep, names: tuple[str, ...],
                spline: np.ndarray) -> dict[str, LowRankCovariance]:
    """
    Errors of ln(response) from the parameters, after the fit, and from the other common errors.

    Parameters
    ----------
    problem : `~sedflux.response.problem.LinearProblem`
    step : `TermStep`
    names : tuple of str
    spline : `~numpy.ndarray`, shape (g, k)
        ln(response) for a unit of each of the first k coefficients.

    Returns
    -------
    rows : dict of str to `~sedflux.LowRankCovariance`
    """
    # Correlated errors are shared out in the order of the parameters.
    factor = spline @ (step.influence @ np.linalg.cholesky(step.covariance))[: spline.shape[1]]
    found: dict[str, list[np.ndarray]] = {}
    for name, row in zip(names, factor.T, strict=True):
        found.setdefault(ROWS[name], []).append(row)
    others = replace(problem.options.common, fitted=(), **dict.fromkeys(names, 0.0))
    rest = shared_rows(replace(problem, options=replace(problem.options, common=others)), spline)
    for name, shared in rest.items():
        found.setdefault(name, []).extend(shared.factor)
    zeros = np.zeros(len(spline))
    return {name: LowRankCovariance(zeros, np.stack(rows)) for name, rows in found.items()}


def term_table(step: TermStep, names: tuple[str, ...], errors: CommonErrors) -> Table:
    """
    One row a parameter.

    Parameters
    ----------
    step : `TermStep`
    names : tuple of str
    errors : `~sedflux.response.common_errors.CommonErrors`

    Returns
    -------
    table : `~astropy.table.Table`
        ``name``, ``unit``, error ``before`` the fit, ``value``, and error ``after`` it.
    """
    return Table({"name": list(names), "unit": [_UNITS[name] for name in names],
                  "before": [getattr(errors, name) for name in names], "value": step.values,
                  "after": np.sqrt(np.diag(step.covariance))})


def _wider(spread: LineSpread, factor: float) -> LineSpread:
    """A line-spread function whose width is multiplied by a factor."""
    offset = None if spread.offset is None else spread.offset * factor
    return replace(spread, fwhm=spread.fwhm * factor, offset=offset)


def _parabolas(grid, points):
    """Interpolation by the parabola through the three nearest samples; constant outside."""
    points = np.clip(points, grid[0], grid[-1])
    middle = np.clip(np.searchsorted(grid, points), 1, grid.size - 2)
    middle = middle - ((middle > 1) & (points - grid[middle - 1] < grid[middle] - points))
    index = middle[:, None] + np.array([-1, 0, 1])
    x0, x1, x2 = (grid[index[:, column]] for column in range(3))
    weight = np.stack([
        (points - x1) * (points - x2) / ((x0 - x1) * (x0 - x2)),
        (points - x0) * (points - x2) / ((x1 - x0) * (x1 - x2)),
        (points - x0) * (points - x1) / ((x2 - x0) * (x2 - x1))], axis=1)
    rows = np.repeat(np.arange(points.size), 3)
    return sparse.csr_matrix((weight.ravel(), (rows, index.ravel())),
                             shape=(points.size, grid.size))
