"""`ResponseCurve` from the solution of a fit."""

from __future__ import annotations

import warnings

import numpy as np
from astropy import units as u
from astropy.table import Table

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import SedfluxWarning
from sedflux.response.common_rows import model_rows, shared_rows
from sedflux.response.curve import ResponseCurve
from sedflux.response.evidence import root_of_inverse
from sedflux.response.model import ResponseModel
from sedflux.response.outliers import Rejection, RobustWeights
from sedflux.response.problem import LinearProblem
from sedflux.response.solve import StarStatistics, star_information
from sedflux.response.star_arrays import StarArrays
from sedflux.response.systematics import common_errors

__all__ = ["response_curve", "star_table"]

#: Largest relative noise of all stars together, at a node, where the response is good.
_MAX_NOISE = 0.1


def response_curve(problem: LinearProblem, model: ResponseModel, stars: StarArrays,
                   robust: RobustWeights, *, found: StarStatistics, pull: np.ndarray,
                   coefficients: np.ndarray, smoothness: float) -> ResponseCurve:
    """
    The response, its covariance, and the statistics of each star.

    Parameters
    ----------
    problem : `~sedflux.response.problem.LinearProblem`
        At the solution.
    model : `~sedflux.response.model.ResponseModel`
    stars : `~sedflux.response.star_arrays.StarArrays`
    robust : `~sedflux.response.outliers.RobustWeights`
    found : `~sedflux.response.solve.StarStatistics`
        Of the residuals at the solution.
    pull : `~numpy.ndarray`, shape (p,)
        Deviations of the pixels, after the SED errors are subtracted, in sigma.
    coefficients : `~numpy.ndarray`, shape (n,)
    smoothness : float

    Returns
    -------
    response : `ResponseCurve`
    """
    nodes, options = stars.nodes, problem.options
    used = np.isfinite(problem.inflation)
    good, effective = _good_nodes(problem, model, used)
    chi2 = np.bincount(stars.star, robust.pixel * pull**2, len(stars))
    pixels = np.bincount(stars.star, robust.pixel > 0, len(stars))
    log_throughput = model.spline @ coefficients[: model.k]
    top = float(np.exp(log_throughput[good].max(initial=-np.inf)))
    if top > 1.0:
        warnings.warn(f"the throughput reaches {top:.3g}, more electrons than photons: check "
                      "collecting area, units of counts, exposure time and magnitudes",
                      SedfluxWarning, stacklevel=6)
    root = root_of_inverse(problem.as_informative().inverse)
    degrees = int(pixels[used].sum()) - problem.design.size + int(found.sed_number[used].sum())
    return ResponseCurve(
        wavelength=nodes, throughput=np.exp(log_throughput),
        covariance=LowRankCovariance(np.zeros(nodes.size), (model.spline @ root[: model.k]).T),
        area=stars.area * u.cm**2, good=good,
        systematics=common_errors(nodes, truth_scale=options.truth_scale,
                                  library_error=options.library_error)
        | shared_rows(problem, model.spline) | model_rows(problem, model.spline),
        chi2=float((chi2 + found.sed_chi2)[used].sum()), degrees_of_freedom=max(degrees, 1),
        effective_stars=effective,
        stars=star_table(stars, robust, found, chi2=chi2, pixels=pixels,
                         offset=np.median(problem.residual, axis=1)),
        residuals=np.where(problem.weight > 0, problem.residual, np.nan),
        smoothness=float(smoothness), knots=model.knots, coefficients=coefficients, root=root,
        field=model.field, grey_error=options.grey_error, wavelength_error=options.shift_error,
        problem=problem)


def _good_nodes(problem, model, used):
    """Nodes with enough photons and stars, and the effective number of stars at each node."""
    information = star_information(problem.factor, problem.weight, problem.diagonal,
                                   problem.inflation)
    total = information.sum(axis=0)
    effective = np.divide(total**2, (information**2).sum(axis=0),
                          out=np.zeros_like(total), where=total > 0)
    noise_weight = np.where(used[:, None], problem.weight, 0.0).sum(axis=0)
    enough = min(problem.options.min_stars, 0.5 * used.sum())
    good = (noise_weight > _MAX_NOISE**-2) & (effective >= enough)
    # A single good node without good neighbours is left out.
    padded = np.r_[False, good, False]
    return good & model.inside & (padded[:-2] | padded[2:]), effective


def star_table(stars: StarArrays, robust: RobustWeights, found: StarStatistics, *,
               chi2: np.ndarray, pixels: np.ndarray, offset: np.ndarray) -> Table:
    """
    One row per star; stars that cannot be used come last.

    Parameters
    ----------
    stars, robust, found
        As for `response_curve`.
    chi2, pixels, offset : `~numpy.ndarray`, shape (N,)
        Chi-square of the pixels, their number, and the median residual of each star.

    Returns
    -------
    table : `~astropy.table.Table`
    """
    none = Rejection("", "")
    rows = []
    for row, name in enumerate(stars.name):
        rejection = robust.rejections.get(row, none)
        rows.append({
            "name": name, "used": bool(np.isfinite(robust.inflation[row])),
            "kind": rejection.kind, "reason": rejection.reason,
            "weight": float(1.0 / robust.inflation[row]), "pixels": int(pixels[row]),
            "chi2": float(chi2[row]), "sed_chi2": float(found.sed_chi2[row]),
            "sed_number": int(found.sed_number[row]), "largest": float(found.largest[row]),
            "offset": float(offset[row])})
    rows += [{"name": name, "used": False, "kind": one.kind, "reason": one.reason,
              "weight": 0.0, "pixels": 0, "chi2": np.nan, "sed_chi2": np.nan,
              "sed_number": 0, "largest": np.nan, "offset": np.nan}
             for name, one in stars.rejected.items()]
    return Table(rows)
