"""LAMOST low-resolution spectra, in the layouts of all data releases."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.constants import c
from astropy.io import fits
from astropy.nddata import InverseVariance

from sedflux.exceptions import InputError
from sedflux.io.reading import FITS_ERRORS, check_wavelengths, file_name, header_number, open_fits

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["identify_lamost", "is_lamost", "lamost_arrays", "read_lamost"]

#: Resolving power of the low-resolution spectrographs behind slits of 2/3 of the fibre width
#: (Luo et al. 2015).
_RESOLVING_POWER = 1800.0
#: The B band of oxygen, in Angstrom: LAMOST does not correct telluric absorption.
_TELLURIC = (6860.0, 6965.0)
#: Rows of the image layout and columns of the table layout, in the order of the image.
_ROWS = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")
#: Redshifts below this mark failed measurements (-9999), not stars of the Galaxy.
_LOWEST_REDSHIFT = -0.01
#: Largest difference, in Angstrom, between wavelengths in single precision and the header's.
_ROUNDING = 0.5


def identify_lamost(origin: Any, path: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether a file is a LAMOST low-resolution spectrum, for the registry."""
    try:
        with open_fits(path, "LAMOST") as hdus:
            return is_lamost(hdus[0].header)
    except FITS_ERRORS:
        return False


def _arrays(hdus, path):
    """Flux, inverse variance, wavelength and AND mask, from either layout."""
    table = _extension(hdus)
    if table is not None and table.name == "COADD":
        row = _first_row(table)
        values = [np.asarray(row[name], dtype=float) for name in _ROWS]
    else:
        data = hdus[0].data
        if data is None or data.ndim != 2 or len(data) < len(_ROWS):
            raise InputError(f"{path} is no LAMOST low-resolution spectrum: it has neither a COADD "
                             "table nor an image of five rows")
        values = list(np.asarray(data[: len(_ROWS)], dtype=float))
    if len({value.shape for value in values}) > 1:
        raise InputError(f"{path} has columns of different lengths; the file is damaged")
    return values[:4]


def _extension(hdus):
    """The first extension, if there is one; their number would take longer to find."""
    try:
        return hdus[1]
    except IndexError:
        return None


def _first_row(table):
    """
    The first row of a table.

    astropy's records build all columns twice, which takes a third of the time of a file.
    """
    columns = table.columns
    plain = table.header["NAXIS2"] > 0 and set(_ROWS) <= set(columns.names) and not any(
        column.bzero or column.bscale or column.format.startswith(("P", "Q"))
        for column in columns)
    if not plain:
        return table.data[0]
    place = table.fileinfo()
    kind = columns.dtype.newbyteorder(">")
    place["file"].seek(place["datLoc"])
    return np.frombuffer(place["file"].read(kind.itemsize), dtype=kind, count=1)[0]


def _exact_wavelengths(wavelength, header, path):
    """Wavelengths from the header: those of the table are in single precision."""
    start, step = (header_number(header, key, path) for key in ("COEFF0", "COEFF1"))
    exact = _grid(start, step, wavelength.size)
    return exact if np.abs(exact - wavelength).max() < _ROUNDING else wavelength


@lru_cache(maxsize=16)
def _grid(start: float, step: float, size: int) -> np.ndarray:
    """Wavelengths of a header, of which the stars of a release share a few."""
    with np.errstate(over="ignore"):
        exact = 10 ** (start + step * np.arange(size))
    exact.flags.writeable = False
    return exact


def _velocity(header, path):
    """Radial velocity of a star; zero for other objects and failed measurements."""
    if str(header.get("CLASS", "STAR")) != "STAR":
        return 0.0 * u.km / u.s
    redshift = header_number(header, "Z", path)
    return (c * redshift if redshift > _LOWEST_REDSHIFT else 0.0 * c).to(u.km / u.s)


def read_lamost(path: str | os.PathLike[str], **kwargs: Any) -> Spectrum:
    """
    Read a LAMOST low-resolution spectrum.

    Parameters
    ----------
    path : path-like
        ``.fits`` or ``.fits.gz``; the image of five rows (to DR7) or the COADD table.

    Returns
    -------
    spectrum : `~specutils.Spectrum`
        Relative F_lambda against vacuum wavelength; pixels that every exposure masked,
        and the telluric B band, are masked.  ``meta`` has ``radial_velocity`` (from
        the header's Z), ``resolving_power``, ``object``, ``class`` and ``header``.

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is damaged or in another layout, or a star has no redshift Z.
    """
    from specutils import Spectrum

    with open_fits(path, "LAMOST") as hdus:
        wavelength, flux, ivar, mask, meta = lamost_arrays(hdus, path)
    return Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.dimensionless_unscaled,
                    uncertainty=InverseVariance(ivar), mask=mask, meta=meta)


def is_lamost(header: fits.Header) -> bool:
    """Whether a primary header is that of a LAMOST low-resolution spectrum."""
    return "LAMOST" in str(header.get("ORIGIN", "")).upper() and "COEFF0" in header


def lamost_arrays(hdus: fits.HDUList, path: str | os.PathLike[str]
                  ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
    """
    Arrays of an open LAMOST file; see `read_lamost`.

    Parameters
    ----------
    hdus : `~astropy.io.fits.HDUList`
    path : path-like
        For messages.

    Returns
    -------
    wavelength, flux, ivar : `~numpy.ndarray`, shape (n,)
        Vacuum wavelength in Angstrom, relative F_lambda, and its inverse variance.
    mask : `~numpy.ndarray` of bool, shape (n,)
        True in bad pixels.
    meta : dict
    """
    path, header = file_name(path), hdus[0].header
    flux, ivar, wavelength, and_mask = _arrays(hdus, path)
    if not wavelength.size:
        raise InputError(f"{path} has no pixels; the file is damaged")
    wavelength = _exact_wavelengths(wavelength, header, path)
    check_wavelengths(wavelength, path)
    meta = {
        "header": header, "object": header.get("DESIG", ""), "medium": "vacuum",
        "class": f"{header.get('CLASS', '')} {header.get('SUBCLASS', '')}".strip(),
        "resolving_power": _RESOLVING_POWER, "radial_velocity": _velocity(header, path),
        "telescope": "LAMOST",
    }
    telluric = (wavelength > _TELLURIC[0]) & (wavelength < _TELLURIC[1])
    mask = ~(ivar > 0) | (and_mask != 0) | telluric | ~np.isfinite(flux)
    return wavelength, flux, ivar, mask, meta
