"""Errors on a left-out fold against the number of real stars in the correction."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table

from sedflux.emulator.gaussian_process import Kernel
from sedflux.emulator.labelfit import LabelFit
from sedflux.libraries.library import SpectralLibrary
from sedflux.spectra.bands import band_rows
from sedflux.spectra.grids import sed_grid
from sedflux.training.star_correction import fit_correction
from sedflux.training.stars import MILES_POWER, RealStars
from sedflux.validation.cells import MILES_BANDS, TEFF_RANGE

__all__ = ["star_count_table"]

#: S/N per pixel assumed by the label fit, because lines of real stars differ from models by 1 %.
_SNR = 80.0

_log = logging.getLogger(__name__)


def star_count_table(library: SpectralLibrary, kernels: tuple[Kernel, ...], stars: RealStars,
                     passbands: Mapping[str, tuple[np.ndarray, np.ndarray]], *,
                     shares: Sequence[float] = (0.0, 0.1, 0.3, 1.0), fold: int = 0,
                     teff: tuple[float, float] = TEFF_RANGE, seed: int = 1) -> Table:
    """
    Errors against MILES fluxes of one fold, with models corrected by some or all other stars.

    The label fit with the corrected emulator replaces the network.  It needs no training, so that
    only the correction changes.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        Training models.
    kernels : tuple of `~sedflux.emulator.gaussian_process.Kernel`
    stars : `~sedflux.training.stars.RealStars`
    passbands : dict
        From `sedflux.training.stars.read_passbands`.
    shares : sequence of float, optional
        Fractions of the stars outside the fold; 0 gives the models without correction.
    fold : int, optional
        Fold of the stars on which the errors are measured.
    teff : tuple of float, optional
        Range of effective temperature (K) of these stars.
    seed : int, optional

    Returns
    -------
    table : `~astropy.table.Table`
        One row per fraction and band: number of stars, bias, scatter.
    """
    others = stars.take(stars.fold != fold)
    inside = (stars.fold == fold) & (stars.source == "MILES")
    test = stars.take(inside & (stars.labels[:, 0] > teff[0]) & (stars.labels[:, 0] < teff[1]))
    chance = np.random.default_rng(seed).random(len(others))
    rows = []
    for share in shares:
        used = others.take(chance < share)
        corrected = library
        if len(used):
            corrected = fit_correction(library, kernels, used, passbands).correct(library)
        fitter = LabelFit(corrected, kernels, resolving_power=MILES_POWER)
        found = [fitter.fit(values, np.where(weight > 0, _SNR**2, 0.0)).log_sed
                 for values, weight in zip(test.normalised, test.ivar, strict=True)]
        errors = np.exp(np.stack(found) - test.miles_sed) - 1.0
        _log.info("%d stars", len(used))
        for band, samples in band_rows(sed_grid(), MILES_BANDS).items():
            values = errors[:, samples]
            rows.append({"stars": len(used), "band": band, "tested": len(test),
                         "bias": np.nanmedian(values),
                         "scatter": mad_std(values, ignore_nan=True)})
    return Table(rows)
