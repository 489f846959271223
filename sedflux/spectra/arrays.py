"""Spectra as plain arrays, checked once: the door that all predictions go through."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.spectra.flux_units import in_unit, relative_factor

__all__ = ["MIN_PIXELS", "SpectrumArrays", "estimate_variance", "fill_gaps", "real_array",
           "spectrum_arrays"]

#: Fewer pixels than these are no spectrum.
MIN_PIXELS = 20
#: Steps between pixels beyond this many median steps of their neighbours are gaps.
_GAP = 3.0
#: Inverse variances of the relative flux that measurements have: below, a pixel says nothing;
#: what claims to be above is told by a flag, and must not overflow.
_MIN_IVAR, _MAX_IVAR = 1e-20, 1e200
#: Spectra that are checked and scaled at a time.
_BLOCK = 64
#: Spectra that are checked and scaled at a time.
_BLOCK = 64
#: Pixels whose median step tells what is usual nearby.
_NEIGHBOURS = 21


@dataclass(frozen=True)
class SpectrumArrays:
    """
    Spectra as the rest of sedflux takes them.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum wavelength in Angstrom, ascending.
    flux : `~numpy.ndarray`, shape (N, n)
        F_lambda of order one, up to a factor for each spectrum; finite.
    ivar : `~numpy.ndarray`, shape (N, n)
        Inverse variance; zero in bad pixels.
    single : bool
        Whether the spectrum had one dimension.
    noise_estimated : bool
        Whether the variance is estimated from the spectra, because none was given.
    resolving_power : float or `~numpy.ndarray`, shape (n,)
        As given, or None if it is not known.
    meta : dict
    """

    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    single: bool
    noise_estimated: bool = False
    resolving_power: float | np.ndarray | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.flux)

    def near(self, low: float, high: float) -> SpectrumArrays:
        """The pixels between two wavelengths (Angstrom); all if two or fewer lie there."""
        inside = slice(np.searchsorted(self.wavelength, low, side="right"),
                       np.searchsorted(self.wavelength, high, side="left"))
        if inside.stop - inside.start <= 2:
            return self
        power = self.resolving_power
        return replace(self, wavelength=self.wavelength[inside], flux=self.flux[:, inside],
                       ivar=self.ivar[:, inside],
                       resolving_power=power[inside] if isinstance(power, np.ndarray) else power)


def real_array(value: Any, name: str, *, masked: bool = False) -> np.ndarray:
    """
    An array of real numbers; what is wrong with anything else.

    Parameters
    ----------
    value : array_like
    name : str
        What errors call it.
    masked : bool, optional
        Whether values may be masked; the mask is dropped.

    Returns
    -------
    array : `~numpy.ndarray`
        Of floating-point numbers.

    Raises
    ------
    sedflux.exceptions.InputError
        If it is text, complex, of True and False, of rows that differ in length, or masked.
    """
    try:
        array = np.asarray(getattr(value, "unmasked", value))
        if array.dtype.kind not in "fiu":
            raise TypeError(f"its type is {array.dtype}")
        if not masked and np.any(getattr(value, "mask", False)):
            raise TypeError("some are masked")
        return array.astype(float, copy=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is no array of real numbers ({error}); give numbers in rows of "
                         "one length") from error


def spectrum_arrays(wavelength: Any, flux: Any, ivar: Any = None, *, mask: Any = None,
                    **more: Any) -> SpectrumArrays:
    """
    Check spectra on one wavelength grid, and scale each to order one.

    Parameters
    ----------
    wavelength : array_like, shape (n,)
        Vacuum wavelength in Angstrom, ascending.
    flux : array_like, shape (n,) or (N, n)
        F_lambda up to a factor; values that are not finite are bad pixels.
    ivar : array_like, shape of ``flux``, optional
        Inverse variance, zero in bad pixels; estimated from the spectra if not given.
    mask : array_like, shape of ``flux`` or (n,), optional
        True, or not zero, in bad pixels.
    **more
        Further attributes of the result.

    Returns
    -------
    spectra : `SpectrumArrays`

    Raises
    ------
    sedflux.exceptions.InputError
        If shapes disagree, wavelengths do not ascend, inverse variances are negative, or no
        spectrum has positive flux in a good pixel.

    Examples
    --------
    >>> import numpy as np
    >>> from sedflux.spectra.arrays import spectrum_arrays
    >>> wavelength = np.linspace(4000.0, 7000.0, 300)
    >>> spectra = spectrum_arrays(wavelength, np.full(300, 2e-15), np.full(300, 1e34))
    >>> float(spectra.flux.mean()), round(float(spectra.ivar[0, 0]) ** 0.5)
    (1.0, 200)
    """
    wavelength = real_array(in_unit(wavelength, "wavelength", u.AA), "wavelength")
    values = real_array(flux, "flux", masked=True)
    if values.ndim not in (1, 2) or values.shape[-1:] != wavelength.shape or values.size == 0:
        raise InputError(
            f"wavelength and flux have the shapes {wavelength.shape} and {values.shape}; "
            "(n,) and (n,) or (N, n) are allowed, and not empty"
        )
    if not np.isfinite(wavelength).all() or (np.diff(wavelength) <= 0).any():
        raise InputError("wavelength must be finite and ascend; sort it, and flux with it")
    if wavelength.size < 2:
        raise InputError("wavelength has one pixel; a spectrum has more")
    if wavelength[0] <= 0:
        raise InputError(f"wavelength reaches down to {wavelength[0]:g}; it must be positive")
    single, rows = values.ndim == 1, np.atleast_2d(values)
    unit = getattr(flux, "unit", None)
    factor = relative_factor(unit, wavelength)
    marked = _marked_pixels(flux, mask, wavelength.shape, rows.shape)
    weights, unsure = None, []
    if ivar is not None:
        ivar = in_unit(ivar, "ivar", (unit or u.dimensionless_unscaled) ** -2)
        weights = _array_of_ivar(ivar, rows.shape)
        unsure = _own_mask(ivar, rows.shape)
    scaled, new_ivar = _scaled(rows, weights, marked, unsure, None if unit is None else factor)
    return SpectrumArrays(wavelength, scaled, new_ivar, single, ivar is None, **more)


def _scaled(rows: np.ndarray, weights: np.ndarray | None, marked: list[np.ndarray],
            unsure: list[np.ndarray], factor: np.ndarray | None) \
        -> tuple[np.ndarray, np.ndarray]:
    """Flux of order one and its inverse variance, zero in bad pixels, a few spectra at a time."""
    scaled, new_ivar = np.empty_like(rows), np.empty_like(rows)
    any_good = any_light = any_weight = False
    for some in _blocks(len(rows)):
        good = np.isfinite(rows[some])
        for marks in marked:
            good &= ~marks[some]
        flux = scaled[some]
        flux[:] = rows[some]
        np.copyto(flux, 0.0, where=~good)
        if factor is not None:
            flux *= factor
        any_good = any_good or bool(good.any())
        any_light = any_light or bool((flux > 0).any())
        # Scaled first, because squares of 1e-17 leave the range of single precision, and sums of
        # 1e308 that of double precision.
        count = np.maximum(good.sum(axis=1), 1)[:, None]
        size = (np.abs(flux) / count).sum(axis=1, keepdims=True)
        size = np.where(size > 0, size, 1.0)
        flux /= size
        if weights is None:
            variance = estimate_variance(flux, good)
            np.divide(1.0, variance, out=variance, where=variance > 0)
            new_ivar[some] = variance
            continue
        for marks in unsure:
            good &= ~marks[some]
        good &= np.isfinite(weights[some])
        any_weight = any_weight or bool(good.any())
        new_ivar[some] = _scaled_ivar(weights[some], size if factor is None else size / factor,
                                      good)
    _refuse_nothing(any_good, any_light, weights is None or any_weight)
    return scaled, new_ivar


def _scaled_ivar(ivar: np.ndarray, scale: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Inverse variance of a flux that is divided by a scale, zero in bad pixels."""
    ivar = np.where(good, ivar, 0.0)
    with np.errstate(over="ignore"):
        # One factor after the other, because zero times infinity is no number.
        ivar *= scale
        ivar *= scale
    np.minimum(ivar, _MAX_IVAR, out=ivar)
    ivar[ivar < _MIN_IVAR] = 0.0
    return ivar


def _refuse_nothing(good: bool, light: bool, weight: bool) -> None:
    """Refuse spectra without a good pixel, without light, or without inverse variance."""
    if not good:
        raise InputError("flux has no good pixel: all are masked or not finite")
    if not light:
        raise InputError("flux is zero or negative throughout: there is no star to predict, "
                         "or the sky is over-subtracted")
    if not weight:
        raise InputError("ivar is not finite, or masked, in every good pixel of flux; give the "
                         "inverse variance, or leave it out to have the noise estimated")


def _blocks(size: int) -> list[slice]:
    """Rows that stay in the processor's cache while they are checked and scaled."""
    return [slice(begin, begin + _BLOCK) for begin in range(0, size, _BLOCK)]


def _marked_pixels(flux: Any, mask: Any, pixels: tuple[int, ...], shape: tuple[int, ...]) \
        -> list[np.ndarray]:
    """Pixels that the mask, or the flux's own mask, marks as bad: arrays of bool, (N, n)."""
    marked = _own_mask(flux, shape)
    if mask is None:
        return marked
    try:
        mask = np.asarray(mask)
    except ValueError as error:
        raise InputError(f"mask has rows of different lengths ({error})") from error
    if mask.dtype.kind not in "biuf":
        raise InputError(f"mask has the type {mask.dtype}; True and False, or numbers, are needed")
    if mask.shape not in (pixels, shape) and np.atleast_2d(mask).shape != shape:
        raise InputError(f"mask has the shape {mask.shape}, flux has {shape}")
    return [*marked, np.broadcast_to(mask != 0, shape)]


def _own_mask(values: Any, shape: tuple[int, ...]) -> list[np.ndarray]:
    """The mask of a masked array, or nothing."""
    own = getattr(values, "mask", None)
    return [] if own is None else [np.broadcast_to(np.asarray(own) != 0, shape)]


def _array_of_ivar(ivar: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Inverse variance (N, n), not negative."""
    ivar = np.atleast_2d(real_array(ivar, "ivar", masked=True))
    if ivar.shape != shape:
        raise InputError(f"ivar has the shape {ivar.shape}, flux has {shape}")
    if any((ivar[some] < 0).any() for some in _blocks(len(ivar))):
        raise InputError(f"ivar reaches down to {np.nanmin(ivar):g}; it must not be negative "
                         "(zero marks bad pixels)")
    return ivar


def estimate_variance(flux: np.ndarray, good: np.ndarray) -> np.ndarray:
    """
    Variance estimated from spectra: third differences, in running windows.

    Differences of third order suppress everything smooth on four pixels (Stoehr
    et al. 2008, DER_SNR); lines that remain only raise the estimate.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (N, n)
    good : `~numpy.ndarray` of bool, shape (N, n)

    Returns
    -------
    variance : `~numpy.ndarray`, shape (N, n)
        Zero in bad pixels.
    """
    from scipy.ndimage import median_filter

    variance = np.zeros_like(flux)
    for row in range(len(flux)):
        index = np.flatnonzero(good[row])
        if index.size < MIN_PIXELS:
            continue
        value = flux[row, index]
        third = (-value[:-3] + 3.0 * value[1:-2] - 3.0 * value[2:-1] + value[3:]) / np.sqrt(20.0)
        level = 1.4826 * median_filter(np.abs(third), size=min(301, index.size // 2 * 2 - 3),
                                       mode="nearest")
        floor = 1e-3 * np.abs(np.median(value))
        level = np.maximum(np.pad(level, (1, 2), mode="edge"), max(floor, 1e-300))
        variance[row, index] = level**2
    return variance


def usual_step(wavelength: np.ndarray) -> np.ndarray:
    """Median step between pixels near each of the n - 1 steps, which gaps do not move."""
    from scipy.ndimage import median_filter

    step = np.diff(wavelength)
    return median_filter(step, size=min(_NEIGHBOURS, step.size // 2 * 2 + 1), mode="nearest")


def fill_gaps(spectra: SpectrumArrays) -> SpectrumArrays:
    """
    Mark the ends of gaps by bad pixels, so that no pixel reaches into a gap.

    A pixel reaches half-way to its neighbours.  Where pixels were dropped instead of
    masked, the last one before a gap would count as the whole of it.

    Parameters
    ----------
    spectra : `SpectrumArrays`

    Returns
    -------
    spectra : `SpectrumArrays`
        With two bad pixels more for each gap.
    """
    wavelength = spectra.wavelength
    step, usual = np.diff(wavelength), usual_step(wavelength)
    ends = np.flatnonzero(step > _GAP * usual)
    if not ends.size:
        return spectra
    extra = np.r_[wavelength[ends] + usual[ends], wavelength[ends + 1] - usual[ends]]
    joined = np.r_[wavelength, extra]
    order = np.argsort(joined, kind="stable")
    blank = np.zeros((len(spectra), extra.size))
    power = spectra.resolving_power
    if isinstance(power, np.ndarray):
        power = np.r_[power, power[ends], power[ends + 1]][order]
    return replace(spectra, wavelength=joined[order], resolving_power=power,
                   flux=np.hstack([spectra.flux, blank])[:, order],
                   ivar=np.hstack([spectra.ivar, blank])[:, order])
