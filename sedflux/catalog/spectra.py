"""Read the spectra of a shard, and gather those that can be predicted together."""

from __future__ import annotations

import gzip
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from sedflux.catalog.sources import open_arrays
from sedflux.exceptions import InputError, SedfluxError
from sedflux.io.lamost import is_lamost, lamost_arrays
from sedflux.io.registry import read_spectrum
from sedflux.predict.checks import RESOLVING_POWER, check_velocity
from sedflux.spectra.arrays import SpectrumArrays, spectrum_arrays
from sedflux.spectra.spectrum import from_spectrum

__all__ = ["Group", "Star", "group_stars", "read_stars"]

#: Step in log10(wavelength) of the pixels of LAMOST and SDSS, and how well they fit to it.
_LOG_STEP, _FITS_GRID = 1e-4, 1e-3
#: Pixels that a prediction uses, in Angstrom: the input range with room for velocities.
_RANGE = (3800.0, 7300.0)


@dataclass(frozen=True)
class Star:
    """
    One spectrum that was read.

    Attributes
    ----------
    row : int
        In the shard.
    spectra : `~sedflux.spectra.arrays.SpectrumArrays`
        Of one star.
    resolving_power : float or `~numpy.ndarray`
    radial_velocity : float
        In km/s.
    place : tuple of float
        Right ascension and declination in degrees; NaN if not known.
    """

    row: int
    spectra: SpectrumArrays
    resolving_power: Any
    radial_velocity: float
    place: tuple[float, float]


@dataclass(frozen=True)
class Group:
    """
    Stars on one wavelength grid, with one resolving power, to be predicted together.

    Attributes
    ----------
    stars : list of `Star`
    wavelength : `~numpy.ndarray`, shape (n,)
    flux, ivar : `~numpy.ndarray`, shape (N, n)
    resolving_power : float or `~numpy.ndarray`
    noise_estimated : bool
        Whether the inverse variance is to be estimated.
    """

    stars: list[Star]
    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    resolving_power: Any
    noise_estimated: bool


def read_stars(rows: Table) -> tuple[list[Star], dict[int, str]]:
    """
    Read the spectra of some rows of a source.

    Parameters
    ----------
    rows : `~astropy.table.Table`
        From `~sedflux.catalog.sources.read_source`.

    Returns
    -------
    stars : list of `Star`
    errors : dict of int to str
        Why the other rows cannot be read.
    """
    stars, errors = [], {}
    arrays = open_arrays(rows["path"][0]) if "row" in rows.colnames else None
    for number in range(len(rows)):
        options = {name: rows[name][number] for name in rows.colnames}
        try:
            with warnings.catch_warnings():
                # astropy only warns of files that were cut.
                warnings.simplefilter("error", AstropyUserWarning)
                stars.append(_read_star(number, options, arrays))
        except SedfluxError as error:
            errors[number] = " ".join(str(error).split())
        except Exception as error:  # whatever a damaged file does, the others go on
            errors[number] = " ".join(f"{type(error).__name__}: {error}".split())
    return stars, errors


def _read_star(number, options, arrays):
    if arrays is not None:
        row = int(options["row"])
        spectra = spectrum_arrays(arrays["wavelength"][:], arrays["flux"][row],
                                  arrays["ivar"][row])
        velocity = 0.0
    else:
        spectra, velocity = _read_file(Path(options["path"]))
    power = spectra.resolving_power
    given = float(options.get("resolving_power", np.nan))
    power = given if np.isfinite(given) else RESOLVING_POWER if power is None else power
    given = float(options.get("radial_velocity", np.nan))
    velocity = given if np.isfinite(given) else velocity
    check_velocity(velocity, 1)
    header = spectra.meta.get("header", {})
    return Star(number, spectra, power, velocity, (_degrees(header, "RA"), _degrees(header, "DEC")))


def _degrees(header, name):
    value = header.get(name)
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else np.nan


def _read_file(path):
    """Arrays and velocity of a file; LAMOST files, which come in millions, by a short way."""
    if path.name.endswith((".fits", ".fits.gz", ".fit", ".fit.gz")) and path.is_file():
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        with fits.open(io.BytesIO(content), memmap=False) as hdus:
            if is_lamost(hdus[0].header):
                wavelength, flux, ivar, mask, meta = lamost_arrays(hdus, path)
                spectra = spectrum_arrays(wavelength, flux, ivar, mask=mask, meta=meta,
                                          resolving_power=meta["resolving_power"])
                return spectra, meta["radial_velocity"].to_value(u.km / u.s)
    spectrum = read_spectrum(path)
    spectra = from_spectrum(spectrum)
    if len(spectra) != 1:
        raise InputError(f"{path} holds {len(spectra)} spectra; give files of one each")
    velocity = spectra.meta.get("radial_velocity", 0.0 * u.km / u.s)
    return spectra, u.Quantity(velocity, u.km / u.s).value


def group_stars(stars: list[Star]) -> Iterator[Group]:
    """
    Gather stars that can be predicted together.

    Spectra on pixels of 0.0001 dex are put on the common pixels, which changes no number.
    Others are together if their wavelengths are the same.

    Parameters
    ----------
    stars : list of `Star`

    Yields
    ------
    group : `Group`
    """
    found: dict[Any, list[Any]] = {}
    for star in stars:
        arrays = star.spectra.near(*_RANGE)
        start = _first_index(arrays.wavelength)
        power = np.asarray(star.resolving_power)
        key: Any = (arrays.wavelength.tobytes() if start is None
                    else (start, arrays.wavelength.size),
                    power.tobytes(), star.spectra.noise_estimated)
        found.setdefault(key, []).append((star, arrays))
    for members in found.values():
        first = members[0][1]
        yield Group([star for star, _ in members], first.wavelength,
                    np.concatenate([arrays.flux for _, arrays in members]),
                    np.concatenate([arrays.ivar for _, arrays in members]),
                    members[0][0].spectra.near(*_RANGE).resolving_power
                    if np.ndim(members[0][0].resolving_power) else members[0][0].resolving_power,
                    first.noise_estimated)


def _first_index(wavelength):
    """Number of the first pixel on the grid of 0.0001 dex; None for other grids."""
    place = np.log10(wavelength) / _LOG_STEP
    whole = np.round(place)
    fits_grid = (np.abs(place - whole) < _FITS_GRID).all() and (np.diff(whole) == 1).all()
    return int(whole[0]) if fits_grid else None
