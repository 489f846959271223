"""
Slitless instruments: bands, line-spread functions, dispersion, noise, throughput.

Descriptions of several instruments are packaged; their throughputs are not, and come
from a file of yours (`read_throughput`).  ``lookalike`` alone has one, made up of simple
functions, for demonstrations and tests.
"""

import json
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.slitless import LineSpread, SecondOrder, photons_per_flux

__all__ = ["SlitlessBand", "SlitlessInstrument", "Throughput", "get_instrument",
           "list_instruments", "named_bands", "read_throughput"]

#: What predicted SEDs cover, in Angstrom.
SED_RANGE = (2500.0, 10500.0)
_COLUMNS = {"wavelength": ("wavelength", "wave", "lambda", "wavelen"),
            "value": ("sensitivity", "throughput", "transmission", "response"),
            "error": ("error", "sensitivity_error", "throughput_error", "err")}


@dataclass(frozen=True)
class Throughput:
    """
    A throughput curve: wavelength (Angstrom), share of photons counted, its error.
    """

    wavelength: np.ndarray
    value: np.ndarray
    error: np.ndarray | None = None

    def __call__(self, wavelength):
        """The throughput at wavelengths in Angstrom, zero outside."""
        return np.interp(wavelength, self.wavelength, self.value, left=0.0, right=0.0)

    def to_synphot(self):
        """As a `synphot.SpectralElement`."""
        from synphot import SpectralElement
        from synphot.models import Empirical1D

        return SpectralElement(Empirical1D, points=self.wavelength * u.AA,
                               lookup_table=self.value, fill_value=0.0)


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
    second_order : `~sedflux.slitless.SecondOrder` or None
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


def as_throughput(throughput, *, area):
    """A `Throughput` from whatever describes one; see `SlitlessBand.with_throughput`."""
    if isinstance(throughput, Throughput):
        return throughput
    if isinstance(throughput, (str, Path)):
        return read_throughput(throughput, area=area)
    if hasattr(throughput, "throughput") and hasattr(throughput, "good"):
        return Throughput(throughput.wavelength[throughput.good],
                          throughput.throughput[throughput.good],
                          throughput.sigma[throughput.good])
    if hasattr(throughput, "waveset") and callable(throughput):
        if throughput.waveset is None:
            raise InputError("the SpectralElement has no defined range of wavelengths")
        points = throughput.waveset.to_value(u.AA)
        return _checked(points, throughput(points * u.AA).value, None, "the SpectralElement")
    raise InputError(f"throughput is a {type(throughput).__name__}; give a path, a "
                     "synphot.SpectralElement, a sedflux.Throughput or a ResponseCurve")


def read_throughput(path, *, area=None):
    """
    Read a throughput or a sensitivity.

    aXe sensitivities (FITS: WAVELENGTH, SENSITIVITY, ERROR, in electron/s a
    erg/s/cm2/Angstrom) are divided by ``area * lambda / (h c)``; synphot and stsynphot files
    (FITS: WAVELENGTH, THROUGHPUT) and plain tables (ECSV, CSV, two columns of text) are
    throughputs.  Wavelengths are in Angstrom unless the column has another unit; below
    100 they are taken as micrometres.

    Parameters
    ----------
    path : path-like
    area : `~astropy.units.Quantity`, optional
        Collecting area, for sensitivities.

    Returns
    -------
    throughput : `Throughput`

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is missing, has other columns, or values that cannot be.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"throughput file {str(path)!r} does not exist; give the path of a table")
    table = _read_table(path)
    wavelength, value, error = (_column(table, kind, path) for kind in _COLUMNS)
    unit = table.meta.get("units", {}).get(wavelength.name, wavelength.unit)
    wavelength = np.asarray(wavelength, dtype=float) * _to_angstrom(unit, path)
    value = np.asarray(value, dtype=float)
    error = None if error is None else np.asarray(error, dtype=float)
    if wavelength.max(initial=0.0) < 100.0:
        wavelength = wavelength * 1e4
    if np.nanmax(value, initial=0.0) > 1e3:
        if area is None:
            raise InputError(f"{path.name} holds a sensitivity (up to {np.nanmax(value):.2g}); "
                             "give the collecting area to turn it into a throughput")
        scale = u.Quantity(area).to_value(u.cm**2) * photons_per_flux(wavelength)
        value, error = value / scale, None if error is None else error / scale
    return _checked(wavelength, value, error, path.name)


def _read_table(path):
    """A table in FITS or text."""
    try:
        if path.suffix.lower() in (".fits", ".fit", ".fz", ".gz"):
            with fits.open(path, memmap=False) as hdus:
                index = next((i for i, hdu in enumerate(hdus)
                              if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU))), None)
                if index is None:
                    raise InputError(f"{path.name} holds no table; a throughput needs the columns "
                                     "WAVELENGTH and THROUGHPUT or SENSITIVITY")
                return _plain_table(hdus[index])
        return Table.read(path, format="ascii.ecsv" if path.suffix == ".ecsv" else "ascii")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path.name} cannot be read as a table ({error})") from error


def _plain_table(hdu):
    """A table whose units are left as text: synphot's ANGSTROMS are no unit of FITS."""
    table = Table({column.name: np.asarray(hdu.data[column.name]) for column in hdu.columns})
    table.meta["units"] = {column.name: column.unit for column in hdu.columns}
    return table


def _to_angstrom(unit, path):
    """Factor from a unit, an object or a text, to Angstrom."""
    text = str(unit or "").strip().lower()
    if text in ("", "a", "none", "angstrom", "angstroms"):
        return 1.0
    try:
        return u.Unit(text).to(u.AA)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path.name} has wavelengths in {unit!r}; Angstrom, nm and um are "
                         "understood") from error


def _column(table, kind, path):
    """A column by its usual names; the first and second of tables without any."""
    names = {name.lower(): name for name in table.colnames}
    for name in _COLUMNS[kind]:
        if name in names:
            return table[names[name]]
    if kind == "error":
        return None
    place = ("wavelength", "value").index(kind)
    if "col1" in names and len(table.colnames) > place:
        return table.columns[place]
    raise InputError(f"{path.name} has the columns {', '.join(table.colnames)}; one of "
                     f"{', '.join(_COLUMNS[kind])} is needed")


def _checked(wavelength, value, error, name):
    """Ascending, finite and between 0 and 1."""
    good = np.isfinite(wavelength) & np.isfinite(value)
    wavelength, value = wavelength[good], value[good]
    error = None if error is None else error[good]
    wavelength, first = np.unique(wavelength, return_index=True)
    value, error = value[first], None if error is None else error[first]
    if wavelength.size < 3 or value.min() < -0.01 or not 0.0 < value.max() <= 1.5:
        raise InputError(f"{name} has {wavelength.size} values from {value.min(initial=0):.3g} to "
                         f"{value.max(initial=0):.3g}; a throughput is between 0 and 1")
    return Throughput(wavelength, np.clip(value, 0.0, None), error)
