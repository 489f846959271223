"""Pixels that are not the star's, in tensors; see `sedflux.predict.rejection`."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sedflux.predict.rejection import (
    BAD_JOINT,
    BESIDE,
    FIRST,
    JOINT_ERROR,
    LEFT_OUT,
    LIMIT,
    LINE_ERROR,
    MOST,
    REACH,
    ROUNDS,
    SIGMA_PER_MAD,
    pixels_between,
)

__all__ = ["reject_outlying_pixels"]


def _outlying(residual, ivar):
    """Outliers of spectra, (N, m)."""
    found = torch.zeros(residual.shape, dtype=torch.bool, device=residual.device)
    size = residual.abs() * (ivar / (1.0 + ivar * LINE_ERROR**2)).sqrt_()
    rows = (size.amax(dim=1) > LIMIT).nonzero()[:, 0]
    if not len(rows):
        return found
    size = size[rows]
    # Bad pixels are zeros, which come first.
    middle = size.shape[1] - ((ivar[rows] > 0).sum(dim=1) + 1) // 2
    median = size.sort(dim=1).values.gather(1, middle[:, None].clamp(max=size.shape[1] - 1))
    size /= (SIGMA_PER_MAD * median).clamp(min=1.0)
    outliers, beside = size > LIMIT, size > BESIDE
    for _ in range(REACH):
        outliers = outliers | (_neighbours(outliers) & beside)
    outliers |= _neighbours(outliers)
    found[rows] = outliers & (outliers.double().mean(dim=1) <= MOST)[:, None]
    return found


def _bad_joint(residual, ivar, filters):
    """Spectra whose arms do not match, (N,)."""
    weight = ivar / (1.0 + ivar * JOINT_ERROR**2)
    good = (ivar > 0).sum(dim=1).clamp(min=1)
    scale = ((weight * residual**2).sum(dim=1) / good).clamp(min=1.0).sqrt()
    signal = ((weight * residual) @ filters).abs()
    return (signal > BAD_JOINT * scale[:, None] * (weight @ filters**2).sqrt()).any(dim=1)


def _on(values, other):
    """A tensor with the numbers of an array, on the device of another one."""
    return torch.from_numpy(values).to(other.device)


def _neighbours(pixels):
    """The pixels beside some pixels, (N, m)."""
    beside = torch.zeros_like(pixels)
    beside[:, 1:] |= pixels[:, :-1]
    beside[:, :-1] |= pixels[:, 1:]
    return beside


def reject_outlying_pixels(
        flux: torch.Tensor, ivar: torch.Tensor, values: dict[str, torch.Tensor],
        filters: torch.Tensor,
        project: Callable[[torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]
        ) -> torch.Tensor:
    """
    Project spectra again without a bad joint and outliers, until there are none.

    Parameters
    ----------
    flux, ivar, values, filters, project
        See `sedflux.predict.rejection.reject_outliers`, as tensors.

    Returns
    -------
    rejected : `torch.Tensor` of bool, shape (N, m)
    """
    rejected = torch.zeros(flux.shape, dtype=torch.bool, device=flux.device)
    left_out = _on(pixels_between(*LEFT_OUT), flux)
    rows, latest = torch.arange(len(flux), device=flux.device), values
    for turn in range(ROUNDS):
        found = _outlying(latest["residual"], latest["ivar"])
        if turn == 0:
            # Cosmic rays make no bad joint.
            bad = _bad_joint(latest["residual"], latest["ivar"] * ~found, filters)
            found |= bad[:, None] & left_out
        some = found.any(dim=1).nonzero()[:, 0]
        if not len(some):
            break
        rows = rows[some]
        rejected[rows] |= found[some]
        latest = project(flux[rows], torch.where(rejected[rows], 0.0, ivar[rows]))
        for name, value in latest.items():
            if name not in FIRST:
                values[name][rows] = value
    return rejected
