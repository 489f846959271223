"""
Calibrated odds of a white dwarf against a star.

The evidence of a model takes its coefficients as normal, which those of stars are not, so that the
ratio of two evidences says too much or too little.  A logistic fit to noisy spectra of models, held
out of both trainings, tells how its logarithm becomes that of the odds: by a slope and an offset.
Half of the models measure them; the other half is left to score them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize

from sedflux.libraries.inputs import library_inputs
from sedflux.libraries.library import SpectralLibrary, read_library, split_models
from sedflux.libraries.prior import label_chances
from sedflux.network.checkpoint import save_network
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.predict.chooser import Chooser
from sedflux.predict.models import DEFAULT_MODEL, WHITE_DWARF_MODEL
from sedflux.predict.predictor import Predictor
from sedflux.spectra.grids import input_grid
from sedflux.training.augment import noisy_inputs
from sedflux.training.white_dwarfs import held_out
from sedflux.writing import make_folder

if TYPE_CHECKING:
    from sedflux.training.types import PathLike

__all__ = ["calibrate_odds", "log_ratios", "logistic_fit", "measure_odds", "measuring_half"]

#: S/N per pixel at which the kind of a spectrum is uncertain, and spectra of each kind at each.
_SNRS, _DRAWS = (1.5, 2.0, 3.0, 5.0), 500
#: Least slope, and that of evidences which are right.
_SLOPES = (0.05, 1.0)


def measuring_half(test: SpectralLibrary) -> np.ndarray:
    """
    Which of the models that were held out measure the odds; the others score them.

    Parameters
    ----------
    test : `~sedflux.libraries.SpectralLibrary`
        With the column INDEX.

    Returns
    -------
    measuring : `~numpy.ndarray` of bool, shape (N,)
        Those whose last digit but one is even.
    """
    return (np.asarray(test.table["INDEX"]) // 10) % 2 == 0


def log_ratios(chooser: Chooser, flux: np.ndarray, snr: float, rng: np.random.Generator
               ) -> np.ndarray:
    """
    Logarithm of the odds of a white dwarf for noisy copies of spectra.

    Parameters
    ----------
    chooser : `~sedflux.predict.chooser.Chooser`
    flux : `~numpy.ndarray`, shape (N, 2430)
        On the input grid, without noise.
    snr : float
        Per pixel.
    rng : `numpy.random.Generator`

    Returns
    -------
    odds : `~numpy.ndarray`, shape (N,)
        With the slope, the offset and the prior of ``chooser``.
    """
    found = chooser.predict(input_grid(), *noisy_inputs(flux, snr, rng))
    models = np.broadcast_to(np.asarray(found.model), len(found))
    sign = np.where(models == chooser.predictors[1].name, 1.0, -1.0)
    return sign * found.diagnostics["log_odds"] * np.log(10.0)


def logistic_fit(ratio: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """
    Slope and offset that turn logarithms of ratios into those of odds (Platt 1999).

    Parameters
    ----------
    ratio : `~numpy.ndarray`, shape (N,)
    truth : `~numpy.ndarray` of bool, shape (N,)

    Returns
    -------
    odds : dict
        ``slope``, from 0.05 to 1, and ``offset``.
    """
    sign = np.where(truth, 1.0, -1.0)

    def cost(values):
        return np.logaddexp(0.0, -sign * (values[0] * ratio + values[1])).mean()

    found = minimize(cost, [0.5, 0.0], method="L-BFGS-B", bounds=[_SLOPES, (None, None)])
    return {name: round(float(value), 3) for name, value in
            zip(("slope", "offset"), found.x, strict=True)}


def measure_odds(star: Any, white_dwarf: Any, stars: SpectralLibrary,
                 white_dwarfs: SpectralLibrary, *, draws: int = _DRAWS, seed: int = 11
                 ) -> dict[str, float]:
    """
    Slope and offset of the odds, from half of the models that were held out.

    Parameters
    ----------
    star, white_dwarf : str, path-like or `~sedflux.Predictor`
        The two models.
    stars, white_dwarfs : `~sedflux.libraries.SpectralLibrary`
        Whole libraries of both kinds.
    draws : int, optional
        Spectra of each kind per S/N.
    seed : int, optional

    Returns
    -------
    odds : dict
        See `logistic_fit`.
    """
    chooser = Chooser(star, white_dwarf, prior_odds=1.0, odds={"slope": 1.0, "offset": 0.0})
    _, test = split_models(stars)
    _, dwarfs = held_out(white_dwarfs)
    test, dwarfs = (part.take(measuring_half(part)) for part in (test, dwarfs))
    ratios, truths = [], []
    for part, chances in ((test, label_chances(test.labels, "survey")), (dwarfs, None)):
        flux = library_inputs(part, RESOLVING_POWER, input_grid())
        for snr in _SNRS:
            rng = np.random.default_rng([seed, int(10 * snr)])
            some = rng.choice(len(flux), draws, p=chances)
            ratios.append(log_ratios(chooser, flux[some], snr, rng))
            truths.append(np.full(draws, part is dwarfs))
    return logistic_fit(np.concatenate(ratios), np.concatenate(truths))


def calibrate_odds(stars: PathLike, white_dwarfs: PathLike, folder: PathLike, *,
                   star: str = DEFAULT_MODEL, model: str = WHITE_DWARF_MODEL,
                   draws: int = _DRAWS) -> Path:
    """
    Write a model of white dwarfs with the calibration of its odds against stars.

    Parameters
    ----------
    stars, white_dwarfs : path-like
        Libraries of models of both kinds, as for the trainings.
    folder : path-like
        Gets the model under its name.
    star : str or path-like, optional
        The model of stars.
    model : str or path-like, optional
        The model of white dwarfs.
    draws : int, optional
        Spectra of each kind per S/N.

    Returns
    -------
    path : `~pathlib.Path`
    """
    predictor = Predictor(model)
    odds = measure_odds(star, predictor, read_library(stars), read_library(white_dwarfs),
                        draws=draws)
    path = make_folder(folder) / f"{predictor.name}.safetensors"
    save_network(path, predictor.network, predictor.metadata | {"odds": odds})
    return path
