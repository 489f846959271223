"""When the steps of a response fit are short enough, and what is said where they are not."""

from __future__ import annotations

import warnings

import numpy as np

from sedflux.exceptions import SedfluxWarning
from sedflux.response.model import ResponseModel

__all__ = ["has_converged", "warn_of_step"]

#: Converged: changes of ln T below this, in sigma or absolute, and never above the last.
_CONVERGED_SIGMA, _CONVERGED, _NOT_CONVERGED = 0.03, 1e-7, 0.1
#: A last step is long beyond these changes of ln T, in sigma and absolute.
_LONG_SIGMA, _LONG = 0.3, 1e-3


def has_converged(model: ResponseModel, change: np.ndarray, inverse: np.ndarray) -> bool:
    """
    Whether the response moved by less than a thirtieth of its error everywhere.

    Parameters
    ----------
    model : `~sedflux.response.model.ResponseModel`
    change : `~numpy.ndarray`, shape (n,)
        Last change of the coefficients.
    inverse : `~numpy.ndarray`, shape (n, n)
        Their inverse covariance.
    """
    moved, sigma = _moved(model, change, inverse)
    return bool(moved.max() <= _NOT_CONVERGED
                and (moved < np.maximum(_CONVERGED_SIGMA * sigma, _CONVERGED)).all())


def warn_of_step(model: ResponseModel, nodes: np.ndarray, change: np.ndarray,
                 inverse: np.ndarray) -> None:
    """
    Warn if the last step of a fit was long: errors count that there are no more.

    Parameters
    ----------
    model, change, inverse
        As for `has_converged`.
    nodes : `~numpy.ndarray`, shape (g,)
        In Angstrom.
    """
    moved, sigma = _moved(model, change, inverse)
    long = np.flatnonzero((moved > _LONG) & (moved > _LONG_SIGMA * sigma))
    if long.size:
        place = nodes[np.flatnonzero(model.inside)[long]]
        share = (moved[long] / np.maximum(sigma[long], _CONVERGED)).max()
        warnings.warn(
            f"the fit has not converged: its last step moved the response at {place.min():.0f}-"
            f"{place.max():.0f} Angstrom by up to {share:.1f} of its error, and errors near there "
            "are too small.  Leave out pixels beyond the band, or give a wider knot_spacing",
            SedfluxWarning, stacklevel=6)


def _moved(model, change, inverse):
    """Changes of ln(response) at the nodes of the band, and its errors."""
    k, base = model.k, model.spline[model.inside]
    variance = (base @ np.linalg.inv(inverse)[:k, :k] * base).sum(axis=1)
    return np.abs(base @ change[:k]), np.sqrt(np.maximum(variance, 0.0))
