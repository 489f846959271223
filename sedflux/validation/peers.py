"""Other computations on the same spectra, with which the speed is compared."""

from __future__ import annotations

import warnings

import numpy as np
from astropy import units as u

from sedflux.predict.predictor import Predictor
from sedflux.spectra.grids import input_grid

__all__ = ["search_templates", "specutils_chain"]

#: Standard deviation (pixels) of the Gaussian with which spectra are smoothed.
_SMOOTHING = 1.0


def specutils_chain(wavelength: np.ndarray, flux: np.ndarray) -> np.ndarray:
    """
    Continuum, smoothing and resampling of spectra by specutils, one spectrum after the other.

    These steps correspond to what sedflux does before the network; they give no SED.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        In Angstrom.
    flux : `~numpy.ndarray`, shape (N, n)
        Of order one.

    Returns
    -------
    normalised : `~numpy.ndarray`, shape (N, m)
        On the input grid.
    """
    from specutils import Spectrum
    from specutils.fitting import fit_generic_continuum
    from specutils.manipulation import FluxConservingResampler, gaussian_smooth

    resample, axis, found = FluxConservingResampler(), input_grid() * u.AA, []
    for row in flux:
        spectrum = Spectrum(spectral_axis=wavelength * u.AA, flux=row * u.one)
        with warnings.catch_warnings():
            # The fitter warns that its model is linear.
            warnings.simplefilter("ignore")
            continuum = fit_generic_continuum(spectrum)
        level = continuum(spectrum.spectral_axis)
        normalised = Spectrum(spectral_axis=spectrum.spectral_axis, flux=spectrum.flux / level)
        found.append(resample(gaussian_smooth(normalised, _SMOOTHING), axis).flux.value)
    return np.array(found)


def search_templates(predictor: Predictor, normalised: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """
    Find the reference star of a model with the smallest chi-square.

    Parameters
    ----------
    predictor : `Predictor`
    normalised, ivar : `~numpy.ndarray`, shape (N, m)
        Normalised flux on the input grid, see `sedflux.spectra.normalise.normalise_spectra`.

    Returns
    -------
    best : `~numpy.ndarray` of int, shape (N,)
        Rows of the references.
    """
    templates = predictor.arrays.reference_spectra()[0].astype(np.float32) - 1.0
    weight, normalised = ivar.astype(np.float32), normalised.astype(np.float32)
    chi2 = weight @ (templates**2).T - 2.0 * (weight * normalised) @ templates.T
    return chi2.argmin(axis=1)
