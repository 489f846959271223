"""Spectra per second, from plain arrays to flux and covariance."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from sedflux.demo import demo_arrays

__all__ = ["benchmark"]

_log = logging.getLogger(__name__)


def benchmark(model: str | None = None, batches: Sequence[int] = (1, 64, 4096), *,
              seconds: float = 3.0) -> Table:
    """
    Time the whole prediction: normalisation, rebinning, network, covariance.

    Parameters
    ----------
    model : str, optional
    batches : sequence of int, optional
        Numbers of spectra that are predicted at once.
    seconds : float, optional
        Least time of each measurement.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per batch: ``batch``, ``rate`` (spectra per second).  ``meta`` holds
        ``threads`` and ``start``: seconds to load the model and predict one spectrum.
    """
    import torch

    from sedflux.predict.predictor import Predictor

    begin = time.perf_counter()
    predictor = Predictor(model)
    wavelength, flux = demo_arrays()
    # The demo star on LAMOST pixels.
    grid = 10 ** np.arange(3.5911, 3.8513, 1e-4)
    flux = np.interp(grid, wavelength, flux)
    predictor.predict(grid, flux, (50.0 / flux) ** 2)
    start = time.perf_counter() - begin
    rng = np.random.default_rng(0)
    rows = []
    for size in batches:
        noisy = flux * (1.0 + 0.02 * rng.standard_normal((size, grid.size)))
        ivar = np.broadcast_to((50.0 / flux) ** 2, noisy.shape)
        rounds, begin = 0, time.perf_counter()
        while rounds == 0 or time.perf_counter() - begin < seconds:
            covariances = predictor.predict(grid, noisy, ivar).covariance
            rounds += len(covariances) // size
        rows.append({"batch": size, "rate": rounds * size / (time.perf_counter() - begin)})
        _log.info("batch of %d spectra: %.1f spectra/s", size, rows[-1]["rate"])
    return Table(rows, meta={"threads": torch.get_num_threads(), "start": start})
