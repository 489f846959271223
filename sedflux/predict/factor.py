"""The factor of the covariance of many stars, which is made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sedflux.network.threads import parallel_map, thread_count
from sedflux.predict.pieces import pieces_of

__all__ = ["FactorField", "FactorRows", "factor_of", "replaced"]

#: Where an object keeps what its field holds.
_PLACE = "_factor"
#: Spectra whose variances are summed at a time, in the processor's cache.
_BLOCK = 32


class FactorRows:
    """
    The factor of N stars, in components of ln(SED): a thirtieth of the memory of its rows.

    Parameters
    ----------
    widening : `~sedflux.predict.sigma.Widening`
    values : dict of str to `~numpy.ndarray`
        With ``snr`` (N,), ``label_mean`` (N, l) and ``directions`` (N, r, c).
    severity : `~numpy.ndarray`, shape (N,)
        See `~sedflux.predict.sigma.Widening.fill_factor`.
    opened : bool
        Whether there are rows of the prior.
    """

    def __init__(self, widening: Any, values: Mapping[str, np.ndarray], severity: np.ndarray,
                 *, opened: bool) -> None:
        self._widening, self._severity, self._opened = widening, severity, opened
        self._values = {name: values[name] for name in ("label_mean", "directions")}
        # Users see the S/N among the diagnostics, and may change it.
        self._values["snr"] = np.array(values["snr"])

    def __reduce__(self):
        # The rows are of use without the model.
        return np.asarray, (self.array(),)

    def __len__(self):
        return len(self._severity)

    def __getitem__(self, rows: Any) -> FactorRows | np.ndarray:
        """Some of the stars; the rows of one, (r, n), if a number is given."""
        if np.ndim(rows) == 0:
            return self._take(np.array([rows])).array()[0]
        return self._take(rows)

    def _take(self, rows):
        return FactorRows(self._widening, {name: value[rows] for name, value in
                                           self._values.items()},
                          self._severity[rows], opened=self._opened)

    def array(self) -> np.ndarray:
        """
        The rows.

        Returns
        -------
        factor : `~numpy.ndarray`, shape (N, r, n)
        """
        factor = self._widening.empty_factor(self._values, opened=self._opened)

        def fill(some):
            self._fill(some, factor[some])

        self._side_by_side(fill)
        return factor

    def variance(self) -> np.ndarray:
        """
        Sums of the squared rows.

        Returns
        -------
        variance : `~numpy.ndarray`, shape (N, n)
        """
        found = np.empty((len(self), self._widening.samples), dtype=np.float32)

        def add(piece):
            own = self._widening.empty_factor(self._values, opened=self._opened, size=_BLOCK)
            for begin in range(piece.start, piece.stop, _BLOCK):
                some = slice(begin, min(begin + _BLOCK, piece.stop))
                rows = own[: some.stop - some.start]
                self._fill(some, rows)
                np.einsum("nri,nri->ni", rows, rows, out=found[some])

        self._side_by_side(add)
        return found

    def _fill(self, some, factor):
        self._widening.fill_factor({name: value[some] for name, value in self._values.items()},
                                   self._severity[some], factor)

    def _side_by_side(self, work: Callable[[slice], None]) -> None:
        pieces = pieces_of(len(self), thread_count())
        with parallel_map(len(pieces)) as each:
            list(each(work, pieces))


class FactorField:
    """A field ``factor`` that holds an array, or what makes it when it is first asked for."""

    def __get__(self, instance: Any, owner: type | None = None) -> np.ndarray:
        if instance is None:
            # A field without default.
            raise AttributeError("factor")
        found = instance.__dict__[_PLACE]
        if isinstance(found, FactorRows):
            found = instance.__dict__[_PLACE] = found.array()
        return found

    def __set__(self, instance: Any, value: np.ndarray | FactorRows) -> None:
        instance.__dict__[_PLACE] = value


def factor_of(prediction: Any) -> Any:
    """
    The factor of a prediction as it is: an array, or what makes it.

    Parameters
    ----------
    prediction : object
        With a `FactorField`.

    Returns
    -------
    factor : `~numpy.ndarray` or `FactorRows`
    """
    return prediction.__dict__[_PLACE]


def replaced(prediction: Any, **changes: Any) -> Any:
    """
    `dataclasses.replace`, which leaves the factor as it is.

    Parameters
    ----------
    prediction : object
        A dataclass with a `FactorField`.
    changes
        Values of fields.

    Returns
    -------
    prediction : object
    """
    return replace(prediction, **({"factor": factor_of(prediction)} | changes))
