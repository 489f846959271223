"""Throughput curves, and readers of their files."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.io import fits
from astropy.table import Column, Table

from sedflux.exceptions import InputError, SedfluxWarning
from sedflux.io.reading import FITS_ERRORS, strict_fits
from sedflux.units import finite_array, photons_per_flux, positive_number

if TYPE_CHECKING:
    from synphot import SpectralElement

__all__ = ["Throughput", "as_throughput", "collecting_area", "read_throughput"]

_COLUMNS = {"wavelength": ("wavelength", "wave", "lambda", "wavelen"),
            "value": ("sensitivity", "throughput", "transmission", "response"),
            "error": ("error", "sensitivity_error", "throughput_error", "err")}
#: Wavelengths without a unit that all lie below this are micrometres: no optical or infrared
#: spectrograph works below 100 Angstrom, and none beyond 100 micrometres.
_MICROMETRES_BELOW = 100.0
#: Values above this are those of a sensitivity (1e12 and more), not of a throughput.
_SENSITIVITY_ABOVE = 1e3
#: Least throughput: small negative values are noise of a measurement, and are set to zero.
_LEAST_THROUGHPUT = -0.01
#: Largest throughput: an error of the gain can make values somewhat above one.
_LARGEST_THROUGHPUT = 1.5


@dataclass(frozen=True, eq=False, repr=False)
class Throughput:
    """
    A throughput curve.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (k,)
        Ascending, in Angstrom.  Quantities are converted.
    value : `~numpy.ndarray`, shape (k,)
        Detected electrons per photon on the collecting area.
    error : `~numpy.ndarray`, shape (k,), optional
        Standard error of ``value``.

    Examples
    --------
    >>> from sedflux.slitless.throughput import Throughput
    >>> throughput = Throughput([4000.0, 5000.0, 6000.0], [0.0, 0.3, 0.0])
    >>> throughput([4500.0, 7000.0])
    array([0.15, 0.  ])
    """

    wavelength: np.ndarray
    value: np.ndarray
    error: np.ndarray | None = None

    def __repr__(self) -> str:
        return (f"<Throughput of {self.wavelength.size} wavelengths, {self.wavelength[0]:.0f}-"
                f"{self.wavelength[-1]:.0f} Angstrom, {self.value.max():.3g} at the most>")

    def __post_init__(self) -> None:
        wavelength = finite_array(self.wavelength, "wavelength of a throughput", u.AA)
        value = finite_array(self.value, "value of a throughput")
        error = self.error if self.error is None else finite_array(
            self.error, "error of a throughput")
        if wavelength.ndim != 1 or wavelength.size < 2 or value.shape != wavelength.shape or (
                error is not None and error.shape != wavelength.shape):
            raise InputError(
                f"wavelength, value and error of a throughput have the shapes {wavelength.shape}, "
                f"{value.shape} and {None if error is None else error.shape}; all need (k,), two "
                "values or more")
        if not wavelength[0] > 0 or np.any(np.diff(wavelength) <= 0):
            raise InputError(f"wavelength of a throughput runs from {wavelength[0]:g} to "
                             f"{wavelength[-1]:g} Angstrom; it must be positive and ascending")
        if error is not None and error.min() < 0:
            raise InputError(f"error of a throughput is {error.min():g} at the least; it must be "
                             "0 or more")
        for name, array in (("wavelength", wavelength), ("value", value), ("error", error)):
            object.__setattr__(self, name, array)

    def __call__(self, wavelength: npt.ArrayLike) -> np.ndarray:
        """The throughput at wavelengths, numbers in Angstrom; zero outside."""
        place = finite_array(wavelength, "wavelength", u.AA)
        return np.interp(place, self.wavelength, self.value, left=0.0, right=0.0)

    def to_synphot(self) -> SpectralElement:
        """As a `synphot.SpectralElement`."""
        from synphot import SpectralElement
        from synphot.models import Empirical1D

        return SpectralElement(Empirical1D, points=self.wavelength * u.AA,
                               lookup_table=self.value, fill_value=0.0)


def collecting_area(area: Any) -> float:
    """
    A collecting area in cm2.

    Parameters
    ----------
    area : `~astropy.units.Quantity`
        A number without a unit is refused, because m2 and cm2 are both common.

    Returns
    -------
    area : float

    Raises
    ------
    sedflux.exceptions.InputError
        If it has no unit of area, or is not positive and finite.
    """
    if not isinstance(area, u.Quantity):
        raise InputError(f"area is {area!r}; a Quantity is needed, such as 31416 * u.cm**2")
    return positive_number(area, "area", u.cm**2)


def as_throughput(throughput: Any, *, area: u.Quantity | None) -> Throughput:
    """
    A `Throughput` from anything that describes one.

    Parameters
    ----------
    throughput : path-like, `Throughput`, `synphot.SpectralElement` or `~sedflux.ResponseCurve`
    area : `~astropy.units.Quantity` or None
        Collecting area, for files that hold a sensitivity.

    Returns
    -------
    throughput : `Throughput`
    """
    if isinstance(throughput, Throughput):
        return throughput
    if isinstance(throughput, (str, os.PathLike)):
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


def read_throughput(path: str | os.PathLike[str], *, area: u.Quantity | None = None) -> Throughput:
    """
    Read a throughput or a sensitivity.

    Three layouts are read: aXe sensitivities (FITS: WAVELENGTH, SENSITIVITY, ERROR, in
    electron/s per erg/s/cm2/Angstrom), which are divided by ``area * lambda / (h c)``;
    throughputs of synphot and stsynphot (FITS: WAVELENGTH, THROUGHPUT); and throughputs in
    plain tables (ECSV, CSV, two columns of text).  Wavelengths are in the unit of their
    column.  Without a unit they are in Angstrom; if all lie below 100 they are taken as
    micrometres, with a warning.

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
        If the file is missing or damaged, has other columns, or holds values that no
        throughput can have.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sedflux import read_throughput
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "band.txt")
    ...     _ = path.write_text("4000 0.0\\n5000 0.3\\n6000 0.0\\n")
    ...     throughput = read_throughput(path)
    >>> float(throughput(4500.0))
    0.15
    """
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"path is {path!r}; the name of a file is needed")
    path = Path(path)
    if not path.is_file():
        raise InputError(f"throughput file {str(path)!r} does not exist; give the path of a table")
    table = _read_table(path)
    columns = {kind: _column(table, kind, path) for kind in _COLUMNS}
    wavelength = _in_angstrom(_numbers(columns["wavelength"], path), columns["wavelength"].unit,
                              path)
    value = _numbers(columns["value"], path)
    error = None if columns["error"] is None else _numbers(columns["error"], path)
    if wavelength.min(initial=1.0) <= 0:
        raise InputError(f"{path.name} has wavelengths from {wavelength.min():g} to "
                         f"{wavelength.max():g} Angstrom, which no throughput has; correct the "
                         "column or its unit")
    if value.max(initial=0.0) > _SENSITIVITY_ABOVE:
        if area is None:
            raise InputError(f"{path.name} holds a sensitivity (up to {value.max():.2g}); "
                             "give the collecting area to turn it into a throughput")
        scale = collecting_area(area) * photons_per_flux(wavelength)
        with np.errstate(over="ignore"):
            # Values that are not finite are refused below.
            value, error = value / scale, None if error is None else error / scale
    return _checked(wavelength, value, error, path.name)


def _read_table(path):
    """Read a table in FITS or text."""
    try:
        if path.suffix.lower() in (".fits", ".fit", ".fz", ".gz"):
            return _read_fits(path)
        return Table.read(path, format="ascii.ecsv" if path.suffix == ".ecsv" else "ascii")
    except FITS_ERRORS as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path.name} cannot be read as a table ({reason}); the file may be "
                         "damaged: get it again") from error


def _read_fits(path):
    """Read the first table of a FITS file."""
    # For a truncated file astropy only warns, and does not close a file that it has opened.
    with strict_fits(), open(path, "rb") as stream, fits.open(stream, memmap=False) as hdus:
        table = next((hdu for hdu in hdus if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU))),
                     None)
        if table is None:
            raise InputError(f"{path.name} holds no table; a throughput needs the columns "
                             "WAVELENGTH and THROUGHPUT or SENSITIVITY")
        return _plain_table(table)


def _plain_table(hdu):
    """A table that keeps units unknown to astropy, such as synphot's ANGSTROMS."""
    return Table([Column(np.asarray(hdu.data[column.name]), name=column.name, unit=column.unit)
                  for column in hdu.columns])


def _numbers(column, path):
    """The numbers of a column, one per row."""
    values = finite_array(np.ma.asarray(column), f"column {column.name!r} of {path.name}")
    if values.ndim != 1:
        raise InputError(f"column {column.name!r} of {path.name} has the shape {values.shape}; "
                         "one number per row is needed")
    return values


def _in_angstrom(wavelength, unit, path):
    """Wavelengths in Angstrom from numbers and a unit, an object or a text."""
    text = str(unit or "").strip().lower()
    if text in ("", "none"):
        if not 0.0 < wavelength.max(initial=0.0) < _MICROMETRES_BELOW:
            return wavelength
        warnings.warn(f"{path.name} has wavelengths up to {wavelength.max():g} without a unit; "
                      "they are taken as micrometres.  Give the column a unit", SedfluxWarning,
                      stacklevel=4)
        return wavelength * 1e4
    if text in ("a", "å", "angstrom", "angstroms"):
        return wavelength
    try:
        return wavelength * u.Unit(text).to(u.AA)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path.name} has wavelengths in {str(unit)!r}; Angstrom, nm and um are "
                         "understood") from error


def _column(table, kind, path):
    """A column by its usual names; in tables without names, the first two columns."""
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
    """A throughput with ascending wavelengths and values between 0 and 1."""
    wavelength, first = np.unique(wavelength, return_index=True)
    value, error = value[first], None if error is None else error[first]
    if wavelength.size < 3 or value.min() < _LEAST_THROUGHPUT \
            or not 0.0 < value.max() <= _LARGEST_THROUGHPUT:
        raise InputError(f"{name} has {wavelength.size} values from {value.min(initial=0):.3g} to "
                         f"{value.max(initial=0):.3g}; a throughput is between 0 and 1")
    if wavelength[0] <= 0 or wavelength[-1] < _MICROMETRES_BELOW:
        raise InputError(f"{name} has wavelengths from {wavelength[0]:g} to {wavelength[-1]:g} "
                         "Angstrom, which no throughput has; correct the column or its unit")
    if error is not None and error.min() < 0:
        raise InputError(f"{name} has errors from {error.min():g}; they must be 0 or more")
    return Throughput(wavelength, np.clip(value, 0.0, None), error)
