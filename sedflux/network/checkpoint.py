"""Models on disk: safetensors files whose header holds configuration and provenance."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from sedflux.network.architecture import UncertaintyAwareResidualAttention, build
from sedflux.network.config import Config
from sedflux.network.stored import FORMAT, read_metadata, read_weights
from sedflux.writing import write_whole

__all__ = ["load_network", "network_of", "read_metadata", "save_network"]

#: Tensors that are stored in half precision.
_HALF_PRECISION = ("trunk.", "factor_head.", "references", "grid.")


def save_network(path: str | os.PathLike[str], network: UncertaintyAwareResidualAttention,
                 metadata: Mapping[str, Any]) -> None:
    """
    Write a network with its configuration and provenance.

    Parameters
    ----------
    path : path-like
    network : `torch.nn.Module`
        From `sedflux.network.architecture.build`.
    metadata : dict
        What can be written as JSON: name, training, data, figures, domain.
    """
    from safetensors.torch import save

    tensors = {name: _stored(name, value) for name, value in network.state_dict().items()}
    header = {"format": FORMAT, "config": json.dumps(network.config.to_dict()),
              "sedflux": json.dumps(metadata)}
    # Written by Python, whose errors of a full disk write_whole knows.
    content = save(tensors, metadata=header)
    write_whole(path, lambda temporary: temporary.write_bytes(content))


def _stored(name, value):
    """Large matrices in half precision: 0.05 % of each weight, half of the file."""
    value = value.detach().contiguous()
    return value.half() if value.ndim == 2 and name.startswith(_HALF_PRECISION) else value


def load_network(path: str | os.PathLike[str]
                 ) -> tuple[UncertaintyAwareResidualAttention, dict[str, Any]]:
    """
    Read a network, ready to predict.

    Returns
    -------
    network : `torch.nn.Module`
    metadata : dict

    Raises
    ------
    sedflux.exceptions.ModelError
        If the configuration is one that this sedflux does not know.
    sedflux.exceptions.WeightsError
        If the file is missing, damaged or does not fit its configuration.
    """
    config, metadata, weights = read_weights(path)
    return network_of(config, weights), metadata


def network_of(config: Config, weights: Mapping[str, np.ndarray]
               ) -> UncertaintyAwareResidualAttention:
    """
    A network from its weights, ready to predict.

    Parameters
    ----------
    config : `~sedflux.network.config.Config`
    weights : dict of str to `~numpy.ndarray`
        From `~sedflux.network.stored.read_weights`.

    Returns
    -------
    network : `torch.nn.Module`
    """
    network = build(config)
    network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    network.eval().requires_grad_(False)
    return network
