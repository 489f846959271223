"""Devices of torch, by their names."""

from __future__ import annotations

from typing import Any

import torch

from sedflux.exceptions import InputError

__all__ = ["device_name", "torch_device"]


def torch_device(device: Any) -> torch.device:
    """
    A device on which a network can work.

    Parameters
    ----------
    device : str or `torch.device`
        ``"cpu"``, ``"cuda"``, or ``"cuda:1"`` for the second GPU.

    Returns
    -------
    device : `torch.device`

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no such name, or torch does not see the GPU.
    """
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"device is {device!r}; give 'cpu' or 'cuda'") from error
    if found.type not in ("cpu", "cuda"):
        raise InputError(f"device is {device!r}; 'cpu' and 'cuda' are allowed")
    count = torch.cuda.device_count()
    if found.type == "cuda" and (found.index or 0) >= count:
        raise InputError(f"device is {device!r}; torch sees {count} GPUs: use 'cpu', or install "
                         "torch with CUDA")
    return found


def device_name(device: Any) -> str:
    """The name of a GPU, as its maker gives it; ``"cpu"`` for the processor."""
    place = torch_device(device)
    return torch.cuda.get_device_name(place) if place.type == "cuda" else place.type
