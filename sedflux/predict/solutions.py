"""
Solutions that fit a spectrum, where a model of two labels can tell: one, or two.

A model that holds its training models on a grid of labels has the posterior of the labels, which is
exact where a spectrum has no defects and its resolving power is known.  The network
knows defects, and is not exact.  `refined` weights both, by how well the best model of the grid
fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sedflux.network.constants import VARIANCE_FLOOR
from sedflux.predict.sigma import GRID_ROWS

if TYPE_CHECKING:
    from sedflux.network.label_posterior import Solutions

__all__ = ["SOLUTION_NAMES", "describe_solutions", "grid_share", "refined"]

#: The likelier solution and the other: the weight of the second, and temperature (K), log g and SED
#: of each.
SOLUTION_NAMES = ("second_weight", *(f"{order}_{name}" for order in ("first", "second")
                                     for name in ("teff", "logg", "flux")))

#: Standard deviation of a label, in steps of the grid, beyond which the posterior is no Gaussian.
_WIDEST = 1.0
#: Least ``fit`` whose logarithm is taken.
_LEAST_FIT = 1e-3


def describe_solutions(found: Solutions, templates: np.ndarray, mean: np.ndarray,
                       average: np.ndarray) -> dict[str, np.ndarray]:
    """
    Solutions as diagnostics of predictions.

    Parameters
    ----------
    found : `~sedflux.network.label_posterior.Solutions`
        Of N spectra.
    templates : `~numpy.ndarray`, shape (c, n)
        Components of ln(SED).
    mean : `~numpy.ndarray`, shape (n,)
        Mean of ln(SED) in the training.
    average : sparse matrix, shape (1, n)
        Weights of the mean to which SEDs are relative.

    Returns
    -------
    values : dict of str to `~numpy.ndarray`
        `SOLUTION_NAMES`: numbers (N,) and SEDs (N, n); NaN where there is no second solution,
        whose weight then is zero.  And ``grid_fit``, ``grid_scores``, ``grid_rows`` and
        ``grid_width``, for `refined`.
    """
    flux = np.exp(found.scores @ templates + mean)
    flux /= (average @ flux.reshape(-1, mean.size).T).reshape(-1, 2, 1)
    columns = {"teff": np.exp(found.labels[..., 0]), "logg": found.labels[..., 1], "flux": flux}
    return {"second_weight": found.weight[:, 1], "grid_fit": found.fit, "grid_scores": found.best,
            "grid_rows": found.rows, "grid_width": found.width,
            **{f"{order}_{name}": value[:, place] for place, order in enumerate(("first", "second"))
               for name, value in columns.items()}}


def refined(values: dict[str, Any], severity: np.ndarray, diagonal: np.ndarray,
            factor: np.ndarray, metadata: Mapping[str, Any], weights: Mapping[str, np.ndarray]
            ) -> tuple[np.ndarray, np.ndarray]:
    """
    Weight a prediction with the best model of the grid of labels, as a mixture of two Gaussians.

    Parameters
    ----------
    values : dict of str to `~numpy.ndarray`
        Output of the network, and `describe_solutions`; its ``mean`` is changed in place.
    severity : `~numpy.ndarray`, shape (N,)
        Above one for spectra beyond the domain, for which the network counts alone.
    diagonal, factor : `~numpy.ndarray`, shapes (N, n) and (N, r, n)
        Covariance of the network's ln(SED), and errors that the models share.
    metadata : dict
        Of the model.  ``grid_weight`` has the weights of the grid by ``fit``, and by ``snr`` the
        scales of sigma of spectra that have the largest weight, from
        `sedflux.training.grid_weight`; without it, nothing changes.
    weights : dict of str to `~numpy.ndarray`
        Of the network.

    Returns
    -------
    diagonal, factor : `~numpy.ndarray`
        With three rows more.
    """
    if "grid_weight" not in metadata:
        return diagonal, factor
    table = metadata["grid_weight"]
    share = grid_share(values, table) * (severity <= 1.0)
    scale = np.interp(np.log(np.maximum(values["snr"], 1.0)), np.log(table["snr"]), table["scale"])
    scale = 1.0 + (scale - 1.0) * share / max(np.max(table["weight"]), _LEAST_FIT)
    templates, rank = weights["sed_templates"].astype(float), values["directions"].shape[1]
    best = np.where(share[:, None] > 0, values["grid_scores"], 0.0) @ templates
    away = np.where(share[:, None] > 0, best + weights["sed_mean"] - values["mean"], 0.0)
    values["mean"] += share[:, None] * away
    rows = np.where(share[:, None, None] > 0, values["grid_rows"], 0.0) @ templates
    added = np.concatenate([np.sqrt(share)[:, None, None] * rows,
                            np.sqrt(share * (1.0 - share))[:, None, None] * away[:, None]], axis=1)
    found = np.empty((len(factor), factor.shape[1] + GRID_ROWS, factor.shape[2]), factor.dtype)
    found[:, :-GRID_ROWS], found[:, -GRID_ROWS:] = factor, scale[:, None, None] * added
    # Errors that the models share stay as they are.
    found[:, :rank] *= (scale * np.sqrt(1.0 - share))[:, None, None].astype(factor.dtype)
    own = (1.0 - share)[:, None] * diagonal + share[:, None] * VARIANCE_FLOOR
    return (scale[:, None] ** 2 * own).astype(diagonal.dtype), found


def grid_share(values: Mapping[str, Any], table: Mapping[str, Any]) -> np.ndarray:
    """
    Weight of the best model of the grid.

    Parameters
    ----------
    values : dict of str to `~numpy.ndarray`
        From `describe_solutions`.
    table : dict
        ``weight`` by ``fit``.

    Returns
    -------
    share : `~numpy.ndarray`, shape (N,)
        Zero where two solutions fit, or the posterior is wider than a step of the grid.
    """
    fit = np.log(np.maximum(np.nan_to_num(values["grid_fit"], nan=np.inf), _LEAST_FIT))
    share = np.interp(fit, np.log(table["fit"]), table["weight"])
    narrow = (values["grid_width"] < _WIDEST) & np.isfinite(values["grid_rows"]).all(axis=(1, 2))
    return np.where(narrow & (values["second_weight"] == 0), share, 0.0)
