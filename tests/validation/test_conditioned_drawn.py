"""Stars that are drawn from their predictions: information, pulls and wrong magnitudes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux.predict.prediction import SEDPrediction
from sedflux.spectra.grids import sed_grid
from sedflux.validation.conditioned_drawn import conditioned_drawn_table

STARS = 24


@pytest.fixture(scope="module")
def table():
    grid = sed_grid()
    slope = np.log(grid / 5500.0)
    # One error moves all colours, one the near ultraviolet alone.
    factor = np.stack([0.02 * slope, 0.08 * np.exp(-(grid - 2500.0) / 700.0)])
    parts = []
    for row in range(STARS):
        teff = 5000.0 + 1500.0 * (row % 4)
        flux = grid**-5 / np.expm1(1.4388e8 / grid / teff)
        parts.append(SEDPrediction(grid, flux / flux.mean(), np.full(grid.size, 1e-6), factor, (),
                                   diagnostics={"teff": teff}))
    return conditioned_drawn_table(parts)


def test_errors_fall_as_the_information_says(table):
    # Given magnitudes, zero cuts E(B-V) otherwise than before.
    assert_allclose(table["sigma"], table["information"], rtol=0.05)
    assert table["factor"][0] == 1.0
    # r says nothing of the ultraviolet; G, BP and RP little; u the most.
    assert (np.diff(table["factor"]) > 0)[[0, 2]].all()
    assert table["factor"][-1] > 1.5


def test_pulls_are_one(table):
    spread = 5.0 / np.sqrt(2 * table["stars"])
    assert (np.abs(table["pulls"] - 1.0) < spread).all()
    assert (np.abs(table["pulls_of_dust"] - 1.0) < spread).all()
    assert np.isnan(table["pulls_of_bands"][0])
    assert (np.abs(table["pulls_of_bands"][1:] - 1.0) < spread[1:]).all()


def test_wrong_magnitudes_and_stars_are_found(table):
    assert np.isnan(table["wrong_magnitudes"][0])
    assert (table["wrong_magnitudes"][2:] > 0.95).all()
    assert (table["wrong_stars"][2:] > 0.95).all()
    # A grey change is a change of distance: the more bands there are, the more variables show.
    assert np.isnan(table["variables"][0])
    assert (np.diff(table["variables"][1:]) > 0).all()
    assert table["variables"][-1] > 0.95
