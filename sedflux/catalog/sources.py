"""
Sources of a catalogue: files, tables of files, or arrays on one grid.

A source becomes a table with one row per spectrum, in a fixed order.  The table is written once, at
the start of a run, and workers read their rows from it.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from sedflux.catalog.photometry import check_measured, measured_columns
from sedflux.exceptions import InputError
from sedflux.io.desi import desi_targets, is_coadd_name
from sedflux.photometry import MAX_MAGNITUDE_ERROR
from sedflux.predict.checks import MAX_REDDENING

__all__ = ["ARRAYS", "OPTIONS", "open_arrays", "read_source"]

#: Optional columns of a table of files, and the units of numbers without a unit.
OPTIONS = {"radial_velocity": "km/s", "resolving_power": "", "reddening": "mag",
           "reddening_error": "mag", "magnitude": "mag", "magnitude_error": "mag"}
#: Row number for a file with one spectrum.
_WHOLE_FILE = -1
#: Largest absolute value of an AB magnitude (mag).
_LARGEST_MAGNITUDE = 50.0
#: Endings of tables of files, and of arrays.
_TABLES = (".ecsv", ".csv", ".fits", ".fit", ".parquet", ".vot")
ARRAYS = (".npz", ".zarr")


def read_source(source: str | os.PathLike[str] | Sequence[Any] | Table, *,
                photometry: Mapping[str, tuple[str, str]] | None = None) -> Table:
    """
    List the spectra of a source.

    Parameters
    ----------
    source : path-like, sequence of path-like or `~astropy.table.Table`
        One of three kinds.  (1) Files: a folder with its subfolders, a pattern such as
        ``"dr9/*/*.fits.gz"``, or a list; a DESI coadd gives one row per target.  (2) A table, or
        the path of one, with the column ``path`` and optionally ``identifier``, ``row`` (in a
        coadd), ``radial_velocity`` (km/s), ``resolving_power``, ``reddening`` and
        ``reddening_error`` (mag), ``magnitude`` (AB), ``magnitude_error`` and ``band``.
        (3) Arrays on one grid: ``.npz`` or ``.zarr`` with ``wavelength`` (n,), ``flux`` and
        ``ivar`` (N, n), and optionally ``identifier`` and the same columns (N,).
    photometry : dict of str to tuple of str, optional
        Columns of magnitudes and their errors by band, see
        `~sedflux.catalog.photometry.band_columns`.

    Returns
    -------
    rows : `~astropy.table.Table`
        With the columns ``identifier`` (unique), ``path`` and the given optional ones; for arrays
        ``path`` is that of the file of arrays and ``row`` the row in them.

    Raises
    ------
    sedflux.exceptions.InputError
        If the source does not exist, is empty, lacks a column, or identifiers repeat.

    Examples
    --------
    >>> from sedflux.catalog.sources import read_source
    >>> from sedflux.demo import demo_path
    >>> rows = read_source([demo_path("16cygb_miles"), demo_path("bd17_stis")])
    >>> rows["identifier"].tolist()
    ['16cygb_miles', 'bd17_stis']
    """
    if isinstance(source, Table):
        rows = _from_table(source, photometry)
    elif isinstance(source, (str, os.PathLike)):
        rows = _from_path(Path(source).expanduser(), os.fspath(source), photometry)
    elif isinstance(source, Iterable):
        rows = _from_files([_as_path(name) for name in source])
    else:
        raise InputError(f"source is a {type(source).__name__}; give a folder, a pattern, files, a "
                         "table of files, or a file of arrays")
    if not len(rows):
        raise InputError(f"source {source!r} holds no spectra")
    arrays = next((path for path in rows["path"] if path.endswith(ARRAYS)), None)
    if arrays and ("row" not in rows.colnames or (rows["path"] != arrays).any()):
        raise InputError(f"source lists the arrays {str(arrays)!r} among files of spectra; give "
                         "the file of arrays as the source itself")
    _check_reddening(rows)
    _check_magnitudes(rows)
    if photometry:
        _check_photometry(rows, photometry)
    names = rows["identifier"].tolist()
    if len(set(names)) < len(names):
        name, count = Counter(names).most_common(1)[0]
        raise InputError(f"identifier {name!r} occurs {count} times; give each spectrum "
                         "another one")
    return rows


def _check_reddening(rows):
    """E(B-V) that dust can have, before a worker stumbles over another one."""
    for name in ("reddening", "reddening_error"):
        if name in rows.colnames:
            value = np.asarray(rows[name], dtype=float)
            wrong = ~np.isnan(value) & ~((value >= 0) & (value <= MAX_REDDENING))
            if wrong.any():
                first = int(wrong.argmax())
                raise InputError(
                    f"star {str(rows['identifier'][first])!r} has the {name} {value[first]:g}; "
                    f"0 to {MAX_REDDENING:g} mag are needed, or NaN where it is not known")


def _check_magnitudes(rows):
    """Refuse magnitudes without a band or out of range, and errors out of range."""
    if "magnitude" not in rows.colnames:
        if extra := [name for name in ("magnitude_error", "band") if name in rows.colnames]:
            raise InputError(f"source has the column {extra[0]!r} but no 'magnitude'")
        return
    if "band" not in rows.colnames:
        raise InputError("source has the column 'magnitude'; it needs 'band' too: the name of a "
                         "band, or a file of its throughput")
    magnitude = np.asarray(rows["magnitude"], dtype=float)
    measured = np.isfinite(magnitude)
    for name, wrong in (
            ("magnitude", measured & (np.abs(magnitude) > _LARGEST_MAGNITUDE)),
            ("band", measured & (np.asarray(rows["band"], dtype=str) == "")),
            ("magnitude_error", measured & ~_good_errors(rows))):
        if wrong.any():
            first = int(wrong.argmax())
            raise InputError(
                f"star {str(rows['identifier'][first])!r} has the magnitude {magnitude[first]:g} "
                f"and the {name} {rows[name][first]}; AB magnitudes within "
                f"{_LARGEST_MAGNITUDE:g}, a band, and errors of 0 to 10 mag are needed, or NaN "
                "for no magnitude")


def _check_photometry(rows, photometry):
    """Columns of magnitudes were read, and nothing else sets the scale."""
    if measured_columns(next(iter(photometry)))[0] not in rows.colnames:
        raise InputError("photometry needs columns of magnitudes; give a table of files, or arrays "
                         "with one number a star")
    if "magnitude" in rows.colnames:
        raise InputError("source has the column 'magnitude', and photometry is given: both set the "
                         "scale; give one of them")
    check_measured(rows, list(photometry))


def _add_measured(rows: Table, photometry: Mapping[str, tuple[str, str]] | None,
                  names: Iterable[str], read: Callable[[str], np.ndarray]) -> None:
    """Read the columns of magnitudes and their errors."""
    names = list(names)
    for band, pair in (photometry or {}).items():
        for name, column in zip(pair, measured_columns(band), strict=True):
            if name not in names:
                raise InputError(f"photometry of {band!r} is in the column {name!r}; the source "
                                 f"has {', '.join(names)}")
            rows[column] = read(name)


def _good_errors(rows):
    if "magnitude_error" not in rows.colnames:
        return np.ones(len(rows), dtype=bool)
    error = np.asarray(rows["magnitude_error"], dtype=float)
    return ~((error < 0) | (error > MAX_MAGNITUDE_ERROR))


def _from_path(path, name, photometry):
    if path.suffix in ARRAYS and path.exists():
        return _from_arrays(path, photometry)
    if path.is_dir():
        path = Path(os.path.abspath(path))
        return _from_files(_files_below(path), base=path)
    if glob.has_magic(name) and not path.exists():
        return _from_files(sorted(glob.glob(os.fspath(path), recursive=True),
                                  key=lambda found: found.split(os.sep)))
    if path.is_file() and path.suffix in _TABLES:
        return _from_table(_read_table(path), photometry)
    raise InputError(f"source {name!r} is no folder, pattern that fits a file, table of files "
                     f"({', '.join(_TABLES)}), or file of arrays ({', '.join(ARRAYS)})")


def _files_below(folder):
    """All files except hidden ones, sorted by name; links to folders are not followed."""
    found: list[str] = []
    for inner, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        # DESI's files of redshifts hold no spectra; they are read with their coadds.
        found += [os.path.join(inner, name) for name in sorted(files)
                  if not name.startswith((".", "redrock-"))]
    return found


def _from_files(paths, base=None):
    """One row per file, or per spectrum of a DESI coadd."""
    rows = _named(paths, base)
    coadds = {number: targets for number, path in enumerate(paths)
              if is_coadd_name(path) and (targets := _targets(path)) is not None}
    if not coadds:
        return rows
    names: list[str] = []
    files: list[str] = []
    numbers: list[int] = []
    for number, (name, path) in enumerate(rows["identifier", "path"].iterrows()):
        targets = coadds.get(number)
        names += [name] if targets is None else [f"{name}/{target}" for target in targets]
        files += [path] * (1 if targets is None else len(targets))
        numbers += [_WHOLE_FILE] if targets is None else range(len(targets))
    return Table({"identifier": np.array(names, dtype=object),
                  "path": np.array(files, dtype=object), "row": np.array(numbers, dtype=int)})


def _targets(path):
    """Targets of a coadd; None for a file that is no coadd, which later fails when it is read."""
    try:
        return desi_targets(path)
    except InputError:
        return None


def _named(paths, base=None):
    """One row per file; identifiers are names of files, or paths in the folder if names repeat."""
    # For millions of files: arrays of text would pad every path to the longest.
    names = [os.path.basename(path).split(".fit")[0] for path in paths]
    if len(set(names)) < len(names):
        names = [os.path.relpath(path, base) for path in paths] if base else list(paths)
    return Table({"identifier": np.array(names, dtype=object),
                  "path": np.array([_absolute(path) for path in paths], dtype=object)})


def _absolute(path):
    """An absolute path; the same text, and not a copy of it, if it is one."""
    absolute = os.path.abspath(path)
    return path if absolute == path else absolute


def _read_table(path):
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            return Table(pyarrow.parquet.read_table(path).to_pydict())
        return Table.read(path)
    except Exception as error:  # readers of tables raise errors of any type
        raise InputError(f"table {str(path)!r} cannot be read ({type(error).__name__}: "
                         f"{error})") from error


def _as_path(name):
    """An element of a list of files as the text of a path."""
    if not isinstance(name, (str, os.PathLike)):
        raise InputError(f"source holds {name!r}; give paths of files")
    return os.path.expanduser(name)


def _from_table(table, photometry):
    if "path" not in table.colnames:
        raise InputError(f"table of spectra has the columns {', '.join(table.colnames)}; it needs "
                         "'path'")
    paths = [os.path.expanduser(str(path)) for path in table["path"]]
    rows = _named(paths) if "row" in table.colnames or "identifier" in table.colnames \
        else _from_files(paths)
    if len(rows) != len(table):
        raise InputError("table of spectra names DESI coadds, which hold many stars; give it the "
                         "columns 'row' (from 0) and 'identifier'")
    if "row" in table.colnames:
        rows["row"] = np.nan_to_num(_plain_column(table["row"], "", "row"),
                                    nan=_WHOLE_FILE).astype(int)
    if "identifier" in table.colnames:
        rows["identifier"] = np.array([str(name) for name in table["identifier"]], dtype=object)
    for name, unit in OPTIONS.items():
        if name in table.colnames:
            rows[name] = _plain_column(table[name], unit, name)
    if "band" in table.colnames:
        rows["band"] = _texts(table["band"])
    _add_measured(rows, photometry, table.colnames,
                  lambda name: _plain_column(table[name], "mag", name))
    return rows


def _texts(column):
    """Texts, empty where a value is masked."""
    masked = np.ma.getmaskarray(column) if np.ma.isMaskedArray(column) else np.zeros(len(column))
    return np.array(["" if hidden else str(value)
                     for value, hidden in zip(column, masked, strict=True)], dtype=str)


def _plain_column(column, unit, name):
    """Numbers in a unit; NaN where a value is masked, which means the default."""
    try:
        values = np.ma.asarray(column.filled(np.nan) if hasattr(column, "filled") else column)
        values = np.asarray(values, dtype=float)
        given = getattr(column, "unit", None)
        if isinstance(given, u.function.FunctionUnitBase) and given != u.ABmag:
            raise TypeError(f"its unit is {given}")
        if unit == "mag" and given == u.ABmag:
            return values
        return values if given is None or not unit else (values * given).to_value(unit)
    except (TypeError, ValueError) as error:
        raise InputError(f"column {name} is no column of numbers in {unit or 'no unit'} "
                         f"({error})") from error


def open_arrays(path: str | os.PathLike[str]) -> Any:
    """
    Open a file of arrays, as a mapping of names to arrays, which are read when they are indexed.

    Parameters
    ----------
    path : path-like
        ``.npz``, or a folder ``.zarr``.

    Raises
    ------
    sedflux.exceptions.InputError
        If it cannot be opened.
    """
    try:
        if Path(path).suffix == ".npz":
            return np.load(path, allow_pickle=False)
        import zarr

        return zarr.open_group(os.fspath(path), mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"arrays {str(path)!r} cannot be read ({type(error).__name__}: "
                         f"{error})") from error


def _from_arrays(path, photometry):
    arrays = open_arrays(path)
    missing = {"wavelength", "flux", "ivar"} - set(arrays.keys())
    if missing:
        raise InputError(f"arrays {str(path)!r} lack {', '.join(sorted(missing))}")
    shape = arrays["flux"].shape
    if len(shape) != 2 or arrays["ivar"].shape != shape \
            or arrays["wavelength"].shape != shape[1:]:
        raise InputError(f"arrays {str(path)!r} have the shapes {arrays['wavelength'].shape}, "
                         f"{shape}, {arrays['ivar'].shape}; wavelength (n,), flux and ivar "
                         "(N, n) are needed")
    rows = Table({"identifier": np.arange(shape[0]).astype(str),
                  "path": np.full(shape[0], os.fspath(path.absolute())),
                  "row": np.arange(shape[0])})
    for name in ("identifier", *OPTIONS, "band"):
        if name in arrays:
            rows[name] = _one_a_star(arrays[name], name, shape[0], path)
    _add_measured(rows, photometry, arrays.keys(),
                  lambda name: _one_a_star(arrays[name], name, shape[0], path))
    return rows


def _one_a_star(values, name, count, path):
    """An array with one number or text per star."""
    if values.shape != (count,):
        raise InputError(f"arrays {str(path)!r} have {name!r} of the shape {values.shape}; one "
                         f"value per star, ({count},), is needed")
    try:
        if np.iscomplexobj(values):
            raise TypeError
        return np.asarray(values[:]).astype(str if name in ("identifier", "band") else float)
    except (ValueError, TypeError) as error:
        raise InputError(f"arrays {str(path)!r} have {name!r} of the type {values.dtype}; numbers "
                         "are needed") from error
