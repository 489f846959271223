"""Which continuum removal: an exact projection, or asymmetric clipping."""

import numpy as np
from astropy.table import Table

from sedflux.libraries.inputs import library_inputs
from sedflux.libraries.library import split_models
from sedflux.spectra.continuum import remove_continuum, smooth_basis
from sedflux.spectra.grids import input_grid
from sedflux.spectra.reddening import continuum_shapes

__all__ = ["clip_continuum", "continuum_table"]


def clip_continuum(flux, *, degree=8, low=1.0, high=3.0, rounds=10):
    """
    The usual alternative: a polynomial through ln(flux), clipped asymmetrically.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (N, n)
    degree : int, optional
    low, high : float, optional
        Pixels further below or above than so many standard deviations are dropped.
    rounds : int, optional

    Returns
    -------
    normalised : `~numpy.ndarray`, shape (N, n)
        ``flux / continuum - 1``.
    """
    basis = smooth_basis(flux.shape[1], degree=degree)
    normalised = np.empty_like(flux)
    for row, spectrum in enumerate(flux):
        usable = spectrum > 0
        keep = usable
        log_flux = np.log(np.where(usable, spectrum, 1.0))
        for _ in range(rounds):
            solution = np.linalg.lstsq(basis[keep], log_flux[keep], rcond=None)[0]
            residual = log_flux - basis @ solution
            spread = residual[keep].std()
            keep = usable & (residual > -low * spread) & (residual < high * spread)
        normalised[row] = spectrum * np.exp(-basis @ solution) - 1.0
    return normalised


def continuum_table(library, *, snrs=(5.0, 10.0, 20.0, 40.0, 80.0), realisations=8, seed=3):
    """
    What noise does to the continuum itself, for both forms, on held-out models.

    For each star the normalised spectrum is compared with that of the noiseless
    star by the same form.  A perfect form differs by the pixels' own noise alone; its
    smooth part (projected on the shapes of the continuum, which pixels' noise
    hardly reaches) shows bias and scatter that the form adds.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
    snrs : sequence of float, optional
    realisations : int, optional
    seed : int, optional

    Returns
    -------
    table : `~astropy.table.Table`
        Bias and scatter of the continuum level, in percent, and how much a curve
        (reddening by E(B-V) = 1) moves the result, rms in percent.
    """
    test = split_models(library)[1]
    grid = input_grid()
    clean = library_inputs(test, 2000.0, grid)
    full = smooth_basis(grid.size, shapes=continuum_shapes(grid))
    smooth = smooth_basis(grid.size)

    def project(flux, snr):
        return remove_continuum(flux, np.full_like(flux, snr**2) / flux.mean() ** 2, full)[0]

    forms = {"projection": project, "clipping": lambda flux, snr: clip_continuum(flux)}
    dust = np.exp(continuum_shapes(grid)[0])
    dust /= dust.mean()
    rows = []
    for snr in snrs:
        rng = np.random.default_rng([seed, int(snr)])
        for name, form in forms.items():
            reference = form(clean, 1e3)
            moved = form(clean * dust, 1e3) - reference
            shifts = []
            for _ in range(realisations):
                noisy = clean * (1.0 + rng.standard_normal(clean.shape) / snr)
                level = (form(noisy, snr) - reference) @ smooth
                shifts.append(level / np.sqrt(grid.size))
            shifts = np.stack(shifts)
            rows.append({
                "form": name, "snr": snr,
                "bias": 100.0 * float(np.sqrt((shifts.mean(axis=0) ** 2).sum(axis=1).mean())),
                "scatter": 100.0 * float(np.sqrt(shifts.var(axis=0).sum(axis=1).mean())),
                "moved_by_dust": 100.0 * float(np.sqrt((moved**2).mean())),
            })
    return Table(rows)
