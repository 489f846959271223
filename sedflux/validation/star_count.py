"""How many real stars the correction needs: errors on a fold left out, against their number."""

import numpy as np
from astropy.table import Table

from sedflux.emulator.labelfit import LabelFit
from sedflux.spectra.bands import band_rows
from sedflux.spectra.grids import sed_grid
from sedflux.training.empirical import fit_correction
from sedflux.training.stars import MILES_POWER
from sedflux.validation.stars import MILES_BANDS

__all__ = ["star_count_table"]

#: S/N a pixel at which the label fit takes real lines: their discrepancy is 1 %.
_SNR = 80.0


def star_count_table(library, kernels, stars, passbands, *, shares=(0.0, 0.1, 0.3, 1.0), fold=0,
                     teff=(5000.0, 9750.0), seed=1, progress=None):
    """
    Errors against MILES fluxes of a fold, from corrections by ever more of the other stars.

    The label fit through the corrected emulator stands for the network: it needs no
    training, so that the corrections alone differ.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        Training models.
    kernels : tuple of `~sedflux.emulator.gaussian_process.Kernel`
    stars : `~sedflux.training.stars.RealStars`
    passbands : dict
    shares : sequence of float, optional
        Shares of the stars outside the fold; 0 leaves the models as they are.
    fold : int, optional
        Stars on which the errors are measured.
    teff : tuple of float, optional
    seed : int, optional
    progress : callable, optional
        Called with a line of text now and then.

    Returns
    -------
    table : `~astropy.table.Table`
        One row a share and band: stars used, bias, scatter.
    """
    say = progress or (lambda text: None)
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
        say(f"{len(used)} stars")
        for band, samples in band_rows(sed_grid(), MILES_BANDS).items():
            values = errors[:, samples]
            middle = np.nanmedian(values)
            rows.append({"stars": len(used), "band": band, "tested": len(test), "bias": middle,
                         "scatter": 1.4826 * np.nanmedian(np.abs(values - middle))})
    return Table(rows)
