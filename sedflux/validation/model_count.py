"""Errors of the label fit against the number of models in the emulator."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from sedflux.emulator.gaussian_process import Kernel
from sedflux.emulator.labelfit import LabelFit
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.libraries.library import SpectralLibrary
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.spectra.bands import BANDS, band_rows
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import input_grid, sed_grid
from sedflux.spectra.normalise import input_basis
from sedflux.validation.synthetic import noisy_inputs, split_targets

__all__ = ["model_count_table"]

#: Fewest models for an emulator, which needs more models than the 40 components that it groups.
_LEAST_MODELS = 45

_log = logging.getLogger(__name__)


def model_count_table(library: SpectralLibrary, kernels: tuple[Kernel, ...], *,
                      shares: Sequence[float] = (0.4, 0.7, 1.0), snr: float = 80.0,
                      seed: int = 23) -> Table:
    """
    Errors on held-out models, for emulators of a part and of all of the training models.

    At high S/N the errors of the emulator, not the noise, limit the label fit, and so the network.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        The whole synthetic library.
    kernels : tuple of `~sedflux.emulator.gaussian_process.Kernel`
    shares : sequence of float, optional
        Fractions of the training models.
    snr : float, optional
    seed : int, optional

    Returns
    -------
    table : `~astropy.table.Table`
        One row per fraction and band: error, and its ratio to the Fisher bound of the whole
        library.
    """
    training, test = split_targets(library)
    clean, truth = library_inputs(test, RESOLVING_POWER, input_grid()), library_seds(test)
    rng = np.random.default_rng(seed)
    normalised, weight = remove_continuum(*noisy_inputs(clean, snr, rng), input_basis())
    chance = rng.random(len(training))
    whole = LabelFit(training, kernels)
    bound = np.stack([whole.bound(labels, row)
                      for labels, row in zip(test.labels, weight, strict=True)])
    rows = []
    for share in shares:
        used = training.take(chance < share)
        if len(used) < _LEAST_MODELS:
            continue
        fitter = LabelFit(used, kernels)
        found = np.stack([fitter.fit(values, ivar).log_sed
                          for values, ivar in zip(normalised, weight, strict=True)])
        _log.info("%d models", len(used))
        for band, inside in band_rows(sed_grid(), BANDS).items():
            error = np.sqrt(np.mean((np.exp(found - truth)[:, inside] - 1.0) ** 2))
            rows.append({"models": len(used), "snr": snr, "band": band, "error": float(error),
                         "ratio": float(error / np.sqrt(bound[:, inside].mean()))})
    return Table(rows)
