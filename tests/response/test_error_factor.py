"""Common errors of stars as one array, row by row."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sedflux.response.error_factor import ErrorFactor

RNG = np.random.default_rng(1)
SED = RNG.normal(size=(6, 3, 5)).astype(np.float32)
SHIFT = RNG.normal(size=(6, 5)).astype(np.float32)


@pytest.mark.parametrize("rows", [2, slice(1, 4), np.array([5, 0]), SHIFT[:, 0] > 0])
def test_rows_of_the_sed_come_first_and_then_those_of_the_extraction(rows):
    factor = ErrorFactor(SED, 0.01, SHIFT)
    whole = np.concatenate([SED, np.full((6, 1, 5), 0.01, dtype=np.float32), SHIFT[:, None]],
                           axis=1)
    assert len(factor) == 6
    assert_array_equal(factor[rows], whole[rows])
    assert_array_equal(np.asarray(factor), whole)
    assert factor[rows].dtype == np.float32


def test_errors_of_zero_have_no_row():
    assert_array_equal(np.asarray(ErrorFactor(SED)), SED)
    assert ErrorFactor(SED, 0.01)[0].shape == (4, 5)
    assert ErrorFactor(SED[:, :0], 0.0, SHIFT)[:2].shape == (2, 1, 5)


def test_errors_of_the_sed_are_not_copied():
    assert np.shares_memory(ErrorFactor(SED)[1:3], SED)
