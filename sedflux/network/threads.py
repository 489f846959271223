"""Work on many spectra in pieces, with as many threads as NumPy may use."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sedflux.network.blas import one_blas_thread, set_thread_count, thread_count

__all__ = ["parallel_map", "thread_count", "use_one_thread_after_fork", "use_threads"]


@contextmanager
def parallel_map(pieces: int, *, torch: Any = None) -> Iterator[Callable[..., Any]]:
    """
    `map` whose calls run side by side, each on one core.

    Parameters
    ----------
    pieces : int
        Calls to expect.  A single one runs by itself.
    torch : module, optional
        If the calls use it.

    Yields
    ------
    map : callable

    Notes
    -----
    Small operations gain little from several cores: two threads that each work on a piece are
    faster than one piece at a time on two cores.  So each operation uses one thread meanwhile.
    """
    threads = thread_count()
    with one_blas_thread(), _one_thread_of(torch):
        if min(threads, pieces) < 2:
            yield map
        else:
            started: list[int] = []
            with ThreadPoolExecutor(
                    max_workers=min(threads, pieces),
                    initializer=lambda: started.append(threading.get_native_id())) as pool:
                yield pool.map
            _wait_for_end(started)


@contextmanager
def _one_thread_of(torch):
    """Let torch, if it is given, use one thread within a ``with`` block."""
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _wait_for_end(threads):
    """
    Wait until the operating system has ended threads of this process, at most a second.

    Python's join returns a little earlier.  A thread that ends holds a lock of the library that
    multiplies matrices; a process forked at that moment would wait for it for ever.
    """
    folders = [Path(f"/proc/self/task/{thread}") for thread in threads]
    latest = time.monotonic() + 1.0
    while any(folder.exists() for folder in folders) and time.monotonic() < latest:
        time.sleep(1e-4)


def use_threads(count: int) -> None:
    """
    Set the number of threads of predictions, such as 1 where every core has a process.

    Parameters
    ----------
    count : int
    """
    set_thread_count(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


@lru_cache(maxsize=1)
def use_one_thread_after_fork() -> None:
    """
    Let forked processes use one thread: torch waits for others, which do not exist there.

    The number is set before the fork.  In the new process torch would wait for the threads that it
    dismisses, and now and then for ever.
    """
    import torch

    if not hasattr(os, "register_at_fork"):
        return
    counts: list[int] = []

    def before():
        counts.append(torch.get_num_threads())
        torch.set_num_threads(1)

    os.register_at_fork(before=before,
                        after_in_parent=lambda: torch.set_num_threads(counts.pop()))
