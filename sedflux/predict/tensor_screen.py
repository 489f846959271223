"""The evidence of a model from its leading templates, as tensors."""

from __future__ import annotations

import numpy as np
import torch

from sedflux.network.constants import PIXEL_FLOOR
from sedflux.network.tensor_continuum import places_of_pairs
from sedflux.predict.screen import FEW_SLACK, SCREEN_TEMPLATES, SLACK, Screen
from sedflux.spectra.continuum import pair_products

__all__ = ["TensorScreen"]


class TensorScreen:
    """
    `~sedflux.predict.screen.Screen` for tensors.

    Parameters
    ----------
    screen : `~sedflux.predict.screen.Screen`
    device : `torch.device`
    """

    def __init__(self, screen: Screen, device: torch.device) -> None:
        def tensor(values):
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        self._mean = tensor(screen.mean)
        # Some templates, products of all pairs of them, and where these stand in a matrix.
        self._few, self._more = (
            (tensor(some), tensor(pair_products(some.T)), tensor(places_of_pairs(len(some))))
            for some in (screen.templates[:size] for size in SCREEN_TEMPLATES))

    def __call__(self, normalised: torch.Tensor, ivar: torch.Tensor, evidence: torch.Tensor
                 ) -> torch.Tensor:
        """
        Logarithm of the evidence, see `~sedflux.predict.screen.Screen`.

        Parameters
        ----------
        normalised, ivar : `torch.Tensor`, shape (N, pixels)
        evidence : `torch.Tensor`, shape (N,)
            Of the other model.

        Returns
        -------
        found : `torch.Tensor`, shape (N,)
        """
        found = self._evidence(normalised, ivar, *self._few)
        slack = SLACK + FEW_SLACK * ivar.double().mean(dim=1)
        near = (found + slack > evidence).nonzero()[:, 0]
        if len(near):
            found[near] = self._evidence(normalised[near], ivar[near], *self._more)
        return found

    def _evidence(self, normalised, ivar, templates, products, place):
        """The evidence of some templates."""
        weight = ivar / (1.0 + ivar * PIXEL_FLOOR**2)
        deviation = normalised - self._mean
        weighted = weight * deviation
        size = len(templates)
        normal = (weight @ products).double()[:, place].unflatten(1, (size, size))
        normal.diagonal(dim1=1, dim2=2).add_(1.0)
        right = (weighted @ templates.T).double()
        chi2 = (weighted * deviation).sum(dim=1, dtype=torch.float64)
        triangle = torch.linalg.cholesky_ex(normal)[0]
        solved = torch.linalg.solve_triangular(triangle, right[..., None], upper=False)[..., 0]
        log_volume = triangle.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        return -0.5 * (chi2 - (solved**2).sum(dim=1)) - log_volume
