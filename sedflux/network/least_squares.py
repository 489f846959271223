"""The projection of spectra on templates, see `sedflux.network.projection`, as arrays."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from sedflux.network.constants import PIXEL_FLOOR
from sedflux.network.triangles import inverse_of_triangles, root_of_packed

__all__ = ["LeastSquares", "Projected"]

#: Spectra whose normal matrices are solved at a time, in the processor's cache.
_BLOCK = 64
#: Most spectra whose normal matrices are made one by one; the products of all pairs of templates,
#: which serve many spectra at once, are 20 MB to read.
_FEW = 4


class Projected(NamedTuple):
    """
    What the projection finds in N spectra.

    Attributes
    ----------
    coefficients, errors : `~numpy.ndarray`, shape (N, k)
        In units of the templates' spread.
    residual, weight : `~numpy.ndarray`, shape (N, n)
    chi2 : `~numpy.ndarray`, shape (N,)
        Of the residuals, in double precision.
    log_volume : `~numpy.ndarray`, shape (N,)
        Logarithm of the determinant of the normal matrix, halved; in double precision.
    normal : `~numpy.ndarray`, shape (N, k (k + 1) / 2)
        Lower triangles of the normal matrices, without the prior.
    right : `~numpy.ndarray`, shape (N, k)
        Right-hand sides of the normal equations.
    """

    coefficients: np.ndarray
    errors: np.ndarray
    residual: np.ndarray
    weight: np.ndarray
    chi2: np.ndarray
    log_volume: np.ndarray
    normal: np.ndarray
    right: np.ndarray

    def evidence(self) -> np.ndarray:
        """Logarithm of the likelihood, see `sedflux.network.output.Output`, (N,)."""
        # Templates with normal coefficients are a Gaussian process, whose likelihood this is, but
        # for the noise of the pixels, which is the same for all templates.
        prior = (self.coefficients.astype(float) ** 2).sum(axis=1)
        return -0.5 * (self.chi2 + prior) - self.log_volume


class LeastSquares:
    """
    Generalised least squares on templates.

    Parameters
    ----------
    mean : `~numpy.ndarray`, shape (n,)
    templates : `~numpy.ndarray`, shape (k, n)
    spread : `~numpy.ndarray`, shape (k,)
        Of the coefficients in the training.

    Attributes
    ----------
    mean : `~numpy.ndarray`, shape (n,)
    scaled : `~numpy.ndarray`, shape (k, n)
        Templates in units of their spread.
    """

    def __init__(self, mean: np.ndarray, templates: np.ndarray, spread: np.ndarray) -> None:
        self.mean, self.scaled = mean, templates * spread[:, None]
        self._across = np.ascontiguousarray(self.scaled.T)
        self._lower = np.tril_indices(len(templates))

    @cached_property
    def products(self) -> np.ndarray:
        """Products of every pair of templates, (n, k (k + 1) / 2)."""
        rows, columns = self._lower
        return self._across[:, rows] * self._across[:, columns]

    def __call__(self, normalised: np.ndarray, ivar: np.ndarray) -> Projected:
        """
        Project spectra.

        Parameters
        ----------
        normalised, ivar : `~numpy.ndarray`, shape (N, n)
            In single precision.

        Returns
        -------
        projected : `Projected`
        """
        weight = ivar * np.float32(PIXEL_FLOOR**2)
        weight += 1.0
        np.divide(ivar, weight, out=weight)
        normal = self._normal(weight)
        residual = normalised - self.mean
        blocks = [slice(begin, begin + _BLOCK) for begin in range(0, len(weight), _BLOCK)]
        roots, log_volume = zip(*(_root(normal[block]) for block in blocks), strict=True)
        right = (weight * residual) @ self._across
        coefficients = _solved(roots, right)
        residual -= self._mixture(coefficients)
        # Sums of thousands of products in single precision have lost digits, which the residuals
        # tell.
        more = _solved(roots, (weight * residual) @ self._across - coefficients)
        residual -= self._mixture(more)
        errors = np.concatenate([np.sqrt(np.einsum("nij,nij->nj", root, root)) for root in roots])
        chi2 = np.einsum("ij,ij->i", residual * residual, weight, dtype=float)
        return Projected(coefficients + more, errors.astype(np.float32), residual, weight, chi2,
                         np.concatenate(log_volume), normal, right)

    def _mixture(self, coefficients):
        """Mixtures of templates, (N, n), whose pixels are the slow axis as those of spectra."""
        return (self._across @ coefficients.T).T

    def _normal(self, weight):
        if len(weight) > _FEW:
            return weight @ self.products
        rows, columns = self._lower
        roots = self.scaled * np.sqrt(weight)[:, None]
        return np.stack([(root @ root.T)[rows, columns] for root in roots])


def _root(packed):
    """
    Roots of the inverse normal matrices of a few spectra, and log volumes.

    Parameters
    ----------
    packed : `~numpy.ndarray`, shape (N, k (k + 1) / 2)

    Returns
    -------
    root : `~numpy.ndarray`, shape (N, k, k)
        The inverse of the normal matrix is ``root^T root``.
    log_volume : `~numpy.ndarray`, shape (N,)
    """
    triangle = root_of_packed(packed, 1.0)
    return (inverse_of_triangles(triangle),
            np.log(np.diagonal(triangle, axis1=1, axis2=2)).sum(axis=1))


def _solved(roots, right):
    """Solutions of the normal equations of all blocks, (N, k) in single precision."""
    found, begin = np.empty_like(right), 0
    for root in roots:
        rows = slice(begin, begin + len(root))
        begin = rows.stop
        found[rows] = (root.swapaxes(1, 2) @ (root @ right[rows, :, None].astype(float)))[..., 0]
    return found
