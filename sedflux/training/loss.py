"""Losses: Gaussian negative log-likelihoods of ln(SED), full or diagonal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from sedflux.network.constants import VARIANCE_FLOOR

if TYPE_CHECKING:
    from sedflux.network.output import Output
    from sedflux.training.types import Network

__all__ = [
    "covariance_loss",
    "diagonal_loss",
    "gaussian_loss",
    "label_loss",
    "mean_loss",
    "score_loss",
]

LOG_FLOOR = math.log(VARIANCE_FLOOR)


def gaussian_loss(residual: torch.Tensor, log_variance: torch.Tensor, factor: torch.Tensor
                  ) -> torch.Tensor:
    """
    Negative log-likelihood with the full covariance, per sample.

    With ``C = D + U^T U`` the Woodbury identity needs a matrix of the rank alone:
    ``ln det C = ln det D + ln det M`` and ``r^T C^-1 r = |s|^2 - |L^-1 V s|^2``, with
    ``V = U D^-1/2``, ``s = D^-1/2 r`` and ``M = I + V V^T = L L^T``.

    Parameters
    ----------
    residual : `torch.Tensor`, shape (N, n)
    log_variance : `torch.Tensor`, shape (N, n)
        Logarithm of D; `VARIANCE_FLOOR` is added to D.
    factor : `torch.Tensor`, shape (N, r, n)

    Returns
    -------
    loss : `torch.Tensor`, shape (N,)
        Without the constant ``ln(2 pi) / 2``.
    """
    variance = log_variance.double().exp() + VARIANCE_FLOOR
    inverse_sigma = variance.rsqrt()
    scaled = residual.double() * inverse_sigma
    white = factor.double() * inverse_sigma[:, None]
    identity = torch.eye(white.shape[1], dtype=white.dtype, device=white.device)
    triangle = torch.linalg.cholesky(identity + white @ white.mT)
    along = torch.linalg.solve_triangular(triangle, white @ scaled[..., None], upper=False)
    square = (scaled**2).sum(dim=1) - (along[..., 0] ** 2).sum(dim=1)
    half_log_det = 0.5 * variance.log().sum(dim=1)
    half_log_det = half_log_det + triangle.diagonal(dim1=-2, dim2=-1).log().sum(dim=1)
    return (0.5 * square + half_log_det) / residual.shape[1]


def diagonal_loss(residual: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """
    Mean of ``(x - g)^2 / 2 sigma^2 + ln sigma`` over the samples, without correlations.

    Parameters
    ----------
    residual, log_variance : `torch.Tensor`, shape (N, n)

    Returns
    -------
    loss : `torch.Tensor`, shape (N,)
    """
    return (0.5 * residual**2 * torch.exp(-log_variance) + 0.5 * log_variance).mean(dim=1)


def label_loss(output: Output, labels: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of the scaled labels, shape (N,)."""
    return diagonal_loss(labels - output.label_mean, output.label_log_variance)


def score_loss(output: Output, scores: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of the components of ln(SED), shape (N,)."""
    return diagonal_loss(scores - output.scores, output.score_log_variance)


def mean_loss(output: Output, log_sed: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor, *,
              diagonal: bool = False) -> torch.Tensor:
    """
    Loss of the first stage: every component of ln(SED) is weighted by its own precision.

    The full likelihood alone trains the means badly.  As soon as its factor covers the errors of
    the leading components, these no longer count, and the many precise directions dominate the
    gradient.  (Errors of one such run stayed at 20, 10, 2 and 4 % in the four bands at any S/N.)

    Parameters
    ----------
    output : `~sedflux.network.output.Output`
    log_sed : `torch.Tensor`, shape (N, samples)
    scores : `torch.Tensor`, shape (N, sed_components)
        Projections of ``log_sed`` on the network's templates.
    labels : `torch.Tensor`, shape (N, labels)
    diagonal : bool, optional
        Use `diagonal_loss` of the SED itself instead of its components.

    Returns
    -------
    loss : `torch.Tensor`, shape (N,)
    """
    side = 0.2 * label_loss(output, labels)
    if diagonal:
        return diagonal_loss(log_sed - output.mean, output.log_variance) + side
    return score_loss(output, scores) + side


def covariance_loss(network: Network, output: Output, log_sed: torch.Tensor, scores: torch.Tensor
                    ) -> torch.Tensor:
    """
    Loss of the second stage: the full likelihood of the residuals, in two terms.

    One term is for the components, whose covariance ``score_factor^T score_factor`` is full.  The
    other is for the rest, which is orthogonal to them and has a diagonal covariance.  Their
    sum neglects the small part of the diagonal covariance that lies within the components.

    Parameters
    ----------
    network : `torch.nn.Module`
    output : `~sedflux.network.output.Output`
    log_sed : `torch.Tensor`, shape (N, samples)
    scores : `torch.Tensor`, shape (N, sed_components)

    Returns
    -------
    loss : `torch.Tensor`, shape (N,)
    """
    error = scores - output.scores
    floor = torch.full_like(error, -16.0)
    within = gaussian_loss(error, floor, output.score_factor)
    rest = log_sed - output.mean - error @ network.sed_templates
    return within + diagonal_loss(rest, torch.logaddexp(
        output.log_variance, torch.full_like(output.log_variance, LOG_FLOOR)))
