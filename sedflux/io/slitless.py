"""
Read what slitless pipelines extract, as counts for `sedflux.fit_response`.

Layouts: ``axe`` (SPC files), ``grizli`` (1D files), ``slitlessutils`` (x1d files), or any table
whose columns are named by the user.  A model of the light of neighbours becomes a part of the
error, and is taken away where the pipeline did not do so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty

from sedflux.exceptions import InputError
from sedflux.io.reading import check_wavelengths, open_fits
from sedflux.units import positive_number

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["CONTAMINATION_ERROR", "LAYOUTS", "read_counts"]

#: Default relative error of a model of contamination, a round number.
CONTAMINATION_ERROR = 0.2
#: Columns that a table can have; the first three are needed.
_ROLES = ("wavelength", "rate", "error", "contamination", "flux", "mask")
#: Count rates in a pixel, and in an interval of wavelength.
_RATE, _DENSITY = u.electron / u.s, u.electron / u.s / u.AA
#: Spellings of units in these files that astropy does not know.
_SPELLINGS = {"e-/s": "electron/s", "e/s": "electron/s", "angstroms": "Angstrom",
              "counts/s": "ct/s", "electrons/s": "electron/s",
              "e-/s/A": "electron/(s Angstrom)"}


@dataclass(frozen=True)
class _Layout:
    """
    How a pipeline writes extracted spectra.

    Attributes
    ----------
    columns : dict of str to str
        Column of each role.
    unit : `~astropy.units.Unit`
        Of the rates.
    subtracted : bool
        Whether contamination is taken away already.
    """

    columns: Mapping[str, str]
    unit: u.UnitBase
    subtracted: bool


#: Layouts by name.  In SPC files contamination is a flux, as the column FLUX.
LAYOUTS = {
    "axe": _Layout({"wavelength": "LAMBDA", "rate": "COUNT", "error": "ERROR",
                    "contamination": "CONTAM", "flux": "FLUX", "mask": "DQ"}, _RATE, False),
    "grizli": _Layout({"wavelength": "wave", "rate": "flux", "error": "err",
                       "contamination": "contam"}, _RATE, True),
    "slitlessutils": _Layout({"wavelength": "lamb", "rate": "flam", "error": "func",
                              "contamination": "cont"}, _DENSITY, False),
}


def read_counts(path: str | os.PathLike[str], *, layout: str | None = None,
                columns: Mapping[str, str] | None = None, order: str = "A",
                subtracted: bool | None = None, scale: float = 1.0,
                contamination_error: float = CONTAMINATION_ERROR) -> dict[str, Spectrum]:
    """
    Extracted spectra of a pipeline as counts.

    Parameters
    ----------
    path : path-like
        FITS file with one binary table a spectrum.
    layout : {'axe', 'grizli', 'slitlessutils'}, optional
        By default that whose columns the tables have.
    columns : mapping of str to str, optional
        Columns of a table in another layout: of ``wavelength``, ``rate`` and ``error``, and, if
        there are any, ``contamination`` (in the unit of the rate) and ``mask`` (true or above zero
        where a pixel is bad).  Their units are needed in the file.
    order : str, optional
        Beam of SPC files; ``A`` is the first order.
    subtracted : bool, optional
        Whether contamination is taken away from the rates already; by default as the pipeline
        does: grizli takes it away, the others do not.
    scale : float, optional
        Electron/s/Angstrom for a value of 1 of x1d files; 1 for a sensitivity of 1e17, with which
        their flux of 1e-17 erg/s/cm2/Angstrom is a count rate.
    contamination_error : float, optional
        Relative error of the contamination, which is added to the error of every pixel in
        quadrature.

    Returns
    -------
    counts : dict of str to `~specutils.Spectrum`
        In electron/s a pixel, by the number of the source (aXe, slitlessutils), by the name of the
        grism (grizli), or by the name or number of the extension.

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is damaged or in another layout, or an option is wrong.

    Examples
    --------
    >>> from sedflux.io.slitless import LAYOUTS
    >>> sorted(LAYOUTS)
    ['axe', 'grizli', 'slitlessutils']
    """
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"layout is {layout!r}; one of {', '.join(LAYOUTS)} is allowed, or give "
                         "columns")
    if layout is not None and columns is not None:
        raise InputError(f"layout is {layout!r} and columns are given too; give one of them")
    scale = positive_number(scale, "scale")
    error = positive_number(contamination_error, "contamination_error", zero=True)
    chosen = None if columns is None else _own_layout(columns)
    found: dict[str, Spectrum] = {}
    with open_fits(path, "extracted spectra") as hdus:
        for number, hdu in enumerate(hdus):
            if not isinstance(hdu, fits.BinTableHDU):
                continue
            here = chosen or _layout_of(hdu, layout)
            if here is None or (here is LAYOUTS["axe"] and _beam(hdu) not in ("", order)):
                continue
            name = _name(hdu, number)
            if name in found:
                raise InputError(f"{path} has two spectra called {name!r}; give each its number")
            taken = here.subtracted if subtracted is None else subtracted
            found[name] = _spectrum(hdu, here, f"{path}[{number}]", taken=taken, scale=scale,
                                    contamination_error=error)
    if not found:
        raise InputError(f"{path} has no extracted spectra{_asked(layout, order)}; its tables need "
                         "the columns of one layout (LAMBDA COUNT ERROR; wave flux err; lamb flam "
                         "func), or name them with columns")
    return found


def _asked(layout, order):
    """What was looked for, for a message."""
    return "" if layout is None else f" in the layout {layout}" + (
        f" and of the beam {order}" if layout == "axe" else "")


def _own_layout(columns):
    """The layout that a user describes."""
    if not isinstance(columns, Mapping) or not set(_ROLES[:3]) <= set(columns) or not (
            set(columns) <= set(_ROLES) - {"flux"}):
        raise InputError(f"columns is {columns!r}; a mapping with wavelength, rate and error is "
                         "needed, and if there are any contamination and mask")
    return _Layout({role: str(name) for role, name in columns.items()}, u.dimensionless_unscaled,
                   False)


def _layout_of(hdu, name):
    """The layout of a table, None if it has other columns."""
    wanted = LAYOUTS.values() if name is None else [LAYOUTS[name]]
    names = set(hdu.columns.names)
    return next((one for one in wanted
                 if {one.columns[role] for role in _ROLES[:3]} <= names), None)


def _beam(hdu):
    """Letter of the beam of an SPC table, empty if its name has none."""
    found = re.fullmatch(r"BEAM_\d+([A-Z])", hdu.name)
    return found.group(1) if found else ""


def _name(hdu, number):
    """Number of the source, or name or number of the extension."""
    found = re.fullmatch(r"BEAM_(\d+)[A-Z]", hdu.name)
    if found:
        return found.group(1)
    if "SEGID" in hdu.header:
        return str(hdu.header["SEGID"])
    return hdu.name or str(number)


def _column(hdu, layout, role, label):
    """A column as numbers, None if the layout has none."""
    name = layout.columns.get(role)
    if name is None or (name not in hdu.columns.names and role not in _ROLES[:3]):
        return None
    if name not in hdu.columns.names:
        raise InputError(f"{label} has no column {name!r}; it has {', '.join(hdu.columns.names)}")
    values = np.asarray(hdu.data[name])
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise InputError(f"column {name!r} of {label} has the type {values.dtype} and "
                         f"{values.ndim} dimensions; one number a row is needed")
    return values.astype(float)


def _unit(hdu, layout, role, label):
    """Unit of a column that the user names."""
    name = layout.columns[role]
    text = str(hdu.columns[name].unit or "").strip()
    try:
        unit = u.Unit(_SPELLINGS.get(text, text))
    except ValueError:
        unit = u.dimensionless_unscaled
    if unit == u.dimensionless_unscaled:
        raise InputError(f"column {name!r} of {label} has the unit {text!r}, which is not known; "
                         "set TUNIT in the header, such as electron/s or Angstrom")
    return unit


def _scales(hdu, layout, label, scale):
    """Factors to Angstrom and to electron/s, and whether the rates are those of an Angstrom."""
    if layout.unit != u.dimensionless_unscaled:
        return 1.0, scale if layout.unit == _DENSITY else 1.0, layout.unit == _DENSITY
    wavelength, rate = (_unit(hdu, layout, role, label) for role in ("wavelength", "rate"))
    if not wavelength.is_equivalent(u.AA):
        raise InputError(f"the wavelengths of {label} have the unit {wavelength}; a length is "
                         "needed")
    for wanted, dense in ((_RATE, False), (_DENSITY, True)):
        for counts in (u.electron, u.ct, u.ph):
            if rate.is_equivalent(wanted / u.electron * counts):
                return wavelength.to(u.AA), rate.to(wanted / u.electron * counts), dense
    raise InputError(f"the rates of {label} have the unit {rate}; electron/s or "
                     "electron/(s Angstrom) is needed")


def _spectrum(hdu, layout, label, *, taken, scale, contamination_error):
    """One table as counts in electron/s a pixel."""
    from specutils import Spectrum

    values: dict[str, Any] = {role: _column(hdu, layout, role, label) for role in _ROLES}
    to_angstrom, to_rate, dense = _scales(hdu, layout, label, scale)
    wavelength = to_angstrom * values["wavelength"]
    order = np.argsort(wavelength)
    check_wavelengths(wavelength[order], label)
    values = {role: None if one is None else one[order] for role, one in values.items()}
    wavelength = wavelength[order]
    width = to_rate * (np.gradient(wavelength) if dense else 1.0)
    rate, error = width * values["rate"], width * values["error"]
    light, unsure = _contamination(values, width)
    if not taken:
        rate = rate - light
    mask = ~(np.isfinite(rate) & np.isfinite(error) & (error > 0)) | unsure
    if values["mask"] is not None:
        mask |= values["mask"] != 0
    error = np.hypot(error, contamination_error * light)
    return Spectrum(spectral_axis=wavelength * u.AA, flux=np.where(mask, 0.0, rate) * _RATE,
                    uncertainty=StdDevUncertainty(np.where(mask, 1.0, error) * _RATE), mask=mask)


def _contamination(values, width):
    """Rates of the light of neighbours, zero where it is not known, and where pixels are unsure."""
    light, none = values["contamination"], np.zeros(values["rate"].size, dtype=bool)
    if light is None:
        return np.zeros(none.size), none
    light = np.where(np.isfinite(light), light, 0.0)
    if values["flux"] is None:
        return width * light, none
    if (light == np.round(light)).all():
        # aXe counts the neighbours (-1 where it did not look) instead of modelling their light.
        return np.zeros(none.size), light > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = values["rate"] / values["flux"]
    known = np.isfinite(ratio) & (ratio > 0)
    return width * np.where(known, light * np.where(known, ratio, 0.0), 0.0), ~known & (light > 0)
