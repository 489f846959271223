"""Extrapolation of steps that shrink slowly."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from sedflux.response.extrapolation import Extrapolation

RNG = np.random.default_rng(1)
#: Where the steps end, and the factors by which they shrink along their axes.
END = RNG.normal(size=5)
FACTORS = np.array([0.9, 0.7, 0.1, 0.0, 0.0])
AXES = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
INVERSE = np.diag([1.0, 10.0, 100.0, 1e3, 1e4])


def step_from(point):
    return AXES @ ((1.0 - FACTORS) * (AXES.T @ (END - point)))


def test_slow_directions_are_found_by_the_steps_along_them():
    extrapolation, point, plain = Extrapolation(), np.zeros(5), np.zeros(5)
    for _ in range(6):
        point = extrapolation.next_point(point, step_from(point), INVERSE)
        plain = plain + step_from(plain)
    assert_allclose(point, END, atol=1e-8)
    assert np.abs(plain - END).max() > 0.1


def test_the_first_step_is_taken_as_it_is():
    step = step_from(np.ones(5))
    assert_array_equal(Extrapolation().next_point(np.ones(5), step, INVERSE), 1.0 + step)


def test_steps_that_do_not_shrink_are_not_extrapolated():
    """Two steps of nearly the same length would lead a thousand steps away."""
    extrapolation, step = Extrapolation(), np.full(5, 0.1)
    point = extrapolation.next_point(np.zeros(5), step, INVERSE)
    assert_allclose(extrapolation.next_point(point, 0.999 * step, INVERSE), 0.1999, rtol=1e-12)


def test_steps_that_stay_the_same_lead_on():
    extrapolation, point = Extrapolation(), np.zeros(5)
    for _ in range(3):
        point = extrapolation.next_point(point, np.full(5, 0.1), INVERSE)
    assert_allclose(point, 0.3, rtol=1e-12)
