"""Packaged demo stars: real spectra with free licences (see licenses/)."""

from importlib import resources
from pathlib import Path

import numpy as np

from sedflux.exceptions import InputError

__all__ = ["demo_arrays", "demo_path", "demo_spectrum"]

#: Demo files: BD+17 4708 by HST/STIS, and the solar twin 16 Cyg B by MILES.
_FILES = ("bd17_stis", "16cygb_miles")


def demo_path(name):
    """
    Path of a demo file.

    Parameters
    ----------
    name : {'bd17_stis', '16cygb_miles'}

    Returns
    -------
    path : str
    """
    if name not in _FILES:
        raise InputError(f"demo {name!r} is unknown; choose one of {', '.join(_FILES)}")
    return str(Path(str(resources.files("sedflux") / "data" / f"{name}.fits")))


def demo_spectrum(name="bd17_stis"):
    """
    A demo star as a spectrum.

    BD+17 4708, an F subdwarf, as HST/STIS saw it: its lines (at R = 500-1000, which sedflux
    accepts) and a
    flux scale good to one percent to compare with.  16 Cyg B is an R = 2000
    spectrum of the MILES library.

    Parameters
    ----------
    name : {'bd17_stis', '16cygb_miles'}, optional

    Returns
    -------
    spectrum : `~specutils.Spectrum`
    """
    from sedflux.io.calspec import read_calspec
    from sedflux.io.miles import read_miles

    return (read_miles if name.endswith("miles") else read_calspec)(demo_path(name))


def demo_arrays(name="16cygb_miles"):
    """
    Vacuum wavelength and flux of a demo star, 3900-7100 Angstrom, as arrays.

    Returns
    -------
    wavelength, flux : `~numpy.ndarray`
    """
    from sedflux.spectra.spectrum import from_spectrum

    arrays = from_spectrum(demo_spectrum(name))
    keep = (arrays.wavelength > 3900.0) & (arrays.wavelength < 7100.0)
    return arrays.wavelength[keep], np.asarray(arrays.flux[0, keep])
