"""Spectra of peculiar white dwarfs, and how their kinds and odds are told."""

import numpy as np
import pytest
from astropy.table import Table
from numpy.testing import assert_allclose

from sedflux.libraries.library import SpectralLibrary
from sedflux.spectra.grids import input_grid
from sedflux.training.odds import logistic_fit
from sedflux.validation.kinds import kinds_table, odds_table
from sedflux.validation.peculiar import beside_m_dwarfs, split_by_field

WAVELENGTH = np.arange(3500.0, 8000.0, 0.5)
H_BETA = 4862.7


@pytest.fixture(scope="module")
def narrow():
    """A flat spectrum with one narrow line."""
    flux = 1.0 - 0.6 * np.exp(-0.5 * ((WAVELENGTH - H_BETA) / 2.0) ** 2)
    return SpectralLibrary(WAVELENGTH, flux[None], Table({"INDEX": [3]}), 20000.0)


def test_a_field_makes_a_triplet_of_known_distance(narrow):
    """A normal Zeeman triplet: 4.67e-13 times the squared wavelength, for a gauss."""
    field = 2e6
    depth = 1.0 - split_by_field(narrow, field).flux[0]
    distance = 4.6686e-13 * H_BETA**2 * field
    for centre in (H_BETA - distance, H_BETA, H_BETA + distance):
        inside = np.abs(WAVELENGTH - centre) < 8.0
        assert_allclose((depth * WAVELENGTH)[inside].sum() / depth[inside].sum(), centre, atol=0.15)
        assert_allclose(depth[inside].max(), 0.2, rtol=0.02)
    assert_allclose(depth.sum(), (1.0 - narrow.flux[0]).sum(), rtol=0.01)
    assert_allclose(split_by_field(narrow, 0.0).flux, narrow.flux, atol=1e-6)


def test_light_of_an_m_dwarf_is_added():
    grid = input_grid()
    hot, cool = np.stack([grid**-3.0, 2.0 * grid**-3.0]), (grid**2.0)[None]
    both = beside_m_dwarfs(hot, cool, 0.3)
    assert_allclose(both[0], both[1])
    red = (grid > 6500.0) & (grid < 7000.0)
    expected = hot[0] / hot[0, red].mean() + 0.3 * cool[0] / cool[0, red].mean()
    assert_allclose(both[0], expected / expected.mean())


def test_shares_are_right_for_the_kinds_that_have_a_model():
    right, bits = np.array([True, False, True, True]), np.array([0, 1, 0, 2])
    table = kinds_table(iter([("DA, models", 20.0, right, bits), ("star, STIS", 20.0, right, bits),
                              ("DA + M 0.3, models", 20.0, right, bits)]))
    assert_allclose(table["right"], [0.75, 0.25, np.nan])
    assert_allclose(table["flagged"], 0.5)


def test_a_logistic_fit_finds_slope_and_offset():
    rng = np.random.default_rng(3)
    ratio = rng.uniform(-12.0, 12.0, 40000)
    truth = rng.random(ratio.size) < 1.0 / (1.0 + np.exp(-(0.7 * ratio + 1.2)))
    found = logistic_fit(ratio, truth)
    assert found["slope"] == pytest.approx(0.7, rel=0.04)
    assert found["offset"] == pytest.approx(1.2, rel=0.08)
    # Ratios that separate all spectra are right, not more than right.
    assert logistic_fit(ratio, ratio > 0)["slope"] == 1.0


def test_odds_are_those_of_the_other_half():
    """Spectra whose odds are known have them, unless the other half says something else."""
    rng = np.random.default_rng(4)
    ratio, half = rng.uniform(-8.0, 8.0, 40000), np.arange(40000) % 2
    truth = rng.random(ratio.size) < 1.0 / (1.0 + np.exp(-(0.6 * ratio - 0.5)))
    table = Table({"snr": np.full(ratio.size, 3.0), "ratio": ratio, "white_dwarf": truth,
                   "half": half})
    right = odds_table(table)
    assert right["spectra"].sum() == ratio.size
    assert_allclose(right["found"], right["chance"], atol=0.02)
    # Where one half is shifted, its chances come from the other, and are wrong.
    table["ratio"][half == 1] += 4.0
    assert np.abs(odds_table(table)["found"] - odds_table(table)["chance"]).max() > 0.1
