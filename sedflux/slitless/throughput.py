"""Throughput curves and the files that hold them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.slitless.forward import photons_per_flux

__all__ = ["Throughput", "read_throughput"]

_COLUMNS = {"wavelength": ("wavelength", "wave", "lambda", "wavelen"),
            "value": ("sensitivity", "throughput", "transmission", "response"),
            "error": ("error", "sensitivity_error", "throughput_error", "err")}


@dataclass(frozen=True)
class Throughput:
    """
    A throughput curve: wavelength (Angstrom), share of photons counted, its error.
    """

    wavelength: np.ndarray
    value: np.ndarray
    error: np.ndarray | None = None

    def __call__(self, wavelength):
        """The throughput at wavelengths in Angstrom, zero outside."""
        return np.interp(wavelength, self.wavelength, self.value, left=0.0, right=0.0)

    def to_synphot(self):
        """As a `synphot.SpectralElement`."""
        from synphot import SpectralElement
        from synphot.models import Empirical1D

        return SpectralElement(Empirical1D, points=self.wavelength * u.AA,
                               lookup_table=self.value, fill_value=0.0)


def as_throughput(throughput, *, area):
    """A `Throughput` from whatever describes one; see `SlitlessBand.with_throughput`."""
    if isinstance(throughput, Throughput):
        return throughput
    if isinstance(throughput, (str, Path)):
        return read_throughput(throughput, area=area)
    if hasattr(throughput, "throughput") and hasattr(throughput, "good"):
        return Throughput(throughput.wavelength[throughput.good],
                          throughput.throughput[throughput.good],
                          throughput.sigma[throughput.good])
    if hasattr(throughput, "waveset") and callable(throughput):
        if throughput.waveset is None:
            raise InputError("the SpectralElement has no defined range of wavelengths")
        points = throughput.waveset.to_value(u.AA)
        return _checked(points, throughput(points * u.AA).value, None, "the SpectralElement")
    raise InputError(f"throughput is a {type(throughput).__name__}; give a path, a "
                     "synphot.SpectralElement, a sedflux.Throughput or a ResponseCurve")


def read_throughput(path, *, area=None):
    """
    Read a throughput or a sensitivity.

    aXe sensitivities (FITS: WAVELENGTH, SENSITIVITY, ERROR, in electron/s a
    erg/s/cm2/Angstrom) are divided by ``area * lambda / (h c)``; synphot and stsynphot files
    (FITS: WAVELENGTH, THROUGHPUT) and plain tables (ECSV, CSV, two columns of text) are
    throughputs.  Wavelengths are in Angstrom unless the column has another unit; below
    100 they are taken as micrometres.

    Parameters
    ----------
    path : path-like
    area : `~astropy.units.Quantity`, optional
        Collecting area, for sensitivities.

    Returns
    -------
    throughput : `Throughput`

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is missing, has other columns, or values that cannot be.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"throughput file {str(path)!r} does not exist; give the path of a table")
    table = _read_table(path)
    wavelength, value, error = (_column(table, kind, path) for kind in _COLUMNS)
    unit = table.meta.get("units", {}).get(wavelength.name, wavelength.unit)
    wavelength = np.asarray(wavelength, dtype=float) * _to_angstrom(unit, path)
    value = np.asarray(value, dtype=float)
    error = None if error is None else np.asarray(error, dtype=float)
    if wavelength.max(initial=0.0) < 100.0:
        wavelength = wavelength * 1e4
    if np.nanmax(value, initial=0.0) > 1e3:
        if area is None:
            raise InputError(f"{path.name} holds a sensitivity (up to {np.nanmax(value):.2g}); "
                             "give the collecting area to turn it into a throughput")
        scale = u.Quantity(area).to_value(u.cm**2) * photons_per_flux(wavelength)
        value, error = value / scale, None if error is None else error / scale
    return _checked(wavelength, value, error, path.name)


def _read_table(path):
    """A table in FITS or text."""
    try:
        if path.suffix.lower() in (".fits", ".fit", ".fz", ".gz"):
            with fits.open(path, memmap=False) as hdus:
                index = next((i for i, hdu in enumerate(hdus)
                              if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU))), None)
                if index is None:
                    raise InputError(f"{path.name} holds no table; a throughput needs the columns "
                                     "WAVELENGTH and THROUGHPUT or SENSITIVITY")
                return _plain_table(hdus[index])
        return Table.read(path, format="ascii.ecsv" if path.suffix == ".ecsv" else "ascii")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path.name} cannot be read as a table ({error})") from error


def _plain_table(hdu):
    """A table whose units are left as text: synphot's ANGSTROMS are no unit of FITS."""
    table = Table({column.name: np.asarray(hdu.data[column.name]) for column in hdu.columns})
    table.meta["units"] = {column.name: column.unit for column in hdu.columns}
    return table


def _to_angstrom(unit, path):
    """Factor from a unit, an object or a text, to Angstrom."""
    text = str(unit or "").strip().lower()
    if text in ("", "a", "none", "angstrom", "angstroms"):
        return 1.0
    try:
        return u.Unit(text).to(u.AA)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path.name} has wavelengths in {unit!r}; Angstrom, nm and um are "
                         "understood") from error


def _column(table, kind, path):
    """A column by its usual names; the first and second of tables without any."""
    names = {name.lower(): name for name in table.colnames}
    for name in _COLUMNS[kind]:
        if name in names:
            return table[names[name]]
    if kind == "error":
        return None
    place = ("wavelength", "value").index(kind)
    if "col1" in names and len(table.colnames) > place:
        return table.columns[place]
    raise InputError(f"{path.name} has the columns {', '.join(table.colnames)}; one of "
                     f"{', '.join(_COLUMNS[kind])} is needed")


def _checked(wavelength, value, error, name):
    """Ascending, finite and between 0 and 1."""
    good = np.isfinite(wavelength) & np.isfinite(value)
    wavelength, value = wavelength[good], value[good]
    error = None if error is None else error[good]
    wavelength, first = np.unique(wavelength, return_index=True)
    value, error = value[first], None if error is None else error[first]
    if wavelength.size < 3 or value.min() < -0.01 or not 0.0 < value.max() <= 1.5:
        raise InputError(f"{name} has {wavelength.size} values from {value.min(initial=0):.3g} to "
                         f"{value.max(initial=0):.3g}; a throughput is between 0 and 1")
    return Throughput(wavelength, np.clip(value, 0.0, None), error)
