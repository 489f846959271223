"""
Hydrogen white dwarfs of a field: how many there are by magnitude and temperature.

The counts follow from a constant birth rate, the time that a white dwarf takes to cool, its
absolute magnitude, and the thickness of the disc; dust is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.predict.models import WHITE_DWARF_MODEL
from sedflux.simulate.stars import LibraryStars, ModelStars, single_predictor
from sedflux.units import finite_array, positive_number, whole_number

if TYPE_CHECKING:
    from sedflux.libraries.library import SpectralLibrary
    from sedflux.predict.prediction import SEDPrediction

__all__ = ["WhiteDwarfStars", "WhiteDwarfs", "checked_white_dwarfs", "draw_magnitudes",
           "white_dwarf_counts"]

#: Births of hydrogen white dwarfs near the Sun, per cubic parsec and year (Verbeek et al. 2013).
_BIRTH_RATE = 5.4e-13
#: Scale height of the disc in parsec (Harris et al. 2006).
_SCALE_HEIGHT = 250.0
#: Mass and radius of a white dwarf of log g = 8, in those of the Sun.
_MASS, _RADIUS = 0.6, 0.0127
#: Cooling time in years at the luminosity of the Sun, and its power of the luminosity: Mestel's
#: law in the numbers of Iben & Tutukov (1984), for a mean atomic mass of 14 and this mass.
_COOLING_TIME, _COOLING_POWER = 8.8e6 * (12.0 / 14.0) * _MASS ** (5.0 / 7.0), -5.0 / 7.0
#: Effective temperature of the Sun in K.
_SUN = 5772.0
#: Absolute AB magnitudes (5600-7000 Angstrom) by temperature (K): fluxes of Koester's models of
#: log g = 8 at this radius.
_ABSOLUTE = ((7000.0, 10000.0, 15000.0, 20000.0, 30000.0, 50000.0, 80000.0),
             (13.47, 12.29, 11.51, 11.05, 10.32, 9.62, 9.21))
#: Square degrees of the sky.
_SKY = 41252.96
#: Temperatures per integral over them, and magnitudes per interval from which they are drawn.
_STEPS, _MAGNITUDES = 400, 200
#: Allowed temperatures (K) and magnitudes.
_TEFF_LIMITS, _MAGNITUDE_LIMITS = (_ABSOLUTE[0][0], _ABSOLUTE[0][-1]), (-5.0, 40.0)


@dataclass(frozen=True)
class WhiteDwarfs:
    """
    Hydrogen white dwarfs of a simulated field, beside its ordinary stars.

    Attributes
    ----------
    number : int, optional
        How many; if it is not given, as many as ``area`` has, drawn at random.
    area : float, optional
        Of the field, in square degrees.
    magnitudes : tuple of float
        Brightest and faintest AB magnitude (5600-7000 Angstrom).
    teff : tuple of float
        Range of effective temperature in K, within 7000-80000.
    model : str, path-like or `~sedflux.Predictor`
        That predicts their SEDs.
    library : `~sedflux.libraries.SpectralLibrary`, optional
        Models with their spectra and true SEDs; by default, the references of ``model``.

    Raises
    ------
    sedflux.exceptions.InputError
        If an attribute is out of range, or neither or both of number and area are given.

    Examples
    --------
    >>> from sedflux.simulate.white_dwarfs import WhiteDwarfs
    >>> dwarfs = WhiteDwarfs(number=5, magnitudes=(14, 18))
    >>> dwarfs.number, dwarfs.magnitudes
    (5, (14.0, 18.0))
    """

    number: int | None = None
    area: float | None = None
    magnitudes: tuple[float, float] = (14.0, 18.0)
    teff: tuple[float, float] = (12000.0, 80000.0)
    model: Any = WHITE_DWARF_MODEL
    library: SpectralLibrary | None = None

    def __post_init__(self) -> None:
        if (self.number is None) == (self.area is None):
            raise InputError(f"number is {self.number!r} and area is {self.area!r}; give one of "
                             "them: a number of white dwarfs, or the square degrees of the field")
        if self.number is not None:
            object.__setattr__(self, "number", whole_number(self.number, "number"))
        else:
            object.__setattr__(self, "area", _area(self.area))
        for name, unit, limits in (("magnitudes", u.mag, _MAGNITUDE_LIMITS),
                                   ("teff", u.K, _TEFF_LIMITS)):
            object.__setattr__(self, name, _pair(getattr(self, name), name, unit, limits))

    @property
    def expected(self) -> float:
        """Mean number in the field."""
        if self.area is None:
            return float(self.number or 0)
        low, high = white_dwarf_counts(self.magnitudes, teff=self.teff)
        return self.area * float(high - low)

    def draw_number(self, rng: np.random.Generator) -> int:
        """Number in one field."""
        return int(rng.poisson(self.expected)) if self.number is None else self.number


def checked_white_dwarfs(white_dwarfs: WhiteDwarfs | int | None) -> WhiteDwarfs | None:
    """White dwarfs, or their number, as `WhiteDwarfs`; None for none."""
    if white_dwarfs is None or isinstance(white_dwarfs, WhiteDwarfs):
        return white_dwarfs
    return WhiteDwarfs(number=whole_number(white_dwarfs, "white_dwarfs"))


class WhiteDwarfStars:
    """
    White dwarfs on the wavelengths of a field's ordinary stars.

    Parameters
    ----------
    white_dwarfs : `WhiteDwarfs`
    wavelength : `~numpy.ndarray`, shape (n,)
        Of the true SEDs of the field, in Angstrom.
    resolving_power : float or None
        Of the true SEDs of the field; None for those at full resolution.

    Attributes
    ----------
    labels : `~numpy.ndarray`, shape (k, 3)
        TEFF and LOGG of the models, and NaN.

    Raises
    ------
    sedflux.exceptions.InputError
        If the true SEDs of white dwarfs have another resolving power.
    """

    def __init__(self, white_dwarfs: WhiteDwarfs, wavelength: np.ndarray,
                 resolving_power: float | None) -> None:
        teff = white_dwarfs.teff
        self._predictor = single_predictor(white_dwarfs.model)
        self._source: LibraryStars | ModelStars
        if white_dwarfs.library is None:
            self._source = ModelStars(self._predictor, teff=teff, prior="flat")
        else:
            self._source = LibraryStars(white_dwarfs.library, teff=teff, prior="flat")
        if self._source.resolving_power != resolving_power:
            raise InputError("stars and white dwarfs have true SEDs of different resolving power; "
                             "give libraries of both, or of none")
        self.labels, self._wavelength = self._source.labels, wavelength
        self._magnitudes = white_dwarfs.magnitudes

    def draw(self, size: int, snr: np.ndarray, rng: np.random.Generator
             ) -> tuple[np.ndarray, np.ndarray, SEDPrediction, np.ndarray]:
        """
        Draw white dwarfs.

        Parameters
        ----------
        size : int
        snr : `~numpy.ndarray`, shape (size,)
            S/N per pixel of the input spectra.
        rng : `numpy.random.Generator`

        Returns
        -------
        rows : `~numpy.ndarray` of int, shape (size,)
            Of ``labels``.
        magnitude : `~numpy.ndarray`, shape (size,)
        prediction : `~sedflux.SEDPrediction`
            From noisy spectra.
        flux : `~numpy.ndarray`, shape (size, n)
            True SEDs.
        """
        rows, magnitude = draw_magnitudes(self.labels[:, 0], self._magnitudes, size, rng)
        prediction, flux = self._source.observe(rows, snr, self._predictor, rng)
        if not np.array_equal(self._source.wavelength, self._wavelength):
            flux = np.stack([np.interp(self._wavelength, self._source.wavelength, row)
                             for row in flux])
        return rows, magnitude, prediction, flux


def white_dwarf_counts(magnitude: npt.ArrayLike, *, teff: tuple[float, float] = (12000.0, 80000.0)
                       ) -> np.ndarray:
    """
    Hydrogen white dwarfs per square degree that are brighter than a magnitude.

    Averaged over the sky, without dust.

    Parameters
    ----------
    magnitude : array_like
        AB magnitude (5600-7000 Angstrom).
    teff : tuple of float, optional
        Range of effective temperature in K, within 7000-80000.

    Returns
    -------
    counts : `~numpy.ndarray`, shape of ``magnitude``

    Notes
    -----
    There are as many white dwarfs hotter than a temperature as are born in the time of cooling to
    it: 5.4e-13 per cubic parsec and year (Verbeek et al. 2013, +- 28 %), which gives
    3.0e-4 hotter than 10,000 K; they count (3.8 +- 1.1)e-4.  The time is Mestel's (Iben &
    Tutukov 1984).  It leaves out the neutrinos that cool young white dwarfs, so that there are
    fewer of the hottest than here.  The disc has a scale height of 250 pc (Harris et al. 2006).

    Examples
    --------
    One hot white dwarf brighter than 18 mag every few square degrees:

    >>> from sedflux.simulate.white_dwarfs import white_dwarf_counts
    >>> print(f"{white_dwarf_counts(18.0):.2f}")
    0.18
    """
    low, high = _pair(teff, "teff", u.K, _TEFF_LIMITS)
    edges = np.geomspace(low, high, _STEPS + 1)
    centre = np.sqrt(edges[1:] * edges[:-1])
    density = _BIRTH_RATE * -np.diff(_cooling_time(edges))
    magnitude = finite_array(magnitude, "magnitude", u.mag)
    return np.asarray(_volume(magnitude[..., None], centre) @ density)


def draw_magnitudes(teff: np.ndarray, magnitudes: tuple[float, float], size: int,
                    rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """
    Draw white dwarfs of a field from models, and their magnitudes.

    Parameters
    ----------
    teff : `~numpy.ndarray`, shape (k,)
        Effective temperatures of models in K, about uniform in their logarithm.
    magnitudes : tuple of float
        Brightest and faintest magnitude.
    size : int
    rng : `numpy.random.Generator`

    Returns
    -------
    rows : `~numpy.ndarray` of int, shape (size,)
        Of the models.
    magnitude : `~numpy.ndarray`, shape (size,)
    """
    limits = np.linspace(*magnitudes, _MAGNITUDES + 1)
    # Time that a white dwarf spends in an interval of ln(temperature) near each model.
    spent = -_COOLING_POWER * 4.0 * _cooling_time(teff)
    counts = np.diff(_volume(limits[:, None], teff), axis=0) * spent
    chances = np.maximum(counts, 0.0).sum(axis=0)
    rows = rng.choice(teff.size, size, p=chances / chances.sum())
    place = np.array([rng.choice(_MAGNITUDES, p=counts[:, row] / counts[:, row].sum())
                      for row in rows], dtype=int)
    return rows, limits[place] + rng.uniform(size=size) * (limits[1] - limits[0])


def _cooling_time(teff):
    """Time in years in which a white dwarf cools to temperatures in K."""
    luminosity = _RADIUS**2 * (np.asarray(teff) / _SUN) ** 4
    return _COOLING_TIME * luminosity**_COOLING_POWER


def _volume(magnitude, teff):
    """Cubic parsecs per square degree in which stars are brighter, weighted with the density."""
    absolute = np.interp(np.log(teff), np.log(_ABSOLUTE[0]), _ABSOLUTE[1])
    reach = 10 ** (0.2 * (magnitude - absolute) + 1.0) / _SCALE_HEIGHT
    # The integral of r^2 (1 - exp(-r)) / r, with the density averaged over the sky.  For small r
    # its terms cancel.
    exact = 0.5 * reach**2 - 1.0 + np.exp(-reach) * (1.0 + reach)
    series = reach**3 / 3.0 - reach**4 / 8.0
    return 4.0 * np.pi * _SCALE_HEIGHT**3 / _SKY * np.where(reach < 0.01, series, exact)


def _area(value):
    """An area in square degrees."""
    area = positive_number(value, "area", u.deg**2)
    if area > _SKY:
        raise InputError(f"area is {value}; the sky has {_SKY:.0f} square degrees: give the area "
                         "of the field")
    return area


def _pair(given, name, unit, limits):
    """Two ascending numbers within limits."""
    if getattr(given, "unit", None) == u.ABmag:
        given = given.value
    values = finite_array(given, name, unit)
    if values.shape != (2,) or not limits[0] <= values[0] < values[1] <= limits[1]:
        raise InputError(f"{name} is {given}; two ascending numbers from {limits[0]:g} to "
                         f"{limits[1]:g} are needed")
    return tuple(values.tolist())
