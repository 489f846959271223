"""Pixels that are not the star's, in tensors; see `sedflux.predict.rejection`."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sedflux.predict.rejection import (
    BESIDE,
    FIRST,
    LIMIT,
    LINE_ERROR,
    MOST,
    REACH,
    ROUNDS,
    SIGMA_PER_MAD,
)

__all__ = ["reject_outlying_pixels"]

#: Values that only the search for outliers needs.
_OF_SEARCH = ("normalised", "ivar", "residual")


def _outlying(residual, ivar):
    """Rows of spectra that have outliers, and their outliers (rows, m)."""
    size = residual.abs() * (ivar / (1.0 + ivar * LINE_ERROR**2)).sqrt_()
    rows = (size.amax(dim=1) > LIMIT).nonzero()[:, 0]
    size = size[rows]
    # Bad pixels are zeros, which come first.
    middle = size.shape[1] - ((ivar[rows] > 0).sum(dim=1) + 1) // 2
    median = size.sort(dim=1).values.gather(1, middle[:, None].clamp(max=size.shape[1] - 1))
    size /= (SIGMA_PER_MAD * median).clamp(min=1.0)
    outliers, beside = size > LIMIT, size > BESIDE
    for _ in range(REACH):
        outliers = outliers | (_neighbours(outliers) & beside)
    outliers |= _neighbours(outliers)
    share = outliers.double().mean(dim=1)
    some = ((share > 0) & (share <= MOST)).nonzero()[:, 0]
    return rows[some], outliers[some]


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
    rows, latest = torch.arange(len(flux), device=flux.device), values
    for _ in range(ROUNDS):
        some, found = _outlying(latest["residual"], latest["ivar"])
        if not len(some):
            break
        rows = rows[some]
        rejected[rows] |= found
        latest = evaluate(flux[rows], torch.where(rejected[rows], 0.0, ivar[rows]))
        for name, value in latest.items():
            if name not in FIRST and name not in _OF_SEARCH:
                values[name][rows] = value
    return rejected
