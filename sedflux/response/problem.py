"""The linear problem at the solution of a response fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sedflux.response.error_factor import ErrorFactor
from sedflux.response.options import Options
from sedflux.response.patterns import FitPatterns
from sedflux.response.solve import Design, normal_equations

__all__ = ["LinearProblem"]


@dataclass(frozen=True)
class LinearProblem:
    """
    Linear problem at the solution, for error budgets and tests of the fit.

    Attributes
    ----------
    name : `~numpy.ndarray` of str, shape (N,)
        Names of the usable stars.
    parts : dict of str to `~numpy.ndarray`, shape (N, g)
        Directions of the SED errors whose origin is known: ``reddening``, ``anchor``; and
        those that stars share, which ``factor`` does not have.
    options : `~sedflux.response.options.Options`
    design : `~sedflux.response.solve.Design`
    factor : `~sedflux.response.error_factor.ErrorFactor`, or `~numpy.ndarray` of shape (N, r, g)
        Directions in which the errors of each star are common to the nodes: of its SED, and
        then grey and wavelength errors, if there are any.
    weight : `~numpy.ndarray`, shape (N, g)
        Inverse variance of the noise at the nodes.
    diagonal : `~numpy.ndarray`, shape (N, g)
        Variance of each SED that is independent from node to node.
    residual : `~numpy.ndarray`, shape (N, g)
        Counts over expected counts minus one.
    inflation : `~numpy.ndarray`, shape (N,)
        Factor by which the variance of each star's directions is multiplied; infinite for
        rejected stars.
    spread : `~numpy.ndarray`, shape (N,)
        The same factor where the error of the response is counted, see
        `~sedflux.response.outliers.RobustWeights`.
    inverse : `~numpy.ndarray`, shape (n, n)
        Inverse covariance of the coefficients if ``inflation`` were known beforehand.
    prior : `~numpy.ndarray`, shape (n, n)
        The part of it that does not come from the stars.
    patterns : `~sedflux.response.patterns.FitPatterns` or None
        What common errors do to the counts; None for some of the stars.
    """

    name: np.ndarray
    parts: Mapping[str, np.ndarray]
    options: Options
    design: Design
    factor: ErrorFactor | np.ndarray
    weight: np.ndarray
    diagonal: np.ndarray
    residual: np.ndarray
    inflation: np.ndarray
    spread: np.ndarray
    inverse: np.ndarray
    prior: np.ndarray
    patterns: FitPatterns | None = None

    @property
    def used(self) -> np.ndarray:
        """Numbers of the stars that were not rejected."""
        return np.flatnonzero(np.isfinite(self.inflation))

    def take(self, rows: npt.ArrayLike) -> LinearProblem:
        """
        The same problem with some of the stars.

        Parameters
        ----------
        rows : array_like of int
        """
        rows = np.asarray(rows)
        each = ("name", "factor", "weight", "diagonal", "residual", "inflation", "spread")
        return replace(self, **{name: getattr(self, name)[rows] for name in each},
                       parts={name: value[rows] for name, value in self.parts.items()},
                       patterns=None,
                       design=replace(self.design, terms=self.design.terms[rows]))

    def as_informative(self) -> LinearProblem:
        """The same problem, in which every star counts as much as it tells of the response."""
        if np.array_equal(self.spread, self.inflation):
            return self
        other = replace(self, inflation=self.spread)
        return replace(other, inverse=self.prior + other.normal_equations()[0])

    def normal_equations(self) -> tuple[np.ndarray, np.ndarray]:
        """
        Normal matrix and right side of these stars.

        Returns
        -------
        normal : `~numpy.ndarray`, shape (n, n)
        right : `~numpy.ndarray`, shape (n,)
        """
        return normal_equations(self.design, self.factor, self.weight, self.diagonal,
                                self.residual, self.inflation)
