"""Write a selection of a catalogue, with its dust, as a new catalogue."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from astropy.table import Table

from sedflux.catalog.bands import CatalogBands
from sedflux.catalog.destination import Destination
from sedflux.catalog.photometry import measured_columns
from sedflux.catalog.shard import ARRAYS, Shard, fill_magnitudes
from sedflux.exceptions import InputError

__all__ = ["write_selection"]

#: Columns from the source, not from the prediction.
_SOURCE_COLUMNS = ("identifier", "path", "reddening", "reddening_error", "magnitude",
           "magnitude_error", "band")


def write_selection(catalog: Any, destination: str | os.PathLike[str]) -> None:
    """
    Write the stars of a selection; see `SEDCatalog.write`.

    Parameters
    ----------
    catalog : `~sedflux.SEDCatalog`
    destination : path-like
    """
    if not len(catalog):
        raise InputError("the selection holds no stars; there is nothing to write")
    folder = Destination(destination)
    if folder.path == catalog.path:
        raise InputError(f"{str(folder.path)!r} is the catalogue itself; choose another folder")
    table = catalog.table
    if catalog.dust is not None:
        table["reddening"], table["reddening_error"] = catalog.dust
    source = [*_SOURCE_COLUMNS, *(name for band in catalog.facts["photometry"]
                                  for name in measured_columns(band))]
    rows = Table({name: np.asarray(table[name]) for name in source if name in table.colnames})
    size = min(catalog.facts["shard_size"], len(catalog))
    facts = {name: catalog.facts[name] for name in (
        "model", "sha256", "models", "version", "wavelength", "teff", "bands", "photometry")}
    rank = catalog.facts["rank"] + (catalog.dust is not None)
    bands = CatalogBands.from_tables(catalog.wavelength, facts["bands"])
    with folder.locked():
        folder.start(rows, facts | {"shard_size": size, "rank": rank})
        for number in range(folder.shard_count()):
            if not folder.has_landed(number):
                places = slice(number * size, (number + 1) * size)
                folder.land(number, _shard(catalog, places, table[places], rank, bands))
        folder.finish()


def _shard(catalog, places, table, rank, bands):
    """Some stars of a selection as a shard."""
    prediction = catalog.predictions(places)
    factor = np.zeros((len(table), rank, catalog.wavelength.size))
    factor[:, : prediction.factor.shape[1]] = prediction.factor
    arrays = {"flux": prediction.flux, "sigma": prediction.sigma,
              "diagonal": prediction.diagonal, "factor": factor}
    predicted = np.flatnonzero(table["predicted"])
    failed = ~np.asarray(table["predicted"])
    for name in ARRAYS:
        arrays[name][failed] = np.nan
    if "magnitude" in table.colnames:
        fill_magnitudes(table, predicted, prediction.take(predicted), bands)
    return Shard(arrays, Table({name: np.asarray(table[name]) for name in table.colnames}))
