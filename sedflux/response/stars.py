"""Read the stars of a fit: from spectra and SEDs to `StarArrays`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError, SedfluxWarning
from sedflux.response.counts import MIN_PIXELS, count_arrays, unusable_reason
from sedflux.response.outliers import EXCLUDED, UNUSABLE, Rejection
from sedflux.response.pixel_integrals import pixel_integrals
from sedflux.response.sed_errors import node_errors, photon_fluxes
from sedflux.response.star_arrays import SecondErrors, StarArrays
from sedflux.response.systematics import largest_library_error
from sedflux.slitless.forward import (
    blur_operator,
    distinct_points,
    fine_grid,
    second_order_operator,
)
from sedflux.spectra.grids import pixel_edges
from sedflux.spectra.library_error import library_error_of
from sedflux.spectra.relative_errors import MODEL_PARTS, is_zero_point, shared_names
from sedflux.spectra.sed import SEDArrays, flux_of, from_sed
from sedflux.spectra.spectrum import header_value

if TYPE_CHECKING:
    from specutils import Spectrum

    from sedflux.slitless.forward import SecondOrder
    from sedflux.slitless.line_spread import LineSpread

__all__ = ["read_stars"]

#: Points of the fine grid per pixel without a line-spread function.
_POINTS_PER_PIXEL = 3.0
#: Fewest intervals between nodes.
_MIN_INTERVALS = 8
#: Parts of the errors of an SED that a fit asks for: what they are, and how to give them.
_ASKED = {"reddening": ("E(B-V)", "give predict_sed or condition reddening=(E(B-V), error)"),
          "anchor": ("the magnitude", "give sedflux.anchor magnitude_error")}
#: What the card SEDNORM says of an SED that is scaled to one magnitude, or to several with errors.
_ONE_MAGNITUDE, _MAGNITUDES = "magnitude", "photometry"


class _Pixels:
    """
    Good pixels of all stars one after the other, in arrays that are made once.

    Many small arrays, joined in the end, would leave holes in the memory.
    """

    def __init__(self, size: int) -> None:
        self.stars: list[int] = []
        self._values, self._edges = np.empty((3, size)), np.empty((2, size))
        # Zeros that nobody writes to take no memory.
        self._second = np.zeros(size)
        self._end = 0

    def add(self, good: np.ndarray, edges: np.ndarray, *values: np.ndarray,
            second: np.ndarray | None) -> None:
        """Add pixels of one star: edges (p + 1,), centre, rate, variance, and second order."""
        number = int(good.sum())
        here = slice(self._end, self._end + number)
        self._end = here.stop
        self.stars.append(number)
        for target, value in ((self._edges, (edges[:-1], edges[1:])), (self._values, values)):
            for row, one in zip(target, value, strict=True):
                row[here] = one[good]
        if second is not None:
            self._second[here] = second[good]

    @property
    def values(self) -> tuple[np.ndarray, ...]:
        """Centre, rate, variance, and rate of the second order, each (p,)."""
        return *self._values[:, :self._end], self._second[:self._end]

    @property
    def edges(self) -> np.ndarray:
        """Lower and upper edges, shape (2, p)."""
        return self._edges[:, :self._end]


@dataclass(frozen=True)
class _Star:
    """One star as read, without its pixels."""

    name: str
    row: int
    sed: SEDArrays
    resolving_power: float | None
    ebv: float
    library_error: tuple[tuple[float, float], ...] | None
    scaled: bool
    unknown: tuple[str, ...]


def _read_star(counts, sed, row, name, options, found):
    """A star, or the reason why it cannot be used; its good pixels are added to those found."""
    pixels, rate, variance = count_arrays(counts, f"counts[{row}]",
                                          saturation=options["saturation"])
    if pixels.size > 1 and np.any(np.diff(pixels) <= 0):
        return "two pixels have the same wavelength"
    try:
        if not flux_of(sed)[2]:
            return "its SED is relative; put it on an absolute scale with sedflux.anchor"
        arrays = from_sed(sed)
    except InputError as error:
        raise InputError(f"seds[{row}]: {error}") from error
    if pixels.size < MIN_PIXELS:
        return unusable_reason(rate, variance)
    edges = pixel_edges(pixels)
    low, high = arrays.wavelength[[0, -1]]
    if options["wavelength_range"] is not None:
        first, last = options["wavelength_range"]
        low, high = max(low, first), min(high, last)
    inside = (edges[:-1] >= low) & (edges[1:] <= high)
    if inside.sum() < MIN_PIXELS:
        return (f"no overlap: its pixels reach from {edges[0]:.0f} to {edges[-1]:.0f} Angstrom, "
                f"SED and band from {low:.0f} to {high:.0f}")
    good = inside & np.isfinite(variance)
    reason = unusable_reason(np.where(good, rate, 0.0), np.where(good, variance, np.inf))
    if reason:
        return reason
    # Without a line-spread function the SEDs are taken to be as broad as the counts.
    power = None
    if options["line_spread"] is not None:
        power = options["sed_resolving_power"] or arrays.resolving_power
    second = None
    if options["second_order"] is not None:
        second = second_order_operator(
            pixels, arrays.wavelength, options["second_order"], area=options["area"],
            line_spread=options["line_spread"], sed_resolving_power=power) @ arrays.flux
    found.add(good, edges, pixels, rate, variance, second=second)
    return _Star(name, row, arrays, power, _known_ebv(sed), _library_error(sed, arrays),
                 _is_scaled(sed, arrays), _unknown_errors(sed, arrays))


def _library_error(sed, arrays):
    """What an SED says of the error that it shares; nothing more if its parts are these errors."""
    found = library_error_of(sed)
    of_model = any(name in MODEL_PARTS for name in shared_names(arrays.parts))
    return () if found is None and of_model else found


def _is_scaled(sed, arrays):
    """Whether an SED follows magnitudes, whose zero points are no part of its errors."""
    follows = (np.any(arrays.parts.get("anchor", 0.0))
               or header_value(sed, "SEDNORM") in (_ONE_MAGNITUDE, _MAGNITUDES))
    return bool(follows) and not any(is_zero_point(name) for name in shared_names(arrays.parts))


def _known_ebv(sed):
    """E(B-V) with which an SED is reddened, NaN if its header does not say."""
    try:
        return float(header_value(sed, "SEDEBV"))
    except (TypeError, ValueError):
        return float("nan")


def _unknown_errors(sed, arrays):
    """Errors that the SED of a model lacks: of its reddening, and of its magnitude."""
    if "model" not in (sed.meta or {}).get("sedflux", {}):
        return ()
    # `sedflux.condition` takes no magnitude without an error.
    known = {"anchor"} if header_value(sed, "SEDNORM") == _MAGNITUDES else set()
    return tuple(name for name in _ASKED
                 if name not in known and not np.any(arrays.parts.get(name, 0.0)))


def _warn_of_unknown_errors(found):
    """Name the errors that SEDs lack, once for all stars."""
    for name, (what, remedy) in _ASKED.items():
        number = sum(name in star.unknown for star in found)
        if number:
            warnings.warn(f"the SEDs of {number} of {len(found)} stars have no error of {what}, "
                          f"which counts as known exactly: {remedy}", SedfluxWarning, stacklevel=4)


def read_stars(counts: Sequence[Spectrum], seds: Sequence[Spectrum], *, area: float,
               names: Sequence[Any] | None = None, line_spread: LineSpread | None = None,
               second_order: SecondOrder | None = None, sed_resolving_power: float | None = None,
               wavelength_range: tuple[float, float] | None = None,
               saturation: u.Quantity | None = None,
               exclude: Mapping[str, str] | None = None) -> StarArrays:
    """
    Check stars and convert them to arrays.

    Parameters
    ----------
    counts, seds : sequence of `~specutils.Spectrum`
    area : float
        Collecting area in cm2.
    names, line_spread, second_order, sed_resolving_power, exclude
        See `sedflux.fit_response`.
    wavelength_range : tuple of float, optional
        Angstrom; pixels beyond are left out.
    saturation : `~astropy.units.Quantity`, optional
        From `~sedflux.response.counts.saturation_rate`.

    Returns
    -------
    stars : `StarArrays`

    Raises
    ------
    sedflux.exceptions.InputError
        If a spectrum is of the wrong kind, or no star can be used.
    """
    names = [str(name) for name in (names if names is not None else range(len(counts)))]
    options = {"saturation": saturation, "wavelength_range": wavelength_range, "area": area,
               "sed_resolving_power": sed_resolving_power, "line_spread": line_spread,
               "second_order": second_order}
    found: list[_Star] = []
    pixels = _Pixels(sum(np.size(getattr(one, "data", ())) for one in counts))
    rejected: dict[str, Rejection] = {}
    for row, (one, sed) in enumerate(zip(counts, seds, strict=True)):
        if exclude and names[row] in exclude:
            rejected[names[row]] = Rejection(EXCLUDED, exclude[names[row]])
            continue
        star = _read_star(one, sed, row, names[row], options, pixels)
        if isinstance(star, str):
            rejected[names[row]] = Rejection(UNUSABLE, star)
        else:
            found.append(star)
    if not found:
        reasons = "; ".join(f"{name}: {one.reason}" for name, one in list(rejected.items())[:5])
        raise InputError(f"none of the {len(rejected)} stars can be used: {reasons}")
    _warn_of_unknown_errors(found)
    return _assemble(found, pixels, rejected, area=area, line_spread=line_spread,
                     ratio=None if second_order is None else second_order.ratio)


def _assemble(found, pixels, rejected, *, area, line_spread, ratio):
    """Arrays of the stars that were read; a second order has a ratio of wavelengths."""
    low, high = pixels.edges
    fine, blur, step = _grids(found, low.min(), high.max(), float(np.median(high - low)),
                              line_spread)
    star = np.repeat(np.arange(len(found), dtype=np.int32), pixels.stars)
    collect = pixel_integrals(fine, low, high, star)
    low, high = low.min(), high.max()
    nodes = np.linspace(low, high, max(int(np.ceil((high - low) / step)), _MIN_INTERVALS) + 1)
    seds = [one.sed for one in found]
    errors = node_errors(seds, nodes, [1.0] if ratio is None else [1.0, ratio], line_spread)
    second_errors = None
    if ratio is not None:
        # The second order of the nodes comes from other wavelengths.
        errors, there = errors.split(nodes.size)
        second_errors = SecondErrors(ratio, *there)
    return StarArrays([one.name for one in found], rejected,
                      np.array([one.row for one in found]), area, fine, blur,
                      photon_fluxes(seds, [one.resolving_power for one in found], fine), star,
                      *pixels.values, collect, nodes, *errors,
                      np.array([one.ebv for one in found]), line_spread,
                      library_error=largest_library_error(one.library_error for one in found),
                      second_errors=second_errors,
                      scaled=np.array([one.scaled for one in found]))


def _grids(found, low, high, pixel, line_spread):
    """Fine grid, line-spread operator, distance of the nodes."""
    sampled = [star.sed.wavelength for star in found if star.resolving_power is None]
    extra = np.unique(np.concatenate(sampled)) if sampled else np.zeros(0)
    limits = (max(star.sed.wavelength[0] for star in found),
              min(star.sed.wavelength[-1] for star in found))
    if line_spread is None:
        number = int(np.ceil((high - low) / pixel * _POINTS_PER_PIXEL)) + 1
        points = np.linspace(low, high, number)
        fine = distinct_points(np.r_[points, extra], low, high)
        return fine, None, 2.0 * pixel
    fine = fine_grid(low, high, line_spread, extra=extra, limits=limits)
    narrow = float(line_spread.fwhm_at(np.linspace(low, high, 50)).min())
    return fine, blur_operator(fine, line_spread), max(pixel, 0.5 * narrow)
