"""Robust weights of pixels and stars, and rejections of stars."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import chi2 as chi2_distribution

from sedflux.exceptions import InputError, SedfluxWarning
from sedflux.response.solve import StarStatistics
from sedflux.response.tails import tail_weights

__all__ = ["CONTAMINATED", "EXCLUDED", "INCONSISTENT", "UNUSABLE", "Rejection", "RobustWeights",
           "check_agreement", "find_rejections", "robust_weights"]

#: Kinds of rejections.  Unusable: no response can be fitted to the spectrum.  Excluded: by the
#: user.  Contaminated: many pixels deviate in this band.  Inconsistent: the star deviates from
#: its SED by more than the errors of the SED, and is rejected in all bands.
UNUSABLE, EXCLUDED = "unusable", "excluded"
CONTAMINATED, INCONSISTENT = "contaminated", "inconsistent"
#: Residuals beyond this many sigma get lower weights (Huber 1964) ...
_HUBER_SIGMA = 3.0
#: ... and residuals beyond this multiple of that limit get none.
_ZERO_WEIGHT = 2.5
#: Median of the modulus of a standard normal variable.
_NORMAL_MEDIAN = 0.6745
#: SED errors are increased for stars with a chi-square beyond this quantile.
_INFLATION_QUANTILE = 0.99
#: Fewest stars among which an outlier can be identified.
_MIN_STARS = 3
#: Pixels that deviate by more than this many sigma count as contaminated.
_CONTAMINATED_SIGMA = 5.0
#: Largest share of contaminated pixels of a star that is used.
_MAX_CONTAMINATED = 0.2
#: Smallest probability of the chi-square of a star that is used ...
_MIN_PROBABILITY = 1e-5
#: ... and its largest deviation along one direction of the SED's errors, in sigma.
_MAX_DEVIATION = 5.0
#: Typical deviations of stars, in units of their errors, that give a warning and an error.
_WARN_TYPICAL, _MAX_TYPICAL = 2.0, 8.0


@dataclass(frozen=True)
class Rejection:
    """
    Kind and reason of the rejection of a star.

    Attributes
    ----------
    kind : {'unusable', 'excluded', 'contaminated', 'inconsistent'}
    reason : str
        A sentence for the user.
    """

    kind: str
    reason: str


@dataclass(frozen=True)
class RobustWeights:
    """
    Weights of pixels and stars.

    Attributes
    ----------
    pixel : `~numpy.ndarray`, shape (p,)
        Factor on the inverse variance of each pixel, 0 to 1.
    inflation : `~numpy.ndarray`, shape (N,)
        Factor on the variance of each star's SED errors; infinite for rejected stars.
    spread : `~numpy.ndarray`, shape (N,)
        The same factor where the error of the response is counted; not below ``inflation``, see
        `sedflux.response.tails`.
    rejections : dict of int to `Rejection`
        Rejected stars by number.
    noise_scale, sed_scale : float
        Typical deviations of pixels and of stars, in units of their errors; at least one.
    """

    pixel: np.ndarray
    inflation: np.ndarray
    spread: np.ndarray
    rejections: Mapping[int, Rejection] = field(default_factory=dict)
    noise_scale: float = 1.0
    sed_scale: float = 1.0

    @classmethod
    def ones(cls, pixels: int, stars: int) -> RobustWeights:
        """Full weight for numbers of pixels and of stars."""
        return cls(np.ones(pixels), np.ones(stars), np.ones(stars))


def robust_weights(found: StarStatistics, pull: np.ndarray, star: np.ndarray) -> RobustWeights:
    """
    Weights of pixels and stars from the residuals.

    Parameters
    ----------
    found : `~sedflux.response.solve.StarStatistics`
        Deviations of each star from its SED.
    pull : `~numpy.ndarray`, shape (p,)
        Deviations of the pixels, after the SED errors are subtracted, in sigma.
    star : `~numpy.ndarray` of int, shape (p,)
        Star of each pixel.

    Returns
    -------
    weights : `RobustWeights`
    """
    size = np.abs(pull)
    size[~np.isfinite(size)] = 0.0
    # All stars deviate while the response is wrong, or if the noise is underestimated.  Outliers
    # deviate more than the typical star, so that deviations are compared with the median.
    noise_scale = max(1.0, float(np.median(size)) / _NORMAL_MEDIAN)
    size /= noise_scale
    ratio = found.sed_chi2 / np.maximum(found.sed_number, 1)
    chi2_scale = max(1.0, float(np.median(ratio)))
    found = replace(found, sed_chi2=found.sed_chi2 / chi2_scale,
                    largest=found.largest / np.sqrt(chi2_scale))
    pixel = np.maximum(size, _HUBER_SIGMA)
    np.divide(_HUBER_SIGMA, pixel, out=pixel)
    pixel[size > _ZERO_WEIGHT * _HUBER_SIGMA] = 0.0
    limit = chi2_distribution.ppf(_INFLATION_QUANTILE, np.maximum(found.sed_number, 1))
    rejections = find_rejections(found, size, star)
    used = np.ones(len(found.largest), dtype=bool)
    used[list(rejections)] = False
    single = np.minimum(np.maximum(limit, 1e-9) / np.maximum(found.sed_chi2, 1e-9), 1.0)
    tails = tail_weights(found.signal, found.square / chi2_scale, used, single=single)
    inflation, spread = 1.0 / tails.weight, 1.0 / tails.information
    inflation[list(rejections)] = spread[list(rejections)] = np.inf
    return RobustWeights(pixel, inflation, spread, rejections, noise_scale,
                         float(np.sqrt(chi2_scale)))


def find_rejections(found: StarStatistics, size: np.ndarray, star: np.ndarray) \
        -> dict[int, Rejection]:
    """
    Find the stars to reject, by number.

    Parameters
    ----------
    found : `~sedflux.response.solve.StarStatistics`
        Deviations of each star from its SED.
    size : `~numpy.ndarray`, shape (p,)
        Absolute deviations of the pixels in sigma.
    star : `~numpy.ndarray` of int, shape (p,)
        Star of each pixel.

    Returns
    -------
    rejections : dict of int to `Rejection`
        Empty if there are fewer than three stars.
    """
    number = len(found.largest)
    if number < _MIN_STARS:
        return {}
    count = np.maximum(np.bincount(star, minlength=number), 1)
    contaminated = np.bincount(star, size > _CONTAMINATED_SIGMA, number) / count
    probability = chi2_distribution.sf(found.sed_chi2, np.maximum(found.sed_number, 1))
    inconsistent = (found.largest > _MAX_DEVIATION) | (probability < _MIN_PROBABILITY)
    rejections = {}
    for row in np.flatnonzero(inconsistent | (contaminated > _MAX_CONTAMINATED)).tolist():
        if contaminated[row] > _MAX_CONTAMINATED:
            rejections[row] = Rejection(CONTAMINATED, (
                f"{100 * contaminated[row]:.0f} % of its pixels deviate by more than "
                f"{_CONTAMINATED_SIGMA:.0f} sigma: contaminated, or of another spectral type"))
        else:
            rejections[row] = Rejection(INCONSISTENT, (
                f"off by {found.largest[row]:.1f} sigma of its SED (chi2 "
                f"{found.sed_chi2[row]:.0f} for {found.sed_number[row]}): variable, "
                "blended, or a wrong SED, dust or magnitude"))
    return rejections


def check_agreement(robust: RobustWeights) -> None:
    """
    Refuse stars with SEDs of other stars; warn if errors are too small.

    Parameters
    ----------
    robust : `RobustWeights`

    Raises
    ------
    sedflux.exceptions.InputError
        If all stars were rejected, or deviate by far more than their errors.
    """
    number, largest = robust.inflation.size, max(robust.noise_scale, robust.sed_scale)
    none = not np.isfinite(robust.inflation).any()
    if none or (number >= _MIN_STARS and largest > _MAX_TYPICAL):
        reason = next((one.reason for one in robust.rejections.values()), "")
        raise InputError(
            f"all {number} stars were rejected: they deviate from any common response by "
            f"{robust.noise_scale:.0f} times the noise and {robust.sed_scale:.0f} times the "
            f"errors of their SEDs{'; ' * bool(reason)}{reason}.  Check fluxes, units, area "
            "and line-spread function, or use robust=False to see the fit")
    if number >= _MIN_STARS and largest > _WARN_TYPICAL:
        warnings.warn(
            f"stars deviate from their common response by {robust.noise_scale:.1f} times the "
            f"noise of the counts and {robust.sed_scale:.1f} times the errors of their SEDs: "
            "one of these errors is too small, and with it the error of the response",
            SedfluxWarning, stacklevel=6)
