"""Limits of a selection from a catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Column

from sedflux.exceptions import InputError
from sedflux.units import finite_array

__all__ = ["within"]


def within(column: Column, limit: Any, name: str) -> np.ndarray:
    """
    Which values of a column lie within limits, or are in a list.

    Parameters
    ----------
    column : `~astropy.table.Column`, shape (N,)
    limit : tuple, value or array_like
        See `SEDCatalog.select`.
    name : str
        Of the column.

    Returns
    -------
    chosen : `~numpy.ndarray` of bool, shape (N,)
    """
    values, unit = np.asarray(column), column.unit
    if isinstance(limit, tuple):
        if len(limit) != 2:
            raise InputError(f"{name} is {limit!r}; give the least and the largest value")
        low, high = (np.inf * sign if value is None else _plain(value, unit, name)
                     for value, sign in zip(limit, (-1, 1), strict=True))
        return (values >= low) & (values <= high)
    return np.isin(values, np.atleast_1d(_plain(limit, unit, name)))


def _plain(value, unit, name):
    """A value in the unit of a column."""
    return finite_array(value, name, unit) if isinstance(value, u.Quantity) else value

