"""
Smooth functions of the labels that vanish far from all stars.

A Gaussian process in (5040 K / TEFF, LOGG, MH), written as a linear model.  Its features are
kernels centred on some of the stars, made orthonormal under the prior.  Far from all stars they
vanish, and the variance of the correction is that of its prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sedflux.libraries.labels import scale_labels

__all__ = ["LabelFeatures", "Lengths", "choose_centres"]

#: Largest number of centres, and the remaining share of the prior's variance at which no more
#: are added.
_MOST_CENTRES, _LEAST_VARIANCE = 96, 0.02
_JITTER = 1e-6

#: Lengths in scaled 5040 K / TEFF, LOGG and MH over which a correction changes.
Lengths = tuple[float, float, float]


def _kernel(first, second, lengths):
    """Squared exponential between scaled labels (N, 3) and (M, 3)."""
    gap = (first[:, None] - second[None]) / np.asarray(lengths)
    return np.exp(-0.5 * (gap**2).sum(axis=-1))


def choose_centres(labels: np.ndarray, lengths: Lengths) -> np.ndarray:
    """
    Stars on which features are centred: each where the others leave the largest variance.

    Parameters
    ----------
    labels : `~numpy.ndarray`, shape (N, 6)
    lengths : tuple of float
        In scaled labels.

    Returns
    -------
    rows : `~numpy.ndarray` of int
        96 at the most, by pivoted Cholesky decomposition.
    """
    scaled = scale_labels(labels)[:, :3]
    left, rows = np.ones(len(scaled)), []
    factor = np.zeros((len(scaled), min(_MOST_CENTRES, len(scaled))))
    for column in range(factor.shape[1]):
        pivot = int(np.argmax(left))
        if left[pivot] < _LEAST_VARIANCE:
            break
        rows.append(pivot)
        cross = _kernel(scaled, scaled[pivot : pivot + 1], lengths)[:, 0]
        factor[:, column] = (cross - factor @ factor[pivot]) / np.sqrt(left[pivot])
        left = left - factor[:, column] ** 2
    return np.array(rows)


@dataclass(frozen=True)
class LabelFeatures:
    """
    Features of labels, with unit variance under the prior of the process.

    Attributes
    ----------
    centres : `~numpy.ndarray`, shape (M, 3)
        Scaled labels.
    lengths : tuple of float
        In scaled labels.
    whitening : `~numpy.ndarray`, shape (M, M)
        Turns kernels about the centres into features.
    """

    centres: np.ndarray
    lengths: Lengths
    whitening: np.ndarray

    @classmethod
    def of_stars(cls, labels: np.ndarray, lengths: Lengths) -> LabelFeatures:
        """Features about some of the stars with labels (N, 6)."""
        centres = scale_labels(labels)[choose_centres(labels, lengths), :3]
        matrix = _kernel(centres, centres, lengths) + _JITTER * np.eye(len(centres))
        return cls(centres, lengths, np.linalg.inv(np.linalg.cholesky(matrix)).T)

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Features at labels (N, 6), shape (N, M)."""
        scaled = scale_labels(labels)[:, :3]
        return _kernel(scaled, self.centres, self.lengths) @ self.whitening

    def unknown(self, labels: np.ndarray) -> np.ndarray:
        """Share of the prior's variance that no star constrains, shape (N,)."""
        return np.clip(1.0 - (self(labels) ** 2).sum(axis=1), 0.0, 1.0)
