"""Cubic B-splines."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

__all__ = ["spline_basis"]


def spline_basis(knots: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
    """
    Cubic B-splines, which are constant outside the knots.

    Parameters
    ----------
    knots : `~numpy.ndarray`
    wavelength : `~numpy.ndarray`, shape (n,)
        In the unit of the knots.

    Returns
    -------
    basis : `~numpy.ndarray`, shape (n, k)
    """
    inside = np.clip(wavelength, knots[0], knots[-1])
    return BSpline.design_matrix(inside, knots, 3).toarray()
