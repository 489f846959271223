"""
Interstellar extinction, through the laws of `dust_extinction`.

The network predicts the intrinsic SED.  Reddening multiplies it by
``10**(-0.4 E(B-V) k(lambda))``; an error of E(B-V) adds one column to the factor of
the covariance, because it moves the whole SED together.
"""

from functools import lru_cache

import numpy as np
from astropy import units as u

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.units import finite_array, plain_number

__all__ = ["LAW", "LAWS", "R_V", "continuum_shapes", "extinction_curve", "redden"]

#: Default extinction law and R_V.
LAW, R_V = "G23", 3.1
#: Extinction laws that are known by name, of dust_extinction.
LAWS = ("G23", "F99", "F19", "F04", "CCM89", "O94", "M14")


def extinction_curve(wavelength: np.ndarray, *, law: str = LAW, r_v: float = R_V) -> np.ndarray:
    """
    Change of ln(flux) for a unit of E(B-V): ``-0.4 ln(10) k(lambda)``.

    Parameters
    ----------
    wavelength : array_like, shape (n,)
        Vacuum wavelength in Angstrom.
    law : str, optional
        One of `LAWS`; Gordon et al. 2023 by default.
    r_v : float, optional
        Total to selective extinction.

    Returns
    -------
    curve : `~numpy.ndarray`, shape (n,)

    Raises
    ------
    sedflux.exceptions.InputError
        If the law is unknown, or ``r_v`` outside what the law covers.

    Examples
    --------
    >>> from sedflux.spectra.reddening import extinction_curve
    >>> [round(float(value), 2) for value in extinction_curve([3000.0, 5500.0])]
    [-5.34, -2.85]
    """
    if not isinstance(law, str) or law not in LAWS:
        raise InputError(f"law {law!r} is not known; choose one of {', '.join(LAWS)}")
    wavelength, r_v = finite_array(wavelength, "wavelength", u.AA), plain_number(r_v, "r_v")
    curve = _curve(wavelength.astype(float).tobytes(), law, float(r_v))
    return curve.reshape(wavelength.shape).copy()


@lru_cache(maxsize=64)
def _curve(wavelength: bytes, law: str, r_v: float) -> np.ndarray:
    """`extinction_curve` of the bytes of the wavelengths: many stars share few grids."""
    from dust_extinction import parameter_averages

    grid = np.frombuffer(wavelength)
    try:
        model = getattr(parameter_averages, law)(Rv=r_v)
    except ValueError as error:
        raise InputError(f"r_v = {r_v!r} is outside the range of law {law}: {error}") from error
    low, high = (1e4 / edge for edge in model.x_range[::-1])
    if grid.size and (grid.min() < low or grid.max() > high):
        raise InputError(f"wavelength reaches from {grid.min():g} to {grid.max():g} "
                         f"Angstrom; law {law} covers {low:.0f} to {high:.0f}")
    return -0.4 * np.log(10.0) * r_v * np.asarray(model(grid * u.AA))


def continuum_shapes(wavelength: np.ndarray) -> list[np.ndarray]:
    """
    Extinction curves whose structure the continuum removal projects out.

    Those of Gordon et al. 2023 and Fitzpatrick et al. 2019; together with
    Legendre polynomials they follow every law in `LAWS` to 0.1 % for E(B-V) = 1.
    """
    return [extinction_curve(wavelength, law=law) for law in ("G23", "F19")]


def redden(wavelength: np.ndarray, log_flux: np.ndarray, covariance: LowRankCovariance,
           reddening: float, *, reddening_error: float = 0.0, law: str = LAW, r_v: float = R_V
           ) -> tuple[np.ndarray, LowRankCovariance]:
    """
    Redden an SED: ln(flux) and its covariance.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum wavelength in Angstrom.
    log_flux : `~numpy.ndarray`, shape (..., n)
        ln(flux).
    covariance : `~sedflux.covariance.LowRankCovariance`
        Of ln(flux).
    reddening : float
        E(B-V) in magnitudes, not negative.
    reddening_error : float, optional
        Its standard deviation.
    law, r_v : optional
        See `extinction_curve`.

    Returns
    -------
    log_flux : `~numpy.ndarray`
    covariance : `~sedflux.covariance.LowRankCovariance`
        With one more row in the factor, for the error of E(B-V).
    """
    reddening = plain_number(reddening, "reddening", u.mag)
    reddening_error = plain_number(reddening_error, "reddening_error", u.mag)
    if reddening < 0 or reddening_error < 0:
        raise InputError(f"reddening E(B-V) = {reddening} +- {reddening_error} must be finite and "
                         "not negative")
    if not isinstance(covariance, LowRankCovariance):
        raise InputError(f"covariance is a {type(covariance).__name__}; LowRankCovariance is "
                         "needed")
    log_flux = finite_array(log_flux, "log_flux")
    curve = extinction_curve(wavelength, law=law, r_v=r_v)
    if log_flux.shape[-1:] != curve.shape:
        raise InputError(f"log_flux has the shape {log_flux.shape}, wavelength {curve.shape}")
    return log_flux + reddening * curve, covariance.with_direction(reddening_error * curve)
