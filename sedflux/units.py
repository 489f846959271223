"""Units, constants, and checks of numbers and arrays of public functions."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import constants
from astropy import units as u

from sedflux.exceptions import InputError

__all__ = ["FLAM", "LIGHT_KM_S", "MAG_PER_LN", "PHOTON_ENERGY", "as_quantity", "finite_array",
           "photons_per_flux", "plain_number", "positive_number", "whole_number"]

#: Unit of F_lambda inside sedflux.
FLAM = u.Unit("erg / (s cm2 Angstrom)")
#: Speed of light in km/s, exact by definition of the metre.
LIGHT_KM_S = 299792.458
#: Magnitudes that a change of ln(flux) by one makes, but for their sign.
MAG_PER_LN = 2.5 / np.log(10.0)
#: h c in erg Angstrom: the energy of a photon times its wavelength.
PHOTON_ENERGY = (constants.h * constants.c).to_value(u.erg * u.AA)


def as_quantity(values: Any) -> Any:
    """
    A list or tuple of quantities as one quantity; anything else as it is.

    Parameters
    ----------
    values : object

    Returns
    -------
    values : object

    Raises
    ------
    TypeError, `~astropy.units.UnitConversionError`
        If the units of the quantities do not agree.

    Examples
    --------
    >>> from astropy import units as u
    >>> from sedflux.units import as_quantity
    >>> as_quantity((400 * u.nm, 5000 * u.AA))
    <Quantity [400., 500.] nm>
    """
    if isinstance(values, (list, tuple)) and any(isinstance(one, u.Quantity) for one in values):
        return u.Quantity(values)
    return values


def plain_number(value: Any, name: str, unit: u.UnitBase | None = None) -> float:
    """
    A finite number in a unit.

    Parameters
    ----------
    value : float or `~astropy.units.Quantity`
        A number without a unit is taken in ``unit``.
    name : str
        What errors call it.
    unit : `~astropy.units.Unit`, optional
        None for numbers that have none.

    Returns
    -------
    number : float

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no single, real, finite number, or has another unit.

    Examples
    --------
    >>> from astropy import units as u
    >>> from sedflux.units import plain_number
    >>> plain_number(0.5 * u.nm, "wavelength_error", u.AA)
    5.0
    """
    wanted = "a number" if unit is None else f"a number in {unit}"
    try:
        if isinstance(value, u.Quantity):
            value = value.to_value(u.dimensionless_unscaled if unit is None else unit)
        if (isinstance(value, (bool, np.bool_, str, bytes)) or np.ndim(value)
                or np.iscomplexobj(value) or np.ma.is_masked(value)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError, u.UnitConversionError) as error:
        raise InputError(f"{name} is {value!r}; {wanted} is needed") from error
    if not np.isfinite(number):
        raise InputError(f"{name} is {value}; it must be finite")
    return number


def positive_number(value: Any, name: str, unit: u.UnitBase | None = None, *,
                    zero: bool = False) -> float:
    """
    A positive, finite number in a unit; see `plain_number`.

    Parameters
    ----------
    value, name, unit
        As for `plain_number`.
    zero : bool, optional
        Whether zero is allowed too.

    Returns
    -------
    number : float

    Examples
    --------
    >>> from sedflux.units import positive_number
    >>> positive_number(0.01, "grey_error", zero=True)
    0.01
    """
    number = plain_number(value, name, unit)
    if number < 0 or (number == 0 and not zero):
        raise InputError(f"{name} is {value}; it must be {'0 or more' if zero else 'positive'} "
                         "and finite")
    return number


def whole_number(value: Any, name: str, *, least: int = 0) -> int:
    """
    A whole number that is not too small.

    Parameters
    ----------
    value : int
    name : str
        What errors call it.
    least : int, optional
        Smallest number that is allowed.

    Returns
    -------
    number : int

    Raises
    ------
    sedflux.exceptions.InputError
        If it is of another type, or smaller.

    Examples
    --------
    >>> from sedflux.units import whole_number
    >>> whole_number(3, "size", least=1)
    3
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError as error:
        raise InputError(f"{name} is {value!r}; a whole number of {least} or more is "
                         "needed") from error
    if number < least:
        raise InputError(f"{name} is {value!r}; a whole number of {least} or more is needed")
    return number


def finite_array(values: Any, name: str, unit: u.UnitBase | None = None) -> np.ndarray:
    """
    An array of finite, real numbers in a unit.

    Parameters
    ----------
    values : array_like or `~astropy.units.Quantity`
        Numbers without a unit are taken in ``unit``.
    name : str
        What errors call it.
    unit : `~astropy.units.Unit`, optional
        None for numbers that have none.

    Returns
    -------
    array : `~numpy.ndarray`
        A copy, of type float.

    Raises
    ------
    sedflux.exceptions.InputError
        If a value is no finite, real number, is masked, or has another unit.

    Examples
    --------
    >>> from astropy import units as u
    >>> from sedflux.units import finite_array
    >>> finite_array([400.0, 500.0] * u.nm, "wavelength", u.AA)
    array([4000., 5000.])
    """
    wanted = "numbers are" if unit is None else f"numbers in {unit} are"
    try:
        values = as_quantity(values)
        if isinstance(values, u.Quantity):
            values = values.to_value(u.dimensionless_unscaled if unit is None else unit)
        given = np.ma.asarray(values)
        if given.dtype.kind not in "fiu":
            raise TypeError(f"an array of type {given.dtype}")
        array = np.array(np.ma.filled(given.astype(float), np.nan))
    except (TypeError, ValueError, u.UnitConversionError) as error:
        raise InputError(f"{name} is no array that can be used ({error}); {wanted} "
                         "needed") from error
    if not np.all(np.isfinite(array)):
        raise InputError(f"{name} has {np.count_nonzero(~np.isfinite(array))} values that are "
                         "masked or not finite; remove or replace them")
    return array


def photons_per_flux(wavelength: npt.ArrayLike) -> np.ndarray:
    """
    Photons a second, cm2 and Angstrom in one erg a second, cm2 and Angstrom.

    Parameters
    ----------
    wavelength : array_like
        Angstrom.

    Returns
    -------
    photons : `~numpy.ndarray`
        lambda / (h c).

    Examples
    --------
    >>> from sedflux.units import photons_per_flux
    >>> f"{photons_per_flux(5000.0):.4g}"
    '2.517e+11'
    """
    return np.asarray(wavelength) / PHOTON_ENERGY
