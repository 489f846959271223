"""Flags and errors of many stars, made as the values of the network come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from sedflux.libraries.labels import LabelSet
from sedflux.predict.factor import FactorRows
from sedflux.predict.flags import domain_flags, severity_of
from sedflux.predict.pieces import pieces_of
from sedflux.predict.sigma import Widening

__all__ = ["Assembly"]


class Assembly:
    """
    Flags and covariances of N stars.

    Parameters
    ----------
    size : int
        Number of stars.
    limits : dict
        The model's domain.
    label_set : `~sedflux.libraries.labels.LabelSet`
    widening : `~sedflux.predict.sigma.Widening`
    each : callable
        `map`, or a like function that works side by side.

    Attributes
    ----------
    bits : `~numpy.ndarray` of int64, shape (N,)
        Flags.
    severity : `~numpy.ndarray`, shape (N,)
        How much errors grow.
    """

    def __init__(self, size: int, limits: Mapping[str, Any], label_set: LabelSet,
                 widening: Widening, each: Callable[..., Any]) -> None:
        self.bits, self.severity = np.zeros(size, dtype=np.int64), np.ones(size)
        self._limits, self._label_set, self._widening = limits, label_set, widening
        self._each = each
        self._work: list[Iterable[None]] = []
        self._diagonal = np.empty((size, widening.samples), dtype=np.float32)

    def add(self, values: Mapping[str, np.ndarray], rows: slice) -> None:
        """
        Flag some of the stars, and begin with their variances.

        Parameters
        ----------
        values : dict of str to `~numpy.ndarray`, shape (N, ...)
            See `sedflux.predict.chain.ArrayChain.values`; those of the given rows are known.
        rows : slice
        """
        own = {name: value[rows] for name, value in values.items()}
        bits = domain_flags(own, self._limits, self._label_set)
        severity = severity_of(bits, own, self._limits, self._label_set)
        self.bits[rows], self.severity[rows] = bits, severity
        diagonal = self._diagonal[rows]

        def fill(some):
            diagonal[some] = self._widening.diagonal(
                {name: value[some] for name, value in own.items()}, severity[some])

        self._work.append(self._each(fill, pieces_of(len(bits))))

    def covariance(self, values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, FactorRows]:
        """
        Covariance of ln(flux) of all stars.

        Parameters
        ----------
        values : dict of str to `~numpy.ndarray`, shape (N, ...)

        Returns
        -------
        diagonal : `~numpy.ndarray`, shape (N, n)
        factor : `~sedflux.predict.factor.FactorRows`, shape (N, r, n)
            See `~sedflux.predict.sigma.Widening.covariance`.
        """
        for results in self._work:
            list(results)
        return self._diagonal, self._widening.factor(values, self.severity)
