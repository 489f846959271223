"""Error, bias, pull and coverage, as all tables of accuracy define them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.stats import mad_std

__all__ = ["Score", "band_totals", "score"]


@dataclass(frozen=True)
class Score:
    """
    Errors of the predictions in one cell.

    Attributes
    ----------
    error : float
        Rms over stars and wavelengths of predicted / true - 1.
    bias : float
        Median of predicted / true - 1.
    scatter : float
        Its standard deviation, from the median absolute deviation.
    pull : float
        Standard deviation of (predicted - true) / sigma.
    coverage68, coverage95 : float
        Fractions of the truths within 1 and 2 sigma.
    band_error : float
        Rms error of the band's mean flux.
    band_pull : float
        Rms of its pulls, with the full covariance.
    stars : int
        Number of stars with a known truth in the band.
    """

    error: float
    bias: float
    scatter: float
    pull: float
    coverage68: float
    coverage95: float
    band_error: float
    band_pull: float
    stars: int


def band_totals(flux: np.ndarray, diagonal: np.ndarray, factor: np.ndarray, inside: np.ndarray
                ) -> tuple[np.ndarray, np.ndarray]:
    """
    Sums of SEDs over some samples, and their relative errors with the full covariance.

    Parameters
    ----------
    flux, diagonal : `~numpy.ndarray`, shape (N, n)
        Flux, and the diagonal of the covariance of ln(flux).
    factor : `~numpy.ndarray`, shape (N, r, n)
        Low-rank factor of the covariance of ln(flux).
    inside : `~numpy.ndarray` of bool, shape (n,) or (N, n)
        Samples to add.

    Returns
    -------
    total, error : `~numpy.ndarray`, shape (N,)
    """
    weight = np.where(inside, flux, 0.0)
    total = np.maximum(weight.sum(axis=1), 1e-300)
    share = weight / total[:, None]
    along = np.einsum("nri,ni->nr", factor, share)
    return total, np.sqrt((along**2).sum(axis=1) + (share**2 * diagonal).sum(axis=1))


def score(flux: np.ndarray, diagonal: np.ndarray, factor: np.ndarray, truth: np.ndarray,
          inside: np.ndarray) -> Score:
    """
    Score predictions in one band.

    Parameters
    ----------
    flux, truth : `~numpy.ndarray`, shape (N, n)
        Predicted and true flux; the truth is NaN where it is unknown.
    diagonal : `~numpy.ndarray`, shape (N, n)
        Diagonal of the covariance of ln(flux).
    factor : `~numpy.ndarray`, shape (N, r, n)
        Low-rank factor of the covariance of ln(flux).
    inside : `~numpy.ndarray` of bool, shape (n,)
        Samples in the band.

    Returns
    -------
    score : `Score`
    """
    flux, truth = flux[:, inside], truth[:, inside]
    diagonal, factor = diagonal[:, inside], factor[:, :, inside]
    relative = flux / truth - 1.0
    good = np.isfinite(relative)
    sigma = np.sqrt(diagonal + (factor**2).sum(axis=1))
    pulls = ((flux - truth) / (flux * sigma))[good]
    values = relative[good]
    total, mean_sigma = band_totals(flux, diagonal, factor, good)
    true_total = np.maximum(np.where(good, truth, 0.0).sum(axis=1), 1e-300)
    mean_error = total / true_total - 1.0
    some = good.any(axis=1)
    return Score(
        error=float(np.sqrt(np.mean(values**2))),
        bias=float(np.median(values)),
        scatter=float(mad_std(values)),
        pull=float(np.sqrt(np.mean((pulls - pulls.mean()) ** 2))),
        coverage68=float(np.mean(np.abs(pulls) < 1.0)),
        coverage95=float(np.mean(np.abs(pulls) < 2.0)),
        band_error=float(np.sqrt(np.mean(mean_error[some] ** 2))),
        band_pull=float(np.sqrt(np.mean((mean_error[some] / mean_sigma[some]) ** 2))),
        stars=int(some.sum()),
    )
