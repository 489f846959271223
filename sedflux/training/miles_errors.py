"""
Errors of MILES fluxes, in one place.

All of them come from one comparison: where STIS observed, too, MILES fluxes are 2.5-4 % too bright
at 3600-4200 Angstrom, with a scatter of 5-6 % from star to star, which is 1-3 % at 4500-6500
Angstrom and 3-4 % in the red.

The fit of the correction and the calibration of sigma need different numbers.  In the fit the
error that all stars share is an unknown, which STIS, NGSL and colours then measure: it has a *prior
size*, `COMMON_PRIOR`.  Sigma is scaled against fluxes as they are: the shared error is in every
difference, and truths are uncertain by all of it, `common_error`, the upper end of what was found.
"""

from __future__ import annotations

import numpy as np

from sedflux.spectra.grids import sed_grid

__all__ = ["COMMON_PRIOR", "STAR_ERRORS", "common_error", "slopes"]

#: Errors of one star at all wavelengths together: blue, middle, red (`sed_truths` places them).
STAR_ERRORS = (0.03, 0.008, 0.015)
#: Prior size of the error that all stars share, before it is fitted: blue, middle, red.
COMMON_PRIOR = (0.03, 0.01, 0.02)
#: Error of the slope of one spectrum below 4500 Angstrom, as the error at 3600 Angstrom.
_SLOPE = 0.04
#: Error that all stars share where it is not fitted, by wavelength (Angstrom).
_COMMON = ([3900.0, 4700.0], [0.04, 0.01])


def slopes() -> np.ndarray:
    """Change of ln(flux) by one standard deviation of a spectrum's slope, shape (575,)."""
    grid = sed_grid()
    return _SLOPE * np.log(np.clip(4500.0 / grid, 1.0, None)) / np.log(1.25)


def common_error(wavelength: np.ndarray) -> np.ndarray:
    """
    Relative error of MILES fluxes that all stars share.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        In Angstrom.

    Returns
    -------
    error : `~numpy.ndarray`, shape (n,)

    Examples
    --------
    >>> from sedflux.training.miles_errors import common_error
    >>> common_error([3650.0, 5500.0])
    array([0.04, 0.01])
    """
    return np.interp(wavelength, *_COMMON)
