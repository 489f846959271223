"""
Photometry of a catalogue: columns of its source, and SEDs conditioned on them.

The arrays of a catalogue hold what lines predict.  SEDs conditioned on magnitudes are computed
from these when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Table

from sedflux.catalog.bands import CatalogBands, magnitudes_of
from sedflux.conditioning.bands import BandRows, short_rows
from sedflux.conditioning.condition import condition_stars
from sedflux.conditioning.dust import Dust, dust_prior
from sedflux.conditioning.magnitudes import Magnitudes, as_magnitudes
from sedflux.conditioning.result import ConditionedSEDs
from sedflux.exceptions import InputError
from sedflux.predict.prediction import SEDPrediction

__all__ = ["band_columns", "check_measured", "conditioned", "fill_posterior", "measured_columns",
           "measured_groups", "posterior_columns"]

#: Columns of the posterior that belong to no band.
_POSTERIOR = ("posterior_reddening", "posterior_reddening_error", "chi2", "dof", "p_value")
#: A magnitude with which a star without any passes the checks of the others.
_HARMLESS = 15.0, 0.1


def band_columns(photometry: Any) -> dict[str, tuple[str, str]]:
    """
    Columns of the source with magnitudes and their errors, by band.

    Parameters
    ----------
    photometry : sequence of str, mapping of str to pairs of str, or None
        Names of bands, which are those of the columns (``g`` and ``g_error``); or the names of both
        columns of each band.

    Returns
    -------
    columns : dict of str to tuple of str
    """
    if photometry is None:
        return {}
    if isinstance(photometry, (list, tuple)):
        photometry = {name: (name, f"{name}_error") for name in photometry}
    if not isinstance(photometry, Mapping) or not photometry or not all(
            isinstance(pair, (list, tuple)) and len(pair) == 2
            and all(isinstance(name, str) and name for name in (band, *pair))
            for band, pair in photometry.items()):
        raise InputError(f"photometry is {photometry!r}; give names of bands, or a mapping of band "
                         "to the columns of its magnitude and error, as "
                         "{'g': ('gmag', 'e_gmag')}")
    return {band: (pair[0], pair[1]) for band, pair in photometry.items()}


def measured_columns(band: str) -> tuple[str, str]:
    """Columns of a catalogue with the magnitude that was measured in a band, and its error."""
    return f"measured_{band}", f"measured_{band}_error"


def posterior_columns(photometry: Sequence[str], bands: Sequence[str]) -> list[str]:
    """
    Columns of a catalogue that conditioning fills.

    Parameters
    ----------
    photometry : sequence of str
        Bands that were measured.
    bands : sequence of str
        All bands of the catalogue.
    """
    return [*_POSTERIOR, *(f"pull_{band}" for band in photometry),
            *(f"mag_{band}{end}" for band in bands for end in ("", "_error"))]


def _measured(table: Table, photometry: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes and errors (N, b); NaN where missing."""
    value, error = (np.stack([np.asarray(table[measured_columns(band)[part]], dtype=float)
                              for band in photometry], axis=1) for part in (0, 1))
    return value, error


def check_measured(rows: Table, photometry: Sequence[str]) -> None:
    """
    Refuse magnitudes that no star has, as `sedflux.condition` does.

    Parameters
    ----------
    rows : `~astropy.table.Table`
        Of a source, with the columns of `measured_columns`.
    photometry : sequence of str
    """
    value, error = _measured(rows, photometry)
    empty = ~(np.isfinite(value) | np.isfinite(error)).any(axis=1)
    value[empty, 0], error[empty, 0] = _HARMLESS
    try:
        as_magnitudes({band: (value[:, index], error[:, index])
                       for index, band in enumerate(photometry)}, stars=len(rows))
    except InputError as problem:
        raise InputError(f"photometry of the source (its rows count from 0): {problem}") \
            from problem


def measured_groups(prediction: SEDPrediction, table: Table, bands: CatalogBands,
                    photometry: Sequence[str]
                    ) -> Iterator[tuple[np.ndarray, Magnitudes, BandRows, Dust]]:
    """
    Stars with magnitudes, in groups by what is known of their dust.

    Parameters
    ----------
    prediction, table, bands, photometry
        See `conditioned`.

    Yields
    ------
    rows : `~numpy.ndarray` of int, shape (K,)
        Which of the stars.  Those without a prediction, or with too few magnitudes, are in none
        of the groups.
    magnitudes : `~sedflux.conditioning.magnitudes.Magnitudes`
    bands : `~sedflux.conditioning.bands.BandRows`
    dust : `~sedflux.conditioning.dust.Dust`
    """
    value, error = _measured(table, photometry)
    number = np.where(np.isfinite(prediction.flux).all(axis=1), np.isfinite(value).sum(axis=1), 0)
    mean, width = (np.asarray(table[name], dtype=float) if name in table.colnames
                   else np.full(len(table), np.nan) for name in ("reddening", "reddening_error"))
    width = np.nan_to_num(width)
    flat, exact = np.isnan(mean), width == 0
    places = [bands.names.index(band) for band in photometry]
    chosen = short_rows(tuple(photometry), bands.rows[places], bands.zero_points[places])
    # Scale and dust are two unknowns.
    for group, least in ((flat, 2), (~flat & exact, 1), (~flat & ~exact, 1)):
        rows = np.flatnonzero(group & (number >= least))
        if rows.size:
            known = None if least == 2 else (mean[rows], width[rows])
            yield (rows, Magnitudes(chosen.names, value[rows], error[rows],
                                    ("AB",) * len(chosen)), chosen,
                   dust_prior(prediction.wavelength, rows.size, reddening=known))


def conditioned(prediction: SEDPrediction, table: Table, bands: CatalogBands,
                photometry: Sequence[str]) -> Iterator[tuple[np.ndarray, ConditionedSEDs]]:
    """
    SEDs of stars given their lines and magnitudes.

    Parameters
    ----------
    prediction : `~sedflux.SEDPrediction`
        Of N stars, without dust.
    table : `~astropy.table.Table`
        Their rows of the catalogue.  ``reddening`` and ``reddening_error`` are what is known of
        E(B-V) before; NaN for nothing.
    bands : `~sedflux.catalog.bands.CatalogBands`
    photometry : sequence of str

    Yields
    ------
    rows : `~numpy.ndarray` of int, shape (K,)
        Which of the stars, see `measured_groups`.
    seds : `~sedflux.ConditionedSEDs`
    """
    for rows, magnitudes, chosen, dust in measured_groups(prediction, table, bands, photometry):
        yield rows, condition_stars(prediction.take(rows), magnitudes, chosen, dust)


def fill_posterior(table: Table, places: Any, prediction: SEDPrediction, bands: CatalogBands,
                   photometry: Sequence[str]) -> None:
    """
    Set the columns of stars that are conditioned on magnitudes.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Of a shard; rows of stars with too few magnitudes stay NaN.
    places : array_like of int, shape (N,)
        Rows of the stars.
    prediction : `~sedflux.SEDPrediction`
        Of the N stars, without dust.
    bands : `~sedflux.catalog.bands.CatalogBands`
    photometry : sequence of str
    """
    places = np.asarray(places)
    for rows, seds in conditioned(prediction, table[places], bands, photometry):
        here = places[rows]
        for name, values in (("posterior_reddening", seds.reddening),
                             ("posterior_reddening_error", seds.reddening_error),
                             ("chi2", seds.chi2), ("dof", seds.dof), ("p_value", seds.p_value)):
            table[name][here] = values
        for index, band in enumerate(photometry):
            table[f"pull_{band}"][here] = seds.pulls[:, index]
        for index, (value, error) in enumerate(zip(*magnitudes_of(seds, bands), strict=True)):
            table[f"mag_{bands.names[index]}"][here] = value
            table[f"mag_{bands.names[index]}_error"][here] = error
