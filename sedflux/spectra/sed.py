"""
SEDs as arrays, with errors that follow the spectrum.

An SED carries the covariance of ln(flux) on the wavelengths on which it was made
(`RelativeErrors`).  Scaling an SED, changing its units, cutting or reversing it leaves
these errors as they are: wavelengths find their rows.  Whatever changes the ratio of
uncertainty and flux (smoothing, adding) also breaks the covariance, so that this ratio is
compared before every use.  Resampling drops the covariance.  A spectrum without one is refused:
errors that are taken as independent where they are not would be far too small in a band.
`with_covariance` attaches a covariance to a spectrum of other origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.spectra.relative_errors import (
    NO_COVARIANCE,
    RelativeErrors,
    check_absolute,
    checked_notes,
    find_errors,
    precision_of,
)
from sedflux.spectra.spectrum import (
    copy_with_sigma,
    flux_variance,
    header_cards,
    vacuum_angstrom,
)
from sedflux.units import FLAM, finite_array

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["RelativeErrors", "SEDArrays", "covariance_of", "flux_of", "from_sed", "notes_of",
           "parts_of", "with_covariance"]


#: Share of the largest eigenvalue of a covariance by which rounding makes others negative.
_ROUNDING = 1e-8


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
    notes = checked_notes(sed)
    if "errors" not in notes and isinstance(notes.get("covariance"), LowRankCovariance):
        # Of a calibrated spectrum, whose flux may be zero or negative.
        check_absolute(notes["covariance"], variance, flux.size, precision_of(sed))
        return notes["covariance"]
    variance = None if variance is None else np.atleast_2d(variance)
    found = tuple(
        _errors(sed, wavelength, row, None if variance is None else variance[index], index)
        .covariance.scaled(row) for index, row in enumerate(flux))
    return found[0] if sed.flux.ndim == 1 else found


def with_covariance(spectrum: Spectrum,
                    covariance: LowRankCovariance | np.ndarray | None = None) -> Spectrum:
    """
    Attach a covariance to a spectrum that sedflux did not make.

    Photometry, anchoring and response fits need to know how the errors of an SED belong
    together.  Use this for SEDs of other origin, such as measured standard stars, and for
    SEDs that you resampled or combined.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
        One-dimensional, of positive flux.
    covariance : `~sedflux.LowRankCovariance` or array_like, shape (n, n), optional
        Covariance of the flux at the spectrum's wavelengths, in their order, in the square
        of its unit.  By default the spectrum's uncertainty counts as independent from pixel to
        pixel, and a spectrum without uncertainty as exact.

    Returns
    -------
    spectrum : type of ``spectrum``
        A copy; its uncertainty is the square root of the covariance's diagonal.

    Raises
    ------
    sedflux.exceptions.InputError
        If the shapes differ, the flux is not positive, or the covariance is none.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from specutils import Spectrum
    >>> from sedflux import covariance_of, with_covariance
    >>> star = Spectrum(spectral_axis=[5000, 5010] * u.AA, flux=[1.0, 2.0] * u.Jy)
    >>> star = with_covariance(star, [[0.01, 0.02], [0.02, 0.04]])
    >>> covariance_of(star).sigma.round(3)
    array([0.1, 0.2])
    """
    _check_sed(spectrum, dimensions=(1,))
    flux = np.asarray(spectrum.flux.value, dtype=float)
    _check_positive(flux)
    if covariance is None:
        variance = flux_variance(spectrum)
        found = _independent(np.zeros_like(flux) if variance is None else variance)
    elif isinstance(covariance, LowRankCovariance):
        found = covariance
    else:
        found = _low_rank(finite_array(covariance, "covariance"), flux.size)
    if len(found) != flux.size:
        raise InputError(f"covariance is one of {len(found)} values; the spectrum has {flux.size}")
    errors = RelativeErrors(vacuum_angstrom(spectrum, "vacuum"), found.scaled(1.0 / flux))
    meta = dict(spectrum.meta or {})
    notes = {name: value for name, value in _known_notes(spectrum).items()
             if name not in ("covariance", "parts")}
    return copy_with_sigma(spectrum, found.sigma, meta | {"sedflux": notes | {"errors": errors}})


def _known_notes(spectrum):
    """Notes of a spectrum, without those of several stars if it is none of them any more."""
    try:
        return notes_of(spectrum)[0]
    except InputError:
        notes = (spectrum.meta or {}).get("sedflux", {})
        notes = notes if isinstance(notes, dict) else {}
        return {name: notes[name] for name in ("model", "sha256", "resolving_power")
                if name in notes}


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

    Examples
    --------
    >>> from sedflux import predict_sed
    >>> from sedflux.demo import demo_spectrum
    >>> from sedflux.spectra.sed import parts_of
    >>> sed = predict_sed(demo_spectrum(), reddening=(0.1, 0.02))
    >>> sorted(parts_of(sed))
    ['reddening']
    """
    errors = notes_of(sed)[0].get("errors")
    if not isinstance(errors, RelativeErrors):
        return {}
    return dict(errors.at(vacuum_angstrom(sed, "vacuum")).parts)


def notes_of(sed: Spectrum) -> tuple[dict[str, Any], dict[str, tuple[Any, str]]]:
    """
    What is known of one SED; a row of a spectrum of several stars finds what belongs to it.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        One-dimensional.

    Returns
    -------
    notes : dict
        As ``meta["sedflux"]`` of a single star.
    cards : dict of str to tuple
        Values and comments of the cards of its header.

    Raises
    ------
    sedflux.exceptions.InputError
        If no star of the spectrum that it was taken from has its errors.
    """
    notes, cards = dict(checked_notes(sed)), header_cards(sed)
    errors = notes.get("errors")
    if errors is None or isinstance(errors, RelativeErrors):
        return notes, cards
    row, notes["errors"] = find_errors(sed, vacuum_angstrom(sed, "vacuum"),
                                        np.asarray(sed.flux.value, float), flux_variance(sed), 0)
    for name in ("flags", "flag_bits", "flag_names"):
        notes[name] = notes[name][row]
    for name in ("model", "sha256"):
        if not isinstance(notes.get(name, ""), str):
            notes[name] = str(notes[name][row])
    notes["flag_bits"] = int(notes["flag_bits"])
    notes["diagnostics"] = {name: value[row] for name, value in notes["diagnostics"].items()}
    return notes, cards | {
        name: card if isinstance(card, tuple) else (card, "")
        for name, card in notes.pop("cards")[row].items()}


def flux_of(sed: Spectrum) -> tuple[np.ndarray, np.ndarray, bool]:
    """
    Wavelength and flux of one SED, without its errors.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        One-dimensional.

    Returns
    -------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum wavelength in Angstrom, in the order of the spectrum.
    flux : `~numpy.ndarray`, shape (n,)
        F_lambda in erg/s/cm2/Angstrom, or relative.
    absolute : bool
        Whether the flux is in erg/s/cm2/Angstrom.

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no single spectrum of positive, finite flux.
    """
    _check_sed(sed, dimensions=(1,))
    wavelength = vacuum_angstrom(sed, "vacuum")
    unit = sed.unit
    known = unit == FLAM
    absolute = known or unit != u.dimensionless_unscaled
    flux = np.asarray(sed.data, dtype=float)
    if absolute and not known:
        try:
            flux = sed.flux.to_value(FLAM, u.spectral_density(wavelength * u.AA))
        except u.UnitConversionError as error:
            raise InputError(
                f"sed has the flux unit {sed.flux.unit.to_string()!r}; it must be a flux density "
                "or dimensionless (relative)"
            ) from error
    _check_positive(flux)
    return wavelength, flux, absolute


def from_sed(sed: Spectrum) -> SEDArrays:
    """
    Arrays of one SED, such as `sedflux.predict_sed` gives.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        One-dimensional, with the covariance that it was made with, or one from
        `with_covariance`.

    Returns
    -------
    arrays : `SEDArrays`

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no single spectrum of positive, finite flux, has no covariance, or one that no
        longer belongs to it.
    """
    wavelength, flux, absolute = flux_of(sed)
    errors = _errors(sed, wavelength, np.asarray(sed.data, float), flux_variance(sed), 0)
    if np.any(np.diff(wavelength) < 0):
        order = np.argsort(wavelength)
        wavelength, flux, errors = wavelength[order], flux[order], errors.take(order)
    return SEDArrays(wavelength, flux, errors.covariance, absolute, errors.parts,
                     checked_notes(sed).get("resolving_power"))


def _check_sed(sed: Any, *, dimensions: tuple[int, ...]) -> None:
    from specutils import Spectrum

    if isinstance(sed, Spectrum) and not isinstance(sed.unit, u.UnitBase):
        raise InputError(f"sed has the unit {sed.unit}; it must be a flux density, or relative "
                         "without unit")
    if not isinstance(sed, Spectrum) or sed.data.ndim not in dimensions:
        raise InputError("sed must be one specutils.Spectrum of one dimension; "
                         "take the rows of several one by one")


def _check_positive(flux: np.ndarray) -> None:
    if not np.isfinite(flux).all() or (flux <= 0).any():
        raise InputError("sed must have positive and finite flux at every wavelength")


def _independent(variance: np.ndarray) -> LowRankCovariance:
    """Errors without correlation."""
    if not np.isfinite(variance).all():
        raise InputError("sed has an uncertainty that is negative or not finite")
    return LowRankCovariance(variance, np.zeros((0, variance.size)))


def _low_rank(matrix: np.ndarray, size: int) -> LowRankCovariance:
    """A dense covariance, by its eigenvectors."""
    if matrix.shape != (size, size) or not np.allclose(matrix, matrix.T, rtol=1e-6, atol=0.0):
        raise InputError(f"covariance has the shape {matrix.shape}; a symmetric matrix of shape "
                         f"({size}, {size}) is needed")
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < -_ROUNDING * max(values[-1], 0.0):
        raise InputError("covariance has negative eigenvalues; it is no covariance")
    keep = values > 0
    return LowRankCovariance(np.zeros(size), (vectors[:, keep] * np.sqrt(values[keep])).T)


def _errors(sed: Spectrum, wavelength: np.ndarray, flux: np.ndarray,
            variance: np.ndarray | None, row: int) -> RelativeErrors:
    """Errors of one SED at its present wavelengths, if they are still its own."""
    notes = checked_notes(sed)
    covariance = notes.get("covariance")
    if notes.get("errors") is not None:
        return find_errors(sed, wavelength, flux, variance, row)[1]
    if isinstance(covariance, tuple):
        covariance = covariance[row] if row < len(covariance) else None
    if not isinstance(covariance, LowRankCovariance):
        raise InputError(NO_COVARIANCE)
    check_absolute(covariance, variance, flux.size, precision_of(sed))
    return RelativeErrors(wavelength, covariance.scaled(1.0 / flux))
