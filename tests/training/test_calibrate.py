"""What trainings scatter by, and scales of sigma."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux import Predictor
from sedflux.exceptions import InputError
from sedflux.libraries.labels import scale_labels
from sedflux.predict.sigma import Widening
from sedflux.training.calibrate import calibrate_models, measure_scale, measure_scatter


def test_scatter_of_trainings_is_found_by_temperature(rng):
    wavelength = np.geomspace(2500.0, 10500.0, 80)
    shape = np.log(wavelength / 5000.0)
    teff = rng.uniform(4800.0, 9800.0, 400)
    size = np.where(teff < 6500.0, 0.05, 0.01)
    log_sed = rng.standard_normal((5, 400, 1)) * size[:, None] * shape + 1e-4 * \
        rng.standard_normal((5, 400, 80))
    scatter = measure_scatter(log_sed, teff)
    labels = np.zeros((2, 6))
    labels[:, 0] = 5000.0, 9500.0
    values = {"label_mean": scale_labels(labels), "snr": np.full(2, 50.0),
              "diagonal": np.zeros((2, 80)), "directions": np.zeros((2, 0, 3))}
    calibration = {"snr": [50.0], "wavelength": [5000.0], "scale": [[1.0]]}
    widening = Widening({"calibration": calibration, "scatter": scatter}, wavelength,
                        np.zeros((3, 80)), np.zeros((3, 80)))
    factor = widening.covariance(values, np.zeros(2))[1].array()
    sigma = np.sqrt((factor**2).sum(axis=1))
    assert_allclose(sigma[0], 0.05 * np.abs(shape), rtol=0.12, atol=5e-4)
    assert_allclose(sigma[1], 0.01 * np.abs(shape), rtol=0.15, atol=5e-4)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.4])
def test_scale_is_found_again(factor, rng):
    sigma = np.full((3000, 4), 0.08)
    truth = np.full((3000, 4), 0.01)
    error = rng.standard_normal((3000, 4)) * np.hypot(factor * sigma, truth)
    assert measure_scale(error, sigma, truth) == pytest.approx(factor, rel=0.03)


def test_truth_that_is_no_better_scales_nothing(rng):
    sigma = np.full((300, 4), 0.02)
    error = 0.005 * rng.standard_normal((300, 4))
    assert measure_scale(error, sigma, np.full((300, 4), 0.02)) == 1.0


def test_few_stars_move_the_scale_little(rng):
    sigma = np.full((3, 4), 0.08)
    scale = measure_scale(np.full((3, 4), 0.16), sigma, np.full((3, 4), 0.01))
    assert 1.0 < scale < 1.4


def test_calibrated_models_say_more_honest_errors(star_files, tmp_path):
    files = (star_files["miles"], star_files["stis"], star_files["photometry"])
    paths = calibrate_models(*files, tmp_path, model="uara.synthetic3",
                             johnson=star_files["johnson"],
                             folds=["uara.stars2"] * 3 + ["uara.synthetic3"])
    assert paths[-1].name == "uara.synthetic3.safetensors"
    before, after = Predictor("uara.synthetic3"), Predictor(paths[-1])
    assert "scatter" not in before.metadata
    scatter = after.metadata["scatter"]
    assert np.shape(scatter["scale"]) == (len(scatter["teff"]), len(scatter["mh"]),
                                          len(scatter["wavelength"]))
    grid = 10 ** (3.6021 + 1e-4 * np.arange(2430))
    flux = 1.0 + 0.05 * np.sin(grid / 3.0)
    with_it, without = after.predict(grid, flux), before.predict(grid, flux)
    assert_allclose(with_it.flux, without.flux)
    assert np.median(with_it.sigma / without.sigma) > 1.0


def test_a_missing_fold_is_told(star_files, tmp_path):
    with pytest.raises(InputError, match="one per fold"):
        calibrate_models(star_files["miles"], star_files["stis"], star_files["photometry"],
                         tmp_path, model="uara.stars2", folds=["uara.stars2"])


def test_scale_follows_the_temperature():
    scatter = {"directions": [[1.0, 1.0, 1.0]], "teff": [5000.0, 8000.0], "length": [[2.0], [2.0]],
               "wavelength": [3000.0, 6000.0], "scale": [[1.0, 2.0], [3.0, 1.0]]}
    labels = np.zeros((3, 6))
    labels[:, 0] = 4000.0, 8000.0, np.sqrt(5000.0 * 8000.0)
    values = {"label_mean": scale_labels(labels), "diagonal": np.ones((3, 3), np.float32),
              "directions": np.ones((3, 1, 1), np.float32), "snr": np.full(3, 50.0)}
    wavelength = np.array([2500.0, 6000.0, np.sqrt(3000.0 * 6000.0)])
    calibration = {"snr": [1.0, 100.0], "wavelength": [3000.0, 6000.0], "scale": np.ones((2, 2))}
    widening = Widening({"calibration": calibration, "scatter": scatter}, wavelength,
                        np.ones((1, 3), np.float32), np.ones((4, 3), np.float32))
    diagonal, rows = widening.covariance(values, np.zeros(3))
    factor = rows.array()
    expected = np.array([[1.0, 2.0, 1.5], [3.0, 1.0, 2.0], [2.0, 1.5, 1.75]])
    assert_allclose(np.sqrt(diagonal), expected, rtol=1e-5)
    assert_allclose(factor[:, 0], expected, rtol=1e-5)
    assert_allclose(factor[:, 1], 2.0 * expected, rtol=1e-5)


def test_scale_follows_the_metallicity():
    scatter = {"directions": [[1.0, 1.0]], "teff": [5000.0, 8000.0], "length": [[2.0], [2.0]],
               "wavelength": [3000.0, 6000.0], "mh": [-1.5, -0.5],
               "scale": [[[1.0, 2.0], [3.0, 1.0]], [[2.0, 4.0], [6.0, 2.0]]]}
    labels = np.zeros((4, 6))
    labels[:, 0] = 5000.0, 5000.0, 8000.0, 8000.0
    labels[:, 2] = -2.0, 0.3, -1.0, -0.5
    values = {"label_mean": scale_labels(labels), "diagonal": np.ones((4, 2), np.float32),
              "directions": np.ones((4, 1, 1), np.float32), "snr": np.full(4, 50.0)}
    calibration = {"snr": [1.0, 100.0], "wavelength": [3000.0, 6000.0], "scale": np.ones((2, 2))}
    widening = Widening({"calibration": calibration, "scatter": scatter},
                        np.array([3000.0, 6000.0]), np.ones((1, 2), np.float32),
                        np.ones((4, 2), np.float32))
    diagonal, rows = widening.covariance(values, np.zeros(4))
    factor = rows.array()
    expected = np.array([[1.0, 2.0], [3.0, 1.0], [4.0, 3.0], [6.0, 2.0]])
    assert_allclose(np.sqrt(diagonal), expected, rtol=1e-5)
    assert_allclose(factor[:, 1], 2.0 * expected, rtol=1e-5)


def test_scale_of_few_stars_stays_near_that_of_all(rng):
    sigma, truth = np.full((2, 4), 0.08), np.full((2, 4), 0.01)
    scale = measure_scale(np.full((2, 4), 0.08), sigma, truth, prior=1.6)
    assert 1.4 < scale < 1.6
