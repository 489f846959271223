"""
Smoothness of the SED correction, chosen by cross-validation over the training stars.

Candidates differ in the lengths in 5040 K / TEFF, LOGG and MH over which the correction changes,
and in its size.  Each candidate is fitted without one fold of the stars, and scored on the STIS
SEDs and colours of that fold.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from sedflux.training.label_features import LabelFeatures
from sedflux.training.sed_truths import predictive_chi2, solve_sed, truth_rows

if TYPE_CHECKING:
    from sedflux.training.label_features import Lengths
    from sedflux.training.sed_truths import Truth

__all__ = ["Smoothness", "choose_smoothness"]

_log = logging.getLogger(__name__)

#: Candidate values: lengths in scaled 5040 K / TEFF, LOGG and MH, and the size in units of the
#: prior's; and the values with which the search starts.
_AXES = ((0.4, 0.6, 0.9), (0.7, 1.0, 2.0), (0.8, 1.3, 2.5), (1.2, 2.4))
_FIRST = (0.6, 1.0, 1.3, 2.4)
#: Sweeps over the axes.
_SWEEPS = 1


@dataclass(frozen=True)
class Smoothness:
    """
    Lengths of the correction in scaled labels, and its size in units of the prior's.

    Attributes
    ----------
    lengths : tuple of float
    size : float
    score : float
        Mean of ln(1 + chi-square per datum) of left-out truths.
    """

    lengths: Lengths
    size: float
    score: float


def _score(truths, labels, folds, grams, data, scatters, kinds, values):
    """Mean over left-out truths of ln(1 + chi-square per datum)."""
    *lengths, size = values
    features = LabelFeatures.of_stars(labels, tuple(lengths))(labels)
    rows = truth_rows(truths, features, labels)
    fold = folds[[truth.star for truth in truths]]
    found = []
    for left_out in np.unique(folds):
        keep = fold != left_out
        coefficients, _ = solve_sed(rows[keep], grams[keep], data[keep], size)
        found += [predictive_chi2(truths[index], rows[index], coefficients,
                                  scatters[kinds[truths[index].star]])
                  for index in np.flatnonzero(~keep) if truths[index].source != "MILES"]
    return float(np.mean(np.log1p(found)))


def choose_smoothness(truths: Sequence[Truth], labels: np.ndarray, folds: np.ndarray,
                      grams: np.ndarray, data: np.ndarray, scatters: Sequence[np.ndarray],
                      kinds: np.ndarray) -> Smoothness:
    """
    Search for the candidate with the lowest score, along one axis after the other.

    Parameters
    ----------
    truths : list of `~sedflux.training.sed_truths.Truth`
    labels : `~numpy.ndarray`, shape (N, 6)
    folds : `~numpy.ndarray` of int, shape (N,)
    grams, data
        From `~sedflux.training.sed_truths.information`.
    scatters : sequence of `~numpy.ndarray`
    kinds : `~numpy.ndarray` of int, shape (N,)
        Class of each star.

    Returns
    -------
    smoothness : `Smoothness`
    """
    scores: dict[tuple[float, ...], float] = {}

    def score(values):
        if values not in scores:
            scores[values] = _score(truths, labels, folds, grams, data, scatters, kinds, values)
            _log.info("smoothness %s: %.4f", values, scores[values])
        return scores[values]

    best: tuple[float, ...] = _FIRST
    for _, axis in product(range(_SWEEPS), range(len(_AXES))):
        candidates = [(*best[:axis], value, *best[axis + 1 :]) for value in _AXES[axis]]
        best = min([best, *candidates], key=score)
    first, second, third, size = best
    return Smoothness((first, second, third), size, score(best))
