"""Bands as rows of weights on the wavelengths of an SED, with their zero points."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.photometry import band_rows
from sedflux.slitless.throughput import Throughput, as_throughput, collecting_area
from sedflux.spectra.sed import flux_of
from sedflux.units import PHOTON_ENERGY

__all__ = ["BandRows", "find_bands", "short_rows"]

#: Zero point of ST magnitudes, for F_lambda in erg/s/cm2/Angstrom.
_ST_ZERO = -21.10


@dataclass(frozen=True)
class BandRows:
    """
    b bands on n wavelengths; ``zero_points - 2.5 log10(weights @ flux)`` are the magnitudes.

    Attributes
    ----------
    names : tuple of str
    weights : tuple of `~numpy.ndarray`
        Of each band, without the zeros on both sides.
    places : tuple of slice
        Indices of the wavelengths of each band's weights.
    zero_points : `~numpy.ndarray`, shape (b,)
    """

    names: tuple[str, ...]
    weights: tuple[np.ndarray, ...]
    places: tuple[slice, ...]
    zero_points: np.ndarray

    def __len__(self) -> int:
        return len(self.names)


def find_bands(wavelength: np.ndarray, names: tuple[str, ...], systems: tuple[str, ...],
               bandpasses: Any, *, area: Any = None, vega: Any = None) -> BandRows:
    """
    Find the throughputs of bands by name, and turn them into weights.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Of the SED, ascending, in Angstrom.
    names, systems : tuple of str, length b
        Of the magnitudes.
    bandpasses : mapping
        Band to `synphot.SpectralElement`, `~sedflux.slitless.throughput.Throughput`, or the path
        of a file with a throughput.  Bands without magnitudes are ignored.
    area : `~astropy.units.Quantity`, optional
        Collecting area, for count rates.
    vega : `~specutils.Spectrum`, optional
        Flux of Vega, for Vega magnitudes; its wavelengths are in vacuum.

    Returns
    -------
    bands : `BandRows`

    Raises
    ------
    sedflux.exceptions.InputError
        If a band is unknown or not within the SED, or ``area`` or ``vega`` is missing.
    """
    if not isinstance(bandpasses, Mapping):
        raise InputError(f"bandpasses is {bandpasses!r}; give a mapping of band to "
                         "synphot.SpectralElement, Throughput or file")
    missing = [name for name in names if name not in bandpasses]
    if missing:
        raise InputError(f"photometry has the band {missing[0]!r}, bandpasses has "
                         f"{', '.join(map(str, bandpasses)) or 'none'}; give its throughput, or "
                         "leave the band out")
    found = {name: _element(bandpasses[name]) for name in names}
    _, (rows, zero_points) = band_rows(wavelength, found)
    zero_points = zero_points.copy()
    for index, (name, system) in enumerate(zip(names, systems, strict=True)):
        if system == "ST":
            zero_points[index] = _ST_ZERO
        elif system == "Vega":
            zero_points[index] = 2.5 * np.log10(_vega_flux(vega, name, found[name]))
        elif system == "counts":
            zero_points[index] = -2.5 * np.log10(_count_ratio(name, found[name], area))
    return short_rows(names, rows, zero_points)


def _element(band):
    """A band as `synphot.SpectralElement`; `band_rows` refuses other types."""
    if isinstance(band, (str, os.PathLike)):
        band = as_throughput(band, area=None)
    return band.to_synphot() if isinstance(band, Throughput) else band


def _vega_flux(vega, name, band):
    """Mean flux of Vega in a band."""
    if vega is None:
        raise InputError(f"magnitude of {name!r} is in the Vega system; give vega, the flux of "
                         "Vega as a Spectrum, such as alpha_lyr_stis_011.fits of CALSPEC")
    wavelength, flux, absolute = flux_of(vega)
    if not absolute:
        raise InputError("vega has no unit; its flux must be a flux density")
    order = np.argsort(wavelength)
    _, (rows, _) = band_rows(wavelength[order], {f"{name} of vega": band})
    return rows[0] @ flux[order]


def _count_ratio(name, band, area):
    """Count rate in a band for a mean flux of one."""
    if area is None:
        raise InputError(f"photometry of {name!r} is a count rate; give area, the collecting area")
    sampled = band.waveset.to_value(u.AA)
    photons = np.trapezoid(sampled * band(sampled * u.AA).value, sampled) / PHOTON_ENERGY
    return collecting_area(area) * photons


def short_rows(names: tuple[str, ...], rows: np.ndarray, zero_points: np.ndarray) -> BandRows:
    """
    Bands without the zeros around them.

    Parameters
    ----------
    names : tuple of str, length b
    rows : `~numpy.ndarray`, shape (b, n)
    zero_points : `~numpy.ndarray`, shape (b,)

    Returns
    -------
    bands : `BandRows`
    """
    places = []
    for row in rows:
        inside = np.flatnonzero(row)
        places.append(slice(int(inside[0]), int(inside[-1]) + 1))
    weights = tuple(row[place] for row, place in zip(rows, places, strict=True))
    return BandRows(tuple(names), weights, tuple(places), zero_points)

