import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux import InputError
from sedflux.emulator.gaussian_process import Emulator, Kernel, fit_kernel
from sedflux.libraries.labels import scale_labels, unscale_labels


@pytest.fixture(scope="module")
def smooth():
    """Three smooth functions of the labels, with a little noise."""
    rng = np.random.default_rng(3)
    labels = rng.uniform([4500, 1, -2.5, 0, -0.4, 0.8], [10000, 5, 0.5, 0.4, 0.4, 3.2], (160, 6))

    def function(t):
        x = scale_labels(t)
        return np.stack([np.sin(x[:, 0]) + 0.3 * x[:, 1], np.exp(0.4 * x[:, 2]) * x[:, 0],
                         x[:, 3] * x[:, 4] + 0.2 * np.cos(2 * x[:, 0])], axis=1)

    outputs = function(labels) + 1e-3 * rng.standard_normal((160, 3))
    kernel = fit_kernel(labels, outputs, iterations=15)
    return labels, outputs, kernel, function


def test_labels_are_scaled_there_and_back():
    labels = np.array([[5777.0, 4.44, 0.0, 0.0, 0.0, 1.0]])
    assert_allclose(unscale_labels(scale_labels(labels)), labels)


def test_leave_one_out_in_closed_form_equals_leaving_out(smooth):
    labels, outputs, kernel, _ = smooth
    emulator = Emulator(labels, outputs, kernel)
    for row in (0, 77):
        keep = np.arange(len(labels)) != row
        rest = Emulator(labels[keep], outputs[keep], kernel)
        assert_allclose(emulator.errors[row], outputs[row] - rest.mean(labels[row])[0], atol=1e-7)
        expected = rest.variance(labels[row])[0] + kernel.nugget
        assert_allclose(emulator.loo_variance[row], expected, rtol=1e-5)


def test_prediction_of_new_points(smooth):
    labels, outputs, kernel, function = smooth
    emulator = Emulator(labels, outputs, kernel)
    new = labels[:40] + 0.3 * (labels[40:80] - labels[:40])
    error = emulator.mean(new) - function(new)
    assert np.sqrt((error**2).mean()) < 0.25 * outputs.std()
    # Between models the smooth function errs by no more than the models scatter.
    standard = error / np.sqrt(emulator.variance(new) + kernel.nugget)[:, None]
    loo = emulator.errors / np.sqrt(emulator.loo_variance)[:, None]
    assert (standard.std(axis=0) < 1.3 * loo.std(axis=0)).all()


def test_draws_have_the_size_of_the_errors(smooth, rng):
    labels, outputs, kernel, _ = smooth
    emulator = Emulator(labels, outputs, kernel)
    draws = np.stack([emulator.draw_weights(labels, rng) @ emulator.errors for _ in range(40)])
    assert_allclose(draws.mean(axis=(0, 1)), 0.0, atol=0.1 * draws.std())
    assert 0.3 < draws.std() / emulator.errors.std() < 3.0


def test_kernel_is_a_covariance(smooth):
    matrix = Kernel.initial().matrix(scale_labels(smooth[0]))
    assert_allclose(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_too_few_models():
    with pytest.raises(InputError, match="at least 40"):
        Emulator(np.ones((5, 6)), np.ones((5, 2)), Kernel.initial())
