"""The part of the errors of predicted SEDs that all stars share, from stars that are left out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table

from sedflux.spectra.grids import sed_grid
from sedflux.training.left_out import LeftOut
from sedflux.validation.cells import TEFF_RANGE

__all__ = ["library_error_table"]

#: Edges of the intervals in Angstrom.
_EDGES = (2500.0, 2750.0, 3000.0, 3250.0, 3500.0, 3750.0, 4000.0, 4500.0, 5000.0, 6000.0, 7000.0,
          8000.0, 9000.0, 10500.0)
#: Fewest stars of an interval, and least share of it that a star's SED must cover.
_LEAST_STARS, _LEAST_SHARE = 5, 0.5
#: Standard error of a median over that of a mean, for normal errors.
_MEDIAN_ERROR = 1.2533


def library_error_table(left_out: LeftOut) -> Table:
    """
    Errors of predicted SEDs that all stars share.

    Predictions are reddened by the E(B-V) of the catalogue, as a survey would do; it is not fitted
    to the true SEDs.

    Parameters
    ----------
    left_out : `~sedflux.training.left_out.LeftOut`
        Stars with STIS SEDs and catalogued E(B-V); others are not used.

    Returns
    -------
    table : `~astropy.table.Table`
        One row an interval: its middle, number of ``stars``, ``median`` of ln(predicted / true),
        its standard ``error`` from the scatter among stars, and ``library_error``, both in
        quadrature.  Empty if there are fewer than five such stars.
    """
    stars, teff = left_out.stars, left_out.stars.labels[:, 0]
    left_out = left_out.take(np.isfinite(stars.ebv) & np.isfinite(stars.stis_sed).any(axis=1)
                             & (teff > TEFF_RANGE[0]) & (teff < TEFF_RANGE[1]))
    rows, grid = [], sed_grid()
    if len(left_out.predictions) < _LEAST_STARS:
        return Table()
    flux = np.stack([part.reddened(max(float(value), 0.0)).flux for part, value in
                     zip(left_out.predictions, left_out.stars.ebv, strict=True)])
    left = np.log(flux) - left_out.stars.stis_sed
    for low, high in pairwise(_EDGES):
        inside = left[:, (grid >= low) & (grid < high)]
        known = np.isfinite(inside)
        values = np.where(known, inside, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        values = values[known.mean(axis=1) > _LEAST_SHARE]
        if values.size < _LEAST_STARS:
            continue
        median = float(np.median(values))
        error = float(_MEDIAN_ERROR * mad_std(values) / np.sqrt(values.size))
        rows.append({"wavelength": 0.5 * (low + high), "stars": values.size, "median": median,
                     "error": error, "library_error": float(np.hypot(median, error))})
    return Table(rows)
