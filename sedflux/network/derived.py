"""Tensors that are made from the buffers of a network, once."""

from collections.abc import Callable

import torch

__all__ = ["Derived"]


class Derived:
    """What is made from a buffer; made again when the buffer has changed."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[torch.Tensor, int, torch.Tensor]] = {}

    def get(self, name: str, buffer: torch.Tensor, make: Callable[[], torch.Tensor]
            ) -> torch.Tensor:
        """
        The tensor of a name.

        Parameters
        ----------
        name : str
        buffer : `torch.Tensor`
            That ``make`` uses.
        make : callable
            Makes the tensor.

        Returns
        -------
        tensor : `torch.Tensor`
        """
        kept = self._kept.get(name)
        if kept is None or kept[0] is not buffer or kept[1] != buffer._version:
            kept = self._kept[name] = (buffer, buffer._version, make())
        return kept[2]
