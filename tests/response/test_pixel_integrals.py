"""Integrals over pixels against the sparse operator."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sedflux.response.pixel_integrals import pixel_integrals
from sedflux.spectra.grids import integral_matrix

FINE = np.sort(np.random.default_rng(1).uniform(4000.0, 5000.0, 80))
#: Edges of three stars; the second has a gap, and the third reaches beyond the grid.
EDGES = [np.arange(4100.0, 4800.0, 7.0), np.arange(4105.0, 4900.0, 30.0),
         np.linspace(FINE[0] - 20.0, FINE[-1] + 20.0, 60)]
KEEP = [np.ones(99, dtype=bool), np.arange(26) % 9 != 4, np.ones(59, dtype=bool)]


@pytest.fixture(scope="module")
def pixels():
    """Lower and upper edges, and star of all pixels."""
    low, high = (np.concatenate([edges[part][keep] for edges, keep in
                                 zip(EDGES, KEEP, strict=True)])
                 for part in (slice(None, -1), slice(1, None)))
    return low, high, np.repeat([0, 1, 2], [keep.sum() for keep in KEEP])


@pytest.fixture(scope="module")
def density():
    return np.random.default_rng(2).uniform(0.0, 1.0, (3, FINE.size))


def test_integrals_are_those_of_the_operator(pixels, density):
    low, high, star = pixels
    found = pixel_integrals(FINE, low, high, star).of(density, star, slice(0, star.size))
    expected = (integral_matrix(FINE, low, high) @ density.T)[np.arange(star.size), star]
    assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


def test_neighbours_share_an_edge(pixels):
    low, high, star = pixels
    integrals = pixel_integrals(FINE, low, high, star)
    # Three stars, and three gaps of the second.
    assert integrals.place.size == low.size + 6
    assert_allclose(integrals.width, np.clip(high, FINE[0], FINE[-1])
                    - np.clip(low, FINE[0], FINE[-1]), atol=1e-9)


def test_pixels_of_one_star_and_every_third_pixel(pixels, density):
    low, high, star = pixels
    integrals = pixel_integrals(FINE, low, high, star)
    every = integrals.of(density, star, slice(0, star.size))
    second = slice(*np.searchsorted(star, (1, 2)))
    assert_array_equal(integrals.of(density[1:2], star[second] - 1, second), every[second])
    some = np.arange(0, star.size, 3)
    assert_allclose(integrals.take(some, star[some]).of(density, star[some],
                                                        slice(0, some.size)),
                    every[some], rtol=1e-12)
