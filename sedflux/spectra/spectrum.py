"""The only door between specutils and plain arrays."""

from dataclasses import dataclass, field

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import InverseVariance, StdDevUncertainty, VarianceUncertainty

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.units import FLAM

__all__ = [
    "SEDArrays",
    "SpectrumArrays",
    "air_to_vacuum",
    "estimate_variance",
    "from_sed",
    "from_spectrum",
    "require_light",
    "sed_to_spectrum",
]



@dataclass(frozen=True)
class SpectrumArrays:
    """
    Spectra as the rest of sedflux wants them.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum Angstrom, ascending.
    flux : `~numpy.ndarray`, shape (N, n)
        F_lambda up to a factor; finite.
    ivar : `~numpy.ndarray`, shape (N, n)
        Inverse variance; zero in bad pixels.
    single : bool
        Whether the spectrum had one dimension.
    flags : tuple of str
        What had to be assumed.
    resolving_power : float or `~numpy.ndarray`, shape (n,)
        As given, or None if nobody knows.
    meta : dict
    """

    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    single: bool
    flags: tuple[str, ...] = ()
    resolving_power: float | np.ndarray | None = None
    meta: dict = field(default_factory=dict)


def air_to_vacuum(wavelength):
    """
    Vacuum wavelengths from wavelengths in standard air (Ciddor 1996, as inverted by
    N. Piskunov for VALD).

    Parameters
    ----------
    wavelength : array_like
        Angstrom, above 2000.

    Examples
    --------
    >>> from sedflux.spectra.spectrum import air_to_vacuum
    >>> float(air_to_vacuum(6562.80).round(2))
    6564.61
    """
    wavelength = np.asarray(wavelength, dtype=float)
    s2 = (1e4 / np.maximum(wavelength, 2000.0)) ** 2
    index = (1.0 + 0.00008336624212083 + 0.02408926869968 / (130.1065924522 - s2)
             + 0.0001599740894897 / (38.92568793293 - s2))
    return np.where(wavelength > 2000.0, wavelength * index, wavelength)


def _vacuum_angstrom(spectrum, medium):
    """Spectral axis in vacuum Angstrom, in the order of the spectrum."""
    axis = u.Quantity(spectrum.spectral_axis)
    if axis.unit.physical_type not in ("length", "frequency", "energy", "wavenumber"):
        raise InputError(
            f"spectral axis has the unit {axis.unit.to_string()!r}; sedflux needs a wavelength, "
            "frequency, energy or wavenumber, such as Angstrom (pixels or velocities must "
            "be calibrated first)"
        )
    wavelength = axis.to_value(u.AA, equivalencies=u.spectral())
    if not np.isfinite(wavelength).all() or (wavelength <= 0).any():
        raise InputError("spectral axis has values that are not finite and positive wavelengths")
    if medium not in ("vacuum", "air"):
        raise InputError(f"medium is {medium!r}; it must be 'vacuum' or 'air'")
    return air_to_vacuum(wavelength) if medium == "air" else wavelength


def _to_f_lambda(unit, wavelength):
    """Factor from a flux unit to F_lambda, up to a constant, at each wavelength."""
    try:
        return (1.0 * unit).to_value(FLAM, u.spectral_density(wavelength * u.AA))
    except u.UnitConversionError:
        # Counts, data numbers, relative flux: shapes are not trusted anyway.
        return np.ones_like(wavelength)


def _variance(spectrum):
    """Variance array of the spectrum, or None if it has no uncertainty."""
    uncertainty = spectrum.uncertainty
    if uncertainty is None:
        return None
    if not isinstance(uncertainty, (StdDevUncertainty, VarianceUncertainty, InverseVariance)):
        raise InputError(
            f"uncertainty is a {type(uncertainty).__name__}; use astropy.nddata's "
            "StdDevUncertainty, VarianceUncertainty or InverseVariance"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = uncertainty.represent_as(VarianceUncertainty).quantity
        if variance.unit == u.dimensionless_unscaled:
            return variance.value
        return variance.to_value(spectrum.flux.unit**2)


def require_light(flux, good):
    """Refuse spectra of which not one has any positive flux."""
    if not ((flux > 0) & good).any():
        raise InputError("flux is zero or negative throughout: there is no star to predict, "
                         "or the sky is over-subtracted")


def estimate_variance(flux, good):
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
        if index.size < 20:
            continue
        value = flux[row, index]
        third = (-value[:-3] + 3.0 * value[1:-2] - 3.0 * value[2:-1] + value[3:]) / np.sqrt(20.0)
        level = 1.4826 * median_filter(np.abs(third), size=min(301, index.size // 2 * 2 - 3),
                                       mode="nearest")
        floor = 1e-3 * np.abs(np.median(value))
        level = np.maximum(np.pad(level, (1, 2), mode="edge"), max(floor, 1e-300))
        variance[row, index] = level**2
    return variance


def from_spectrum(spectrum, *, medium=None, resolving_power=None):
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
        By default ``spectrum.meta["resolving_power"]``.

    Returns
    -------
    arrays : `SpectrumArrays`

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no spectrum, or has the wrong shape, units, or nothing but bad values.
    """
    from specutils import Spectrum

    if not isinstance(spectrum, Spectrum):
        raise InputError(
            f"spectrum is a {type(spectrum).__name__}; give a specutils.Spectrum "
            "(for plain arrays use sedflux.Predictor.predict)"
        )
    if spectrum.flux.ndim not in (1, 2):
        raise InputError(
            f"spectrum has {spectrum.flux.ndim} dimensions, of shape {spectrum.flux.shape}; "
            "one spectrum (n,) or several on one axis (N, n) are allowed: reshape it"
        )
    if spectrum.flux.size == 0 or spectrum.flux.shape[-1] < 20:
        raise InputError(f"spectrum of shape {spectrum.flux.shape} is empty or too short")
    if spectrum.spectral_axis_index not in (None, spectrum.flux.ndim - 1):
        raise InputError("the last axis of the flux must be the spectral one: move it there")
    meta = spectrum.meta or {}
    wavelength = _vacuum_angstrom(spectrum, medium or meta.get("medium", "vacuum"))
    factor = _to_f_lambda(spectrum.flux.unit, wavelength)
    flux = np.atleast_2d(np.array(spectrum.flux.value, dtype=float))
    good = np.isfinite(flux)
    if spectrum.mask is not None:
        good &= ~np.atleast_2d(np.asarray(spectrum.mask) != 0)
    if not good.any():
        raise InputError("spectrum has no good pixel: all are masked or not finite")
    require_light(flux, good)
    flags = ()
    variance = _variance(spectrum)
    # Scaled here, because squares of 1e-17 leave the range of single precision.
    size = np.array([np.median(np.abs(row[ok])) if ok.any() else 1.0
                     for row, ok in zip(flux, good, strict=True)])
    size = np.where(size > 0, size, 1.0)[:, None]
    order = np.argsort(wavelength, kind="stable")
    flux = np.where(good, flux, 0.0) / size
    if variance is None:
        flags = ("noise estimated",)
        variance = estimate_variance(flux[:, order], good[:, order])[:, np.argsort(order)]
    else:
        variance = np.broadcast_to(np.atleast_2d(variance), flux.shape) / size**2
        known = np.isfinite(variance) & (variance > 0)
        if not (known & good).any():
            raise InputError(
                "uncertainty has no finite, positive value in the good pixels; leave it out "
                "(None) to have the noise estimated from the spectrum"
            )
        good &= known
    with np.errstate(divide="ignore"):
        ivar = np.where(good & (variance > 0), 1.0 / np.where(variance > 0, variance, 1.0), 0.0)
    relative = factor / np.median(factor)
    flux, ivar = flux * relative, ivar / relative**2
    step = np.diff(wavelength[order])
    if (step <= 0).any():
        raise InputError("spectral axis has repeated wavelengths: merge or drop them")
    power = meta.get("resolving_power") if resolving_power is None else resolving_power
    if np.ndim(power):
        power = np.asarray(power)
        if power.shape != wavelength.shape:
            raise InputError(f"resolving_power has the shape {power.shape}; one number or one "
                             f"for each of the {wavelength.size} wavelengths is allowed")
        power = power[order]
    return SpectrumArrays(wavelength[order], flux[:, order], ivar[:, order],
                          spectrum.flux.ndim == 1, flags, power, dict(meta))


def sed_to_spectrum(kind, wavelength, flux, sigma, *, meta, header, unit=None):
    """
    Build the spectrum that is handed to the user.

    Parameters
    ----------
    kind : type
        `specutils.Spectrum` or a subclass: what the user gave.
    wavelength : `~astropy.units.Quantity`
        Spectral axis.
    flux, sigma : `~numpy.ndarray`
    meta : dict
        Goes to ``meta["sedflux"]``.
    header : dict
        Cards of ``meta["header"]``, which survive `Spectrum.write`.
    unit : `~astropy.units.Unit`, optional
        Dimensionless by default: relative flux.
    """
    import warnings

    unit = u.dimensionless_unscaled if unit is None else unit
    cards = fits.Header()
    for name, value in header.items():
        cards[name] = value
    with warnings.catch_warnings():
        # The user's own class may be the deprecated one: saying so is not ours to do.
        warnings.filterwarnings("ignore", message=".*Spectrum1D.*")
        return kind(spectral_axis=wavelength, flux=flux * unit,
                    uncertainty=StdDevUncertainty(sigma * unit),
                    meta={"sedflux": meta, "header": cards})


@dataclass(frozen=True)
class SEDArrays:
    """
    An SED as arrays: ascending wavelengths (Angstrom), F_lambda, covariance of ln(flux).

    ``absolute`` tells whether the flux is in erg/s/cm2/Angstrom, or relative.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    relative_covariance: LowRankCovariance
    absolute: bool


def from_sed(sed):
    """
    Arrays of one SED, such as `sedflux.predict_sed` gives.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        One-dimensional; the covariance is ``meta["sedflux"]["covariance"]`` if it is
        there, or else the uncertainty, taken as independent from sample to sample.

    Returns
    -------
    arrays : `SEDArrays`

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no single spectrum of positive, finite flux.
    """
    from specutils import Spectrum

    if not isinstance(sed, Spectrum) or sed.flux.ndim != 1:
        raise InputError("sed must be one specutils.Spectrum of one dimension; "
                         "take the rows of several one by one")
    wavelength = _vacuum_angstrom(sed, "vacuum")
    order = np.argsort(wavelength)
    wavelength = wavelength[order]
    absolute = sed.flux.unit != u.dimensionless_unscaled
    flux = sed.flux.value[order]
    if absolute and sed.flux.unit != FLAM:
        try:
            flux = sed.flux[order].to_value(FLAM, u.spectral_density(wavelength * u.AA))
        except u.UnitConversionError as error:
            raise InputError(
                f"sed has the flux unit {sed.flux.unit.to_string()!r}; it must be a flux density "
                "or dimensionless (relative)"
            ) from error
    if not np.isfinite(flux).all() or (flux <= 0).any():
        raise InputError("sed must have positive and finite flux at every wavelength")
    return SEDArrays(wavelength, flux, _relative_covariance(sed, order), absolute)


def _relative_covariance(sed, order):
    """Covariance of ln(flux), in ascending wavelength."""
    value = sed.flux.value[order]
    covariance = (sed.meta or {}).get("sedflux", {}).get("covariance")
    if isinstance(covariance, LowRankCovariance) and len(covariance) == value.size:
        covariance = LowRankCovariance(covariance.diagonal[order], covariance.factor[:, order])
        return covariance.scaled(1.0 / value)
    variance = _variance(sed)
    variance = np.zeros_like(value) if variance is None else variance[order]
    if not np.isfinite(variance).all():
        raise InputError("sed has an uncertainty that is not finite")
    return LowRankCovariance(variance / value**2, np.zeros((0, value.size)))
