"""
The pool of examples from which a training draws, renewed while it runs.

Making an example takes longer than a training step on it: its spectrum is drawn, observed,
normalised and projected, and only the few hundred numbers that result go into the trunk.  The pool
keeps these numbers.  Each example is used a few times, in steps far apart, and then new examples
replace the oldest.  The examples of a step depend on the seed and the step alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from sedflux.network.output import Summary

if TYPE_CHECKING:
    from sedflux.training.examples import Examples, Observer
    from sedflux.training.schedule import Schedule
    from sedflux.training.types import Network

__all__ = ["Batch", "Pool", "as_tensors", "summarise_examples"]

_PIECE = 512


@dataclass(frozen=True)
class Batch:
    """
    Examples as the trunk takes them, with the truth.

    Attributes
    ----------
    summary : `~sedflux.network.output.Summary`
    scores : `torch.Tensor`, shape (N, sed_components)
        Components of the true ln(SED).
    labels : `torch.Tensor`, shape (N, labels)
        Scaled labels.
    """

    summary: Summary
    scores: torch.Tensor
    labels: torch.Tensor

    def take(self, rows: Any) -> Batch:
        """The examples of some rows."""
        return Batch(self.summary.take(rows), self.scores[rows], self.labels[rows])

    def tensors(self) -> list[torch.Tensor]:
        """All tensors, in the order of `from_tensors`."""
        names = Summary.__dataclass_fields__
        return [*(getattr(self.summary, name) for name in names), self.scores, self.labels]

    @classmethod
    def from_tensors(cls, tensors: Sequence[torch.Tensor]) -> Batch:
        """The inverse of `tensors`."""
        *parts, scores, labels = tensors
        return cls(Summary(*parts), scores, labels)


def as_tensors(examples: Examples) -> list[torch.Tensor]:
    """Normalised input, ivar, resolving power, ln(SED) and labels as float32 tensors."""
    return [torch.from_numpy(np.asarray(getattr(examples, name), dtype=np.float32))
            for name in examples.__dataclass_fields__]


def summarise_examples(network: Network, examples: Examples) -> Batch:
    """
    Project examples, piece by piece.

    Parameters
    ----------
    network : `torch.nn.Module`
        Its projection and templates do not change during training.
    examples : `~sedflux.training.examples.Examples`

    Returns
    -------
    batch : `Batch`
    """
    parts = []
    with torch.no_grad():
        for start in range(0, len(examples.labels), _PIECE):
            part = as_tensors(examples.take(slice(start, start + _PIECE)))
            normalised, ivar, power, log_sed, labels = part
            projected = network.projection(normalised, ivar)
            summary = network.summarise(projected, normalised, ivar, power)
            parts.append(Batch(summary, network.scores_of(log_sed), labels).tensors())
    return Batch.from_tensors([torch.cat(values) for values in zip(*parts, strict=True)])


class _Blocks(IterableDataset):
    """Blocks of summarised examples; block i depends on the seed and i alone."""

    def __init__(self, generator, network, size, seed, first, count):
        self.generator, self.network = generator, network
        self.size, self.seed, self.first, self.count = size, seed, first, count

    def __iter__(self):
        torch.set_num_threads(1)
        worker = torch.utils.data.get_worker_info()
        for block in range(self.first, self.first + self.count):
            if worker is not None and (block - self.first) % worker.num_workers != worker.id:
                continue
            rng = np.random.default_rng([self.seed, block])
            examples = self.generator.examples(self.size, rng)
            yield summarise_examples(self.network, examples).tensors()


class Pool:
    """
    A ring buffer of blocks of examples.

    Parameters
    ----------
    generator : `~sedflux.training.examples.Observer`
    network : `torch.nn.Module`
    schedule : `~sedflux.training.schedule.Schedule`
    step : int
        The first step that will be asked for.
    workers : int
        Processes that make examples; 0 makes them in this one.
    """

    def __init__(self, generator: Observer, network: Network, schedule: Schedule, *,
                 step: int, workers: int) -> None:
        self._schedule = schedule
        self._renewals = step // schedule.steps_per_block
        wanted = schedule.blocks + max(schedule.steps - 1, 0) // schedule.steps_per_block
        blocks = _Blocks(generator, network, schedule.block_size, schedule.seed, self._renewals,
                         wanted - self._renewals)
        loader = DataLoader(blocks, batch_size=None, num_workers=workers,
                            prefetch_factor=4 if workers else None)
        self._source = iter(loader)
        self._ring: list[torch.Tensor] = []
        for index in range(self._renewals, self._renewals + schedule.blocks):
            self._put(index)

    def _put(self, index):
        fresh = next(self._source)
        if not self._ring:
            size = self._schedule.blocks
            self._ring = [value.new_empty(size, *value.shape) for value in fresh]
        for ring, value in zip(self._ring, fresh, strict=True):
            ring[index % self._schedule.blocks] = value

    def batch(self, step: int) -> Batch:
        """
        The examples of a step; steps are asked for in order.

        Returns
        -------
        batch : `Batch`
        """
        schedule = self._schedule
        while self._renewals < step // schedule.steps_per_block:
            self._put(self._renewals + schedule.blocks)
            self._renewals += 1
        rng = np.random.default_rng([schedule.seed, 2**30, step])
        size = schedule.blocks * schedule.block_size
        rows = torch.from_numpy(rng.integers(0, size, schedule.batch))
        return Batch.from_tensors([ring.flatten(0, 1)[rows] for ring in self._ring])
