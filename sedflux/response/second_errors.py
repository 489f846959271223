"""
Errors of the light of the second order.

A pixel at the wavelength l gets light of the second order from about l / 2, where the SED has other
errors than at l: dust and lines of the blue change counts in the red.  Counts are compared with
those of the first order, so that the light of the second order, r times that of the first, gives
them r times its own relative error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sedflux.response.star_arrays import StarArrays

__all__ = ["mixed_errors", "with_second_order"]


def with_second_order(values: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """
    Relative errors of counts with the light of both orders.

    Parameters
    ----------
    values, second : `~numpy.ndarray`, shape (N, g) or (N, r, g)
        Relative errors of the first and of the second order.
    share : `~numpy.ndarray`, shape (N, g)
        Light of the second order over that of the first.

    Returns
    -------
    values : `~numpy.ndarray`, shape of ``values``
    """
    return values + (share if values.ndim == 2 else share[:, None, :]) * second


def mixed_errors(stars: StarArrays, first: np.ndarray, variance: np.ndarray) \
        -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """
    Relative errors of counts with the light of both orders, for a response.

    Parameters
    ----------
    stars : `~sedflux.response.star_arrays.StarArrays`
        With errors of the second order.
    first, variance : `~numpy.ndarray`, shape (p,)
        Expected counts of the first order in the pixels, and variances of the counts.

    Returns
    -------
    factor : `~numpy.ndarray`, shape (N, r, g)
    diagonal : `~numpy.ndarray`, shape (N, g)
    parts : dict of str to `~numpy.ndarray`, shape (N, g)
    """
    second = stars.second_errors
    assert second is not None
    weight, light = stars.to_nodes(first**2 / variance, first * stars.second / variance)
    share = np.divide(light, weight, out=np.zeros_like(light), where=weight > 0)
    # In the precision of the factors, which fill most of the memory.
    return (with_second_order(stars.factor, second.factor, share.astype(stars.factor.dtype)),
            stars.diagonal + share**2 * second.diagonal,
            {name: with_second_order(value, second.parts[name], share)
             for name, value in stars.parts.items()})
