"""
Slitless instruments: bands, line-spread functions, dispersion, noise, throughput.

Descriptions of several instruments are packaged; their throughputs are not, and come
from a file of yours (`read_throughput`).  ``lookalike`` alone has one, made up of simple
functions, for demonstrations and tests.
"""

import json
from dataclasses import dataclass, field, replace
from importlib import resources

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.slitless.forward import SecondOrder
from sedflux.slitless.line_spread import LineSpread
from sedflux.slitless.throughput import Throughput, as_throughput

__all__ = ["SlitlessBand", "SlitlessInstrument", "get_instrument", "list_instruments",
           "named_bands"]

#: What predicted SEDs cover, in Angstrom.
SED_RANGE = (2500.0, 10500.0)


@dataclass(frozen=True)
class SlitlessBand:
    """
    One grating of an instrument.

    Attributes
    ----------
    name : str
    area : `~astropy.units.Quantity`
        Collecting area.
    wavelength_range : tuple of float
        Angstrom.
    line_spread : `~sedflux.LineSpread` or None
    dispersion : tuple of float
        Coefficients of the wavelength (Angstrom) as polynomial of the pixel, from the
        constant upwards.
    pixels : int
        Number of pixels along the dispersion.
    throughput : `Throughput` or None
    second_order : `~sedflux.slitless.forward.SecondOrder` or None
    sky, dark, read_noise, height : float
        Background and dark current in electron/s a detector pixel, electrons of read noise a
        pixel, and rows that are extracted.
    """

    name: str
    area: u.Quantity
    wavelength_range: tuple
    line_spread: LineSpread | None
    dispersion: tuple
    pixels: int
    throughput: Throughput | None = None
    second_order: SecondOrder | None = None
    sky: float = 0.0
    dark: float = 0.0
    read_noise: float = 0.0
    height: float = 1.0

    @property
    def covered(self):
        """Part of the range that SEDs of 2500-10500 Angstrom cover, or None."""
        low = max(self.wavelength_range[0], SED_RANGE[0])
        high = min(self.wavelength_range[1], SED_RANGE[1])
        return (low, high) if low < high else None

    def wavelengths(self, *, shift=0.0):
        """
        Centres of the pixels that lie in the covered range, shape (p,).

        Parameters
        ----------
        shift : float, optional
            Pixels by which the spectrum is moved on the detector.
        """
        every = np.polynomial.polynomial.polyval(np.arange(self.pixels) + shift, self.dispersion)
        step = np.gradient(every)
        if self.covered is None or np.any(step <= 0):
            raise InputError(f"band {self.name!r} has no ascending pixels between "
                             f"{SED_RANGE[0]:.0f} and {SED_RANGE[1]:.0f} Angstrom")
        low, high = self.covered
        return every[(every - step > low) & (every + step < high)]

    def with_throughput(self, throughput):
        """
        The band with a throughput.

        Parameters
        ----------
        throughput : path-like, `Throughput`, `synphot.SpectralElement` or `~sedflux.ResponseCurve`
        """
        return replace(self, throughput=as_throughput(throughput, area=self.area))


@dataclass(frozen=True)
class SlitlessInstrument:
    """
    A slitless spectrograph.

    Attributes
    ----------
    name, title, note : str
    bands : dict of str to `SlitlessBand`
    size : tuple of float
        Pixels of a detector in x and y.
    """

    name: str
    title: str
    note: str
    bands: dict = field(default_factory=dict)
    size: tuple = (4096.0, 4096.0)

    def with_throughputs(self, throughputs):
        """
        The instrument with the throughputs of some bands.

        Parameters
        ----------
        throughputs : mapping of str to path-like or others
            See `SlitlessBand.with_throughput`; bands that are not named stay as they are.
        """
        unknown = sorted(set(throughputs) - set(self.bands))
        if unknown:
            raise InputError(f"band {unknown[0]!r} is unknown; {self.name} has "
                             f"{', '.join(self.bands)}")
        bands = {name: band.with_throughput(throughputs[name]) if name in throughputs else band
                 for name, band in self.bands.items()}
        return replace(self, bands=bands)


def list_instruments():
    """
    Names of the instruments that are described.

    Examples
    --------
    >>> from sedflux import list_instruments
    >>> list_instruments()[:3]
    ('csst', 'lookalike', 'hst-acs-g800l')
    """
    return tuple(_descriptions())


def named_bands(name, files):
    """
    Bands of an instrument that have a throughput, as commands ask for them.

    Parameters
    ----------
    name : str
        One of `list_instruments`.
    files : sequence of str
        ``BAND=FILE``.

    Returns
    -------
    bands : dict of str to `SlitlessBand`
    named : tuple of str
        Those that ``files`` names.
    """
    wrong = [text for text in files if "=" not in text]
    if wrong:
        raise InputError(f"--throughput is {wrong[0]!r}; BAND=FILE is needed")
    pairs = dict(text.split("=", 1) for text in files)
    bands = {key: band for key, band in get_instrument(name).with_throughputs(pairs).bands.items()
             if band.throughput is not None}
    if not bands:
        raise InputError(f"{name} has no throughputs; give --throughput BAND=FILE")
    return bands, tuple(pairs)


def _descriptions():
    return json.loads(resources.files("sedflux").joinpath("data", "instruments.json").read_text())


def get_instrument(name):
    """
    Description of an instrument.

    Parameters
    ----------
    name : str
        One of `list_instruments`.

    Returns
    -------
    instrument : `SlitlessInstrument`
        Without throughputs, but for ``lookalike``.

    Examples
    --------
    >>> from sedflux import get_instrument
    >>> get_instrument("csst").bands["GU"].covered
    (2550, 4000)
    """
    known = _descriptions()
    if name not in known:
        raise InputError(f"instrument {name!r} is unknown; {', '.join(known)} are described.  "
                         "Build your own from sedflux.SlitlessBand")
    one = known[name]
    bands = {band: _band(band, one, values) for band, values in one["bands"].items()}
    return SlitlessInstrument(name, one["title"], one["note"], bands, tuple(one["size"]))


def _band(name, one, values):
    """One band from its description."""
    if "fwhm" in values:
        spread = LineSpread.from_fwhm(values["fwhm"])
    else:
        wavelength, power = np.array(values["resolving_power"], dtype=float).T
        spread = LineSpread.from_resolving_power(power, wavelength)
    throughput = _shape(values["shape"], values["range"]) if "shape" in values else None
    return SlitlessBand(
        name, one["area_cm2"] * u.cm**2, tuple(values["range"]), spread,
        tuple(values["dispersion"]), values["pixels"], throughput, sky=one["sky"],
        dark=one["dark"], read_noise=one["read_noise"], height=one["height"])


def _shape(shape, limits):
    """Two logistic edges, a slope and a ripple."""
    wavelength = np.arange(limits[0] - 200.0, limits[1] + 200.0, 2.0)
    place = (wavelength - shape["low"]) / (shape["high"] - shape["low"]) - 0.5
    value = shape["peak"] / (1.0 + 0.5 * abs(shape["slope"])) * (1.0 + shape["slope"] * place)
    value *= 1.0 + shape["ripple"] * np.sin(2.0 * np.pi * wavelength / shape["period"])
    value /= 1.0 + np.exp(-(wavelength - shape["low"]) / shape["edge"])
    value /= 1.0 + np.exp((wavelength - shape["high"]) / shape["edge"])
    return Throughput(wavelength, value)
