"""Accuracy on synthetic spectra that were held out of the training, and the Fisher bound."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from astropy.table import Table, vstack

from sedflux.emulator.gaussian_process import Kernel
from sedflux.emulator.labelfit import LabelFit
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.libraries.labels import TEFF_EDGES
from sedflux.libraries.library import SpectralLibrary, split_models
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor
from sedflux.spectra.bands import BANDS, band_rows
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import input_grid, sed_grid
from sedflux.spectra.normalise import input_basis
from sedflux.training.augment import Observing, noisy_inputs, observe
from sedflux.training.examples import ExampleGenerator
from sedflux.validation.cells import TEFF_RANGE, table_bands
from sedflux.validation.metrics import score
from sedflux.validation.ridge import fit_ridge

__all__ = ["Baselines", "noisy_copies", "noisy_inputs", "split_targets", "synthetic_cases",
           "synthetic_cells", "synthetic_edges", "synthetic_table"]

#: Training examples of the ridge regression, at each S/N.
_RIDGE_EXAMPLES = 6000
#: S/N assumed for the templates, which have no noise.
_TEMPLATE_SNR = 100.0
#: Smallest variance of ln(flux) from the difference of the two nearest templates.
_LEAST_VARIANCE = 1e-6
#: Fewest spectra of a cell.
_LEAST_SPECTRA = 30
#: Ranges of temperature (K) at both ends of the library, where models are scored apart.
_EDGES = ((4000.0, 4500.0), (10250.0, 15000.0))
#: S/N per pixel of the spectra in the tables.
TABLE_SNRS = (10.0, 20.0, 40.0, 80.0)

_log = logging.getLogger(__name__)


def split_targets(library: SpectralLibrary, *, teff: tuple[float, float] = TEFF_RANGE
                  ) -> tuple[SpectralLibrary, SpectralLibrary]:
    """Training models, and the held-out models within a range of temperature (K)."""
    training, test = split_models(library)
    place = test.labels[:, 0]
    return training, test.take((place > teff[0]) & (place < teff[1]))


def noisy_copies(flux: np.ndarray, snr: float, rng: np.random.Generator, number: int
                 ) -> tuple[np.ndarray, np.ndarray]:
    """`noisy_inputs` of several realisations, one after the other, (number * N, 2430)."""
    draws = [noisy_inputs(flux, snr, rng) for _ in range(number)]
    noisy, ivar = (np.concatenate(values) for values in zip(*draws, strict=True))
    return noisy, ivar


@dataclass(frozen=True)
class Baselines:
    """
    Other methods on the same spectra as the network.

    Each method returns ln(SED) (N, 575), diagonal (N, 575) and factor (N, r, 575) of its
    covariance.

    Attributes
    ----------
    training : `~sedflux.libraries.SpectralLibrary`
        Models that the methods may use.
    fitter : `~sedflux.emulator.labelfit.LabelFit`
    generator : `~sedflux.training.examples.ExampleGenerator`
        For the examples of the ridge regression.
    """

    training: SpectralLibrary
    fitter: LabelFit
    generator: ExampleGenerator

    def label_fit(self, flux: np.ndarray, ivar: np.ndarray) -> tuple[np.ndarray, ...]:
        """SEDs of the labels that fit each spectrum best, through the emulator."""
        normalised, weight = remove_continuum(flux, ivar, input_basis())
        results = [self.fitter.fit(y, w) for y, w in zip(normalised, weight, strict=True)]
        return (np.stack([r.log_sed for r in results]), np.stack([r.diagonal for r in results]),
                np.stack([r.factor for r in results]))

    def ridge(self, flux: np.ndarray, ivar: np.ndarray, *, snr: float, seed: int
              ) -> tuple[np.ndarray, ...]:
        """Ridge regression, trained on examples with the noise of the spectra."""
        rng = np.random.default_rng([seed, 99])
        stars, log_sed, _ = self.generator.stars(_RIDGE_EXAMPLES, rng)
        size = len(stars)
        still = np.zeros(size)
        clean = observe(stars, Observing(np.full(size, RESOLVING_POWER), still, still))
        training, _ = remove_continuum(*noisy_inputs(clean, snr, rng), self.generator.continuum,
                                       tolerance=1e-5)
        baseline = fit_ridge(training, log_sed)
        normalised, _ = remove_continuum(flux, ivar, self.generator.continuum)
        return (baseline.predict(normalised), np.tile(baseline.variance, (len(flux), 1)),
                np.tile(baseline.factor, (len(flux), 1, 1)))

    def nearest_template(self, flux: np.ndarray, ivar: np.ndarray) -> tuple[np.ndarray, ...]:
        """The SED of the model whose normalised spectrum is nearest by chi-square."""
        normalised, weight = remove_continuum(flux, ivar, input_basis())
        templates = library_inputs(self.training, RESOLVING_POWER, input_grid())
        models, _ = remove_continuum(templates, np.full(templates.shape, _TEMPLATE_SNR**2),
                                     input_basis())
        chi2 = weight @ (models**2).T - 2.0 * (weight * normalised) @ models.T
        log_sed = library_seds(self.training)
        order = np.argsort(chi2, axis=1)[:, :2]
        # The difference of the two nearest templates is taken as the error.
        variance = (log_sed[order[:, 0]] - log_sed[order[:, 1]]) ** 2 + _LEAST_VARIANCE
        return log_sed[order[:, 0]], variance, np.zeros((len(flux), 1, log_sed.shape[1]))


def synthetic_cases(library: SpectralLibrary, predictor: Predictor, snr: float, *, seed: int = 17
                    ) -> tuple[np.ndarray, SEDPrediction, np.ndarray]:
    """
    Predictions of all held-out models of any temperature, with one noise realisation each.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
    predictor : `~sedflux.Predictor`
    snr : float
    seed : int, optional

    Returns
    -------
    teff : `~numpy.ndarray`, shape (N,)
    prediction : `~sedflux.SEDPrediction`
    truth : `~numpy.ndarray`, shape (N, 575)
    """
    _, test = split_models(library)
    clean = library_inputs(test, RESOLVING_POWER, input_grid())
    prediction = _predict_noisy(predictor, clean, snr, seed)
    return test.labels[:, 0], prediction, np.exp(library_seds(test))


def _predict_noisy(predictor, clean, snr, seed):
    """Predictions from spectra on the input grid, with noise."""
    flux, ivar = noisy_inputs(clean, snr, np.random.default_rng([seed, int(snr)]))
    return predictor.predict(input_grid(), flux, ivar)


def synthetic_edges(library: SpectralLibrary, predictor: Predictor, kernels: tuple[Kernel, ...], *,
                    snrs: Sequence[float] = TABLE_SNRS, realisations: int = 4) -> Table:
    """
    Score a network on the held-out models at both ends of the range of temperature.

    Flagged spectra are among them, and their sigma is widened.

    Parameters
    ----------
    library, predictor, kernels, snrs, realisations
        See `synthetic_table`.

    Returns
    -------
    table : `~astropy.table.Table`
        Like that of `synthetic_table`, with the columns ``teff`` and ``teff_end``.
    """
    parts = []
    for low, high in _EDGES:
        part = synthetic_table(library, predictor, kernels, snrs=snrs, realisations=realisations,
                               baselines=False, teff=(low, high))
        if len(part):
            part.add_columns([[low] * len(part), [high] * len(part)], names=["teff", "teff_end"],
                             indexes=[0, 0])
            parts.append(part)
    return vstack(parts) if parts else Table()


def synthetic_cells(library: SpectralLibrary, predictor: Predictor, *,
                    snrs: Sequence[float] = TABLE_SNRS, realisations: int = 4, seed: int = 23
                    ) -> Table:
    """
    Pulls and coverage of a network on held-out models, by band, temperature and S/N.

    Only spectra without flags are used, because flags increase sigma.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
    predictor : `~sedflux.Predictor`
    snrs : sequence of float, optional
    realisations : int, optional
        Noise realisations of each model.
    seed : int, optional

    Returns
    -------
    table : `~astropy.table.Table`
        One row per cell of 30 spectra or more.
    """
    bands, rows = band_rows(sed_grid(), BANDS), []
    _, test = split_models(library)
    clean = library_inputs(test, RESOLVING_POWER, input_grid())
    teff = np.tile(test.labels[:, 0], realisations)
    truth = np.tile(np.exp(library_seds(test)), (realisations, 1))
    for snr in snrs:
        parts = [_predict_noisy(predictor, clean, snr, seed + number)
                 for number in range(realisations)]
        flux, diagonal, factor = (np.concatenate([getattr(part, name) for part in parts])
                                  for name in ("flux", "diagonal", "factor"))
        plain = np.array([not flags for part in parts for flags in part.flags])
        for low, high in pairwise(TEFF_EDGES):
            cell = plain & (teff >= low) & (teff < high)
            if cell.sum() < _LEAST_SPECTRA:
                continue
            for band, inside in bands.items():
                result = score(flux[cell], diagonal[cell], factor[cell], truth[cell], inside)
                rows.append({"snr": snr, "teff": low, "teff_end": high, "band": band,
                             "spectra": int(cell.sum()), "error": result.error,
                             "pull": result.pull, "coverage68": result.coverage68,
                             "coverage95": result.coverage95})
    return Table(rows)


def synthetic_table(library: SpectralLibrary, predictor: Predictor, kernels: tuple[Kernel, ...], *,
                    snrs: Sequence[float] = TABLE_SNRS, realisations: int = 4, seed: int = 7,
                    baselines: bool = True, teff: tuple[float, float] = TEFF_RANGE) -> Table:
    """
    Score the network and the baselines on the held-out models.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        The whole synthetic library; this function splits it.
    predictor : `~sedflux.Predictor`
    kernels : tuple of `~sedflux.emulator.gaussian_process.Kernel`
        Of the emulator.
    snrs : sequence of float, optional
    realisations : int, optional
        Noise realisations of each model.
    seed : int, optional
    baselines : bool, optional
        Score nearest template, ridge regression and label fit too.
    teff : tuple of float, optional
        Range of the temperature (K) of the models.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per method, S/N and band; none if the library has no held-out models there.
    """
    training, test = split_targets(library, teff=teff)
    if not len(test):
        return Table()
    _log.info("%d held-out models, %d in the emulator", len(test), len(training))
    clean, truth = library_inputs(test, RESOLVING_POWER, input_grid()), np.exp(library_seds(test))
    truth = np.tile(truth, (realisations, 1))
    fitters = [LabelFit(training, kernels), LabelFit(training, kernels, prior="survey")]
    generator = ExampleGenerator(training, kernels=kernels) if baselines else None
    others = None if generator is None else Baselines(training, fitters[0], generator)
    rows = []
    for snr in snrs:
        rng = np.random.default_rng([seed, int(snr)])
        # Constant S/N per pixel means less noise within lines.
        _, weight = remove_continuum(clean, (snr / clean) ** 2, input_basis())
        bounds = [np.stack([fit.bound(labels, row) for labels, row in
                            zip(test.labels, weight, strict=True)]) for fit in fitters]
        flux, ivar = noisy_copies(clean, snr, rng, realisations)
        for method, predict in _methods(predictor, others, snr, seed).items():
            rows += [{"method": method, "snr": snr} | row
                     for row in _scores(predict(flux, ivar), truth, bounds)]
            _log.info("S/N %g: %s", snr, method)
    return Table(rows)


def _methods(predictor: Predictor, others: Baselines | None, snr: float, seed: int
             ) -> dict[str, Callable[..., tuple[np.ndarray, ...]]]:
    """Methods by name: each gets flux and ivar, and returns ln(SED), diagonal and factor."""
    def network(flux, ivar):
        prediction = predictor.predict(input_grid(), flux, ivar)
        return np.log(prediction.flux), prediction.diagonal, prediction.factor

    if others is None:
        return {"network": network}
    return {"network": network, "nearest template": others.nearest_template,
            "ridge": lambda flux, ivar: others.ridge(flux, ivar, snr=snr, seed=seed),
            "label fit": others.label_fit}


def _scores(predicted, truth, bounds):
    """Scores in every band, beside the Fisher bounds under both priors, (N, 575) each."""
    log_sed, diagonal, factor = predicted
    for band, inside in band_rows(sed_grid(), table_bands()).items():
        result = score(np.exp(log_sed), diagonal, factor, truth, inside)
        flat, survey = (float(np.sqrt(bound[:, inside].mean())) for bound in bounds)
        yield {"band": band, "bound": flat, "ratio": result.error / flat,
               "bound_survey": survey, **vars(result)}
