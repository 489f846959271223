"""Extracted spectra as arrays: from `specutils.Spectrum` to pixels, rates and variances."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.spectra.spectrum import flux_variance, vacuum_angstrom
from sedflux.units import positive_number

__all__ = ["MIN_PIXELS", "count_arrays", "count_rate_unit", "saturation_rate", "unusable_reason"]

#: Fewest good pixels of a spectrum from which a response can be fitted.
MIN_PIXELS = 5
#: Unit of count rates before the multiplication by the gain.
_ADU_RATE = u.adu / u.s
#: Units of count rates.
_RATES = (u.electron / u.s, u.ct / u.s, u.photon / u.s, _ADU_RATE)
#: Noise of counts without uncertainty, relative to the largest rate.
_ASSUMED_NOISE = 1e-4
#: Pixels below zero by more than this many sigma are bad.
_MAX_NEGATIVE_SIGMA = 6.0
#: Smallest S/N of the sum over all pixels.
_MIN_TOTAL_SNR = 3.0


def count_rate_unit(unit: Any) -> u.UnitBase | None:
    """
    The count rate per second to which a unit can be converted.

    Parameters
    ----------
    unit : `~astropy.units.Unit`

    Returns
    -------
    rate : `~astropy.units.Unit` or None
        electron/s, ct/s, ph/s or adu/s; None if the unit is no count rate.
    """
    if not isinstance(unit, u.UnitBase):
        return None
    return next((rate for rate in _RATES if unit.is_equivalent(rate)), None)


def _remedy(unit):
    """How counts of another unit become counts per second and pixel."""
    if isinstance(unit, u.UnitBase) and count_rate_unit(unit * u.AA) is not None:
        return "multiply by the width of each pixel in wavelength"
    return "divide by the exposure time"


def saturation_rate(saturation: u.Quantity | None) -> u.Quantity | None:
    """
    Count rate of saturation, checked and per second.

    Parameters
    ----------
    saturation : `~astropy.units.Quantity` or None

    Returns
    -------
    rate : `~astropy.units.Quantity` or None

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no positive count rate.
    """
    if saturation is None:
        return None
    unit = count_rate_unit(getattr(saturation, "unit", None))
    if unit is None:
        raise InputError(f"saturation is {saturation!r}; give a count rate, as 900 * u.ct / u.s")
    return positive_number(saturation, "saturation", unit) * unit


def count_arrays(counts: Any, label: str, *, saturation: u.Quantity | None = None) \
        -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Pixels, count rates and variances of an extracted spectrum, in ascending wavelength.

    Parameters
    ----------
    counts : `~specutils.Spectrum`
        Electrons (counts, photons, ADU) per unit of time and pixel.
    label : str
        Name of the spectrum in errors.
    saturation : `~astropy.units.Quantity`, optional
        Pixels with this rate or more are saturated, and bad; see `saturation_rate`.

    Returns
    -------
    pixels : `~numpy.ndarray`, shape (p,)
        Angstrom.
    rate, variance : `~numpy.ndarray`, shape (p,)
        Per second.  In bad pixels the variance is infinite and the rate is zero.  A pixel is
        bad if it is masked, not finite, saturated, without positive uncertainty, or below
        zero by more than six sigma.

    Raises
    ------
    sedflux.exceptions.InputError
        If it is not a single spectrum, its unit is not that of a count rate, or its uncertainty is
        of an unknown kind.
    """
    from specutils import Spectrum

    if not isinstance(counts, Spectrum) or counts.data.ndim != 1:
        raise InputError(f"{label} must be a specutils.Spectrum of one dimension")
    unit = count_rate_unit(counts.unit)
    if unit is None or np.iscomplexobj(counts.data):
        raise InputError(
            f"{label} has the unit {counts.unit.to_string()!r} and the type "
            f"{counts.data.dtype}; real numbers of electron / s (or ct / s) per pixel are needed: "
            f"{_remedy(counts.unit)}"
        )
    if saturation is not None and (unit == _ADU_RATE) != (saturation.unit == _ADU_RATE):
        raise InputError(f"saturation is {saturation}, {label} has the unit {unit}; multiply the "
                         "one in ADU by the gain")
    try:
        pixels, variance = vacuum_angstrom(counts, "vacuum"), flux_variance(counts)
    except InputError as error:
        raise InputError(f"{label}: {error}") from error
    scale = counts.unit.to(unit)
    rate = np.asarray(counts.data, dtype=float) * scale
    if variance is None:
        level = np.abs(rate[np.isfinite(rate)]).max(initial=0.0)
        variance = np.full(rate.shape, (_ASSUMED_NOISE * level) ** 2)
    else:
        variance = np.asarray(variance, dtype=float) * scale**2
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(rate) | ~np.isfinite(variance) | ~(variance > 0)
        bad |= rate < -_MAX_NEGATIVE_SIGMA * np.sqrt(np.where(variance > 0, variance, 0.0))
    if counts.mask is not None:
        bad |= np.asarray(counts.mask) != 0
    if saturation is not None:
        bad |= np.where(np.isfinite(rate), rate, 0.0) >= saturation.value
    order = np.argsort(pixels)
    variance = np.where(bad, np.inf, variance)[order]
    return pixels[order], np.where(bad, 0.0, rate)[order], variance


def unusable_reason(rate: np.ndarray, variance: np.ndarray) -> str:
    """
    Why no response can be fitted to a spectrum.

    Parameters
    ----------
    rate, variance : `~numpy.ndarray`, shape (p,)
        From `count_arrays`.

    Returns
    -------
    reason : str
        Empty if the spectrum can be used.
    """
    good = np.isfinite(variance)
    if good.sum() < MIN_PIXELS:
        return (f"{int(good.sum())} good pixels with a positive, finite uncertainty; at least "
                f"{MIN_PIXELS} are needed: check mask, NaN, saturation and uncertainty")
    if rate[good].sum() < _MIN_TOTAL_SNR * np.sqrt(variance[good].sum()):
        return "no signal: the counts add up to less than three sigma"
    return ""
