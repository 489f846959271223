"""Spectra of specutils as plain arrays, and plain arrays as spectra of specutils."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.io import fits
from astropy.nddata import InverseVariance, StdDevUncertainty, VarianceUncertainty

from sedflux.exceptions import InputError
from sedflux.spectra.arrays import SpectrumArrays, spectrum_arrays
from sedflux.spectra.flux_units import flux_factor, unit_error
from sedflux.spectra.noise import MIN_PIXELS

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["air_to_vacuum", "copy_with_sigma", "flux_variance", "from_spectrum", "header_cards",
           "header_value", "sed_to_spectrum", "vacuum_angstrom"]


def air_to_vacuum(wavelength: npt.ArrayLike) -> np.ndarray:
    """
    Vacuum wavelengths from wavelengths in standard air (Ciddor 1996, as inverted by
    N. Piskunov for VALD).

    Parameters
    ----------
    wavelength : array_like
        Angstrom, above 2000.

    Returns
    -------
    wavelength : `~numpy.ndarray`

    Examples
    --------
    >>> from sedflux.spectra.spectrum import air_to_vacuum
    >>> float(air_to_vacuum(6562.80).round(2))
    6564.61
    """
    air = np.asarray(wavelength, dtype=float)
    s2 = (1e4 / np.maximum(air, 2000.0)) ** 2
    index = (1.0 + 0.00008336624212083 + 0.02408926869968 / (130.1065924522 - s2)
             + 0.0001599740894897 / (38.92568793293 - s2))
    return np.where(air > 2000.0, air * index, air)


def vacuum_angstrom(spectrum: Spectrum, medium: str) -> np.ndarray:
    """
    Spectral axis in vacuum Angstrom, in the order of the spectrum.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
    medium : {'vacuum', 'air'}

    Returns
    -------
    wavelength : `~numpy.ndarray`, shape (n,)
    """
    axis = u.Quantity(spectrum.spectral_axis)
    if axis.unit is not u.AA and axis.unit.physical_type not in (
            "length", "frequency", "energy", "wavenumber"):
        raise InputError(
            f"spectral axis has the unit {axis.unit.to_string()!r}; sedflux needs a wavelength, "
            "frequency, energy or wavenumber, such as Angstrom (pixels or velocities must "
            "be calibrated first)"
        )
    wavelength = axis.value if axis.unit is u.AA else axis.to_value(
        u.AA, equivalencies=u.spectral())
    if not np.isfinite(wavelength).all() or (wavelength <= 0).any():
        raise InputError("spectral axis has values that are not finite and positive wavelengths")
    if not isinstance(medium, str) or medium not in ("vacuum", "air"):
        raise InputError(f"medium is {medium!r}; it must be 'vacuum' or 'air'")
    return air_to_vacuum(wavelength) if medium == "air" else wavelength


def flux_variance(spectrum: Spectrum) -> np.ndarray | None:
    """
    Variance of the flux, in the square of its unit; NaN where it cannot be one.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`

    Returns
    -------
    variance : `~numpy.ndarray`, shape of the flux, or None
        None if the spectrum has no uncertainty.

    Raises
    ------
    sedflux.exceptions.InputError
        If the uncertainty is of another kind, or its unit does not fit the flux.
    """
    uncertainty = spectrum.uncertainty
    if uncertainty is None:
        return None
    if not isinstance(uncertainty, (StdDevUncertainty, VarianceUncertainty, InverseVariance)):
        raise InputError(
            f"uncertainty is a {type(uncertainty).__name__}; use astropy.nddata's "
            "StdDevUncertainty, VarianceUncertainty or InverseVariance"
        )
    # In single precision the squares of small errors are zero.
    array = np.asarray(uncertainty.array, dtype=float)
    negative = array < 0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if isinstance(uncertainty, StdDevUncertainty) and uncertainty.unit is not None \
                and uncertainty.unit == spectrum.unit:
            # Astropy comes to the same by twenty operations on units.
            return np.where(negative, np.nan, array**2)
        exact = type(uncertainty)(array, unit=uncertainty.unit)
        variance = exact.represent_as(VarianceUncertainty).quantity
        if variance.unit == u.dimensionless_unscaled:
            values = variance.value
        else:
            values = variance.to_value(spectrum.flux.unit**2)
    return np.where(negative, np.nan, values)


def _check_kind(spectrum: Any) -> None:
    """Refuse what is no spectrum, or has a shape that cannot be used."""
    from specutils import Spectrum

    if not isinstance(spectrum, Spectrum):
        how = "for plain arrays use sedflux.Predictor.predict"
        if isinstance(spectrum, (str, os.PathLike)):
            how = "Spectrum.read reads a file after sedflux.register_readers()"
        elif isinstance(spectrum, Sequence) and spectrum and isinstance(spectrum[0], Spectrum):
            how = "one at a time"
        raise InputError(f"spectrum is a {type(spectrum).__name__}; give a specutils.Spectrum "
                         f"({how})")
    if not isinstance(spectrum.unit, u.UnitBase):
        # specutils takes magnitudes, and fails when their flux is asked for.
        raise unit_error(spectrum.unit)
    if spectrum.flux.ndim not in (1, 2):
        raise InputError(
            f"spectrum has {spectrum.flux.ndim} dimensions, of shape {spectrum.flux.shape}; "
            "one spectrum (n,) or several on one axis (N, n) are allowed: reshape it"
        )
    if spectrum.flux.size == 0 or spectrum.flux.shape[-1] < MIN_PIXELS:
        raise InputError(f"spectrum of shape {spectrum.flux.shape} is empty or too short; "
                         f"{MIN_PIXELS} pixels or more are needed")
    if spectrum.spectral_axis_index not in (None, spectrum.flux.ndim - 1):
        raise InputError("the last axis of the flux must be the spectral one: move it there")
    if np.iscomplexobj(spectrum.flux.value):
        raise InputError("flux is complex; give real numbers")


def _sorted_power(power: Any, wavelength: np.ndarray, order: np.ndarray) -> Any:
    """Resolving power in ascending wavelength."""
    if not np.ndim(power):
        return power
    power = np.asarray(power)
    if power.shape != wavelength.shape:
        raise InputError(f"resolving_power has the shape {power.shape}; one number or one "
                         f"for each of the {wavelength.size} wavelengths is allowed")
    return power[order]


def _read_power(meta: Mapping[str, Any], wavelength: np.ndarray, medium: str) -> Any:
    """Resolving power in meta data; of a part of what a reader gave, that of its pixels."""
    power: Any = meta.get("resolving_power")
    whole: Any = meta.get("resolving_power_wavelength")
    if np.ndim(power) != 1 or np.shape(power) != np.shape(whole) or (
            np.size(power) == wavelength.size):
        return power
    whole = air_to_vacuum(whole) if medium == "air" else whole
    return np.interp(wavelength, whole, power)


def from_spectrum(spectrum: Spectrum, *, medium: str | None = None,
                  resolving_power: Any = None) -> SpectrumArrays:
    """
    Arrays of a spectrum, whatever its units, order, uncertainty or mask.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
        One or two dimensions, the last of them spectral.
    medium : {'vacuum', 'air'}, optional
        What the wavelengths refer to; by default ``spectrum.meta["medium"]``, or
        vacuum.
    resolving_power : float or array_like, shape (n,), optional
        By default ``spectrum.meta["resolving_power"]``.  If this is of the wavelengths in
        ``meta["resolving_power_wavelength"]`` (Angstrom, ascending), as readers give it, the
        spectrum may be a part of them.

    Returns
    -------
    arrays : `~sedflux.spectra.arrays.SpectrumArrays`

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no spectrum, or has the wrong shape, units, or nothing but bad values.
    """
    _check_kind(spectrum)
    meta = dict(spectrum.meta or {})
    medium = meta.get("medium", "vacuum") if medium is None else medium
    wavelength = vacuum_angstrom(spectrum, medium)
    factor = flux_factor(spectrum.flux.unit, wavelength)
    relative = factor / np.median(factor)
    flux = np.atleast_2d(np.array(spectrum.flux.value, dtype=float))
    good = np.isfinite(flux)
    if spectrum.mask is not None:
        good &= ~np.atleast_2d(np.asarray(spectrum.mask) != 0)
    if not good.any():
        raise InputError("spectrum has no good pixel: all are masked or not finite")
    order = np.argsort(wavelength, kind="stable")
    if (np.diff(wavelength[order]) <= 0).any():
        raise InputError("spectral axis has repeated wavelengths: merge or drop them")
    power = _read_power(meta, wavelength, medium) if resolving_power is None else resolving_power
    ivar, scale = _inverse_variance(spectrum, flux, good)
    if ivar is not None:
        ivar = (ivar / relative**2)[:, order]
    flux = np.where(good, flux, 0.0) / scale * relative
    single = spectrum.flux.ndim == 1
    flux, good = flux[:, order], good[:, order]
    if single:
        flux, good, ivar = flux[0], good[0], None if ivar is None else ivar[0]
    return spectrum_arrays(wavelength[order], flux, ivar, mask=~good, meta=meta,
                           resolving_power=_sorted_power(power, wavelength, order))


def _inverse_variance(spectrum: Spectrum, flux: np.ndarray, good: np.ndarray) \
        -> tuple[np.ndarray | None, np.ndarray]:
    """Inverse variance of each flux over its scale, and that scale, (N, 1)."""
    # Squares of 1e-17, and of 1e-200, leave the range of numbers.
    scale = np.max(np.abs(flux), axis=1, initial=0.0, where=good)
    scale = np.where(scale > 0, 2.0 ** np.round(np.log2(np.where(scale > 0, scale, 1.0))), 1.0)
    scale = scale[:, None]
    variance = flux_variance(spectrum)
    if variance is None:
        return None, scale
    with np.errstate(over="ignore"):
        # What is not finite then is not known.
        variance = np.broadcast_to(np.atleast_2d(variance), flux.shape) / scale / scale
    known = np.isfinite(variance) & (variance > 0)
    if not (known & good).any():
        raise InputError(
            "uncertainty has no finite, positive value in the good pixels; leave it out "
            "(None) to have the noise estimated from the spectrum"
        )
    return np.where(known, 1.0 / np.where(known, variance, 1.0), 0.0), scale


def sed_to_spectrum(kind: type | None, wavelength: u.Quantity, flux: np.ndarray,
                    sigma: np.ndarray, *, meta: Mapping[str, Any], header: Mapping[str, Any],
                    unit: u.UnitBase | None = None) -> Any:
    """
    Build the spectrum that is handed to the user.

    Parameters
    ----------
    kind : type or None
        `specutils.Spectrum`, which None stands for, or a subclass: what the user gave.
    wavelength : `~astropy.units.Quantity`
        Spectral axis.
    flux, sigma : `~numpy.ndarray`
    meta : dict
        Goes to ``meta["sedflux"]``.
    header : dict
        Cards of ``meta["header"]``, which survive `Spectrum.write`.
    unit : `~astropy.units.Unit`, optional
        Dimensionless by default: relative flux.

    Returns
    -------
    spectrum : ``kind``
    """
    from specutils import Spectrum

    unit = u.dimensionless_unscaled if unit is None else unit
    kind = Spectrum if kind is None else kind
    cards = fits.Header()
    for name, value in header.items():
        try:
            cards[name] = value
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"header has {str(value)[:60]!r} for the card {str(name)[:60]!r}, "
                             "which FITS cannot hold; give text or a number") from error
    with warnings.catch_warnings():
        # The user's own class may be the deprecated one: saying so is not ours to do.
        warnings.filterwarnings("ignore", message=".*Spectrum1D.*")
        try:
            return kind(spectral_axis=wavelength, flux=flux * unit,
                        uncertainty=StdDevUncertainty(sigma * unit),
                        meta={"sedflux": dict(meta), "header": cards})
        except ValueError as error:
            raise InputError(f"the SED is no spectrum ({error}); leave wavelength and flux as "
                             "sedflux made them") from error


def header_cards(spectrum: Spectrum) -> dict[str, tuple[Any, str]]:
    """
    Values and comments of the cards of ``meta["header"]``, by keyword.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`

    Returns
    -------
    cards : dict of str to tuple
        Empty without a FITS header.
    """
    header = (spectrum.meta or {}).get("header")
    return {card.keyword: (card.value, card.comment) for card in getattr(header, "cards", [])}


def header_value(spectrum: Spectrum, keyword: str) -> Any:
    """
    Value of one card of ``meta["header"]``, without reading the others.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
    keyword : str

    Returns
    -------
    value : object
        None without a FITS header or such a card.
    """
    header = (spectrum.meta or {}).get("header")
    value = header.get(keyword) if isinstance(header, fits.Header) else None
    return value[0] if isinstance(value, tuple) else value


def copy_with_sigma(spectrum: Spectrum, sigma: np.ndarray, meta: Mapping[str, Any]) -> Any:
    """
    Copy a spectrum with another uncertainty and other meta data.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
    sigma : `~numpy.ndarray`, shape of the flux
        Standard deviation, in the unit of the flux.
    meta : dict

    Returns
    -------
    spectrum : type of ``spectrum``
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Spectrum1D.*")
        return type(spectrum)(
            spectral_axis=spectrum.spectral_axis, flux=spectrum.flux.copy(), mask=spectrum.mask,
            uncertainty=StdDevUncertainty(sigma * spectrum.flux.unit), meta=dict(meta))
