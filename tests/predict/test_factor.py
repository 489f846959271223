"""Factors of covariances are made when they are asked for, and are the same then."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sedflux import InputError, Predictor
from sedflux.predict.factor import FactorRows, factor_of, replaced


@pytest.fixture
def prediction(predictor, star, rng):
    """Ordinary stars, and one of another kind, whose errors open towards the prior."""
    wavelength, flux = star
    spectra = flux * (1.0 + 0.02 * rng.standard_normal((40, flux.size)))
    spectra[3] = flux.mean() * (1.0 + 0.3 * np.sin(wavelength / 30.0))
    return predictor.predict(wavelength, spectra, 2500.0 / spectra**2)


def test_errors_need_no_factor(prediction):
    sigma = prediction.sigma
    assert isinstance(factor_of(prediction), FactorRows)
    factor = prediction.factor
    assert factor_of(prediction) is factor is prediction.factor
    dense = prediction.flux * np.sqrt(prediction.diagonal + (factor.astype(float)**2).sum(axis=1))
    assert_allclose(sigma, dense, rtol=1e-6)
    assert_allclose(prediction.sigma, dense, rtol=1e-6)


def test_the_factor_of_some_stars_is_theirs(prediction):
    one, some = prediction[3], prediction.take([5, 3])
    assert isinstance(factor_of(some), FactorRows)
    assert isinstance(factor_of(replaced(some, flags=())), FactorRows)
    whole = prediction.factor
    # Severe errors open rows of the prior, which ordinary stars leave empty.
    assert np.abs(whole[3, -1]).max() > 0
    assert not whole[5, -1].any()
    assert_allclose(one.factor, whole[3], rtol=1e-5, atol=1e-9)
    assert_allclose(some.factor, whole[[5, 3]], rtol=1e-5, atol=1e-9)
    assert_allclose(some.sigma, prediction.sigma[[5, 3]], rtol=1e-6)


def test_loops_go_through_the_stars_and_end(prediction):
    stars = list(prediction)
    assert len(stars) == len(prediction) == 40
    assert_allclose(stars[3].sigma, prediction.sigma[3], rtol=1e-6)
    (alone,) = stars[3]
    assert alone is stars[3]


def test_predictions_are_found_in_lists_and_sets(prediction):
    one, other = prediction[0], prediction[0]
    assert [other, one].index(one) == 1
    assert len({one, other, one}) == 2


def test_rows_that_cannot_be_taken_are_named_as_given(prediction):
    with pytest.raises(InputError, match=r"cannot be '-1' \(they have 0 dimensions\)"):
        prediction.take(-1)


def test_copies_and_other_processes_get_rows(prediction):
    again = pickle.loads(pickle.dumps(prediction))
    assert isinstance(factor_of(again), np.ndarray)
    assert_array_equal(again.factor, prediction.factor)


def test_diagnostics_that_a_user_changes_leave_the_errors(prediction):
    expected = prediction.take(np.arange(len(prediction))).factor
    prediction.diagnostics["snr"][:] = 1.0
    assert_array_equal(prediction.factor, expected)


def test_parts_are_rows_of_the_factor(star):
    """Errors that white dwarfs share are known by name: these rows exist."""
    wavelength, flux = star
    found = Predictor("uara.da1").predict(wavelength, np.stack([flux, flux]))
    assert sorted(found.parts) == ["convection", "models"]
    for part in found.parts.values():
        assert (found.factor == part[:, None]).all(axis=2).any(axis=1).all()
