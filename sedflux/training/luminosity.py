"""
The discriminant of luminous stars, from MILES stars with published gravities.

The flag of a low gravity alone misses one supergiant in four.  Here the discriminant of
`sedflux.predict.luminosity` is fitted by ridge regression to stars above and below the edge of the
library, as observed and with noise.  Scores of stars that a fit left out give its threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sedflux.io.miles import MILES_FWHM
from sedflux.predict.flags import flag
from sedflux.predict.luminosity import balmer_shape, discriminant_terms
from sedflux.spectra.arrays import check_spectra
from sedflux.training.left_out import ivar_with_noise
from sedflux.training.stars import FOLDS, beyond_gravity_edge, fold_of, inner_fold, miles_inputs

if TYPE_CHECKING:
    from sedflux.libraries.library import SpectralLibrary
    from sedflux.predict.predictor import Predictor

__all__ = ["fit_discriminant", "luminosity_entry"]

#: Range of temperatures (K), and least [M/H], of the stars.
_TEFF_RANGE, _LEAST_METALS = (4300.0, 11500.0), -2.2
#: S/N per pixel of the copies of each spectrum; None is as observed.
_SNRS = (None, 50.0, 20.0)
#: Weight of all luminous stars relative to the others, and strength of the ridge, in stars.
_LUMINOUS_WEIGHT, _RIDGE = 0.2, 30.0
#: Share of stars above the edge that the discriminant may flag by itself; fewest luminous stars.
_FALSE_ALARMS, _LEAST_STARS = 0.01, 8


def fit_discriminant(terms: np.ndarray, luminous: np.ndarray) -> tuple[np.ndarray, float]:
    """
    Weights and constant whose sum with the terms is negative for luminous stars.

    Parameters
    ----------
    terms : `~numpy.ndarray`, shape (c, N, k)
        Of c copies of N stars.
    luminous : `~numpy.ndarray` of bool, shape (N,)

    Returns
    -------
    weights : `~numpy.ndarray`, shape (k,)
    constant : float
    """
    copies, _, size = terms.shape
    flat = terms.reshape(-1, size)
    mean, spread = flat.mean(axis=0), flat.std(axis=0) + 1e-9
    design = np.hstack([np.ones((len(flat), 1)), (flat - mean) / spread])
    sign = np.tile(np.where(luminous, -1.0, 1.0), copies)
    share = _LUMINOUS_WEIGHT * (~luminous).sum() / max(luminous.sum(), 1)
    weighted = design * (np.where(sign < 0, share, 1.0) / copies)[:, None]
    ridge = _RIDGE * np.diag(np.r_[0.0, np.ones(size)])
    found = np.linalg.solve(weighted.T @ design + ridge, weighted.T @ sign)
    weights = found[1:] / spread
    return weights, float(found[0] - mean @ weights)


def _measured(predictor, miles, rows):
    """Terms of all copies of the stars, (c, N, 20), and which of them have a flag as observed."""
    edge = predictor.metadata["domain"]["gravity"]
    wavelength, flux, ivar = miles_inputs(miles, rows)
    terms, flagged = [], np.zeros(len(rows), dtype=bool)
    for snr in _SNRS:
        noisy, error = flux, ivar
        if snr is not None:
            noise = np.random.default_rng([17, int(snr)]).standard_normal(flux.shape)
            noisy, error = flux * (1.0 + noise / snr), ivar_with_noise(flux, ivar, snr)
        found, fit = predictor.evaluate(
            check_spectra(wavelength, noisy, error), wavelength / MILES_FWHM, 0.0,
            screen=lambda normalised, ivar, evidence: balmer_shape(normalised, ivar))
        teff, logg = found.diagnostics["teff"], found.diagnostics["logg"]
        terms.append(discriminant_terms(fit["screen"], teff, logg - np.interp(teff, *edge)))
        if snr is None:
            flagged = (np.asarray(found.flag_bits) & flag("supergiant").mask) != 0
    return np.stack(terms), flagged


def luminosity_entry(predictor: Predictor, miles: SpectralLibrary, *, leave_out: int | None = None
                     ) -> dict[str, Any]:
    """
    The entry ``luminous`` of a model's domain.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`
        Without such an entry.
    miles : `~sedflux.libraries.SpectralLibrary`
    leave_out : int, optional
        Fold of stars that are not used.

    Returns
    -------
    entry : dict
        ``weights``, ``constant`` and ``teff``, see `sedflux.predict.luminosity.is_luminous`; and
        with scores of stars that fits left out, ``found`` and ``false_alarms``: numbers of stars
        below and above the edge that have the flag now, that had it before, and of all.  Empty
        with fewer than eight stars below the edge.
    """
    teff, logg, mh = np.array([np.ma.filled(np.ma.asarray(miles.table[name], float), np.nan)
                               for name in ("TEFF", "LOGG", "FEH")])
    names = [str(name).strip() for name in miles.table["NAME"]]
    rows = np.flatnonzero((teff > _TEFF_RANGE[0]) & (teff < _TEFF_RANGE[1]) & np.isfinite(logg)
                          & (mh > _LEAST_METALS)
                          & np.array([fold_of(name) != leave_out for name in names]))
    luminous = beyond_gravity_edge(teff[rows], logg[rows])
    if luminous.sum() < _LEAST_STARS:
        return {}
    terms, flagged = _measured(predictor, miles, rows)
    inner = np.array([inner_fold(names[row]) for row in rows])
    score = np.empty(len(rows))
    for fold in range(FOLDS):
        weights, constant = fit_discriminant(terms[:, inner != fold], luminous[inner != fold])
        score[inner == fold] = terms[0, inner == fold] @ weights + constant
    allowed = int(_FALSE_ALARMS * (~luminous).sum())
    limit = np.sort(score[~luminous & ~flagged])[allowed]
    weights, constant = fit_discriminant(terms, luminous)
    now = flagged | (score < limit)
    counts = [[int((kind & part).sum()) for part in (now, flagged, np.ones_like(now))]
              for kind in (luminous, ~luminous)]
    return {"weights": np.round(weights, 6).tolist(), "constant": round(constant - limit, 6),
            "teff": list(_TEFF_RANGE), "found": counts[0], "false_alarms": counts[1]}
