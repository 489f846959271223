"""Nodes of E(B-V), and what is interpolated between them."""

import numpy as np
from numpy.testing import assert_allclose
from scipy import stats

from sedflux.conditioning.quadrature import between, percentiles, quadrature


def test_polynomials_are_carried_from_node_to_node():
    mean, error = np.array([0.3, 0.0]), np.array([0.05, 0.1])
    few, _ = quadrature(mean, error, 8)
    many, _ = quadrature(mean, error, 28)
    assert_allclose(few @ between(8, 28).T, many, rtol=1e-12)
    assert_allclose((few**7 - few) @ between(8, 28).T, many**7 - many, atol=1e-12)
    assert_allclose(between(28, 28), np.eye(28), atol=1e-12)


def test_percentiles_are_those_of_the_density():
    mean, error = np.array([0.5, 0.0]), np.array([0.05, 0.1])
    nodes, weights = quadrature(mean, error, 28)
    weights = weights * stats.norm.pdf(nodes, mean[:, None], error[:, None])
    weights /= weights.sum(axis=1, keepdims=True)
    found = percentiles(nodes, weights, (0.1587, 0.5, 0.8413))
    assert_allclose(found[0], stats.norm.ppf((0.1587, 0.5, 0.8413), 0.5, 0.05), atol=1e-4)
    assert_allclose(found[1], stats.halfnorm.ppf((0.1587, 0.5, 0.8413), 0.0, 0.1), atol=1e-4)
