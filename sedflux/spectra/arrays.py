"""Spectra as plain arrays: the checks that all predictions share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.spectra.flux_units import in_unit, relative_factor
from sedflux.spectra.noise import estimate_variance

__all__ = ["CheckedSpectra", "SpectrumArrays", "check_spectra", "real_array", "spectrum_arrays"]

#: Inverse variances of the relative flux that measurements have.  A pixel below counts as
#: bad; values above would overflow and are limited, and a flag tells of them.
MIN_IVAR, MAX_IVAR = 1e-20, 1e200
#: Spectra that are checked and scaled at a time.
_BLOCK = 64


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

    def take(self, rows: Any) -> SpectrumArrays:
        """Some of the spectra, by slice or numbers."""
        return replace(self, flux=self.flux[rows], ivar=self.ivar[rows], single=False)

    def near(self, low: float, high: float) -> SpectrumArrays:
        """The pixels between two wavelengths (Angstrom); all if two or fewer lie there."""
        inside, power = _inside(self.wavelength, low, high), self.resolving_power
        if isinstance(power, np.ndarray) and power.ndim:
            power = power[inside]
        return replace(self, wavelength=self.wavelength[inside], flux=self.flux[:, inside],
                       ivar=self.ivar[:, inside], resolving_power=power)


@dataclass(frozen=True)
class CheckedSpectra:
    """
    Spectra that are checked, and scaled to order one when some of them are taken.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
    rows, weights : `~numpy.ndarray`, shape (N, n)
        Flux and inverse variance as given, of any real type; no weights have their noise
        estimated.
    marked, unsure : list of `~numpy.ndarray`, shape (N, n)
        Not zero in bad pixels of the flux, and of the inverse variance.
    factor : `~numpy.ndarray`, shape (n,), or None
        From the unit of the flux to F_lambda.
    single : bool
        Whether the spectrum had one dimension.
    """

    wavelength: np.ndarray
    rows: np.ndarray
    weights: np.ndarray | None
    marked: list[np.ndarray]
    unsure: list[np.ndarray]
    factor: np.ndarray | None
    single: bool

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def noise_estimated(self) -> bool:
        """Whether the variance is estimated from the spectra, because none was given."""
        return self.weights is None

    def near(self, low: float, high: float) -> CheckedSpectra:
        """The pixels between two wavelengths; all if the noise is estimated, which uses them."""
        if self.weights is None:
            return self
        inside = _inside(self.wavelength, low, high)
        return replace(self, wavelength=self.wavelength[inside], rows=self.rows[:, inside],
                       weights=self.weights[:, inside],
                       marked=[marks[:, inside] for marks in self.marked],
                       unsure=[marks[:, inside] for marks in self.unsure],
                       factor=None if self.factor is None else self.factor[inside])

    def take(self, rows: Any) -> SpectrumArrays:
        """
        Some of the spectra, scaled to order one.

        Parameters
        ----------
        rows : slice or array_like of int

        Returns
        -------
        spectra : `SpectrumArrays`
        """
        some = replace(self, rows=self.rows[rows],
                       weights=None if self.weights is None else self.weights[rows],
                       marked=[marks[rows] for marks in self.marked],
                       unsure=[marks[rows] for marks in self.unsure])
        flux, ivar = some.scaled()
        return SpectrumArrays(self.wavelength, flux, ivar, False, self.noise_estimated)

    def scaled(self) -> tuple[np.ndarray, np.ndarray]:
        """Flux of order one and its inverse variance, zero in bad pixels, (N, n)."""
        flux, ivar = np.empty(self.rows.shape), np.empty(self.rows.shape)
        for some in _blocks(len(self)):
            good = self._good(some)
            np.copyto(flux[some], self.rows[some], where=good)
            np.copyto(flux[some], 0.0, where=~good)
            if self.factor is not None:
                flux[some] *= self.factor
            # Scaled first, because squares of 1e-17 leave the range of single precision, and
            # sums of 1e308 that of double precision.
            count = np.maximum(good.sum(axis=1), 1)[:, None]
            size = (np.abs(flux[some]) / count).sum(axis=1, keepdims=True)
            size = np.where(size > 0, size, 1.0)
            flux[some] /= size
            if self.weights is None:
                variance = estimate_variance(flux[some], good)
                np.divide(1.0, variance, out=variance, where=variance > 0)
                ivar[some] = variance
            else:
                scale = size if self.factor is None else size / self.factor
                ivar[some] = _scaled_ivar(self.weights[some].astype(float), scale,
                                          self._weighted(some, good))
        return flux, ivar

    def refuse_nothing(self) -> None:
        """Refuse spectra without a good pixel, without light, or without inverse variance."""
        any_good = any_light = any_weight = False
        for some in _blocks(len(self)):
            good = self._good(some)
            any_good = any_good or bool(good.any())
            any_light = any_light or bool((self.rows[some] > 0).any(where=good))
            any_weight = any_weight or self.weights is None or bool(
                self._weighted(some, good).any())
            if any_good and any_light and any_weight:
                return
        if not any_good:
            raise InputError("flux has no good pixel: all are masked or not finite")
        if not any_light:
            raise InputError("flux is zero or negative throughout: there is no star to predict, "
                             "or the sky is over-subtracted")
        raise InputError("ivar is not finite, or masked, in every good pixel of flux; give the "
                         "inverse variance, or leave it out to have the noise estimated")

    def _good(self, some: slice) -> np.ndarray:
        """Pixels of some rows whose flux can be used."""
        good = np.isfinite(self.rows[some])
        for marks in self.marked:
            good &= marks[some] == 0
        return good

    def _weighted(self, some: slice, good: np.ndarray) -> np.ndarray:
        """Good pixels whose inverse variance can be used."""
        assert self.weights is not None
        good = good & np.isfinite(self.weights[some])
        for marks in self.unsure:
            good &= marks[some] == 0
        return good


def _inside(wavelength, low, high):
    """The pixels between two wavelengths; all if two or fewer lie there."""
    inside = slice(np.searchsorted(wavelength, low, side="right"),
                   np.searchsorted(wavelength, high, side="left"))
    return inside if inside.stop - inside.start > 2 else slice(None)


def real_array(value: Any, name: str, *, masked: bool = False, cast: bool = True) -> np.ndarray:
    """
    An array of real numbers; what is wrong with anything else.

    Parameters
    ----------
    value : array_like
    name : str
        What errors call it.
    masked : bool, optional
        Whether values may be masked; the mask is dropped.
    cast : bool, optional
        Whether to turn numbers into those of double precision.

    Returns
    -------
    array : `~numpy.ndarray`
        Of floating-point numbers, or of the type given without ``cast``.

    Raises
    ------
    sedflux.exceptions.InputError
        If it is text, complex, of True and False, of rows that differ in length, or masked.
    """
    try:
        array = np.asarray(getattr(value, "unmasked", value))
        if array.dtype.kind not in "fiu":
            raise TypeError(f"its type is {array.dtype}")
        if not masked and any(map(np.any, _own_mask(value, array.shape))):
            raise TypeError("some are masked")
        return array.astype(float, copy=False) if cast or array.itemsize > 8 else array
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
    spectra = check_spectra(wavelength, flux, ivar, mask=mask)
    scaled, new_ivar = spectra.scaled()
    return SpectrumArrays(spectra.wavelength, scaled, new_ivar, spectra.single, ivar is None,
                          **more)


def check_spectra(wavelength: Any, flux: Any, ivar: Any = None, *, mask: Any = None
                  ) -> CheckedSpectra:
    """
    Check spectra on one wavelength grid, and leave them as they are.

    Many spectra then take no more memory than they have, and are scaled a few at a time.

    Parameters
    ----------
    wavelength, flux, ivar, mask : array_like
        See `spectrum_arrays`.

    Returns
    -------
    spectra : `CheckedSpectra`

    Raises
    ------
    sedflux.exceptions.InputError
        As `spectrum_arrays` does.
    """
    wavelength = real_array(in_unit(wavelength, "wavelength", u.AA), "wavelength")
    values = real_array(flux, "flux", masked=True, cast=False)
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
    rows = np.atleast_2d(values)
    unit = getattr(flux, "unit", None)
    factor = relative_factor(unit, wavelength)
    marked = _marked_pixels(flux, mask, wavelength.shape, rows.shape)
    weights, unsure = None, []
    if ivar is not None:
        ivar = in_unit(ivar, "ivar", (unit or u.dimensionless_unscaled) ** -2)
        weights = _array_of_ivar(ivar, rows.shape)
        unsure = _own_mask(ivar, rows.shape)
    spectra = CheckedSpectra(wavelength, rows, weights, marked, unsure,
                             None if unit is None else factor, values.ndim == 1)
    spectra.refuse_nothing()
    return spectra


def _scaled_ivar(ivar: np.ndarray, scale: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Inverse variance of a flux that is divided by a scale, zero in bad pixels."""
    ivar = np.where(good, ivar, 0.0)
    with np.errstate(over="ignore"):
        # One factor after the other, because zero times infinity is no number.
        ivar *= scale
        ivar *= scale
    np.minimum(ivar, MAX_IVAR, out=ivar)
    ivar[ivar < MIN_IVAR] = 0.0
    return ivar


def _blocks(size: int) -> list[slice]:
    """Rows that stay in the processor's cache while they are checked and scaled."""
    return [slice(begin, begin + _BLOCK) for begin in range(0, size, _BLOCK)]


def _marked_pixels(flux: Any, mask: Any, pixels: tuple[int, ...], shape: tuple[int, ...]) \
        -> list[np.ndarray]:
    """Pixels that the mask, or the flux's own mask, marks as bad: arrays (N, n)."""
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
    return [*marked, np.broadcast_to(mask, shape)]


def _own_mask(values: Any, shape: tuple[int, ...]) -> list[np.ndarray]:
    """The mask of a masked array, or nothing; ``mask`` of a pandas.Series is a method."""
    own = getattr(values, "mask", None)
    return [] if own is None or callable(own) else [np.broadcast_to(np.asarray(own), shape)]


def _array_of_ivar(ivar: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Inverse variance (N, n), not negative."""
    ivar = np.atleast_2d(real_array(ivar, "ivar", masked=True, cast=False))
    if ivar.shape != shape:
        raise InputError(f"ivar has the shape {ivar.shape}, flux has {shape}")
    if any((ivar[some] < 0).any() for some in _blocks(len(ivar))):
        raise InputError(f"ivar reaches down to {np.nanmin(ivar):g}; it must not be negative "
                         "(zero marks bad pixels)")
    return ivar
