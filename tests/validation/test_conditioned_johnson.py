"""U-B from lines and other colours, for stars that are drawn from their predictions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux.predict.prediction import SEDPrediction
from sedflux.spectra.grids import sed_grid
from sedflux.spectra.reddening import extinction_curve
from sedflux.training.johnson import Johnson, color_responses
from sedflux.validation.conditioned_johnson import conditioned_johnson_table

STARS = 240


@pytest.fixture(scope="module")
def table():
    grid, rng = sed_grid(), np.random.default_rng(2)
    weights = {name: np.exp(-0.5 * ((grid - centre) / 200.0) ** 2)
               for name, centre in (("U", 3600), ("B", 4400), ("V", 5500), ("R", 6500),
                                    ("I", 8000))}
    weights = {name: value / value.sum() for name, value in weights.items()}
    slope = np.log(grid / 5500.0)
    # One error moves all colours, one the near ultraviolet alone.
    factor = np.stack([0.1 * slope, 0.04 * np.exp(-(grid - 2500.0) / 700.0)])
    ebv = np.abs(rng.normal(0.05, 0.02, STARS))
    truth = (-slope + rng.standard_normal((STARS, 2)) @ factor
             + ebv[:, None] * extinction_curve(grid))
    colors, _ = color_responses(truth, weights)
    errors = np.full((STARS, 3), 0.01)
    names = np.array([f"star {row}" for row in range(STARS)])
    johnson = Johnson(names, colors + errors * rng.standard_normal(errors.shape), errors,
                      np.ones(STARS, dtype=bool), np.full(STARS, 0.05), np.full(STARS, 0.02),
                      ebv + 0.025 * rng.standard_normal(STARS), (0.0, 0.0),
                      np.zeros(STARS, dtype=bool))
    parts = [SEDPrediction(grid, np.exp(-slope), np.full(grid.size, 1e-8), factor, ())
             for _ in range(STARS)]
    labels = np.tile([5800.0, 4.4, 0.0], (STARS, 1))
    return conditioned_johnson_table(labels, parts, johnson, weights)


def rows(table, quantity):
    found = table[(table["quantity"] == quantity) & (table["teff"] == 5500.0)]
    return {row["given"]: row for row in found}


def test_colours_take_the_error_that_moves_them(table):
    found = rows(table, "U-B")
    assert list(found) == ["lines", "lines, B-V", "lines, B-V, R-I"]
    # Both know the tilt, the dust hides little of it, and the ultraviolet stays.
    assert found["lines, B-V"]["rms"] < 0.8 * found["lines"]["rms"]
    assert found["lines, B-V, R-I"]["sigma"] < found["lines, B-V"]["sigma"]


def test_errors_are_what_they_say(table):
    for row in rows(table, "U-B").values():
        # Five errors of a standard deviation from so many stars.
        assert_allclose(row["pull_rms"], 1.0, atol=5.0 / np.sqrt(2 * STARS))
        assert row["stars"] == STARS


def test_dust_without_a_prior_is_that_of_the_catalogue(table):
    row, = rows(table, "E(B-V)").values()
    assert row["pull_rms"] < 1.5
