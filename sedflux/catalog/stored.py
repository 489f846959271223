"""Read the arrays that a catalogue stores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

__all__ = ["stored_arrays"]


def stored_arrays(path: Path, facts: Mapping[str, Any], rows: np.ndarray, predicted: np.ndarray
                  ) -> dict[str, np.ndarray]:
    """
    Flux, diagonal and factor of some stars.

    Parameters
    ----------
    path : `~pathlib.Path`
        Of the catalogue.
    facts : mapping
        Entries of its ``catalog.json``.
    rows : `~numpy.ndarray` of int, shape (N,)
        Ascending.
    predicted : `~numpy.ndarray` of bool, shape (N,)
        Stars whose numbers are checked.

    Returns
    -------
    arrays : dict of str to `~numpy.ndarray`, shape (N, n), and (N, r, n) for the factor

    Raises
    ------
    ValueError
        If an array has another shape, or numbers that no prediction has.
    """
    group: Any = zarr.open_group(os.fspath(path / "spectra.zarr"), mode="r")
    samples, found = len(facts["wavelength"]), {}
    for name, shape in (("flux", (samples,)), ("diagonal", (samples,)),
                        ("factor", (facts["rank"], samples))):
        if group[name].shape != (facts["stars"], *shape):
            raise ValueError(f"{name} has the shape {group[name].shape}")
        found[name] = np.asarray(group[name].get_orthogonal_selection((rows,)), dtype=float)
        if not np.isfinite(found[name][predicted]).all():
            raise ValueError(f"{name} is not finite")
    if not (found["flux"][predicted] > 0).all() or (found["diagonal"][predicted] < 0).any():
        raise ValueError("flux or diagonal has values that are not positive")
    return found
