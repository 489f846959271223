"""
Predicted minus measured Johnson colours of stars.

Predictions are reddened by the catalogue's E(B-V), which comes from B-V and the star's spectrum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from sedflux.spectra.reddening import extinction_curve
from sedflux.training.johnson import COLORS, color_responses, zero_points

if TYPE_CHECKING:
    from sedflux.predict.prediction import SEDPrediction
    from sedflux.training.johnson import Johnson
    from sedflux.training.types import BandWeights

__all__ = ["NAMES", "johnson_residuals"]

#: Names of the colours, which are columns.
NAMES = tuple(f"{first}-{second}" for first, second in COLORS)
#: Error of this E(B-V) against known values.
_DUST_ERROR = 0.014
#: Temperature (K) above which stars define the zero points of B-V and R-I.
_ZERO_TEFF = 4500.0


def johnson_residuals(names: Sequence[str] | np.ndarray, labels: np.ndarray,
                      predictions: Sequence[SEDPrediction], johnson: Johnson, weights: BandWeights
                      ) -> Table:
    """
    Predicted minus measured colours of stars.

    Parameters
    ----------
    names : array_like of str, shape (N,)
    labels : `~numpy.ndarray`, shape (N, 3) or more
        Published TEFF (K), LOGG, MH.
    predictions : sequence of `~sedflux.SEDPrediction`
        One per star, without dust.
    johnson : `~sedflux.training.johnson.Johnson`
    weights : dict
        From `~sedflux.training.johnson.johnson_weights`.

    Returns
    -------
    table : `~astropy.table.Table`
        One row for each star that the catalogue has: ``star``, ``teff``, ``logg``, ``mh``,
        ``ebv``, ``use`` (single and constant), ``dust_free`` (near), ``flags``, and of each colour
        the difference, the same without dust, its predicted error, and that of catalogue and dust
        together (mag).
    """
    place = {name: row for row, name in enumerate(johnson.name)}
    stars = [star for star, name in enumerate(names) if name in place]
    rows = np.array([place[names[star]] for star in stars], dtype=int)
    parts = [predictions[star] for star in stars]
    ebv = np.clip(np.nan_to_num(johnson.estimate[rows]), 0.0, None)
    dust = extinction_curve(parts[0].wavelength)
    log_sed = np.log([part.flux for part in parts])
    synthetic, responses = color_responses(log_sed + ebv[:, None] * dust, weights)
    reddened = synthetic - color_responses(log_sed, weights)[0]
    sigma = np.array([[_color_error(part, response) for response in every]
                      for part, every in zip(parts, responses, strict=True)])
    measured, use = johnson.colors[rows], johnson.use[rows]
    teff, logg, mh = np.asarray(labels, float)[stars, :3].T
    residual = np.where((use & (teff > _ZERO_TEFF))[:, None], synthetic - measured, np.nan)
    difference = synthetic - measured - zero_points(measured, johnson.zero, residual)
    table = Table({"star": johnson.name[rows], "teff": teff, "logg": logg, "mh": mh, "ebv": ebv,
                   "dust_known": np.isfinite(johnson.estimate[rows]), "use": use,
                   "dust_free": johnson.dust_free[rows],
                   "flags": [int(part.flag_bits) for part in parts]})
    for index, name in enumerate(NAMES):
        table[name] = difference[:, index]
        table[f"{name} without dust"] = (difference - reddened)[:, index]
        table[f"sigma {name}"] = sigma[:, index]
        table[f"error {name}"] = np.hypot(johnson.errors[rows, index],
                                          _DUST_ERROR * (responses[:, index] @ dust))
    return table


def _color_error(prediction, response):
    """Predicted error of a colour (mag) from the full covariance."""
    covariance = prediction.relative_covariance
    along = covariance.factor @ response
    return float(np.sqrt(response**2 @ covariance.diagonal + along @ along))
