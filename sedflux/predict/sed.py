"""From a `specutils.Spectrum` to its SED."""

from dataclasses import replace

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.predict.predictor import Predictor
from sedflux.spectra.spectrum import from_spectrum

__all__ = ["predict_sed"]


def predict_sed(spectrum, *, model=None, resolving_power=None, radial_velocity=None,
                reddening=None, wavelengths=None, medium=None):
    """
    Predict a star's spectral energy distribution from its spectrum.

    Only lines count: the continuum is removed, so that neither flux calibration nor
    dust matters.  The result is the intrinsic SED, unless ``reddening`` is given.
    Follows Yang, Yuan & Duan et al. 2024 (arXiv:2401.13167).

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
        One star (n,) or several on one axis (N, n), covering 4000-7000 Angstrom.
        Any spectral and flux unit, order, uncertainty and mask; without an
        uncertainty the noise is estimated and the result flagged.
    model : str, path-like or `Predictor`, optional
        The packaged model by default.
    resolving_power : float or array_like, shape (n,), optional
        lambda / FWHM, one or for every wavelength; by default
        ``spectrum.meta["resolving_power"]``, or 2000.  Sharper spectra are degraded,
        those below 500 refused.
    radial_velocity : `~astropy.units.Quantity`, optional
        Velocity to take out, one or (N,); by default
        ``spectrum.meta["radial_velocity"]``, the spectrum's own, or zero.
    reddening : float or tuple of float, optional
        E(B-V), or E(B-V) and its error, of the dust that the SED is to be seen
        through (Gordon et al. 2023, R_V = 3.1).
    wavelengths : `~astropy.units.Quantity`, optional
        Pixel centres over which the SED and its covariance are averaged; by default
        2500-10500 Angstrom at R = 200, two samples a resolution element.
    medium : {'vacuum', 'air'}, optional
        What the spectrum's wavelengths refer to; by default
        ``spectrum.meta["medium"]``, or vacuum.  The SED's are vacuum.

    Returns
    -------
    sed : type of ``spectrum``
        F_lambda relative to its mean over 4000-7000 Angstrom, with
        `~astropy.nddata.StdDevUncertainty`.  ``meta["sedflux"]`` holds model, hash,
        flags, diagnostics and the `LowRankCovariance` of the flux; ``meta["header"]``
        the cards that survive writing.

    Raises
    ------
    sedflux.exceptions.InputError
        If the spectrum cannot be used; the message says what to do.

    Examples
    --------
    >>> from sedflux import predict_sed
    >>> from sedflux.demo import demo_spectrum
    >>> sed = predict_sed(demo_spectrum())
    >>> sed.flux.shape, sed.uncertainty.uncertainty_type
    ((575,), 'std')
    """
    arrays = from_spectrum(spectrum, medium=medium, resolving_power=resolving_power)
    predictor = model if isinstance(model, Predictor) else Predictor(model)
    power = _first(arrays.resolving_power, RESOLVING_POWER)
    velocity = _velocity_of(spectrum, arrays.meta, radial_velocity)
    prediction = predictor.predict(arrays.wavelength, arrays.flux, arrays.ivar,
                                   resolving_power=power, radial_velocity=velocity)
    if arrays.flags:
        prediction = _with_flags(prediction, arrays.flags)
    if arrays.single:
        prediction = prediction[0]
    used = prediction.diagnostics["resolving_power"]
    header = {"SEDRPOW": (float(np.ravel(used)[0]), "resolving power of the input, as used"),
              "SEDRV": (float(np.ravel(velocity)[0]), "[km/s] velocity taken out")}
    if reddening is not None:
        ebv, error = _check_reddening(reddening)
        prediction = prediction.reddened(ebv, reddening_error=error)
        header["SEDEBV"] = (ebv, "[mag] E(B-V) put on the SED")
        header["SEDEBVER"] = (error, "[mag] its error")
    return prediction.to_spectrum(type(spectrum), wavelengths=wavelengths, header=header)


def _first(*values):
    """The first value that is not None."""
    return next(value for value in values if value is not None)


def _with_flags(prediction, flags):
    return replace(prediction, flags=tuple((*row, *flags) for row in prediction.flags))


def _velocity_of(spectrum, meta, radial_velocity):
    """Velocity in km/s from the argument, the meta or the spectrum itself."""
    value = _first(radial_velocity, meta.get("radial_velocity"),
                   getattr(spectrum, "radial_velocity", None), 0.0 * u.km / u.s)
    try:
        return u.Quantity(value).to_value(u.km / u.s)
    except (u.UnitConversionError, TypeError) as error:
        raise InputError(
            f"radial_velocity is {value!r}; give a Quantity in km/s, such as -20 * u.km / u.s"
        ) from error


def _check_reddening(reddening):
    """E(B-V) and its error from a number or a pair."""
    pair = np.atleast_1d(np.asarray(reddening, dtype=float))
    if pair.shape not in ((1,), (2,)) or not np.isfinite(pair).all() or (pair < 0).any():
        raise InputError(
            f"reddening is {reddening!r}; give E(B-V), or E(B-V) and its error, "
            "finite and not negative"
        )
    return float(pair[0]), float(pair[1]) if pair.size == 2 else 0.0
