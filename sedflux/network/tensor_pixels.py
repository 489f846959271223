"""Spectra as tensors: scaled, smoothed, and brought to rest and onto another grid."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from scipy import sparse

from sedflux.spectra.arrays import MAX_IVAR, MIN_IVAR
from sedflux.spectra.grids import pixel_edges
from sedflux.units import LIGHT_KM_S

__all__ = ["TensorRebinning", "scale_tensors", "smooth_tensors", "sparse_tensor"]


def scale_tensors(rows: torch.Tensor, weights: torch.Tensor, bad: torch.Tensor | None,
                  unsure: torch.Tensor | None, factor: torch.Tensor | None
                  ) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Flux of order one and its inverse variance, see `~sedflux.spectra.arrays.CheckedSpectra`.

    Parameters
    ----------
    rows, weights : `torch.Tensor`, shape (N, n)
        Flux and inverse variance as given.
    bad, unsure : `torch.Tensor` of bool, shape (N, n), or None
        Bad pixels of the flux, and of the inverse variance.
    factor : `torch.Tensor`, shape (n,), or None
        From the unit of the flux to F_lambda.

    Returns
    -------
    flux, ivar : `torch.Tensor`, shape (N, n)
        In double precision; zero in bad pixels.
    """
    good = torch.isfinite(rows)
    if bad is not None:
        good &= ~bad
    flux = torch.where(good, rows, 0.0).double()
    if factor is not None:
        flux *= factor
    count = good.sum(dim=1, keepdim=True).clamp(min=1)
    size = (flux.abs() / count).sum(dim=1, keepdim=True)
    size = torch.where(size > 0, size, 1.0)
    flux /= size
    good &= torch.isfinite(weights)
    if unsure is not None:
        good &= ~unsure
    ivar = torch.where(good, weights, 0.0).double()
    scale = size if factor is None else size / factor
    # One factor after the other, because zero times infinity is no number.
    ivar *= scale
    ivar *= scale
    ivar.clamp_(max=MAX_IVAR)
    return flux, torch.where(ivar < MIN_IVAR, 0.0, ivar)


def sparse_tensor(matrix: sparse.csr_matrix, device: torch.device) -> torch.Tensor:
    """A sparse matrix as a sparse tensor."""
    coordinates = matrix.tocoo()
    place = torch.from_numpy(np.stack([coordinates.row, coordinates.col]).astype(np.int64))
    with warnings.catch_warnings():
        # torch 2.11 says that checks are off where they are not wanted.
        warnings.filterwarnings("ignore", "Sparse invariant checks")
        return torch.sparse_coo_tensor(place, torch.from_numpy(coordinates.data), matrix.shape,
                                       is_coalesced=True, check_invariants=False).to(device)


def smooth_tensors(kernel: torch.Tensor, flux: torch.Tensor, ivar: torch.Tensor
                   ) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Smooth noisy spectra with bad pixels, see `~sedflux.spectra.resolution.smooth_spectra`.

    Parameters
    ----------
    kernel : `torch.Tensor`, shape (n, n)
        From `sparse_tensor`.
    flux, ivar : `torch.Tensor`, shape (N, n)

    Returns
    -------
    flux, ivar : `torch.Tensor`, shape (N, n)
    """
    good = ivar > 0
    weight, smooth, new_ivar = (
        torch.sparse.mm(kernel, part.T.contiguous()).T.contiguous()
        for part in (good.to(flux.dtype), flux * good, ivar.double()))
    usable = good & (weight > 0.5)
    new_flux = torch.where(usable, smooth / torch.where(usable, weight, 1.0), 0.0)
    return new_flux, torch.where(usable, new_ivar, 0.0).to(ivar.dtype)


class TensorRebinning:
    """
    `~sedflux.spectra.grids.Rebinning` of spectra that each have a velocity.

    The integral of a spectrum up to every edge of its pixels is interpolated to the edges of the
    new pixels, as they lie in the frame of the star; differences are the sums over overlaps.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Ascending centres of the input pixels.
    new_wavelength : `~numpy.ndarray`, shape (m,)
        Ascending centres of the output pixels, at rest.
    device : `torch.device`
    """

    def __init__(self, wavelength: np.ndarray, new_wavelength: np.ndarray,
                 device: torch.device) -> None:
        self._edges, self._new_edges = (torch.from_numpy(pixel_edges(place)).to(device)
                                        for place in (wavelength, new_wavelength))
        self._width, self._new_width = self._edges.diff(), self._new_edges.diff()

    def __call__(self, flux: torch.Tensor, ivar: torch.Tensor, velocity: torch.Tensor
                 ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Rebin spectra to the rest frame.

        Parameters
        ----------
        flux, ivar : `torch.Tensor`, shape (N, n)
            Flux in double precision and inverse variance; bad pixels have ``ivar = 0``.
        velocity : `torch.Tensor`, shape (N,) or (1,)
            In km/s.

        Returns
        -------
        flux, ivar : `torch.Tensor`, shape (N, m)
            Output pixels whose good coverage is below one half have ``ivar = 0``
            and zero flux.
        """
        scale = (1.0 + velocity / LIGHT_KM_S)[:, None]
        place = self._new_edges * scale
        pixel = torch.searchsorted(self._edges, place, right=True) - 1
        pixel.clamp_(0, len(self._width) - 1)
        # The part of the pixel that lies beyond the edge.
        beyond = 1.0 - ((place - self._edges[pixel]) / self._width[pixel]).clamp_(0.0, 1.0)
        pixel, beyond = pixel.expand(len(flux), -1), beyond.expand(len(flux), -1)

        def overlap(part):
            """Sums over the overlaps of every new pixel."""
            total = part.cumsum(dim=1).gather(1, pixel)
            total -= beyond * part.gather(1, pixel)
            return total.diff(dim=1)

        good = (ivar > 0) * self._width
        covered, total = overlap(good), overlap(flux * good)
        usable = covered > 0.5 * self._new_width * scale
        new_flux = torch.where(usable, total / torch.where(usable, covered, 1.0), 0.0)
        new_ivar = torch.where(usable, overlap(ivar.double()), 0.0).clamp_(min=0.0)
        return new_flux, new_ivar.to(ivar.dtype)
