"""Weights of stars where the errors of SEDs have longer tails than normal errors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux.response import outliers, tails
from sedflux.response.tails import TailWeights, tail_weights
from tests.oracle.slitless_sky import Wrong, make_sky
from tests.oracle.slitless_study import fit_sky, interval_pulls

#: So large that the noise does not matter.
SIGNAL = 1e8


def squares(rng, stars, directions, degrees=np.inf):
    """Squared deviations from a t-distribution."""
    factor = 1.0 if np.isinf(degrees) else degrees / rng.chisquare(degrees, (stars, 1))
    return factor * rng.standard_normal((stars, directions)) ** 2


def weights(square, signal=SIGNAL, used=None):
    number = len(square)
    used = np.ones(number, dtype=bool) if used is None else used
    return tail_weights(np.full(square.shape, signal), square, used, single=np.ones(number)).weight


@pytest.mark.parametrize("degrees", [2.5, 7.0])
def test_without_noise_weights_are_those_of_a_t_distribution(rng, monkeypatch, degrees):
    """Without noise the mean of the inverse factor is (nu + r) / (nu + chi2)."""
    square = squares(rng, 200, 6, 2.5)
    monkeypatch.setattr(tails, "_DEGREES", (degrees,))
    chi2 = square.sum(axis=1) * 200 / 199
    assert_allclose(weights(square), (degrees + 6) / (degrees + chi2), rtol=0.03)


def test_normal_errors_have_a_weight_of_one(rng):
    assert_allclose(weights(squares(rng, 400, 6)), 1.0, atol=0.08)


def test_long_tails_are_found_and_lose_weight(rng):
    square = squares(rng, 400, 6, 3.0)
    found = weights(square)
    far = square.sum(axis=1) > 30.0
    assert far.sum() > 10
    assert found[far].max() < 0.4
    assert np.all(np.diff(found[np.argsort(square.sum(axis=1))]) < 1e-9)


@pytest.mark.parametrize("degrees", [3.0, np.inf])
def test_the_error_of_a_mean_is_that_of_its_information(rng, degrees):
    """Weights that follow the residuals tell less of the mean than their sum says."""
    by_weight, by_information = [], []
    for _ in range(150):
        factor = 1.0 if np.isinf(degrees) else degrees / rng.chisquare(degrees, (60, 1))
        values = np.sqrt(factor) * rng.standard_normal((60, 2))
        mean = np.median(values, axis=0)
        for _ in range(4):
            found = tail_weights(np.full(values.shape, SIGNAL), (values - mean) ** 2,
                                 np.ones(60, dtype=bool), single=np.ones(60))
            mean = (found.weight @ values) / found.weight.sum()
        by_weight.append(mean * np.sqrt(found.weight.sum()))
        by_information.append(mean * np.sqrt(found.information.sum()))
    rms = [np.sqrt(np.mean(np.square(one))) for one in (by_weight, by_information)]
    assert_allclose(rms[1], 1.0, atol=0.1)
    assert np.isinf(degrees) or rms[0] > 1.08 * rms[1]


def test_directions_that_the_noise_hides_say_nothing(rng):
    """Without signal there is no evidence, and all weights stay near one of the prior."""
    assert_allclose(weights(squares(rng, 50, 6, 2.5), signal=0.0), 1.0, atol=1e-3)


def test_few_stars_and_rejected_ones_tell_nothing(rng):
    square = squares(rng, 40, 6)
    square[0] = 1e4
    assert np.array_equal(weights(square[:5]), np.ones(5))
    used = np.arange(40) > 0
    found = weights(square, used=used)[1:]
    assert_allclose(np.median(found), 1.0, atol=0.1)
    assert found.min() > 0.5


def test_stars_with_wrong_dust_do_less_harm(monkeypatch):
    """One star in five has an E(B-V) whose error is five times larger than it says."""
    errors = {}
    for name, single in (("with", False), ("without", True)):
        if single:
            monkeypatch.setattr(outliers, "tail_weights",
                                lambda *args, single: TailWeights(single, single))
        errors[name] = [interval_pulls("blue", fit_sky(make_sky(
            "blue", seed=seed, size=16, outliers=0.0, wrong=Wrong(dust_tail=0.2)))[0])[0]
            for seed in range(40, 46)]
    rms = {name: np.sqrt(np.mean(np.concatenate(one) ** 2)) for name, one in errors.items()}
    assert rms["with"] < 0.9 * rms["without"]
