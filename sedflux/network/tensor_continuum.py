"""Normalised spectra as tensors: `sedflux.spectra.normalise` with torch."""

from __future__ import annotations

import numpy as np
import torch

from sedflux.spectra.continuum import (
    BLOCKS,
    COARSE_TOLERANCE,
    LEAST_CURVATURE,
    LEAST_IVAR,
    MAX_LOG_CONTINUUM,
    MAX_STEP,
    SOFT_NOISE,
    START_BLOCKS,
    block_sums,
    pair_products,
    pairs_of,
)
from sedflux.spectra.normalise import MAX_NORMALISED, SPIKE_HEIGHT, TOLERANCE

__all__ = ["TensorContinuum", "places_of_pairs"]

#: Limit of steps of a fit.
_ITERATIONS = 25


class TensorContinuum:
    """
    `~sedflux.spectra.normalise.normalise_spectra` for tensors.

    Parameters
    ----------
    basis : `~numpy.ndarray`, shape (m, k)
        From `~sedflux.spectra.normalise.input_basis`; m is a multiple of the number of blocks.
    device : `torch.device`
    """

    def __init__(self, basis: np.ndarray, device: torch.device) -> None:
        def tensor(values):
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        single = basis.astype(np.float32)
        coarse = single[block_sums(len(basis), BLOCKS)[1]]
        low = coarse[block_sums(BLOCKS, START_BLOCKS)[1], :3]
        self._exact, self._single, self._coarse, self._low = map(
            tensor, (basis, single, coarse, low))
        self._products, self._low_products = (tensor(pair_products(part))
                                              for part in (coarse, low))
        self._places = {size: tensor(places_of_pairs(size))
                        for size in (basis.shape[1], low.shape[1])}

    def __call__(self, flux: torch.Tensor, ivar: torch.Tensor
                 ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """
        Continuum-normalised flux minus one, without emission lines and cosmic rays.

        Parameters
        ----------
        flux, ivar : `torch.Tensor`, shape (N, m)
            In double and in single precision; bad pixels have ``ivar = 0``.

        Returns
        -------
        normalised, ivar : `torch.Tensor`, shape (N, m)
        spikes : `torch.Tensor` of int, shape (N,)
            Pixels that were left out as spikes.
        """
        good = ivar > 0
        count = good.sum(dim=1)
        total = (flux * good).sum(dim=1)
        level = torch.where(count > 0, total, 1.0) / count.clamp(min=1)
        flux, ivar = flux / level[:, None], ivar * (level[:, None] ** 2).to(ivar.dtype)
        normalised, new_ivar = self._remove(flux, ivar)
        spikes = (normalised > SPIKE_HEIGHT) & (normalised**2 * new_ivar > 25.0)
        number = spikes.sum(dim=1)
        rows = number.nonzero()[:, 0]
        if len(rows):
            normalised[rows], new_ivar[rows] = self._remove(flux[rows], ivar[rows] * ~spikes[rows])
        # A spectrum of noise alone may have no continuum, here and there or anywhere.
        some = (normalised.abs() < MAX_NORMALISED) & torch.isfinite(new_ivar)
        return torch.where(some, normalised, 0.0), torch.where(some, new_ivar, 0.0), number

    def _remove(self, flux, ivar):
        """Normalised flux minus one, zero in bad pixels, and its inverse variance."""
        good = ivar > 0
        inverse = _inverse_continuum(self._fit(flux, ivar, good), self._exact)
        normalised = torch.where(good, flux * inverse - 1.0, 0.0)
        return normalised, ivar / inverse.to(ivar.dtype) ** 2

    def _fit(self, flux, ivar, good):
        """Coefficients of the logarithm of the continuum, (N, k)."""
        count = good.to(ivar.dtype)
        single, variance = flux.to(ivar.dtype), count / (ivar + LEAST_IVAR)
        totals, counts, variances = (_sums(part, BLOCKS)
                                     for part in (single * count, count, variance))
        many = counts.clamp(min=1.0)
        start = self._start(totals, counts)
        start = self._improve(start, totals / many, variances / many, counts, self._coarse,
                              tolerance=max(TOLERANCE, COARSE_TOLERANCE))
        found = self._improve(start, single, variance, count, self._single, tolerance=TOLERANCE)
        return self._improve(found, flux, variance, count, self._exact, tolerance=TOLERANCE,
                             iterations=1)

    def _start(self, totals, counts):
        """Coefficients of a fit of the first three shapes to ln(block means)."""
        total, count = _sums(totals, START_BLOCKS), _sums(counts, START_BLOCKS)
        overall = total.sum(dim=1) / count.sum(dim=1).clamp(min=1.0)
        mean = total / count.clamp(min=1.0)
        # A block without good pixels, or whose flux is mere noise, gets no weight.
        light = mean > (0.02 * overall[:, None]).clamp(min=0.0)
        weight = torch.where((count > 0) & light, count, 0.0)
        value = torch.where(weight > 0, mean, 1.0).log()
        start = totals.new_zeros(len(total), self._exact.shape[1], dtype=torch.float64)
        start[:, : self._low.shape[1]] = self._solved(
            weight @ self._low_products, (weight * value) @ self._low)
        return start

    def _solved(self, packed, right):
        """Solutions of normal equations, (N, k), in double precision."""
        size = right.shape[1]
        normal = packed.double()[:, self._places[size]].unflatten(1, (size, size))
        normal.diagonal(dim1=1, dim2=2).add_(1e-9)
        return torch.linalg.solve_ex(normal, right.double())[0]

    def _improve(self, coefficients, flux, variance, count, basis, *, tolerance,
                 iterations=_ITERATIONS):
        """Take Newton steps until those of each spectrum are small."""
        pixels, result, one = len(basis), coefficients.clone(), basis.new_ones(())
        scaled = variance * SOFT_NOISE**-2
        rows = torch.arange(len(flux), device=flux.device)
        for _ in range(iterations):
            inverse = _inverse_continuum(result[rows], basis)
            share = torch.addcmul(one, scaled * inverse, inverse).reciprocal_()
            weight = count * share
            residual = torch.addcmul(-one, flux, inverse).clamp_(-2.0, 2.0).mul_(weight)
            least = LEAST_CURVATURE * _sums(weight, BLOCKS)
            # The weight, and (2 share - 1) of the residual.
            curvature = torch.addcmul(weight - residual, share, residual, value=2.0)
            curvature = torch.maximum(_sums(curvature, BLOCKS), least).to(self._products.dtype)
            step = self._solved(curvature @ self._products, residual @ basis)
            # Noise at the end of a spectrum can throw a full step far beyond the minimum.
            length = torch.linalg.vector_norm(step, dim=1, keepdim=True) / pixels**0.5
            step *= (MAX_STEP / length.clamp(min=1e-30)).clamp(max=1.0)
            result[rows] += step
            if iterations == 1:
                break
            moving = (step.abs().amax(dim=1) >= tolerance * pixels**0.5).nonzero()[:, 0]
            if not len(moving):
                break
            if len(moving) < len(rows):
                rows, flux, scaled, count = (part[moving]
                                             for part in (rows, flux, scaled, count))
        return result


def places_of_pairs(size: int) -> np.ndarray:
    """Where every entry of a symmetric matrix stands in `pair_products`, (size * size,)."""
    first, second = pairs_of(size)
    places = np.empty((size, size), dtype=np.int64)
    places[first, second] = places[second, first] = np.arange(len(first))
    return places.ravel()


def _sums(values, blocks):
    """Sums over blocks of pixels, (N, blocks)."""
    return values if values.shape[1] == blocks else values.unflatten(1, (blocks, -1)).sum(dim=2)


def _inverse_continuum(coefficients, basis):
    """One over the continuum, (N, n)."""
    log_inverse = (-coefficients).to(basis.dtype) @ basis.T
    return log_inverse.clamp_(-MAX_LOG_CONTINUUM, MAX_LOG_CONTINUUM).exp_()
