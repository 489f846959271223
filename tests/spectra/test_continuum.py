import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sedflux.spectra.continuum import remove_continuum, smooth_basis
from sedflux.spectra.grids import input_grid
from sedflux.spectra.reddening import LAWS, continuum_shapes, extinction_curve

X = np.linspace(-1.0, 1.0, 2430)


@pytest.fixture(scope="module")
def basis():
    return smooth_basis(2430, shapes=continuum_shapes(input_grid()))


@pytest.fixture(scope="module")
def a_star():
    """Broad Balmer-like lines and a forest of narrow ones."""
    depth = sum(0.5 / (1.0 + ((X - c) / 0.012) ** 2) for c in (-0.9, -0.7, -0.3, 0.77))
    forest = np.random.default_rng(1).uniform(0.0, 0.2, 2430) * (X < 0)
    return (1.0 - depth - forest)[None]


def test_result_is_orthogonal_to_every_shape(basis, a_star):
    normalised, _ = remove_continuum(a_star, np.full_like(a_star, 1e10), basis)
    assert_allclose(normalised @ basis, 0.0, atol=1e-6)


@given(st.lists(st.floats(-0.5, 0.5), min_size=8, max_size=8), st.floats(5.0, 300.0))
@settings(max_examples=25, deadline=None)
def test_exponentials_of_polynomials_change_nothing(coefficients, snr):
    basis = smooth_basis(2430)
    flux = 1.0 - 0.4 * np.exp(-0.5 * ((X - 0.3) / 0.02) ** 2)[None]
    flux = flux * (1.0 + np.random.default_rng(0).standard_normal(flux.shape) / snr)
    curve = np.exp(np.polynomial.legendre.legval(X, coefficients))
    ivar = np.full_like(flux, snr**2)
    reference = remove_continuum(flux, ivar, basis)[0]
    changed = remove_continuum(flux * curve, ivar / curve**2, basis)[0]
    assert_allclose(changed, reference, atol=1e-6)


@pytest.mark.parametrize("law", LAWS)
def test_dust_of_any_law_is_removed(basis, a_star, law):
    dust = np.exp(extinction_curve(input_grid(), law=law))
    dust = dust / dust.mean()
    reference = remove_continuum(a_star, np.full_like(a_star, 1e6), basis)[0]
    changed = remove_continuum(a_star * dust, 1e6 / dust[None] ** 2, basis)[0]
    assert np.sqrt(np.mean((changed - reference) ** 2)) < 5e-4


def test_no_bias_and_little_scatter_at_low_snr(basis, a_star, rng):
    snr = 5.0
    noisy = a_star + rng.standard_normal((300, 2430)) / snr
    assert (noisy < 0).any()
    ivar = np.full_like(noisy, snr**2)
    reference = remove_continuum(a_star, ivar[:1], basis)[0][0]
    difference = remove_continuum(noisy, ivar, basis)[0] - reference
    assert abs(difference.mean()) < 0.002
    # Fitting eleven shapes to 2430 pixels takes that share of the variance and no more.
    assert_allclose(difference.std(), 1.0 / snr / a_star.mean(), rtol=0.05)
    # The continuum itself: the smooth part of what noise does.
    assert np.abs((difference @ basis).mean(axis=0)).max() / np.sqrt(2430) < 0.002


def test_gaps_leave_the_rest_alone(basis, a_star):
    ivar = np.full_like(a_star, 1e6)
    gap = ivar.copy()
    gap[0, 1000:1100] = 0.0
    spoiled = a_star.copy()
    spoiled[0, 1000:1100] = 0.0
    reference = remove_continuum(a_star, ivar, basis)[0]
    normalised, weight = remove_continuum(spoiled, gap, basis)
    assert (normalised[0, 1000:1100] == 0.0).all()
    assert (weight[0, 1000:1100] == 0.0).all()
    keep = weight[0] > 0
    assert np.abs(normalised - reference)[0, keep].max() < 0.02


def test_alone_or_in_a_batch(basis, a_star):
    batch = np.repeat(a_star, 5, axis=0) * np.linspace(0.5, 2.0, 5)[:, None]
    ivar = np.full_like(batch, 1e4)
    together = remove_continuum(batch, ivar, basis)[0]
    alone = np.vstack([remove_continuum(row[None], w[None], basis)[0]
                       for row, w in zip(batch, ivar, strict=True)])
    assert_allclose(together, alone, atol=1e-7)


def test_difficult_company_changes_nothing(basis, a_star, rng):
    """Noise without a star needs many steps; the star beside it takes its own."""
    batch = np.vstack([a_star, rng.standard_normal((20, 2430))])
    ivar = np.vstack([np.full_like(a_star, 1e4), np.ones((20, 2430))])
    together = remove_continuum(batch, ivar, basis, tolerance=1e-4)[0][0]
    alone = remove_continuum(batch[:1], ivar[:1], basis, tolerance=1e-4)[0][0]
    assert_allclose(together, alone, atol=1e-9)


def test_weights_in_single_precision_keep_the_flux_in_double(basis, a_star, rng):
    noisy = a_star + 0.02 * rng.standard_normal((10, 2430))
    ivar = np.full_like(noisy, 2500.0)
    reference, weight = remove_continuum(noisy, ivar, basis)
    single, single_weight = remove_continuum(noisy, ivar.astype(np.float32), basis, tolerance=1e-5)
    assert single.dtype == float
    assert single_weight.dtype == np.float32
    assert_allclose(single, reference, atol=1e-7)
    assert_allclose(single_weight, weight, rtol=1e-6)
