"""Sums over blocks of stars on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sedflux.exceptions import InputError
from sedflux.response.solve import Mapper

__all__ = ["cluster_mapper"]


def cluster_mapper(client: Any) -> Mapper:
    """
    A function like `map` that runs on a cluster.

    Parameters
    ----------
    client : `distributed.Client` or None
        None works in this process.

    Returns
    -------
    mapper : callable
        Results come in the order of the blocks, whichever worker is first.

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no client.
    """
    if client is None:
        return map
    if not all(callable(getattr(client, name, None)) for name in ("scatter", "map", "gather")):
        raise InputError(f"client is a {type(client).__name__}; give a distributed.Client, or None "
                         "to work in this process")

    def mapper(function: Callable[[Any], Any], blocks: Iterable[Any]) -> list[Any]:
        # Blocks go to the workers themselves, and not through the scheduler.
        places = client.scatter(list(blocks), hash=False)
        return client.gather(client.map(function, places, pure=False))

    return mapper
