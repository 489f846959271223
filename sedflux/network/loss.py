"""Losses: Gaussian negative log-likelihoods of ln(SED), full or diagonal."""

import torch

from sedflux.network.architecture import VARIANCE_FLOOR

__all__ = ["diagonal_loss", "gaussian_loss", "label_loss"]


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


def label_loss(output, labels):
    """Negative log-likelihood of the scaled labels, shape (N,)."""
    residual = labels - output.label_mean
    variance = output.label_log_variance.exp()
    return (0.5 * residual**2 / variance + 0.5 * output.label_log_variance).mean(dim=1)
