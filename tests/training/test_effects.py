"""Effects of surveys on training spectra."""

import numpy as np
import pytest

from sedflux.spectra.grids import input_grid
from sedflux.training import effects
from sedflux.training.effects import survey_effects


@pytest.fixture
def flat():
    return np.ones((400, 2430))


def test_some_spectra_are_spoilt_and_most_little(flat, rng):
    spoilt = survey_effects(flat, np.full(len(flat), 1800.0), rng)
    change = np.abs(spoilt - flat).max(axis=1)
    assert 0.3 < (change == 0).mean() < 0.65
    assert np.median(np.abs(spoilt - flat)) < 0.02
    assert (spoilt > 0).all()
    assert np.isfinite(spoilt).all()
    assert (flat == 1.0).all()


def test_what_is_drawn_depends_on_the_seed_alone(flat):
    power = np.full(len(flat), 1800.0)
    one, other = (survey_effects(flat, power, np.random.default_rng(5)) for _ in range(2))
    assert (one == other).all()


def test_dust_takes_light_at_its_bands(rng):
    grid = input_grid()
    mean = np.mean([effects._dust(grid, np.ones(grid.size), 1800.0, rng) for _ in range(200)],
                   axis=0)
    assert 1.0 - mean[np.argmin(np.abs(grid - 4429.3))] > 0.02
    assert 1.0 - mean[np.argmin(np.abs(grid - 5891.6))] > 0.02
    assert 1.0 - mean[np.argmin(np.abs(grid - 5000.0))] < 0.002


def test_lines_have_unit_area():
    grid = input_grid()
    area = np.trapezoid(effects._line(grid, 5500.0, 10.0, 1500.0), grid)
    np.testing.assert_allclose(area, 1.0, rtol=1e-3)


def test_effects_are_bounded(rng):
    grid, ones = input_grid(), np.ones(2430)
    for _ in range(50):
        assert np.abs(effects._joint(grid, ones, 1800.0, rng) - 1.0).max() < 0.26
        assert np.abs(effects._wiggle(grid, ones, 1800.0, rng) - 1.0).max() < 0.031
        assert effects._emission(grid, ones, 1800.0, rng).min() >= 1.0
        added = effects._stray(grid, ones, 1800.0, rng).mean() - 1.0
        assert -0.06 < added < 0.11
