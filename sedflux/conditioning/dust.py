"""Prior of E(B-V), and the extinction curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_ndtr, logsumexp

from sedflux.conditioning.distance import ReddeningAtDistance
from sedflux.exceptions import InputError
from sedflux.predict.checks import MAX_REDDENING, check_reddening
from sedflux.spectra.reddening import LAW, R_V, extinction_curve
from sedflux.units import positive_number

__all__ = ["Dust", "dust_prior"]

#: Standard deviation (mag) of the Gaussian that replaces a flat prior in the search for E(B-V).
_FLAT_WIDTH = 10.0
#: Least error of E(B-V) in the search, relative to the largest difference from its mean.
_FARTHEST = 0.25
#: Half the difference in R_V for the derivative of the extinction curve.
_R_V_STEP = 0.05


@dataclass(frozen=True)
class Dust:
    """
    Prior of E(B-V) >= 0 for N stars, and the extinction curve.

    Attributes
    ----------
    mean, error : `~numpy.ndarray`, shape (N,)
        Of the Gaussian truncated at zero, in mag.  An error of zero fixes E(B-V).
    parts : tuple of two `~numpy.ndarray`, shape (N, k), or None
        Means and errors of truncated Gaussians whose mean is the prior, if it is no Gaussian;
        ``mean`` and ``error`` are then those of the Gaussian that is used in searches and tests.
    flat : bool
        Whether the prior is flat from 0 to 10 mag; then ``error`` is 10.
    curve : `~numpy.ndarray`, shape (n,)
        Change of ln(flux) with E(B-V).
    slope : `~numpy.ndarray`, shape (n,)
        Change of ``curve`` for one standard deviation of R_V; zero where R_V is fixed.
    """

    mean: np.ndarray
    error: np.ndarray
    flat: bool
    curve: np.ndarray
    slope: np.ndarray
    parts: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def fixed(self) -> bool:
        """Whether E(B-V) of all stars is known."""
        return not self.error.any()

    def log_prior(self, ebv: np.ndarray) -> np.ndarray:
        """ln of the prior at E(B-V) of shape (N, G), up to a constant."""
        if self.flat or self.fixed:
            return np.zeros_like(ebv)
        if self.parts is not None:
            mean, error = (part[:, None] for part in self.parts)
            away = (ebv[..., None] - mean) / error
            return logsumexp(-0.5 * away**2 - np.log(error) - log_ndtr(mean / error), axis=-1)
        return -0.5 * ((ebv - self.mean[:, None]) / self.error[:, None]) ** 2

    def take(self, rows: Any) -> Dust:
        """The prior of some of the stars."""
        parts = None if self.parts is None else (self.parts[0][rows], self.parts[1][rows])
        return Dust(self.mean[rows], self.error[rows], self.flat, self.curve, self.slope, parts)


def dust_prior(wavelength: np.ndarray, stars: int | None, *, reddening: Any = None, law: str = LAW,
               r_v: float = R_V, r_v_error: float = 0.0) -> Dust:
    """
    Prior of the dust.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum, in Angstrom.
    stars : int or None
        Number of stars N; None for a single one.
    reddening : float, tuple, `~sedflux.ReddeningAtDistance` or None
        E(B-V), or E(B-V) and its error, of all stars or of each; None for a flat prior.
    law, r_v : optional
        See `sedflux.spectra.reddening.extinction_curve`.
    r_v_error : float, optional
        Standard deviation of ``r_v``.

    Returns
    -------
    dust : `Dust`
    """
    curve = extinction_curve(wavelength, law=law, r_v=r_v)
    spread = positive_number(r_v_error, "r_v_error", zero=True)
    slope = np.zeros_like(curve)
    if spread:
        high, low = (extinction_curve(wavelength, law=law, r_v=r_v + step)
                     for step in (_R_V_STEP, -_R_V_STEP))
        slope = spread * (high - low) / (2.0 * _R_V_STEP)
    if reddening is None:
        return Dust(np.zeros(stars or 1), np.full(stars or 1, _FLAT_WIDTH), True, curve, slope)
    if isinstance(reddening, ReddeningAtDistance):
        return _at_distance(reddening, stars, curve, slope)
    mean, error = (np.array(np.broadcast_to(value, (stars or 1,)), dtype=float)
                   for value in check_reddening(reddening, stars))
    if error.any() and not error.all():
        raise InputError("reddening has an error of zero for some stars and not for others; "
                         "condition them in two calls, or give small errors")
    return Dust(mean, error, False, curve, slope)


def _at_distance(prior: ReddeningAtDistance, stars: int | None, curve: np.ndarray,
                 slope: np.ndarray) -> Dust:
    """Prior of stars whose distances are known."""
    shape = (stars or 1, prior.means.shape[1])
    if len(prior) != shape[0] and not prior.single:
        raise InputError(f"reddening is of {len(prior)} stars; there "
                         f"{'is 1' if shape[0] == 1 else f'are {shape[0]}'}")
    largest = prior.means.max()
    if largest > MAX_REDDENING:
        raise InputError(f"reddening reaches {largest:g} mag; E(B-V) up to {MAX_REDDENING:g} mag "
                         "is allowed: is the unit right?")
    # Few distances may have E(B-V) far from the mean: all are searched.
    farthest = np.abs(prior.means - prior.mean[:, None]).max(axis=1)
    error = np.maximum(prior.error, _FARTHEST * farthest)
    mean, error = (np.broadcast_to(part, shape[:1]) for part in (prior.mean, error))
    means, errors = (np.broadcast_to(part, shape) for part in (prior.means, prior.errors))
    return Dust(mean, error, False, curve, slope, (means, errors))
