"""By how much common errors change a response: rows of ``response.systematics``."""

from __future__ import annotations

from functools import cache

import numpy as np

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.response.problem import LinearProblem
from sedflux.response.second_errors import with_second_order
from sedflux.response.solve import column_equations
from sedflux.response.star_arrays import StarArrays
from sedflux.spectra.reddening import R_V, extinction_curve
from sedflux.spectra.relative_errors import shared_names

__all__ = ["ROWS", "model_rows", "pattern_equations", "sed_columns", "shared_rows"]

#: Change of ln(flux) for a magnitude.
_LN_PER_MAG = 0.4 * np.log(10.0)
#: Step of R_V for the derivative of the extinction law.
_R_V_STEP = 0.1
#: Wavelengths (Angstrom) between which the law is tabulated, and the number of samples, which are
#: closer than a resolution element of SEDs by far.
_LAW_RANGE, _LAW_SAMPLES = (1000.0, 200000.0), 4000
#: Wavelengths (Angstrom) between which extinction falls all the way: from the bump to silicates.
_FALLING = (2300.0, 50000.0)
#: Row of ``response.systematics`` that holds each error.
ROWS = {"reddening_zero_point": "reddening zero point", "reddening_scale": "reddening law",
        "r_v": "reddening law", "magnitude_zero_point": "magnitude zero point",
        "shift": "wavelength scale", "stretch": "wavelength scale",
        "line_spread": "line spread", "background": "background", "second_order": "second order",
        "shift_x": "wavelength scale", "shift_y": "wavelength scale",
        "line_spread_x": "line spread", "line_spread_y": "line spread"}


def sed_columns(stars: StarArrays, *, second: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """
    Relative change of the counts for a unit of each error of dust and magnitudes.

    Parameters
    ----------
    stars : `~sedflux.response.star_arrays.StarArrays`
    second : `~numpy.ndarray`, shape (N, g), optional
        Light of the second order over that of the first; none by default.

    Returns
    -------
    columns : dict of str to `~numpy.ndarray`, shape (N, g)
        ``reddening_zero_point``, ``reddening_scale`` and ``r_v``, as far as the SEDs have an error
        of E(B-V) and say what it is, and ``magnitude_zero_point``, of those that are scaled to
        magnitudes whose zero points have no error of their own.
    """
    found = {}
    size = (len(stars), stars.nodes.size)
    if stars.scaled is not None and stars.scaled.any():
        # Fainter magnitudes make SEDs faint, and counts larger than those of the SEDs.
        found["magnitude_zero_point"] = np.where(stars.scaled[:, None], np.full(size, _LN_PER_MAG),
                                                 0.0)
    curve = _law_at(stars.nodes)[0]
    offset = _reddening_offset(stars, curve)
    if offset is not None:
        dust = _dust_columns(stars, stars.nodes, offset)
        if second is not None and stars.second_errors is not None:
            other = _dust_columns(stars, stars.second_errors.ratio * stars.nodes, offset)
            dust = {name: with_second_order(column, other[name], second)
                    for name, column in dust.items()}
        found |= dust
    if second is not None and "magnitude_zero_point" in found:
        found["magnitude_zero_point"] = found["magnitude_zero_point"] * (1.0 + second)
    return found


def _dust_columns(stars, wavelength, offset):
    """Relative change of fluxes (N, n) for a unit of each error of dust."""
    curve, change = _law_at(wavelength)
    direction = curve - offset
    found = {"reddening_zero_point": np.broadcast_to(direction, (len(stars), wavelength.size))}
    if stars.ebv is not None and np.isfinite(stars.ebv).any():
        ebv = np.where(np.isfinite(stars.ebv), stars.ebv, np.nanmean(stars.ebv))
        found["reddening_scale"] = np.multiply.outer(ebv, direction)
        found["r_v"] = np.multiply.outer(ebv, change - _r_v_offset(offset))
    return found


@cache
def _law_table():
    """Wavelengths (n,), the extinction curve, and its change for a unit of R_V."""
    grid = np.geomspace(*_LAW_RANGE, _LAW_SAMPLES)
    more, less = (extinction_curve(grid, r_v=R_V + step) for step in (_R_V_STEP, -_R_V_STEP))
    return grid, extinction_curve(grid), (more - less) / (2.0 * _R_V_STEP)


def _law_at(wavelength):
    """The extinction curve and its change for a unit of R_V."""
    grid, *curves = _law_table()
    return tuple(np.interp(wavelength, grid, curve) for curve in curves)


def _reddening_offset(stars, curve):
    """Change of ln(flux) for a unit of E(B-V) in the band of the magnitudes; None if no SED has it.

    An SED that is scaled to a magnitude does not change there.
    """
    part = stars.parts.get("reddening")
    if part is None:
        return None
    centred = curve - curve.mean()
    sigma = part @ centred / (centred @ centred)
    known = np.abs(sigma) > 0
    if not known.any():
        return None
    return float(np.mean(curve - np.mean(part[known] / sigma[known, None], axis=0)))


def _r_v_offset(offset):
    """Change of ln(flux) for a unit of R_V and of E(B-V) in the band of the magnitudes."""
    if offset == 0.0:
        return 0.0
    grid, whole, change = _law_table()
    falling = (grid > _FALLING[0]) & (grid < _FALLING[1])
    return np.interp(offset, whole[falling], change[falling])


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
    Errors of ln(response) from those that SEDs share by name: of a model, as white dwarfs do, or of
    the zero points of their magnitudes.

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
        One row for each of `~sedflux.spectra.relative_errors.shared_names` of the stars in use.
    """
    used = problem.used
    parts = {name: problem.parts[name] for name in shared_names(
        {name: values[used] for name, values in problem.parts.items()})}
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
