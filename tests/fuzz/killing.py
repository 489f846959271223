"""Kill writers at random moments: a reader finds the old file or the new one."""

import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
from collections import Counter
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.table import Table
from specutils import Spectrum

from sedflux import ResponseCurve, predict_sed
from sedflux.demo import demo_spectrum
from sedflux.io.registry import read_spectrum
from sedflux.io.sed import write_sed
from sedflux.libraries.library import SpectralLibrary, read_library, write_library
from sedflux.network.checkpoint import load_network, save_network
from sedflux.predict.models import find_model
from sedflux.validation.tables import write_table

from .arrays import base

__all__ = ["WRITERS", "fill_disk", "kill_writer"]


@cache
def _sed(scale):
    return predict_sed(demo_spectrum(), model=base()[3]) * scale


def _library(scale):
    flux = np.full((50, 4000), scale, dtype=np.float32)
    table = Table({"TEFF": np.full(50, 6000.0), "LOGG": np.full(50, 4.0), "MH": np.zeros(50),
                   "ALPHA": np.zeros(50), "CARBON": np.zeros(50), "VMICRO": np.full(50, 2.0)})
    return SpectralLibrary(np.linspace(3000.0, 9000.0, 4000), flux, table, 5000.0)


def _response(scale):
    wavelength = np.linspace(4000.0, 6500.0, 400)
    from sedflux.slitless.throughput import Throughput

    return ResponseCurve.from_throughput(
        Throughput(wavelength, np.full(400, 0.2 * scale), np.full(400, 0.01)),
        area=100 * u.cm**2)


@cache
def _calibrated(scale):
    counts = Spectrum(spectral_axis=np.linspace(4100.0, 6400.0, 150) * u.AA,
                      flux=np.full(150, 50.0 * scale) * u.electron / u.s,
                      uncertainty=StdDevUncertainty(np.ones(150)))
    return _response(1.0).calibrate(counts)


@cache
def _axe_of_one():
    path = Path(tempfile.mkdtemp()) / "one.fits"
    _response(1.0).write(path, format="axe")
    return path


def _network(scale):
    network, metadata = load_network(find_model(None))
    return network, metadata | {"caveat": str(scale)}


#: For every writer: file name, what is written for a number, how, and the number that is read.
WRITERS = {
    "sed": ("sed.fits", _sed, lambda path, sed: write_sed(sed, path, overwrite=True),
            lambda path: read_spectrum(path).flux.value[0] / _sed(1.0).flux.value[0]),
    "library": ("library.fits", _library, write_library,
                lambda path: read_library(path).flux[-1, -1]),
    "response_fits": ("r.fits", _response, lambda path, r: r.write(path, overwrite=True),
                      lambda path: ResponseCurve.read(path).throughput[-1] / 0.2),
    "response_ecsv": ("r.ecsv", _response, lambda path, r: r.write(path, overwrite=True),
                      lambda path: ResponseCurve.read(path).throughput[-1] / 0.2),
    "network": ("m.safetensors", _network, lambda path, given: save_network(path, *given),
                lambda path: float(load_network(path)[1]["caveat"])),
    "calibrated": ("c.fits", _calibrated, lambda path, sed: write_sed(sed, path, overwrite=True),
                   lambda path: read_spectrum(path).flux.value[0] / _calibrated(1.0).flux.value[0]),
    "response_axe": ("a.fits", _response,
                     lambda path, r: r.write(path, format="axe", overwrite=True),
                     lambda path: fits.getdata(path)["SENSITIVITY"][200]
                     / fits.getdata(_axe_of_one())["SENSITIVITY"][200]),
    "table": ("t.ecsv", lambda scale: Table({"a": np.full(20000, scale)}),
              lambda path, table: write_table(table, path),
              lambda path: Table.read(path)["a"][-1]),
}


def _write_catalog(path, source):
    """Nothing, for the old state, or a catalogue from a source."""
    from sedflux import predict_catalog

    if source is None:
        shutil.rmtree(path, ignore_errors=True)
    else:
        predict_catalog(source, path, model=base()[3], workers=1, shard_size=2, progress=False)


def _read_catalog(path):
    """1 for a catalogue that is refused and completed by the same call, 2 for a complete one."""
    from sedflux import InputError, SEDCatalog

    found = 2.0
    try:
        catalog = SEDCatalog(path)
    except InputError:
        found = 1.0
        _write_catalog(path, _source(2.0))
        catalog = SEDCatalog(path)
    catalog.verify()
    if catalog.select()["0"].flux.shape != catalog.wavelength.shape or len(catalog) != 6:
        raise ValueError("stars are lost")
    return found


@cache
def _source(scale):
    from .catalogs import write_arrays

    return None if scale == 1.0 else write_arrays(Path(tempfile.mkdtemp()) / "source.npz", 6)


if find_spec("zarr") and find_spec("pyarrow"):
    WRITERS["catalog"] = ("catalog", _source, _write_catalog, _read_catalog)


def _killed(name, path, new, delay):
    """Start a writer, kill it after a delay; the number in the file, or None if it is half."""
    process = multiprocessing.get_context("fork").Process(
        target=WRITERS[name][2], args=(path, new))
    process.start()
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    try:
        return round(float(WRITERS[name][3](path)), 3), process.exitcode
    except Exception:  # whatever it is, no reader of ours can read the file
        return None, process.exitcode


def kill_writer(name, times, *, seed=0):
    """
    Kill a writer at random moments.

    Parameters
    ----------
    name : str
        One of `WRITERS`.
    times : int
    seed : int, optional
        Of the moments.

    Returns
    -------
    count : `~collections.Counter`
        How many writers were ``killed`` or ``finished`` before, and how many files were ``old``,
        ``new`` or ``half`` afterwards.
    """
    rng, count = np.random.default_rng(seed), Counter()
    file_name, make, write, _ = WRITERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path, old, new = Path(folder) / file_name, make(1.0), make(2.0)
        begin = time.monotonic()
        write(path, new)
        longest = 2.0 * (time.monotonic() - begin) + 0.01
        for _ in range(times):
            write(path, old)
            found, status = _killed(name, path, new, rng.uniform(0.0, longest))
            count["killed" if status == -signal.SIGKILL else "finished"] += 1
            count[{1.0: "old", 2.0: "new"}.get(found, "half")] += 1
    return count


def _write_little(write, path, new, limit, result):
    """Write with a limit of the size of files, as a full disk has; what was raised."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        write(path, new)
        result.send("written")
    except Exception as error:
        result.send(type(error).__name__)


def fill_disk(name, folder, limit):
    """
    Overwrite a file while no file may be longer than a limit.

    Returns
    -------
    raised : str
        Type of the error.
    found : float
        The number in the file afterwards.
    left : list of str
        Files in the folder.
    """
    file_name, make, write, read = WRITERS[name]
    path = Path(folder) / file_name
    write(path, make(1.0))
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_write_little, args=(write, path, make(2.0), limit, sender))
    process.start()
    raised = receiver.recv() if receiver.poll(60) else "nothing"
    process.join()
    return raised, round(float(read(path)), 3), sorted(os.listdir(folder))
