"""How many models the emulator needs: errors of the label fit against their number."""

import numpy as np
from astropy.table import Table

from sedflux.emulator.labelfit import LabelFit
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.spectra.bands import BANDS, band_rows
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import input_grid, sed_grid
from sedflux.spectra.normalise import input_basis
from sedflux.validation.synthetic import noisy_inputs, split_targets

__all__ = ["model_count_table"]

#: Models without which there is no emulator.
_FEWEST = 45


def model_count_table(library, kernels, *, shares=(0.4, 0.7, 1.0), snr=80.0, seed=23,
                      progress=None):
    """
    Errors on held-out models from emulators of ever more of the others.

    At high S/N the emulator, not the noise, limits the label fit, and with it the network.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        The whole synthetic library.
    kernels : tuple of `~sedflux.emulator.gaussian_process.Kernel`
    shares : sequence of float, optional
        Shares of the training models.
    snr : float, optional
    seed : int, optional
    progress : callable, optional
        Called with a line of text now and then.

    Returns
    -------
    table : `~astropy.table.Table`
        One row a share and band: error, and its ratio to the bound of the whole library.
    """
    say = progress or (lambda text: None)
    training, test = split_targets(library)
    clean, truth = library_inputs(test, 2000.0, input_grid()), library_seds(test)
    rng = np.random.default_rng(seed)
    normalised, weight = remove_continuum(*noisy_inputs(clean, snr, rng), input_basis())
    chance = rng.random(len(training))
    whole = LabelFit(training, kernels)
    bound = np.stack([whole.bound(labels, row)
                      for labels, row in zip(test.labels, weight, strict=True)])
    rows = []
    for share in shares:
        used = training.take(chance < share)
        if len(used) < _FEWEST:
            continue
        fitter = LabelFit(used, kernels)
        found = np.stack([fitter.fit(values, ivar).log_sed
                          for values, ivar in zip(normalised, weight, strict=True)])
        say(f"{len(used)} models")
        for band, inside in band_rows(sed_grid(), BANDS).items():
            error = np.sqrt(np.mean((np.exp(found - truth)[:, inside] - 1.0) ** 2))
            rows.append({"models": len(used), "snr": snr, "band": band, "error": float(error),
                         "ratio": float(error / np.sqrt(bound[:, inside].mean()))})
    return Table(rows)
