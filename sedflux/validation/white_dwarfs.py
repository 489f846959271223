"""Accuracy on models of white dwarfs that were held out of the training, and the Fisher bound."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from astropy.table import Table

from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.libraries.library import SpectralLibrary
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.predict.predictor import Predictor
from sedflux.spectra.bands import BANDS, band_rows
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import input_grid, sed_grid
from sedflux.spectra.normalise import input_basis
from sedflux.training.augment import Observing, observe
from sedflux.training.white_dwarf_spectra import WhiteDwarfSpectra
from sedflux.training.white_dwarfs import held_out
from sedflux.validation.metrics import score
from sedflux.validation.synthetic import noisy_copies

__all__ = ["MODEL_TEFF_EDGES", "fisher_bound", "held_out", "white_dwarf_table"]

#: Edges (K) of the classes in which models are scored.
MODEL_TEFF_EDGES = (7000.0, 10000.0, 15000.0, 25000.0, 77000.0)
#: S/N per pixel of the spectra.
_SNRS = (20.0, 40.0, 80.0)
#: Steps of ln(TEFF) and LOGG for derivatives.
_STEPS = np.array([0.004, 0.02])


def fisher_bound(spectra: WhiteDwarfSpectra, labels: np.ndarray, snr: float) -> np.ndarray:
    """
    Fisher bound: the least variance of ln(SED) that white noise allows.

    The prior of the labels is as wide as the grid, which no spectrum of a white dwarf notices.

    Parameters
    ----------
    spectra : `~sedflux.training.white_dwarfs.WhiteDwarfSpectra`
    labels : `~numpy.ndarray`, shape (N, 2)
        TEFF (K) and LOGG.
    snr : float
        Per pixel.

    Returns
    -------
    variance : `~numpy.ndarray`, shape (N, 575)
    """
    slopes, sed_slopes = [], []
    grid = np.column_stack([np.log(labels[:, 0]), labels[:, 1]])
    for axis, step in enumerate(_STEPS):
        ends = []
        for sign in (1.0, -1.0):
            moved = grid.copy()
            moved[:, axis] += sign * step
            ends.append(_normalised(spectra, np.column_stack([np.exp(moved[:, 0]), moved[:, 1]]),
                                    snr))
        slopes.append((ends[0][0] - ends[1][0]) / (2.0 * step))
        sed_slopes.append((ends[0][2] - ends[1][2]) / (2.0 * step))
    weight = _normalised(spectra, labels, snr)[1]
    design, sed_design = np.stack(slopes, axis=1), np.stack(sed_slopes, axis=1)
    information = np.einsum("nip,njp->nij", design * weight[:, None], design)
    covariance = np.linalg.inv(information + np.eye(2))
    return np.einsum("nip,nij,njp->np", sed_design, covariance, sed_design)


def _normalised(spectra, labels, snr):
    """Noiseless normalised spectra, their ivar, and ln(SED)."""
    flux, log_sed = spectra(labels)
    same = np.ones(len(labels))
    clean = observe(flux, Observing(RESOLVING_POWER * same, 0.0 * same, 0.0 * same))
    normalised, ivar = remove_continuum(clean, (snr / clean) ** 2, input_basis())
    mean = log_sed[:, (sed_grid() > 4000.0) & (sed_grid() < 7000.0)]
    return normalised, ivar, log_sed - np.log(np.exp(mean).mean(axis=1, keepdims=True))


def white_dwarf_table(library: SpectralLibrary, predictor: Predictor, *,
                      snrs: Sequence[float] = _SNRS, realisations: int = 4, seed: int = 7
                      ) -> Table:
    """
    Score a model of white dwarfs on the models that were held out.

    Errors that all white dwarfs share are left out of sigma: models have none.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        The whole grid; this function splits it.
    predictor : `~sedflux.Predictor`
    snrs : sequence of float, optional
        Per pixel.
    realisations : int, optional
        Noise realisations of each model.
    seed : int, optional

    Returns
    -------
    table : `~astropy.table.Table`
        One row per S/N, class of temperature and band; the first class has all models.
    """
    training, test = held_out(library)
    clean = library_inputs(test, RESOLVING_POWER, input_grid())
    truth = np.tile(np.exp(library_seds(test)), (realisations, 1))
    teff = np.tile(test.labels[:, 0], realisations)
    spectra, rows = WhiteDwarfSpectra(training), []
    for snr in snrs:
        rng = np.random.default_rng([seed, int(snr)])
        bound = np.tile(fisher_bound(spectra, test.labels, snr), (realisations, 1))
        flux, ivar = noisy_copies(clean, snr, rng, realisations)
        found = predictor.predict(input_grid(), flux, ivar)
        factor = found.factor.copy()
        for part in found.parts.values():
            same = (factor == part[:, None]).all(axis=(0, 2))
            factor[:, same] = 0.0
        two = found.diagnostics["second_weight"] > 0
        edges = [(MODEL_TEFF_EDGES[0], MODEL_TEFF_EDGES[-1]), *pairwise(MODEL_TEFF_EDGES)]
        for low, high in edges:
            cell = (teff >= low) & (teff < high)
            for band, inside in band_rows(sed_grid(), BANDS).items():
                result = score(found.flux[cell], found.diagonal[cell], factor[cell], truth[cell],
                               inside)
                least = float(np.sqrt(bound[cell][:, inside].mean()))
                rows.append({"snr": snr, "teff": low, "teff_end": high, "band": band,
                             "bound": least, "ratio": result.error / least, **vars(result),
                             "two_solutions": float(two[cell].mean())})
    return Table(rows)
