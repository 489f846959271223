"""Pieces side by side, and the threads of torch afterwards."""

import threading

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sedflux.network.threads import parallel_map, product


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_pieces_run_side_by_side_with_one_thread_each():
    meeting = threading.Barrier(2, timeout=30.0)

    def work(number):
        meeting.wait()
        return number, torch.get_num_threads()

    with parallel_map(2) as each:
        assert list(each(work, [3, 4])) == [(3, 1), (4, 1)]
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("pieces", [1, 5])
def test_threads_are_what_they_were_after_an_error(pieces):
    with pytest.raises(ZeroDivisionError), parallel_map(pieces) as each:
        list(each(lambda number: 1 // number, range(pieces)))
    assert torch.get_num_threads() == 2


def test_product_is_that_of_numpy(rng):
    left, right = np.asfortranarray(rng.random((30, 7))), rng.random((9, 7)).T
    assert_allclose(product(left, right), left @ right, rtol=1e-12)
