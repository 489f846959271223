"""Tables of the accuracy as files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from astropy.table import Table

from sedflux.writing import write_whole

__all__ = ["write_table", "write_tables"]


def write_table(table: Table, path: Path) -> Path:
    """
    Write a table as ECSV, with all digits.

    Parameters
    ----------
    table : `~astropy.table.Table`
    path : `~pathlib.Path`

    Returns
    -------
    path : `~pathlib.Path`
    """
    write_whole(path, lambda temporary: table.write(temporary, format="ascii.ecsv"))
    return path


def write_tables(folder: Path, tables: Mapping[str, Table], *, digits: int = 4
                 ) -> dict[Path, Table]:
    """
    Write tables as ECSV, and as RST for the documentation, rounded.

    Parameters
    ----------
    folder : `~pathlib.Path`
    tables : mapping of str to `~astropy.table.Table`
        By the name of their files without ending.
    digits : int, optional
        Decimal places.

    Returns
    -------
    written : dict of `~pathlib.Path` to `~astropy.table.Table`
        The tables by their ECSV files.
    """
    written = {}
    for name, table in tables.items():
        for column in table.itercols():
            if column.dtype.kind == "f":
                column.info.format = f".{digits}f"
        path = write_table(table, folder / f"{name}.ecsv")
        write_whole(path.with_suffix(".rst"), partial(table.write, format="ascii.rst"))
        written[path] = table
    return written
