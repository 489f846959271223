import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sedflux.spectra.grids import (
    Rebinning,
    average_matrix,
    input_grid,
    pixel_edges,
    rebin_matrix,
    rebin_spectra,
    sed_grid,
)


def irregular(seed, size, low=4000.0, high=7000.0):
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.uniform(0.2, 1.0, size))
    return low + (high - low) * steps / steps[-1]


def test_grids_are_the_documented_ones():
    grid = input_grid()
    assert_allclose(np.diff(np.log10(grid)), 1e-4, atol=1e-12)
    assert 3999.8 < pixel_edges(grid)[0] < 4000.0
    sed = sed_grid()
    assert (sed[0], sed[-1]) == (2500.0, pytest.approx(10500.0))
    step = np.diff(np.log(sed))
    assert_allclose(step, step[0])
    assert_allclose(1.0 / step[0], 2 * 200.0, rtol=1e-3)


@given(st.integers(0, 10_000), st.integers(20, 200), st.integers(5, 60))
@settings(max_examples=40, deadline=None)
def test_rebinning_conserves_flux(seed, size, new_size):
    wavelength, new = irregular(seed, size), np.linspace(4300.0, 4900.0, new_size)
    flux = np.random.default_rng(seed).uniform(0.5, 2.0, size)
    matrix = rebin_matrix(wavelength, new)
    edges, new_edges = pixel_edges(wavelength), pixel_edges(new)
    # Integral of the histogram over the covered range, by hand.
    low = np.clip(new_edges, edges[0], edges[-1])
    cumulative = np.r_[0.0, np.cumsum(flux * np.diff(edges))]
    expected = np.diff(np.interp(low, edges, cumulative))
    assert_allclose((matrix @ flux) * np.diff(low), expected, rtol=1e-9, atol=1e-9)


def test_rebinning_to_the_same_pixels_changes_nothing():
    wavelength = irregular(1, 100)
    assert_allclose(rebin_matrix(wavelength, wavelength).toarray(), np.eye(100), atol=1e-12)


def test_uncovered_pixels_are_empty():
    matrix = rebin_matrix(np.linspace(5000, 5100, 50), np.linspace(4000, 6000, 21))
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    assert set(np.round(sums, 12)) == {0.0, 1.0}


def test_bad_pixels_do_not_leak():
    wavelength, new = np.linspace(4000, 5000, 1001), np.linspace(4100, 4900, 400)
    flux, ivar = np.ones((1, 1001)), np.full((1, 1001), 4.0)
    spoiled, weights = flux.copy(), ivar.copy()
    spoiled[0, 500], weights[0, 500] = 1e4, 0.0
    result, new_ivar = rebin_spectra(wavelength, spoiled, weights, new)
    assert_allclose(result[new_ivar > 0], 1.0)
    assert (new_ivar > 0).mean() > 0.99


def test_information_is_conserved():
    wavelength, new = np.linspace(4000, 5000, 1001), np.linspace(4100, 4900, 1203)
    ivar = np.random.default_rng(0).uniform(1.0, 3.0, (2, 1001))
    _, new_ivar = rebin_spectra(wavelength, np.ones_like(ivar), ivar, new)
    edges = pixel_edges(new)
    inside = (wavelength > edges[0] + 1) & (wavelength < edges[-1] - 1)
    assert_allclose(new_ivar.sum(axis=1), ivar[:, inside].sum(axis=1), rtol=0.005)


def test_coefficient_errors_after_rebinning_are_honest(rng):
    """Fit a broad line in rebinned noise: pulls are of unit width."""
    wavelength = np.linspace(4000, 5000, 1001)
    new = np.linspace(4100, 4900, 777)
    line = np.exp(-0.5 * ((new - 4500) / 30.0) ** 2)
    noise = 0.1 * rng.standard_normal((1000, 1001))
    flux, ivar = rebin_spectra(wavelength, noise, np.full_like(noise, 100.0), new)
    strength = (flux * ivar) @ line / (ivar @ line**2)
    pull = strength * np.sqrt(ivar @ line**2)
    assert 0.93 < pull.std() < 1.07


def test_average_is_exact_for_straight_lines():
    wavelength, new = irregular(3, 80), np.linspace(4500, 6500, 300)
    line = 3.0 - 2e-4 * wavelength
    assert_allclose(average_matrix(wavelength, new) @ line, 3.0 - 2e-4 * new, rtol=1e-10)


def test_average_equals_the_integral_of_the_interpolant():
    wavelength = irregular(4, 40)
    value = np.random.default_rng(4).uniform(0.0, 1.0, 40)
    new = np.linspace(4200, 6800, 30)
    edges = pixel_edges(new)
    for row, low, high in zip(average_matrix(wavelength, new) @ value, edges[:-1], edges[1:],
                              strict=True):
        x = np.union1d(np.linspace(low, high, 2001),
                       wavelength[(wavelength > low) & (wavelength < high)])
        assert_allclose(row, np.trapezoid(np.interp(x, wavelength, value), x) / (high - low),
                        rtol=1e-6)


def test_one_operator_rebins_many(rng):
    wavelength = np.cumsum(rng.uniform(0.5, 1.5, 400)) + 4000.0
    new = np.arange(4020.0, 4350.0, 1.7)
    flux, ivar = rng.uniform(0.5, 1.5, (9, 400)), rng.uniform(1.0, 2.0, (9, 400))
    ivar[:, 100:104] = 0.0
    operator = Rebinning(wavelength, new)
    together = operator(np.asfortranarray(flux), np.asfortranarray(ivar, dtype=np.float32))
    assert together[1].dtype == np.float32
    for row in range(9):
        alone = rebin_spectra(wavelength, flux[row:row + 1], ivar[row:row + 1], new)
        assert_allclose(together[0][row], alone[0][0], rtol=1e-12)
        assert_allclose(together[1][row], alone[1][0], rtol=1e-6)
