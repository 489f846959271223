"""Bands of a catalogue: the scale that a magnitude gives to an SED, and magnitudes in all bands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from sedflux.conditioning.result import ConditionedSEDs
from sedflux.exceptions import InputError
from sedflux.photometry import band_magnitudes, band_rows
from sedflux.predict.prediction import SEDPrediction
from sedflux.slitless.throughput import Throughput, as_throughput

__all__ = ["CatalogBands", "band_tables", "colours", "magnitudes_of"]


def band_tables(rows: Table, bands: Mapping[str, Any] | None) -> dict[str, list[list[float]]]:
    """
    Throughputs of the bands of a catalogue: given ones, and files named in the source.

    Parameters
    ----------
    rows : `~astropy.table.Table`
        From `~sedflux.catalog.sources.read_source`.
    bands : dict of str to path-like, `~sedflux.slitless.throughput.Throughput` or \
`synphot.SpectralElement`, or None

    Returns
    -------
    tables : dict of str to list
        Wavelengths in Angstrom and throughputs by the name of each band.

    Raises
    ------
    sedflux.exceptions.InputError
        If a throughput cannot be read, or a star has a magnitude without a band.
    """
    if bands is not None and not isinstance(bands, Mapping):
        raise InputError(f"bands is a {type(bands).__name__}; a mapping from names of bands to "
                         "throughputs is needed")
    found = {str(name): value for name, value in (bands or {}).items()}
    if "magnitude" in rows.colnames:
        measured = np.isfinite(np.asarray(rows["magnitude"], dtype=float))
        for name in np.unique(np.asarray(rows["band"], dtype=str)[measured]):
            # A name that is not among the bands is that of a file.
            found.setdefault(str(name), str(name))
    tables = {}
    for name, value in found.items():
        curve = as_throughput(value, area=None)
        tables[name] = [curve.wavelength.tolist(), curve.value.tolist()]
    return tables


@dataclass(frozen=True)
class CatalogBands:
    """
    Bands as rows of weights, to be multiplied with the fluxes of many SEDs.

    Attributes
    ----------
    names : tuple of str
    rows : `~numpy.ndarray`, shape (m, n)
    zero_points : `~numpy.ndarray`, shape (m,)
        ``-2.5 log10(rows @ flux) + zero_points`` are AB magnitudes.
    """

    names: tuple[str, ...]
    rows: np.ndarray
    zero_points: np.ndarray

    @classmethod
    def of(cls, wavelength: np.ndarray, bandpasses: Any) -> CatalogBands:
        """From bandpasses as for `sedflux.synthetic_photometry`; there may be none."""
        if isinstance(bandpasses, Mapping) and not bandpasses:
            return cls((), np.zeros((0, wavelength.size)), np.zeros(0))
        names, (rows, zero_points) = band_rows(wavelength, bandpasses)
        return cls(names, rows, zero_points)

    @classmethod
    def from_tables(cls, wavelength: np.ndarray, tables: Mapping[str, Any]) -> CatalogBands:
        """From the tables of `band_tables`."""
        return cls.of(wavelength, {name: bandpass(table) for name, table in tables.items()})

    def joined(self, other: CatalogBands) -> CatalogBands:
        """These bands, followed by others."""
        return CatalogBands((*self.names, *other.names), np.concatenate([self.rows, other.rows]),
                            np.concatenate([self.zero_points, other.zero_points]))

    def scales(self, flux: np.ndarray, magnitude: np.ndarray, band: np.ndarray) -> np.ndarray:
        """
        Factor from relative fluxes to erg/s/cm2/Angstrom.

        Parameters
        ----------
        flux : `~numpy.ndarray`, shape (N, n)
        magnitude : `~numpy.ndarray`, shape (N,)
            AB; NaN where there is none.
        band : `~numpy.ndarray` of int, shape (N,)
            Index of each star's band.

        Returns
        -------
        scale : `~numpy.ndarray`, shape (N,)
        """
        mean = np.einsum("nw,nw->n", self.rows[band], flux)
        return 10 ** (-0.4 * (magnitude - self.zero_points[band])) / mean


def bandpass(table: Any) -> Any:
    """A band of `band_tables` as `synphot.SpectralElement`."""
    return Throughput(np.asarray(table[0]), np.asarray(table[1])).to_synphot()


def colours(prediction: SEDPrediction, bands: CatalogBands, reference: Any = 0
            ) -> tuple[np.ndarray, np.ndarray]:
    """
    Magnitudes relative to a reference band, and their errors.

    Parameters
    ----------
    prediction : `~sedflux.SEDPrediction`
        Of N stars.
    bands : `CatalogBands`
    reference : int or `~numpy.ndarray` of int, shape (N,), optional
        Index of the reference band, of all stars or of each.

    Returns
    -------
    colour, error : `~numpy.ndarray`, shape (N, m)
        In mag.
    """
    star, reference = np.arange(len(prediction)), np.broadcast_to(reference, len(prediction))
    magnitude, change = band_magnitudes(bands.rows, bands.zero_points, prediction.flux)
    # Changes of the colours with ln(flux).
    change = (change - change[star, reference][:, None]) * prediction.flux[:, None, :]
    variance = _variance(change, prediction.diagonal, prediction.factor)
    return magnitude - magnitude[star, reference][:, None], np.sqrt(variance)


def _variance(change, diagonal, factor):
    """Variance of what changes (N, m, n) with ln(flux), (N, m)."""
    common = np.einsum("nbw,nrw->nbr", change, factor, optimize=True)
    return (common**2).sum(axis=2) + np.einsum("nbw,nw->nb", change**2, diagonal)


def magnitudes_of(seds: ConditionedSEDs, bands: CatalogBands) -> tuple[np.ndarray, np.ndarray]:
    """
    AB magnitudes of SEDs on an absolute scale, and their errors.

    Parameters
    ----------
    seds : `~sedflux.ConditionedSEDs`
        Of N stars.
    bands : `CatalogBands`

    Returns
    -------
    magnitude, error : `~numpy.ndarray`, shape (m, N)
        In mag.
    """
    magnitude, change = band_magnitudes(bands.rows, bands.zero_points, seds.flux)
    change = change * seds.flux[:, None, :]
    variance = (_variance(change, seds.diagonal, seds.factor)
                - _variance(change, np.zeros_like(seds.diagonal), seds.removed))
    return magnitude.T, np.sqrt(np.maximum(variance, 0.0)).T
