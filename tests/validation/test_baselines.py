"""Nearest template, ridge regression and label fit on the toy library."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux.emulator.gaussian_process import Kernel
from sedflux.emulator.labelfit import LabelFit
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.libraries.library import split_models
from sedflux.spectra.grids import input_grid
from sedflux.training.examples import ExampleGenerator
from sedflux.validation import synthetic
from sedflux.validation.synthetic import (
    Baselines,
    noisy_inputs,
    split_targets,
    synthetic_edges,
    synthetic_table,
)

KERNELS = (Kernel.initial(),)


@pytest.fixture(scope="module")
def baselines(toy_library):
    training, _ = split_models(toy_library)
    return Baselines(training, LabelFit(training, KERNELS),
                     ExampleGenerator(training, kernels=KERNELS))


@pytest.fixture(scope="module")
def spectra(toy_library):
    """Noisy spectra of the held-out models, their SEDs, and how far SEDs differ."""
    _, test = split_models(toy_library)
    rng = np.random.default_rng(3)
    flux, ivar = noisy_inputs(library_inputs(test, 2000.0, input_grid()), 100.0, rng)
    truth = library_seds(test)
    return flux, ivar, truth, np.sqrt(np.mean((truth - truth.mean(axis=0)) ** 2))


def rms(log_sed, truth):
    return np.sqrt(np.mean((log_sed - truth) ** 2))


def test_nearest_template_of_a_model_is_the_model(baselines):
    clean = library_inputs(baselines.training, 2000.0, input_grid())
    log_sed, variance, factor = baselines.nearest_template(clean, (100.0 / clean) ** 2)
    assert_allclose(log_sed, library_seds(baselines.training), atol=1e-12)
    assert (variance > 0).all()
    assert not factor.any()


def test_nearest_template_of_another_model_is_near(baselines, spectra):
    flux, ivar, truth, spread = spectra
    log_sed, _, _ = baselines.nearest_template(flux, ivar)
    assert rms(log_sed, truth) < 0.3 * spread


def test_label_fit_finds_seds_through_the_emulator(baselines, spectra):
    flux, ivar, truth, spread = spectra
    log_sed, diagonal, factor = baselines.label_fit(flux, ivar)
    assert rms(log_sed, truth) < 0.2 * spread
    assert factor.shape[::2] == log_sed.shape
    assert (diagonal >= 0).all()


def test_ridge_beats_the_mean_and_knows_its_scatter(baselines, spectra, monkeypatch):
    monkeypatch.setattr(synthetic, "_RIDGE_EXAMPLES", 1500)
    flux, ivar, truth, spread = spectra
    log_sed, diagonal, factor = baselines.ridge(flux, ivar, snr=100.0, seed=1)
    assert rms(log_sed, truth) < 0.5 * spread
    sigma = np.sqrt(diagonal + (factor**2).sum(axis=1))
    # The median pull of a Gaussian is 0.67; training and test stars differ.
    assert 0.2 < np.median(np.abs(log_sed - truth) / sigma) < 2.0


def test_table_compares_all_methods(toy_library, predictor, monkeypatch):
    monkeypatch.setattr(synthetic, "_RIDGE_EXAMPLES", 1500)
    table = synthetic_table(toy_library, predictor, KERNELS, snrs=(80.0,), realisations=1)
    assert set(table["method"]) == {"network", "nearest template", "ridge", "label fit"}
    for method in ("nearest template", "ridge", "label fit"):
        # SEDs of the library differ by 40 %.
        assert table["error"][table["method"] == method].mean() < 0.25, method
    assert_allclose(table["ratio"], table["error"] / table["bound"])


def test_ends_of_the_range_are_scored_apart(toy_library, predictor, monkeypatch):
    monkeypatch.setattr(synthetic, "_EDGES", ((5000.0, 7000.0), (2e4, 3e4)))
    table = synthetic_edges(toy_library, predictor, KERNELS, snrs=(80.0,), realisations=1)
    assert set(zip(table["teff"], table["teff_end"], strict=True)) == {(5000.0, 7000.0)}
    inside = split_targets(toy_library, teff=(5000.0, 7000.0))[1]
    assert 0 < len(inside) == table["stars"][0]
    monkeypatch.setattr(synthetic, "_EDGES", ((2e4, 3e4),))
    assert not len(synthetic_edges(toy_library, predictor, KERNELS, realisations=1))
