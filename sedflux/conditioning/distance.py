"""`ReddeningAtDistance`: what maps of dust say of E(B-V), at distances with errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.units import as_quantity, positive_number

__all__ = ["ReddeningAtDistance"]

#: Distances that stand for the probability density of each star's distance.
_DISTANCES = 64
#: Points at which that density is integrated, and standard deviations that it reaches.
_POINTS, _REACH = 1025, 6.0
#: Scale lengths of the density of stars beyond which none is expected.
_MOST_LENGTHS = 30.0
#: Columns of a table of E(B-V) along a line of sight.
_COLUMNS = ("distance", "reddening", "reddening_error")


class ReddeningAtDistance:
    """
    E(B-V) of stars from the dust along the line of sight, and their distances with errors.

    The prior of E(B-V) is the mean over all distances that a star may have: at each, a Gaussian
    that is cut at zero.

    Parameters
    ----------
    along : `~astropy.table.Table` or callable
        The dust.  A table has the columns ``distance`` (ascending), ``reddening`` and
        ``reddening_error``, in pc and mag if they have no unit; E(B-V) is interpolated, and beyond
        both ends it is that of the end.  A callable takes distances as a
        `~astropy.units.Quantity` in pc, of shape (k,) or, for N stars, (N, k), and gives E(B-V) and
        its error in mag, in that shape.
    distance : tuple of float, array_like or `~astropy.units.Quantity`, optional
        Distance and its error, of one star or as arrays (N,); in pc if it has no unit.  The
        distance is Gaussian, and positive.
    parallax : tuple of float, array_like or `~astropy.units.Quantity`, optional
        In its place, the parallax and its error, in mas if it has no unit.  The parallax may
        be negative.  Its zero point is taken off before.
    scale_length : float or `~astropy.units.Quantity`, optional
        Of the density of stars, for parallaxes, in pc: a distance r is as likely before as
        ``r**2 exp(-r / scale_length)`` (Bailer-Jones 2015).

    Raises
    ------
    sedflux.exceptions.InputError
        If the distances or the dust cannot be used.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from sedflux import ReddeningAtDistance
    >>> dust = Table({"distance": [100.0, 400.0, 500.0, 2000.0],
    ...               "reddening": [0.01, 0.02, 0.30, 0.35],
    ...               "reddening_error": [0.01, 0.01, 0.03, 0.03]})
    >>> near = ReddeningAtDistance(dust, parallax=(4.0, 0.1))
    >>> far = ReddeningAtDistance(dust, parallax=(1.5, 0.1))
    >>> near.mean.round(3), far.mean.round(3)
    (array([0.015]), array([0.306]))
    """

    def __init__(self, along: Any, *, distance: Any = None, parallax: Any = None,
                 scale_length: Any = 1350.0 * u.pc) -> None:
        if (distance is None) == (parallax is None):
            raise InputError("distance and parallax are "
                             f"{'both' if parallax is not None else 'not'} given; give one of "
                             "them, with its error")
        if distance is not None:
            value, error = _pair(distance, "distance", u.pc)
            self.single, where = value.ndim == 0, _of_distances(value, error)
        else:
            value, error = _pair(parallax, "parallax", u.mas)
            length = positive_number(scale_length, "scale_length", u.pc)
            self.single, where = value.ndim == 0, _of_parallaxes(value, error, length)
        #: Distances in pc that are equally likely, (N, k), of one star (1, k).
        self.distances = where
        asked = where[0] if self.single else where
        means, errors = _dust(along, asked)
        #: E(B-V) at these distances, and its error, (N, k) in mag.
        self.means, self.errors = (np.broadcast_to(part, where.shape) for part in (means, errors))

    def __len__(self) -> int:
        return len(self.distances)

    def __repr__(self) -> str:
        return f"<ReddeningAtDistance of {len(self)} star{'' if len(self) == 1 else 's'}>"

    @property
    def mean(self) -> np.ndarray:
        """Mean of E(B-V) over the distances, (N,), before it is cut at zero."""
        return self.means.mean(axis=1)

    @property
    def error(self) -> np.ndarray:
        """Standard deviation of E(B-V), (N,): of the dust, and of the distance."""
        return np.sqrt((self.errors**2).mean(axis=1) + self.means.var(axis=1))


def _pair(pair, name, unit):
    """A value and its error as arrays of one shape, () or (N,), in a unit."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise InputError(f"{name} is {pair!r}; give a tuple of {name} and its error")
    values = []
    for part in pair:
        try:
            part = as_quantity(part)
            own = getattr(part, "unit", None)
            array = np.ma.filled(np.ma.asarray(getattr(part, "value", part), dtype=float), np.nan)
            values.append(array * (1.0 if own is None else u.Unit(own).to(unit)))
        except (TypeError, ValueError, u.UnitConversionError) as problem:
            raise InputError(f"{name} is {pair!r}; numbers in {unit} are needed ({problem})") \
                from problem
    try:
        value, error = np.broadcast_arrays(*values)
    except ValueError as problem:
        raise InputError(f"{name} and its error have the shapes {values[0].shape} and "
                         f"{values[1].shape}") from problem
    if value.ndim > 1 or not value.size:
        raise InputError(f"{name} has the shape {value.shape}; one number, or (N,), is needed")
    wrong = ~(np.isfinite(value) & np.isfinite(error) & (error > 0))
    wrong |= (value <= 0) & (name == "distance")
    if wrong.any():
        row = int(np.argmax(wrong))
        at = "" if value.ndim == 0 else f" in row {row}"
        raise InputError(f"{name} is {value.flat[row]:g} with the error {error.flat[row]:g}{at}; "
                         "finite numbers and a positive error are needed"
                         + (", and a positive distance" if name == "distance" else ""))
    return value, error


def _quantiles(points, density):
    """Equally likely places between points (N, p), where a density is known, (N, k)."""
    middle = 0.5 * (density[:, 1:] + density[:, :-1]) * np.diff(points, axis=1)
    total = np.concatenate([np.zeros((len(points), 1)), np.cumsum(middle, axis=1)], axis=1)
    share = (np.arange(_DISTANCES) + 0.5) / _DISTANCES
    return np.stack([np.interp(share * sums[-1], sums, place)
                     for sums, place in zip(total, points, strict=True)])


def _of_distances(distance, error):
    """Equally likely distances from distances with Gaussian errors, (N, k)."""
    distance, error = np.atleast_1d(distance)[:, None], np.atleast_1d(error)[:, None]
    low = np.maximum(distance - _REACH * error, 1e-6 * distance)
    points = np.linspace(low[:, 0], (distance + _REACH * error)[:, 0], _POINTS, axis=1)
    return _quantiles(points, np.exp(-0.5 * ((points - distance) / error) ** 2))


def _of_parallaxes(parallax, error, length):
    """Equally likely distances from parallaxes with Gaussian errors, (N, k)."""
    parallax, error = np.atleast_1d(parallax)[:, None], np.atleast_1d(error)[:, None]
    highest = parallax + _REACH * error
    if (highest <= 0).any():
        row = int(np.argmax(highest <= 0))
        raise InputError(f"parallax is {parallax[row, 0]:g} mas with the error {error[row, 0]:g}; "
                         f"it is negative by more than {_REACH:g} errors: is its error right?")
    low = 1000.0 / highest
    high = np.maximum(_MOST_LENGTHS * length, 3.0 * low)
    lowest = parallax - _REACH * error
    high = np.where(lowest > 0, np.minimum(high, 1000.0 / np.maximum(lowest, 1e-12)), high)
    # A density of ln(r) is r times that of r.
    place = np.linspace(np.log(low[:, 0]), np.log(high[:, 0]), _POINTS, axis=1)
    log = (3.0 * place - np.exp(place) / length
           - 0.5 * ((1000.0 * np.exp(-place) - parallax) / error) ** 2)
    return np.exp(_quantiles(place, np.exp(log - log.max(axis=1, keepdims=True))))


def _dust(along, distance):
    """E(B-V) and its error at distances in pc, of their shape."""
    if isinstance(along, Table):
        place, *columns = _table_columns(along)
        values = tuple(np.interp(distance, place, column) for column in columns)
    elif callable(along):
        values = _called(along, distance)
    else:
        raise InputError(f"along is {along!r}; give a table with the columns "
                         f"{', '.join(_COLUMNS)}, or a function of distance")
    mean, error = values
    for name, value, wrong in (("E(B-V)", mean, ~(mean >= 0)), ("error", error, ~(error > 0))):
        wrong = wrong | ~np.isfinite(value)
        if wrong.any():
            raise InputError(f"{name} of the dust is {value[wrong].flat[0]:g} at "
                             f"{distance[wrong].flat[0]:.0f} pc; E(B-V) of zero or more and a "
                             "positive error are needed")
    return mean, error


def _table_columns(along):
    """Distance in pc, E(B-V) and its error in mag, of a table."""
    missing = [name for name in _COLUMNS if name not in along.colnames]
    if missing or not len(along):
        raise InputError(f"along has {len(along)} rows and the columns "
                         f"{', '.join(along.colnames)}; {', '.join(_COLUMNS)} are needed")
    columns = []
    for name, unit in zip(_COLUMNS, (u.pc, u.mag, u.mag), strict=True):
        try:
            own = along[name].unit or unit
            columns.append(np.ma.filled(np.ma.asarray(along[name], dtype=float), np.nan)
                           * u.Unit(own).to(unit))
        except (TypeError, ValueError, u.UnitConversionError) as error:
            raise InputError(f"column {name!r} of along is no column of numbers in {unit} "
                             f"({error})") from error
    if not (np.diff(columns[0]) > 0).all() or not np.isfinite(columns[0]).all():
        raise InputError("column 'distance' of along must be finite and ascend")
    return columns


def _called(along: Callable[..., Any], distance):
    """What a function says of the dust."""
    found = along(distance * u.pc)
    try:
        mean, error = (np.broadcast_to(
            u.Quantity(part, u.mag).value if hasattr(part, "unit") else np.asarray(part, float),
            distance.shape) for part in found)
    except (TypeError, ValueError, u.UnitConversionError) as problem:
        raise InputError(f"along gave no pair of E(B-V) and error of the shape {distance.shape} "
                         f"({problem})") from problem
    return mean, error
