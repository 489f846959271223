"""Properties of a simulated field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.libraries.labels import TEFF_RANGE
from sedflux.libraries.prior import PRIORS
from sedflux.units import finite_array, plain_number, positive_number

__all__ = ["OUTLIER_KINDS", "FieldSettings"]

#: Kinds of outliers, with equal numbers of stars.
OUTLIER_KINDS = ("contaminated", "variable", "wrong dust")

#: Settings of two ascending numbers: unit, smallest and largest value.  Within these limits, which
#: are far beyond real stars and surveys, count rates are finite.
_RANGES = {"magnitudes": (u.mag, -5.0, 40.0), "snr": (None, 1e-3, 1e5), "teff": (u.K, 1.0, 1e6)}
#: Settings of one number, 0 or more: unit and largest value.  Within these limits, which are far
#: beyond useful values, fluxes are finite.
_NUMBERS = {"ebv_scale": (u.mag, 5.0), "ebv_error": (u.mag, 2.0), "magnitude_error": (u.mag, 5.0),
            "grey_error": (None, 2.0), "wavelength_error": (u.AA, 1e3)}


@dataclass(frozen=True)
class FieldSettings:
    """
    Properties of a simulated field.

    Quantities are converted to the units below, which numbers without a unit must have.

    Attributes
    ----------
    magnitudes : tuple of float
        Brightest and faintest AB magnitude (5600-7000 Angstrom).  The number of stars grows
        with magnitude m as 10^(0.3 m).
    snr : tuple of float
        Range of S/N per pixel of the R = 2000 spectra; the logarithm is uniform.
    ebv_scale : float
        Mean of the exponential distribution of E(B-V) in mag.
    ebv_error : float
        Standard error of the known E(B-V) in mag.
    magnitude_error : float
        Standard error of the magnitudes in mag.
    grey_error : float
        Relative scatter of the aperture losses.
    wavelength_error : float
        Scatter of the wavelength zero points in Angstrom.
    exposure : float
        Exposure time in seconds.
    outliers : float
        Fraction of stars that are outliers, below 1.
    teff : tuple of float
        Range of effective temperature in K.
    prior : {'survey', 'flat'}
        Distribution of the labels: that of a magnitude-limited survey, or uniform.

    Examples
    --------
    >>> from sedflux.simulate.settings import FieldSettings
    >>> settings = FieldSettings(magnitudes=(12, 13), outliers=0.0)
    >>> settings.magnitudes, settings.ebv_error
    ((12.0, 13.0), 0.01)
    """

    magnitudes: tuple[float, float] = (13.5, 16.5)
    snr: tuple[float, float] = (20.0, 80.0)
    ebv_scale: float = 0.05
    ebv_error: float = 0.01
    magnitude_error: float = 0.01
    grey_error: float = 0.01
    wavelength_error: float = 0.5
    exposure: float = 150.0
    outliers: float = 0.1
    teff: tuple[float, float] = TEFF_RANGE
    prior: str = "survey"

    def __post_init__(self) -> None:
        if not isinstance(self.prior, str) or self.prior not in PRIORS:
            raise InputError(f"prior is {self.prior!r}; {' and '.join(PRIORS)} are allowed")
        checked: dict[str, Any] = {name: self._range(name) for name in _RANGES}
        for name, (unit, largest) in _NUMBERS.items():
            checked[name] = positive_number(getattr(self, name), name, unit, zero=True)
            if checked[name] > largest:
                raise InputError(f"{name} is {getattr(self, name)}; 0 to {largest:g} is allowed")
        checked["exposure"] = positive_number(self.exposure, "exposure", u.s)
        if checked["exposure"] > 1e9:
            raise InputError(f"exposure is {self.exposure}; 1e9 seconds or less are allowed")
        checked["outliers"] = plain_number(self.outliers, "outliers")
        if not 0 <= checked["outliers"] < 1:
            raise InputError(f"outliers is {self.outliers}; a fraction from 0 to below 1 is needed")
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def _range(self, name):
        """A setting of two ascending numbers."""
        unit, least, largest = _RANGES[name]
        given = getattr(self, name)
        if getattr(given, "unit", None) == u.ABmag:
            given = given.value
        values = finite_array(given, name, unit)
        if values.shape != (2,) or not least <= values[0] <= values[1] <= largest:
            raise InputError(f"{name} is {getattr(self, name)}; two ascending numbers from "
                             f"{least:g} to {largest:g} are needed")
        return tuple(values.tolist())
