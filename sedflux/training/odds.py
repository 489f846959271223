"""
Calibrated odds of a white dwarf against a star, and which white dwarfs are peculiar.

`calibrate_odds` writes both into a model, and the weight of its grid of labels, see
`sedflux.training.grid_weight`.

The evidence of a model takes its coefficients as normal, which those of stars are not, so that the
ratio of two evidences says too much or too little.  A logistic fit to noisy spectra of models, held
out of both trainings, tells how its logarithm becomes that of the odds: by a slope and an offset.

The templates of white dwarfs know ripples and defects of spectra, too, and can imitate with these
the lines of a magnetic white dwarf or the light of an M dwarf.  Spectra farther off than nearly all
simulated ones without such defects are flagged.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table, vstack
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
from sedflux.training.export import measure_domain
from sedflux.training.grid_weight import grid_weight
from sedflux.training.white_dwarfs import WhiteDwarfGenerator, held_out
from sedflux.writing import make_folder

if TYPE_CHECKING:
    from sedflux.training.types import Network, PathLike

__all__ = ["calibrate_odds", "draw_ratios", "logistic_fit", "peculiar_limits"]

#: S/N per pixel at which the kind of a spectrum is uncertain, and spectra of each kind at each.
_SNRS, _DRAWS = (1.5, 2.0, 3.0, 5.0), 1000
#: Share of spectra without defects that are not peculiar, and their number.
_ORDINARY, _EXAMPLES = 0.98, 3072
#: Least slope, and that of evidences which are right.
_SLOPES = (0.05, 1.0)


def draw_ratios(star: Any, white_dwarf: Any, stars: SpectralLibrary,
                white_dwarfs: SpectralLibrary, *, draws: int = _DRAWS, seed: int = 11) -> Table:
    """
    Ratios of evidences of noisy spectra of models that were held out, as many of each kind.

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
    table : `~astropy.table.Table`
        One row a spectrum: ``snr``, logarithm of the ``ratio``, whether it is a ``white_dwarf``,
        and the ``half`` of the models that it belongs to.
    """
    chooser = Chooser(star, white_dwarf, prior_odds=1.0, odds={"slope": 1.0, "offset": 0.0})
    test, dwarfs = split_models(stars)[1], held_out(white_dwarfs)[1]
    parts = []
    for part, chances in ((test, label_chances(test.labels, "survey")), (dwarfs, None)):
        flux = library_inputs(part, RESOLVING_POWER, input_grid())
        half = (np.asarray(part.table["INDEX"]) // 10) % 2
        for snr in _SNRS:
            rng = np.random.default_rng([seed, int(10 * snr)])
            some = rng.choice(len(flux), draws, p=chances)
            found = chooser.predict(input_grid(), *noisy_inputs(flux[some], snr, rng))
            models = np.broadcast_to(np.asarray(found.model), draws)
            sign = np.where(models == chooser.predictors[1].name, 1.0, -1.0)
            parts.append(Table({
                "snr": np.full(draws, snr),
                "ratio": sign * found.diagnostics["log_odds"] * np.log(10.0),
                "white_dwarf": np.full(draws, part is dwarfs), "half": half[some]}))
    return vstack(parts)


def logistic_fit(ratio: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """
    Slope and offset that turn logarithms of ratios into those of odds (Platt 1999).

    Parameters
    ----------
    ratio : `~numpy.ndarray`, shape (N,)
        Logarithms.
    truth : `~numpy.ndarray` of bool, shape (N,)

    Returns
    -------
    odds : dict
        ``slope``, from 0.05 to 1, and ``offset``.
    """
    ratio, sign = np.asarray(ratio, float), np.where(truth, 1.0, -1.0)

    def cost(values):
        return np.logaddexp(0.0, -sign * (values[0] * ratio + values[1])).mean()

    found = minimize(cost, [0.5, 0.0], method="L-BFGS-B", bounds=[_SLOPES, (None, None)])
    return {name: round(float(value), 3) for name, value in
            zip(("slope", "offset"), found.x, strict=True)}


def peculiar_limits(network: Network, white_dwarfs: SpectralLibrary) -> dict[str, float]:
    """
    Limits beyond which spectra are unlike those of ordinary white dwarfs without defects.

    Parameters
    ----------
    network : `torch.nn.Module`
    white_dwarfs : `~sedflux.libraries.SpectralLibrary`
        Whole library; the training models alone are used.

    Returns
    -------
    limits : dict
        ``excess``, ``unusual`` and ``strange``, see `sedflux.predict.flags`.
    """
    generator = WhiteDwarfGenerator(split_models(white_dwarfs)[0], effects=False)
    found = measure_domain(network, generator, examples=_EXAMPLES, share=_ORDINARY,
                           least_excess=0.0)
    return {name: round(found[name], 5) for name in ("excess", "unusual", "strange")}


def calibrate_odds(stars: PathLike, white_dwarfs: PathLike, folder: PathLike, *,
                   star: str = DEFAULT_MODEL, model: str = WHITE_DWARF_MODEL,
                   draws: int = _DRAWS) -> Path:
    """
    Write a model of white dwarfs with what is measured after its training.

    These are the calibration of its odds, limits of peculiar spectra, and the weight of its grid
    of labels.

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
    predictor, dwarfs = Predictor(model), read_library(white_dwarfs)
    table = draw_ratios(star, predictor, read_library(stars), dwarfs, draws=draws)
    odds = logistic_fit(table["ratio"], table["white_dwarf"])
    domain = predictor.metadata["domain"] | {
        "peculiar": peculiar_limits(predictor.network, dwarfs)}
    path = make_folder(folder) / f"{predictor.name}.safetensors"
    save_network(path, predictor.network, predictor.metadata | {
        "odds": odds, "domain": domain, "grid_weight": grid_weight(predictor, dwarfs)})
    return path
