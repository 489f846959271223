"""Options of a response fit: their defaults, checked and in plain units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.response.common_errors import COMMON_ERRORS, CommonErrors
from sedflux.response.field_terms import FieldTerms
from sedflux.response.systematics import (
    OF_MODELS,
    TRUTH_SCALE,
    LibraryError,
    checked_library_error,
)
from sedflux.units import positive_number, whole_number

__all__ = ["GREY_ERROR", "WAVELENGTH_ERROR_PIXELS", "Options", "excluded_stars", "field_values",
           "star_names"]

#: Unit, least and largest value of the `Options` that hold a number or None, and of those that
#: hold a number.  Beyond these the equations leave the range of numbers.
_OPTIONAL = {"smoothness": (None, 1e-6, 1e3), "sed_resolving_power": (None, 1.0, 1e6)}
_NUMBERS = {"grey_error": (None, 0.0, 10.0), "truth_scale": (None, 0.0, 10.0),
            "min_stars": (None, 0.0, 1e6)}
#: Default error of an extraction from aperture losses, a round number.
GREY_ERROR = 0.01
#: Default error of wavelength zero points in pixels, a round number: that of the positions of stars
#: on a direct image.
WAVELENGTH_ERROR_PIXELS = 0.1
#: Largest error of the wavelength zero points by its unit.
_LARGEST_SHIFT = {u.AA: 1e4, u.pix: 100.0}


@dataclass(frozen=True)
class Options:
    """
    Options of `fit_response`, with their defaults.

    Quantities are converted to the units below; numbers without a unit are in them already.

    Attributes
    ----------
    knot_spacing : float or None
        Angstrom; None for the FWHM of the line-spread function.
    smoothness : float or None
        Standard deviation of the second differences of ln(response) from knot to knot; None
        to choose it by the evidence.
    grey_error : float
        Relative error of the scale of each star.
    wavelength_error : float or `~astropy.units.Quantity`
        Error of the wavelength zero point of each star, in Angstrom; a Quantity may be in pixels.
    robust : bool
        Whether outliers get lower weights and inconsistent stars are rejected.
    covariance : {'full', 'diagonal'}
        ``diagonal`` assumes that the errors of an SED are independent between samples.
    truth_scale : float
        Relative error of the flux scale that all stars share.
    library_error : 'model', sequence of pairs, or path-like
        Wavelength in Angstrom, and relative error that all stars share; or the path of a table,
        see `sedflux.response.systematics.checked_library_error`.  ``model`` takes what the SEDs
        say of their model.
    min_stars : float
        Effective number of stars below which the response is masked.
    sed_resolving_power : float or None
        lambda / FWHM of the SEDs; None for what each SED says.
    common : `~sedflux.response.CommonErrors`
        Errors that all stars share through dust, magnitudes and the instrument.
    iterations : int
        Largest number of Gauss-Newton steps.

    Raises
    ------
    sedflux.exceptions.InputError
        If a value is of another type or out of range.
    """

    knot_spacing: float | None = None
    smoothness: float | None = None
    grey_error: float = GREY_ERROR
    wavelength_error: u.Quantity | float = WAVELENGTH_ERROR_PIXELS * u.pix
    robust: bool = True
    covariance: str = "full"
    truth_scale: float = TRUTH_SCALE
    library_error: LibraryError = OF_MODELS
    min_stars: float = 3.0
    sed_resolving_power: float | None = None
    common: CommonErrors = COMMON_ERRORS
    iterations: int = 15

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            name: _within(getattr(self, name), name, *limits) for name, limits
            in (_OPTIONAL | _NUMBERS).items()
            if name in _NUMBERS or getattr(self, name) is not None}
        if not isinstance(self.robust, (bool, np.bool_)):
            raise InputError(f"robust is {self.robust!r}; True and False are allowed")
        if not isinstance(self.covariance, str) or self.covariance not in ("full", "diagonal"):
            raise InputError(f"covariance is {self.covariance!r}; 'full' and 'diagonal' are "
                             "allowed")
        if self.knot_spacing is not None:
            # Its limits are those of the number of knots.
            checked["knot_spacing"] = positive_number(self.knot_spacing, "knot_spacing", u.AA)
        if not (isinstance(self.library_error, str) and self.library_error == OF_MODELS):
            checked["library_error"] = checked_library_error(self.library_error)
        checked["wavelength_error"] = _wavelength_error(self.wavelength_error)
        if not isinstance(self.common, CommonErrors):
            raise InputError(f"common is a {type(self.common).__name__}; give "
                             "sedflux.response.CommonErrors")
        checked["iterations"] = whole_number(self.iterations, "iterations", least=1)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def for_seds(self, library_error: LibraryError) -> Options:
        """
        The options with the error that the SEDs say, if it is theirs that is asked for.

        Parameters
        ----------
        library_error : sequence of pairs
            What the SEDs say, see `sedflux.response.systematics.largest_library_error`.
        """
        if self.library_error != OF_MODELS:
            return self
        return replace(self, library_error=library_error)

    def for_pixels(self, width: float) -> Options:
        """
        The options with the error of the wavelengths in Angstrom.

        Parameters
        ----------
        width : float
            Of a pixel, in Angstrom.
        """
        if not isinstance(self.wavelength_error, u.Quantity):
            return self
        return replace(self, wavelength_error=self.wavelength_error.value * width)

    @property
    def shift_error(self) -> float:
        """Error of the wavelength zero points in Angstrom; see `for_pixels`."""
        if isinstance(self.wavelength_error, u.Quantity):
            raise InputError("wavelength_error is in pixels, whose width is not known here; use "
                             "Options.for_pixels")
        return float(self.wavelength_error)


def _wavelength_error(value: Any) -> u.Quantity | float:
    """An error of wavelengths: a number in Angstrom, or a Quantity in pixels."""
    unit = u.AA
    if isinstance(value, u.Quantity) and value.unit.is_equivalent(u.pix):
        unit = u.pix
    number = _within(value, "wavelength_error", unit, 0.0, _LARGEST_SHIFT[unit])
    return number * u.pix if unit == u.pix else number


def _within(value: Any, name: str, unit: u.UnitBase | None, least: float,
            largest: float) -> float:
    """A number in a unit, between two limits."""
    number = positive_number(value, name, unit, zero=least == 0)
    if not least <= number <= largest:
        raise InputError(f"{name} is {value}; a number from {least:g} to {largest:g} is needed"
                         + ("" if unit is None else f", in {unit}"))
    return number


def star_names(names: Sequence[Any] | None, number: int) -> list[str]:
    """
    Names of the stars; their numbers if none are given.

    Parameters
    ----------
    names : sequence of str, or None
    number : int
        Number of stars.

    Returns
    -------
    names : list of str

    Raises
    ------
    sedflux.exceptions.InputError
        If there is not one name for every star, or two stars have the same.
    """
    if names is None:
        return [str(row) for row in range(number)]
    try:
        if isinstance(names, (str, bytes, Mapping)):
            raise TypeError
        found = [str(name) for name in names]
    except TypeError as error:
        raise InputError(f"names is {names!r}; a list with one name per star is needed") from error
    if len(found) != number or len(set(found)) != number:
        raise InputError(f"names has {len(set(found))} different entries for {number} stars; give "
                         "every star a name of its own")
    return found


def excluded_stars(exclude: Mapping[str, str] | None, names: Sequence[str]) -> dict[str, str]:
    """
    Stars to leave out, and why.

    Parameters
    ----------
    exclude : mapping of str to str, or None
    names : sequence of str
        Of all stars.

    Returns
    -------
    exclude : dict of str to str

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no mapping, or names a star that is not there.
    """
    if exclude is None:
        return {}
    if not isinstance(exclude, Mapping):
        raise InputError(f"exclude is {exclude!r}; a mapping from names of stars to reasons is "
                         "needed")
    found = {str(name): str(reason) for name, reason in exclude.items()}
    unknown = sorted(set(found) - set(names))
    if unknown:
        raise InputError(f"exclude has the star {unknown[0]!r}, which is not among the names")
    return found


def field_values(field: FieldTerms | None, stars: Mapping[str, Any] | None, number: int) \
        -> np.ndarray:
    """
    Values of the field terms for every star.

    Parameters
    ----------
    field : `~sedflux.FieldTerms` or None
    stars : mapping, or None
        Arrays ``x``, ``y``, ``detector``, ``epoch``, as far as the terms need them.
    number : int
        Number of stars.

    Returns
    -------
    values : `~numpy.ndarray`, shape (number, q)

    Raises
    ------
    sedflux.exceptions.InputError
        If ``field`` is of another type, or ``stars`` does not describe every star.
    """
    if field is None:
        return np.zeros((number, 0))
    if not isinstance(field, FieldTerms):
        raise InputError(f"field is a {type(field).__name__}; give sedflux.FieldTerms")
    if not field.names:
        return np.zeros((number, 0))
    values = field.values(stars)
    if len(values) != number:
        raise InputError(f"stars describes {len(values)} stars, counts has {number}")
    return values
