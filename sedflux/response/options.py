"""Options of a response fit, checked and in plain units."""

from dataclasses import dataclass

import numpy as np

from sedflux.exceptions import InputError
from sedflux.response.counts import RATES
from sedflux.response.field import FieldTerms
from sedflux.response.systematics import LIBRARY_ERROR, TRUTH_SCALE
from sedflux.units import positive_number

__all__ = ["Options", "field_values", "saturation_rate"]


@dataclass(frozen=True)
class Options:
    """
    How a response is fitted; see `fit_response`.

    Attributes
    ----------
    knot_spacing : float or None
        Angstrom.
    smoothness : float or None
    grey_error : float
    wavelength_error : float
        Angstrom.
    robust : bool
    diagonal : bool
        Take errors of SEDs as independent from sample to sample, for comparison.
    truth_scale : float
    library_error : sequence of pairs
    min_stars : float
    iterations : int
    """

    knot_spacing: float | None = None
    smoothness: float | None = None
    grey_error: float = 0.0
    wavelength_error: float = 0.0
    robust: bool = True
    diagonal: bool = False
    truth_scale: float = TRUTH_SCALE
    library_error: tuple = LIBRARY_ERROR
    min_stars: float = 3.0
    iterations: int = 15


def saturation_rate(saturation):
    """Count rate of saturation as a number."""
    if saturation is None:
        return None
    if getattr(saturation, "unit", None) not in RATES:
        raise InputError(f"saturation is {saturation!r}; give a count rate, as 900 * u.ct / u.s")
    return positive_number(saturation.value, "saturation")


def field_values(field, stars, number):
    """Values of the field terms for every star, shape (number, q)."""
    if field is None:
        return np.zeros((number, 0))
    if not isinstance(field, FieldTerms):
        raise InputError(f"field is a {type(field).__name__}; give sedflux.FieldTerms")
    values = field.values(stars)
    if len(values) != number:
        raise InputError(f"stars describes {len(values)} stars, counts has {number}")
    return values
