"""What readers of FITS spectra share: errors that name the file, and checked values."""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from astropy.utils.exceptions import AstropyUserWarning

from sedflux.exceptions import InputError
from sedflux.units import plain_number

__all__ = ["FITS_ERRORS", "check_wavelengths", "file_name", "file_stream", "first_line",
           "header_number", "open_fits", "strict_fits"]

#: What astropy raises on files that are no FITS, damaged, or in another layout.
FITS_ERRORS = (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
               ArithmeticError, AssertionError, zlib.error, fits.VerifyError, AstropyUserWarning)
#: Characters of a foreign error message that are shown.
_SHOWN = 200


def first_line(error: BaseException) -> str:
    """Type and first line of an error."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:_SHOWN]}"


@contextmanager
def strict_fits() -> Iterator[None]:
    """Make errors of astropy's warnings about damaged files, such as truncated ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", AstropyUserWarning)
        # Cards that the FITS standard does not know are no damage.
        warnings.simplefilter("ignore", VerifyWarning)
        yield


@contextmanager
def open_fits(path: str | os.PathLike[str], kind: str) -> Iterator[fits.HDUList]:
    """
    Open a FITS file; whatever is wrong with it becomes an `InputError` with its name.

    Parameters
    ----------
    path : path-like
        Or an open file, as specutils hands on.
    kind : str
        What the file should be, for messages.
    """
    try:
        # astropy leaves files open that it opens itself and cannot read.
        with strict_fits(), file_stream(path) as stream, fits.open(stream, memmap=False) as hdus:
            yield hdus
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"spectrum {str(path)!r} does not exist") from error
    except FITS_ERRORS as error:
        raise InputError(f"{file_name(path)} is damaged or no {kind} file ({first_line(error)}); "
                         "download it again") from error


def file_name(path: Any) -> str:
    """Name of a file, or of an open file, as specutils hands on."""
    return str(path if isinstance(path, (str, os.PathLike)) else getattr(path, "name", path))


def file_stream(path: Any) -> Any:
    """An open file, which closes with its context if it is opened here."""
    return open(path, "rb") if isinstance(path, (str, os.PathLike)) else nullcontext(path)


def header_number(header: fits.Header, key: str, path: str | os.PathLike[str],
                  default: float | None = None) -> float:
    """
    A finite number from a header.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
    key : str
    path : path-like
        For messages.
    default : float, optional
        Value where the header lacks the card or its value; None if it must be there.

    Raises
    ------
    sedflux.exceptions.InputError
        If the value is no number, or is missing without a default.
    """
    value: Any = header.get(key)
    if value is None or isinstance(value, fits.card.Undefined):
        if default is None:
            raise InputError(f"header of {path} has no {key}; a number is needed")
        return default
    if isinstance(value, bool):
        raise InputError(f"{key} in the header of {path} is {value}; a number is needed")
    return plain_number(value, f"{key} in the header of {path}")


def check_wavelengths(wavelength: np.ndarray, path: str | os.PathLike[str]) -> None:
    """
    Check that a spectrum has two or more ascending, positive, finite wavelengths.

    Raises
    ------
    sedflux.exceptions.InputError
        If it has not.
    """
    if wavelength.ndim != 1 or wavelength.size < 2:
        raise InputError(f"{path} has wavelengths of shape {wavelength.shape}; a list "
                         "of two or more is needed")
    if not np.isfinite(wavelength).all() or wavelength[0] <= 0 or (np.diff(wavelength) <= 0).any():
        raise InputError(f"{path} has wavelengths that are not positive, finite and "
                         "ascending; the file is damaged")
