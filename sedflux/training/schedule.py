"""The schedule of a training: its length, batches and learning rates."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Schedule"]


@dataclass(frozen=True)
class Schedule:
    """
    Length, batches and learning rates of a training.

    Attributes
    ----------
    steps : int
        Optimiser steps.
    batch : int
        Examples per step.
    block : int
        Examples that are made at once.
    pool : int
        Blocks among which a step draws its examples.
    reuse : int
        Mean number of steps in which an example is used.
    learning_rate : float
        Peak of the cosine schedule.
    seed : int
        Fixes every example and every initial weight.
    average : float
        Decay of the exponential average of the weights; the model has the averaged weights.
    patience : int
        Checks of the validation loss, one every 500 steps, without improvement after
        which the training stops.
    diagonal : bool
        Use `~sedflux.training.loss.diagonal_loss`.
    """

    steps: int = 24000
    batch: int = 512
    block: int = 4096
    pool: int = 64
    reuse: int = 4
    learning_rate: float = 1.5e-3
    seed: int = 1
    average: float = 0.999
    patience: int = 12
    diagonal: bool = False

    @property
    def block_size(self) -> int:
        """Examples per block; fewer in a trial run, whose steps use few of them."""
        return min(self.block, max(256, self.steps * self.batch // (4 * self.reuse) * 4))

    @property
    def steps_per_block(self) -> int:
        """Steps between renewals of a block."""
        return max(1, self.reuse * self.block_size // self.batch)

    def sized(self, examples: int) -> int:
        """Number of examples, reduced in a trial run of few steps."""
        return min(examples, 256 + 64 * self.steps)

    @property
    def blocks(self) -> int:
        """Blocks in the pool; fewer in a trial run of few steps."""
        return max(1, min(self.pool, self.steps * self.batch // self.block))
