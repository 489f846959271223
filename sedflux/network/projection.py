"""Generalised least squares on templates: from 2430 pixels to a few dozen coefficients."""

import torch
from torch import nn

from sedflux.network.constants import PIXEL_FLOOR

__all__ = []

#: Spectra whose normal matrices are solved at a time, in the processor's cache.
_BLOCK = 32
#: Most spectra whose normal matrices are made one by one; the products of all pairs of templates,
#: which serve many spectra at once, are 20 MB to read.
_FEW = 4


class Projection(nn.Module):
    """Generalised least squares on templates: their mean, the templates and their spread."""

    mean: torch.Tensor
    templates: torch.Tensor
    spread: torch.Tensor

    def __init__(self, components, pixels):
        super().__init__()
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("templates", torch.zeros(components, pixels))
        self.register_buffer("spread", torch.ones(components))
        self._products = None

    def products(self):
        """Products of every pair of templates, (n, k (k + 1) / 2), made when first asked."""
        if self._products is None or self._products.device != self.templates.device:
            scaled = self.templates * self.spread[:, None]
            rows, columns = torch.tril_indices(len(scaled), len(scaled), device=scaled.device)
            self._products = (scaled[rows] * scaled[columns]).T.contiguous()
        return self._products

    def _normal(self, weight, scaled):
        """Lower triangles of the normal matrices of weighted pixels, without their prior."""
        if len(weight) > _FEW:
            return weight @ self.products()
        rows, columns = torch.tril_indices(len(scaled), len(scaled), device=scaled.device)
        return torch.stack([((scaled * one) @ scaled.T)[rows, columns] for one in weight])

    def equations(self, normalised, ivar):
        """
        Normal matrices of coefficients in units of their spread, without their prior.

        Returns
        -------
        normal : (N, k (k + 1) / 2)
            Lower triangles.
        right : (N, k)
        """
        weight = ivar / (1.0 + ivar * PIXEL_FLOOR**2)
        scaled = self.templates * self.spread[:, None]
        return weight @ self.products(), (weight * (normalised - self.mean)) @ scaled.T

    def forward(self, normalised, ivar):
        """
        Coefficients in units of their spread, their errors, and the residuals.

        Returns
        -------
        coefficients, errors : (N, k)
        residual : (N, n)
        weight : (N, n)
        log_volume : (N,)
            Logarithm of the determinant of the normal matrix, halved: how much smaller the
            spectrum makes the volume of coefficients.
        """
        scaled = self.templates * self.spread[:, None]
        weight = ivar / (1.0 + ivar * PIXEL_FLOOR**2)
        deviation = normalised - self.mean
        block = _BLOCK if weight.device.type == "cpu" else max(len(weight), 1)
        parts = [_root(some) for some in self._normal(weight, scaled).split(block)]
        roots, errors, log_volume = map(torch.cat, zip(*parts, strict=True))
        coefficients = _solved(roots, (weight * deviation) @ scaled.T)
        # Sums of thousands of products in single precision have lost digits, which the
        # residuals tell.
        residual = deviation - coefficients @ scaled
        coefficients = coefficients + _solved(
            roots, (weight * residual) @ scaled.T - coefficients)
        residual = deviation - coefficients @ scaled
        return coefficients, errors, residual, weight, log_volume


def _root(packed):
    """Roots of the inverse normal matrices, (N, k, k), errors (N, k) and log volumes (N,)."""
    size = int((2 * packed.shape[1]) ** 0.5)
    rows, columns = torch.tril_indices(size, size, device=packed.device)
    # Cholesky's decomposition reads the lower triangle alone.
    normal = packed.new_zeros(len(packed), size, size, dtype=torch.float64)
    normal[:, rows, columns] = packed.double()
    normal.diagonal(dim1=-2, dim2=-1).add_(1.0)
    triangle = torch.linalg.cholesky(normal)
    # The inverse of the normal matrix is root^T root.
    identity = torch.eye(size, dtype=torch.float64, device=packed.device)
    root = torch.linalg.solve_triangular(triangle, identity, upper=False)
    return (root, torch.linalg.vector_norm(root, dim=1).float(),
            triangle.diagonal(dim1=-2, dim2=-1).log().sum(dim=1))


def _solved(root, right):
    """Solutions of the normal equations, (N, k) in single precision."""
    return (root.mT @ (root @ right.double()[..., None]))[..., 0].float()
