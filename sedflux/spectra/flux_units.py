"""Units of spectra: which are allowed for flux, and plain numbers instead of quantities."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.units import FLAM

__all__ = ["flux_factor", "unit_error", "without_units"]

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
    density = u.spectral_density(wavelength * u.AA)
    if isinstance(unit, u.UnitBase):
        for wanted in (FLAM, FLAM / u.sr, FLAM * u.cm**2):
            try:
                return (1.0 * unit).to_value(wanted, density)
            except u.UnitConversionError:
                pass
        if _is_counts(unit):
            # Shapes are not trusted anyway.
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


def without_units(wavelength: Any, flux: Any, ivar: Any) -> tuple[Any, Any, Any]:
    """
    Plain numbers of a spectrum whose parts may have units.

    Parameters
    ----------
    wavelength : array_like or `~astropy.units.Quantity`, shape (n,)
        Angstrom, if it has no unit.
    flux : array_like or `~astropy.units.Quantity`, shape (n,) or (N, n)
        F_lambda, if it has no unit.
    ivar : array_like or `~astropy.units.Quantity`, shape of ``flux``, or None
        In the inverse square of the unit of ``flux``.

    Returns
    -------
    wavelength, flux, ivar
        What has no unit is handed back.

    Raises
    ------
    sedflux.exceptions.InputError
        If a unit cannot be used.
    """
    if not any(hasattr(value, "unit") for value in (wavelength, flux, ivar)):
        return wavelength, flux, ivar
    wavelength = _to_unit(wavelength, "wavelength", u.AA)
    unit = getattr(flux, "unit", None) or u.dimensionless_unscaled
    factor = None
    if unit != u.dimensionless_unscaled:
        factor = flux_factor(unit, np.asarray(wavelength, dtype=float))
        factor = factor / np.median(factor)
    ivar = _to_unit(ivar, "ivar", unit**-2)
    flux = flux.value if isinstance(flux, u.Quantity) else flux
    if factor is None:
        return wavelength, flux, ivar
    return wavelength, flux * factor, None if ivar is None else ivar / factor**2


def _to_unit(value: Any, name: str, unit: u.UnitBase) -> Any:
    """Numbers in a unit, as they are if they have none."""
    if not isinstance(value, u.Quantity):
        return value
    try:
        return value.to_value(unit)
    except u.UnitConversionError as error:
        wanted = unit.to_string() or "no unit"
        raise InputError(f"{name} has the unit {value.unit.to_string()!r}; {wanted} is "
                         "needed") from error
