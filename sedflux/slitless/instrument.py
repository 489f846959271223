"""
Slitless instruments: bands, line-spread functions, dispersion, noise, throughput.

The package has descriptions of several instruments, without throughputs, which are read from
files (`read_throughput`).  Only ``lookalike`` has a throughput, a product of simple functions for
demonstrations and tests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.slitless.forward import SecondOrder
from sedflux.slitless.line_spread import LineSpread
from sedflux.slitless.throughput import Throughput, as_throughput, collecting_area
from sedflux.spectra.grids import SED_RANGE
from sedflux.units import finite_array, plain_number, positive_number

__all__ = ["SlitlessBand", "SlitlessInstrument", "described_instrument", "get_instrument",
           "list_instruments"]

#: Largest number of pixels of a band along the dispersion; larger detectors do not exist.
_MOST_PIXELS = 100_000
#: Step (Angstrom) of the throughput of ``lookalike``, and its margin beyond the band.
_SHAPE_STEP, _SHAPE_MARGIN = 2.0, 200.0


@dataclass(frozen=True, repr=False)
class SlitlessBand:
    """
    One band (grating or prism) of an instrument.

    Attributes
    ----------
    name : str
    area : `~astropy.units.Quantity`
        Collecting area.
    wavelength_range : tuple of float
        First and last wavelength in Angstrom; a Quantity is converted.
    line_spread : `~sedflux.LineSpread` or None
    dispersion : tuple of float
        Coefficients of the wavelength (Angstrom) as a polynomial of the pixel number, the
        constant first.
    pixels : int
        Number of pixels along the dispersion.
    throughput : `Throughput` or None
    second_order : `~sedflux.slitless.forward.SecondOrder` or None
    sky, dark : float
        Background and dark current in electron/s per detector pixel.
    read_noise : float
        Electrons per detector pixel.
    height : float
        Number of detector rows that are extracted.
    detector_size : tuple of float
        Pixels of a detector in x and y.

    Examples
    --------
    >>> from astropy import units as u
    >>> from sedflux import LineSpread, SlitlessBand
    >>> band = SlitlessBand(name="P1", area=3.1 * u.m**2, wavelength_range=(8000, 10400),
    ...                     line_spread=LineSpread.from_resolving_power(200.0),
    ...                     dispersion=(7800.0, 24.5), pixels=110)
    >>> band.wavelength_range
    (8000.0, 10400.0)
    """

    name: str
    area: u.Quantity
    wavelength_range: tuple[float, float]
    line_spread: LineSpread | None
    dispersion: tuple[float, ...]
    pixels: int
    throughput: Throughput | None = None
    second_order: SecondOrder | None = None
    sky: float = 0.0
    dark: float = 0.0
    read_noise: float = 0.0
    height: float = 1.0
    detector_size: tuple[float, float] = (4096.0, 4096.0)

    def __repr__(self) -> str:
        low, high = self.wavelength_range
        return (f"<SlitlessBand {self.name}: {low:.0f}-{high:.0f} Angstrom, "
                f"{'no throughput' if self.throughput is None else 'with its throughput'}>")

    def __post_init__(self) -> None:
        try:
            collecting_area(self.area)
            self._check_wavelengths()
            self._check_numbers()
        except InputError as error:
            raise InputError(f"band {self.name!r}: {error}") from error
        for name, kind in (("line_spread", LineSpread), ("throughput", Throughput),
                           ("second_order", SecondOrder)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise InputError(f"band {self.name!r}: {name} is a {type(value).__name__}; "
                                 f"a {kind.__name__} or None is needed")

    def _check_wavelengths(self):
        """Check the range and the dispersion; keep them as plain numbers."""
        limits = finite_array(self.wavelength_range, "wavelength_range", u.AA)
        if limits.shape != (2,) or not 0 < limits[0] < limits[1]:
            raise InputError(f"wavelength_range is {self.wavelength_range}; two positive, "
                             "ascending wavelengths are needed")
        pixels = plain_number(self.pixels, "pixels")
        if pixels != int(pixels) or not 2 <= pixels <= _MOST_PIXELS:
            raise InputError(f"pixels is {self.pixels!r}; a whole number from 2 to "
                             f"{_MOST_PIXELS} is needed")
        dispersion = finite_array(self.dispersion, "dispersion")
        if dispersion.ndim != 1 or dispersion.size < 2:
            raise InputError(f"dispersion is {self.dispersion}; two or more coefficients of a "
                             "polynomial are needed, the constant first")
        values = {"wavelength_range": tuple(limits.tolist()), "pixels": int(pixels),
                  "dispersion": tuple(dispersion.tolist())}
        for name, value in values.items():
            object.__setattr__(self, name, value)
        if np.any(np.diff(self._every_wavelength(0.0)) <= 0):
            raise InputError(f"dispersion is {self.dispersion}; wavelengths must ascend over the "
                             f"{self.pixels} pixels: count pixels from the blue end")

    def _check_numbers(self):
        """Check the noise and the sizes; keep them as plain numbers."""
        for name, unit in (("sky", u.electron / u.s), ("dark", u.electron / u.s),
                           ("read_noise", u.electron), ("height", u.pix)):
            number = positive_number(getattr(self, name), name, unit, zero=name != "height")
            object.__setattr__(self, name, number)
        object.__setattr__(self, "detector_size", _checked_size(self.detector_size,
                                                                "detector_size"))

    def _every_wavelength(self, shift):
        """Centres of all pixels in Angstrom."""
        return np.polynomial.polynomial.polyval(np.arange(self.pixels) + shift, self.dispersion)

    @property
    def covered(self) -> tuple[float, float] | None:
        """Part of the band's range that SEDs of 2500-10500 Angstrom cover, or None."""
        low = max(self.wavelength_range[0], SED_RANGE[0])
        high = min(self.wavelength_range[1], SED_RANGE[1])
        return (low, high) if low < high else None

    def wavelengths(self, *, shift: float = 0.0) -> np.ndarray:
        """
        Centres of the pixels that lie in the covered range, shape (p,).

        Parameters
        ----------
        shift : float, optional
            Pixels by which the spectrum is moved on the detector.

        Returns
        -------
        wavelength : `~numpy.ndarray`, shape (p,)
            Angstrom.
        """
        every = self._every_wavelength(plain_number(shift, "shift"))
        step = np.gradient(every)
        if self.covered is None or np.any(step <= 0):
            raise InputError(f"band {self.name!r} has no ascending pixels between "
                             f"{SED_RANGE[0]:.0f} and {SED_RANGE[1]:.0f} Angstrom")
        low, high = self.covered
        return every[(every - step > low) & (every + step < high)]

    def with_throughput(self, throughput: Any) -> SlitlessBand:
        """
        The band with a throughput.

        Parameters
        ----------
        throughput : path-like, `Throughput`, `synphot.SpectralElement` or `~sedflux.ResponseCurve`

        Returns
        -------
        band : `SlitlessBand`

        Raises
        ------
        sedflux.exceptions.InputError
            If it is no throughput, or is zero over the whole band.
        """
        found = as_throughput(throughput, area=self.area)
        low, high = self.wavelength_range
        inside = (found.wavelength > low) & (found.wavelength < high)
        if not np.any(found.value[inside] > 0) and not np.any(found([low, high]) > 0):
            raise InputError(
                f"the throughput for band {self.name!r} is zero from {low:.0f} to {high:.0f} "
                f"Angstrom; it covers {found.wavelength[0]:.0f} to {found.wavelength[-1]:.0f}")
        return replace(self, throughput=found)


@dataclass(frozen=True, repr=False)
class SlitlessInstrument:
    """
    A slitless spectrograph.

    Attributes
    ----------
    name, title, note : str
    bands : dict of str to `SlitlessBand`
    size : tuple of float
        Pixels of a detector in x and y.
    sources : dict of str to str
        Origin of the numbers, by kind of number.

    Examples
    --------
    >>> from sedflux import get_instrument
    >>> instrument = get_instrument("csst")
    >>> list(instrument.bands), instrument.bands["GV"].wavelength_range
    (['GU', 'GV', 'GI'], (4000.0, 6200.0))
    """

    name: str
    title: str
    note: str
    bands: dict[str, SlitlessBand] = field(default_factory=dict)
    size: tuple[float, float] = (4096.0, 4096.0)
    sources: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<SlitlessInstrument {self.name} with {', '.join(self.bands) or 'no band'}>"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _checked_size(self.size, "size"))

    def with_throughputs(self, throughputs: Mapping[str, Any]) -> SlitlessInstrument:
        """
        The instrument with the throughputs of some bands.

        Parameters
        ----------
        throughputs : mapping of str to path-like or others
            See `SlitlessBand.with_throughput`; other bands do not change.

        Returns
        -------
        instrument : `SlitlessInstrument`
        """
        unknown = sorted(set(throughputs) - set(self.bands))
        if unknown:
            raise InputError(f"band {unknown[0]!r} is unknown; {self.name} has "
                             f"{', '.join(self.bands)}")
        bands = {name: band.with_throughput(throughputs[name]) if name in throughputs else band
                 for name, band in self.bands.items()}
        return replace(self, bands=bands)


def _checked_size(size, name):
    """Size of a detector: two positive numbers."""
    array = finite_array(size, name, u.pix)
    if array.shape != (2,) or array.min() <= 0:
        raise InputError(f"{name} is {size}; the pixels in x and y are needed, two positive "
                         "numbers")
    return tuple(array.tolist())


def list_instruments() -> tuple[str, ...]:
    """
    Names of the instruments in the package.

    Examples
    --------
    >>> from sedflux import list_instruments
    >>> list_instruments()[:3]
    ('csst', 'lookalike', 'hst-acs-g800l')
    """
    return tuple(_descriptions())


def _descriptions():
    """The packaged descriptions: dict of name to dict."""
    return json.loads(resources.files("sedflux").joinpath("data", "instruments.json").read_text())


def get_instrument(name: str) -> SlitlessInstrument:
    """
    An instrument of the package, by name.

    Parameters
    ----------
    name : str
        One of `list_instruments`.

    Returns
    -------
    instrument : `SlitlessInstrument`
        Without throughputs, except ``lookalike``.

    Examples
    --------
    >>> from sedflux import get_instrument
    >>> get_instrument("csst").bands["GU"].covered
    (2550.0, 4000.0)
    """
    known = _descriptions()
    if not isinstance(name, str) or name not in known:
        raise InputError(f"instrument {name!r} is unknown; {', '.join(known)} are known.  Describe "
                         "others by a JSON or YAML file, or by sedflux.SlitlessBand")
    return described_instrument(name, known[name])


def described_instrument(name: str, one: Mapping[str, Any]) -> SlitlessInstrument:
    """
    An instrument from the numbers of its description.

    Parameters
    ----------
    name : str
    one : mapping
        As in ``data/instruments.json``.

    Returns
    -------
    instrument : `SlitlessInstrument`
    """
    bands = {band: _band(band, one, values) for band, values in one["bands"].items()}
    return SlitlessInstrument(name, one["title"], one["note"], bands, one["size"], one["sources"])


def _band(name, one, values):
    """One band from its description."""
    if "fwhm" in values:
        spread = LineSpread.from_fwhm(values["fwhm"])
    else:
        power = finite_array(values["resolving_power"], f"resolving_power of band {name}")
        if power.ndim and (power.ndim != 2 or power.shape[1] != 2):
            raise InputError(f"resolving_power of band {name} is {values['resolving_power']!r}; "
                             "one number, or pairs of wavelength and resolving power, are needed")
        spread = (LineSpread.from_resolving_power(power[:, 1], power[:, 0]) if power.ndim
                  else LineSpread.from_resolving_power(power))
    throughput = _shape(values["shape"], values["range"]) if "shape" in values else None
    return SlitlessBand(
        name, float(one["area_cm2"]) * u.cm**2, values["range"], spread, values["dispersion"],
        values["pixels"], throughput, sky=one["sky"], dark=one["dark"],
        read_noise=one["read_noise"], height=one["height"], detector_size=one["size"])


def _shape(shape, limits):
    """A throughput with two logistic edges, a slope and a ripple."""
    wavelength = np.arange(limits[0] - _SHAPE_MARGIN, limits[1] + _SHAPE_MARGIN, _SHAPE_STEP)
    place = (wavelength - shape["low"]) / (shape["high"] - shape["low"]) - 0.5
    value = shape["peak"] / (1.0 + 0.5 * abs(shape["slope"])) * (1.0 + shape["slope"] * place)
    value *= 1.0 + shape["ripple"] * np.sin(2.0 * np.pi * wavelength / shape["period"])
    value /= 1.0 + np.exp(-(wavelength - shape["low"]) / shape["edge"])
    value /= 1.0 + np.exp((wavelength - shape["high"]) / shape["edge"])
    return Throughput(wavelength, value)
