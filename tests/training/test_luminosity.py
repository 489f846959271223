"""The discriminant of luminous stars."""

import numpy as np
from numpy.testing import assert_allclose

from sedflux.training.luminosity import fit_discriminant


def test_discriminant_separates_what_two_terms_tell(rng):
    """Two of five terms differ, by three of their standard deviations together."""
    luminous = np.arange(600) < 30
    terms = rng.standard_normal((2, 600, 5)) * (1.0, 5.0, 1.0, 0.1, 1.0) + (3.0, 0.0, 0.0, 9.0, 0.0)
    terms[:, luminous] += (-3.0, 0.0, 0.0, 0.3, 0.0)
    weights, constant = fit_discriminant(terms, luminous)
    score = terms @ weights + constant
    assert (score[:, luminous] < np.quantile(score[:, ~luminous], 0.01)).mean() > 0.9
    assert weights[0] > 0 > weights[3]
    # Units of the terms and their zero points change nothing.
    other, shift = fit_discriminant(2.0 * terms - 1.0, luminous)
    assert_allclose((2.0 * terms - 1.0) @ other + shift, score, atol=1e-6)
