"""
Forward model of an extracted slitless spectrum.

The count rate of pixel p is ``area * integral over the pixel of LSF * (T P)``, where P is
the star's photon flux and T the throughput.  It is linear in both, so it is a sparse
operator on a *fine grid* that holds the samples of the SED, the pixel edges and
enough points for the line-spread function.
"""

from dataclasses import dataclass

import numpy as np
from astropy import constants
from astropy import units as u
from scipy import sparse

from sedflux.exceptions import InputError
from sedflux.grids import interpolation_matrix, pixel_edges
from sedflux.resolution import FWHM_PER_SIGMA, lsf_matrix

__all__ = ["CountModel", "count_model", "photons_per_flux"]

#: Points of the fine grid to a standard deviation of the line-spread function.
_OVERSAMPLING = 4.0
_REACH = 5.0


@dataclass(frozen=True)
class CountModel:
    """
    Linear model of the count rates of one star.

    Attributes
    ----------
    fine : `~numpy.ndarray`, shape (m,)
        Fine grid in Angstrom.
    collect : `~scipy.sparse.csr_matrix`, shape (p, m)
        From throughput times photon flux on the fine grid to counts a second.
    interpolate : `~scipy.sparse.csr_matrix`, shape (m, n)
        From F_lambda on the SED's wavelengths to photon flux on the fine grid.
    """

    fine: np.ndarray
    collect: sparse.csr_matrix
    interpolate: sparse.csr_matrix

    def counts(self, throughput, flux):
        """
        Count rates for a throughput on the fine grid and an SED's flux, shape (p,).
        """
        return self.collect @ (throughput * (self.interpolate @ flux))


def photons_per_flux(wavelength):
    """Photons a second, cm2 and Angstrom in one erg of the same; lambda / (h c)."""
    return np.asarray(wavelength) / (constants.h * constants.c).to_value(u.erg * u.AA)


def _trapezoid_over_pixels(fine, edges):
    """Integrals over pixels of samples on a fine grid that holds every edge."""
    begin = np.searchsorted(fine, edges[:-1] - 1e-9 * edges[:-1])
    end = np.searchsorted(fine, edges[1:] - 1e-9 * edges[1:])
    count = end - begin
    rows = np.repeat(np.arange(count.size), count)
    left = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - begin, count)
    half = 0.5 * (fine[left + 1] - fine[left])
    entries = (np.r_[half, half], (np.r_[rows, rows], np.r_[left, left + 1]))
    return sparse.csr_matrix(entries, shape=(count.size, fine.size))


def count_model(pixels, sed_wavelength, *, area, resolving_power=None, extra=()):
    """
    Build the forward model of one extracted spectrum.

    Parameters
    ----------
    pixels : `~numpy.ndarray`, shape (p,)
        Ascending pixel centres in Angstrom; they need not be equally spaced.
    sed_wavelength : `~numpy.ndarray`, shape (n,)
        Samples of the SED in Angstrom; they must reach beyond the pixels.
    area : float
        Collecting area in cm2.
    resolving_power : float or `~numpy.ndarray`, shape (p,), optional
        lambda / FWHM of the Gaussian line-spread function at the pixels; none at all
        if not given.
    extra : `~numpy.ndarray`, optional
        Further points of the fine grid, such as those of a tabulated throughput.

    Returns
    -------
    model : `CountModel`

    Raises
    ------
    sedflux.exceptions.InputError
        If the SED does not reach beyond the pixels.
    """
    edges = pixel_edges(pixels)
    if edges[0] < sed_wavelength[0] or edges[-1] > sed_wavelength[-1]:
        raise InputError(
            f"pixels reach from {edges[0]:.0f} to {edges[-1]:.0f} Angstrom, the SED from "
            f"{sed_wavelength[0]:.0f} to {sed_wavelength[-1]:.0f}: cut the counts to the SED"
        )
    low, high = edges[0], edges[-1]
    parts = [edges, pixels]
    sigma = None
    if resolving_power is not None:
        sigma = np.broadcast_to(pixels / np.asarray(resolving_power) / FWHM_PER_SIGMA, pixels.shape)
        low, high = low - _REACH * sigma[0], high + _REACH * sigma[-1]
        parts.append(np.arange(low, high, sigma.min() / _OVERSAMPLING))
    low, high = max(low, sed_wavelength[0]), min(high, sed_wavelength[-1])
    for points in (sed_wavelength, np.asarray(extra, dtype=float), [low, high]):
        parts.append(np.asarray(points))
    fine = np.unique(np.concatenate(parts))
    fine = fine[(fine >= low) & (fine <= high)]
    fine = fine[np.r_[True, np.diff(fine) > 1e-9 * fine[1:]]]
    # An edge that fell to its neighbour above is that neighbour now.
    edges = fine[np.clip(np.searchsorted(fine, edges - 1e-6), 0, fine.size - 1)]
    collect = _trapezoid_over_pixels(fine, edges)
    if sigma is not None:
        broadening = np.interp(fine, pixels, sigma)
        collect = collect @ lsf_matrix(fine, broadening, reach=_REACH)
    # Photons, not energies, are joined by straight lines, as synphot does.
    photons = sparse.diags_array(photons_per_flux(sed_wavelength))
    interpolate = sparse.csr_matrix(interpolation_matrix(sed_wavelength, fine) @ photons)
    return CountModel(fine, sparse.csr_matrix(area * collect), interpolate)
