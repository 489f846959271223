"""FITS files with provenance and checksums, from which no extension is lost unnoticed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from sedflux._version import __version__
from sedflux.io.reading import file_stream
from sedflux.writing import write_whole

__all__ = ["LAYOUT", "check_hdus", "describe_columns", "open_checked", "write_checked"]

#: Card of the primary header that names the layout of the file.
LAYOUT = "SEDFLUX"
#: Begins the cards that list the extensions.
_NEED = "NEED"


def describe_columns(hdu: fits.BinTableHDU, columns: Mapping[str, tuple[str, str]]) -> None:
    """
    Write descriptions and UCDs of columns as TCOMM and TUCD cards, which TOPCAT shows.

    Parameters
    ----------
    hdu : `~astropy.io.fits.BinTableHDU`
    columns : dict of str to tuple of str
        Description and unified content descriptor (empty for none) by the name of the column.
        Names that the table lacks are skipped.
    """
    for number, name in enumerate(hdu.columns.names, start=1):
        description, ucd = columns.get(name, ("", ""))
        if description:
            hdu.header[f"TCOMM{number}"] = description
        if ucd:
            hdu.header[f"TUCD{number}"] = ucd


def write_checked(path: str | os.PathLike[str], hdus: Sequence[fits.hdu.base.ExtensionHDU], *,
                  layout: str, overwrite: bool = False) -> None:
    """
    Write a FITS file whole, with a list of its extensions and checksums of all of them.

    Parameters
    ----------
    path : path-like
    hdus : sequence of HDU
        The first is the primary one.
    layout : str
        Name and version of the layout, such as ``sedflux-sed-2``.
    overwrite : bool, optional

    Raises
    ------
    sedflux.exceptions.InputError
        If the file exists, or its folder does not.
    sedflux.exceptions.WriteError
        If it cannot be written.
    """
    header = hdus[0].header
    header[LAYOUT] = (layout, "layout of this file, see docs/data_model")
    header["ORIGIN"] = ("sedflux", "program that wrote this file")
    header["SEDVERS"] = (__version__, "version of sedflux")
    header["DATE"] = (datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "[UTC] time of writing")
    for card in [name for name in header if name.startswith(_NEED)]:
        del header[card]
    for number, hdu in enumerate(hdus[1:]):
        header[f"{_NEED}{number}"] = (hdu.name, "extension that must be there")
    write_whole(path, lambda temporary: fits.HDUList(list(hdus)).writeto(temporary, checksum=True),
                overwrite=overwrite)


@contextmanager
def open_checked(path: str | os.PathLike[str]) -> Iterator[fits.HDUList]:
    """
    Open a FITS file with warnings of astropy as errors: of checksums, and of files that were cut.

    Parameters
    ----------
    path : path-like
        Or an open file.

    Yields
    ------
    hdus : `~astropy.io.fits.HDUList`
        With all data in memory.

    Raises
    ------
    AstropyUserWarning, OSError, ValueError, ...
        If the file is damaged; the caller says what the file should be.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", AstropyUserWarning)
        with file_stream(path) as stream, \
                fits.open(stream, memmap=False, checksum=True) as hdus:
            yield hdus


def check_hdus(hdus: fits.HDUList) -> None:
    """
    Check that all extensions are there, and that each has its checksum.

    Parameters
    ----------
    hdus : `~astropy.io.fits.HDUList`
        From `open_checked`, which compares the checksums.

    Raises
    ------
    ValueError
        If one is missing.
    """
    needed = {value for name, value in hdus[0].header.items() if name.startswith(_NEED)}
    if missing := needed - {hdu.name for hdu in hdus}:
        raise ValueError(f"its extension {min(missing)} is missing")
    for hdu in hdus:
        if not {"CHECKSUM", "DATASUM"} <= set(hdu.header):
            raise ValueError(f"its extension {hdu.name} has no checksum")
