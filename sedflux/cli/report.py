"""What ``sedflux predict`` prints about a star, and the data that its figure shows."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import numpy as np

from sedflux.predict.prediction import SEDPrediction
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import SED_RESOLVING_POWER, input_grid, optical_mean, rebin_spectra
from sedflux.spectra.normalise import input_basis
from sedflux.spectra.resolution import broadening_sigma, lsf_matrix
from sedflux.spectra.spectrum import from_spectrum
from sedflux.training.left_out import TRUTH_ERROR
from sedflux.units import LIGHT_KM_S

__all__ = ["measured_sed", "normalised_input", "report"]

#: Wavelengths of the printed SED, in Angstrom.
_PRINTED = (2600.0, 3000.0, 3500.0, 3800.0, 4500.0, 5500.0, 6500.0, 7500.0, 8500.0, 10000.0)


def _rest_wavelength(arrays, prediction):
    return arrays.wavelength / (1.0 + prediction.radial_velocity / LIGHT_KM_S)


def measured_sed(spectrum: Any, prediction: SEDPrediction
                 ) -> tuple[np.ndarray, np.ndarray] | None:
    """
    Measured flux of a star on the grid of its predicted SED.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
    prediction : `~sedflux.SEDPrediction`
        Of this spectrum.

    Returns
    -------
    flux, sigma : `~numpy.ndarray`, shape (575,)
        Relative to the mean over 4000-7000 Angstrom; NaN where nothing was measured.
        None instead of both for spectra that HST did not measure: only the flux
        calibration of HST is accurate enough.
    """
    if spectrum.meta.get("telescope") != "HST":
        return None
    arrays = from_spectrum(spectrum)
    wavelength = _rest_wavelength(arrays, prediction)
    power: Any = arrays.resolving_power
    power = np.interp(prediction.wavelength, wavelength, np.broadcast_to(power, wavelength.shape))
    kernel = lsf_matrix(
        wavelength, broadening_sigma(prediction.wavelength, power, SED_RESOLVING_POWER),
        new_wavelength=prediction.wavelength)
    flux = kernel @ arrays.flux[0]
    flux = flux / (optical_mean(prediction.wavelength) @ flux)
    outside = (prediction.wavelength < wavelength[0]) | (prediction.wavelength > wavelength[-1])
    flux[outside] = np.nan
    return flux, TRUTH_ERROR["CALSPEC"] * flux


def normalised_input(spectrum: Any, prediction: SEDPrediction, options: Namespace
                     ) -> tuple[np.ndarray, np.ndarray]:
    """
    The spectrum divided by its continuum, on the model's input grid.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
    prediction : `~sedflux.SEDPrediction`
        Of this spectrum.
    options : `argparse.Namespace`
        With ``medium`` and ``resolving_power``.

    Returns
    -------
    wavelength, flux : `~numpy.ndarray`, shape (2430,)
        Flux is NaN in bad pixels.
    """
    arrays = from_spectrum(spectrum, medium=options.medium,
                           resolving_power=options.resolving_power)
    grid = input_grid()
    flux, ivar = rebin_spectra(_rest_wavelength(arrays, prediction), arrays.flux, arrays.ivar, grid)
    level = flux[ivar > 0].mean()
    normalised, weight = remove_continuum(flux / level, ivar * level**2, input_basis())
    return grid, np.where(weight[0] > 0, 1.0 + normalised[0], np.nan)


def report(name: str, spectral_class: str, prediction: SEDPrediction,
           measured: tuple[np.ndarray, np.ndarray] | None, caveat: str | None) -> Iterator[str]:
    """
    Lines about one star: model, input, labels, flags, and the SED at ten wavelengths.

    Parameters
    ----------
    name, spectral_class : str
    prediction : `~sedflux.SEDPrediction`
    measured : tuple of `~numpy.ndarray`, optional
        From `measured_sed`.  Differences are predicted minus measured.
    caveat : str, optional
        Of the model.

    Yields
    ------
    line : str
    """
    notes = prediction.diagnostics
    power = float(np.ravel(notes["resolving_power"])[0])
    yield f"star      {name}  {spectral_class}".rstrip()
    yield f"model     {prediction.model}  (SHA-256 {prediction.sha256[:12]})"
    yield (f"input     S/N {notes['snr']:.0f} per pixel, R = {power:.0f}, "
           f"radial velocity {prediction.radial_velocity:+.1f} km/s taken out")
    yield (f"labels    Teff about {notes['teff']:.0f} K, log g {notes['logg']:.1f}, "
           f"[M/H] {notes['mh']:+.1f}; {_fit_of_lines(float(notes['excess']))}")
    yield f"flags     {'; '.join(prediction.flags) or 'none'}"
    if caveat:
        yield f"caveat    {caveat}"
    yield "wavelength   SED     sigma" + ("   measured  difference  in sigma" if measured else "")
    for wanted in _PRINTED:
        index = int(np.argmin(np.abs(prediction.wavelength - wanted)))
        flux, sigma = prediction.flux[index], prediction.sigma[index]
        line = f"{prediction.wavelength[index]:8.0f}  {flux:8.4f}  {sigma:7.4f}"
        if measured:
            value, error = measured[0][index], measured[1][index]
            line += (f"  {value:8.4f}  {100 * (flux / value - 1):+8.1f} %"
                     f"  {(flux - value) / np.hypot(sigma, error):+8.1f}")
        yield line


def _fit_of_lines(excess):
    """How well the model reproduces the lines; ``excess`` is the rms residual beyond the noise."""
    if round(100 * excess, 1) == 0:
        return "lines fit within the noise"
    return f"lines fit to {100 * excess:.1f} %"
