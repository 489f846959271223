"""Fetch files of public libraries through pooch, and make one library of BOSZ models."""

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from sedflux.exceptions import InputError, WeightsError
from sedflux.io.download import ABSENT, fetch_file
from sedflux.libraries.archive import ARCHIVES
from sedflux.libraries.labels import LABELS
from sedflux.libraries.library import SpectralLibrary
from sedflux.writing import write_whole

__all__ = ["fetch_files", "read_bosz", "write_library"]

#: Wavelengths that a library of models keeps, in Angstrom.
_RANGE = (2440.0, 10600.0)


def fetch_files(name, files, folder, *, base_url=None, workers=4, progress=True):
    """
    Fetch files that are not there yet; an interrupted fetch resumes.

    Parameters
    ----------
    name : str
        One of `~sedflux.libraries.archive.ARCHIVES`.
    files : sequence of `~sedflux.libraries.archive.ArchiveFile`
    folder : path-like
    base_url : str, optional
        Another address than the archive's own, such as a mirror.
    workers : int, optional
        Files that are fetched at the same time.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    present : list of `~sedflux.libraries.archive.ArchiveFile`
        Files that are in the folder now.  The archive lacks a few that its rules promise.

    Raises
    ------
    sedflux.exceptions.WeightsError
        If files could not be fetched; those that could are kept.
    """
    from tqdm import tqdm

    base = (base_url or ARCHIVES[name]).rstrip("/")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        tasks = [pool.submit(fetch_file, f"{base}/{file.path}", folder / file.filename)
                 for file in files]
        problems = [task.result() for task in tqdm(tasks, disable=not progress, unit="file")]
    present = [file for file in files if (folder / file.filename).exists()]
    failures = [problem for problem in problems if problem and problem != ABSENT]
    if failures or not present:
        shown = "\n  ".join(failures[:5]) or f"{base} has none of them"
        raise WeightsError(
            f"{len(files) - len(present)} of {len(files)} files of {name} could not be fetched:\n"
            f"  {shown}\n"
            f"What came is in {str(folder)!r}; run the same command again to go on, or give "
            "the address of a mirror with --base-url."
        )
    return present


def _bosz2017_arrays(path):
    with fits.open(path, memmap=False) as hdus:
        data = hdus[1].data
        return (np.asarray(data["Wavelength"], float), np.asarray(data["SpecificIntensity"], float))


def _bosz2024_flux(path):
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt") as stream:
        return np.loadtxt(stream, usecols=0)


def read_bosz(name, files, folder, *, resolving_power=5000):
    """
    Read fetched BOSZ models into one library.

    Parameters
    ----------
    name : {'bosz2017', 'bosz2024'}
    files : sequence of `~sedflux.libraries.archive.ArchiveFile`
    folder : path-like
    resolving_power : float, optional

    Returns
    -------
    library : `~sedflux.libraries.SpectralLibrary`
    """
    folder, wavelength, flux, labels = Path(folder), None, [], []
    for file in files:
        path = folder / file.filename
        if not file.labels:
            wavelength = np.loadtxt(path, usecols=0)
            keep = (wavelength > _RANGE[0]) & (wavelength < _RANGE[1])
            continue
        if name == "bosz2017":
            here, values = _bosz2017_arrays(path)
            keep = (here > _RANGE[0]) & (here < _RANGE[1])
            if wavelength is not None and not np.allclose(here[keep], wavelength, rtol=1e-6):
                raise InputError(f"{path.name} has other wavelengths than the files before it")
            wavelength = here[keep]
        else:
            values = _bosz2024_flux(path)
        if values.size != keep.size:
            raise InputError(f"{path.name} has {values.size} samples instead of {keep.size}: "
                             "remove it and fetch it again")
        flux.append(values[keep].astype(np.float32))
        labels.append(file.labels)
    grid = wavelength if name == "bosz2017" else wavelength[keep]
    table = Table(np.array(labels), names=LABELS)
    table["INDEX"] = np.arange(len(table))
    return SpectralLibrary(grid, np.stack(flux), table, float(resolving_power))


def write_library(path, library):
    """
    Write a library in the layout that `~sedflux.libraries.library.read_library` takes.

    Parameters
    ----------
    path : path-like
    library : `~sedflux.libraries.SpectralLibrary`
    """
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(library.table, name="MODELS"),
            fits.ImageHDU(library.wavelength, name="WAVELENGTH"),
            fits.ImageHDU(library.flux, name="FLUX")]
    hdus[0].header["RPOWER"] = library.resolving_power
    write_whole(path, fits.HDUList(hdus).writeto)
