"""
Accuracy of the Johnson colours U-B, B-V and R-I against a catalogue.

Predictions from R = 2000 spectra are reddened by the catalogue's E(B-V), which comes from B-V and
the star's spectrum.  For A stars within 80 pc, where there is no dust, it is 0.02-0.05 mag: stars
as near as that are scored without dust as well.  Each star is predicted by the model that was
trained without its fold.  Supergiants below the edge of the library are no ordinary stars, and are
not scored; their published labels tell them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.libraries.library import SpectralLibrary
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor
from sedflux.training.johnson import Johnson
from sedflux.training.johnson_scores import NAMES, johnson_residuals
from sedflux.training.left_out import predictions_by_fold
from sedflux.training.stars import beyond_gravity_edge
from sedflux.validation.cells import JOHNSON_TEFF_CELLS

__all__ = ["is_giant", "johnson_table", "predict_johnson", "predict_stars"]

#: Surface gravity below which a star is a giant: below this temperature (K), and above it.
_GIANT_TEFF, _GIANT_LOGG = 5500.0, (3.5, 3.3)
#: Fewest stars of a cell.
_LEAST_STARS = 3


def is_giant(teff: np.ndarray, logg: np.ndarray) -> np.ndarray:
    """Which stars are giants or supergiants, by their published labels."""
    return logg < np.where(teff < _GIANT_TEFF, *_GIANT_LOGG)


def predict_johnson(predictors: Sequence[Predictor], miles: SpectralLibrary, johnson: Johnson,
                    weights: dict[str, np.ndarray], *, snr: float | None = None) -> Table:
    """
    Predicted minus measured colours of all stars of a catalogue.

    Parameters
    ----------
    predictors : sequence of `~sedflux.Predictor`
        One for all stars, or one for every fold in order.
    miles : `~sedflux.libraries.SpectralLibrary`
    johnson : `~sedflux.training.johnson.Johnson`
    weights : dict
        From `~sedflux.training.johnson.johnson_weights`.
    snr : float, optional
        S/N per pixel down to which noise is added; None adds none.

    Returns
    -------
    table : `~astropy.table.Table`
        See `~sedflux.training.johnson_scores.johnson_residuals`.
    """
    labels, predictions = predict_stars(predictors, miles, johnson, snr=snr)
    return johnson_residuals(johnson.name, labels, predictions, johnson, weights)


def predict_stars(predictors: Sequence[Predictor], miles: SpectralLibrary, johnson: Johnson, *,
                  snr: float | None = None) -> tuple[np.ndarray, list[SEDPrediction]]:
    """
    Published labels and predictions of every star that a catalogue has.

    Parameters
    ----------
    predictors, miles, johnson, snr
        See `predict_johnson`.

    Returns
    -------
    labels : `~numpy.ndarray`, shape (N, 3)
        TEFF (K), LOGG, FEH.
    predictions : list of `~sedflux.SEDPrediction`
        One a star.
    """
    names = [str(name).strip() for name in miles.table["NAME"]]
    missing = sorted(set(johnson.name) - set(names))
    if missing:
        raise InputError(f"johnson has colours of {len(missing)} stars without a spectrum, such as "
                         f"{missing[0]}; give files of spectra and colours of the same stars")
    rows = np.array([names.index(name) for name in johnson.name])
    predictions = predictions_by_fold(predictors, miles, rows, johnson.name, snr=snr)
    labels = np.stack([np.asarray(miles.table[name], float)[rows]
                       for name in ("TEFF", "LOGG", "FEH")], axis=1)
    return labels, predictions


def johnson_table(residuals: Table, *, model: str = "") -> Table:
    """
    Score colours by temperature, giants and dwarfs apart.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        From `predict_johnson`.
    model : str, optional
        First column.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per colour and cell of 3 ordinary stars or more: median, scatter (1.4826 MAD), rms
        about zero, median predicted sigma, rms of the pulls, the share of flagged stars, and
        ``near``, the number of stars within 80 pc, with their median without dust.
    """
    known = residuals["use"] & residuals["dust_known"] & ~beyond_gravity_edge(
        np.asarray(residuals["teff"]), np.asarray(residuals["logg"]))
    giant = is_giant(residuals["teff"], residuals["logg"])
    rows = []
    for name in NAMES:
        for kind, low, high in JOHNSON_TEFF_CELLS:
            cell = known & (residuals["teff"] >= low) & (residuals["teff"] < high) \
                & np.isfinite(residuals[name])
            if kind != "all":
                cell &= giant == (kind == "giants")
            if cell.sum() < _LEAST_STARS:
                continue
            part = residuals[cell]
            values = np.asarray(part[name])
            pulls = values / np.hypot(part[f"sigma {name}"], part[f"error {name}"])
            near = np.asarray(part[f"{name} without dust"])[np.asarray(part["dust_free"])]
            rows.append({"model": model, "colour": name, "kind": kind, "teff": low,
                         "teff_end": high, "stars": len(part), "median": np.median(values),
                         "scatter": mad_std(values), "rms": np.sqrt(np.mean(values**2)),
                         "sigma": np.median(part[f"sigma {name}"]),
                         "pull": np.sqrt(np.mean(pulls**2)),
                         "flagged": np.mean(np.asarray(part["flags"]) != 0), "near": near.size,
                         "near_median": np.median(near) if near.size else np.nan})
    return Table(rows)
