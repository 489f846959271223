"""Spectra and SEDs of library models on the grids of the neural network."""

from __future__ import annotations

import numpy as np

from sedflux.libraries.library import SpectralLibrary
from sedflux.spectra.grids import SED_RESOLVING_POWER, optical_mean, rebin_matrix, sed_grid
from sedflux.spectra.resolution import broadening_sigma, lsf_matrix

__all__ = ["library_inputs", "library_seds"]


def library_inputs(library: SpectralLibrary, resolving_power: float, grid: np.ndarray
                   ) -> np.ndarray:
    """
    Flux of a library's models at a resolving power on a pixel grid.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
    resolving_power : float
        Less than the library's own.
    grid : `~numpy.ndarray`, shape (n,)
        Wavelengths in Angstrom.

    Returns
    -------
    flux : `~numpy.ndarray`, shape (N, n)
        Scaled to a mean of one.
    """
    sigma = broadening_sigma(library.wavelength, library.resolving_power, resolving_power)
    kernel = rebin_matrix(library.wavelength, grid) @ lsf_matrix(library.wavelength, sigma)
    flux = (kernel @ library.flux.T.astype(float)).T
    return flux / flux.mean(axis=1, keepdims=True)


def library_seds(library: SpectralLibrary) -> np.ndarray:
    """
    ln(SED) of a library's models: R = 200, relative to the mean over 4000-7000 A.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`

    Returns
    -------
    log_sed : `~numpy.ndarray`, shape (N, 575)
    """
    grid = sed_grid()
    sigma = broadening_sigma(grid, library.resolving_power, SED_RESOLVING_POWER)
    kernel = lsf_matrix(library.wavelength, sigma, new_wavelength=grid)
    flux = (kernel @ library.sed_flux.T.astype(float)).T
    return np.log(flux / (optical_mean(grid) @ flux.T).T)
