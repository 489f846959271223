"""Pieces side by side, and the threads of products of matrices meanwhile and afterwards."""

import ctypes
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from sedflux.network import blas
from sedflux.network.threads import parallel_map, thread_count, use_threads


@pytest.fixture
def two_threads():
    before, of_torch = thread_count(), torch.get_num_threads()
    use_threads(2)
    yield
    use_threads(before)
    torch.set_num_threads(of_torch)


def library_count():
    """What the library itself tells."""
    return blas._threads().get()


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("given", [None, torch])
def test_pieces_run_side_by_side_with_one_thread_each(given):
    meeting = threading.Barrier(2, timeout=30.0)

    def work(number):
        meeting.wait()
        return number, library_count(), torch.get_num_threads() if given else 1

    with parallel_map(2, torch=given) as each:
        assert list(each(work, [3, 4])) == [(3, 1, 1), (4, 1, 1)]
        # Others still learn what the user has set.
        assert thread_count() == 2
    assert library_count() == torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("pieces", [1, 5])
def test_threads_are_what_they_were_after_an_error(pieces):
    with pytest.raises(ZeroDivisionError), parallel_map(pieces) as each:
        list(each(lambda number: 1 // number, range(pieces)))
    assert library_count() == torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_blocks_that_overlap_leave_the_number_as_it_was():
    first, second = parallel_map(1), parallel_map(1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert library_count() == 1
    second.__exit__(None, None, None)
    assert library_count() == 2


@pytest.mark.usefixtures("two_threads")
def test_the_library_behind_numpy_is_found():
    """The wheels of NumPy on Linux bring OpenBLAS, whose number of threads can be set."""
    library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    if not hasattr(library, "scipy_openblas_get_num_threads64_"):
        pytest.skip("NumPy was built with another library")
    assert library.scipy_openblas_get_num_threads64_() == 2


def test_other_libraries_have_the_threads_of_the_processors(monkeypatch):
    monkeypatch.setattr(blas, "_FUNCTIONS", ())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    blas._threads.cache_clear()
    try:
        assert thread_count() == 1
        blas.set_thread_count(3)
        with parallel_map(1):
            assert thread_count() == 3
    finally:
        blas._threads.cache_clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_goes_on_with_a_network_of_torch():
    """It waited for ever for a thread that it does not have."""
    code = """
import os
import torch
from sedflux.network.checkpoint import load_network
from sedflux.predict.models import find_model

network, _ = load_network(find_model(None))
torch.set_num_threads(2)
large = torch.ones(2000, 2000)
large.half()
child = os.fork()
if not child:
    large.half()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0 and torch.get_num_threads() == 2
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
