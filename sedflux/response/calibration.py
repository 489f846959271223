"""Calibrate the counts of an object with a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.response.counts import count_arrays
from sedflux.spectra.grids import pixel_edges
from sedflux.spectra.spectrum import header_cards, sed_to_spectrum
from sedflux.units import FLAM, photons_per_flux, positive_number

__all__ = ["calibrated"]

#: Cards of a star that its calibrated spectrum keeps.
_STAR_CARDS = ("OBJECT", "RA", "DEC")
#: Pixels to each side from which the slope of the counts is found, and the standard deviation of
#: their Gaussian weights in pixels: single pixels are too noisy, and lines span several.
_SLOPE_PIXELS, _SLOPE_SCALE = 4, 1.5


def calibrated(response: Any, counts: Any, *, systematics: bool,
               grey_error: float | None, wavelength_error: u.Quantity | float | None,
               place: Mapping[str, Any]) -> Any:
    """
    Convert count rates of an object to F_lambda: see `~sedflux.ResponseCurve.calibrate`.

    Parameters
    ----------
    response : `~sedflux.ResponseCurve`
    counts : `~specutils.Spectrum`
    systematics : bool
    grey_error, wavelength_error : float or None
        None for those of the response.
    place : dict
        ``x``, ``y``, ``detector``, ``epoch`` of `~sedflux.ResponseCurve.evaluate`.

    Returns
    -------
    spectrum : type of ``counts``
    """
    pixels, rate, variance = count_arrays(counts, "counts")
    grey, shift = response.grey_error, response.wavelength_error
    if grey_error is not None:
        grey = positive_number(grey_error, "grey_error", zero=True)
    if wavelength_error is not None:
        shift = positive_number(wavelength_error, "wavelength_error", u.AA, zero=True)
    value, covariance, good = response.evaluate(pixels, systematics=systematics, **place)
    if not good.any():
        raise InputError(
            f"counts cover {pixels[0]:.0f}-{pixels[-1]:.0f} Angstrom, the response "
            f"{response.wavelength[0]:.0f}-{response.wavelength[-1]:.0f}: cut the counts to it"
        )
    width = np.diff(pixel_edges(pixels))
    scale = (response.area.to_value(u.cm**2) * width * np.exp(value) * photons_per_flux(pixels))
    usable = good & np.isfinite(variance)
    flux = np.where(usable, rate / scale, 0.0)
    # Masked pixels get the largest noise of the others: a covariance must be finite.
    noise = np.where(usable, variance / scale**2,
                     np.max(variance[usable] / scale[usable] ** 2, initial=0.0))
    factor = [covariance.factor * flux]
    if grey > 0:
        factor.append(grey * flux[None])
    if shift > 0:
        # The counts move against the response: their slope counts, not that of the flux.
        slope = _slope(pixels, rate / width, np.isfinite(variance))
        factor.append((shift * np.where(usable, slope * width / scale, 0.0))[None])
    total = LowRankCovariance(noise, np.vstack(factor))
    cards = {name: card for name, card in header_cards(counts).items() if name in _STAR_CARDS}
    result = sed_to_spectrum(type(counts), pixels * u.AA, flux, total.sigma,
                             meta={"covariance": total}, header=cards, unit=FLAM)
    result.mask = ~usable
    return result


def _slope(x, y, known):
    """Slope of noisy values at each pixel: weighted straight lines through a few pixels."""
    sums = np.zeros((5, x.size))
    for move in range(-_SLOPE_PIXELS, _SLOPE_PIXELS + 1):
        there = np.arange(x.size) + move
        inside = (there >= 0) & (there < x.size)
        there = np.clip(there, 0, x.size - 1)
        weight = np.where(inside & known[there], np.exp(-0.5 * (move / _SLOPE_SCALE) ** 2), 0.0)
        step, value = x[there] - x, np.where(known[there], y[there], 0.0)
        sums += weight * np.stack([np.ones(x.size), step, step**2, value, step * value])
    one, step, square, value, product = sums
    determinant = one * square - step**2
    flat = determinant <= 1e-12 * np.maximum(one * square, 1e-300)
    return np.where(flat, 0.0, (one * product - step * value) / np.where(flat, 1.0, determinant))
