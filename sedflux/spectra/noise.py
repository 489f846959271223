"""The noise of spectra that come without errors."""

from __future__ import annotations

import numpy as np

__all__ = ["MIN_PIXELS", "estimate_variance"]

#: Fewer pixels than these are no spectrum.
MIN_PIXELS = 20


def estimate_variance(flux: np.ndarray, good: np.ndarray) -> np.ndarray:
    """
    Variance estimated from spectra: third differences, in running windows.

    Differences of third order suppress everything smooth on four pixels (Stoehr
    et al. 2008, DER_SNR); lines that remain only raise the estimate.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (N, n)
    good : `~numpy.ndarray` of bool, shape (N, n)

    Returns
    -------
    variance : `~numpy.ndarray`, shape (N, n)
        Zero in bad pixels.
    """
    from scipy.ndimage import median_filter

    variance = np.zeros_like(flux)
    for row in range(len(flux)):
        index = np.flatnonzero(good[row])
        if index.size < MIN_PIXELS:
            continue
        value = flux[row, index]
        third = (-value[:-3] + 3.0 * value[1:-2] - 3.0 * value[2:-1] + value[3:]) / np.sqrt(20.0)
        level = 1.4826 * median_filter(np.abs(third), size=min(301, index.size // 2 * 2 - 3),
                                       mode="nearest")
        floor = 1e-3 * np.abs(np.median(value))
        level = np.maximum(np.pad(level, (1, 2), mode="edge"), max(floor, 1e-300))
        variance[row, index] = level**2
    return variance
