"""By how much common errors change a response: rows of ``response.systematics``."""

from __future__ import annotations

import numpy as np

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.response.problem import LinearProblem
from sedflux.response.solve import column_equations
from sedflux.response.star_arrays import MODEL_PARTS, StarArrays
from sedflux.spectra.reddening import R_V, extinction_curve

__all__ = ["ROWS", "model_rows", "pattern_equations", "sed_columns", "shared_rows"]

#: Change of ln(flux) for a magnitude.
_LN_PER_MAG = 0.4 * np.log(10.0)
#: Step of R_V for the derivative of the extinction law.
_R_V_STEP = 0.1
#: Row of ``response.systematics`` that holds each error.
ROWS = {"reddening_zero_point": "reddening zero point", "reddening_scale": "reddening law",
        "r_v": "reddening law", "magnitude_zero_point": "magnitude zero point",
        "shift": "wavelength scale", "stretch": "wavelength scale",
        "line_spread": "line spread", "background": "background", "second_order": "second order",
        "shift_x": "wavelength scale", "shift_y": "wavelength scale",
        "line_spread_x": "line spread", "line_spread_y": "line spread"}


def sed_columns(stars: StarArrays) -> dict[str, np.ndarray]:
    """
    Relative change of the counts for a unit of each error of dust and magnitudes.

    Parameters
    ----------
    stars : `~sedflux.response.star_arrays.StarArrays`

    Returns
    -------
    columns : dict of str to `~numpy.ndarray`, shape (N, g)
        ``reddening_zero_point``, ``reddening_scale`` and ``r_v``, as far as the SEDs have an error
        of E(B-V) and say what it is, and ``magnitude_zero_point``, if they are scaled to a
        magnitude.
    """
    found = {}
    size = (len(stars), stars.nodes.size)
    if np.any(stars.parts.get("anchor", 0.0)):
        # Fainter magnitudes make SEDs faint, and counts larger than those of the SEDs.
        found["magnitude_zero_point"] = np.full(size, _LN_PER_MAG)
    curve = extinction_curve(stars.nodes)
    direction = _reddening_direction(stars, curve)
    if direction is None:
        return found
    found["reddening_zero_point"] = np.broadcast_to(direction, size)
    if stars.ebv is not None and np.isfinite(stars.ebv).any():
        ebv = np.where(np.isfinite(stars.ebv), stars.ebv, np.nanmean(stars.ebv))
        found["reddening_scale"] = np.multiply.outer(ebv, direction)
        found["r_v"] = np.multiply.outer(ebv, _r_v_direction(stars.nodes, curve, direction))
    return found


def _reddening_direction(stars, curve):
    """Change of ln(flux) for a unit of E(B-V) at the nodes, None if no SED says it."""
    part = stars.parts.get("reddening")
    if part is None:
        return None
    centred = curve - curve.mean()
    sigma = part @ centred / (centred @ centred)
    known = np.abs(sigma) > 0
    if not known.any():
        return None
    # An SED that is scaled to a magnitude does not change in the band of the magnitude.
    offset = np.mean(curve - np.mean(part[known] / sigma[known, None], axis=0))
    return curve - offset


def _r_v_direction(nodes, curve, direction):
    """Change of ln(flux) for a unit of R_V and of E(B-V), zero where the magnitudes are."""
    offset = float(np.mean(curve - direction))
    more, less = (extinction_curve(nodes, r_v=R_V + step) for step in (_R_V_STEP, -_R_V_STEP))
    change = (more - less) / (2.0 * _R_V_STEP)
    if offset == 0.0:
        return change
    grid = np.linspace(2000.0, 20000.0, 2000)
    whole = extinction_curve(grid)
    place = np.array([np.interp(offset, whole, grid)])
    more, less = (extinction_curve(place, r_v=R_V + step) for step in (_R_V_STEP, -_R_V_STEP))
    return change - (more - less) / (2.0 * _R_V_STEP)


def pattern_equations(problem: LinearProblem, names: tuple[str, ...]) \
        -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Normal equations of the patterns of some common errors, for all stars that are used.

    Parameters
    ----------
    problem : `~sedflux.response.problem.LinearProblem`
        With patterns.
    names : tuple of str
        Of columns of the patterns.

    Returns
    -------
    cross, own, right : `~numpy.ndarray`
        See `~sedflux.response.solve.column_equations`.
    """
    patterns = problem.patterns
    if patterns is None:
        raise InputError("this problem has no patterns; they are those of a whole fit")
    part = problem.take(patterns.rows)
    equations = column_equations(
        part.design, part.factor, part.weight, part.diagonal, part.residual, part.inflation,
        np.stack([patterns.columns[name] for name in names], axis=2))
    # Of many stars, some stand for all.
    share = len(patterns.rows) / len(problem.used)
    cross, own, right = (values / share for values in equations)
    return cross, own, right


def shared_rows(problem: LinearProblem, spline: np.ndarray) -> dict[str, LowRankCovariance]:
    """
    Errors of ln(response) from what all stars share.

    Parameters
    ----------
    problem : `~sedflux.response.problem.LinearProblem`
        With patterns.
    spline : `~numpy.ndarray`, shape (g, k)
        ln(response) for a unit of each of the first k coefficients.

    Returns
    -------
    rows : dict of str to `~sedflux.LowRankCovariance`
        As far as the stars tell what an error does to them.
    """
    patterns = problem.patterns
    if patterns is None:
        return {}
    given = {name: error for name, error in problem.options.common.given().items()
             if name in patterns.columns}
    if not given:
        return {}
    cross = pattern_equations(problem, tuple(given))[0] * np.array(list(given.values()))
    found: dict[str, list[np.ndarray]] = {}
    for name, row in zip(given, _changes(problem, spline, cross), strict=True):
        found.setdefault(ROWS[name], []).append(row)
    zeros = np.zeros(len(spline))
    return {name: LowRankCovariance(zeros, np.stack(rows)) for name, rows in found.items()}


def _changes(problem, spline, cross):
    """Changes of ln(response) by columns, (c, g), from their products with the design."""
    return (spline @ np.linalg.solve(problem.inverse, cross)[: spline.shape[1]]).T


def model_rows(problem: LinearProblem, spline: np.ndarray) -> dict[str, LowRankCovariance]:
    """
    Errors of ln(response) from those that SEDs of a model share, as white dwarfs do.

    Such an error moves the SEDs of all these stars together, each as far as its own part says.

    Parameters
    ----------
    problem : `~sedflux.response.problem.LinearProblem`
        Of all stars.
    spline : `~numpy.ndarray`, shape (g, k)
        ln(response) for a unit of each of the first k coefficients.

    Returns
    -------
    rows : dict of str to `~sedflux.LowRankCovariance`
        One row for each of `~sedflux.response.star_arrays.MODEL_PARTS` that a star in use has.
    """
    used = problem.used
    parts = {name: problem.parts[name] for name in MODEL_PARTS
             if name in problem.parts and problem.parts[name][used].any()}
    if not parts:
        return {}
    moved = used[np.any([values[used].any(axis=1) for values in parts.values()], axis=0)]
    some = problem.take(moved)
    cross = column_equations(
        some.design, some.factor, some.weight, some.diagonal, some.residual, some.inflation,
        np.stack([some.parts[name] for name in parts], axis=2))[0]
    zeros = np.zeros(len(spline))
    return {name: LowRankCovariance(zeros, row[None]) for name, row
            in zip(parts, _changes(problem, spline, cross), strict=True)}
