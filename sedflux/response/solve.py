"""
Generalised least squares for ln(response), linear in the number of stars.

At the nodes, the residuals of star s are ``y_s = Phi_s beta + U_s^T z_s + noise``: counts over
expected counts minus one.  U is the factor of the covariance of its SED (see
`sedflux.covariance`), with ``z ~ N(0, 1)``, and W the inverse variance of the noise.  By the
Woodbury identity the inverse covariance of y is ``W - W U^T (1 + U W U^T)^-1 U W``: diagonal
plus a matrix of low rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sedflux.response.error_factor import ErrorFactor

__all__ = ["STARS_AT_A_TIME", "Design", "Mapper", "StarStatistics", "column_equations",
           "normal_equations", "star_information", "star_statistics"]

#: What works like `map` with one iterable.
Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]

#: Stars per matrix product: enough for speed, and few enough for the processor's cache.
STARS_AT_A_TIME = 256
#: Smallest ratio of SED variance and noise variance of a direction that is tested.
_MIN_SIGNAL = 1e-3


@dataclass(frozen=True)
class Design:
    """
    Linear model of ln(response) at the nodes.

    Attributes
    ----------
    spline : `~numpy.ndarray`, shape (g, k)
        Spline basis at the nodes.
    term_basis : `~numpy.ndarray`, shape (g, j)
        Functions of wavelength of the field terms.
    terms : `~numpy.ndarray`, shape (N, q)
        Values of the field terms of each star; q may be zero.
    """

    spline: np.ndarray
    term_basis: np.ndarray
    terms: np.ndarray

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return self.spline.shape[1] + self.terms.shape[1] * self.term_basis.shape[1]

    def log_response(self, coefficients: np.ndarray) -> np.ndarray:
        """
        ln(response) of each star at the nodes.

        Parameters
        ----------
        coefficients : `~numpy.ndarray`, shape (n,)

        Returns
        -------
        log_response : `~numpy.ndarray`, shape (N, g), or (1, g) without field terms
        """
        k, j = self.spline.shape[1], self.term_basis.shape[1]
        base = (self.spline @ coefficients[:k])[None]
        if not self.terms.shape[1]:
            return base
        return base + self.terms @ (coefficients[k:].reshape(-1, j) @ self.term_basis.T)

    def blocks(self, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """
        The design of some stars as products of a value per star and a function of wavelength.

        Parameters
        ----------
        rows : `~numpy.ndarray` of int, shape (N,)

        Returns
        -------
        blocks : list of pairs
            Values (N,) and basis (g, n), first of the spline and then of each field term.
        """
        ones = np.ones(len(self.terms[rows]))
        return [(ones, self.spline)] + [(column, self.term_basis) for column in self.terms[rows].T]


def _weighted_factor(factor, weight, diagonal):
    """Inverse variance of noise and diagonal, the factor, and their product, (C, r, g)."""
    weight = weight / (1.0 + weight * diagonal)
    factor = np.asarray(factor, dtype=float)
    return weight, factor, factor * weight[:, None, :]


def normal_equations(design: Design, factor: ErrorFactor | np.ndarray, weight: np.ndarray,
                     diagonal: np.ndarray, residual: np.ndarray, inflation: np.ndarray, *,
                     mapper: Mapper = map) -> tuple[np.ndarray, np.ndarray]:
    """
    Normal matrix and right side of all stars together.

    Parameters
    ----------
    design : `Design`
    factor : `~sedflux.response.error_factor.ErrorFactor`, or `~numpy.ndarray` of shape (N, r, g)
        Directions in which the errors of each SED are common to the nodes.
    weight : `~numpy.ndarray`, shape (N, g)
        Inverse variance of the noise at the nodes.
    diagonal : `~numpy.ndarray`, shape (N, g)
        Variance of each SED that is independent from node to node.
    residual : `~numpy.ndarray`, shape (N, g)
    inflation : `~numpy.ndarray`, shape (N,)
        Factor by which the variance of each star's directions is multiplied; infinite leaves
        the star out.
    mapper : callable, optional
        Like `map`: it may work on blocks of stars elsewhere, see
        `~sedflux.response.cluster.cluster_mapper`.  The sums are the same to rounding.

    Returns
    -------
    normal : `~numpy.ndarray`, shape (n, n)
    right : `~numpy.ndarray`, shape (n,)
    """
    normal, right = np.zeros((design.size, design.size)), np.zeros(design.size)
    blocks = ((replace(design, terms=design.terms[rows]), factor[rows], weight[rows],
               diagonal[rows], residual[rows], inflation[rows]) for rows in _blocks(len(weight)))
    for matrix, column in mapper(_block_equations, blocks):
        normal += matrix
        right += column
    return normal, right


def _blocks(stars: int) -> list[slice]:
    """Rows of the stars that share one matrix product."""
    return [slice(begin, min(begin + STARS_AT_A_TIME, stars))
            for begin in range(0, stars, STARS_AT_A_TIME)]


def _block_equations(block: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Normal matrix and right side of some stars, from the arguments of `normal_equations`."""
    design, factor, weight, diagonal, residual, inflation = block
    normal, right = np.zeros((design.size, design.size)), np.zeros(design.size)
    rows = np.flatnonzero(np.isfinite(inflation))
    inverse_variance, scaled, weighted = _weighted_factor(
        factor[rows] * np.sqrt(inflation[rows, None, None]), weight[rows], diagonal[rows])
    core = np.eye(scaled.shape[1]) + weighted @ scaled.transpose(0, 2, 1)
    triangle = np.linalg.cholesky(core)
    blocks = design.blocks(rows)
    # One product for all stars.  The first block is the spline, the same for all of them.
    flat = weighted.reshape(-1, weighted.shape[2])
    columns = [(flat @ basis).reshape(*weighted.shape[:2], basis.shape[1]) for _, basis in blocks]
    columns[1:] = [term[:, None, None] * column for (term, _), column
                   in zip(blocks[1:], columns[1:], strict=True)]
    data = inverse_variance * residual[rows]
    data_column = (weighted @ residual[rows][:, :, None])
    # Triangles of a few rows: their inverses take less time than as many solutions.
    white = np.linalg.inv(triangle) @ np.concatenate([*columns, data_column], axis=2)
    white = white.reshape(-1, design.size + 1)
    gram = white.T @ white
    normal -= gram[:-1, :-1]
    right -= gram[:-1, -1]
    _add_noise_part(normal, right, blocks, inverse_variance, data)
    return normal, right


def _add_noise_part(normal, right, blocks, weight, data):
    """Add the normal equations that the noise alone would give."""
    start = np.concatenate([[0], np.cumsum([basis.shape[1] for _, basis in blocks])])
    for i, (first, left) in enumerate(blocks):
        here = slice(start[i], start[i + 1])
        right[here] += left.T @ (first @ data)
        for j, (second, other) in enumerate(blocks[: i + 1]):
            there = slice(start[j], start[j + 1])
            block = left.T @ (((first * second) @ weight)[:, None] * other)
            normal[here, there] += block
            if i != j:
                normal[there, here] += block.T


def column_equations(design: Design, factor: ErrorFactor | np.ndarray, weight: np.ndarray,
                     diagonal: np.ndarray, residual: np.ndarray, inflation: np.ndarray,
                     columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Normal equations of columns that the design lacks, and their products with the design.

    Parameters
    ----------
    design, factor, weight, diagonal, residual, inflation
        As for `normal_equations`.
    columns : `~numpy.ndarray`, shape (N, g, c)
        Change of the residuals for a unit of each column.

    Returns
    -------
    cross : `~numpy.ndarray`, shape (n, c)
    own : `~numpy.ndarray`, shape (c, c)
    right : `~numpy.ndarray`, shape (c,)
    """
    number = columns.shape[2]
    cross, own = np.zeros((design.size, number)), np.zeros((number, number))
    right = np.zeros(number)
    for begin in range(0, len(weight), STARS_AT_A_TIME):
        rows = np.arange(begin, min(begin + STARS_AT_A_TIME, len(weight)))
        rows = rows[np.isfinite(inflation[rows])]
        inverse_variance, scaled, weighted = _weighted_factor(
            factor[rows] * np.sqrt(inflation[rows, None, None]), weight[rows], diagonal[rows])
        core = np.eye(scaled.shape[1]) + weighted @ scaled.transpose(0, 2, 1)
        here = columns[rows]
        explained = weighted.transpose(0, 2, 1) @ np.linalg.solve(core, weighted @ here)
        whitened = inverse_variance[:, :, None] * here - explained
        flat = whitened.reshape(-1, number)
        own += here.reshape(-1, number).T @ flat
        right += flat.T @ residual[rows].ravel()
        cross += np.concatenate([basis.T @ np.einsum("s,sgc->gc", term, whitened)
                                 for term, basis in design.blocks(rows)])
    return cross, own, right


@dataclass(frozen=True)
class StarStatistics:
    """
    Agreement of each star with its SED.

    Attributes
    ----------
    sed_chi2 : `~numpy.ndarray`, shape (N,)
        Chi-square of the deviations along the directions of the star's SED errors.
    sed_number : `~numpy.ndarray` of int, shape (N,)
        Number of directions in it, which is its expected value.
    largest : `~numpy.ndarray`, shape (N,)
        Largest deviation along one direction, in sigma.
    amplitude : `~numpy.ndarray`, shape (N, r)
        Estimated amplitudes z of the rows of the factor.
    residual : `~numpy.ndarray`, shape (N, g)
        Residuals at the nodes after the SED errors are subtracted.
    signal : `~numpy.ndarray`, shape (N, r)
        Variance of the SED errors over that of the noise, along each of their directions; zero
        where the noise dominates.
    square : `~numpy.ndarray`, shape (N, r)
        Squared deviations along these directions, in units of their expected values.
    """

    sed_chi2: np.ndarray
    sed_number: np.ndarray
    largest: np.ndarray
    amplitude: np.ndarray
    residual: np.ndarray
    signal: np.ndarray
    square: np.ndarray


def star_statistics(factor: ErrorFactor | np.ndarray, weight: np.ndarray, diagonal: np.ndarray,
                    residual: np.ndarray, *, mapper: Mapper = map) -> StarStatistics:
    """
    Compare the residuals of each star with the covariance of its SED.

    If the star is consistent with its SED, ``c = U W y`` has the covariance ``S (1 + S)`` with
    ``S = U W U^T``.

    Parameters
    ----------
    factor, weight, diagonal, residual, mapper
        As for `normal_equations`.

    Returns
    -------
    statistics : `StarStatistics`
    """
    blocks = ((factor[rows], weight[rows], diagonal[rows], residual[rows])
              for rows in _blocks(len(weight)))
    found = mapper(_block_statistics, blocks)
    return StarStatistics(*(np.concatenate(values) for values in zip(*found, strict=True)))


def _block_statistics(block: tuple) -> tuple[np.ndarray, ...]:
    """`StarStatistics` of some stars, from the arguments of `star_statistics`."""
    factor, weight, diagonal, residual = block
    _, scaled, weighted = _weighted_factor(factor, weight, diagonal)
    value, vector = np.linalg.eigh(weighted @ scaled.transpose(0, 2, 1))
    value = np.clip(value, 0.0, None)
    along = (vector.transpose(0, 2, 1) @ (weighted @ residual[:, :, None]))[..., 0]
    # Skip directions dominated by noise.
    tested = value > _MIN_SIGNAL
    square = np.where(tested, along**2 / np.where(tested, value * (1.0 + value), 1.0), 0.0)
    amplitude = (vector @ (along / (1.0 + value))[:, :, None])[..., 0]
    left = residual - (amplitude[:, None, :] @ scaled)[:, 0]
    return (square.sum(axis=1), tested.sum(axis=1), np.sqrt(square.max(axis=1, initial=0.0)),
            amplitude, left, np.where(tested, value, 0.0), square)


def star_information(factor: ErrorFactor | np.ndarray, weight: np.ndarray, diagonal: np.ndarray,
                     inflation: np.ndarray) -> np.ndarray:
    """
    Inverse variance of ln(response) that each star alone gives at each node.

    Parameters
    ----------
    factor, weight, diagonal, inflation
        As for `normal_equations`.

    Returns
    -------
    information : `~numpy.ndarray`, shape (N, g)
    """
    noise = np.divide(1.0, weight, out=np.full_like(weight, np.inf), where=weight > 0) + diagonal
    common = np.concatenate([
        np.square(factor[begin:begin + STARS_AT_A_TIME], dtype=float).sum(axis=1)
        for begin in range(0, len(factor), STARS_AT_A_TIME)]) * inflation[:, None]
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(inflation)[:, None] & (weight > 0), 1.0 / (noise + common), 0.0)
