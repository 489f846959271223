"""From a `specutils.Spectrum` to its SED."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from sedflux.predict.checks import check_reddening
from sedflux.predict.loading import loaded_predictor
from sedflux.predict.models import AUTO
from sedflux.predict.predictor import Predictor

if TYPE_CHECKING:
    from specutils import Spectrum

    from sedflux.predict.prediction import SEDPrediction

__all__ = ["predict_sed", "star_position", "to_sed"]

#: Cards of the coordinates, and those of input headers that hold them.
_POSITION_CARDS = {"RA": ("RA", "RA_TARG", "RA_OBJ", "PLUG_RA"),
                   "DEC": ("DEC", "DEC_TARG", "DEC_OBJ", "PLUG_DEC")}


def predict_sed(spectrum: Spectrum, *, model: str | os.PathLike[str] | Predictor | None = AUTO,
                resolving_power: Any = None, radial_velocity: u.Quantity | None = None,
                reddening: Any = None, wavelengths: u.Quantity | None = None,
                medium: str | None = None) -> Spectrum:
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
        By default ``"auto"``: the packaged model that explains the lines best, of stars or of
        hydrogen white dwarfs (`sedflux.predict.chooser`); a name forces one, and None that of
        stars.
    resolving_power : float or array_like, shape (n,), optional
        lambda / FWHM, one or for every wavelength; by default
        ``spectrum.meta["resolving_power"]``, or 2000.  Sharper spectra are degraded,
        those below 500 refused.
    radial_velocity : `~astropy.units.Quantity`, optional
        Velocity to take out, one or (N,); by default
        ``spectrum.meta["radial_velocity"]``, the spectrum's own, or zero.
    reddening : float, array_like or tuple, optional
        E(B-V), or a tuple of E(B-V) and its error, of the dust that the SED is to be seen
        through (Gordon et al. 2023, R_V = 3.1): one for all stars, or arrays (N,).
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
        `~astropy.nddata.StdDevUncertainty`; `sedflux.covariance_of` gives its covariance.
        ``meta["sedflux"]`` holds model, hash, flags, diagnostics and the errors;
        ``meta["header"]`` the cards that survive writing.

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
    shape = np.shape(getattr(spectrum, "data", ()))
    stars = int(shape[0]) if len(shape) > 1 else None
    dust = None if reddening is None else check_reddening(reddening, stars)
    prediction = loaded_predictor(model).predict_spectrum(
        spectrum, resolving_power=resolving_power, radial_velocity=radial_velocity, medium=medium)
    return to_sed(prediction, type(spectrum), reddening=dust, wavelengths=wavelengths,
                  meta=spectrum.meta)


def to_sed(prediction: SEDPrediction, kind: type, *, reddening: tuple[float, float] | None = None,
           wavelengths: u.Quantity | None = None, meta: Mapping[str, Any] | None = None
           ) -> Spectrum:
    """
    A prediction as the spectrum that `predict_sed` gives.

    Parameters
    ----------
    prediction : `~sedflux.SEDPrediction`
        Without dust.
    kind : type
        `~specutils.Spectrum` or a subclass.
    reddening : tuple of float, optional
        E(B-V) and its error, of the dust to be put on the SED.
    wavelengths : `~astropy.units.Quantity`, optional
        See `predict_sed`.
    meta : dict, optional
        Of the input spectrum: name and place of the star.

    Returns
    -------
    sed : `~specutils.Spectrum`
    """
    header = _star_cards(meta or {}) if prediction.single else {}
    if reddening is not None:
        prediction = prediction.reddened(reddening[0], reddening_error=reddening[1])
    return prediction.to_spectrum(kind, wavelengths=wavelengths, header=header)


def _star_cards(meta):
    """Name and place of the star, from what readers and FITS headers say of it."""
    header = meta.get("header")
    header = header if hasattr(header, "get") else {}
    cards = {}
    name = meta.get("object") or header.get("OBJECT") or header.get("DESIG")
    if isinstance(name, str) and name.isascii() and name.isprintable() and name.strip():
        cards["OBJECT"] = (name.strip()[:68], "star")
    return cards | {card: (value, "[deg] as in the header of the input")
                    for card, value in star_position(header).items()}


def star_position(header: Mapping[str, Any]) -> dict[str, float]:
    """
    Coordinates of a star from the header of its spectrum.

    Parameters
    ----------
    header : mapping
        Such as a FITS header.

    Returns
    -------
    position : dict of str to float
        ``RA`` and ``DEC`` in degrees, if the header has them as numbers.
    """
    position = {}
    for card, keys in _POSITION_CARDS.items():
        value = next((header[key] for key in keys if key in header), None)
        if isinstance(value, (int, float)) and np.isfinite(value):
            position[card] = float(value)
    return position
