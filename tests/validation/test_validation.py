import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux import Predictor
from sedflux.emulator.gaussian_process import Kernel
from sedflux.emulator.labelfit import LabelFit
from sedflux.libraries import split_models
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.spectra.bands import BANDS, band_rows
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import input_grid
from sedflux.spectra.normalise import input_basis
from sedflux.spectra.reddening import extinction_curve
from sedflux.training.left_out import fit_reddening
from sedflux.validation.continuum_study import clip_continuum, continuum_table
from sedflux.validation.metrics import score
from sedflux.validation.ridge import fit_ridge
from sedflux.validation.synthetic import noisy_inputs


def test_score_of_known_errors(rng):
    truth = np.ones((4000, 30))
    factor = np.full((4000, 1, 30), 0.03)
    diagonal = np.full((4000, 30), 0.02**2)
    common = 0.03 * rng.standard_normal((4000, 1))
    flux = truth * np.exp(common + 0.02 * rng.standard_normal((4000, 30)))
    result = score(flux, diagonal, factor, truth, np.ones(30, dtype=bool))
    assert_allclose(result.error, np.hypot(0.03, 0.02), rtol=0.03)
    assert_allclose(result.pull, 1.0, atol=0.03)
    assert_allclose([result.coverage68, result.coverage95], [0.683, 0.954], atol=0.015)
    assert_allclose(result.band_error, np.hypot(0.03, 0.02 / np.sqrt(30)), rtol=0.05)
    assert_allclose(result.band_pull, 1.0, atol=0.05)


def test_unknown_truth_is_left_out():
    truth = np.ones((3, 10))
    truth[0, :5] = np.nan
    truth[1] = np.nan
    result = score(np.full((3, 10), 1.1), np.full((3, 10), 0.01), np.zeros((3, 0, 10)), truth,
                   np.ones(10, dtype=bool))
    assert_allclose(result.error, 0.1)
    assert result.stars == 2


def test_bands_do_not_overlap():
    rows = np.stack(list(band_rows(np.linspace(2500, 10499, 999)).values()))
    assert (rows.sum(axis=0) == 1).all()
    assert len(BANDS) == len(rows)


@pytest.fixture(scope="module")
def fitter(toy_library):
    return LabelFit(split_models(toy_library)[0], (Kernel.initial(),))


def test_label_fit_recovers_a_held_out_model(fitter, toy_library, rng):
    test = split_models(toy_library)[1]
    row = int(np.argmin(np.abs(test.labels[:, 0] - 7000.0)))
    flux, ivar = noisy_inputs(library_inputs(test, 2000.0, input_grid())[row : row + 1], 100.0, rng)
    normalised, weight = remove_continuum(flux, ivar, input_basis())
    result = fitter.fit(normalised[0], weight[0])
    error = result.log_sed - library_seds(test)[row]
    prior = library_seds(toy_library).std(axis=0)
    assert np.sqrt((error**2).mean()) < 0.3 * np.sqrt((prior**2).mean())
    assert result.factor.shape[1] == 575


def test_bound_lies_between_zero_and_the_prior(fitter, toy_library):
    labels = toy_library.labels[10]
    variances = [fitter.bound(labels, np.full(2430, snr**2)) for snr in (1e-3, 20.0, 80.0)]
    assert (variances[0] >= variances[1]).all()
    assert (variances[1] >= variances[2]).all()
    assert (variances[2] >= 0).all()
    # Without information it is the spread of labels, carried to the SED.
    _, _, _, slope = fitter._local(labels, np.ones(2430))
    prior = np.cov(split_models(toy_library)[0].labels.T)
    assert_allclose(variances[0], np.einsum("ip,ij,jp->p", slope, prior, slope), rtol=1e-3)


def test_bound_is_linear_in_the_noise_where_pixels_say_all(fitter, toy_library):
    labels = toy_library.labels[10]
    low, high = (fitter.bound(labels, np.full(2430, snr**2)).sum() for snr in (1e5, 2e5))
    assert_allclose(low / high, 4.0, rtol=0.05)


def test_ridge_learns_a_linear_relation(rng):
    latent = rng.standard_normal((800, 5))
    inputs = latent @ rng.standard_normal((5, 200)) + 0.01 * rng.standard_normal((800, 200))
    target = latent @ rng.standard_normal((5, 40))
    baseline = fit_ridge(inputs[:600], target[:600], components=5, penalty=1e-6, rank=3)
    assert np.abs(baseline.predict(inputs[600:]) - target[600:]).max() < 0.1


def test_clipping_finds_a_known_continuum():
    x = np.linspace(-1, 1, 500)
    continuum = np.exp(0.3 * x)
    line = 1 - 0.5 * np.exp(-0.5 * ((x - 0.1) / 0.01) ** 2)
    result = clip_continuum((continuum * line)[None], degree=3)[0]
    assert np.abs(result[np.abs(x - 0.1) > 0.1]).max() < 0.01


def test_projection_is_steadier_than_clipping(toy_library):
    table = continuum_table(toy_library, snrs=(5.0,), realisations=3)
    by_form = {row["form"]: row for row in table}
    assert by_form["projection"]["bias"] < by_form["clipping"]["bias"]
    assert by_form["projection"]["moved_by_dust"] < 0.1 * by_form["clipping"]["moved_by_dust"]


def test_reddening_is_found_again(predictor, star):
    wavelength, flux = star
    prediction = predictor.predict(wavelength, flux, np.full(flux.size, 1e4))
    truth = prediction.reddened(0.25).flux
    assert_allclose(fit_reddening(prediction, truth, 0.01), 0.25, atol=0.03)
    assert extinction_curve([5500.0])[0] < 0
    assert isinstance(predictor, Predictor)
