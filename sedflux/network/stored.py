"""Model files, read as arrays: safetensors whose header holds configuration and provenance."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from sedflux.exceptions import ModelError, WeightsError
from sedflux.network.config import Config
from sedflux.network.header import check_metadata
from sedflux.network.shapes import OPTIONAL_TENSORS, tensor_shapes

__all__ = ["ARCHITECTURE", "FORMAT", "read_metadata", "read_weights"]

FORMAT = "sedflux-1"
#: The architecture of all models, by its name.
ARCHITECTURE = "uara"
#: Types of numbers that a model file may hold; numpy has no `_TORCH_TYPE`.
_NUMBER_TYPES = ("F16", "BF16", "F32", "F64")
_TORCH_TYPE = "BF16"


def _open(path, framework="np"):
    """Open a safetensors file, or say what is wrong with it."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"model file {str(path)!r} does not exist; give the path of a model")
    try:
        return safe_open(path, framework=framework)
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
    if unknown := sorted(names - set(expected)):
        raise WeightsError(f"model file {str(path)!r} does not fit its configuration: it has "
                           f"the unknown tensors {', '.join(unknown)}; fetch it again")


def _tensor(stream, name, path):
    """A tensor as an array in single precision."""
    if stream.get_slice(name).get_dtype() != _TORCH_TYPE:
        return stream.get_tensor(name).astype(np.float32)
    with _open(path, "pt") as other:
        return other.get_tensor(name).float().numpy()


def read_weights(path: str | os.PathLike[str]
                 ) -> tuple[Config, dict[str, Any], dict[str, np.ndarray]]:
    """
    Configuration, provenance and weights of a model.

    Returns
    -------
    config : `~sedflux.network.config.Config`
    metadata : dict
    weights : dict of str to `~numpy.ndarray`
        All that `~sedflux.network.shapes.tensor_shapes` names, in single precision.

    Raises
    ------
    sedflux.exceptions.ModelError
        If the configuration is one that this sedflux does not know.
    sedflux.exceptions.WeightsError
        If the file is missing, damaged or does not fit its configuration.
    """
    config, metadata = read_metadata(path)
    if config.arch != ARCHITECTURE:
        raise ModelError(
            f"architecture {config.arch!r} is unknown; sedflux has {[ARCHITECTURE]}")
    shapes = tensor_shapes(config)
    with _open(path) as stream:
        # A wrong size is found before memory is taken for it.
        names = set(stream.keys())
        lacking = [name for name in OPTIONAL_TENSORS if name not in names
                   and (name == "spacing" or not config.references)]
        _check_tensors(stream, {name: shape for name, shape in shapes.items()
                                if name not in lacking}, path)
        weights = {name: _tensor(stream, name, path) for name in names}
    if not all(np.isfinite(value).all() for value in weights.values()):
        raise WeightsError(f"model file {str(path)!r} holds weights that are not finite; "
                           "fetch it again")
    return config, metadata, {name: np.ones(shapes[name], np.float32)
                              for name in lacking} | weights
