"""Read the spectra of a shard."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from sedflux.catalog.sources import ARRAYS, open_arrays
from sedflux.exceptions import InputError, SedfluxError
from sedflux.io.desi import read_desi
from sedflux.io.lamost import is_lamost, lamost_arrays
from sedflux.io.reading import strict_fits
from sedflux.io.registry import read_spectrum
from sedflux.predict.checks import RESOLVING_POWER, check_velocity
from sedflux.predict.many import Star, star_of
from sedflux.predict.sed import star_position
from sedflux.spectra.arrays import spectrum_arrays

__all__ = ["Entry", "read_stars"]


@dataclass(frozen=True)
class Entry:
    """
    A row of the source whose spectrum was read.

    Attributes
    ----------
    row : int
        In the shard.
    star : `~sedflux.predict.many.Star`
    position : tuple of float
        Right ascension and declination in degrees; NaN if not known.
    """

    row: int
    star: Star
    position: tuple[float, float]


def read_stars(rows: Table) -> tuple[list[Entry], dict[int, str]]:
    """
    Read the spectra of some rows of a source.

    Parameters
    ----------
    rows : `~astropy.table.Table`
        From `~sedflux.catalog.sources.read_source`.

    Returns
    -------
    entries : list of `Entry`
    errors : dict of int to str
        By row: why it cannot be read.
    """
    entries, errors = [], {}
    arrays = _read_arrays(rows) if Path(rows["path"][0]).suffix in ARRAYS else None
    coadds = _Coadds(rows)
    for number in range(len(rows)):
        options = {name: rows[name][number] for name in rows.colnames}
        try:
            with strict_fits():
                entries.append(_read_entry(number, options, arrays, coadds))
        except SedfluxError as error:
            errors[number] = " ".join(str(error).split())
        except Exception as error:  # a damaged file must not stop the others
            errors[number] = " ".join(f"{type(error).__name__}: {error}".split())
    return entries, errors


def _read_arrays(rows):
    """Wavelength, and flux and inverse variance of the rows, from a file of arrays."""
    arrays = open_arrays(rows["path"][0])
    # The rows of a shard are consecutive.
    block = slice(int(rows["row"][0]), int(rows["row"][-1]) + 1)
    return arrays["wavelength"][:], arrays["flux"][block], arrays["ivar"][block]


class _Coadds:
    """Spectra from DESI coadds for some rows; one file is in memory at a time."""

    def __init__(self, rows: Table) -> None:
        self._rows, self._path = rows, ""
        self._places: dict[int, int] = {}

    def star(self, number):
        """The star of a row, and its coordinates."""
        path = self._rows["path"][number]
        if path != self._path:
            here = np.flatnonzero((self._rows["path"] == path) & (self._rows["row"] >= 0))
            self._coadd = read_desi(path, np.asarray(self._rows["row"])[here])
            self._path, self._places = path, {row: place for place, row in enumerate(here)}
        coadd, place = self._coadd, self._places[number]
        if not coadd.target[place]:
            raise InputError("the fibre was on the sky")
        spectrum = spectrum_arrays(coadd.wavelength, coadd.flux[place], coadd.ivar[place])
        return (Star(spectrum, coadd.resolving_power, float(coadd.radial_velocity[place])),
                tuple(coadd.position[place].tolist()))


def _read_entry(number, options, arrays, coadds):
    position = None
    if arrays is not None:
        wavelength, flux, ivar = arrays
        star = Star(spectrum_arrays(wavelength, flux[number], ivar[number]), RESOLVING_POWER, 0.0)
    elif options.get("row", -1) >= 0:
        star, position = coadds.star(number)
    else:
        star = _read_file(Path(options["path"]))
    given = {name: float(options[name]) for name in ("resolving_power", "radial_velocity")
             if np.isfinite(options.get(name, np.nan))}
    star = replace(star, **given)
    check_velocity(star.radial_velocity, 1)
    if position is None:
        found = star_position(star.spectrum.meta.get("header", {}))
        position = (found.get("RA", np.nan), found.get("DEC", np.nan))
    return Entry(number, star, position)


def _read_file(path):
    """Read the star of a file; LAMOST files, which come in millions, without specutils."""
    if path.name.endswith((".fits", ".fits.gz", ".fit", ".fit.gz")) and path.is_file():
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        with fits.open(io.BytesIO(content), memmap=False) as hdus:
            if is_lamost(hdus[0].header):
                wavelength, flux, ivar, mask, meta = lamost_arrays(hdus, path)
                spectrum = spectrum_arrays(wavelength, flux, ivar, mask=mask, meta=meta)
                return Star(spectrum, meta["resolving_power"],
                            meta["radial_velocity"].to_value(u.km / u.s))
    return star_of(read_spectrum(path))
