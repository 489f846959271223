"""Packaged demo stars: real spectra with free licences (see licenses/)."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from sedflux.exceptions import InputError

__all__ = ["demo_arrays", "demo_path", "demo_spectrum"]

#: Names of the demo stars: BD+17 4708 from CALSPEC, and the solar twin 16 Cyg B from MILES.
_NAMES = ("bd17_stis", "16cygb_miles")
#: Wavelengths of `demo_arrays` in Angstrom: the input grid, with margins for velocities.
_INPUT_RANGE = (3900.0, 7100.0)


def demo_path(name: str) -> str:
    """
    Path of the file of a demo star.

    Parameters
    ----------
    name : {'bd17_stis', '16cygb_miles'}

    Returns
    -------
    path : str

    Raises
    ------
    sedflux.exceptions.InputError
        If the name is unknown.
    """
    if name not in _NAMES:
        raise InputError(f"demo star {name!r} is unknown; choose one of {', '.join(_NAMES)}")
    return str(Path(str(resources.files("sedflux") / "data" / f"{name}.fits")))


def demo_spectrum(name: str = "bd17_stis") -> Any:
    """
    A demo star as a spectrum.

    ``bd17_stis`` is BD+17 4708, an F subdwarf, observed by HST/STIS at R = 500-1000.  Its
    flux scale is good to one percent, so that predictions can be compared with it.
    ``16cygb_miles`` is 16 Cyg B, an R = 2000 spectrum of the MILES library.

    Parameters
    ----------
    name : {'bd17_stis', '16cygb_miles'}, optional

    Returns
    -------
    spectrum : `~specutils.Spectrum`
    """
    from sedflux.io.calspec import read_calspec
    from sedflux.io.miles import read_miles

    path = demo_path(name)
    return read_miles(path) if name.endswith("miles") else read_calspec(path)


def demo_arrays(name: str = "16cygb_miles") -> tuple[np.ndarray, np.ndarray]:
    """
    A demo star as arrays, from 3900 to 7100 Angstrom.

    Parameters
    ----------
    name : {'bd17_stis', '16cygb_miles'}, optional

    Returns
    -------
    wavelength : `~numpy.ndarray`, shape (n,)
        In vacuum, in Angstrom.
    flux : `~numpy.ndarray`, shape (n,)
        F_lambda up to a factor.
    """
    from sedflux.spectra.spectrum import from_spectrum

    arrays = from_spectrum(demo_spectrum(name))
    keep = (arrays.wavelength > _INPUT_RANGE[0]) & (arrays.wavelength < _INPUT_RANGE[1])
    return arrays.wavelength[keep], np.asarray(arrays.flux[0, keep])
