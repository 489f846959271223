"""Roots of many small normal matrices, and inverses of triangular ones, at once."""

from __future__ import annotations

import numpy as np

__all__ = ["inverse_of_triangles", "root_of_packed"]

#: Size of the blocks on the diagonal that are inverted row by row, all of them at once.
_LEAF = 8


def root_of_packed(packed: np.ndarray, added: float) -> np.ndarray:
    """
    Cholesky's decompositions of matrices that are given by their lower triangles.

    Parameters
    ----------
    packed : `~numpy.ndarray`, shape (N, k (k + 1) / 2)
        Row by row.
    added : float
        To the diagonal.

    Returns
    -------
    triangle : `~numpy.ndarray`, shape (N, k, k)
        Lower triangles in double precision.
    """
    size = int(np.sqrt(2 * packed.shape[1]))
    # The decomposition reads the lower triangle alone.
    matrix = np.zeros((len(packed), size, size))
    begin = 0
    for row in range(size):
        matrix[:, row, : row + 1] = packed[:, begin:begin + row + 1]
        begin += row + 1
    diagonal = np.arange(size)
    matrix[:, diagonal, diagonal] += added
    return np.linalg.cholesky(matrix)


def inverse_of_triangles(triangle: np.ndarray) -> np.ndarray:
    """
    Inverses of lower triangular matrices.

    NumPy solves with the general inverse, which takes several times as long for matrices of a few
    dozen rows.  Here blocks on the diagonal are inverted by substitution, and joined by products.

    Parameters
    ----------
    triangle : `~numpy.ndarray`, shape (N, k, k)
        In double precision, zero above the diagonal.

    Returns
    -------
    inverse : `~numpy.ndarray`, shape (N, k, k)
    """
    count, size = triangle.shape[:2]
    inverse = np.zeros_like(triangle)
    whole = size - size % _LEAF
    edges = list(range(0, whole, _LEAF))
    if edges:
        blocks = np.stack([triangle[:, edge:edge + _LEAF, edge:edge + _LEAF] for edge in edges])
        for edge, block in zip(edges, _by_rows(blocks.reshape(-1, _LEAF, _LEAF)).reshape(
                len(edges), count, _LEAF, _LEAF), strict=True):
            inverse[:, edge:edge + _LEAF, edge:edge + _LEAF] = block
    if whole < size:
        edges.append(whole)
        inverse[:, whole:, whole:] = _by_rows(triangle[:, whole:, whole:])
    _join(triangle, inverse, [*edges, size])
    return inverse


def _by_rows(triangle):
    """Inverses by substitution; the matrices are the fast axis."""
    size = triangle.shape[1]
    lower = np.ascontiguousarray(triangle.transpose(1, 2, 0))
    inverse = np.zeros_like(lower)
    for row in range(size):
        if row:
            inverse[row, :row] = -(lower[row, :row, None] * inverse[:row, :row]).sum(axis=0)
        inverse[row, row] = 1.0
        inverse[row, : row + 1] /= lower[row, row]
    return inverse.transpose(2, 0, 1)


def _join(triangle, inverse, edges):
    """Fill the blocks below the diagonal of an inverse, between edges of finished blocks."""
    if len(edges) < 3:
        return
    middle = len(edges) // 2
    _join(triangle, inverse, edges[: middle + 1])
    _join(triangle, inverse, edges[middle:])
    first, second = slice(edges[0], edges[middle]), slice(edges[middle], edges[-1])
    inverse[:, second, first] = -(inverse[:, second, second]
                                  @ (triangle[:, second, first] @ inverse[:, first, first]))
