"""Threads of the library that multiplies NumPy's matrices."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np

__all__ = ["one_blas_thread", "set_thread_count", "thread_count"]

#: Functions that tell and set the number of threads, of OpenBLAS as NumPy's wheels have it and as
#: systems have it, and of MKL.
_FUNCTIONS = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)


class _Threads:
    """The number of threads, one while any block asks for it."""

    def __init__(self, get: Callable[[], int], set_count: Callable[[int], object]) -> None:
        self.get, self.set = get, set_count
        self._lock, self._blocks, self._before = threading.Lock(), 0, 1

    def count(self) -> int:
        """Threads that the user has set."""
        with self._lock:
            return self._before if self._blocks else self.get()

    def begin(self) -> None:
        """Use one thread."""
        with self._lock:
            if not self._blocks:
                self._before = self.get()
                self.set(1)
            self._blocks += 1

    def end(self) -> None:
        """Use as many as before, unless another block works."""
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                self.set(self._before)


class _Unknown:
    """Stands for a library that cannot be asked: the number is that of the processors."""

    def __init__(self) -> None:
        self._count = _processors()

    def get(self) -> int:
        return self._count

    def set(self, count: int) -> None:
        self._count = count


def _processors():
    """Processors that this process may use, or fewer if the user asks for fewer."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else \
        os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(wanted)) if wanted.isdecimal() and int(wanted) > 0 else allowed


@lru_cache(maxsize=1)
def _threads() -> _Threads:
    """Find the library behind NumPy: names are looked up in all that its module is linked to."""
    try:
        library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    except (AttributeError, OSError):
        library = None
    for get, set_count in _FUNCTIONS:
        if library is not None and hasattr(library, get) and hasattr(library, set_count):
            return _Threads(getattr(library, get), getattr(library, set_count))
    unknown = _Unknown()
    return _Threads(unknown.get, unknown.set)


def thread_count() -> int:
    """Number of threads that predictions may use."""
    return _threads().count()


def set_thread_count(count: int) -> None:
    """
    Set the number of threads that predictions may use.

    Parameters
    ----------
    count : int
    """
    _threads().set(count)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let every product use one thread within a ``with`` block."""
    threads = _threads()
    threads.begin()
    try:
        yield
    finally:
        threads.end()
