"""
SEDs as arrays, with errors that follow the spectrum.

An SED carries the covariance of ln(flux) on the wavelengths on which it was made
(`RelativeErrors`).  Scaling an SED, changing its units, cutting or reversing it leaves
these errors as they are: wavelengths find their rows.  Whatever changes the ratio of
uncertainty and flux (smoothing, adding, resampling) also breaks the covariance, so that this
ratio is compared before every use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.spectra.spectrum import flux_variance, vacuum_angstrom
from sedflux.units import FLAM

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["RelativeErrors", "SEDArrays", "covariance_of", "from_sed", "parts_of"]

#: Relative differences of wavelengths, and of sigma / flux, that do not matter (files hold
#: single precision).
_SAME_WAVELENGTH, _SAME_SIGMA = 1e-8, 1e-3
_STALE = ("; the spectrum was changed by an operation that its covariance cannot follow, such as "
          "smoothing, adding or resampling: predict it again with wavelengths=..., or delete "
          "meta['sedflux'] to take the uncertainty as independent from pixel to pixel")


@dataclass(frozen=True)
class RelativeErrors:
    """
    Errors of an SED that a change of scale or unit leaves as they are.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum wavelength in Angstrom on which the SED was made, in any order.
    covariance : `~sedflux.LowRankCovariance`
        Of ln(flux).
    parts : dict of str to `~numpy.ndarray`, shape (n,)
        Directions of the covariance whose origin is known, such as ``reddening``.
    """

    wavelength: np.ndarray
    covariance: LowRankCovariance
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)

    def take(self, rows: np.ndarray) -> RelativeErrors:
        """Errors at some of the wavelengths."""
        return RelativeErrors(self.wavelength[rows], self.covariance.take(rows),
                              {name: part[rows] for name, part in self.parts.items()})

    def at(self, wavelength: np.ndarray) -> RelativeErrors:
        """
        Errors at wavelengths that are among its own.

        Raises
        ------
        sedflux.exceptions.InputError
            If one of them is not.
        """
        order = np.argsort(self.wavelength)
        known = self.wavelength[order]
        place = np.clip(np.searchsorted(known, wavelength), 1, known.size - 1)
        place = place - (wavelength - known[place - 1] < known[place] - wavelength)
        if (np.abs(known[place] - wavelength) > _SAME_WAVELENGTH * wavelength).any():
            raise InputError("sed has wavelengths that its covariance does not know" + _STALE)
        return self.take(order[place])


@dataclass(frozen=True)
class SEDArrays:
    """
    An SED as arrays.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum wavelength in Angstrom, ascending.
    flux : `~numpy.ndarray`, shape (n,)
        F_lambda.
    relative_covariance : `~sedflux.LowRankCovariance`
        Of ln(flux).
    absolute : bool
        Whether the flux is in erg/s/cm2/Angstrom, or relative.
    parts : dict of str to `~numpy.ndarray`, shape (n,)
        Directions of the covariance whose origin is known.
    resolving_power : float or None
        lambda / FWHM with which the SED is broadened, if it is known.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    relative_covariance: LowRankCovariance
    absolute: bool
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    resolving_power: float | None = None


def covariance_of(sed: Spectrum) -> LowRankCovariance | tuple[LowRankCovariance, ...]:
    """
    Covariance of the flux of an SED, in its present unit and order.

    It follows the spectrum through scaling, changes of unit, slicing and reversing.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        From `sedflux.predict_sed`, `sedflux.anchor` or a file of theirs: one SED (n,) or
        several (N, n).

    Returns
    -------
    covariance : `~sedflux.LowRankCovariance`, or tuple of N
        In the square of the unit of ``sed.flux``.

    Raises
    ------
    sedflux.exceptions.InputError
        If the spectrum has no covariance, or one that no longer belongs to it because it
        was smoothed, resampled or combined with another spectrum.

    Examples
    --------
    >>> from sedflux import covariance_of, predict_sed
    >>> from sedflux.demo import demo_spectrum
    >>> sed = predict_sed(demo_spectrum())
    >>> half = 0.5 * sed
    >>> float((covariance_of(half).sigma / half.uncertainty.array).max().round(6))
    1.0
    """
    _check_sed(sed, dimensions=(1, 2))
    wavelength = vacuum_angstrom(sed, "vacuum")
    flux = np.atleast_2d(sed.flux.value)
    variance = flux_variance(sed)
    notes = (sed.meta or {}).get("sedflux", {})
    if "errors" not in notes and isinstance(notes.get("covariance"), LowRankCovariance):
        # Of a calibrated spectrum, whose flux may be zero or negative.
        _check_absolute(notes["covariance"], variance, flux.size)
        return notes["covariance"]
    variance = None if variance is None else np.atleast_2d(variance)
    found = tuple(
        _errors(sed, wavelength, row, None if variance is None else variance[index], index)
        .covariance.scaled(row) for index, row in enumerate(flux))
    return found[0] if sed.flux.ndim == 1 else found


def parts_of(sed: Spectrum) -> dict[str, np.ndarray]:
    """
    Directions of the covariance of ln(flux) whose origin is known, at the SED's wavelengths.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        One-dimensional; see `covariance_of`.

    Returns
    -------
    parts : dict of str to `~numpy.ndarray`, shape (n,)
    """
    notes = (sed.meta or {}).get("sedflux", {})
    if not isinstance(notes.get("errors"), RelativeErrors):
        return {name: np.asarray(part, dtype=float)
                for name, part in notes.get("parts", {}).items()}
    return dict(notes["errors"].at(vacuum_angstrom(sed, "vacuum")).parts)


def from_sed(sed: Spectrum) -> SEDArrays:
    """
    Arrays of one SED, such as `sedflux.predict_sed` gives.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        One-dimensional, with the covariance that it was made with; without one, its
        uncertainty counts as independent from sample to sample.

    Returns
    -------
    arrays : `SEDArrays`

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no single spectrum of positive, finite flux, or its covariance no longer
        belongs to it.
    """
    _check_sed(sed, dimensions=(1,))
    wavelength = vacuum_angstrom(sed, "vacuum")
    order = np.argsort(wavelength)
    absolute = sed.flux.unit != u.dimensionless_unscaled
    flux = np.asarray(sed.flux.value, dtype=float)
    if absolute and sed.flux.unit != FLAM:
        try:
            flux = sed.flux.to_value(FLAM, u.spectral_density(wavelength * u.AA))
        except u.UnitConversionError as error:
            raise InputError(
                f"sed has the flux unit {sed.flux.unit.to_string()!r}; it must be a flux density "
                "or dimensionless (relative)"
            ) from error
    if not np.isfinite(flux).all() or (flux <= 0).any():
        raise InputError("sed must have positive and finite flux at every wavelength")
    notes = (sed.meta or {}).get("sedflux", {})
    variance = flux_variance(sed)
    if not notes.get("errors") and "covariance" not in notes:
        errors = _independent(wavelength, sed.flux.value, variance)
    else:
        errors = _errors(sed, wavelength, np.asarray(sed.flux.value, float), variance, 0)
    errors = errors.take(order)
    return SEDArrays(wavelength[order], flux[order], errors.covariance, absolute, errors.parts,
                     notes.get("resolving_power"))


def _check_sed(sed: Any, *, dimensions: tuple[int, ...]) -> None:
    from specutils import Spectrum

    if not isinstance(sed, Spectrum) or sed.flux.ndim not in dimensions:
        raise InputError("sed must be one specutils.Spectrum of one dimension; "
                         "take the rows of several one by one")


def _independent(wavelength: np.ndarray, flux: np.ndarray, variance: np.ndarray | None) \
        -> RelativeErrors:
    """Errors without correlation; none where the spectrum has no uncertainty."""
    variance = np.zeros_like(wavelength) if variance is None else variance
    if not np.isfinite(variance).all():
        raise InputError("sed has an uncertainty that is negative or not finite")
    return RelativeErrors(wavelength, LowRankCovariance(
        variance / np.asarray(flux, float) ** 2, np.zeros((0, wavelength.size))))


def _errors(sed: Spectrum, wavelength: np.ndarray, flux: np.ndarray,
            variance: np.ndarray | None, row: int) -> RelativeErrors:
    """Errors of one SED at its present wavelengths, if they are still its own."""
    notes = (sed.meta or {}).get("sedflux", {})
    errors, covariance = notes.get("errors"), notes.get("covariance")
    if errors is not None:
        candidates = [errors] if isinstance(errors, RelativeErrors) else list(errors)
        if sed.flux.ndim == 2 and row < len(candidates):
            candidates = [candidates[row], *candidates]
        for candidate in candidates:
            found = candidate.at(wavelength)
            if _agrees(found.covariance.sigma, flux, variance):
                return found
        raise InputError("sed has an uncertainty that its covariance does not give" + _STALE)
    if isinstance(covariance, tuple):
        covariance = covariance[row] if row < len(covariance) else None
    if not isinstance(covariance, LowRankCovariance):
        raise InputError("sed has no covariance; sedflux.predict_sed and sedflux.anchor give one, "
                         "and files that they wrote hold it")
    _check_absolute(covariance, variance, flux.size)
    return RelativeErrors(wavelength, covariance.scaled(1.0 / flux), notes.get("parts", {}))


def _check_absolute(covariance: LowRankCovariance, variance: np.ndarray | None, size: int) -> None:
    """Refuse a covariance of the flux that another flux or sigma was given."""
    if len(covariance) != size or (
            variance is not None
            and not np.allclose(covariance.variance, variance, rtol=2 * _SAME_SIGMA, atol=0.0)):
        raise InputError("sed has an uncertainty that its covariance does not give" + _STALE)


def _agrees(sigma: np.ndarray, flux: np.ndarray, variance: np.ndarray | None) -> bool:
    """Whether sigma of ln(flux) is that of the spectrum."""
    if variance is None:
        return False
    return bool(np.allclose(np.sqrt(variance), sigma * np.abs(flux), rtol=_SAME_SIGMA, atol=0.0))
