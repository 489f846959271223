"""Comparison of two methods of continuum removal: projection, and asymmetric clipping."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from sedflux.libraries.inputs import library_inputs
from sedflux.libraries.library import SpectralLibrary, split_models
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.spectra.continuum import remove_continuum, smooth_basis
from sedflux.spectra.grids import input_grid
from sedflux.spectra.normalise import input_basis
from sedflux.spectra.reddening import continuum_shapes

__all__ = ["clip_continuum", "continuum_table"]

#: S/N assumed for the spectra without noise.
_NOISELESS_SNR = 1e3

_log = logging.getLogger(__name__)


def clip_continuum(flux: np.ndarray, *, degree: int = 8, low: float = 1.0, high: float = 3.0,
                   rounds: int = 10) -> np.ndarray:
    """
    Remove the continuum the usual way: a polynomial fit to ln(flux) with asymmetric clipping.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (N, n)
    degree : int, optional
        Of the polynomial.
    low, high : float, optional
        Pixels more than this many standard deviations below or above the fit are dropped.
    rounds : int, optional
        Number of fits.

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


def _project(flux, snr):
    """Remove the continuum by projection, with constant noise."""
    ivar = np.full_like(flux, snr**2) / flux.mean() ** 2
    return remove_continuum(flux, ivar, input_basis())[0]


#: Methods of continuum removal, ``method(flux, snr)``.
_METHODS = {"projection": _project, "clipping": lambda flux, snr: clip_continuum(flux)}


def continuum_table(library: SpectralLibrary, *,
                    snrs: Sequence[float] = (5.0, 10.0, 20.0, 40.0, 80.0),
                    realisations: int = 8, seed: int = 3) -> Table:
    """
    Effect of noise on the continuum, for both methods, on held-out models.

    The normalised spectrum of each noisy star is compared with that of the star without noise.
    With a perfect method they differ only by the noise of the pixels.  The error of the
    continuum is the smooth part of the difference: its projection on polynomials, to which the
    noise of the pixels contributes little.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
    snrs : sequence of float, optional
    realisations : int, optional
        Of the noise of each star.
    seed : int, optional

    Returns
    -------
    table : `~astropy.table.Table`
        Bias and scatter of the continuum level in percent, and the rms change in percent
        when the input is reddened by E(B-V) = 1.
    """
    test = split_models(library)[1]
    grid = input_grid()
    clean = library_inputs(test, RESOLVING_POWER, grid)
    smooth = smooth_basis(grid.size)
    dust = np.exp(continuum_shapes(grid)[0])
    dust /= dust.mean()
    rows = []
    for snr in snrs:
        rng = np.random.default_rng([seed, int(snr)])
        for name, method in _METHODS.items():
            reference = method(clean, _NOISELESS_SNR)
            change = method(clean * dust, _NOISELESS_SNR) - reference
            levels = []
            for _ in range(realisations):
                noisy = clean * (1.0 + rng.standard_normal(clean.shape) / snr)
                levels.append((method(noisy, snr) - reference) @ smooth / np.sqrt(grid.size))
            level = np.stack(levels)
            rows.append({
                "form": name, "snr": snr,
                "bias": 100.0 * float(np.sqrt((level.mean(axis=0) ** 2).sum(axis=1).mean())),
                "scatter": 100.0 * float(np.sqrt(level.var(axis=0).sum(axis=1).mean())),
                "moved_by_dust": 100.0 * float(np.sqrt((change**2).mean())),
            })
            _log.info("S/N %g: %s", snr, name)
    return Table(rows)
