"""Models on disk: safetensors, with everything worth knowing in the header."""

import json
from pathlib import Path

import numpy as np

from sedflux.exceptions import WeightsError
from sedflux.network.architecture import build
from sedflux.network.config import Config
from sedflux.writing import write_whole

__all__ = ["load_network", "read_metadata", "save_network"]

FORMAT = "sedflux-1"
_OPTIONAL = ("references", "spacing")
_HALF = ("trunk.", "factor_head.", "references")


def save_network(path, network, metadata):
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
    from safetensors.torch import save_file

    tensors = {name: _stored(name, value) for name, value in network.state_dict().items()}
    header = {"format": FORMAT, "config": json.dumps(network.config.to_dict()),
              "sedflux": json.dumps(metadata)}
    write_whole(path, lambda temporary: save_file(tensors, temporary, metadata=header))


def _stored(name, value):
    """Large matrices in half precision: 0.05 % of each weight, half of the file."""
    value = value.detach().contiguous()
    return value.half() if value.ndim == 2 and name.startswith(_HALF) else value


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


def read_metadata(path):
    """
    Header of a model file, without its weights.

    Returns
    -------
    config : `~sedflux.network.config.Config`
    metadata : dict
    """
    with _open(path) as stream:
        header = stream.metadata() or {}
    if header.get("format") != FORMAT:
        raise WeightsError(
            f"model file {str(path)!r} has the format {header.get('format')!r}, "
            f"this sedflux reads {FORMAT!r}; it is no sedflux model or of another version"
        )
    return Config.from_dict(json.loads(header["config"])), json.loads(header["sedflux"])


def load_network(path):
    """
    Read a network, ready to predict.

    Returns
    -------
    network : `torch.nn.Module`
    metadata : dict

    Raises
    ------
    sedflux.exceptions.WeightsError
        If the file is missing, damaged or does not fit its configuration.
    """
    config, metadata = read_metadata(path)
    network = build(config)
    with _open(path) as stream:
        tensors = {name: stream.get_tensor(name) for name in list(stream.keys())}
    # Models without references were written before there were any.
    state = network.state_dict()
    tensors = {name: state[name] for name in _OPTIONAL} | tensors
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"model file {str(path)!r} does not fit its configuration: {error}") \
            from error
    if not all(np.isfinite(value.numpy()).all() for value in tensors.values()):
        raise WeightsError(f"model file {str(path)!r} holds weights that are not finite")
    network.eval().requires_grad_(False)
    return network, metadata
