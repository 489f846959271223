"""Errors of predicted magnitudes of stars left out, and what their covariance says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sedflux.spectra.grids import optical_mean, sed_grid
from sedflux.spectra.reddening import extinction_curve
from sedflux.training.sed_truths import EBV, REFERENCE_BAND, band_weights
from sedflux.units import MAG_PER_LN

if TYPE_CHECKING:
    from sedflux.training.left_out import LeftOut
    from sedflux.training.types import Passbands

__all__ = ["band_errors", "dust_of"]

#: Largest error of an E(B-V) from colours that counts as known, in mag.
_KNOWN_DUST = 0.02


def dust_of(left_out: LeftOut) -> np.ndarray:
    """
    Known E(B-V) of stars: that of the catalogue, or what good colours say.

    Parameters
    ----------
    left_out : `~sedflux.training.left_out.LeftOut`

    Returns
    -------
    ebv : `~numpy.ndarray`, shape (N,)
        In mag, zero or more; NaN where unknown.
    """
    stars = left_out.stars
    # Stars without colours hold the dust of another star.
    known = np.isfinite(stars.johnson).any(axis=1) & (stars.dust[:, 1] < _KNOWN_DUST)
    by_colors = np.where(known, stars.dust[:, 0], np.nan)
    return np.maximum(np.where(np.isfinite(stars.ebv), stars.ebv, by_colors), 0.0)


def band_errors(left_out: LeftOut, passbands: Passbands
                ) -> tuple[list[str], np.ndarray, np.ndarray]:
    """
    Errors of predicted magnitudes of stars with a known E(B-V).

    Parameters
    ----------
    left_out : `~sedflux.training.left_out.LeftOut`
    passbands : dict
        From `~sedflux.training.stars.read_passbands`, in the order of the magnitudes.

    Returns
    -------
    names : list of str, length b
    error : `~numpy.ndarray`, shape (N, b)
        Predicted minus measured magnitudes, of SEDs with the mean of 4000-7000 Angstrom; NaN where
        they are not measured or the E(B-V) is not known.
    covariance : `~numpy.ndarray`, shape (N, b, b)
        As the SEDs say it, with the error of E(B-V), in mag^2.
    """
    names = [name for name in passbands if name != REFERENCE_BAND] + [REFERENCE_BAND]
    measured = left_out.stars.magnitudes[:, [list(passbands).index(name) for name in names]]
    weights, curve = band_weights(passbands), extinction_curve(sed_grid())
    zero = (weights / sed_grid() ** 2).sum(axis=1)
    errors, covariances = [], []
    for prediction, magnitudes, ebv in zip(left_out.predictions, measured, dust_of(left_out),
                                           strict=True):
        flux = prediction.flux * np.exp(np.nan_to_num(ebv) * curve)
        light = weights * flux / (optical_mean(sed_grid()) @ flux)
        found = -MAG_PER_LN * np.log(light.sum(axis=1) / zero) - magnitudes
        share = MAG_PER_LN * light / light.sum(axis=1, keepdims=True)
        rows = np.vstack([prediction.factor, EBV["known"] * curve]) @ share.T
        errors.append(np.where(np.isfinite(ebv), found, np.nan))
        covariances.append((share * prediction.diagonal) @ share.T + rows.T @ rows)
    return names, np.array(errors), np.array(covariances)
