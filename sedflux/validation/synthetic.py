"""Accuracy on real syntheses kept out of the training, beside the Fisher bound."""

from itertools import pairwise

import numpy as np
from astropy.table import Table

from sedflux.emulator.labelfit import LabelFit
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.libraries.library import split_models
from sedflux.spectra.bands import BANDS, SLITLESS_BANDS, band_rows
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import input_grid, sed_grid
from sedflux.spectra.normalise import input_basis
from sedflux.spectra.reddening import extinction_curve
from sedflux.training.augment import Observing, observe, random_curves
from sedflux.training.examples import ExampleGenerator
from sedflux.validation.metrics import score
from sedflux.validation.ridge import fit_ridge

__all__ = ["noisy_inputs", "split_targets", "synthetic_cases", "synthetic_cells",
           "synthetic_table"]

#: Edges of the cells in effective temperature (K).
_TEFF_EDGES = (4500.0, 5500.0, 6500.0, 8000.0, 10250.0)

_RIDGE_EXAMPLES = 6000
#: Effective temperatures to which the targets refer.
TEFF_RANGE = (5000.0, 9750.0)


def split_targets(library):
    """Training models, and the held-out ones to which the targets refer."""
    training, test = split_models(library)
    teff = test.labels[:, 0]
    return training, test.take((teff > TEFF_RANGE[0]) & (teff < TEFF_RANGE[1]))


def noisy_inputs(flux, snr, rng):
    """
    White noise of constant S/N a pixel, and an unknown smooth curve.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (N, 2430)
    snr : float
    rng : `numpy.random.Generator`

    Returns
    -------
    flux, ivar : `~numpy.ndarray`, shape (N, 2430)
    """
    noisy = flux * (1.0 + rng.standard_normal(flux.shape) / snr)
    curve = random_curves(len(flux), rng, extinction_curve(input_grid()), wiggle=False)
    return noisy * curve, (snr / (flux * curve)) ** 2


def _network(predictor, flux, ivar):
    prediction = predictor.predict(input_grid(), flux, ivar)
    return np.log(prediction.flux), prediction.diagonal, prediction.factor


def _labelfit(fitter, flux, ivar):
    normalised, weight = remove_continuum(flux, ivar, input_basis())
    results = [fitter.fit(y, w) for y, w in zip(normalised, weight, strict=True)]
    return (np.stack([r.log_sed for r in results]), np.stack([r.diagonal for r in results]),
            np.stack([r.factor for r in results]))


def _ridge(engine, snr, flux, ivar, seed):
    rng = np.random.default_rng([seed, 99])
    stars, log_sed, _ = engine.stars(_RIDGE_EXAMPLES, rng)
    size = len(stars)
    clean = observe(stars, Observing(np.full(size, 2000.0), np.zeros(size), np.zeros(size)))
    training, _ = remove_continuum(*noisy_inputs(clean, snr, rng), engine.continuum,
                                   tolerance=1e-5)
    baseline = fit_ridge(training, log_sed)
    normalised, _ = remove_continuum(flux, ivar, engine.continuum)
    return (baseline.predict(normalised), np.tile(baseline.variance, (len(flux), 1)),
            np.tile(baseline.factor, (len(flux), 1, 1)))


def _templates(training, flux, ivar):
    """The SED of the model whose normalised spectrum is nearest by chi-square."""
    normalised, weight = remove_continuum(flux, ivar, input_basis())
    models, _ = remove_continuum(library_inputs(training, 2000.0, input_grid()),
                                 np.full((len(training), flux.shape[1]), 1e4), input_basis())
    chi2 = weight @ (models**2).T - 2.0 * (weight * normalised) @ models.T
    log_sed = library_seds(training)
    order = np.argsort(chi2, axis=1)[:, :2]
    # Two neighbours differ by as much as a template errs.
    spread = (log_sed[order[:, 0]] - log_sed[order[:, 1]]) ** 2 + 1e-6
    return log_sed[order[:, 0]], spread, np.zeros((len(flux), 1, log_sed.shape[1]))


def synthetic_cases(library, predictor, snr, *, seed=17):
    """
    Predictions of all held-out models, whatever their temperature, with one noise each.

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
    prediction = _predict_noisy(predictor, library_inputs(test, 2000.0, input_grid()), snr, seed)
    return test.labels[:, 0], prediction, np.exp(library_seds(test))


def _predict_noisy(predictor, clean, snr, seed):
    """Predictions from noisy copies of spectra on the input grid."""
    flux, ivar = noisy_inputs(clean, snr, np.random.default_rng([seed, int(snr)]))
    return predictor.predict(input_grid(), flux, ivar)


def synthetic_cells(library, predictor, *, snrs=(10.0, 20.0, 40.0, 80.0), realisations=4, seed=23):
    """
    Pulls and coverage of a network on held-out models, by band, temperature and S/N.

    Of spectra without flags.

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
        One row a cell of 30 spectra or more.
    """
    bands, rows = band_rows(sed_grid(), BANDS), []
    _, test = split_models(library)
    clean = library_inputs(test, 2000.0, input_grid())
    teff = np.tile(test.labels[:, 0], realisations)
    truth = np.tile(np.exp(library_seds(test)), (realisations, 1))
    for snr in snrs:
        parts = [_predict_noisy(predictor, clean, snr, seed + number)
                 for number in range(realisations)]
        flux, diagonal, factor = (np.concatenate([getattr(part, name) for part in parts])
                                  for name in ("flux", "diagonal", "factor"))
        # Sigma of flagged spectra was widened on purpose.
        plain = np.array([not flags for part in parts for flags in part.flags])
        for low, high in pairwise(_TEFF_EDGES):
            cell = plain & (teff >= low) & (teff < high)
            if cell.sum() < 30:
                continue
            for band, inside in bands.items():
                result = score(flux[cell], diagonal[cell], factor[cell], truth[cell], inside)
                rows.append({"snr": snr, "teff": low, "teff_end": high, "band": band,
                             "spectra": int(cell.sum()), "error": result.error,
                             "pull": result.pull, "coverage68": result.coverage68,
                             "coverage95": result.coverage95})
    return Table(rows)


def synthetic_table(library, predictor, kernels, *, snrs=(10.0, 20.0, 40.0, 80.0),
                    realisations=4, seed=7, baselines=True, progress=None):
    """
    Score network and baselines on the held-out models.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        The whole synthetic library; it is split here.
    predictor : `~sedflux.Predictor`
    kernels : tuple of `~sedflux.emulator.gaussian_process.Kernel`
        Of the emulator.
    snrs : sequence of float, optional
    realisations : int, optional
        Noise realisations of each model.
    seed : int, optional
    baselines : bool, optional
        Score ridge regression and the label fit too.
    progress : callable, optional
        Called with a line of text now and then.

    Returns
    -------
    table : `~astropy.table.Table`
        One row a method, S/N and band.
    """
    training, test = split_targets(library)
    say = progress or (lambda text: None)
    say(f"{len(test)} held-out models, {len(training)} in the emulator")
    clean, truth = library_inputs(test, 2000.0, input_grid()), np.exp(library_seds(test))
    fitter = LabelFit(training, kernels)
    informed = LabelFit(training, kernels, prior="survey")
    engine = ExampleGenerator(training, kernels=kernels) if baselines else None
    bands = band_rows(sed_grid(), BANDS | SLITLESS_BANDS)
    rows = []
    for snr in snrs:
        rng = np.random.default_rng([seed, int(snr)])
        # Constant S/N a pixel means less noise within lines.
        _, weight = remove_continuum(clean, (snr / clean) ** 2, input_basis())
        bound, survey = (np.stack([fit.bound(labels, row) for labels, row in
                                   zip(test.labels, weight, strict=True)])
                         for fit in (fitter, informed))
        draws = [noisy_inputs(clean, snr, rng) for _ in range(realisations)]
        flux, ivar = (np.concatenate(values) for values in zip(*draws, strict=True))
        methods = {"network": lambda f=flux, i=ivar: _network(predictor, f, i)}
        if baselines:
            methods["nearest template"] = lambda f=flux, i=ivar: _templates(training, f, i)
            methods["ridge"] = lambda f=flux, i=ivar, s=snr: _ridge(engine, s, f, i, seed)
            methods["label fit"] = lambda f=flux, i=ivar: _labelfit(fitter, f, i)
        for method, predict in methods.items():
            log_sed, diagonal, factor = predict()
            say(f"S/N {snr:g}: {method}")
            for band, inside in bands.items():
                result = score(np.exp(log_sed), diagonal, factor,
                               np.tile(truth, (realisations, 1)), inside)
                limit = float(np.sqrt(bound[:, inside].mean()))
                rows.append({"method": method, "snr": snr, "band": band, "bound": limit,
                             "ratio": result.error / limit,
                             "bound_survey": float(np.sqrt(survey[:, inside].mean())),
                             **vars(result)})
    return Table(rows)
