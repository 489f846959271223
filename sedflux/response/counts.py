"""The door for extracted spectra: `specutils.Spectrum` to pixels, rates and variances."""

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError

__all__ = ["MIN_PIXELS", "RATES", "count_arrays", "faults"]

#: Fewer good pixels than these say nothing of a response.
MIN_PIXELS = 5
#: Units of count rates.
RATES = (u.electron / u.s, u.ct / u.s, u.adu / u.s, u.photon / u.s)
#: Relative noise of counts that come without uncertainty.
_NO_NOISE = 1e-4
#: Counts more negative than this many sigma are no noise.
_NEGATIVE = 6.0


def count_arrays(counts, label, *, saturation=None):
    """
    Pixels, count rates and variances of an extracted spectrum, in ascending wavelength.

    Parameters
    ----------
    counts : `~specutils.Spectrum`
        Electrons (counts, photons, ADU) a second and pixel.
    label : str
        What errors call it.
    saturation : float, optional
        Rate from which pixels are saturated; they are bad.

    Returns
    -------
    pixels, rate, variance : `~numpy.ndarray`, shape (p,)
        Variance is infinite, and the rate zero, in bad pixels: masked, not finite, with
        no positive variance, saturated, or negative by more than six sigma.

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no single spectrum, or its unit is no count rate.
    """
    from astropy.nddata import VarianceUncertainty
    from specutils import Spectrum

    if not isinstance(counts, Spectrum) or counts.flux.ndim != 1:
        raise InputError(f"{label} must be a specutils.Spectrum of one dimension")
    if counts.flux.unit not in RATES:
        raise InputError(
            f"{label} has the unit {counts.flux.unit.to_string()!r}; "
            "electron / s (or ct / s) a pixel is needed: divide by the exposure time"
        )
    pixels = counts.spectral_axis.to_value(u.AA, u.spectral())
    rate = np.asarray(counts.flux.value, dtype=float)
    if counts.uncertainty is None:
        level = np.abs(rate[np.isfinite(rate)]).max(initial=0.0)
        variance = np.full(rate.shape, (_NO_NOISE * level) ** 2)
    else:
        variance = np.asarray(counts.uncertainty.represent_as(VarianceUncertainty).array, float)
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(rate) | ~np.isfinite(variance) | ~(variance > 0)
        bad |= rate < -_NEGATIVE * np.sqrt(np.where(variance > 0, variance, 0.0))
    if counts.mask is not None:
        bad |= np.asarray(counts.mask) != 0
    if saturation is not None:
        bad |= np.where(np.isfinite(rate), rate, 0.0) >= saturation
    order = np.argsort(pixels)
    variance = np.where(bad, np.inf, variance)[order]
    return pixels[order], np.where(bad, 0.0, rate)[order], variance


def faults(rate, variance):
    """
    Why a spectrum cannot be used at all; an empty string if it can.
    """
    good = np.isfinite(variance)
    if good.sum() < MIN_PIXELS:
        return (f"{int(good.sum())} good pixels with a positive, finite uncertainty; at least "
                f"{MIN_PIXELS} are needed: check mask, NaN, saturation and uncertainty")
    if rate[good].sum() < 3.0 * np.sqrt(variance[good].sum()):
        return "no signal: the counts add up to less than three sigma"
    return ""
