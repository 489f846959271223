"""Units of spectra: which are allowed, and what they are of F_lambda."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.units import FLAM

__all__ = ["flux_factor", "in_unit", "relative_factor", "unit_error"]

#: Units of detected light, which stand for F_lambda up to a smooth curve.
_COUNTS = (u.ct, u.electron, u.photon, u.adu, u.DN)
#: What counts may be given per, or times.
_PER = ("time", "length", "area", "solid angle", "dimensionless")


def flux_factor(unit: Any, wavelength: np.ndarray) -> np.ndarray:
    """
    Factor from a flux unit to F_lambda, up to a constant.

    Parameters
    ----------
    unit : `~astropy.units.Unit`
    wavelength : `~numpy.ndarray`, shape (n,)
        Angstrom.

    Returns
    -------
    factor : `~numpy.ndarray`, shape (n,)

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no unit of light.
    """
    if isinstance(unit, u.UnitBase):
        # Photons may be a flux density; astropy takes 4 ms to find that other counts are none.
        if u.photon not in unit.bases and _is_counts(unit):
            return np.ones_like(wavelength)
        density = u.spectral_density(wavelength * u.AA)
        for wanted in (FLAM, FLAM / u.sr, FLAM * u.cm**2):
            try:
                return (1.0 * unit).to_value(wanted, density)
            except u.UnitConversionError:
                pass
        if _is_counts(unit):
            # The smooth shape of a spectrum is not used, so a curve that is unknown does no harm.
            return np.ones_like(wavelength)
    raise unit_error(unit)


def unit_error(unit: Any) -> InputError:
    """The error about a flux unit that cannot be used."""
    return InputError(
        f"flux has the unit {unit.to_string()!r}; a flux density, a surface brightness, counts "
        "or a relative flux without unit are allowed: convert it, such as magnitudes with "
        ".to(u.Jy)"
    )


def _is_counts(unit: u.UnitBase) -> bool:
    """Whether a unit is that of counts, per whatever, or none at all."""
    counted = 0
    for base, power in zip(unit.bases, unit.powers, strict=True):
        if base in _COUNTS and power == 1:
            counted += 1
        elif base != u.pix and base.physical_type not in _PER:
            return False
    return counted == 1 or unit.physical_type == "dimensionless"


def relative_factor(unit: Any, wavelength: np.ndarray) -> np.ndarray:
    """
    Factor from a flux in a unit, or None, to F_lambda, with a median of one.

    Parameters
    ----------
    unit : `~astropy.units.Unit` or None
    wavelength : `~numpy.ndarray`, shape (n,)
        Angstrom.

    Returns
    -------
    factor : `~numpy.ndarray`, shape (n,)
    """
    if unit is None or unit == u.dimensionless_unscaled:
        return np.ones_like(wavelength)
    factor = flux_factor(unit, wavelength)
    return factor / np.median(factor)


def in_unit(value: Any, name: str, unit: u.UnitBase) -> Any:
    """
    Numbers in a unit, for an argument that may have one.

    Parameters
    ----------
    value : object
        Handed back if it has no unit.
    name : str
        What errors call it.
    unit : `~astropy.units.Unit`

    Raises
    ------
    sedflux.exceptions.InputError
        If it has another unit.
    """
    if not isinstance(value, u.Quantity):
        return value
    try:
        return value.to_value(unit)
    except u.UnitConversionError as error:
        wanted = unit.to_string() or "no unit"
        raise InputError(f"{name} has the unit {value.unit.to_string()!r}; {wanted} is "
                         "needed") from error
