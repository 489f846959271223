"""
Scatter between trainings, and the scale of sigma, from stars left out.

One training cannot measure these parts of sigma.  Models trained with different seeds and on
different stars differ in their predictions.  The leading directions of this scatter, and their
lengths by temperature, go into the model's header.  Where truths are much more precise than
predictions, sigma is scaled as well, so that 68.3 % of the truths lie within sigma of predictions
by models that were not trained on the star.  The scale depends on wavelength, temperature and
metallicity: SEDs of metal-poor giants scatter more than those of metal-rich ones.
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
from sedflux.training.library_error import library_error_entry
from sedflux.training.luminosity import luminosity_entry
from sedflux.training.miles_errors import common_error
from sedflux.training.stars import FOLDS, read_passbands, read_stars
from sedflux.writing import make_folder

if TYPE_CHECKING:
    from sedflux.training.types import PathLike

__all__ = ["calibrate_models", "measure_scale", "measure_scatter"]

#: Number of directions of the scatter between trainings that go into the header.
_DIRECTIONS = 6
#: Nodes in temperature (K) at which the lengths of these directions are measured.
_TEFF_NODES = (4400.0, 4800.0, 5400.0, 6200.0, 7500.0, 9500.0)
#: Nodes in [M/H] at which sigma is scaled.
_MH_NODES = (-1.5, -0.4)
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
#: Bands in which a colour measures the scale too, after the fluxes.
_COLOR_BANDS = {"3000-3550": "U-B", "3600-4000": "U-B", "4000-4500": "B-V"}


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
    error, sigma, truth_error : `~numpy.ndarray`, shape (N, m)
        Of N stars at m wavelengths.  Errors that are NaN do not count, nor truths that are no
        better than half of sigma.
    prior : float, optional
        Scale assumed before the stars are seen; a few stars change it little.

    Returns
    -------
    scale : float
        Between 0.6 and 2.5.
    """
    good = np.isfinite(error) & (sigma > _LEAST_SIGMA_RATIO * truth_error)
    stars = int(good.any(axis=1).sum())
    if not stars:
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
    Errors against MILES, and against STIS with dust fitted, as five arrays.

    Error, sigma, error of the truth, and predicted TEFF and MH, by which the scale is looked up.
    """
    found = []
    wavelength = left_out.predictions[0].wavelength
    miles_error = np.hypot(TRUTH_ERROR["MILES"], common_error(wavelength))
    for index, part in enumerate(left_out.predictions):
        rows = []
        miles, stis = left_out.stars.miles_sed[index], left_out.stars.stis_sed[index]
        rows.append((part.flux / np.exp(miles) - 1.0, miles_error))
        if np.isfinite(stis).any():
            truth_error = stis_error(stis)
            ebv = fit_reddening(part, np.exp(stis), truth_error)
            rows.append((part.reddened(ebv).flux / np.exp(stis) - 1.0,
                         np.full(len(stis), truth_error)))
        labels = [float(part.diagnostics[name]) for name in ("teff", "mh")]
        found += [(error, part.relative_covariance.sigma, truth, *labels)
                  for error, truth in rows]
    return [np.array(values) for values in zip(*found, strict=True)]


def _node_shares(teff):
    """Linear weights of each star's ln(temperature) on the nodes, (N, m)."""
    return interpolation_weights(np.log(teff), np.log(_TEFF_NODES)).T


def _color_errors(parts, johnson):
    """By colour: errors, sigmas and errors of the catalogue, each (N, 1), and TEFF and MH."""
    tables = [johnson_residuals(part.stars.name, part.stars.labels, part.predictions, *johnson)
              for part in parts]
    found = {}
    for color in set(_COLOR_BANDS.values()):
        rows = [table[table["use"] & np.isfinite(table[color]) & table["dust_known"]]
                for table in tables]
        *values, teff, mh = (np.concatenate([np.asarray(table[name]) for table in rows])
                             for name in (color, f"sigma {color}", f"error {color}", "teff", "mh"))
        found[color] = *(value[:, None] for value in values), teff, mh
    return found


def _scales(parts, johnson=None):
    """The scale by TEFF, MH and band, from predictions at several S/N."""
    error, sigma, truth, *labels = (np.concatenate(values)
                                    for values in zip(*map(_errors, parts), strict=True))
    bands = band_rows(parts[0].predictions[0].wavelength, _SCALE_BANDS)
    colors = {} if johnson is None else _color_errors(parts, johnson)
    found = []
    for name, inside in bands.items():
        scale = _cells(error[:, inside], sigma[:, inside], truth[:, inside], *labels)
        color = colors.get(_COLOR_BANDS.get(name))
        found.append(scale if color is None else _cells(*color, prior=scale))
    return {"wavelength": [float(np.sqrt(a * b)) for a, b in _SCALE_BANDS.values()],
            "mh": list(_MH_NODES), "scale": np.round(np.stack(found, axis=-1), 4).tolist()}


def _cells(error, sigma, truth, teff, mh, *, prior=None):
    """
    The scale in every cell of TEFF and MH, (m, l), see `measure_scale`.

    A cell with few stars stays near its prior, or if there is none near its temperature's scale,
    and this near that of all stars.
    """
    near = _node_shares(teff).T > _LEAST_SHARE
    alike = interpolation_weights(mh, np.array(_MH_NODES)) > _LEAST_SHARE

    def measure(rows, prior):
        return measure_scale(error[rows], sigma[rows], truth[rows], prior=prior)

    if prior is None:
        pooled = measure(slice(None), 1.0)
        by_teff = [measure(rows, pooled) for rows in near]
        prior = np.broadcast_to(np.array(by_teff)[:, None], (len(near), len(alike)))
    cells = near[:, None] & alike
    return np.array([measure(cells[cell], prior[cell])
                     for cell in np.ndindex(prior.shape)]).reshape(prior.shape)


def _add_discriminant(predictor, library, fold):
    """Renew the discriminant of luminous stars, if the model has an edge of gravity."""
    domain = predictor.metadata["domain"]
    domain.pop("luminous", None)
    if "gravity" in domain:
        entry = luminosity_entry(predictor, library, leave_out=fold if fold < FOLDS else None)
        domain |= {"luminous": entry} if entry else {}


def calibrate_models(miles: PathLike, stis: PathLike, photometry: PathLike, folder: PathLike, *,
                     model: PathLike, folds: Sequence[PathLike], johnson: PathLike | None = None
                     ) -> list[Path]:
    """
    Write a model, and those of the folds, with scatter, scale of sigma and shared error.

    The scale in the model of a fold is measured on the stars of the other folds, so that the
    stars of this fold can still test it.  The scale in ``model`` is measured on all stars, each
    predicted by the model that was trained without it.  The same stars measure ``library_error``,
    the error that all SEDs share.  The discriminant of luminous stars is fitted anew.

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
        Johnson colours of the stars; with them, U-B and B-V measure the scale below 4500 Angstrom.

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
    library, stars = read_library(miles), read_stars(miles, stis, photometry, johnson)
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
        predictor.metadata.pop("library_error", None)
        predictor.metadata |= library_error_entry(
            left_out[0].take(stars.fold != fold), read_passbands(photometry))
        _add_discriminant(predictor, library, fold)
        paths.append(folder / f"{predictor.name}.safetensors")
        save_network(paths[-1], predictor.network, predictor.metadata)
    return paths
