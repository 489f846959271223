"""The part of the errors of predicted SEDs that all stars share, from stars that are left out."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table

from sedflux.libraries.labels import TEFF_RANGE
from sedflux.spectra.grids import OPTICAL_RANGE, sed_grid
from sedflux.training.band_errors import band_errors, dust_of
from sedflux.training.left_out import LeftOut
from sedflux.units import MAG_PER_LN

if TYPE_CHECKING:
    from sedflux.training.types import Passbands

__all__ = ["library_error_entry", "library_error_table"]

#: Edges of the intervals in Angstrom.
_EDGES = (2500.0, 2750.0, 3000.0, 3250.0, 3500.0, 3750.0, 4000.0, 4500.0, 5000.0, 6000.0, 7000.0,
          8000.0, 9000.0, 10500.0)
#: Fewest stars that tell the scatter, fewest of an interval, and least share of the interval that a
#: star's SED must cover.
_LEAST_STARS, _FEWEST, _LEAST_SHARE = 5, 2, 0.5
#: Size of the error before stars are seen, against wavelength (Angstrom): round numbers, a little
#: larger than what intervals with many stars show.  Few stars hardly change it.
_PRIOR = ([2500.0, 3500.0, 4000.0, 4500.0, 6800.0, 10500.0], [0.05, 0.04, 0.02, 0.01, 0.01, 0.02])
#: Standard error of a median over that of a mean, for normal errors.
_MEDIAN_ERROR = 1.2533


def library_error_table(left_out: LeftOut, passbands: Passbands | None = None) -> Table:
    """
    Errors of predicted SEDs that all stars share.

    Predictions are reddened by the E(B-V) of the catalogue, or of colours, as a survey would do; it
    is not fitted to the true SEDs.

    Parameters
    ----------
    left_out : `~sedflux.training.left_out.LeftOut`
        Stars with STIS SEDs, or with photometry, and a known E(B-V); others are not used.
    passbands : dict, optional
        Of the photometry, from `~sedflux.training.stars.read_passbands`; without them stars with
        photometry alone are not used.

    Returns
    -------
    table : `~astropy.table.Table`
        One row an interval: its middle, number of ``stars``, ``median`` of ln(predicted / true),
        its standard ``error`` from the scatter among stars, and ``library_error``: mean and
        standard deviation of the common error in quadrature, given the median and a prior of 5 %
        below 3000 Angstrom and 1-2 % above 4000.  The rms stands for the scatter of fewer than
        five stars.  Empty if there are fewer than five such stars in all.
    """
    teff = left_out.stars.labels[:, 0]
    left_out = left_out.take(np.isfinite(dust_of(left_out))
                             & (teff > TEFF_RANGE[0]) & (teff < TEFF_RANGE[1]))
    if len(left_out.predictions) < _LEAST_STARS:
        return Table()
    flux = np.stack([part.reddened(float(value)).flux for part, value in
                     zip(left_out.predictions, dust_of(left_out), strict=True)])
    left = np.log(flux) - left_out.stars.stis_sed
    more = _photometric_errors(left_out, passbands or {}, ~np.isfinite(left).any(axis=1))
    rows, grid = [], sed_grid()
    for low, high in pairwise(_EDGES):
        inside = left[:, (grid >= low) & (grid < high)]
        known = np.isfinite(inside)
        values = np.where(known, inside, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        values = values[known.mean(axis=1) > _LEAST_SHARE]
        bands = [error for place, error in more.items() if low <= place < high]
        if bands:
            # A star with two bands in one interval counts once.
            values = np.r_[values, np.mean(bands, axis=0)]
        if values.size < _FEWEST:
            continue
        median = float(np.median(values))
        # Too few stars do not tell their scatter about the median; their rms is no smaller.
        few = values.size < _LEAST_STARS
        scatter = np.sqrt(np.mean(values**2)) if few else mad_std(values)
        error = float(_MEDIAN_ERROR * scatter / np.sqrt(values.size))
        middle = 0.5 * (low + high)
        rows.append({"wavelength": middle, "stars": values.size, "median": median, "error": error,
                     "library_error": _common_error(middle, median, error)})
    return Table(rows)


def _common_error(wavelength, median, error):
    """Root of the mean square of the common error, given a median with its error and the prior."""
    prior = float(np.interp(wavelength, *_PRIOR))
    known = prior**2 / (prior**2 + error**2)
    return float(np.hypot(known * median, prior * np.sqrt(1.0 - known)))


def _photometric_errors(left_out, passbands, wanted):
    """Errors of ln(flux) of stars with photometry alone (m,), by the mean wavelength of a band."""
    if not passbands or not wanted.any():
        return {}
    names, error, _ = band_errors(left_out.take(wanted), passbands)
    error = -error / MAG_PER_LN
    place = np.array([np.average(passbands[name][0], weights=passbands[name][1].clip(min=0.0))
                      for name in names])
    optical = (place > OPTICAL_RANGE[0]) & (place < OPTICAL_RANGE[1])
    known = np.isfinite(error).all(axis=1)
    if not optical.any() or not known.any():
        return {}
    error = error[known] - error[known][:, optical].mean(axis=1, keepdims=True)
    return dict(zip(place.tolist(), error.T, strict=True))


def library_error_entry(left_out: LeftOut, passbands: Passbands | None = None) -> dict[str, Any]:
    """
    The error that all stars share, for the header of a model.

    Parameters
    ----------
    left_out, passbands
        See `library_error_table`.

    Returns
    -------
    entry : dict
        ``library_error`` with ``wavelength`` (Angstrom) and relative ``error``; empty if there are
        too few stars.
    """
    table = library_error_table(left_out, passbands)
    if not len(table):
        return {}
    return {"library_error": {
        "wavelength": np.asarray(table["wavelength"]).tolist(),
        "error": np.round(np.asarray(table["library_error"]), 4).tolist()}}
