"""Pixels that are not the star's, in tensors; see `sedflux.predict.rejection`."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sedflux.predict.rejection import (
    BAD_JOINT,
    BESIDE,
    COMMON_NOISE,
    FIRST,
    HALF_MEAN,
    LEFT_OUT,
    LIMIT,
    LINE_ERROR,
    MEAN_ERROR,
    MOST,
    REACH,
    ROUNDS,
    SIGMA_PER_MAD,
    joint_sums,
    pixels_between,
)

__all__ = ["reject_outlying_pixels"]

#: Values that only the search for outliers needs.
_OF_SEARCH = ("normalised", "ivar", "residual")


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


def _bad_joint(residual, ivar):
    """Spectra whose arms do not match, (N,)."""
    share = 1.0 / (1.0 + ivar * LINE_ERROR**2)
    weight = ivar * share
    total, power, noise = (_sums(part) for part in (weight * residual, weight, weight * share))
    known = power > 0
    power = torch.where(known, power, 1.0)
    noise = noise.sqrt()
    error = torch.maximum(torch.hypot(noise, MEAN_ERROR * power), COMMON_NOISE * noise)
    size = torch.where(known, total.abs(), 0.0) / error
    scale = (SIGMA_PER_MAD * size.median(dim=1).values).clamp(min=1.0)
    return size[:, _on(joint_sums(), size)].amax(dim=1) > BAD_JOINT * scale


def _sums(values):
    """Sums over 30 pixels, which overlap by half, (N, k)."""
    halves = values[:, : values.shape[1] // HALF_MEAN * HALF_MEAN].unflatten(
        1, (-1, HALF_MEAN)).sum(dim=2)
    return halves[:, 1:] + halves[:, :-1]


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
        evaluate: Callable[[torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]
        ) -> torch.Tensor:
    """
    Evaluate spectra again without their outliers, until there are none.

    Parameters
    ----------
    flux, ivar, values, evaluate
        See `sedflux.predict.rejection.reject_outliers`, as tensors.

    Returns
    -------
    rejected : `torch.Tensor` of bool, shape (N, m)
    """
    rejected = torch.zeros(flux.shape, dtype=torch.bool, device=flux.device)
    left_out = _on(pixels_between(*LEFT_OUT), flux)
    rows, latest = torch.arange(len(flux), device=flux.device), values
    for _ in range(ROUNDS):
        found = _outlying(latest["residual"], latest["ivar"])
        # Cosmic rays make no bad joint.
        bad = _bad_joint(latest["residual"], latest["ivar"] * ~found)
        found |= bad[:, None] & left_out
        some = found.any(dim=1).nonzero()[:, 0]
        if not len(some):
            break
        rows = rows[some]
        rejected[rows] |= found[some]
        latest = evaluate(flux[rows], torch.where(rejected[rows], 0.0, ivar[rows]))
        for name, value in latest.items():
            if name not in FIRST and name not in _OF_SEARCH:
                values[name][rows] = value
    return rejected
