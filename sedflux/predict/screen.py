"""The evidence of a model from its leading templates, which tells what else a spectrum may be."""

from __future__ import annotations

from typing import Any

import numpy as np

from sedflux.network.constants import PIXEL_FLOOR

__all__ = ["FEW_SLACK", "MORE_SLACK", "SCREEN_TEMPLATES", "SLACK", "Screen"]

#: Templates of the screen, first and last.
SCREEN_TEMPLATES = (8, 24)
#: What the templates that are left out may add to the logarithm of the evidence: a constant, and
#: shares of the squared S/N per pixel for few templates and for more.
SLACK, FEW_SLACK, MORE_SLACK = 10.0, 0.5, 0.03


class Screen:
    """
    The evidence of a model from its leading templates alone, in a few percent of the time.

    A few templates tell that most spectra are of another kind; more of them tell it of the others.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`

    Attributes
    ----------
    templates : `~numpy.ndarray`, shape (k, pixels)
        The leading ones, in units of their spread.
    mean : `~numpy.ndarray`, shape (pixels,)
    """

    def __init__(self, predictor: Any) -> None:
        projection = predictor.arrays.projection
        order = np.argsort(-predictor.arrays.weights["projection.spread"])
        self.templates = projection.scaled[order[:max(SCREEN_TEMPLATES)]]
        self.mean = projection.mean
        self._few, self._more = (
            _Leading(self.templates[:size], self.mean) for size in SCREEN_TEMPLATES)

    def __call__(self, normalised: np.ndarray, ivar: np.ndarray, evidence: np.ndarray
                 ) -> np.ndarray:
        """
        Logarithm of the evidence, see `sedflux.network.output.Output`.

        Parameters
        ----------
        normalised, ivar : `~numpy.ndarray`, shape (N, pixels)
        evidence : `~numpy.ndarray`, shape (N,)
            Of the other model.

        Returns
        -------
        found : `~numpy.ndarray`, shape (N,)
        """
        found = self._few(normalised, ivar)
        near = np.flatnonzero(found + _slack(ivar, FEW_SLACK) > evidence)
        if near.size:
            found[near] = self._more(normalised[near], ivar[near])
        return found


class _Leading:
    """The evidence of some templates."""

    def __init__(self, templates, mean):
        self._floor, self._mean = np.float32(PIXEL_FLOOR**2), mean
        self._templates = np.ascontiguousarray(templates.T)
        self._rows, self._columns = np.tril_indices(len(templates))
        self._products = np.ascontiguousarray((templates[self._rows] * templates[self._columns]).T)

    def __call__(self, normalised, ivar):
        weight = ivar / (1.0 + ivar * self._floor)
        deviation = (normalised - self._mean).astype(np.float32)
        weighted = weight * deviation
        size = self._templates.shape[1]
        normal = np.zeros((len(weight), size, size))
        normal[:, self._rows, self._columns] = weight @ self._products
        normal[:, self._columns, self._rows] = normal[:, self._rows, self._columns]
        normal += np.eye(size)
        right = (weighted @ self._templates).astype(float)
        chi2 = np.einsum("ij,ij->i", weighted, deviation, dtype=float)
        solved = np.linalg.solve(normal, right[..., None])[..., 0]
        _, log_determinant = np.linalg.slogdet(normal)
        return -0.5 * (chi2 - (right * solved).sum(axis=1) + log_determinant)


def _slack(ivar, rate):
    """What the templates that are left out may add to the logarithm of the evidence."""
    return SLACK + rate * ivar.mean(axis=1, dtype=float)
