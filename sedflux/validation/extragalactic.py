"""Spectra of quasars and galaxies, made from published lines and from spectra of stars."""

from __future__ import annotations

from typing import Any

import numpy as np

from sedflux.libraries.library import SpectralLibrary
from sedflux.spectra.grids import optical_mean, sed_grid
from sedflux.training.stars import miles_inputs, miles_seds
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
_POPULATIONS = {"K giants": (4150.0, 4450.0, 1.0, 2.5), "G giants": (4500.0, 5100.0, 2.0, 3.2),
                "G dwarfs": (5550.0, 5850.0, 4.0, 5.0), "F dwarfs": (6100.0, 7000.0, 3.8, 5.0),
                "A stars": (8500.0, 9500.0, 3.3, 5.0)}
#: Shares of the light at 5500 Angstrom of old and of young galaxies.
_GALAXIES = {"old": ({"K giants": 0.65, "G dwarfs": 0.35},
                     {"K giants": 0.4, "G giants": 0.3, "G dwarfs": 0.3}),
             "young": ({"K giants": 0.3, "G dwarfs": 0.4, "A stars": 0.3},
                       {"K giants": 0.2, "G giants": 0.2, "G dwarfs": 0.2, "F dwarfs": 0.4})}
_DISPERSIONS = (100.0, 200.0, 300.0)
#: Emission lines: wavelength (vacuum, Angstrom) and flux relative to H alpha, where stars form and
#: of low-ionisation nuclei, after the diagrams of Baldwin, Phillips & Terlevich (1981).
_BALMER = ((4341.7, 0.15), (4862.7, 0.32), (6564.6, 1.0))
_GASES = {
    "H II": (*_BALMER, (4960.3, 0.07), (5008.2, 0.2), (6549.9, 0.13), (6585.3, 0.4),
             (6718.3, 0.19), (6732.7, 0.15)),
    "LINER": (*_BALMER, (4960.3, 0.21), (5008.2, 0.64), (6549.9, 0.43), (6585.3, 1.3),
              (6718.3, 0.6), (6732.7, 0.5))}
#: Equivalent widths of H alpha in emission (Angstrom), and width of lines by the instrument (km/s).
_EMISSION, _INSTRUMENT = (1.0, 3.0, 10.0), 70.0
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
    Mixtures of MILES stars, broadened, at rest, with emission lines, and at redshifts; by kind.

    Parameters
    ----------
    miles : `~sedflux.libraries.SpectralLibrary`
    labels : array_like, shape (N, 3)
        Published T_eff (K), log g and [M/H]; NaN where unknown.

    Returns
    -------
    spectra : dict of str to tuple
        True SEDs are those of the stars' MILES fluxes; NaN beyond them and at redshifts.  Empty if
        the library lacks one of the populations.
    """
    stars = {name: _population(miles, np.asarray(labels, float), *limits)
             for name, limits in _POPULATIONS.items()}
    if not all(stars.values()):
        return {}
    found, every = {}, []
    for age, mixtures in _GALAXIES.items():
        mixed = [tuple(sum(share * stars[name][part] for name, share in shares.items())
                       for part in range(2)) for shares in mixtures]
        made = [(_broadened(flux, velocity), sed, velocity)
                for flux, sed in mixed for velocity in _DISPERSIONS]
        found[f"galaxy at rest, {age}"] = _spectra([(flux, sed) for flux, sed, _ in made])
        every += made
    for gas, lines in _GASES.items():
        found[f"galaxy at rest, {gas}"] = _spectra(
            [(_with_emission(flux, lines, width, velocity), sed)
             for flux, sed, velocity in every for width in _EMISSION])
    found["galaxy, z = 0.02-0.1"] = _spectra(
        [(np.interp(_WAVELENGTH, _WAVELENGTH * (1.0 + redshift), flux), np.nan * sed)
         for flux, sed, _ in every for redshift in _GALAXY_REDSHIFTS])
    return found


def _population(miles, labels, low, high, least, most):
    """Mean spectrum on `_WAVELENGTH` and mean SED of some stars; none without stars."""
    teff, logg, mh = labels.T
    rows = np.flatnonzero((teff > low) & (teff < high) & (logg > least) & (logg < most)
                          & (mh > _METALS[0]) & (mh < _METALS[1]))[:_STARS]
    if not rows.size:
        return ()
    wavelength, flux, _ = miles_inputs(miles, rows)
    level = np.median(flux[:, (wavelength > 5400.0) & (wavelength < 5600.0)], axis=1)[:, None]
    # Fluxes of inputs and of SEDs are relative to means over different ranges.
    grid, seds = sed_grid(), np.exp(miles_seds(miles, rows))
    green = np.median(seds[:, (grid > 5400.0) & (grid < 5600.0)], axis=1)[:, None]
    return (np.interp(_WAVELENGTH, wavelength, (flux / level).mean(axis=0)),
            (seds / green).mean(axis=0))


def _spectra(made):
    """Wavelength, fluxes and true SEDs, relative to their means over 4000-7000 Angstrom."""
    flux, truth = (np.array(values) for values in zip(*made, strict=True))
    mean = optical_mean(sed_grid())
    return _WAVELENGTH, flux, truth / (mean @ np.nan_to_num(truth).T).T


def _with_emission(flux, lines, width, velocity):
    """A spectrum with lines of a dispersion in km/s; the equivalent width is that of H alpha."""
    total = width * np.interp(lines[2][0], _WAVELENGTH, flux)
    for centre, share in lines:
        sigma = centre * np.hypot(velocity, _INSTRUMENT) / LIGHT_KM_S
        flux = flux + total * share / (sigma * np.sqrt(2.0 * np.pi)) * np.exp(
            -0.5 * ((_WAVELENGTH - centre) / sigma) ** 2)
    return flux


def _broadened(flux, velocity):
    """A spectrum on `_WAVELENGTH` with a dispersion in km/s."""
    step = LIGHT_KM_S * np.log(_WAVELENGTH[1] / _WAVELENGTH[0])
    offset = np.arange(-60, 61) * step
    kernel = np.exp(-0.5 * (offset / velocity) ** 2)
    return np.convolve(flux, kernel / kernel.sum(), mode="same")
