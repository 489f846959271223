"""The best model of a grid of labels beside the network: a mixture, where it may count at all."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux.predict.solutions import grid_share, refined

TABLE = {"fit": [1.0, 2.0], "weight": [0.6, 0.0], "snr": [10.0, 100.0], "scale": [1.0, 0.8]}
SAMPLES, RANK = 12, 3


@pytest.fixture
def case(rng):
    """Four spectra: the best fit, a middling one, a bad one, and one beyond the domain."""
    values = {"grid_fit": np.array([0.8, np.sqrt(2.0), 5.0, 0.8]), "grid_width": np.full(4, 0.1),
              "second_weight": np.zeros(4), "snr": np.full(4, 100.0),
              "mean": rng.standard_normal((4, SAMPLES)),
              "directions": np.zeros((4, RANK, 2)), "grid_scores": rng.standard_normal((4, 2)),
              "grid_rows": 0.1 * rng.standard_normal((4, 2, 2))}
    weights = {"sed_templates": rng.standard_normal((2, SAMPLES)).astype(np.float32),
               "sed_mean": rng.standard_normal(SAMPLES).astype(np.float32)}
    factor = rng.standard_normal((4, RANK + 1, SAMPLES)).astype(np.float32)
    return values, np.array([0.5, 0.5, 0.5, 1.5]), np.full((4, SAMPLES), 0.01, np.float32), \
        factor, weights


def test_mean_and_covariance_are_those_of_the_mixture(case):
    values, severity, diagonal, factor, weights = case
    before = values["mean"].copy()
    own, rows = refined(values, severity, diagonal, factor, {"grid_weight": TABLE}, weights)
    templates = weights["sed_templates"].astype(float)
    for row, (share, scale) in enumerate(((0.6, 0.8), (0.3, 0.9), (0.0, 1.0), (0.0, 1.0))):
        best = values["grid_scores"][row] @ templates + weights["sed_mean"]
        away = best - before[row]
        assert_allclose(values["mean"][row], before[row] + share * away)
        network, shared = factor[row, :RANK].astype(float), factor[row, RANK:].astype(float)
        grid = values["grid_rows"][row] @ templates
        mixture = ((1.0 - share) * (network.T @ network + np.diag(diagonal[row]))
                   + share * (grid.T @ grid + 1e-7 * np.eye(SAMPLES))
                   + share * (1.0 - share) * np.outer(away, away))
        found = rows[row].astype(float)
        assert_allclose(found.T @ found + np.diag(own[row]),
                        scale**2 * mixture + shared.T @ shared, rtol=1e-4, atol=1e-5)
        # Errors that all stars share keep their rows.
        assert_allclose(rows[row, RANK], factor[row, RANK])


def test_models_without_weights_are_those_of_the_network(case):
    values, severity, diagonal, factor, weights = case
    before = values["mean"].copy()
    own, rows = refined(values, severity, diagonal, factor, {}, weights)
    assert own is diagonal
    assert rows is factor
    assert_allclose(values["mean"], before)


@pytest.mark.parametrize("change", [
    {"second_weight": 0.1}, {"grid_width": 1.5}, {"grid_fit": np.nan}, {"grid_rows": np.inf},
    {"grid_rows": np.nan}])
def test_what_the_grid_cannot_tell_is_left_to_the_network(case, change):
    values, severity, diagonal, factor, weights = case
    assert grid_share(values, TABLE)[0] == 0.6
    for name, value in change.items():
        values[name][0] = value
    before = values["mean"].copy()
    assert grid_share(values, TABLE)[0] == 0.0
    own, rows = refined(values, severity, diagonal, factor, {"grid_weight": TABLE}, weights)
    assert_allclose(values["mean"][0], before[0])
    assert_allclose(rows[0, : RANK + 1], factor[0])
    assert not rows[0, RANK + 1:].any()
    assert np.isfinite(rows).all()
    assert np.isfinite(own).all()
