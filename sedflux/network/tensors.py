"""The network on torch, as predictions use it: on a GPU, or with convolutions."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import torch

from sedflux.network.architecture import (
    UncertaintyAwareResidualAttention,
    chi2_of,
    evidence_of,
)
from sedflux.network.arrays import ArrayNetwork, NetworkValues
from sedflux.network.constants import VARIANCE_FLOOR
from sedflux.network.least_squares import Projected

__all__ = ["TensorNetwork"]

#: Names of what the projection gives.
_PROJECTED = ("coefficients", "errors", "residual", "weight", "log_volume")

#: Numbers of rows of the network's input; fewer spectra are padded to the next of these.
_BATCH_SIZES = (4, 8, 16, 64, 128, 256)
#: Names of what `NetworkValues` holds and `sedflux.network.output.Output` has.
_NAMES = ("mean", "label_mean", "misfit", "unusual", "excess", "strange", "evidence")
#: Largest matrices that a GPU decomposes all at once.  Larger ones it takes one by one (0.6 ms each
#: on an H200), and the processor takes several side by side.
_MOST_AT_ONCE = 32
#: Heads in double precision: they add up large numbers.
_HEADS = ("mean_head", "shortcut", "variance_head", "gain_head")


class TensorNetwork:
    """
    A network that works with torch.

    Parameters
    ----------
    network : `torch.nn.Module`
        From `~sedflux.network.checkpoint.load_network`.
    arrays : `~sedflux.network.arrays.ArrayNetwork`
        The same network as arrays.
    device : `torch.device`

    Attributes
    ----------
    arrays : `~sedflux.network.arrays.ArrayNetwork`
    device : `torch.device`
    """

    torch: Any = torch

    def __init__(self, network: UncertaintyAwareResidualAttention, arrays: ArrayNetwork,
                 device: torch.device) -> None:
        self._network, self.arrays, self.device = network.to(device).eval(), arrays, device
        self._heads = {name: deepcopy(getattr(network, name)).double() for name in _HEADS}
        self._double = {name: getattr(network, name).detach().double() for name in (
            "shared", "sed_mean", "sed_templates", "log_variance_start")}
        self._pairs = network.template_pairs().detach()
        size = network.config.sed_components
        first, second = torch.triu_indices(size, size, device=device)
        self._upper = first * size + second
        # What the network makes once is made now, because several threads will use it.
        network.projection.products()
        nothing = torch.zeros(1, network.config.pixels, device=device)
        with torch.no_grad():
            self.tensors(nothing, nothing, 1.0)

    def values(self, normalised: np.ndarray, ivar: np.ndarray, power: float, *,
               projected: Projected | None = None) -> NetworkValues:
        """
        What the network finds in normalised spectra; see `ArrayNetwork.values`.

        Parameters
        ----------
        normalised, ivar : `~numpy.ndarray`, shape (N, pixels)
        power : float
        projected : `~sedflux.network.least_squares.Projected`, optional
            Of no use here: the device projects spectra faster than it receives them.

        Returns
        -------
        values : `~sedflux.network.arrays.NetworkValues`
        """
        # The same number of rows in every product makes a star's result independent
        # of the other stars.
        count = len(normalised)
        size = next((size for size in _BATCH_SIZES if count <= size), count)
        spectra = []
        for part in (normalised, ivar):
            padded = np.zeros((size, part.shape[1]), dtype=np.float32, order="F")
            padded[:count] = part
            spectra.append(torch.from_numpy(padded).to(self.device))
        with torch.inference_mode():
            output = self.tensors(spectra[0], spectra[1], power)
            solutions = None
            if self.arrays.posterior is not None:
                normal, right = self._network.projection.equations(
                    *(part[:count] for part in spectra))
                solutions = self.arrays.posterior.solutions(normal.cpu().numpy(),
                                                            right.cpu().numpy(), power)
        found = {name: value[:count].cpu().numpy() for name, value in output.items()}
        return NetworkValues(found | {name: found[name].astype(float) for name in _NAMES},
                             solutions)

    def project(self, normalised: torch.Tensor, ivar: torch.Tensor) -> dict[str, torch.Tensor]:
        """
        Project normalised spectra on the templates.

        Parameters
        ----------
        normalised, ivar : `torch.Tensor`, shape (N, pixels)
            In single precision.

        Returns
        -------
        projected : dict of str to `torch.Tensor`, shape (N, ...)
            See `sedflux.network.projection.Projection`, and the ``evidence``.
        """
        found = self._network.projection(normalised, ivar)
        return dict(zip(_PROJECTED, found, strict=True)) | {
            "evidence": evidence_of(found, chi2_of(found))}

    def tensors(self, normalised: torch.Tensor, ivar: torch.Tensor, power: float, *,
                projected: dict[str, torch.Tensor] | None = None) -> dict[str, torch.Tensor]:
        """
        The output of `values`, by name.

        Parameters
        ----------
        normalised, ivar : `torch.Tensor`, shape (N, pixels)
            In single precision.
        power : float
        projected : dict of str to `torch.Tensor`, optional
            From `project`, if it is known.

        Returns
        -------
        output : dict of str to `torch.Tensor`, shape (N, ...)
        """
        network = self._network
        powers = torch.full((len(ivar),), power, device=ivar.device)
        if projected is None:
            projected = self.project(normalised, ivar)
        found = tuple(projected[name] for name in _PROJECTED)
        features, bounded = network.features(
            network.summarise(found, normalised, ivar, powers))
        scores = network.config.sed_components
        wide = features.double()
        means = self._heads["mean_head"](wide) + self._heads["shortcut"](bounded.double())
        mean = self._double["sed_mean"] + means[:, :scores] @ self._double["sed_templates"]
        return {"mean": mean,
                "label_mean": means[:, scores:],
                "strange": network.strangeness(found, powers),
                **network.fit_of(found, ivar), **self._covariance(features, wide)}

    def _covariance(self, features, wide):
        """The covariance as a diagonal and directions, see `ArrayNetwork`."""
        network, config = self._network, self._network.config
        size, rank = config.sed_components, config.rank
        variances = self._heads["variance_head"](wide)
        spread = (0.5 * variances[:, config.knots + config.labels:].clamp(-16.0, 4.0)).exp()
        gain = self._heads["gain_head"](wide).exp()
        own = network.factor_head(features).unflatten(-1, (rank, size)).double()
        rows = torch.cat([gain[..., None] * self._double["shared"], own], dim=1)
        rows *= (spread * self._double["sed_templates"].norm(dim=1))[:, None]
        matrix = rows.mT @ rows
        # What the directions miss by rounding is among what joins the diagonal, as in double
        # precision.
        single = matrix.float()
        place = matrix.device if size <= _MOST_AT_ONCE else torch.device("cpu")
        values, vectors = (part[..., size - rank:].to(matrix.device)
                           for part in torch.linalg.eigh(single.to(place)))
        large = (vectors * values.clamp(min=0.0).sqrt()[:, None]).mT
        # Processors give either sign.
        large = large * large.gather(-1, large.abs().argmax(dim=-1, keepdim=True)).sign()
        rest = (matrix - large.double().mT @ large.double()).flatten(1)
        dropped = rest[:, self._upper].float() @ self._pairs
        log_variance = self._double["log_variance_start"] + torch.nn.functional.interpolate(
            variances[:, None, : config.knots], size=config.samples, mode="linear",
            align_corners=True)[:, 0]
        diagonal = log_variance.clamp(-16.0, 4.0).exp() + VARIANCE_FLOOR + dropped.clamp(min=0.0)
        return {"diagonal": diagonal.float(), "directions": large.contiguous()}
