"""Photometry of all stars of a catalogue, and their fluxes averaged over other pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable

from sedflux.catalog.bands import CatalogBands, colours
from sedflux.exceptions import InputError
from sedflux.predict.prediction import SEDPrediction
from sedflux.spectra.grids import average_matrix
from sedflux.units import finite_array

__all__ = ["photometry_of", "rebinned"]


def photometry_of(catalog: Any, bandpasses: Any) -> QTable:
    """
    Colours, and magnitudes of stars with a measured one; see `SEDCatalog.photometry`.

    Parameters
    ----------
    catalog : `~sedflux.SEDCatalog`
    bandpasses : dict of `synphot.SpectralElement`

    Returns
    -------
    table : `~astropy.table.QTable`
    """
    bands, known = CatalogBands.of(catalog.wavelength, bandpasses), catalog.magnitudes
    if len(bands.names) < 2 and known is None:
        raise InputError("bandpasses holds one band; SEDs of a catalogue without magnitudes are "
                         "relative and have colours: give two bands or more")
    colour, error = _all_colours(catalog, bands)
    table = QTable({"identifier": catalog.columns("identifier")["identifier"]})
    for number, name in enumerate(bands.names[1:], start=1):
        table[f"{bands.names[0]}-{name}"] = -colour[:, number] * u.mag
        table[f"{bands.names[0]}-{name}_error"] = error[:, number] * u.mag
    if known is None:
        return table
    given = CatalogBands.from_tables(catalog.wavelength, catalog.facts["bands"])
    # Stars without a magnitude have no band; below, their magnitudes become NaN.
    places = [given.names.index(str(name)) if name in given.names else 0
              for name in known["band"]]
    colour, error = _all_colours(catalog, bands.joined(given), len(bands.names) + np.array(places))
    for number, name in enumerate(bands.names):
        magnitude = np.asarray(known["magnitude"]) + colour[:, number]
        sigma = np.hypot(error[:, number], known["magnitude_error"])
        table[name] = magnitude * u.ABmag
        table[f"{name}_error"] = np.where(np.isfinite(magnitude), sigma, np.nan) * u.mag
    return table


def _all_colours(catalog, bands, reference=0):
    """Magnitudes relative to a band of each star, and their errors, (N, m)."""
    reference = np.broadcast_to(reference, len(catalog))
    colour, error = (np.empty((len(catalog), len(bands.names))) for _ in range(2))
    for rows, prediction in _rows(catalog):
        colour[rows], error[rows] = colours(prediction, bands, reference[rows])
    return colour, error


def _rows(catalog: Any) -> Iterator[tuple[slice, SEDPrediction]]:
    """Predictions in chunks, each with the rows of its stars."""
    begin = 0
    for prediction in catalog.chunks():
        yield slice(begin, begin + len(prediction)), prediction
        begin += len(prediction)


def rebinned(catalog: Any, wavelengths: u.Quantity) -> tuple[np.ndarray, np.ndarray]:
    """
    Fluxes averaged over other pixels, and their errors; see `SEDCatalog.rebin`.

    Parameters
    ----------
    catalog : `~sedflux.SEDCatalog`
    wavelengths : `~astropy.units.Quantity`, shape (m,)

    Returns
    -------
    flux, sigma : `~numpy.ndarray`, shape (N, m)
    """
    centre = _pixel_centres(wavelengths, catalog.wavelength)
    matrix = average_matrix(catalog.wavelength, centre)
    square = matrix.power(2)
    flux, sigma = (np.empty((len(catalog), centre.size)) for _ in range(2))
    for rows, prediction in _rows(catalog):
        flux[rows] = (matrix @ prediction.flux.T).T
        variance = (square @ (prediction.diagonal * prediction.flux**2).T).T
        for number in range(prediction.factor.shape[1]):
            direction = prediction.factor[:, number] * prediction.flux
            variance += (matrix @ direction.T).T ** 2
        sigma[rows] = np.sqrt(variance)
    return flux, sigma


def _pixel_centres(wavelengths, grid):
    """Ascending pixel centres in Angstrom, inside the range of the SEDs."""
    centre = finite_array(wavelengths, "wavelengths", u.AA)
    if centre.ndim != 1 or centre.size < 2 or (np.diff(centre) <= 0).any() \
            or centre[0] < grid[0] or centre[-1] > grid[-1]:
        raise InputError(f"wavelengths has the shape {centre.shape}; two or more pixel centres are "
                         f"needed, ascending and within {grid[0]:.0f}-{grid[-1]:.0f} Angstrom")
    return centre
