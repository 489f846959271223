"""Photometry of one star or many from mappings and tables, and the rules for bad values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.photometry import MAX_MAGNITUDE_ERROR
from sedflux.units import MAG_PER_LN, positive_number

__all__ = ["Magnitudes", "as_magnitudes", "zero_point_errors"]

#: Range of magnitudes (mag); many catalogues mark missing values by 99 or -99.
_BRIGHTEST, _FAINTEST = -30.0, 40.0
#: Smallest error of a magnitude (mag).
_SMALLEST_ERROR = 1e-5
#: Least S/N of a count rate: the magnitude of a fainter one has no Gaussian error.
_LEAST_SNR = 3.0
#: End of the names of columns with errors.
_ERROR = "_error"
#: Magnitude systems by unit.
_SYSTEMS = {u.ABmag: "AB", u.STmag: "ST"}


@dataclass(frozen=True)
class Magnitudes:
    """
    Magnitudes of N stars in b bands.

    Attributes
    ----------
    bands : tuple of str
    value, error : `~numpy.ndarray`, shape (N, b)
        In mag; NaN where missing.  Count rates are ``-2.5 log10(rate in ct / s)``.
    systems : tuple of str
        ``AB``, ``ST``, ``Vega`` or ``counts`` of each band.
    """

    bands: tuple[str, ...]
    value: np.ndarray
    error: np.ndarray
    systems: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.value)


def as_magnitudes(photometry: Any, *, system: str = "AB", stars: int = 1) -> Magnitudes:
    """
    Check photometry, and turn it into arrays.

    Parameters
    ----------
    photometry : mapping or `~astropy.table.Table`
        Band to a magnitude and its error, each one number or an array (N,); or a table with
        columns ``NAME`` and ``NAME_error`` and one row per star.  Missing values are masked, None,
        or NaN in both.  The units ``u.ABmag``, ``u.STmag`` and ``u.ct / u.s`` give the system.
    system : {'AB', 'ST', 'Vega'}, optional
        Of magnitudes without a unit that gives it.
    stars : int, optional
        Number of stars N.

    Returns
    -------
    magnitudes : `Magnitudes`

    Raises
    ------
    sedflux.exceptions.InputError
        If a value cannot be used; the message names the band and, for many stars, the row.
    """
    if not isinstance(system, str) or system not in ("AB", "ST", "Vega"):
        raise InputError(f"system is {system!r}; AB, ST and Vega are allowed")
    pairs = _table_pairs(photometry) if isinstance(photometry, Table) else photometry
    if not isinstance(pairs, Mapping):
        raise InputError(f"photometry is a {type(photometry).__name__}; give a mapping of band to "
                         "magnitude and error, or an astropy Table with columns such as g and "
                         "g_error (Table.from_pandas makes one of a DataFrame)")
    if not pairs:
        raise InputError("photometry is of 0 bands; give one magnitude or more")
    found = [_band(str(name), pair, system, stars) for name, pair in pairs.items()]
    value, error = (np.stack([one[part] for one in found], axis=1) for part in (0, 1))
    empty = np.flatnonzero(~np.isfinite(value).any(axis=1))
    if empty.size:
        raise InputError(f"photometry has no magnitude of {_star(empty[0], stars)}; "
                         "at least one is needed: leave out stars without magnitudes")
    return Magnitudes(tuple(str(name) for name in pairs), value, error,
                      tuple(one[2] for one in found))


def _table_pairs(table):
    """Columns of a table by band."""
    names = [name for name in table.colnames if f"{name}{_ERROR}" in table.colnames]
    if not names:
        raise InputError(f"photometry has the columns {', '.join(table.colnames)}; magnitudes and "
                         f"their errors are needed, in columns such as g and g{_ERROR}")
    return {name: (table[name], table[f"{name}{_ERROR}"]) for name in names}


def _star(row, stars):
    return "this star" if stars == 1 else f"the star of row {row}"


def _numbers(part, name, stars):
    """An array (N,) with NaN where a value is missing, and the unit if there is one."""
    unit = getattr(part, "unit", None)
    part = getattr(part, "value", part) if unit is not None and not np.ma.isMA(part) else part
    try:
        values = np.ma.asarray(np.nan if part is None else part)
        if values.dtype.kind == "O":
            values = np.ma.asarray([np.nan if one is None else one for one in values.ravel()])
        if values.dtype.kind not in "fiu":
            raise TypeError(f"numbers of type {values.dtype}")
        values = np.ma.filled(values.astype(float), np.nan)
        values = np.broadcast_to(values, (stars,)) if values.ndim == 0 else values
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is {part!r}; numbers are needed ({error})") from error
    if values.shape != (stars,):
        raise InputError(f"{name} has the shape {values.shape}; {stars} "
                         f"{'star needs' if stars == 1 else 'stars need'} ({stars},)")
    return values, unit


def _band(name, pair, system, stars):
    """Magnitudes, errors and system of one band."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise InputError(f"photometry of {name!r} is {pair!r}; a pair is needed, of magnitude "
                         "and error")
    value, unit = _numbers(pair[0], f"magnitude of {name!r}", stars)
    error, error_unit = _numbers(pair[1], f"error of {name!r}", stars)
    half = np.isfinite(value) != np.isfinite(error)
    bad = half | np.isinf(value) | np.isinf(error)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(f"photometry of {name!r} is {value[row]} with the error {error[row]} for "
                         f"{_star(row, stars)}; a missing magnitude is masked, None, or NaN with "
                         "the error NaN")
    if unit in _SYSTEMS:
        system = _SYSTEMS[unit]
    elif unit is not None and u.Unit(unit).is_equivalent(u.ct / u.s):
        return *_of_counts(name, value * u.Unit(unit).to(u.ct / u.s), error, error_unit, unit,
                           stars), "counts"
    elif unit not in (None, u.mag, u.dimensionless_unscaled):
        raise InputError(f"magnitude of {name!r} has the unit {unit}; u.ABmag, u.STmag, u.mag and "
                         "u.ct / u.s are allowed")
    if error_unit not in (None, u.mag, u.dimensionless_unscaled):
        raise InputError(f"error of {name!r} has the unit {error_unit}; u.mag is needed")
    _check_range(name, value, error, stars)
    return value, error, system


def _check_range(name, value, error, stars):
    """Refuse magnitudes and errors out of range."""
    known = np.isfinite(value)
    for what, values, low, high, hint in (
            ("magnitude", value, _BRIGHTEST, _FAINTEST, "mask values that stand for missing ones, "
             "upper limits and saturated stars"),
            ("error", error, _SMALLEST_ERROR, MAX_MAGNITUDE_ERROR, "an error is positive; mask "
             "magnitudes of unknown error")):
        wrong = known & ~((values >= low) & (values <= high))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(f"{what} of {name!r} is {values[row]:g} for {_star(row, stars)}; "
                             f"{low:g} to {high:g} mag are allowed: {hint}")


def _of_counts(name, rate, error, error_unit, unit, stars):
    """Count rates as magnitudes without a zero point."""
    error = error * u.Unit(error_unit or unit).to(u.ct / u.s)
    wrong = np.isfinite(rate) & ~((error > 0) & (rate > _LEAST_SNR * error))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"count rate of {name!r} is {rate[row]:g} with the error {error[row]:g} "
                         f"for {_star(row, stars)}; a positive error and a S/N of "
                         f"{_LEAST_SNR:g} are needed: mask fainter stars")
    return -2.5 * np.log10(rate), MAG_PER_LN * error / rate


def zero_point_errors(errors: Any, bands: tuple[str, ...]) -> np.ndarray:
    """
    Errors of the zero points, in mag.

    Parameters
    ----------
    errors : float, mapping of band to float, or None
        One for all bands, or by band; zero where a mapping has none.
    bands : tuple of str, length b

    Returns
    -------
    errors : `~numpy.ndarray`, shape (b,)
    """
    if errors is None:
        return np.zeros(len(bands))
    if not isinstance(errors, Mapping):
        errors = dict.fromkeys(bands, errors)
    for name in errors:
        if name not in bands:
            raise InputError(f"zero_point_error names the band {name!r}; photometry has "
                             f"{', '.join(bands)}")
    return np.array([positive_number(errors.get(name, 0.0), f"zero_point_error of {name!r}",
                                     u.mag, zero=True) for name in bands])
