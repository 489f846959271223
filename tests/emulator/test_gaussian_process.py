"""The Gaussian process and the emulator of whole spectra, on smooth functions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux import InputError
from sedflux.emulator.gaussian_process import (
    Emulator,
    Kernel,
    fit_kernel,
    mix_neighbours,
    nearest_points,
)
from sedflux.emulator.principal import (
    PrincipalEmulator,
    joint_weight,
    kernels_from_lists,
    kernels_to_lists,
)
from sedflux.libraries.labels import scale_labels, unscale_labels

#: What `fit_kernel` finds for the functions of `smooth` in 15 iterations.
FITTED = Kernel(np.array([0.566, 5.693, 1.405, 3.056, 3.569, 3.359, -6.805, 5.281, 5.466, 5.156,
                          -3.962, -5.969, -6.221, -7.573, -14.21]))


@pytest.fixture(scope="module")
def smooth():
    """Labels, noisy values of three smooth functions of them, a kernel, and the functions."""
    rng = np.random.default_rng(3)
    labels = rng.uniform([4500, 1, -2.5, 0, -0.4, 0.8], [10000, 5, 0.5, 0.4, 0.4, 3.2], (160, 6))

    def function(t):
        x = scale_labels(t)
        return np.stack([np.sin(x[:, 0]) + 0.3 * x[:, 1], np.exp(0.4 * x[:, 2]) * x[:, 0],
                         x[:, 3] * x[:, 4] + 0.2 * np.cos(2 * x[:, 0])], axis=1)

    outputs = function(labels) + 1e-3 * rng.standard_normal((160, 3))
    return labels, outputs, FITTED, function


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


def test_gaps_are_refused(smooth):
    labels, outputs, kernel, _ = smooth
    gap = outputs.copy()
    gap[3, 1] = np.nan
    for bad in ((labels, gap), (np.where(labels == labels[2], np.inf, labels), outputs)):
        with pytest.raises(InputError, match="must be finite"):
            Emulator(*bad, kernel)
    with pytest.raises(InputError, match="must be finite"):
        PrincipalEmulator(labels, gap, np.ones(3), kernels=(kernel,))


def test_a_fitted_kernel_predicts_better(smooth):
    labels, outputs, _, function = smooth
    fitted = fit_kernel(labels[:80], outputs[:80], iterations=4)
    error = [np.sqrt(((Emulator(labels[:80], outputs[:80], kernel).mean(labels[100:])
                       - function(labels[100:])) ** 2).mean())
             for kernel in (Kernel.initial(), fitted)]
    assert error[1] < 0.5 * error[0]


def test_neighbours_are_the_nearest(smooth, rng):
    points = scale_labels(smooth[0])
    near = nearest_points(points[:5], points)
    distance = np.linalg.norm(points[:5, None] - points[None], axis=-1)
    assert (np.sort(near, axis=1) == np.sort(np.argsort(distance, axis=1)[:, :12], axis=1)).all()
    weights = mix_neighbours(points[:5], points, rng)
    assert ((weights != 0).sum(axis=1) == 12).all()
    with pytest.raises(InputError, match="known has 12 points; more than 12"):
        nearest_points(points[:5], points[:12])


@pytest.mark.parametrize("labels", [np.ones((3, 5)), 5000.0, np.ones((2, 2, 6))])
def test_labels_are_six(labels):
    with pytest.raises(InputError, match="TEFF, LOGG, MH, ALPHA, CARBON, VMICRO"):
        scale_labels(labels)


@pytest.fixture(scope="module")
def whole(smooth):
    """An emulator of spectra of 30 pixels and 10 SED samples."""
    labels, outputs, kernel, _ = smooth
    mixing = np.random.default_rng(7).standard_normal((3, 40))
    return labels, outputs @ mixing, kernel, joint_weight(30, 10)


def test_components_restore_the_spectra(whole):
    labels, spectra, kernel, weight = whole
    emulator = PrincipalEmulator(labels, spectra, weight, kernels=(kernel, kernel))
    assert_allclose(emulator.scores @ emulator.components + emulator.centre, spectra, atol=1e-10)
    assert_allclose(emulator.mean(labels), spectra, atol=0.02 * spectra.std())
    assert weight[:30] @ weight[:30] == pytest.approx(weight[30:] @ weight[30:])


def test_every_group_has_its_kernel(whole):
    """Kernels of groups, and the last for all components that follow."""
    labels, spectra, kernel, weight = whole
    two = PrincipalEmulator(labels, spectra, weight, kernels=(kernel, Kernel.initial()))
    first = Emulator(labels, two.scores[:, :1], kernel)
    others = Emulator(labels, two.scores[:, 1:], Kernel.initial())
    assert_allclose(two.errors, np.hstack([first.errors, others.errors]))


def test_draws_of_spectra_scatter_by_the_errors(whole, rng):
    labels, spectra, kernel, weight = whole
    emulator = PrincipalEmulator(labels, spectra, weight, kernels=(kernel,))
    one = labels[:1]
    draws = emulator.draw_scores(np.repeat(one, 4000, axis=0), rng) - emulator.mean_scores(one)
    rows = emulator.error_rows(labels[0])
    assert rows.shape == (12, 40)
    assert_allclose((draws @ emulator.components).std(axis=0),
                    np.sqrt((rows**2).sum(axis=0)), rtol=0.1)


def test_number_of_kernels(whole):
    labels, spectra, kernel, weight = whole
    for kernels in ((), (kernel,) * 6):
        with pytest.raises(InputError, match="1 to 5 are allowed"):
            PrincipalEmulator(labels, spectra, weight, kernels=kernels)


def test_kernels_are_stored_as_numbers():
    stored = kernels_to_lists((FITTED, Kernel.initial()))
    for kernel, known in zip(kernels_from_lists(stored), (FITTED, Kernel.initial()), strict=True):
        assert (kernel.log_parameters == known.log_parameters).all()


@pytest.mark.parametrize("values", [None, 3, "abc", [], [[1.0]], [["a"] * 15], [[np.nan] * 15],
                                    [[0.0] * 15] * 6, [None]])
def test_stored_kernels_that_are_none(values):
    with pytest.raises(InputError, match=r"kernels (cannot be used|are given)"):
        kernels_from_lists(values)
