"""Photon fluxes of the SEDs of a fit on its fine grid, and their relative errors at its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sedflux.response.solve import STARS_AT_A_TIME
from sedflux.slitless.forward import sed_operator
from sedflux.slitless.line_spread import LineSpread
from sedflux.spectra.grids import interpolation_matrix
from sedflux.spectra.relative_errors import shared_names
from sedflux.spectra.resolution import FWHM_PER_SIGMA, lsf_matrix
from sedflux.spectra.sed import SEDArrays

__all__ = ["NodeErrors", "node_errors", "photon_fluxes", "principal_rows"]

#: Rows of the factors whose relative errors are below this for nine in ten stars are added to the
#: diagonal.
_NEGLIGIBLE_ERROR = 5e-4
#: SEDs whose errors are brought to the nodes at once, so few that they stay in the cache.
_SEDS_AT_A_TIME = 32
#: Relative size of what is added to the diagonal of a matrix that may be singular; it takes no
#: part in the result.
_JITTER = 1e-14


class NodeErrors(NamedTuple):
    """
    Relative errors of N SEDs at g wavelengths.

    Attributes
    ----------
    factor : `~numpy.ndarray`, shape (N, r, g)
        Errors that are common to the wavelengths, the largest first, in single precision.
    diagonal : `~numpy.ndarray`, shape (N, g)
        Variance that is independent from one to the next.
    parts : dict of str to `~numpy.ndarray`, shape (N, g)
        Directions whose origin is known.
    """

    factor: np.ndarray
    diagonal: np.ndarray
    parts: dict[str, np.ndarray]

    def split(self, size: int) -> tuple[NodeErrors, NodeErrors]:
        """
        Those at the first wavelengths, and at the others.

        Parameters
        ----------
        size : int
            How many are first.
        """
        first, others = (NodeErrors(self.factor[..., part], self.diagonal[:, part],
                                    {name: value[:, part] for name, value in self.parts.items()})
                         for part in (slice(size), slice(size, None)))
        return first, others


def photon_fluxes(seds: Sequence[SEDArrays], powers: Sequence[float | None], fine: np.ndarray
                  ) -> np.ndarray:
    """
    Photon fluxes on the fine grid.

    Parameters
    ----------
    seds : sequence of `~sedflux.spectra.sed.SEDArrays`
    powers : sequence of float or None
        lambda / FWHM with which each of them is broadened, if that is to be undone.
    fine : `~numpy.ndarray`, shape (m,)

    Returns
    -------
    photons : `~numpy.ndarray`, shape (N, m)
        In single precision, for they are among the largest arrays of a fit.
    """
    photons = np.empty((len(seds), fine.size), dtype=np.float32)
    for wavelength, power, blocks in _alike(seds, powers, STARS_AT_A_TIME):
        operator = sed_operator(wavelength, fine, sed_resolving_power=power)
        for rows in blocks:
            photons[rows] = (operator @ np.stack([seds[row].flux for row in rows], axis=1)).T
    return photons


def node_errors(seds: Sequence[SEDArrays], nodes: np.ndarray, ratios: Sequence[float],
                line_spread: LineSpread | None) -> NodeErrors:
    """
    Relative errors at the nodes, and where other orders of the nodes come from.

    Parameters
    ----------
    seds : sequence of `~sedflux.spectra.sed.SEDArrays`
    nodes : `~numpy.ndarray`, shape (g,)
    ratios : sequence of float
        Of k orders: their wavelength over that of the first.
    line_spread : `~sedflux.LineSpread` or None

    Returns
    -------
    errors : `NodeErrors`
        At k g wavelengths: errors of all orders are correlated.
    """
    places, steps = (np.concatenate([ratio * values for ratio in ratios])
                     for values in (nodes, np.gradient(nodes)))
    widths = None if line_spread is None else np.concatenate(
        [ratio * line_spread.fwhm_at(nodes) for ratio in ratios])
    rank = max(len(_signs(sed)) for sed in seds)
    factor = np.zeros((len(seds), rank, places.size), dtype=np.float32)
    diagonal, rest = np.empty((len(seds), places.size)), np.zeros((len(seds), rank))
    parts = {name: np.zeros_like(diagonal) for name in dict.fromkeys(
        name for sed in seds for name in sed.parts)}
    for wavelength, _, blocks in _alike(seds, [None] * len(seds), _SEDS_AT_A_TIME):
        smooth = _node_operator(wavelength, places, widths)
        square = smooth.power(2)
        # Nodes that are closer than the samples of the SED share its independent errors.
        repeated = np.maximum(np.interp(places, wavelength, np.gradient(wavelength)) / steps, 1.0)
        for rows in blocks:
            here = [seds[row] for row in rows]
            flux = np.stack([sed.flux for sed in here])
            level = (smooth @ flux.T).T
            independent = np.stack([sed.relative_covariance.diagonal for sed in here]) * flux**2
            diagonal[rows] = repeated * (square @ independent.T).T / level**2
            for name, values in parts.items():
                known = np.stack([sed.parts.get(name, np.zeros_like(wavelength)) for sed in here])
                values[rows] = (smooth @ (known * flux).T).T / level
            found = _common_errors(here, smooth, level, rank)
            factor[rows] = found
            rest[rows] = np.square(found)[:, ::-1].cumsum(axis=1)[:, ::-1].max(axis=2)
    # Within one band, errors of an SED have few directions.
    keep = int((np.quantile(rest, 0.9, axis=0) > _NEGLIGIBLE_ERROR**2).sum())
    for begin in range(0, len(seds), STARS_AT_A_TIME):
        block = slice(begin, begin + STARS_AT_A_TIME)
        diagonal[block] += np.square(factor[block, keep:], dtype=float).sum(axis=1)
    return NodeErrors(factor[:, :keep].copy(), diagonal, parts)


def _alike(seds: Sequence[SEDArrays], powers: Sequence[float | None], size: int
           ) -> Iterator[tuple[np.ndarray, float | None, list[list[int]]]]:
    """Wavelengths and resolving power of the SEDs that share them, and their numbers by blocks."""
    groups: dict[tuple[bytes, float | None], list[int]] = {}
    for row, (sed, power) in enumerate(zip(seds, powers, strict=True)):
        groups.setdefault((sed.wavelength.tobytes(), power), []).append(row)
    for (_, power), rows in groups.items():
        yield (seds[rows[0]].wavelength, power,
               [rows[begin:begin + size] for begin in range(0, len(rows), size)])


def _node_operator(wavelength, places, widths):
    """Means of an SED's samples around some places, over the line-spread function's FWHM."""
    inside = np.clip(places, wavelength[0], wavelength[-1])
    if widths is None:
        return interpolation_matrix(wavelength, inside)
    return lsf_matrix(wavelength, widths / FWHM_PER_SIGMA, new_wavelength=inside)


def _signs(sed):
    """One for each direction of an SED's own errors, and minus one for those taken away."""
    covariance = sed.relative_covariance
    fewer = len(covariance.removed) + len(shared_names(sed.parts))
    return np.repeat([1.0, -1.0], [covariance.rank, fewer])


def _common_errors(seds, smooth, level, rank):
    """Common errors of some SEDs on the same wavelengths, without those shared with others."""
    rows = np.zeros((smooth.shape[1], len(seds), rank))
    sign = np.ones((len(seds), rank))
    for row, sed in enumerate(seds):
        covariance = sed.relative_covariance
        each = np.vstack([covariance.factor, covariance.removed,
                          *(sed.parts[name] for name in shared_names(sed.parts))])
        rows[:, row, :len(each)] = (each * sed.flux).T
        sign[row, :len(each)] = _signs(sed)
    rows = (smooth @ rows.reshape(len(rows), len(seds) * rank)).reshape(
        smooth.shape[0], len(seds), rank)
    return principal_rows(rows.transpose(1, 2, 0) / level[:, None, :], sign)


def principal_rows(rows: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """
    Orthogonal rows of the positive part of ``rows.T @ diag(sign) @ rows``, the largest first.

    A fit has no place for directions that are taken away: see `sedflux.covariance.positive_part`.

    Parameters
    ----------
    rows : `~numpy.ndarray`, shape (N, r, g)
    sign : `~numpy.ndarray`, shape (N, r)
        1 for rows that are added, -1 for those that are taken away.

    Returns
    -------
    rows : `~numpy.ndarray`, shape (N, r, g)
    """
    gram = rows @ rows.transpose(0, 2, 1)
    jitter = np.maximum(_JITTER * np.trace(gram, axis1=1, axis2=2), 1e-300)
    # The rows are L Q with orthonormal rows of Q, and the sum is Q^T (L^T sign L) Q.
    triangle = np.linalg.cholesky(gram + jitter[:, None, None] * np.eye(rows.shape[1]))
    across = triangle.transpose(0, 2, 1)
    value, vector = np.linalg.eigh(across @ (sign[:, :, None] * triangle))
    mixed = np.linalg.solve(across, vector * np.sqrt(np.maximum(value, 0.0))[:, None, :])
    return mixed.transpose(0, 2, 1)[:, ::-1] @ rows
