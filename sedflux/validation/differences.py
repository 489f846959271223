"""
Whether the covariance of predicted SEDs is right: pulls of differences between bands.

The error of a difference depends on the correlations.  Each star with photometry and a known E(B-V)
is predicted by a model that was not trained on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table

from sedflux.training.band_errors import band_errors, dust_of
from sedflux.training.left_out import LeftOut

__all__ = ["difference_table"]

#: Error of a measured colour in mag: the photometry comes from one spectrum of each star.
_COLOR_ERROR = 0.01
#: Fewest stars with both bands.
_LEAST_STARS = 5


def difference_table(left_out: LeftOut,
                     passbands: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Table:
    """
    Predicted minus measured differences of magnitudes, for every pair of bands.

    Parameters
    ----------
    left_out : `~sedflux.training.left_out.LeftOut`
        Stars without photometry or a known E(B-V) are not used.
    passbands : dict
        From `sedflux.training.stars.read_passbands`, in the order of the magnitudes.

    Returns
    -------
    table : `~astropy.table.Table`
        One row a pair with five stars or more: ``bands``, number of ``stars``, ``median`` and
        ``scatter`` in mag, median predicted ``sigma``, ``pull`` (rms) and ``core``, the scatter of
        the pulls without their tails (1.4826 MAD).  Empty if there are none.
    """
    left_out = left_out.take(np.isfinite(dust_of(left_out))
                             & np.isfinite(left_out.stars.magnitudes).any(axis=1))
    if not left_out.predictions:
        return Table()
    names, error, covariance = band_errors(left_out, passbands)
    place = {name: row for row, name in enumerate(names)}
    rows = []
    for blue, red in combinations(passbands, 2):
        one, other = place[blue], place[red]
        difference = error[:, one] - error[:, other]
        variance = (covariance[:, one, one] + covariance[:, other, other]
                    - 2.0 * covariance[:, one, other])
        known = np.isfinite(difference)
        if known.sum() < _LEAST_STARS:
            continue
        sigma = np.sqrt(variance[known])
        pull = difference[known] / np.hypot(sigma, _COLOR_ERROR)
        rows.append({"bands": f"{blue} - {red}", "stars": int(known.sum()),
                     "median": float(np.median(difference[known])),
                     "scatter": float(mad_std(difference[known])),
                     "sigma": float(np.median(sigma)),
                     "pull": float(np.sqrt(np.mean(pull**2))), "core": float(mad_std(pull))})
    return Table(rows)
