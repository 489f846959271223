"""Errors of SEDs at the nodes of a fit."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux.covariance import LowRankCovariance, positive_part
from sedflux.response.sed_errors import node_errors, photon_fluxes, principal_rows
from sedflux.slitless.line_spread import LineSpread
from sedflux.spectra.sed import SEDArrays

WAVELENGTH = np.geomspace(3000.0, 8000.0, 300)
NODES = np.linspace(4000.0, 6000.0, 60)


def some_rows(*, removed):
    """Rows of three stars; the last ones are a part of the others, which is taken away."""
    rows = np.random.default_rng(1).normal(size=(3, 6, 40))
    rows[:, 5] = 0.6 * rows[:, 0]
    sign = np.ones((3, 6))
    if removed:
        sign[:, 5] = -1.0
    return rows, sign


@pytest.mark.parametrize("removed", [False, True])
def test_principal_rows_give_the_positive_part(removed):
    rows, sign = some_rows(removed=removed)
    found = principal_rows(rows, sign)
    for one, given, signs in zip(found, rows, sign, strict=True):
        expected = positive_part(given, np.diag(signs))
        assert_allclose(one.T @ one, expected.T @ expected, atol=1e-10)
        product = one @ one.T
        assert_allclose(product, np.diag(np.diag(product)), atol=1e-9)
        assert (np.diff(np.diag(product)) <= 1e-9).all()


def test_what_is_taken_away_beyond_what_is_there_leaves_nothing():
    rows, sign = some_rows(removed=True)
    rows[:, 5] = 3.0 * rows[:, 0]
    rows[:, 1:5] = 0.0
    # Squares of rows of order one: 1e-14 of them are rounding.
    assert np.abs(principal_rows(rows, sign)).max() < 1e-5


def test_seds_without_errors_have_rows_of_zero():
    assert not principal_rows(np.zeros((2, 3, 40)), np.ones((2, 3))).any()
    assert principal_rows(np.zeros((2, 0, 40)), np.ones((2, 0))).shape == (2, 0, 40)


def seds(*, size=40):
    """SEDs on two grids, with a slope, an error per sample, and a removed level."""
    rng, found = np.random.default_rng(2), []
    for row in range(size):
        wavelength = WAVELENGTH[row % 2:]
        factor = np.stack([np.full(wavelength.size, 0.1), 0.05 * np.log(wavelength / 5000.0)])
        covariance = LowRankCovariance(np.full(wavelength.size, 1e-4), factor,
                                       np.full((1, wavelength.size), 0.08))
        flux = 1e-15 * np.exp(rng.normal() * (wavelength - 5000.0) / 5000.0)
        found.append(SEDArrays(wavelength, flux, covariance, True, {"reddening": factor[1]}
                               if row % 3 else {}))
    return found


def test_errors_at_the_nodes_are_those_of_the_interpolated_sed():
    given = seds()
    errors = node_errors(given, NODES, [1.0], None)
    slope = 0.05 * np.log(NODES / 5000.0)
    # Rows of (0.1, -0.08) leave a level of 0.06; flux and slope are nearly straight lines.
    total = 0.06**2 + np.multiply.outer(slope, slope)
    for row, factor in enumerate(errors.factor.astype(float)):
        assert_allclose(factor.T @ factor, total, atol=2e-6)
        assert_allclose(errors.parts["reddening"][row], slope if row % 3 else 0.0, atol=1e-5)
    # Nodes are wider apart than samples.  Means of two samples, and no more, make it smaller.
    assert (errors.diagonal < 1.1e-4).all()
    assert (errors.diagonal > 0.4e-4).all()


def test_independent_errors_alone_have_no_rows():
    flux = np.full(WAVELENGTH.size, 1e-15)
    one = SEDArrays(WAVELENGTH, flux, LowRankCovariance(
        np.full(flux.size, 1e-4), np.zeros((0, flux.size))), True, {})
    errors = node_errors([one, one], NODES, [1.0], None)
    assert errors.factor.shape == (2, 0, NODES.size)
    assert (errors.diagonal > 0.4e-4).all()


def test_second_orders_follow_the_first():
    given, spread = seds(), LineSpread.from_resolving_power(200.0)
    both = node_errors(given, NODES, [1.0, 0.8], spread)
    first, second = both.split(NODES.size)
    assert_allclose(np.concatenate([first.factor, second.factor], axis=2), both.factor)
    alone = node_errors(given, 0.8 * NODES, [1.0], spread)
    assert second.parts["reddening"].shape == (len(given), NODES.size)
    assert_allclose(np.square(second.factor).sum(axis=1), np.square(alone.factor).sum(axis=1),
                    rtol=0.02)


def test_each_star_has_its_own_photons_whatever_its_grid():
    given = seds()
    together = photon_fluxes(given, [None] * len(given), NODES)
    apart = [photon_fluxes([one], [None], NODES)[0] for one in given]
    assert_allclose(together, apart, rtol=1e-6)
