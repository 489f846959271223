"""
How much the best model of a grid of labels counts beside the network.

The weights make the errors of simulated spectra least, which have defects, velocities and wrong
resolving powers, in classes of the chi-square of that model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sedflux.libraries.library import split_models
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.predict.sigma import Widening
from sedflux.predict.solutions import describe_solutions, grid_share
from sedflux.training.white_dwarfs import LEAST_POWER, WhiteDwarfGenerator

if TYPE_CHECKING:
    from sedflux.libraries.library import SpectralLibrary
    from sedflux.predict.predictor import Predictor
    from sedflux.training.augment import Observing

__all__ = ["grid_weight"]

#: Classes of ``fit``: chi-square a degree of freedom.
_FIT = np.geomspace(0.7, 20.0, 16)
#: Resolving powers that are told, and spectra of each.
_POWERS, _SPECTRA = tuple(np.geomspace(LEAST_POWER, RESOLVING_POWER, 8).tolist()), 1024
#: Standard deviation of ln(resolving power) about what is told.
_POWER_ERROR = 0.03
#: Smallest weight that is not zero.
_LEAST_WEIGHT = 0.05
#: Weights with which every spectrum counts that the grid can tell about.
_ANY = {"fit": [1.0, 2.0], "weight": [1.0, 1.0], "snr": [1.0, 2.0], "scale": [1.0, 1.0]}
#: Share of a Gaussian within one sigma.
_ONE_SIGMA = 0.683


class _OfOnePower(WhiteDwarfGenerator):
    """Examples of which the same resolving power is told."""

    told = RESOLVING_POWER

    def observing(self, labels: np.ndarray, rng: np.random.Generator) -> Observing:
        own = self.told * np.exp(_POWER_ERROR * rng.standard_normal(len(labels)))
        return replace(super().observing(labels, rng), resolving_power=own)


def grid_weight(predictor: Predictor, white_dwarfs: SpectralLibrary, *,
                powers: Sequence[float] = _POWERS, spectra: int = _SPECTRA, seed: int = 8
                ) -> dict[str, list[float]]:
    """
    Weights of the best model of the grid, and scales of sigma where it has weight.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`
        That holds a grid of labels.
    white_dwarfs : `~sedflux.libraries.SpectralLibrary`
        Whole library; the training models alone are used.
    powers : sequence of float, optional
        Resolving powers; as many spectra as of all of them have 2000.
    spectra : int, optional
        Of each resolving power, a multiple of 4.
    seed : int, optional

    Returns
    -------
    table : dict
        ``weight``, which falls with ``fit``, and ``scale`` by ``snr``: see
        `sedflux.predict.solutions.refined`.
    """
    generator = _OfOnePower(split_models(white_dwarfs)[0])
    rng, parts = np.random.default_rng(seed), []
    for power in [*powers, *[RESOLVING_POWER] * len(powers)]:
        generator.told = float(power)
        parts.append(_compared(predictor, generator.examples(spectra, rng), float(power)))
    fit, snr, error, away, variance, own = (
        np.concatenate(values) for values in zip(*parts, strict=True))
    weight = _least_errors(fit, error, away, variance)
    share = np.interp(np.log(fit), np.log(_FIT), weight)[:, None]
    pull = (error - share * away) / np.sqrt(
        (1.0 - share) * (variance + share * away**2) + share * own)
    # Spectra that the grid fits well tell the scale: about these it knows most.
    told = share[:, 0] > 0.5 * weight[0]
    levels = np.log(predictor.metadata["calibration"]["snr"])
    place = np.rint(np.interp(np.log(snr), levels, np.arange(levels.size))).astype(int)
    scale = [np.quantile(np.abs(pull[told & (place == level)]), _ONE_SIGMA)
             if (told & (place == level)).any() else 1.0 for level in range(levels.size)]
    return {name: np.round(values, 4).tolist() for name, values in
            {"fit": _FIT, "weight": weight, "snr": np.exp(levels), "scale": scale}.items()}


def _least_errors(fit, error, away, variance):
    """Weights in classes of the fit that make errors least in units of the network's sigma."""
    along, square = ((values / variance).sum(axis=1) for values in (error * away, away**2))
    place = np.rint(np.interp(np.log(fit), np.log(_FIT), np.arange(_FIT.size))).astype(int)
    along, square = (np.bincount(place, values, _FIT.size) for values in (along, square))
    weight = np.divide(along, square, out=np.zeros(_FIT.size), where=square > 0)
    weight = np.minimum.accumulate(np.clip(weight, 0.0, 1.0))
    return np.where(weight > _LEAST_WEIGHT, weight, 0.0)


def _compared(predictor, examples, power):
    """
    Network and grid on spectra of which the grid could be used.

    Fit and S/N (K,); ln(SED) of truth and grid minus the network's, and variances of network and
    grid, (K, 575).
    """
    output, solutions = predictor.arrays.values(examples.normalised, examples.ivar, power)
    weights, snr = predictor.arrays.weights, np.sqrt(examples.ivar.mean(axis=1))
    templates, mean = weights["sed_templates"].astype(float), weights["sed_mean"]
    found = describe_solutions(solutions, templates, mean, np.full((1, mean.size), 1 / mean.size))
    used = np.flatnonzero(grid_share(found, _ANY) > 0)
    output = {name: output[name][used] for name in ("mean", "label_mean", "diagonal", "directions")}
    widening = Widening(predictor.metadata, predictor.wavelength,
                        predictor.arrays.unit_templates, weights["sed_templates"])
    diagonal, factor = widening.covariance(output | {"snr": snr[used]}, np.zeros(used.size))
    own = factor.array()[:, : output["directions"].shape[1]]
    return (np.maximum(found["grid_fit"][used], _FIT[0]), snr[used],
            examples.log_sed[used] - output["mean"],
            found["grid_scores"][used] @ templates + mean - output["mean"],
            diagonal + (own**2).sum(axis=1),
            ((found["grid_rows"][used] @ templates) ** 2).sum(axis=1))
