"""A grid of models of two labels as a part of a network, see `sedflux.network.label_posterior`."""

from __future__ import annotations

import torch
from torch import nn

from sedflux.network.label_posterior import LabelPosterior

__all__ = ["VELOCITY_SPREAD", "LabelGrid"]

#: Standard deviation of the velocity (km/s) that is left, the unit of the slopes.
VELOCITY_SPREAD = 150.0


class LabelGrid(nn.Module):
    """
    Coefficients and SEDs of models on a grid of resolving power, TEFF and LOGG.

    Parameters
    ----------
    shape : tuple of int
        Number of resolving powers r, of temperatures t and of gravities g.
    components, sed_components : int
        Coefficients k of the projection, and components c of ln(SED).
    """

    power: torch.Tensor
    teff: torch.Tensor
    logg: torch.Tensor
    points: torch.Tensor
    slopes: torch.Tensor
    scores: torch.Tensor

    def __init__(self, shape, components, sed_components):
        super().__init__()
        powers, temperatures, gravities = shape
        nodes = temperatures * gravities
        self.register_buffer("power", torch.arange(1.0, powers + 1.0))
        self.register_buffer("teff", torch.arange(1.0, temperatures + 1.0))
        self.register_buffer("logg", torch.arange(1.0, gravities + 1.0))
        self.register_buffer("points", torch.zeros(powers * nodes, components))
        self.register_buffer("slopes", torch.zeros(powers * nodes, components))
        self.register_buffer("scores", torch.zeros(nodes, sed_components))

    def posterior(self):
        """
        The posterior of labels among these models.

        Returns
        -------
        posterior : `~sedflux.network.label_posterior.LabelPosterior`
        """
        return LabelPosterior(*(value.cpu().numpy() for value in (
            self.power, self.teff, self.logg, self.points, self.slopes, self.scores)))
