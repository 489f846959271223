"""Damaged folders of catalogues, and hostile sources of them."""

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from astropy.table import Table
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import SEDCatalog, predict_catalog
from sedflux.catalog.destination import Destination

from .arrays import base
from .files import CHANGES as DAMAGES
from .judge import Violation, check_sed, judge, numbers_of
from .junk import junk

__all__ = ["CHANGES", "run"]

#: Columns of tables of files that sources may have.
_COLUMNS = ("identifier", "path", "radial_velocity", "resolving_power", "reddening",
            "reddening_error")
#: Words of which errors about catalogues say one.
_NAMES = ("catalogue", "catalog.json", "table.parquet", "spectra.zarr", "shard", "column", "star")
#: Words of which errors about sources say one.
_WORDS = ("source", "table", "identifier", "arrays", "column", "shard_size", "workers",
          "photometry", *_COLUMNS)
#: Arguments of `predict_catalog` that get other values.
_ARGUMENTS = ("source", "destination", "model", "workers", "shard_size", "photometry")


@cache
def _bands():
    return {name: SpectralElement(Box1D, x_0=centre, width=500.0)
            for name, centre in (("blue", 4500.0), ("red", 6500.0))}


def write_arrays(path, size, *, scale=1.0):
    """A source of arrays: good spectra, and a last one without light."""
    wavelength, flux, ivar = base()[:3]
    flux = np.tile(flux, (size, 1)) * scale
    flux[-1] = 0.0
    np.savez(path, wavelength=wavelength, flux=flux, ivar=np.tile(ivar, (size, 1)),
             radial_velocity=np.arange(size, dtype=float), reddening=np.full(size, 0.1))
    return path


@cache
def good_catalog():
    """Folder of a catalogue of four stars, which the first call makes."""
    folder = Path(tempfile.mkdtemp(prefix="sedflux-fuzz-"))
    predict_catalog(write_arrays(folder / "source.npz", 4), folder / "catalog", workers=1,
                    shard_size=2)
    return folder / "catalog"


def _files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def _damage(folder, rng, change):
    path = _files(folder)[rng.integers(len(_files(folder)))]
    path.write_bytes(DAMAGES[change](path.read_bytes(), rng))


def _delete(folder, rng):
    _files(folder)[rng.integers(len(_files(folder)))].unlink()


def _swap(folder, rng):
    """The content of another file of the folder."""
    files = _files(folder)
    first, second = rng.integers(len(files), size=2)
    files[first].write_bytes(files[second].read_bytes())


def _entry(folder, rng):
    """Another value in a file of JSON."""
    files = [path for path in _files(folder) if path.suffix == ".json"]
    path = files[rng.integers(len(files))]
    content = json.loads(path.read_text())
    name = sorted(content)[rng.integers(len(content))]
    values = (None, -1, 0, 1e9, "x", [], {}, [1, 2], [None], True, 3.5, content[name])
    content[name] = values[rng.integers(len(values))]
    if rng.random() < 0.2:
        del content[name]
    path.write_text(json.dumps(content))


_FOLDER = {name: (lambda folder, rng, name=name: _damage(folder, rng, name))
           for name in ("cut", "flip", "flip_head", "blank", "digits", "word", "empty", "text")}
_FOLDER |= {"delete": _delete, "swap": _swap, "entry": _entry}
#: Changes of a folder that is read, and names of what is predicted from.
CHANGES = (*sorted(_FOLDER), "arguments", "table", "arrays")


def _read(path):
    """Use all that a catalogue offers."""
    catalog = SEDCatalog(path)
    table = catalog.table
    good = catalog.select(flags="none")
    seds = [*catalog.select().spectra(), *(catalog[name] for name in good.table["identifier"])]
    found = table, seds, catalog.select().photometry(_bands())
    catalog.verify()
    return found


def _check(found):
    table, seds, colours = found
    for sed in seds:
        check_sed(sed)
    numbers_of(colours["blue-red"].value, "colour")
    numbers_of(colours["blue-red_error"].value, "error of colour", positive=True)
    numbers_of(table["teff"][np.asarray(table["predicted"])], "teff")


def _judge_folder(case, rng):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "catalog"
        shutil.copytree(good_catalog(), folder)
        for change in case.changes:
            if change in _FOLDER and _files(folder):
                try:
                    _FOLDER[change](folder, rng)
                except (ValueError, TypeError):  # of what is damaged already
                    continue
        return judge(lambda: _read(folder), _check, _NAMES)


def _source(case, rng, folder):
    """Arguments of `predict_catalog`, of which something is wrong."""
    arguments = {"source": write_arrays(folder / "source.npz", 2), "workers": 1, "shard_size": 2,
                 "destination": folder / "catalog", "model": base()[3]}
    if "arrays" in case.changes:
        arrays = dict(np.load(folder / "source.npz"))
        name = sorted(arrays)[rng.integers(len(arrays))]
        bad = rng.choice([np.nan, np.inf, -1.0, 0.0, 1e300])
        arrays[name] = (arrays[name] * bad, arrays[name][..., :7], np.array("x"),
                        arrays[name].astype("c16"), np.zeros(0))[rng.integers(5)]
        np.savez(folder / "source.npz", **arrays)
    if "table" in case.changes:
        files = [folder / "source.npz", folder / "missing.fits"]
        table = Table({"path": [str(path) for path in files]})
        name, value = _COLUMNS[rng.integers(len(_COLUMNS))], junk(rng)
        try:
            table[name] = value
        except Exception:  # astropy takes it for no column
            table[name] = [str(value)] * 2
        arguments["source"] = table
    if "arguments" in case.changes:
        name = _ARGUMENTS[rng.integers(len(_ARGUMENTS))]
        value = junk(rng)
        # Numbers as places are open files of this process, and workers are processes.
        if not (name == "destination" and not isinstance(value, (str, Path))) \
                and not (name == "workers" and isinstance(value, (int, float))) \
                and not (name == "source" and isinstance(value, str)):
            arguments[name] = value
    return arguments


def _judge_source(case, rng):
    with tempfile.TemporaryDirectory() as name:
        arguments = _source(case, rng, Path(name))

        def predict():
            summary = predict_catalog(progress=False, **arguments)
            Destination(arguments["destination"]).verify()
            return summary, SEDCatalog(arguments["destination"])

        def check(found):
            summary, catalog = found
            if summary["predicted"] + summary["failed"] != len(catalog):
                raise Violation("stars are lost", f"{summary} of {len(catalog)}")
            for sed in catalog.select().spectra():
                check_sed(sed)

        return judge(predict, check, (*_NAMES, *_WORDS, "model", "destination"))


def run(case):
    """Read a damaged catalogue, or predict one from a hostile source; the outcome."""
    rng = np.random.default_rng(case.seed)
    if {"arguments", "table", "arrays"} & set(case.changes):
        return _judge_source(case, rng)
    return _judge_folder(case, rng)
