"""Registers the readers with specutils, before its general ones."""

from sedflux.exceptions import InputError
from sedflux.io.calspec import identify_calspec, identify_ngsl, read_calspec, read_ngsl
from sedflux.io.lamost import identify_lamost, read_lamost
from sedflux.io.miles import identify_miles, read_miles
from sedflux.io.sed import identify_sed, read_sed

__all__ = ["READERS", "read_spectrum", "register_readers"]

#: Name of each format, how it is recognised and read.
READERS = {
    "LAMOST low resolution": (identify_lamost, read_lamost),
    "CALSPEC": (identify_calspec, read_calspec),
    "NGSL": (identify_ngsl, read_ngsl),
    "MILES": (identify_miles, read_miles),
    "sedflux SED": (identify_sed, read_sed),
}
#: specutils gives its own loaders 0 to 10.
_PRIORITY = 30


def register_readers():
    """
    Make `specutils.Spectrum.read` know LAMOST, CALSPEC, NGSL, MILES and SED files.

    Calling it again changes nothing.

    Examples
    --------
    >>> from sedflux.io.registry import register_readers
    >>> register_readers()
    >>> from specutils import Spectrum
    >>> from sedflux.demo import demo_path
    >>> Spectrum.read(demo_path("16cygb_miles")).meta["object"]
    '16 Cyg B (HD 186427)'
    """
    from astropy.io import registry
    from specutils import Spectrum
    from specutils.io.registers import data_loader

    known = {(row["Data class"], row["Format"]) for row in registry.get_formats(Spectrum, "Read")}
    for name, (identify, read) in READERS.items():
        if ("Spectrum", name) not in known:
            data_loader(name, identifier=identify, dtype=Spectrum, extensions=["fits", "gz"],
                        priority=_PRIORITY)(read)


def read_spectrum(path):
    """
    Read a spectrum or an SED, whatever specutils and sedflux know.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    spectrum : `~specutils.Spectrum`

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is missing or not understood.
    """
    from specutils import Spectrum

    register_readers()
    try:
        return Spectrum.read(path)
    except FileNotFoundError as error:
        raise InputError(f"spectrum {str(path)!r} does not exist") from error
    except Exception as error:  # specutils raises whatever its loaders raise
        raise InputError(
            f"spectrum {str(path)!r} cannot be read ({type(error).__name__}: {error}); sedflux "
            "knows LAMOST, CALSPEC, NGSL and MILES files, and all that specutils reads"
        ) from error
