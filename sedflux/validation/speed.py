"""Speed of predictions, from plain arrays to flux and covariance, and the limits of the machine."""

from __future__ import annotations

import logging
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from astropy.table import Table

from sedflux._version import __version__
from sedflux.demo import demo_arrays

__all__ = ["benchmark", "describe_machine", "measure_cold_start", "measure_limits",
           "measure_peers", "peak_memory"]

#: S/N per pixel of the spectra, and standard deviation of their velocities (km/s).
_SNR, _VELOCITIES = 50.0, 60.0
#: Number of spectra with which other computations are timed.
_PEER_BATCH = 64
#: Arguments of Python whose cold start is measured.
_COLD = {
    "import sedflux": ["-c", "import sedflux"],
    "sedflux --version": ["-m", "sedflux", "--version"],
    "sedflux predict --demo": ["-m", "sedflux", "predict", "--demo"],
}

_log = logging.getLogger(__name__)


def benchmark(model: str | None = None, batches: Sequence[int] = (1, 64, 4096), *,
              threads: Sequence[int] = (), velocities: Sequence[str] = ("one",),
              device: str = "cpu", seconds: float = 3.0) -> Table:
    """
    Time the whole prediction: normalisation, rebinning, network, covariance, sigma.

    Every spectrum is the demo star on LAMOST's pixels with noise; a tenth has an emission line
    and is flagged.

    Parameters
    ----------
    model : str, optional
    batches : sequence of int, optional
        Numbers of spectra per call.
    threads : sequence of int, optional
        Numbers of threads; by default as many as NumPy uses, see ``OMP_NUM_THREADS``.
    velocities : sequence of {'one', 'each'}, optional
        One velocity for all stars, or one for each.
    device : str, optional
        Where spectra are worked on, see `sedflux.Predictor`.
    seconds : float, optional
        Least time of each measurement.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per batch, number of threads and kind of velocities: ``way``, ``batch``,
        ``threads``, ``velocities`` and ``rate`` (spectra per second).  ``meta`` holds ``start``:
        seconds to load the model and predict one spectrum, and ``memory``: the largest memory
        of the process in GB; and the name of the ``device`` if it is a GPU.
    """
    from sedflux.network.threads import thread_count
    from sedflux.predict.loading import loaded_predictor
    from sedflux.predict.predictor import Predictor

    begin = time.perf_counter()
    predictor = loaded_predictor(model) if device == "cpu" else Predictor(model, device=device)
    predictor.predict(*_spectra(1)[:3])
    start = time.perf_counter() - begin
    rows = []
    for count, size, kind in product(threads or [thread_count()], batches, velocities):
        *spectra, velocity = _spectra(size)
        work = partial(_predict, predictor, spectra, velocity if kind == "each" else 0.0)
        with _threads(count):
            rate = size / _time(work, seconds)
        rows.append({"way": "sedflux", "batch": size, "threads": count, "velocities": kind,
                     "rate": rate})
        _log.info("%d spectra at once, %d threads: %.1f a second", size, count, rate)
    meta: dict[str, Any] = {"start": start, "memory": peak_memory()}
    if device != "cpu":
        from sedflux.network.device import device_name

        meta["device"] = device_name(device)
    return Table(rows, meta=meta)


def _predict(predictor, spectra, velocity):
    """Flux, sigma, and the covariance in terms of components."""
    found = predictor.predict(*spectra, radial_velocity=velocity)
    return found.flux, found.sigma, found


def measure_peers(model: str | None = None, *, seconds: float = 3.0) -> Table:
    """
    Time other computations: operations of specutils, and a search among templates.

    Parameters
    ----------
    model : str, optional
        Its reference stars are the templates.
    seconds : float, optional

    Returns
    -------
    table : `~astropy.table.Table`
        With the columns of `benchmark`.
    """
    from sedflux.network.threads import thread_count
    from sedflux.predict.predictor import Predictor
    from sedflux.spectra.grids import input_grid
    from sedflux.validation.peers import search_templates, specutils_chain

    wavelength, flux, _, _ = _spectra(_PEER_BATCH)
    predictor, grid = Predictor(model), input_grid()
    normalised = np.zeros((_PEER_BATCH, grid.size))
    few = flux[:2]
    ways: dict[str, tuple[int, Callable[[], Any]]] = {
        "specutils chain": (len(few), lambda: specutils_chain(wavelength, few)),
        "chi2 search": (_PEER_BATCH, lambda: search_templates(
            predictor, normalised, np.full_like(normalised, _SNR**2)))}
    return Table([{"way": way, "batch": size, "threads": thread_count(),
                   "velocities": "one", "rate": size / _time(work, seconds)}
                  for way, (size, work) in ways.items()])


def measure_limits(seconds: float = 1.0) -> dict[str, float]:
    """
    Limits of the machine: products of matrices, and copies in memory.

    Returns
    -------
    limits : dict of str to float
        ``GFLOP/s`` in single precision on all threads, and ``GB/s`` of a copy on one.
    """
    size, copied = 2048, 32 * 2**20
    left, right = np.random.default_rng(0).random((2, size, size), dtype=np.float32)
    source, target = np.ones(copied), np.empty(copied)
    return {"GFLOP/s": 2e-9 * size**3 / _time(lambda: left @ right, seconds),
            "GB/s": 16e-9 * copied / _time(lambda: np.copyto(target, source), seconds)}


def measure_cold_start(seconds: float = 3.0) -> dict[str, float]:
    """Seconds that a few commands take, with the start of Python: the shortest of several runs."""
    found = {}
    for name, arguments in _COLD.items():
        times: list[float] = []
        while not times or sum(times) < seconds:
            begin = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            times.append(time.perf_counter() - begin)
        found[name] = min(times)
    return found


def describe_machine() -> dict[str, Any]:
    """Machine and versions of a measurement."""
    return {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
            "load": os.getloadavg()[0], "system": platform.platform(),
            "python": platform.python_version(), "numpy": np.__version__,
            "sedflux": __version__}


def _spectra(size):
    """Wavelength, flux and inverse variance (N, n) of spectra, and their velocities in km/s."""
    wavelength, flux = demo_arrays()
    grid = 10 ** np.arange(3.5911, 3.8513, 1e-4)
    flux = np.interp(grid, wavelength, flux)
    rng = np.random.default_rng(0)
    noisy = flux * (1.0 + rng.standard_normal((size, grid.size)) / _SNR)
    noisy[9::10] *= 1.0 + 4.0 * np.exp(-0.5 * ((grid - 6564.6) / 4.0) ** 2)
    ivar = np.repeat((_SNR / flux)[None] ** 2, size, axis=0)
    return grid, noisy, ivar, rng.normal(0.0, _VELOCITIES, size)


def _time(work, seconds):
    """Mean time of a call in seconds, measured for at least the given seconds."""
    work()
    rounds, begin = 0, time.perf_counter()
    while rounds == 0 or time.perf_counter() - begin < seconds:
        work()
        rounds += 1
    return (time.perf_counter() - begin) / rounds


def peak_memory() -> float:
    """Largest memory of this process so far, in GB."""
    unit = 1.0 if sys.platform == "darwin" else 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


@contextmanager
def _threads(count):
    """Set the number of threads within a ``with`` block."""
    from sedflux.network.threads import thread_count, use_threads

    before = thread_count()
    use_threads(count)
    try:
        yield
    finally:
        use_threads(before)
