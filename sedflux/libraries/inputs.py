"""Spectra and SEDs of library models as the network sees them."""

import numpy as np

from sedflux.spectra.grids import optical_mean, rebin_matrix, sed_grid
from sedflux.spectra.resolution import broadening_sigma, lsf_matrix

__all__ = ["library_inputs", "library_seds"]


def library_inputs(library, resolving_power, grid):
    """
    Flux of a library's models at a resolving power on a pixel grid.

    Returns
    -------
    flux : `~numpy.ndarray`, shape (N, n)
        Scaled to a mean of one.
    """
    sigma = broadening_sigma(library.wavelength, library.resolving_power, resolving_power)
    kernel = rebin_matrix(library.wavelength, grid) @ lsf_matrix(library.wavelength, sigma)
    flux = (kernel @ library.flux.T.astype(float)).T
    return flux / flux.mean(axis=1, keepdims=True)


def library_seds(library):
    """
    ln(SED) of a library's models: R = 200, relative to the mean over 4000-7000 A.

    Returns
    -------
    log_sed : `~numpy.ndarray`, shape (N, 575)
    """
    grid = sed_grid()
    sigma = broadening_sigma(grid, library.resolving_power, 200.0)
    kernel = lsf_matrix(library.wavelength, sigma, new_wavelength=grid)
    flux = (kernel @ library.sed_flux.T.astype(float)).T
    return np.log(flux / (optical_mean(grid) @ flux.T).T)
