"""Solutions that fit a spectrum, where a model of two labels can tell: one, or two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sedflux.network.label_posterior import Solutions

__all__ = ["SOLUTION_NAMES", "describe_solutions"]

#: The likelier solution and the other: the weight of the second, and temperature (K), log g and SED
#: of each.
SOLUTION_NAMES = ("second_weight", *(f"{order}_{name}" for order in ("first", "second")
                                     for name in ("teff", "logg", "flux")))


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
        whose weight then is zero.
    """
    flux = np.exp(found.scores @ templates + mean)
    flux /= (average @ flux.reshape(-1, mean.size).T).reshape(-1, 2, 1)
    columns = {"teff": np.exp(found.labels[..., 0]), "logg": found.labels[..., 1], "flux": flux}
    return {"second_weight": found.weight[:, 1],
            **{f"{order}_{name}": value[:, place] for place, order in enumerate(("first", "second"))
               for name, value in columns.items()}}
