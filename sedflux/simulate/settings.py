"""What a simulated field is like."""

from dataclasses import dataclass

from sedflux.exceptions import InputError
from sedflux.libraries.prior import PRIORS

__all__ = ["FieldSettings"]

#: Kinds of outliers, in turn.
OUTLIERS = ("contaminated", "variable", "wrong dust")


@dataclass(frozen=True)
class FieldSettings:
    """
    What a simulated field is like.

    Attributes
    ----------
    magnitudes : tuple of float
        Brightest and faintest AB magnitude (5600-7000 A); counts grow as 10^(0.3 m).
    snr : tuple of float
        Range of S/N a pixel of the R = 2000 spectra, even in the logarithm.
    ebv_scale, ebv_error, magnitude_error : float
        Mean of the exponential distribution of E(B-V); errors of what is known of it and of
        the magnitudes, in mag.
    grey_error : float
        Scatter of aperture losses, relative.
    wavelength_error : float
        Scatter of the wavelengths' zero point in Angstrom.
    exposure : float
        Seconds.
    outliers : float
        Share of stars that are not what they seem.
    teff : tuple of float
        Range of effective temperature in K.
    prior : {'survey', 'flat'}
        Distribution of the labels: as a magnitude-limited survey sees them, or even.
    """

    magnitudes: tuple = (13.5, 16.5)
    snr: tuple = (20.0, 80.0)
    ebv_scale: float = 0.05
    ebv_error: float = 0.01
    magnitude_error: float = 0.01
    grey_error: float = 0.01
    wavelength_error: float = 0.5
    exposure: float = 150.0
    outliers: float = 0.1
    teff: tuple = (5000.0, 9750.0)
    prior: str = "survey"

    def __post_init__(self):
        if self.prior not in PRIORS:
            raise InputError(f"prior is {self.prior!r}; {' and '.join(PRIORS)} are allowed")
        for name in ("ebv_scale", "ebv_error", "magnitude_error", "grey_error",
                     "wavelength_error"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        if not (0 <= self.outliers < 1 and self.exposure > 0 and min(self.snr) > 0):
            raise InputError(f"outliers is {self.outliers}, exposure {self.exposure}, snr "
                             f"{self.snr}; a share below 1 and positive numbers are needed")
