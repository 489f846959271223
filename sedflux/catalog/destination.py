"""
The folder of a catalogue: its files, which shards are complete, and the lock of the writing run.

``catalog.json`` describes the catalogue, and ``inputs.parquet`` lists the spectra.
``spectra.zarr`` has the arrays, one chunk per shard.  ``parts`` has the tables of the shards, which
``table.parquet`` joins at the end.  ``landed`` has a note with checksums for each complete shard.
The note is written last, so that a shard *has landed*, that is, it is complete, when its note
exists.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import zarr
from astropy.table import Table

from sedflux.catalog.columns import LENGTH, column_metadata, unit_of
from sedflux.catalog.models import are_models
from sedflux.catalog.shard import ARRAYS, Shard
from sedflux.exceptions import InputError, SedfluxError, WriteError
from sedflux.io.reading import first_line
from sedflux.writing import write_whole

__all__ = ["Destination", "undamaged"]

_LAYOUT = "sedflux-catalog-1"
#: What a catalogue holds before its catalog.json.
_FIRST_FILES = ("parts", "landed", "spectra.zarr", "inputs.parquet")
#: Entries of catalog.json that a resumed run must have in common.
_COMMON_ENTRIES = ("model", "sha256", "shard_size", "photometry", "rank", "inputs_sha256",
         "wavelength_sha256", "bands_sha256")

#: Largest numbers of samples and of rows of the factor that an SED may have.
_MOST_SAMPLES, _MOST_ROWS = 100_000, 10_000
#: Texts of a column that are hashed at a time.
_TEXTS = 100_000
#: Entries of catalog.json, and the checks of their values.
_FACTS: dict[str, Callable[[Any], bool]] = {
    "stars": lambda value: type(value) is int and value >= 1,
    "shard_size": lambda value: type(value) is int and value >= 1,
    "rank": lambda value: type(value) is int and 0 <= value <= _MOST_ROWS,
    "model": lambda value: isinstance(value, str),
    "sha256": lambda value: isinstance(value, str),
    "version": lambda value: isinstance(value, str),
    "bands": lambda value: isinstance(value, dict) and all(
        np.ndim(band) == 2 and len(band) == 2 and np.isfinite(band).all()
        for band in value.values()),
    "photometry": lambda value: isinstance(value, list) and all(
        isinstance(name, str) for name in value),
    "models": are_models,
    "teff": lambda value: np.shape(value) == (2,) and np.isfinite(value).all(),
    "wavelength": lambda value: (np.ndim(value) == 1 and 2 <= len(value) <= _MOST_SAMPLES
                                 and np.isfinite(value).all() and value[0] > 0
                                 and (np.diff(value) > 0).all())}


@contextmanager
def undamaged(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """
    Turn any error of a reader, on a damaged file of a catalogue, into an error that names the file.

    Parameters
    ----------
    path : path-like
        Of the catalogue.
    what : str
        The file in this folder.

    Raises
    ------
    sedflux.exceptions.InputError
    """
    try:
        yield
    except SedfluxError:
        raise
    except Exception as error:  # readers of Parquet and Zarr raise errors of any type
        raise InputError(f"{what} of the catalogue {os.fspath(path)!r} is missing or damaged "
                         f"({first_line(error)}); predict the catalogue again") from error


@lru_cache(maxsize=4)
def _read_facts(path: Path, *state: int) -> dict[str, Any]:
    """Read ``catalog.json``, once while the file stays in its state: every shard asks for it."""
    try:
        facts = json.loads((path / "catalog.json").read_text())
    except (OSError, ValueError) as error:
        raise _no_catalogue(path, error) from error
    if not isinstance(facts, dict) or facts.get("layout") != _LAYOUT:
        raise InputError(f"{str(path)!r} is no catalogue of the layout {_LAYOUT!r}")
    # Catalogues of former versions know of no photometry, and of one model.
    facts.setdefault("photometry", [])
    facts.setdefault("models", {})
    for name, right in _FACTS.items():
        with undamaged(path, "catalog.json"):
            if not right(facts[name]):
                raise ValueError(f"its entry {name} is {str(facts[name])[:60]}")
    return facts


def _no_catalogue(path, error):
    return InputError(f"{str(path)!r} is no catalogue of sedflux ({type(error).__name__})")


class Destination:
    """
    The folder of a catalogue.

    Parameters
    ----------
    path : path-like
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser().absolute()

    @property
    def facts(self) -> dict[str, Any]:
        """
        Entries of ``catalog.json``, checked.

        Raises
        ------
        sedflux.exceptions.InputError
            If the folder holds no catalogue, or one of another layout.
        """
        try:
            state = (self.path / "catalog.json").stat()
        except OSError as error:
            raise _no_catalogue(self.path, error) from error
        return _read_facts(self.path, state.st_mtime_ns, state.st_size, state.st_ino)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """
        Keep other runs from writing; the system frees the lock when the process ends.

        Raises
        ------
        sedflux.exceptions.InputError
            If another run is writing this catalogue.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / ".lock", "w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(f"another run writes {str(self.path)!r}; wait for it, or choose "
                                 "another destination") from error
            yield

    def start(self, rows: Table, facts: Mapping[str, Any]) -> None:
        """
        Begin a catalogue, or check that an existing one has the same source, model and options.

        Parameters
        ----------
        rows : `~astropy.table.Table`
            From `~sedflux.catalog.sources.read_source`.
        facts : dict
            ``model``, ``sha256``, ``models``, ``teff``, ``wavelength``, ``shard_size``,
            ``rank``, ``version`` and ``bands``, the tables of
            `~sedflux.catalog.bands.band_tables`; ``photometry``, the
            bands that condition the SEDs.

        Raises
        ------
        sedflux.exceptions.InputError
            If the folder holds other files, or a catalogue of another source, model or options.
        """
        wavelength = np.asarray(facts["wavelength"], dtype="<f8")
        facts = {"layout": _LAYOUT, **facts, "wavelength": wavelength.tolist(),
                 "stars": len(rows), "inputs_sha256": _digest(rows),
                 "wavelength_sha256": hashlib.sha256(wavelength.tobytes()).hexdigest(),
                 "bands_sha256": hashlib.sha256(
                     json.dumps(facts["bands"], sort_keys=True).encode()).hexdigest()}
        if (self.path / "catalog.json").exists():
            self._check_same(facts)
            return
        # A run killed before it wrote catalog.json leaves some of the first files.
        others = [path.name for path in self.path.iterdir()
                  if path.name not in _FIRST_FILES and not path.name.startswith(".")]
        if others:
            raise InputError(f"{str(self.path)!r} is not empty (it holds {sorted(others)[0]!r}); "
                             "choose a new folder")
        try:
            for folder in ("parts", "landed"):
                (self.path / folder).mkdir(exist_ok=True)
            _make_arrays(self.path, facts)
        except OSError as error:
            raise WriteError(f"catalogue {str(self.path)!r} cannot be written "
                             f"({error.strerror or error}); free space or choose another "
                             "folder") from error
        write_whole(self.path / "inputs.parquet",
                    lambda path: _write_parquet(rows, facts["shard_size"], path))
        text = json.dumps(facts, indent=1)
        write_whole(self.path / "catalog.json", lambda path: path.write_text(text))

    def _check_same(self, facts):
        known = self.facts
        for name in _COMMON_ENTRIES:
            if known.get(name) != facts[name]:
                what = {"inputs_sha256": "source (its spectra or their options)",
                        "bands_sha256": "bands"}.get(name, name)
                raise InputError(
                    f"{str(self.path)!r} was begun with another {what}: {known.get(name)!r} "
                    f"instead of {facts[name]!r}; choose another destination, or the same "
                    "source and options")

    def shard_count(self) -> int:
        """Number of shards."""
        facts = self.facts
        return -(-facts["stars"] // facts["shard_size"])

    def rows(self, number: int) -> Table:
        """The rows of the source in a shard."""
        with undamaged(self.path, "inputs.parquet"):
            inputs = pyarrow.parquet.ParquetFile(self.path / "inputs.parquet")
            columns = inputs.read_row_group(number).to_pydict()
        return Table({name: np.asarray(values) for name, values in columns.items()})

    def has_landed(self, number: int) -> bool:
        """Whether a shard is complete."""
        return self._note(number).exists()

    def _note(self, number):
        return self.path / "landed" / f"{number:07d}.json"

    def part(self, number: int) -> Path:
        """Path of the table of a shard."""
        return self.path / "parts" / f"{number:07d}.parquet"

    def land(self, number: int, shard: Shard) -> None:
        """
        Write a shard: its arrays, its table, and then its note.

        Raises
        ------
        sedflux.exceptions.WriteError
            If the disk is full or the folder cannot be written; the shard has not landed.
        """
        size = self.facts["shard_size"]
        with undamaged(self.path, "spectra.zarr"):
            group: Any = zarr.open_group(os.fspath(self.path / "spectra.zarr"), mode="r+")
        begin, hashes = number * size, {}
        try:
            for name, kind in ARRAYS.items():
                values = shard.arrays[name].astype(kind)
                group[name][begin:begin + len(values)] = values
                hashes[name] = hashlib.sha256(values.tobytes()).hexdigest()
            for path in (self.path / "spectra.zarr").glob(f"*/c/{number}/**/*"):
                if path.is_file():
                    with open(path, "rb") as stream:
                        os.fsync(stream.fileno())
        except OSError as error:
            raise WriteError(f"shard {number} of {str(self.path)!r} cannot be written "
                             f"({error.strerror or error}); free space and start again") from error
        buffer = io.BytesIO()
        _write_parquet(shard.table, size, buffer)
        table = buffer.getvalue()
        write_whole(self.part(number), lambda path: path.write_bytes(table))
        hashes["table"] = hashlib.sha256(table).hexdigest()
        note = {"predicted": int(shard.table["predicted"].sum()),
                "flagged": int((shard.table["flag_bits"] > 0).sum()),
                "failed": int((~shard.table["predicted"]).sum()), "sha256": hashes}
        write_whole(self._note(number), lambda path: path.write_text(json.dumps(note)))

    def notes(self) -> dict[int, dict[str, Any]]:
        """Notes of the shards that have landed, by shard number."""
        found = {}
        for number in range(self.shard_count()):
            if self.has_landed(number):
                with undamaged(self.path, f"landed/{self._note(number).name}"):
                    note = json.loads(self._note(number).read_text())
                    if not isinstance(note["sha256"], dict) or not all(
                            type(note[name]) is int for name in ("predicted", "flagged", "failed")):
                        raise ValueError("its entries are of other types")
                    found[number] = note
        return found

    def finish(self) -> Path:
        """Join the tables of all shards into ``table.parquet``, and return its path."""
        target = self.path / "table.parquet"

        def write(temporary):
            parts = [self.part(number) for number in range(self.shard_count())]
            with undamaged(self.path, "parts"):
                schema = _joint_schema([pyarrow.parquet.read_schema(part) for part in parts])
            with pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
                for part in parts:
                    with undamaged(self.path, f"parts/{part.name}"):
                        table = pyarrow.parquet.read_table(part).cast(schema)
                    writer.write_table(table)

        if not target.exists():
            write_whole(target, write)
        return target

    def verify(self) -> list[int]:
        """Numbers of the shards whose files differ from the checksums in their notes."""
        size, wrong = self.facts["shard_size"], []
        for number, note in self.notes().items():
            rows = slice(number * size, min((number + 1) * size, self.facts["stars"]))
            try:
                with undamaged(self.path, f"shard {number}"):
                    found = self._hashes(number, rows)
            except InputError:
                found = {}
            if found != note["sha256"]:
                wrong.append(number)
        return wrong

    def _hashes(self, number, rows):
        """SHA-256 of the arrays and the table of a shard in the folder."""
        group: Any = zarr.open_group(os.fspath(self.path / "spectra.zarr"), mode="r")
        found = {name: hashlib.sha256(group[name][rows].tobytes()).hexdigest() for name in ARRAYS}
        return found | {"table": hashlib.sha256(self.part(number).read_bytes()).hexdigest()}


def _make_arrays(path, facts):
    """Create the arrays, with one chunk per shard and filled with NaN."""
    samples, stars = len(facts["wavelength"]), facts["stars"]
    group = zarr.open_group(os.fspath(path / "spectra.zarr"), mode="w")
    group.attrs.update({
        "model": facts["model"], "sha256": facts["sha256"], "layout": _LAYOUT,
        "covariance": "of ln(flux): diag(diagonal) + factor^T factor; sigma is of flux"})
    for name, kind in ARRAYS.items():
        tail = (facts["rank"], samples) if name == "factor" else (samples,)
        group.create_array(name, shape=(stars, *tail), chunks=(facts["shard_size"], *tail),
                           dtype=kind, fill_value=np.nan)
    group.create_array("wavelength", data=np.asarray(facts["wavelength"]))
    group["wavelength"].attrs["unit"] = "Angstrom"


def _write_parquet(table, rows, target):
    """Write a table as a Parquet file, with units in the fields' metadata."""
    columns = {name: np.asarray(table[name]) for name in table.colnames}
    texts = [name for name, column in columns.items() if column.dtype.kind in "OU"]
    fields = [pyarrow.field(name, pyarrow.string() if name in texts
                            else pyarrow.from_numpy_dtype(column.dtype),
                            metadata={"unit": unit_of(name)} if unit_of(name) else None)
              for name, column in columns.items()]
    schema = pyarrow.schema(fields, metadata={
        f"{LENGTH}{name}": str(max(map(len, columns[name]), default=1) or 1) for name in texts})
    with pyarrow.parquet.ParquetWriter(target, schema) as writer:
        # Groups of rows one by one: millions of texts take no second place in memory.
        for begin in range(0, len(table), rows):
            group = {name: column[begin:begin + rows] for name, column in columns.items()}
            writer.write_table(pyarrow.table({name: column.tolist() if name in texts else column
                                              for name, column in group.items()}, schema=schema))


def _joint_schema(schemas):
    """Common schema of all parts, with units and the length of the longest text in each column."""
    lengths = {}
    for schema in schemas:
        for name, value in (schema.metadata or {}).items():
            lengths[name] = max(lengths.get(name, b"1"), value, key=int)
    return schemas[0].with_metadata(
        lengths | column_metadata(schemas[0].with_metadata(lengths)))


def _digest(rows):
    """SHA-256 of the content of a source's table."""
    content = hashlib.sha256()
    for name in rows.colnames:
        values = rows[name]
        content.update(name.encode())
        if values.dtype.kind not in "OU":
            content.update(np.asarray(values, dtype="<f8").tobytes())
            continue
        for begin in range(0, len(values), _TEXTS):
            content.update(b"\0" * (begin > 0))
            content.update("\0".join(map(str, values[begin:begin + _TEXTS])).encode())
    return content.hexdigest()
