"""Errors of stars that are common to the nodes: of their SEDs, and of their extraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ErrorFactor"]


@dataclass(frozen=True)
class ErrorFactor:
    """
    Directions in which the errors of N stars are common to the nodes.

    An index gives arrays (r, g) of one star, or (K, r, g) of some: rows of the SED, and then those
    of grey and wavelength errors.  The errors of the SEDs, which fill most of the memory of a fit,
    are shared with the arrays that they come from.

    Attributes
    ----------
    sed : `~numpy.ndarray`, shape (N, s, g)
    grey : float
        Relative error of the scale of each star; zero has no row.
    shift : `~numpy.ndarray`, shape (N, g), or None
        Relative errors from the wavelength zero points.
    """

    sed: np.ndarray
    grey: float = 0.0
    shift: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.sed)

    def __getitem__(self, rows: Any) -> np.ndarray:
        found = self.sed[rows]
        parts = [found]
        if self.grey > 0:
            parts.append(np.full_like(found, self.grey, shape=(*found.shape[:-2], 1,
                                                               found.shape[-1])))
        if self.shift is not None:
            parts.append(self.shift[rows][..., None, :])
        return found if len(parts) == 1 else np.concatenate(parts, axis=-2)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)
