"""
Errors that all stars share through their dust, their magnitudes and the instrument.

More stars do not reduce them.  `CommonErrors` holds their standard errors, of which
`sedflux.response.common_rows` makes rows of ``response.systematics``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.units import positive_number

__all__ = ["COMMON_ERRORS", "FITTED", "CommonErrors"]

#: Unit and largest value of each error.
_LIMITS = {"reddening_zero_point": (u.mag, 2.0), "reddening_scale": (None, 1.0),
           "r_v": (None, 2.0), "magnitude_zero_point": (u.mag, 2.0), "shift": (u.pix, 100.0),
           "stretch": (None, 0.2), "line_spread": (None, 1.0), "background": (None, 1e12),
           "second_order": (None, 1.0), "shift_x": (u.pix, 100.0), "shift_y": (u.pix, 100.0),
           "line_spread_x": (None, 1.0), "line_spread_y": (None, 1.0)}


#: Errors of the instrument, which can be parameters of a fit.
FITTED = ("shift", "stretch", "line_spread", "background", "second_order", "shift_x", "shift_y",
          "line_spread_x", "line_spread_y")


@dataclass(frozen=True)
class CommonErrors:
    """
    Standard errors that all stars of a fit share; zero leaves one out.

    Give those of your survey.  Where no source is named, the defaults are round numbers.

    Attributes
    ----------
    reddening_zero_point : float
        Error of E(B-V) in mag that is the same for all stars.
    reddening_scale : float
        Relative error of E(B-V).  The default is that of the map of Schlegel et al. (1998), which
        Schlafly & Finkbeiner (2011) scale by 0.86; a map that is scaled so needs less.
    r_v : float
        Error of the mean R_V.  The default is the scatter of R_V among sight lines (Schlafly et al.
        2016).
    magnitude_zero_point : float
        Error in mag of the zero point of the magnitudes that scale the SEDs.
    shift : float
        Error of the wavelengths in pixels.  The default is the scatter of numbers within 0.5
        pixel, to which direct images give zero points (WFC3 Instrument Handbook, section 8.5).
    stretch : float
        Relative error of the dispersion, about the middle of the band.
    line_spread : float
        Relative error of the width of the line-spread function.
    background : float
        Error of the background in electron/s a pixel of the extracted spectra.
    second_order : float
        Relative error of the light of the second order.
    shift_x, shift_y : float
        Error of the change of the wavelengths, in pixels, from the middle of the stars' x or y to
        the last star.
    line_spread_x, line_spread_y : float
        The same of the width of the line-spread function, relative.
    fitted : sequence of str
        Errors of the instrument (``shift`` and all that follow) that are parameters of the fit,
        with their standard errors as priors; none by default.

    Raises
    ------
    sedflux.exceptions.InputError
        If an error is negative, not finite, or too large.

    Examples
    --------
    >>> from sedflux.response import CommonErrors
    >>> CommonErrors(reddening_zero_point=0.01).reddening_zero_point
    0.01
    """

    reddening_zero_point: float = 0.02
    reddening_scale: float = 0.14
    r_v: float = 0.18
    magnitude_zero_point: float = 0.01
    shift: float = 0.3
    stretch: float = 0.001
    line_spread: float = 0.03
    background: float = 0.0
    second_order: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    line_spread_x: float = 0.0
    line_spread_y: float = 0.0
    fitted: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, (unit, largest) in _LIMITS.items():
            number = positive_number(getattr(self, name), name, unit, zero=True)
            if number > largest:
                raise InputError(f"{name} is {getattr(self, name)}; 0 to {largest:g} is allowed"
                                 + ("" if unit is None else f", in {unit}"))
            object.__setattr__(self, name, number)
        object.__setattr__(self, "fitted", self._checked_fitted())

    def _checked_fitted(self):
        """Names of the parameters as a tuple."""
        if isinstance(self.fitted, (list, tuple)) and all(
                name in FITTED and getattr(self, name) > 0 for name in self.fitted):
            return tuple(name for name in FITTED if name in self.fitted)
        raise InputError(f"fitted is {self.fitted!r}; a list with some of {', '.join(FITTED)} is "
                         "needed, and an error above zero for each")

    @classmethod
    def none(cls) -> CommonErrors:
        """No common errors at all."""
        return cls(reddening_zero_point=0.0, reddening_scale=0.0, r_v=0.0,
                   magnitude_zero_point=0.0, shift=0.0, stretch=0.0, line_spread=0.0)

    def given(self) -> dict[str, float]:
        """The errors that are not zero, by name."""
        named = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: named[name] for name in _LIMITS if named[name] > 0}


#: The defaults of a fit.
COMMON_ERRORS = CommonErrors()
