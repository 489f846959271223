"""
Scatter between trainings, and the scale of sigma, from stars left out.

One training cannot measure these parts of sigma.  Models trained with different seeds and on
different stars differ in their predictions.  The leading directions of this scatter, and their
lengths by temperature, go into the model's header.  Where truths are much more precise than
predictions, sigma is scaled as well, so that 68.3 % of the truths lie within sigma of predictions
by models that were not trained on the star.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from sedflux.exceptions import InputError
from sedflux.libraries.library import read_library
from sedflux.network.checkpoint import save_network
from sedflux.predict.predictor import Predictor
from sedflux.predict.sigma import interpolation_weights
from sedflux.spectra.bands import band_rows
from sedflux.training.johnson import johnson_weights, read_johnson
from sedflux.training.johnson_scores import johnson_residuals
from sedflux.training.left_out import TRUTH_ERROR, fit_reddening, predict_left_out, stis_error
from sedflux.training.stars import FOLDS, read_stars
from sedflux.writing import make_folder

if TYPE_CHECKING:
    from sedflux.training.types import PathLike

__all__ = ["calibrate_models", "measure_scale", "measure_scatter"]

#: Number of directions of the scatter between trainings that go into the header.
_DIRECTIONS = 6
#: Nodes in temperature (K) at which the lengths of these directions are measured.
_TEFF_NODES = (4400.0, 4800.0, 5400.0, 6200.0, 7500.0, 9500.0)
#: Bands (Angstrom) in which sigma is scaled.
_SCALE_BANDS = {"2550-3000": (2550.0, 3000.0), "3000-3550": (3000.0, 3550.0),
                "3600-4000": (3600.0, 4000.0), "4000-4500": (4000.0, 4500.0),
                "4500-6500": (4500.0, 6500.0), "6500-7300": (6500.0, 7300.0),
                "7400-10000": (7400.0, 10000.0)}
#: Prior weight, in stars, that shrinks the scale towards 1.
_PRIOR_WEIGHT = 10.0
#: Range of the scale, and least share in a node of the stars that measure the scale there.
_SCALE_RANGE, _LEAST_SHARE = (0.6, 2.5), 0.3
#: Least ratio of predicted sigma to the truth's error at which the truth measures the scale.
_LEAST_SIGMA_RATIO = 2.0
#: S/N per pixel of the noisier copies of the spectra, which measure the scale too.
_NOISY_SNR = 20.0
#: Temperatures (K) of the stars whose predictions measure the scatter and the scales.
_TEFF_RANGE = (4200.0, 10250.0)
#: U-B measures the scale too in bands that end at this wavelength (Angstrom) or bluer.
_U_END = 4000.0


def measure_scatter(log_sed: np.ndarray, teff: np.ndarray) -> dict[str, list]:
    """
    Directions in which trainings scatter, and the rms along each by temperature.

    Parameters
    ----------
    log_sed : `~numpy.ndarray`, shape (k, N, n)
        ln(SED) of N stars by k trainings.
    teff : `~numpy.ndarray`, shape (N,)
        In K.

    Returns
    -------
    scatter : dict
        ``directions`` (6, n), of unit length; ``teff`` (m,) and ``length`` (m, 6), as
        `sedflux.predict.sigma.Widening` takes them.
    """
    k, number, _ = log_sed.shape
    difference = (log_sed - log_sed.mean(axis=0)) * np.sqrt(k / (k - 1.0))
    flat = difference.reshape(k * number, -1)
    directions = np.linalg.svd(flat, full_matrices=False)[2][:_DIRECTIONS]
    square = ((difference @ directions.T) ** 2).mean(axis=0)
    shares = _node_shares(teff)
    length = np.sqrt((shares.T @ square) / np.maximum(shares.sum(axis=0)[:, None], 1e-6))
    return {"directions": np.round(directions, 6).tolist(), "teff": list(_TEFF_NODES),
            "length": np.round(length, 6).tolist()}


def measure_scale(error: np.ndarray, sigma: np.ndarray, truth_error: np.ndarray, *,
                  prior: float = 1.0) -> float:
    """
    Factor on sigma with which 68.3 % of the truths lie within sigma.

    Parameters
    ----------
    error, sigma : `~numpy.ndarray`, shape (N, m)
        Of N stars at m wavelengths; errors that are NaN do not count.
    truth_error : `~numpy.ndarray`, shape (N, 1)
    prior : float, optional
        Scale assumed before the stars are seen; a few stars change it little.

    Returns
    -------
    scale : float
        Between 0.6 and 2.5; the prior where the truth is no better than half of sigma.
    """
    good = np.isfinite(error)
    stars = int(good.any(axis=1).sum())
    if not stars or np.median((sigma / truth_error)[good]) < _LEAST_SIGMA_RATIO:
        return prior

    def missing(scale):
        pull = np.abs(error) / np.hypot(scale * sigma, truth_error)
        return np.quantile(pull[good], 0.683) - 1.0

    low, high = _SCALE_RANGE
    if missing(low) <= 0:
        found = low
    else:
        found = high if missing(high) >= 0 else brentq(missing, low, high, xtol=1e-3)
    return float(np.sqrt((_PRIOR_WEIGHT * prior**2 + stars * found**2) / (_PRIOR_WEIGHT + stars)))


def _errors(left_out):
    """
    Errors against MILES, and against STIS with dust fitted, as four arrays.

    Error, sigma, error of the truth, and predicted temperature, by which the scale is looked up.
    """
    found = []
    for index, part in enumerate(left_out.predictions):
        rows = []
        miles, stis = left_out.stars.miles_sed[index], left_out.stars.stis_sed[index]
        rows.append((part.flux / np.exp(miles) - 1.0, TRUTH_ERROR["MILES"]))
        if np.isfinite(stis).any():
            truth_error = stis_error(stis)
            ebv = fit_reddening(part, np.exp(stis), truth_error)
            rows.append((part.reddened(ebv).flux / np.exp(stis) - 1.0, truth_error))
        star = part.relative_covariance.sigma, float(part.diagnostics["teff"])
        found += [(error, star[0], truth, star[1]) for error, truth in rows]
    error, sigma, truth, teff = (np.array(values) for values in zip(*found, strict=True))
    return error, sigma, truth[:, None], teff


def _node_shares(teff):
    """Linear weights of each star's ln(temperature) on the nodes, (N, m)."""
    return interpolation_weights(np.log(teff), np.log(_TEFF_NODES)).T


def _u_minus_b(parts, johnson):
    """Errors, sigmas and the catalogue's errors of U-B, each (N, 1), and temperatures."""
    found = []
    for part in parts:
        residuals = johnson_residuals(part.stars.name, part.stars.labels, part.predictions,
                                      *johnson)
        good = residuals["use"] & np.isfinite(residuals["U-B"]) & residuals["dust_known"]
        found.append(residuals[good])
    columns = ("U-B", "sigma U-B", "error U-B", "teff")
    error, sigma, truth, teff = (np.concatenate([np.asarray(rows[name]) for rows in found])
                                 for name in columns)
    return error[:, None], sigma[:, None], truth[:, None], teff


def _scales(parts, johnson=None):
    """The scale in every band and node of temperature, from predictions at several S/N."""
    error, sigma, truth, teff = (np.concatenate(values) for values in
                                 zip(*map(_errors, parts), strict=True))
    bands = band_rows(parts[0].predictions[0].wavelength, _SCALE_BANDS)
    pooled = [measure_scale(error[:, inside], sigma[:, inside], truth)
              for inside in bands.values()]
    colors = None if johnson is None else _u_minus_b(parts, johnson)
    table = []
    for node in range(len(_TEFF_NODES)):
        near = _node_shares(teff)[:, node] > _LEAST_SHARE
        row = [measure_scale(error[near][:, inside], sigma[near][:, inside], truth[near],
                             prior=common)
               for inside, common in zip(bands.values(), pooled, strict=True)]
        if colors is not None:
            row = _with_color(row, colors, node)
        table.append([round(value, 4) for value in row])
    return {"wavelength": [float(np.sqrt(a * b)) for a, b in _SCALE_BANDS.values()],
            "scale": table}


def _with_color(row, colors, node):
    """Scales of one node; those of bands in the U band are averaged with the scale from U-B."""
    *values, teff = colors
    near = _node_shares(teff)[:, node] > _LEAST_SHARE
    if not near.any():
        return row
    scale = measure_scale(*(value[near] for value in values))
    return [np.sqrt(0.5 * (own**2 + scale**2)) if red <= _U_END else own
            for own, (_, red) in zip(row, _SCALE_BANDS.values(), strict=True)]


def calibrate_models(miles: PathLike, stis: PathLike, photometry: PathLike, folder: PathLike, *,
                     model: PathLike, folds: Sequence[PathLike], johnson: PathLike | None = None
                     ) -> list[Path]:
    """
    Write a model, and those of the folds, with scatter and scale of sigma.

    The scale in the model of a fold is measured on the stars of the other folds, so that the
    stars of this fold can still test it.  The scale in ``model`` is measured on all stars, each
    predicted by the model that was trained without it.

    Parameters
    ----------
    miles, stis, photometry : path-like
        As for `~sedflux.training.finetune.finetune`.
    folder : path-like
        Gets the models under their names.
    model : str or path-like
        Trained on all stars.
    folds : sequence of path-like
        Trained without fold 0, 1, 2, 3.
    johnson : path-like, optional
        Johnson colours of the stars; with them, U-B measures the scale in the near ultraviolet.

    Returns
    -------
    paths : list of `~pathlib.Path`
        The models: the folds', then ``model``'s.

    Raises
    ------
    sedflux.exceptions.InputError
        If there is not one model for every fold.
    """
    if len(folds) != FOLDS:
        raise InputError(f"folds has {len(folds)} models; {FOLDS}, one per fold, are needed")
    predictors = [Predictor(path) for path in (*folds, model)]
    for predictor in predictors:
        predictor.metadata.pop("scatter", None)
    library, stars = read_library(miles), read_stars(miles, stis, photometry)
    teff = stars.labels[:, 0]
    inside = (teff > _TEFF_RANGE[0]) & (teff < _TEFF_RANGE[1])
    stars = stars.take((stars.source == "MILES") & inside)
    every = [predict_left_out([part], library, stars).stack("flux") for part in predictors]
    scatter = measure_scatter(np.log(every), stars.labels[:, 0])
    for predictor in predictors:
        predictor.metadata["scatter"] = dict(scatter)
    left_out = [predict_left_out(predictors[:FOLDS], library, stars, snr=snr)
                for snr in (None, _NOISY_SNR)]
    colors = None if johnson is None else (read_johnson(johnson), johnson_weights(johnson))
    folder, paths = make_folder(folder), []
    for fold, predictor in enumerate(predictors):
        predictor.metadata["scatter"] |= _scales(
            [part.take(stars.fold != fold) for part in left_out], colors)
        paths.append(folder / f"{predictor.name}.safetensors")
        save_network(paths[-1], predictor.network, predictor.metadata)
    return paths
