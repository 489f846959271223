"""What is known of the dust before the magnitudes are seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sedflux.exceptions import InputError
from sedflux.predict.checks import check_reddening
from sedflux.spectra.reddening import LAW, R_V, extinction_curve
from sedflux.units import positive_number

__all__ = ["MOST_REDDENING", "Dust", "dust_prior"]

#: Largest E(B-V) that is considered (mag).
MOST_REDDENING = 10.0
#: Width of the Gaussian that stands for "nothing is known" while E(B-V) is searched (mag).
_WIDE = 10.0
#: Half the step in R_V over which the extinction curve is differenced.
_STEP = 0.05


@dataclass(frozen=True)
class Dust:
    """
    Prior of E(B-V) >= 0 of N stars, and the extinction curve.

    Attributes
    ----------
    mean, error : `~numpy.ndarray`, shape (N,)
        Of the Gaussian that is cut at zero, in mag.  An error of zero fixes E(B-V).
    flat : bool
        Whether every E(B-V) from 0 to 10 mag is as likely; then ``error`` is 10.
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

    @property
    def fixed(self) -> bool:
        """Whether E(B-V) of all stars is known."""
        return not self.error.any()

    def take(self, rows: Any) -> Dust:
        """Of some of the stars."""
        return Dust(self.mean[rows], self.error[rows], self.flat, self.curve, self.slope)


def dust_prior(wavelength: np.ndarray, stars: int, *, reddening: Any = None, law: str = LAW,
               r_v: float = R_V, r_v_error: float = 0.0) -> Dust:
    """
    Prior of the dust.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum, in Angstrom.
    stars : int
        Number of stars N.
    reddening : float, tuple or None
        E(B-V), or E(B-V) and its error, of all stars or of each; None if nothing is known.
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
        near = [extinction_curve(wavelength, law=law, r_v=r_v + step) for step in (_STEP, -_STEP)]
        slope = spread * (near[0] - near[1]) / (2.0 * _STEP)
    if reddening is None:
        return Dust(np.zeros(stars), np.full(stars, _WIDE), True, curve, slope)
    mean, error = (np.array(np.broadcast_to(value, (stars,)), dtype=float)
                   for value in check_reddening(reddening, None if stars == 1 else stars))
    if error.any() and not error.all():
        raise InputError("reddening has an error of zero for some stars and not for others; "
                         "condition them apart, or give small errors")
    return Dust(mean, error, False, curve, slope)
