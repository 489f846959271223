"""Where the iterations of a response fit begin."""

from __future__ import annotations

import numpy as np

from sedflux.exceptions import InputError
from sedflux.response.model import ResponseModel
from sedflux.response.star_arrays import StarArrays

__all__ = ["starting_coefficients"]

#: Smallest throughput at the start, relative to the largest.
_MIN_START = 1e-3
#: Weight of the second differences of the starting spline.
_START_SMOOTHING = 1e-2


def starting_coefficients(stars: StarArrays, model: ResponseModel) -> np.ndarray:
    """
    Spline through the median over stars of the ratio of counts and photons.

    Parameters
    ----------
    stars : `~sedflux.response.star_arrays.StarArrays`
    model : `~sedflux.response.model.ResponseModel`

    Returns
    -------
    coefficients : `~numpy.ndarray`, shape (n,)

    Raises
    ------
    sedflux.exceptions.InputError
        If counts are not positive at any wavelength.
    """
    ones = np.ones(stars.fine.size)
    first = np.concatenate([rate for *_, rate in stars.rates(lambda rows: ones)])
    weight = first**2 / stars.variance
    summed, ratio = stars.to_nodes(weight, weight * stars.first_rate() / np.maximum(first, 1e-300))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(summed > 0, ratio / summed, np.nan)
    known = np.isfinite(ratio).any(axis=0)
    middle = np.full(stars.nodes.size, np.nan)
    middle[known] = np.nanmedian(ratio[:, known], axis=0)
    top = np.nanmax(middle)
    if not top > 0:
        raise InputError("counts are not positive at any wavelength; check their background")
    middle = np.interp(stars.nodes, stars.nodes[known], middle[known])
    second = model.second_differences()
    total = model.spline.T @ model.spline + _START_SMOOTHING * second.T @ second
    coefficients = np.zeros(model.design.size)
    coefficients[: model.k] = np.linalg.solve(
        total, model.spline.T @ np.log(np.clip(middle, _MIN_START * top, None)))
    return coefficients
