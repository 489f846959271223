"""Losses: Gaussian negative log-likelihoods of ln(SED), full or diagonal."""

from dataclasses import replace

import torch

from sedflux.network.architecture import VARIANCE_FLOOR

__all__ = ["diagonal_loss", "gaussian_loss", "label_loss", "score_loss", "training_loss"]


def gaussian_loss(output, log_sed):
    """
    Negative log-likelihood with the full covariance, a sample.

    With ``C = D + U^T U`` the Woodbury identity needs a matrix of the rank alone:
    ``ln det C = ln det D + ln det M`` and ``r^T C^-1 r = |s|^2 - |L^-1 V s|^2``, with
    ``V = U D^-1/2``, ``s = D^-1/2 r`` and ``M = I + V V^T = L L^T``.

    Parameters
    ----------
    output : `~sedflux.network.architecture.Output`
    log_sed : `torch.Tensor`, shape (N, samples)

    Returns
    -------
    loss : `torch.Tensor`, shape (N,)
        Without the constant ``ln(2 pi) / 2``.
    """
    variance = output.log_variance.double().exp() + VARIANCE_FLOOR
    inverse_sigma = variance.rsqrt()
    scaled = (log_sed - output.mean).double() * inverse_sigma
    white = output.factor.double() * inverse_sigma[:, None]
    identity = torch.eye(white.shape[1], dtype=white.dtype, device=white.device)
    triangle = torch.linalg.cholesky(identity + white @ white.mT)
    along = torch.linalg.solve_triangular(triangle, white @ scaled[..., None], upper=False)
    square = (scaled**2).sum(dim=1) - (along[..., 0] ** 2).sum(dim=1)
    half_log_det = 0.5 * variance.log().sum(dim=1)
    half_log_det = half_log_det + triangle.diagonal(dim1=-2, dim2=-1).log().sum(dim=1)
    return (0.5 * square + half_log_det) / log_sed.shape[1]


def diagonal_loss(output, log_sed):
    """
    The plain loss ``sum (x - g)^2 / 2 sigma^2 + ln sigma``, a sample; no correlations.

    Parameters
    ----------
    output : `~sedflux.network.architecture.Output`
    log_sed : `torch.Tensor`, shape (N, samples)

    Returns
    -------
    loss : `torch.Tensor`, shape (N,)
    """
    variance = output.log_variance.exp() + VARIANCE_FLOOR + (output.factor**2).sum(dim=1)
    return (0.5 * (log_sed - output.mean) ** 2 / variance + 0.5 * variance.log()).mean(dim=1)


def _independent(residual, log_variance):
    return (0.5 * residual**2 * torch.exp(-log_variance) + 0.5 * log_variance).mean(dim=1)


def label_loss(output, labels):
    """Negative log-likelihood of the scaled labels, shape (N,)."""
    return _independent(labels - output.label_mean, output.label_log_variance)


def score_loss(output, scores):
    """Negative log-likelihood of the components of ln(SED), shape (N,)."""
    return _independent(scores - output.scores, output.score_log_variance)


def training_loss(output, log_sed, scores, labels, *, diagonal=False):
    """
    What is minimised: means by their components, the covariance by the full likelihood.

    The full likelihood alone trains means badly: once its factor has swallowed the
    errors of the leading components, they are as good as unconstrained and the many
    precise directions own the gradient.  (A run stopped at 20, 10, 2 and 4 % in the
    four bands at any S/N.)  Component by component each direction is learned at
    its own precision, and the likelihood of what is left, ``mean`` held, makes the
    covariance honest.

    Parameters
    ----------
    output : `~sedflux.network.architecture.Output`
    log_sed : `torch.Tensor`, shape (N, samples)
    scores : `torch.Tensor`, shape (N, sed_components)
        Projections of ``log_sed`` on the network's templates.
    labels : `torch.Tensor`, shape (N, labels)
    diagonal : bool, optional
        Use the plain diagonal loss for mean and sigma instead.

    Returns
    -------
    loss : `torch.Tensor`, shape (N,)
    """
    side = 0.2 * label_loss(output, labels)
    if diagonal:
        return diagonal_loss(output, log_sed) + side
    held = replace(output, mean=output.mean.detach())
    return gaussian_loss(held, log_sed) + score_loss(output, scores) + side
