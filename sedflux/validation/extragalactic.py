"""Spectra of quasars and galaxies, made from published lines and from spectra of stars."""

from __future__ import annotations

from typing import Any

import numpy as np

from sedflux.libraries.library import SpectralLibrary
from sedflux.spectra.grids import optical_mean, sed_grid
from sedflux.training.stars import miles_inputs
from sedflux.units import LIGHT_KM_S

__all__ = ["galaxies", "quasars"]

#: Spectra: wavelength (vacuum, Angstrom) and flux (N, n), and true SEDs (N, 575).
Spectra = tuple[np.ndarray, np.ndarray, np.ndarray]

#: Wavelengths of the spectra (Angstrom): pixels as of LAMOST.
_WAVELENGTH = 10.0 ** np.arange(np.log10(3900.0), np.log10(7150.0), 1e-4)
#: Emission lines of quasars: rest wavelength, equivalent width and sigma in Angstrom, after the
#: composite spectrum of Vanden Berk et al. (2001), rounded.
_QUASAR_LINES = np.array([
    (1215.7, 93.0, 19.0), (1399.8, 8.0, 14.0), (1549.1, 24.0, 14.0), (1908.7, 21.0, 24.0),
    (2798.8, 32.0, 35.0), (4102.9, 5.0, 19.0), (4341.7, 13.0, 20.0), (4862.7, 46.0, 40.0),
    (4960.3, 3.5, 4.0), (5008.2, 13.0, 6.0), (6564.6, 195.0, 47.0)])
_QUASAR_SLOPE = -1.5
_QUASAR_REDSHIFTS = (0.05, 0.15, 0.3, 0.5, 0.7, 0.9, 1.2, 1.5, 1.8, 2.0, 2.3, 2.6, 2.9, 3.2)
#: Kinds of stars in galaxies: ranges of T_eff (K) and log g.
_POPULATIONS = {"K giants": (4150.0, 4450.0, 1.0, 2.5), "G dwarfs": (5550.0, 5850.0, 4.0, 5.0),
                "A stars": (8500.0, 9500.0, 3.3, 5.0)}
#: Shares of the light at 5500 Angstrom of an old and of a young galaxy.
_GALAXIES = ({"K giants": 0.65, "G dwarfs": 0.35},
             {"K giants": 0.3, "G dwarfs": 0.4, "A stars": 0.3})
_DISPERSIONS = (100.0, 200.0, 300.0)
#: Redshifts that no velocity of a star can take out.
_GALAXY_REDSHIFTS = (0.02, 0.05, 0.1)
#: Range of [M/H] of the stars, and most of each kind.
_METALS, _STARS = (-0.25, 0.25), 12


def quasars() -> dict[str, Spectra]:
    """Quasars at several redshifts: a power law and broad lines; by kind."""
    grid = sed_grid()
    truth = np.array([_quasar(grid, redshift) for redshift in _QUASAR_REDSHIFTS])
    flux = np.array([_quasar(_WAVELENGTH, redshift) for redshift in _QUASAR_REDSHIFTS])
    return {"quasar": (_WAVELENGTH, flux, truth / (optical_mean(grid) @ truth.T).T)}


def _quasar(wavelength, redshift):
    """Flux at wavelengths in Angstrom; lines have widths in the continuum beneath them."""
    flux = (wavelength / 5000.0) ** _QUASAR_SLOPE
    for centre, width, sigma in _QUASAR_LINES * (1.0 + redshift):
        flux = flux + (centre / 5000.0) ** _QUASAR_SLOPE * width / (sigma * np.sqrt(2 * np.pi)) \
            * np.exp(-0.5 * ((wavelength - centre) / sigma) ** 2)
    return flux


def galaxies(miles: SpectralLibrary, labels: Any) -> dict[str, Spectra]:
    """
    Mixtures of MILES stars, broadened, at rest and at redshifts; by kind.

    Parameters
    ----------
    miles : `~sedflux.libraries.SpectralLibrary`
    labels : array_like, shape (N, 3)
        Published T_eff (K), log g and [M/H]; NaN where unknown.

    Returns
    -------
    spectra : dict of str to tuple
        Their true SEDs are not known.  Empty if the library lacks one of the populations.
    """
    stars = {}
    for name, (low, high, least, most) in _POPULATIONS.items():
        teff, logg, mh = np.asarray(labels, float).T
        rows = np.flatnonzero((teff > low) & (teff < high) & (logg > least) & (logg < most)
                              & (mh > _METALS[0]) & (mh < _METALS[1]))[:_STARS]
        if not rows.size:
            return {}
        wavelength, flux, _ = miles_inputs(miles, rows)
        near = (wavelength > 5400.0) & (wavelength < 5600.0)
        flux = (flux / np.median(flux[:, near], axis=1)[:, None]).mean(axis=0)
        stars[name] = np.interp(_WAVELENGTH, wavelength, flux)
    mixed = [_broadened(sum(share * stars[name] for name, share in shares.items()), velocity)
             for shares in _GALAXIES for velocity in _DISPERSIONS]
    found = {}
    for kind, redshifts in (("galaxy at rest", (0.0,)), ("galaxy, z = 0.02-0.1",
                                                          _GALAXY_REDSHIFTS)):
        flux = np.array([np.interp(_WAVELENGTH, _WAVELENGTH * (1.0 + redshift), one)
                         for one in mixed for redshift in redshifts])
        found[kind] = (_WAVELENGTH, flux, np.full((len(flux), sed_grid().size), np.nan))
    return found


def _broadened(flux, velocity):
    """A spectrum on `_WAVELENGTH` with a dispersion in km/s."""
    step = LIGHT_KM_S * np.log(_WAVELENGTH[1] / _WAVELENGTH[0])
    offset = np.arange(-60, 61) * step
    kernel = np.exp(-0.5 * (offset / velocity) ** 2)
    return np.convolve(flux, kernel / kernel.sum(), mode="same")
