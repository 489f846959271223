"""Models on disk: safetensors files whose header holds configuration and provenance."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sedflux.exceptions import ModelError, WeightsError
from sedflux.network.architecture import (
    ARCHITECTURES,
    UncertaintyAwareResidualAttention,
    build,
)
from sedflux.network.config import Config
from sedflux.network.header import check_metadata
from sedflux.writing import write_whole

__all__ = ["load_network", "read_metadata", "save_network"]

FORMAT = "sedflux-1"
#: Tensors that models written before there were references lack.
_OPTIONAL_TENSORS = ("references", "spacing")
#: Tensors that are stored in half precision.
_HALF_PRECISION = ("trunk.", "factor_head.", "references", "grid.")
#: Types of numbers that a model file may hold.
_NUMBER_TYPES = ("F16", "BF16", "F32", "F64")


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


def _open(path):
    """Open a safetensors file, or say what is wrong with it."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"model file {str(path)!r} does not exist; give the path of a model")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"model file {str(path)!r} is damaged or no safetensors file ({error}); "
            "fetch it again"
        ) from error


def _parsed(header, key, path):
    """An entry of the header that is JSON."""
    if key not in header:
        raise WeightsError(f"model file {str(path)!r} has no {key!r} in its header; fetch it again")
    try:
        return json.loads(header[key])
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"model file {str(path)!r} is damaged: {key!r} in its header is no "
                           f"JSON ({error}); fetch it again") from error


def read_metadata(path: str | os.PathLike[str]) -> tuple[Config, dict[str, Any]]:
    """
    Header of a model file, without its weights.

    Returns
    -------
    config : `~sedflux.network.config.Config`
    metadata : dict

    Raises
    ------
    sedflux.exceptions.ModelError
        If the configuration is one that this sedflux does not know.
    sedflux.exceptions.WeightsError
        If the file is missing or damaged, or is no model.
    """
    with _open(path) as stream:
        header = stream.metadata() or {}
    if header.get("format") != FORMAT:
        raise WeightsError(
            f"model file {str(path)!r} has the format {header.get('format')!r}, "
            f"this sedflux reads {FORMAT!r}; it is no sedflux model or of another version"
        )
    try:
        config = Config.from_dict(_parsed(header, "config", path))
    except ModelError as error:
        raise ModelError(f"model file {str(path)!r} has a configuration that cannot be used: "
                         f"{error}") from error
    metadata = _parsed(header, "sedflux", path)
    check_metadata(metadata, config, path)
    return config, metadata


def _sized_tensors(config):
    """Shapes of the tensors that fix every size of a configuration."""
    size, width = config.components, config.width
    return {
        "projection.templates": [size, config.pixels],
        "sed_templates": [config.sed_components, config.samples],
        "entry.bias": [width],
        "mean_head.weight": [config.sed_components + config.labels, width],
        "variance_head.weight": [config.knots + config.labels + config.sed_components, width],
        "factor_head.weight": [config.rank * config.sed_components, width],
        **({"references": [config.references, size + 1]} if config.references else {}),
        **({"grid.points": [math.prod(config.grid), size],
            "grid.scores": [math.prod(config.grid[1:]), config.sed_components]}
           if config.grid else {}),
        **{f"trunk.{index}.first.bias": [width] for index in range(config.blocks)},
        **{f"convolutions.{index}.first.bias": [channels]
           for index, channels in enumerate(config.channels)},
    }


def _check_tensors(stream, expected, path):
    """Compare shapes and types of a file's tensors with those that are expected."""
    names = set(stream.keys())
    for name, shape in expected.items():
        if name not in names:
            raise WeightsError(f"model file {str(path)!r} does not fit its configuration: it "
                               f"lacks {name}; fetch it again")
        part = stream.get_slice(name)
        if part.get_shape() != shape:
            raise WeightsError(
                f"model file {str(path)!r} does not fit its configuration: {name} has the shape "
                f"{part.get_shape()} instead of {shape}; fetch it again")
        if part.get_dtype() not in _NUMBER_TYPES:
            raise WeightsError(f"model file {str(path)!r} is damaged: {name} has the type "
                               f"{part.get_dtype()}; one of {', '.join(_NUMBER_TYPES)} is needed")


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
    config, metadata = read_metadata(path)
    with _open(path) as stream:
        if config.arch in ARCHITECTURES:
            # A wrong size is found before memory is taken for it.
            _check_tensors(stream, _sized_tensors(config), path)
        network = build(config)
        state, names = network.state_dict(), set(stream.keys())
        if unknown := sorted(names - set(state)):
            raise WeightsError(f"model file {str(path)!r} does not fit its configuration: it has "
                               f"the unknown tensors {', '.join(unknown)}; fetch it again")
        _check_tensors(stream, {name: list(value.shape) for name, value in state.items()
                                if name in names or name not in _OPTIONAL_TENSORS}, path)
        tensors = {name: stream.get_tensor(name) for name in names}
    network.load_state_dict({name: state[name] for name in _OPTIONAL_TENSORS} | tensors)
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise WeightsError(f"model file {str(path)!r} holds weights that are not finite; "
                           "fetch it again")
    network.eval().requires_grad_(False)
    return network, metadata
