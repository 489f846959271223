"""HST/STIS spectrophotometry: CALSPEC files, and NGSL, which has the same columns."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty

from sedflux.exceptions import InputError
from sedflux.io.reading import FITS_ERRORS, check_wavelengths, file_name, header_number, open_fits
from sedflux.units import FLAM

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["identify_calspec", "identify_ngsl", "read_calspec", "read_ngsl", "stis_fwhm"]

_COLUMNS = {"WAVELENGTH", "FLUX"}
#: FWHM in Angstrom below each wavelength: two pixels of the gratings G230LB, G430L and G750L (STIS
#: Instrument Handbook).
_STIS_FWHM = ((3060.0, 2.7), (5650.0, 5.5), (np.inf, 9.8))
#: Wavelengths that are read, in Angstrom: those of STIS.
_READ_RANGE = (1100.0, 11000.0)


def _column_names(path):
    """Upper-case column names of the first extension, and the primary header, if any."""
    try:
        with open_fits(path, "STIS") as hdus:
            names = set(getattr(getattr(hdus[1], "columns", None), "names", None) or ())
            return {name.upper() for name in names}, hdus[0].header
    except FITS_ERRORS:
        return set(), {}


def identify_calspec(origin: Any, path: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether a file is a CALSPEC table, for the registry."""
    names, header = _column_names(path)
    return _COLUMNS | {"STATERROR", "SYSERROR", "FWHM"} <= names and "TARGETID" in header


def identify_ngsl(origin: Any, path: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether a file is an NGSL table, for the registry."""
    names, _ = _column_names(path)
    return names == _COLUMNS | {"STATERROR"} or (
        names >= _COLUMNS and "SYSERROR" not in names and "ngsl" in str(path).lower())


def _table(hdus, path, source):
    """Numerical columns of the first extension by upper-case name."""
    if len(hdus) < 2 or getattr(hdus[1], "columns", None) is None:
        raise InputError(f"{path} has no table in its first extension; a {source} file has one")
    table = hdus[1].data
    names = {name.upper() for name in table.columns.names}
    column = {name: np.asarray(table[name], dtype=float) for name in names
              if np.issubdtype(table[name].dtype, np.number)}
    if not column.keys() >= _COLUMNS:
        raise InputError(f"{path} has the columns {sorted(names)}; "
                         f"a {source} file has at least WAVELENGTH and FLUX, as numbers")
    shapes = {values.shape for values in column.values()}
    if shapes != {(len(table),)}:
        raise InputError(f"{path} has columns of the shapes {sorted(shapes)}; a {source} file has "
                         "one row for each wavelength")
    return column


def stis_fwhm(wavelength: np.ndarray) -> np.ndarray:
    """FWHM in Angstrom of STIS's low-resolution gratings, at wavelengths in Angstrom."""
    return np.select([wavelength < edge for edge, _ in _STIS_FWHM],
                     [width for _, width in _STIS_FWHM])


def _fwhm(column, wavelength):
    """FWHM of every pixel in Angstrom; that of STIS where the file does not tell."""
    stis = stis_fwhm(wavelength)
    own = column.get("FWHM", stis)
    return np.where(np.isfinite(own) & (own > 0), own, stis)


def _read(path, source):
    from specutils import Spectrum

    with open_fits(path, source) as hdus:
        path = file_name(path)
        header, column = hdus[0].header, _table(hdus, path, source)
        meta = {"header": header, "object": header.get("TARGETID", header.get("OBJECT", "")),
                "medium": "vacuum", "telescope": "HST", "source": source}
        velocity = header_number(header, "RADVEL", path) if "RADVEL" in header else None
    wavelength, flux = column["WAVELENGTH"], column["FLUX"]
    keep = (wavelength > _READ_RANGE[0]) & (wavelength < _READ_RANGE[1])
    # Segments of a file may share the wavelength where they join.
    keep[1:] &= np.diff(wavelength) > 0
    check_wavelengths(wavelength[keep], path)
    statistical = column.get("STATERROR", np.zeros_like(flux))[keep]
    uncertainty = (StdDevUncertainty(statistical * FLAM) if (statistical > 0).mean() > 0.5
                   else None)
    meta |= {"resolving_power": wavelength[keep] / _fwhm(column, wavelength)[keep],
             "resolving_power_wavelength": wavelength[keep]}
    if velocity is not None:
        meta["radial_velocity"] = velocity * u.km / u.s
    if "SYSERROR" in column:
        meta["systematic"] = column["SYSERROR"][keep] * FLAM
    return Spectrum(spectral_axis=wavelength[keep] * u.AA, flux=flux[keep] * FLAM,
                    uncertainty=uncertainty, mask=~np.isfinite(flux[keep]), meta=meta)


def read_calspec(path: str | os.PathLike[str], **kwargs: Any) -> Spectrum:
    """
    Read a CALSPEC file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    spectrum : `~specutils.Spectrum`
        1100-11000 Angstrom, vacuum, not corrected for the star's radial velocity
        (``meta["radial_velocity"]`` if the header has RADVEL); statistical errors as
        uncertainty, systematic ones in ``meta["systematic"]``, the resolving power of
        every pixel in ``meta["resolving_power"]``.

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is damaged or lacks wavelengths or flux.
    """
    return _read(path, "CALSPEC")


def read_ngsl(path: str | os.PathLike[str], **kwargs: Any) -> Spectrum:
    """
    Read an NGSL v2 file: as `read_calspec`, without systematic errors.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    spectrum : `~specutils.Spectrum`

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is damaged or lacks wavelengths or flux.
    """
    return _read(path, "NGSL")
