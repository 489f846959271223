"""Read downloaded BOSZ models of either edition into one library."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.io.reading import FITS_ERRORS
from sedflux.libraries.archive import ArchiveFile
from sedflux.libraries.labels import LABELS
from sedflux.libraries.library import SpectralLibrary

__all__ = ["read_bosz"]

#: Wavelengths that a library of models keeps, in Angstrom: the SED grid of 2500-10500 with
#: margins for the line-spread function.
_KEPT_RANGE = (2440.0, 10600.0)
#: First bytes of a gzip file.
_GZIP_START = b"\x1f\x8b"


def read_bosz(name: str, files: Sequence[ArchiveFile], folder: str | os.PathLike[str], *,
              resolving_power: float = 5000.0) -> SpectralLibrary:
    """
    Read downloaded BOSZ models into one library.

    Parameters
    ----------
    name : {'bosz2017', 'bosz2024'}
    files : sequence of `~sedflux.libraries.archive.ArchiveFile`
        For ``bosz2024`` with the file of the wavelengths.
    folder : path-like
    resolving_power : float, optional

    Returns
    -------
    library : `~sedflux.libraries.SpectralLibrary`

    Raises
    ------
    sedflux.exceptions.InputError
        If a file is missing or damaged, or has other wavelengths than the others.
    """
    if name not in ("bosz2017", "bosz2024"):
        raise InputError(f"name is {name!r}; 'bosz2017' and 'bosz2024' are allowed")
    folder, models = Path(folder), [file for file in files if file.labels]
    if not models:
        raise InputError("files has no model: select some")
    if name == "bosz2017":
        wavelength, flux = _read_2017([folder / file.filename for file in models])
    else:
        grids = [folder / file.filename for file in files if not file.labels]
        if not grids:
            raise InputError("files lacks the wavelengths of BOSZ 2024: fetch the file "
                             "bosz2024_wave_r*.txt too")
        wavelength, flux = _read_2024(grids[0], [folder / file.filename for file in models])
    table = Table(np.array([file.labels for file in models]), names=LABELS)
    table["INDEX"] = np.arange(len(table))
    return SpectralLibrary(wavelength, flux, table, float(resolving_power))


def _kept(wavelength):
    """Which wavelengths a library keeps."""
    return (wavelength > _KEPT_RANGE[0]) & (wavelength < _KEPT_RANGE[1])


def _read_2017(paths):
    """Wavelengths and fluxes of models that each have their own wavelengths."""
    grid, rows = None, []
    for path in paths:
        wavelength, flux = _read(path, _columns_2017)
        keep = _kept(wavelength)
        if grid is None:
            grid = wavelength[keep]
        if grid.size != keep.sum() or not np.allclose(wavelength[keep], grid, rtol=1e-6):
            raise InputError(f"{path.name} has other wavelengths than the files before it; "
                             "fetch files of one resolving power")
        rows.append(flux[keep].astype(np.float32))
    return wavelength[keep], np.stack(rows)


def _read_2024(grid_path, paths):
    """Wavelengths and fluxes of models that share the wavelengths of one file."""
    wavelength = _read(grid_path, _first_column)
    keep, rows = _kept(wavelength), []
    for path in paths:
        flux = _read(path, _first_column)
        if flux.size != wavelength.size:
            raise InputError(f"{path.name} has {flux.size} samples instead of {wavelength.size}: "
                             "remove it and fetch it again")
        rows.append(flux[keep].astype(np.float32))
    return wavelength[keep], np.stack(rows)


def _read(path, reader):
    """What a reader gives; its errors name the file."""
    try:
        return reader(path)
    except FileNotFoundError as error:
        raise InputError(f"{str(path)!r} does not exist; fetch it first") from error
    except (*FITS_ERRORS, zlib.error) as error:
        raise InputError(f"{path.name} is damaged ({type(error).__name__}): remove it and fetch "
                         "it again") from error


def _columns_2017(path):
    with fits.open(path, memmap=False) as hdus:
        data = hdus[1].data
        return (np.asarray(data["Wavelength"], float), np.asarray(data["SpecificIntensity"], float))


def _first_column(path):
    # Some servers unpack files on the way, so that files named .gz need not be packed.
    with open(path, "rb") as stream:
        packed = stream.read(2) == _GZIP_START
    with (gzip.open if packed else open)(path, "rt") as stream:
        lines = stream.readlines()
    if not lines:
        raise ValueError("empty file")
    return np.atleast_1d(np.loadtxt(lines, usecols=0))
