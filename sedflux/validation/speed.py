"""Spectra a second, from plain arrays to flux and covariance."""

import time

import numpy as np

from sedflux.demo import demo_arrays

__all__ = ["benchmark"]


def benchmark(model=None, batches=(1, 64, 4096), *, seconds=3.0):
    """
    Time the whole prediction: normalise, rebin, network, covariance.

    Parameters
    ----------
    model : str, optional
    batches : sequence of int, optional
        Numbers of spectra that are given at once.
    seconds : float, optional
        Least time of each measurement.

    Yields
    ------
    line : str
    """
    import torch

    from sedflux.predict.predictor import Predictor

    begin = time.perf_counter()
    predictor = Predictor(model)
    wavelength, flux = demo_arrays()
    # The demo star on LAMOST's own pixels, which is what millions of spectra come on.
    grid = 10 ** np.arange(3.5911, 3.8513, 1e-4)
    flux = np.interp(grid, wavelength, flux)
    predictor.predict(grid, flux, (50.0 / flux) ** 2)
    yield (f"threads {torch.get_num_threads()}; model loaded and first spectrum predicted in "
           f"{time.perf_counter() - begin:.2f} s")
    rng = np.random.default_rng(0)
    for size in batches:
        noisy = flux * (1.0 + 0.02 * rng.standard_normal((size, grid.size)))
        ivar = np.broadcast_to((50.0 / flux) ** 2, noisy.shape)
        rounds, begin = 0, time.perf_counter()
        while rounds == 0 or time.perf_counter() - begin < seconds:
            covariances = predictor.predict(grid, noisy, ivar).covariance
            rounds += len(covariances) // size
        rate = rounds * size / (time.perf_counter() - begin)
        yield f"batch {size:6d}: {rate:8.1f} spectra/s"
