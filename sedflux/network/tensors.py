"""The network on torch, as predictions use it: on a GPU, or with convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sedflux.network.architecture import UncertaintyAwareResidualAttention
from sedflux.network.arrays import ArrayNetwork, NetworkValues

__all__ = ["TensorNetwork"]

#: Numbers of rows of the network's input; fewer spectra are padded to the next of these.
_BATCH_SIZES = (4, 8, 16, 64, 128, 256)
#: Names of what `NetworkValues` holds and `sedflux.network.output.Output` has.
_NAMES = ("mean", "label_mean", "misfit", "unusual", "excess", "strange", "evidence")


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
    """

    torch: Any = torch

    def __init__(self, network: UncertaintyAwareResidualAttention, arrays: ArrayNetwork,
                 device: torch.device) -> None:
        self._network, self._device = network.to(device), device
        self._posterior = arrays.posterior

    def values(self, normalised: np.ndarray, ivar: np.ndarray, power: float) -> NetworkValues:
        """
        What the network finds in normalised spectra; see `ArrayNetwork.values`.

        Parameters
        ----------
        normalised, ivar : `~numpy.ndarray`, shape (N, pixels)
        power : float

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
            spectra.append(torch.from_numpy(padded).to(self._device))
        with torch.inference_mode():
            output = self._network(*spectra, torch.full((size,), power, device=self._device))
            output = output.take(slice(count))
            diagonal, directions = self._network.compact_directions(output)
            solutions = None
            if self._posterior is not None:
                normal, right = self._network.projection.equations(
                    *(part[:count] for part in spectra))
                solutions = self._posterior.solutions(normal.cpu().numpy(), right.cpu().numpy(),
                                                      power)
        found = {name: getattr(output, name).cpu().numpy().astype(float) for name in _NAMES}
        return NetworkValues(found | {"diagonal": diagonal.cpu().numpy(),
                                      "directions": directions.cpu().numpy(),
                                      "residual": output.residual.cpu().numpy()}, solutions)
