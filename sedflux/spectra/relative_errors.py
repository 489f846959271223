"""
Errors of ln(flux) on the wavelengths on which an SED was made, and whether they are still its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError

__all__ = ["MODEL_PARTS", "NO_COVARIANCE", "ErrorsOfStars", "OfStars", "RelativeErrors",
           "check_absolute", "checked_notes", "find_errors", "is_zero_point", "precision_of",
           "shared_names", "zero_point_name"]

#: Parts of the errors of SEDs that all stars of a model share: see
#: `sedflux.training.white_dwarf_errors`.
MODEL_PARTS = ("models", "convection")
#: Begins the names of parts that stand for the zero point of a band, which all stars share, too.
_ZERO_POINT = "zero point "

#: Relative difference of wavelengths that does not matter.
_SAME_WAVELENGTH = 1e-8
#: Relative difference of sigma / flux that rounding explains: that of numbers which were in single
#: precision once, and in units of the precision of the spectrum's numbers.
_ONCE_SINGLE, _ROUNDINGS = 1e-6, 1000.0
_OTHER_WAYS = ("predict it again with wavelengths=..., or attach the right covariance with "
               "sedflux.with_covariance")
_STALE = ("; the spectrum was changed by an operation that its covariance cannot follow, such as "
          f"smoothing, adding or resampling: {_OTHER_WAYS}")
#: What is said of an SED without covariance.
NO_COVARIANCE = ("sed has no covariance; sedflux.predict_sed and sedflux.anchor give one, and "
                 f"files that sedflux wrote hold it.  Resampling drops it: {_OTHER_WAYS}")


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        parts = "".join(f", {name}" for name in self.parts)
        return f"<RelativeErrors of {self.wavelength.size} values{parts}>"

    def take(self, rows: np.ndarray) -> RelativeErrors:
        """Errors at some of the wavelengths."""
        if np.array_equal(rows, np.arange(self.wavelength.size)):
            # Covariances are large: stars of one catalogue share those that nothing changes.
            return self
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
        if np.array_equal(wavelength, self.wavelength):
            return self
        order = np.argsort(self.wavelength)
        known = self.wavelength[order]
        place = np.clip(np.searchsorted(known, wavelength), 1, known.size - 1)
        place = place - (wavelength - known[place - 1] < known[place] - wavelength)
        if (np.abs(known[place] - wavelength) > _SAME_WAVELENGTH * wavelength).any():
            raise InputError("sed has wavelengths that its covariance does not know" + _STALE)
        return self.take(order[place])


@dataclass(frozen=True, repr=False)
class ErrorsOfStars(Sequence[RelativeErrors]):
    """
    Errors of several SEDs on the same wavelengths.

    The errors of a star are made when they are asked for, which takes half of the memory of a
    tuple of all.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum wavelength in Angstrom.
    diagonal : `~numpy.ndarray`, shape (N, n)
        Independent part of the variance of ln(flux).
    factor : `~numpy.ndarray`, shape (N, r, n)
        Common part of it.
    parts : dict of str to `~numpy.ndarray`, shape (N, n)
        Directions of the covariances whose origin is known.
    """

    wavelength: np.ndarray
    diagonal: np.ndarray
    factor: np.ndarray
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __deepcopy__(self, memo: dict[int, Any]) -> ErrorsOfStars:
        # specutils copies the meta data of all stars for each row that it is asked for.
        return self

    def __repr__(self) -> str:
        return f"<ErrorsOfStars of {len(self)} stars, {self.wavelength.size} values each>"

    def __len__(self) -> int:
        return len(self.diagonal)

    @overload
    def __getitem__(self, row: int) -> RelativeErrors: ...

    @overload
    def __getitem__(self, row: slice) -> tuple[RelativeErrors, ...]: ...

    def __getitem__(self, row: int | slice) -> RelativeErrors | tuple[RelativeErrors, ...]:
        if isinstance(row, slice):
            return tuple(self[number] for number in range(len(self))[row])
        return RelativeErrors(self.wavelength,
                              LowRankCovariance(self.diagonal[row], self.factor[row]),
                              {name: part[row] for name, part in self.parts.items()})


class OfStars(tuple[Any, ...]):
    """
    Notes of several SEDs, one of each, which copies share as they do `ErrorsOfStars`.

    Examples
    --------
    >>> from copy import deepcopy
    >>> from sedflux.spectra.relative_errors import OfStars
    >>> notes = OfStars([{"SEDRV": 10.0}, {"SEDRV": -20.0}])
    >>> deepcopy(notes) is notes
    True
    """

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, Any]) -> OfStars:
        return self


def zero_point_name(band: str) -> str:
    """Name of the part that stands for the zero point of a band."""
    return _ZERO_POINT + band


def is_zero_point(name: str) -> bool:
    """Whether a part stands for the zero point of a band."""
    return name.startswith(_ZERO_POINT)


def shared_names(parts: Mapping[str, np.ndarray]) -> list[str]:
    """
    Names of the parts that all stars share, so that more stars do not reduce them.

    Parameters
    ----------
    parts : dict of str to `~numpy.ndarray`
        Directions whose origin is known.

    Returns
    -------
    names : list of str
        `MODEL_PARTS` and zero points, as far as they are not zero.
    """
    names = [*MODEL_PARTS, *filter(is_zero_point, parts)]
    return [name for name in names if np.any(parts.get(name, 0.0))]


def checked_notes(sed: Any) -> dict[str, Any]:
    """
    ``meta["sedflux"]`` of a spectrum.

    Parameters
    ----------
    sed : `~specutils.Spectrum`

    Returns
    -------
    notes : dict
        Empty if there is none.

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no dictionary, or its errors are none.
    """
    notes = (sed.meta or {}).get("sedflux", {})
    errors = notes.get("errors") if isinstance(notes, dict) else notes
    several = errors if isinstance(errors, (tuple, list)) else [errors]
    if not isinstance(notes, dict) or (not isinstance(errors, ErrorsOfStars) and not all(
            one is None or isinstance(one, RelativeErrors) for one in several)):
        raise InputError(f"sed has no covariance: its meta['sedflux'] was replaced; {_OTHER_WAYS}")
    return notes


def find_errors(sed: Any, wavelength: np.ndarray, flux: np.ndarray,
                variance: np.ndarray | None, row: int) -> tuple[int, RelativeErrors]:
    """
    The star whose errors are those of one SED, and these errors at its wavelengths.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        With errors in ``meta["sedflux"]``, of one star or of several.
    wavelength, flux, variance : `~numpy.ndarray`, shape (n,)
        Of the SED, or of one of its rows; the variance may be None.
    row : int
        Where to look first.

    Returns
    -------
    row : int
    errors : `RelativeErrors`

    Raises
    ------
    sedflux.exceptions.InputError
        If no star has the errors of the SED.
    """
    errors = checked_notes(sed)["errors"]
    errors = [errors] if isinstance(errors, RelativeErrors) else errors
    for number in sorted(range(len(errors)), key=lambda number: number != row):
        found = errors[number].at(wavelength)
        if _agrees(found.covariance, flux, variance, precision_of(sed)):
            return number, found
    raise InputError("sed has an uncertainty that its covariance does not give" + _STALE)


def precision_of(sed: Any) -> float:
    """Relative difference of sigma / flux that rounding explains."""
    kinds = [np.asarray(sed.data).dtype]
    if sed.uncertainty is not None:
        kinds.append(np.asarray(sed.uncertainty.array).dtype)
    return max(_ONCE_SINGLE, _ROUNDINGS * max(np.finfo(kind if kind.kind == "f" else float).eps
                                              for kind in kinds))


def check_absolute(covariance: LowRankCovariance, variance: np.ndarray | None, size: int,
                   precision: float) -> None:
    """Refuse a covariance of the flux that another flux or sigma was given."""
    if len(covariance) != size or (
            variance is not None
            and not np.allclose(covariance.variance, variance, rtol=2 * precision, atol=0.0)):
        raise InputError("sed has an uncertainty that its covariance does not give" + _STALE)


def _agrees(covariance: LowRankCovariance, flux: np.ndarray, variance: np.ndarray | None,
            precision: float) -> bool:
    """Whether sigma of ln(flux) is that of the spectrum."""
    sigma = covariance.sigma
    if variance is None:
        # Without errors there is no uncertainty to compare.
        return not sigma.any()
    # Where nearly all is removed, rounding of what it was is left.
    removed = np.sqrt((covariance.removed**2).sum(axis=0))
    near = np.abs(np.sqrt(variance) - sigma * np.abs(flux))
    return bool((near <= precision * (np.sqrt(variance) + removed * np.abs(flux))).all())
