"""Output of the network, and the summary of a spectrum that its trunk needs."""

from dataclasses import dataclass

import torch

__all__ = ["Output", "Summary"]


@dataclass(frozen=True)
class Output:
    """
    Output of the network for N spectra, as tensors.

    Attributes
    ----------
    mean : (N, samples)
        ln(SED).
    log_variance : (N, samples)
        Logarithm of the diagonal part of the covariance of ln(SED).
    score_factor : (N, sed_components + rank, sed_components)
        Rows of the common part of the covariance, in the space of the components:
        ``score_factor^T score_factor`` is the covariance of ``scores``.
    scores, score_log_variance : (N, sed_components)
        Components of ln(SED), in units of their spread in the training, from which the
        mean is made; and the logarithm of their variance.
    label_mean, label_log_variance : (N, labels)
        Scaled labels and the logarithm of their variance.
    misfit : (N,)
        Reduced chi-square of the projection's residuals.
    unusual : (N,)
        Mean square of the projection's coefficients in units of their spread in the
        training: about one for ordinary stars.
    excess : (N,)
        Rms of the residuals beyond the noise, relative to the continuum.
    strange : (N,)
        Distance from the nearest ordinary star, see `strangeness`.
    evidence : (N,)
        Logarithm of the likelihood of the spectrum, given that the templates explain it with
        coefficients that are normal, up to what all templates have in common.
    residual : (N, pixels)
        Of the projection, relative to the continuum.
    """

    mean: torch.Tensor
    log_variance: torch.Tensor
    score_factor: torch.Tensor
    scores: torch.Tensor
    score_log_variance: torch.Tensor
    label_mean: torch.Tensor
    label_log_variance: torch.Tensor
    misfit: torch.Tensor
    unusual: torch.Tensor
    excess: torch.Tensor
    strange: torch.Tensor
    evidence: torch.Tensor
    residual: torch.Tensor

    def take(self, rows):
        """The output for some rows."""
        return Output(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Summary:
    """
    What the trunk needs of N spectra, mainly from the projection, as tensors.

    Attributes
    ----------
    coefficients, errors : (N, components)
        Of the projection, in units of the templates' spread.
    condition : (N, 3)
        Level of the noise, resolving power and share of good pixels, of order one.
    damped : (N, 2, pixels) or (N, 0)
        The damped spectrum and its damping, if there are convolutions.
    """

    coefficients: torch.Tensor
    errors: torch.Tensor
    condition: torch.Tensor
    damped: torch.Tensor

    def take(self, rows):
        """The summaries of some rows."""
        return Summary(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))
