"""Pieces of many spectra that are worked on at a time, and the pixels of them that are used."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sedflux.spectra.arrays import SpectrumArrays
from sedflux.spectra.gaps import fill_gaps

__all__ = ["PIECE_SIZE", "READ_RANGE", "near_input", "pieces_of"]

#: Largest number of spectra per piece, small enough for the processor's cache.
PIECE_SIZE = 384
#: Wavelengths (Angstrom) that are used, around the input grid.
READ_RANGE = (3900.0, 7150.0)


def near_input(spectra: SpectrumArrays) -> SpectrumArrays:
    """Spectra around the input grid, with the ends of their gaps marked."""
    return fill_gaps(spectra.near(*READ_RANGE))


def pieces_of(size: int, threads: int = 1) -> list[slice]:
    """
    Slices of so many spectra, about equally long.

    Parameters
    ----------
    size : int
    threads : int, optional
        That work side by side; each gets as many pieces, if there are several.
    """
    count = -(-size // PIECE_SIZE)
    if count > 1:
        count = -(-count // threads) * threads
    edges = np.linspace(0, size, count + 1).astype(int)
    return [slice(begin, end) for begin, end in pairwise(edges)]
