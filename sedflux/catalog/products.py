"""Products of all stars of a catalogue: spectra, photometry, and fluxes on other pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable

from sedflux.catalog.bands import CatalogBands, bandpass, colours, magnitudes_of
from sedflux.catalog.destination import undamaged
from sedflux.catalog.models import shared_errors
from sedflux.catalog.photometry import conditioned, measured_groups
from sedflux.conditioning.condition import conditioned_spectrum
from sedflux.conditioning.offsets import Evidence, evidence, library_shifts, offsets_table
from sedflux.conditioning.result import ConditionedSEDs
from sedflux.exceptions import InputError
from sedflux.photometry import anchor
from sedflux.predict.prediction import SEDPrediction
from sedflux.spectra.grids import average_matrix
from sedflux.units import finite_array, positive_number

__all__ = ["offsets_of", "photometry_of", "rebinned", "spectra_of"]


def spectra_of(catalog: Any) -> Iterator[Any]:
    """
    SEDs one by one; see `SEDCatalog.spectra`.

    Parameters
    ----------
    catalog : `~sedflux.SEDCatalog`

    Yields
    ------
    sed : `~specutils.Spectrum`
    """
    table, known = catalog.columns("identifier", "ra", "dec"), catalog.magnitudes
    bandpasses: dict[str, Any] = {}
    for rows, prediction in _rows(catalog):
        seds = {int(row): group[place] for some, group in _conditioned(catalog, rows, prediction)
                for place, row in enumerate(some)}
        for row in range(len(prediction)):
            place = rows.start + row
            sed = prediction[row].to_spectrum(header=_cards(table[place]))
            if row in seds:
                sed = conditioned_spectrum(sed, seds[row])
            elif known is not None and np.isfinite(known["magnitude"][place]):
                name = str(known["band"][place])
                with undamaged(catalog.path, "catalog.json"):
                    if name not in bandpasses:
                        bandpasses[name] = bandpass(catalog.facts["bands"][name])
                sed = anchor(sed, float(known["magnitude"][place]) * u.ABmag,
                             {name: bandpasses[name]},
                             magnitude_error=float(known["magnitude_error"][place]) * u.mag)
            yield sed


def _conditioned(catalog, rows: slice, prediction: SEDPrediction
                 ) -> Iterator[tuple[np.ndarray, ConditionedSEDs]]:
    """Groups of some stars given their magnitudes; none if the catalogue has none."""
    if catalog.measured is None:
        return iter(())
    return conditioned(prediction, catalog.measured[rows], catalog.bands,
                       catalog.facts["photometry"])


def _cards(row):
    """Name and place of a star, for the header of its spectrum."""
    return {"OBJECT": (str(row["identifier"])[:68], "star")} | {
        card: (float(row[name]), "[deg] as in the source")
        for card, name in (("RA", "ra"), ("DEC", "dec")) if np.isfinite(row[name])}


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
    if len(bands.names) < 2 and known is None and catalog.measured is None:
        raise InputError("bandpasses holds one band; SEDs of a catalogue without magnitudes are "
                         "relative and have colours: give two bands or more")
    colour, error = _all_colours(catalog, bands)
    table = QTable({"identifier": catalog.columns("identifier")["identifier"]})
    for number, name in enumerate(bands.names[1:], start=1):
        table[f"{bands.names[0]}-{name}"] = -colour[:, number] * u.mag
        table[f"{bands.names[0]}-{name}_error"] = error[:, number] * u.mag
    if catalog.measured is not None:
        for name, (magnitude, error) in zip(bands.names, _magnitudes(catalog, bands), strict=True):
            table[name], table[f"{name}_error"] = magnitude * u.ABmag, error * u.mag
    if known is None:
        return table
    given = catalog.bands
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


def _magnitudes(catalog, bands):
    """Magnitudes and errors of stars that are conditioned, (m, 2, N); NaN for the others."""
    found = np.full((len(bands.names), 2, len(catalog)), np.nan)
    for rows, prediction in _rows(catalog):
        for some, seds in _conditioned(catalog, rows, prediction):
            found[:, :, rows.start + some] = np.stack(magnitudes_of(seds, bands), axis=1)
    return found


def offsets_of(catalog: Any, width: Any) -> QTable:
    """
    Offsets of the zero points of a catalogue; see `SEDCatalog.photometric_offsets`.

    Parameters
    ----------
    catalog : `~sedflux.SEDCatalog`
    width : float

    Returns
    -------
    table : `~astropy.table.QTable`
    """
    width = positive_number(width, "width", u.mag)
    names = catalog.facts["photometry"]
    if len(names) < 2:
        raise InputError(f"the catalogue has photometry in {len(names)} bands; offsets are "
                         "relative to the mean of the bands: predict a catalogue with photometry "
                         "in two bands or more")
    found, places = [], []
    for rows, prediction in _rows(catalog):
        for some, measured, bands, dust in measured_groups(
                prediction, catalog.measured[rows], catalog.bands, names):
            found.append(evidence(prediction.take(some), measured, bands, dust))
            places.append(rows.start + some)
    if not found:
        raise InputError("no star of this selection has a prediction and magnitudes")
    library = library_shifts(catalog.wavelength, bands, shared_errors(catalog.facts).values())
    table = offsets_table(names, Evidence.joined(found), width, library)
    weights = np.full(len(catalog), np.nan)
    weights[np.concatenate(places)] = table.meta["weights"]
    table.meta["weights"] = weights
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
