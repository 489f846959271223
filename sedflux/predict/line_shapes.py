"""What the lines of projected spectra tell beyond the labels that fit them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sedflux.predict.galaxies import forbidden_emission, line_broadening
from sedflux.predict.luminosity import balmer_shape

__all__ = ["line_shapes"]


def line_shapes(found: Mapping[str, np.ndarray], power: float) -> dict[str, np.ndarray]:
    """
    Measures of lines by which galaxies and luminous stars are flagged.

    Parameters
    ----------
    found : dict of str to `~numpy.ndarray`, shape (N, m)
        With ``normalised``, ``ivar`` and ``residual``.
    power : float
        Resolving power.

    Returns
    -------
    values : dict of str to `~numpy.ndarray`
        ``broadening`` (N,) in km/s, ``nebular`` (N,) in standard errors, ``balmer`` (N, 8).
    """
    normalised, ivar = found["normalised"], found["ivar"]
    return {"broadening": line_broadening(normalised - found["residual"], power),
            "nebular": forbidden_emission(found["residual"], ivar),
            "balmer": balmer_shape(normalised, ivar)}
