"""Generalised least squares on templates: from 2430 pixels to a few dozen coefficients."""

import torch
from torch import nn

__all__ = []

#: Relative noise that the projection adds to every pixel: errors of any template.
PIXEL_FLOOR = 0.003
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
            rows, columns = torch.triu_indices(len(scaled), len(scaled))
            self._products = (scaled[rows] * scaled[columns]).T.contiguous()
        return self._products

    def _solved(self, weight, scaled, right):
        """Coefficients and their errors, (N, k), and log volumes, (N,), of weighted pixels."""
        if len(weight) > _FEW:
            return map(torch.cat, zip(*map(
                _solve, (weight @ self.products()).split(_BLOCK), right.split(_BLOCK)),
                strict=True))
        coefficients, errors = torch.zeros_like(right), torch.ones_like(right)
        log_volume = right.new_zeros(len(right), dtype=torch.float64)
        rows, columns = torch.triu_indices(len(scaled), len(scaled))
        for one in range(len(weight)):
            # Rows that fill up a batch have no weight.
            if weight[one].any():
                packed = ((scaled * weight[one]) @ scaled.T)[rows, columns]
                coefficients[one], errors[one], log_volume[one] = _solve(
                    packed[None], right[one, None])
        return coefficients, errors, log_volume

    def equations(self, normalised, ivar):
        """
        Normal matrices of coefficients in units of their spread, without their prior.

        Returns
        -------
        normal : (N, k (k + 1) / 2)
            Upper triangles.
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
        coefficients, errors, log_volume = self._solved(weight, scaled,
                                                        (weight * deviation) @ scaled.T)
        residual = deviation - coefficients @ scaled
        return coefficients, errors, residual, weight, log_volume


def _solve(packed, right):
    """Coefficients and their errors, (N, k), of a few spectra, and log volumes, (N,)."""
    size = right.shape[1]
    columns, rows = torch.triu_indices(size, size)
    # Cholesky's decomposition reads the lower triangle alone.
    normal = right.new_zeros(len(right), size, size, dtype=torch.float64)
    normal[:, rows, columns] = packed.double()
    normal.diagonal(dim1=-2, dim2=-1).add_(1.0)
    triangle = torch.linalg.cholesky(normal)
    # The inverse of the normal matrix is root^T root.
    identity = torch.eye(size, dtype=torch.float64, device=right.device)
    root = torch.linalg.solve_triangular(triangle, identity, upper=False)
    coefficients = root.mT @ (root @ right.double()[..., None])
    return (coefficients[..., 0].float(), torch.linalg.vector_norm(root, dim=1).float(),
            triangle.diagonal(dim1=-2, dim2=-1).log().sum(dim=1))
