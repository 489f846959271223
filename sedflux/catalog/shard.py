"""Predict the spectra of one shard: each row gets a prediction or the reason of its failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from sedflux.catalog.bands import CatalogBands, colours
from sedflux.catalog.photometry import fill_posterior, measured_columns, posterior_columns
from sedflux.catalog.spectra import read_stars
from sedflux.exceptions import InputError
from sedflux.predict.flags import FLAGS
from sedflux.predict.many import predict_groups
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor

__all__ = ["ARRAYS", "DIAGNOSTICS", "MORE_DIAGNOSTICS", "Shard", "fill_magnitudes", "predict_rows"]

#: Arrays of a catalogue, and the types in which they are stored.
ARRAYS = {"flux": "f4", "sigma": "f4", "diagonal": "f4", "factor": "f2"}
#: Columns of the table with diagnostics of the prediction.
DIAGNOSTICS = ("snr", "resolving_power", "teff", "logg", "mh", "misfit", "excess", "unusual",
               "strange")
#: Those that not all models have.
MORE_DIAGNOSTICS = ("log_odds",)


@dataclass(frozen=True)
class Shard:
    """
    Predictions of the rows of one shard.

    Attributes
    ----------
    arrays : dict of str to `~numpy.ndarray`
        ``flux``, ``sigma`` and ``diagonal`` (N, n), ``factor`` (N, r, n); NaN in rows that failed.
    table : `~astropy.table.Table`
        One row per spectrum.
    """

    arrays: dict[str, np.ndarray]
    table: Table


def predict_rows(predictor: Predictor, rows: Table, *, rank: int,
                 bands: Mapping[str, Any] | None = None, photometry: Sequence[str] = ()
                 ) -> Shard:
    """
    Predict some rows of a source.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`
    rows : `~astropy.table.Table`
        From `~sedflux.catalog.sources.read_source`.
    rank : int
        Number of rows of the stored factor; missing rows are zero.
    bands : dict, optional
        From `~sedflux.catalog.bands.band_tables`.
    photometry : sequence of str, optional
        Bands whose magnitudes condition the SEDs; these are then stored without dust.

    Returns
    -------
    shard : `Shard`
    """
    known = CatalogBands.from_tables(predictor.wavelength, bands or {})
    shard = _empty_shard(rows, predictor.wavelength.size, rank, known.names, photometry)
    entries, errors = read_stars(rows)
    for numbers, found in predict_groups([entry.star for entry in entries], predictor):
        members = [entries[number] for number in numbers]
        if isinstance(found, InputError):
            errors[members[0].row] = " ".join(str(found).split())
        else:
            prediction = found if photometry else _reddened(found, members, rows)
            _fill(shard, members, prediction)
            if photometry:
                fill_posterior(shard.table, [entry.row for entry in members], prediction, known,
                               photometry)
            elif "magnitude" in rows.colnames:
                fill_magnitudes(shard.table, [entry.row for entry in members], prediction, known)
    for row, message in errors.items():
        shard.table["error"][row] = message
    return shard


def fill_magnitudes(table: Table, places: Any, prediction: SEDPrediction,
                    bands: CatalogBands) -> None:
    """
    Set the scale, and the magnitudes in all bands, of stars that have a magnitude.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Of a shard; values of stars without a magnitude stay NaN.
    places : array_like of int, shape (N,)
        Rows of the stars.
    prediction : `~sedflux.SEDPrediction`
        Of the N stars.
    bands : `~sedflux.catalog.bands.CatalogBands`
    """
    places = np.asarray(places)
    magnitude = np.asarray(table["magnitude"], dtype=float)[places]
    measured = np.flatnonzero(np.isfinite(magnitude))
    if not measured.size:
        return
    places, magnitude, prediction = places[measured], magnitude[measured], prediction.take(measured)
    band = np.array([bands.names.index(str(name)) for name in table["band"][places]])
    table["scale"][places] = bands.scales(prediction.flux, magnitude, band)
    colour, error = colours(prediction, bands, band)
    measured_error = np.asarray(table["magnitude_error"])[places]
    for number, name in enumerate(bands.names):
        table[f"mag_{name}"][places] = magnitude + colour[:, number]
        table[f"mag_{name}_error"][places] = np.hypot(error[:, number], measured_error)


def _reddened(prediction, members, rows):
    """Predictions reddened by the source's E(B-V); stars without a value stay intrinsic."""
    if "reddening" not in rows.colnames:
        return prediction
    places = [entry.row for entry in members]
    values = [np.nan_to_num(np.asarray(rows[name], dtype=float)[places])
              if name in rows.colnames else np.zeros(len(places))
              for name in ("reddening", "reddening_error")]
    return prediction.reddened(values[0], reddening_error=values[1])


def _empty_shard(rows, samples, rank, bands, photometry):
    size = len(rows)
    arrays = {name: np.full((size, samples), np.nan) for name in ("flux", "sigma", "diagonal")}
    arrays["factor"] = np.full((size, rank, samples), np.nan)
    table = Table({"identifier": np.asarray(rows["identifier"], dtype=str),
                   "path": np.asarray(rows["path"], dtype=str)})
    table["model"] = np.full(size, "", dtype=object)
    for name in ("ra", "dec", "radial_velocity", *DIAGNOSTICS, *MORE_DIAGNOSTICS):
        table[name] = np.full(size, np.nan)
    for name in ("reddening", "reddening_error"):
        if name in rows.colnames:
            table[name] = np.asarray(rows[name], dtype=float)
    if "magnitude" in rows.colnames:
        table["magnitude"] = np.asarray(rows["magnitude"], dtype=float)
        # A magnitude without an error is exact.
        table["magnitude_error"] = np.nan_to_num(np.asarray(
            rows["magnitude_error"], dtype=float)) if "magnitude_error" in rows.colnames \
            else np.zeros(size)
        table["band"] = np.asarray(rows["band"], dtype=str)
        for name in ("scale", *(f"mag_{band}{end}" for band in bands for end in ("", "_error"))):
            table[name] = np.full(size, np.nan)
    if photometry:
        for name in (name for band in photometry for name in measured_columns(band)):
            table[name] = np.asarray(rows[name], dtype=float)
        for name in posterior_columns(photometry, bands):
            table[name] = np.full(size, np.nan)
    table["predicted"] = np.zeros(size, dtype=bool)
    table["flag_bits"] = np.zeros(size, dtype=np.int32)
    for one in FLAGS:
        table[f"flag_{one.name}"] = np.zeros(size, dtype=bool)
    table["error"] = np.full(size, "", dtype=object)
    return Shard(arrays, table)


def _fill(shard, members, prediction):
    """Write predictions into the rows of their stars."""
    places = np.array([entry.row for entry in members])
    flux, factor = prediction.flux, prediction.factor
    shard.arrays["flux"][places] = flux
    shard.arrays["sigma"][places] = prediction.sigma
    shard.arrays["diagonal"][places] = prediction.diagonal
    shard.arrays["factor"][places] = 0.0
    shard.arrays["factor"][places, : factor.shape[1]] = factor
    table = shard.table
    for name in DIAGNOSTICS:
        table[name][places] = prediction.diagnostics[name]
    for name in MORE_DIAGNOSTICS:
        table[name][places] = prediction.diagnostics.get(name, np.nan)
    table["model"][places] = prediction.model
    table["ra"][places], table["dec"][places] = np.array([entry.position for entry in members]).T
    table["radial_velocity"][places] = prediction.radial_velocity
    table["predicted"][places] = True
    table["flag_bits"][places] = prediction.flag_bits
    for one in FLAGS:
        table[f"flag_{one.name}"][places] = (np.asarray(prediction.flag_bits) & one.mask) > 0
