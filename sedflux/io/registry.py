"""Register the readers with specutils, before its general ones, and read any spectrum."""

from __future__ import annotations

import os
from functools import cache, wraps
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from astropy.io import fits

from sedflux.exceptions import InputError
from sedflux.io.calspec import identify_calspec, identify_ngsl, read_calspec, read_ngsl
from sedflux.io.lamost import identify_lamost, read_lamost
from sedflux.io.miles import identify_miles, read_miles
from sedflux.io.reading import first_line
from sedflux.io.sdss import identify_sdss, read_sdss
from sedflux.io.sed import identify_sed, read_sed, write_spectrum

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["READERS", "read_spectrum", "register_readers"]

#: Name of each format, and the functions that recognise and read it.
READERS = {
    "LAMOST low resolution": (identify_lamost, read_lamost),
    "SDSS spectrum": (identify_sdss, read_sdss),
    "CALSPEC": (identify_calspec, read_calspec),
    "NGSL": (identify_ngsl, read_ngsl),
    "MILES": (identify_miles, read_miles),
    "sedflux SED": (identify_sed, read_sed),
}
#: Format of SEDs, and of all spectra that are written as FITS tables.
SED_FORMAT = "sedflux SED"
#: Above the priorities of specutils' own loaders, 0 to 10.
_PRIORITY = 30


@cache
def register_readers() -> None:
    """
    Make `specutils.Spectrum` know the formats of sedflux.

    ``Spectrum.read`` then reads LAMOST, CALSPEC, NGSL, MILES and SED files, and
    ``Spectrum.write`` writes SEDs with their covariance.  Calling it again changes nothing.
    `sedflux.predict_sed` and `~sedflux.io.registry.read_spectrum` call it.

    Examples
    --------
    >>> from sedflux.io.registry import register_readers
    >>> register_readers()
    >>> from specutils import Spectrum
    >>> from sedflux.demo import demo_path
    >>> Spectrum.read(demo_path("16cygb_miles")).meta["object"]
    '16 Cyg B (HD 186427)'
    """
    from specutils import Spectrum
    from specutils.io.registers import custom_writer, data_loader

    for name, (identify, read) in READERS.items():
        data_loader(name, identifier=_identifier(identify), dtype=Spectrum,
                    extensions=["fits", "gz"], priority=_PRIORITY)(_reader(read))
    custom_writer(SED_FORMAT, dtype=Spectrum, priority=_PRIORITY)(write_spectrum)


def _identifier(identify):
    """Recognise open files, too, of which astropy's registry says no path."""
    def recognise(origin, path, stream=None, *arguments, **options):
        given = next((one for one in (path, stream, *arguments) if one is not None), None)
        return identify(origin, _place(given) if origin == "read" else path, stream, *arguments,
                        **options)
    return recognise


def _reader(read):
    """Read open files, too."""
    @wraps(read)
    def read_any(given, **options):
        return read(_place(given), **options)
    return read_any


def _place(given):
    """Where an open file is; its content if it is in memory alone."""
    name = given.filename() if isinstance(given, fits.HDUList) else getattr(given, "name", None)
    if isinstance(given, (str, os.PathLike)) or not isinstance(name, (str, type(None))):
        return given
    if name is not None and os.path.isfile(name):
        return name
    if not hasattr(given, "seek"):
        return given
    content = given.read()
    given.seek(0)
    return BytesIO(content)


def read_spectrum(path: str | os.PathLike[str]) -> Spectrum:
    """
    Read a spectrum or an SED in any format that specutils or sedflux knows.

    Parameters
    ----------
    path : path-like
        A regular file; ``~`` is the home folder.

    Returns
    -------
    spectrum : `~specutils.Spectrum`

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is missing, damaged, or in an unknown format.

    Examples
    --------
    >>> from sedflux.demo import demo_path
    >>> from sedflux.io.registry import read_spectrum
    >>> read_spectrum(demo_path("16cygb_stis")).flux.unit.to_string()
    'erg / (Angstrom s cm2)'
    """
    from specutils import Spectrum

    place = _regular_file(path)
    register_readers()
    try:
        # Asked first, because the thirty formats of specutils open the file one after the other.
        for identify, read in READERS.values():
            if identify("read", str(place)):
                return read(str(place))
        return Spectrum.read(place)
    except InputError:
        raise
    except Exception as error:  # loaders of specutils raise errors of any type
        if "Format could not be identified" in str(error):
            reason = "unknown format"
        else:
            reason = first_line(error)
        raise InputError(
            f"spectrum {os.fspath(path)!r} cannot be read ({reason}); the formats "
            f"{', '.join(READERS)} are known, and all that specutils reads"
        ) from error


def _regular_file(path):
    """The path of a file; folders, and pipes that would never end, are refused."""
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise InputError(f"path of a spectrum is {path!r}; give the name of a file")
    try:
        place = Path(path).expanduser()
        exists, regular = place.exists(), place.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"spectrum {os.fspath(path)!r} cannot be read ({first_line(error)}); give "
                         "the name of a file") from error
    if not exists:
        raise InputError(f"spectrum {os.fspath(path)!r} does not exist")
    if not regular:
        raise InputError(f"spectrum {os.fspath(path)!r} is a folder, pipe or device; give the name "
                         "of a regular file")
    if not place.stat().st_size:
        raise InputError(f"spectrum {os.fspath(path)!r} is empty")
    return place
