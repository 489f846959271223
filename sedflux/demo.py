"""Packaged demo stars: real spectra with free licences (see licenses/)."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from sedflux.exceptions import InputError

__all__ = ["demo_arrays", "demo_path", "demo_spectrum"]

#: Names of the demo spectra: the solar twin 16 Cyg B from MILES and CALSPEC, and BD+17 4708 from
#: CALSPEC.  Five ordinary stars have both a MILES spectrum and a CALSPEC SED.  Predicted by models
#: that never saw them, 16 Cyg B has the median rms pull of the five: it is the typical one.
_NAMES = ("16cygb_miles", "16cygb_stis", "bd17_stis")
#: Wavelengths of `demo_arrays` in Angstrom: the input grid, with margins for velocities.
_INPUT_RANGE = (3900.0, 7100.0)


def demo_path(name: str) -> str:
    """
    Path of the file of a demo star.

    Parameters
    ----------
    name : {'16cygb_miles', '16cygb_stis', 'bd17_stis'}

    Returns
    -------
    path : str

    Raises
    ------
    sedflux.exceptions.InputError
        If the name is unknown.

    Examples
    --------
    >>> from pathlib import Path
    >>> from sedflux.demo import demo_path
    >>> Path(demo_path("bd17_stis")).exists()
    True
    """
    if name not in _NAMES:
        raise InputError(f"demo star {name!r} is unknown; choose one of {', '.join(_NAMES)}")
    return str(Path(str(resources.files("sedflux") / "data" / f"{name}.fits")))


def demo_spectrum(name: str = "16cygb_miles") -> Any:
    """
    A demo star as a spectrum.

    ``16cygb_miles`` is the solar twin 16 Cyg B, an R = 2000 spectrum of the MILES library, and
    ``16cygb_stis`` the same star observed by HST/STIS at R = 500-1000.  The flux scale of STIS is
    good to one percent, so that predictions can be compared with it.  The star is a typical one:
    of the five ordinary stars with both spectra it has the median error, in units of sigma, when
    its fold is left out of the training.  ``bd17_stis`` is BD+17 4708, an F subdwarf observed by
    HST/STIS alone.

    Parameters
    ----------
    name : {'16cygb_miles', '16cygb_stis', 'bd17_stis'}, optional

    Returns
    -------
    spectrum : `~specutils.Spectrum`

    Examples
    --------
    >>> from sedflux.demo import demo_spectrum
    >>> demo_spectrum("16cygb_stis").meta["radial_velocity"].unit.to_string()
    'km / s'
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
    name : {'16cygb_miles', '16cygb_stis', 'bd17_stis'}, optional

    Returns
    -------
    wavelength : `~numpy.ndarray`, shape (n,)
        In vacuum, in Angstrom.
    flux : `~numpy.ndarray`, shape (n,)
        F_lambda up to a factor.

    Examples
    --------
    >>> from sedflux.demo import demo_arrays
    >>> wavelength, flux = demo_arrays()
    >>> wavelength.shape == flux.shape, bool(wavelength[0] >= 3900)
    (True, True)
    """
    from sedflux.spectra.spectrum import from_spectrum

    arrays = from_spectrum(demo_spectrum(name))
    keep = (arrays.wavelength > _INPUT_RANGE[0]) & (arrays.wavelength < _INPUT_RANGE[1])
    return arrays.wavelength[keep], np.asarray(arrays.flux[0, keep])
