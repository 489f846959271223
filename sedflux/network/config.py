"""Hyper-parameters of the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sedflux.exceptions import ModelError

__all__ = ["Config"]

#: Largest size that any entry may have, and most residual blocks of one kind: far beyond
#: every model in use, and small enough that a wrong entry is told before memory is taken.
_LARGEST, _MOST_BLOCKS = 100_000, 64
#: Largest number of values on an axis of the grid.
_LARGEST_GRID = 100
#: Pixels that the convolutions need at least: two patches of `architecture.PATCH`.
_CONVOLUTION_PIXELS = 48


@dataclass(frozen=True)
class Config:
    """
    Hyper-parameters, stored with the weights.

    Attributes
    ----------
    arch : str
        Name of the architecture.
    pixels, samples : int
        Length of the input and of the SED.
    components : int
        Templates of the projection.
    sed_components : int
        Principal components of ln(SED) that mean and factor are built from.
    width, blocks, groups : int
        Width of the trunk, its residual blocks, and its channels of attention; the width is
        a multiple of the groups.
    channels : tuple of int
        Channels of the convolutional blocks; empty for none.  Convolutions find nothing that
        the projection misses and take six times as long to train.
    rank : int
        Directions of the covariance that each star has of its own, beside those that all
        stars share; and the rank to which predictions are compressed.  At most
        ``sed_components``.
    knots : int
        Wavelengths at which the diagonal is predicted.
    labels : int
        Labels that are estimated beside the SED.
    shrink : bool
        False leaves the soft thresholds out, for comparison.
    references : int
        Ordinary stars whose coefficients the model holds.  Spectra far from all of them are
        unlike the training.
    grid : tuple of int
        Numbers of resolving powers, temperatures and gravities of the grid of models that the
        model holds; empty for none.

    Raises
    ------
    sedflux.exceptions.ModelError
        If an entry has another type or a size that no model can have.
    """

    arch: str = "uara"
    pixels: int = 2430
    samples: int = 575
    components: int = 64
    sed_components: int = 48
    width: int = 256
    blocks: int = 4
    groups: int = 32
    channels: tuple[int, ...] = ()
    rank: int = 12
    knots: int = 24
    labels: int = 6
    shrink: bool = True
    references: int = 0
    grid: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("pixels", "samples", "components", "sed_components", "width", "groups",
                     "rank", "knots", "labels"):
            _check_size(getattr(self, name), name, 1, _LARGEST)
        _check_size(self.references, "references", 0, _LARGEST)
        _check_size(self.blocks, "blocks", 0, _MOST_BLOCKS)
        if not isinstance(self.arch, str):
            raise ModelError(f"arch is {self.arch!r}; the name of an architecture is needed")
        if not isinstance(self.shrink, bool):
            raise ModelError(f"shrink is {self.shrink!r}; True or False is needed")
        if not isinstance(self.channels, tuple) or len(self.channels) > _MOST_BLOCKS:
            raise ModelError(f"channels is {self.channels!r}; a tuple of at most {_MOST_BLOCKS} "
                             "sizes is needed")
        for value in self.channels:
            _check_size(value, "channels", 1, _LARGEST)
        if self.channels and self.pixels < _CONVOLUTION_PIXELS:
            raise ModelError(f"pixels is {self.pixels}; convolutions need {_CONVOLUTION_PIXELS} "
                             "or more")
        if not isinstance(self.grid, tuple) or len(self.grid) not in (0, 3):
            raise ModelError(f"grid is {self.grid!r}; three sizes, or none, are needed")
        for value in self.grid:
            _check_size(value, "grid", 2, _LARGEST_GRID)
        if self.width % self.groups:
            raise ModelError(f"width is {self.width}; it must be a multiple of groups, "
                             f"{self.groups}")
        if self.rank > self.sed_components:
            raise ModelError(f"rank is {self.rank}; it must not exceed sed_components, "
                             f"{self.sed_components}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the header of the weights."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """
        Read back what `to_dict` gave.

        Raises
        ------
        sedflux.exceptions.ModelError
            If an entry is unknown or cannot be used.
        """
        if not isinstance(values, Mapping):
            raise ModelError(f"model configuration is {type(values).__name__}; a table of entries "
                             "is needed")
        unknown = set(values) - set(cls.__dataclass_fields__)
        if unknown:
            raise ModelError(
                f"model configuration has unknown entries {sorted(unknown)}; "
                "it was written by a newer sedflux: upgrade"
            )
        values = dict(values)
        for name in ("channels", "grid"):
            if isinstance(values.get(name), list):
                values[name] = tuple(values[name])
        return cls(**values)


def _check_size(value: Any, name: str, least: int, largest: int) -> None:
    """Refuse a size that is no whole number within its limits."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= largest:
        raise ModelError(f"{name} is {value!r}; a whole number from {least} to {largest} is needed")
