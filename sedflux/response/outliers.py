"""Which stars are left out of a fit, and why; noise that follows the counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2 as chi2_distribution

if TYPE_CHECKING:
    from sedflux.response.solve import StarStatistics

__all__ = ["CONTAMINATED", "EXCLUDED", "INCONSISTENT", "UNUSABLE", "Rejection", "find_rejections",
           "noise_models"]

#: Kinds of rejections: the spectrum cannot be used, the user left the star out, many of its
#: pixels deviate in this band, or the star is not what its SED says, in any band.
UNUSABLE, EXCLUDED = "unusable", "excluded"
CONTAMINATED, INCONSISTENT = "contaminated", "inconsistent"
#: Fewer stars than these cannot tell which of them is the outlier.
_FEWEST = 3
#: Pixels that deviate by more than this many sigma are spoiled.
_FAR = 5.0
#: A star is rejected if its SED's errors would be as unlikely as this, ...
_IMPROBABLE = 1e-5
#: ... or one of them were larger than this many sigma, ...
_LARGEST = 5.0
#: ... or this share of its nodes deviated by more than five sigma.
_SPOILED = 0.2


@dataclass(frozen=True)
class Rejection:
    """
    Why a star is left out.

    Attributes
    ----------
    kind : {'unusable', 'excluded', 'contaminated', 'inconsistent'}
    reason : str
        For people.
    """

    kind: str
    reason: str


def find_rejections(found: StarStatistics, size: np.ndarray, star: np.ndarray) \
        -> dict[int, Rejection]:
    """
    Stars that are left out, by number.

    Parameters
    ----------
    found : `~sedflux.response.solve.StarStatistics`
        Deviations of each star that the errors of its SED would have to explain.
    size : `~numpy.ndarray`, shape (p,)
        Deviations of the pixels in sigma.
    star : `~numpy.ndarray` of int, shape (p,)
        Star of each pixel.

    Returns
    -------
    rejections : dict of int to `Rejection`
        None if there are fewer than three stars.
    """
    number = len(found.largest)
    if number < _FEWEST:
        return {}
    count = np.maximum(np.bincount(star, minlength=number), 1)
    spoiled = np.bincount(star, size > _FAR, number) / count
    chance = chi2_distribution.sf(found.mode_chi2, np.maximum(found.mode_number, 1))
    rejections = {}
    for row in range(number):
        if spoiled[row] > _SPOILED:
            rejections[row] = Rejection(CONTAMINATED, (
                f"{100 * spoiled[row]:.0f} % of its pixels deviate by more than {_FAR:.0f} "
                "sigma: contaminated, or of another spectral type"))
        elif found.largest[row] > _LARGEST or chance[row] < _IMPROBABLE:
            rejections[row] = Rejection(INCONSISTENT, (
                f"off by {found.largest[row]:.1f} sigma of its SED (chi2 "
                f"{found.mode_chi2[row]:.0f} for {found.mode_number[row]}): variable, "
                "blended, or a wrong SED, dust or magnitude"))
    return rejections


def noise_models(stars):
    """
    ``variance = a + b rate`` of each star, NaN where its errors are not so.

    A straight line through variances and rates: photon noise and background.
    """
    size, star = len(stars), stars.star
    count = np.bincount(star, minlength=size)
    level = np.maximum(np.bincount(star, np.abs(stars.rate), size) / count, 1e-300)
    x, y = stars.rate / level[star], stars.variance / level[star] ** 2
    mean_x, mean_y = (np.bincount(star, value, size) / count for value in (x, y))
    dx, dy = x - mean_x[star], y - mean_y[star]
    square = np.bincount(star, dx * dx, size)
    slope = np.divide(np.bincount(star, dx * dy, size), square, out=np.zeros(size),
                      where=square > 0)
    start = mean_y - slope * mean_x
    left = np.bincount(star, (dy - slope[star] * dx) ** 2, size) / count
    fits = (np.sqrt(left) < 0.05 * mean_y) & (slope >= 0) & (start >= -1e-3 * mean_y) & (count > 8)
    a = np.where(fits, np.maximum(start, 1e-3 * mean_y) * level**2, np.nan)
    return a, np.where(fits, slope * level, np.nan)
