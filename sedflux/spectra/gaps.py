"""Gaps between the pixels of spectra: where they are, and how they are marked."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from sedflux.spectra.arrays import SpectrumArrays

__all__ = ["fill_gaps", "usual_step"]

#: Steps between pixels of more than this many median steps nearby are gaps.
_GAP_STEPS = 3.0
#: Number of pixels for the median step nearby.
_NEIGHBOURS = 21
#: Grids whose steps are kept: the spectra of a survey have few.
_KEPT_GRIDS = 8


def usual_step(wavelength: np.ndarray) -> np.ndarray:
    """Median step between pixels near each of the n - 1 steps, which gaps do not move."""
    return _usual_step(np.ascontiguousarray(wavelength, dtype=float).tobytes())


@lru_cache(maxsize=_KEPT_GRIDS)
def _usual_step(wavelength: bytes) -> np.ndarray:
    """`usual_step` of wavelengths, float64 in memory; read-only."""
    step = np.diff(np.frombuffer(wavelength))
    # scipy.ndimage has a filter for it, and takes a quarter of a second to import.
    half = min(_NEIGHBOURS, step.size // 2 * 2 + 1) // 2
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(step, half, mode="edge"),
                                                       2 * half + 1)
    found = np.median(windows, axis=1)
    found.flags.writeable = False
    return found


def fill_gaps(spectra: SpectrumArrays) -> SpectrumArrays:
    """
    Mark the ends of gaps by bad pixels, so that no pixel reaches into a gap.

    A pixel reaches half-way to its neighbours.  Where pixels were dropped instead of
    masked, the last one before a gap would count as the whole of it.

    Parameters
    ----------
    spectra : `SpectrumArrays`

    Returns
    -------
    spectra : `SpectrumArrays`
        With two bad pixels more for each gap.
    """
    wavelength = spectra.wavelength
    step, usual = np.diff(wavelength), usual_step(wavelength)
    ends = np.flatnonzero(step > _GAP_STEPS * usual)
    if not ends.size:
        return spectra
    extra = np.r_[wavelength[ends] + usual[ends], wavelength[ends + 1] - usual[ends]]
    joined = np.r_[wavelength, extra]
    order = np.argsort(joined, kind="stable")
    blank = np.zeros((len(spectra), extra.size))
    power = spectra.resolving_power
    if isinstance(power, np.ndarray):
        power = np.r_[power, power[ends], power[ends + 1]][order]
    return replace(spectra, wavelength=joined[order], resolving_power=power,
                   flux=np.hstack([spectra.flux, blank])[:, order],
                   ivar=np.hstack([spectra.ivar, blank])[:, order])
