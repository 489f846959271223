"""Units and constants that every door shares, and the check that a number is one."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError

__all__ = ["FLAM", "LIGHT_KM_S", "plain_number", "positive_number"]

#: Unit of F_lambda inside sedflux.
FLAM = u.Unit("erg / (s cm2 Angstrom)")
#: Speed of light in km/s, exact by definition of the metre.
LIGHT_KM_S = 299792.458


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
        if isinstance(value, (str, bytes)) or np.iscomplexobj(value):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, u.UnitConversionError) as error:
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
