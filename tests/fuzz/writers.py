"""Every writer of sedflux: what it writes for a number, and how a reader finds the number again."""

import json
import shutil
import tempfile
import threading
from argparse import Namespace
from dataclasses import replace
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.table import Table
from specutils import Spectrum

from sedflux import ResponseCurve, predict_sed
from sedflux.cli import benchmark, report
from sedflux.demo import demo_spectrum
from sedflux.io.download import fetch_file
from sedflux.io.registry import read_spectrum
from sedflux.io.sed import write_sed, write_spectrum
from sedflux.libraries import fetch
from sedflux.libraries.library import SpectralLibrary, read_library, write_library
from sedflux.network.checkpoint import load_network, save_network
from sedflux.plotting import save_figure
from sedflux.predict.models import find_model
from sedflux.training import pretrain
from sedflux.validation.tables import write_table

from .arrays import base
from .options import parts

__all__ = ["WRITERS"]


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


def _spectrum(scale):
    """An ordinary spectrum, which specutils writes."""
    return Spectrum(spectral_axis=np.linspace(4000.0, 7000.0, 3000) * u.AA,
                    flux=np.full(3000, scale) * u.Jy)


def _figure(scale):
    """A figure whose grey says the number, with an image that takes some kB."""
    from matplotlib.figure import Figure

    figure = Figure(facecolor=str(0.4 * scale))
    figure.figimage(np.random.default_rng(1).random((100, 100)), xo=100, yo=100)
    return figure


def _grey(path):
    from matplotlib.image import imread

    return round(float(imread(path)[0, 0, 0]) / 0.4, 2)


def _records(scale):
    """The table of stars of ``sedflux predict``."""
    row = {name: kind(1) for name, kind in report._COLUMNS.items()}
    return [row | {"teff": scale, "flag_names": []}] * 500


def _checkpoint(scale):
    """A step, the network and its average, and the optimiser of a training."""
    import torch

    network = torch.nn.Linear(300, 300)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(300)).sum().backward()
    optimizer.step()
    return int(scale), network, pretrain._averaged(network, 0.9), optimizer


def _step(path):
    """The step of a checkpoint that a training can go on from."""
    _, *rest = _checkpoint(1.0)
    return pretrain._resume(path, *rest)


def _benchmark(scale):
    table = Table({"way": ["sedflux"] * 500, "rate": np.full(500, scale)})
    return lambda path: benchmark._write(table, Namespace(output=None, json=path))


class _Answers(SimpleHTTPRequestHandler):
    """Answers of a server that says nothing."""

    def log_message(self, *_):
        """Nothing."""


class _Server(ThreadingHTTPServer):
    """A server whose clients are killed."""

    def handle_error(self, *_):
        """Nothing."""


@cache
def _address():
    """Address of a server on this machine that has a file for every number."""
    folder = tempfile.mkdtemp()
    for scale in (1.0, 2.0):
        (Path(folder) / str(scale)).write_bytes(np.full(200_000, scale).tobytes())
    server = _Server(("127.0.0.1", 0), partial(_Answers, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


@cache
def _field(scale):
    field = parts()["field"]
    counts = {band: [one * scale for one in spectra] for band, spectra in field.counts.items()}
    truth = field.truth.copy()
    truth["magnitude"] = scale
    return replace(field, counts=counts, seds=[sed * scale for sed in field.seds], truth=truth,
                   flux=scale * field.flux)


def _read_field(folder):
    """2 if all files of a field are new, 1 if some are old; all can be read."""
    first = _field(1.0)
    found = [fits.getdata(folder / "true_seds.fits", "FLUX") / first.flux,
             Table.read(folder / "truth.ecsv")["magnitude"]]
    for row, name in enumerate(first.names):
        sed = read_spectrum(folder / "seds" / f"{name}.fits")
        counts = read_spectrum(folder / "counts" / "GV" / f"{name}.fits")
        found += [sed.flux.value / first.seds[row].flux.value,
                  counts.flux.value / first.counts["GV"][row].flux.value]
    numbers = np.unique(np.concatenate([np.ravel(one) for one in found]).round(6))
    if not set(numbers) <= {1.0, 2.0}:
        raise ValueError(f"files hold {numbers}")
    return numbers.min()


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
    "response_synphot": ("s.fits", _response,
                         lambda path, r: r.write(path, format="synphot", overwrite=True),
                         lambda path: fits.getdata(path)["THROUGHPUT"][200] / 0.2),
    "spectrum": ("s.fits", _spectrum,
                 lambda path, one: write_spectrum(one, path, overwrite=True),
                 lambda path: Spectrum.read(path).flux.value[-1]),
    "figure": ("f.png", _figure, lambda path, figure: save_figure(figure, path), _grey),
    "stars": ("t.ecsv", _records, lambda path, rows: report.write_table(path, rows, "caveat"),
              lambda path: Table.read(path)["teff"][-1]),
    "checkpoint": ("c.safetensors", _checkpoint, lambda path, given: pretrain._save(path, *given),
                   _step),
    "log": ("log.csv", lambda scale: {"step": int(scale), **{f"loss{n}": 0.5 for n in range(900)}},
            pretrain._append,
            lambda path: Table.read(path, format="ascii.csv")["step"][-1]),
    "json": ("b.json", _benchmark, lambda path, write: write(path),
             lambda path: json.loads(path.read_text())["rows"][-1]["rate"]),
    "hashes": ("SHA256", lambda scale: {f"file{row}": f"{scale}" for row in range(500)},
               fetch._write_hashes, lambda path: float(fetch._read_hashes(path)["file499"])),
    "download": ("d.bin", lambda scale: f"{_address()}/{scale}",
                 lambda path, url: fetch_file([url], path),
                 lambda path: np.frombuffer(path.read_bytes()).reshape(200_000)[-1]),
    "field": ("field", _field, lambda path, field: field.write(path), _read_field),
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


def _copy_catalog(path, catalog):
    """Nothing, for the old state, or a selection of a catalogue."""
    if catalog is None:
        shutil.rmtree(path, ignore_errors=True)
    else:
        catalog.write(path)


def _read_catalog(path, write, new):
    """1 for a catalogue that is refused and completed by the same call, 2 for a complete one."""
    from sedflux import InputError, SEDCatalog

    found = 2.0
    try:
        catalog = SEDCatalog(path)
    except InputError:
        found = 1.0
        write(path, new)
        catalog = SEDCatalog(path)
    catalog.verify()
    if catalog.select()["0"].flux.shape != catalog.wavelength.shape or len(catalog) != 6:
        raise ValueError("stars are lost")
    return found


@cache
def _source(scale):
    from .catalogs import write_arrays

    return None if scale == 1.0 else write_arrays(Path(tempfile.mkdtemp()) / "source.npz", 6)


@cache
def _selection(scale):
    from sedflux import SEDCatalog

    if scale == 1.0:
        return None
    path = Path(tempfile.mkdtemp()) / "catalog"
    _write_catalog(path, _source(2.0))
    return SEDCatalog(path)


if find_spec("zarr") and find_spec("pyarrow"):
    WRITERS["catalog"] = ("catalog", _source, _write_catalog,
                          lambda path: _read_catalog(path, _write_catalog, _source(2.0)))
    WRITERS["catalog_copy"] = ("catalog", _selection, _copy_catalog,
                               lambda path: _read_catalog(path, _copy_catalog, _selection(2.0)))
