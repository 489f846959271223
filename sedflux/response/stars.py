"""Read the stars of a fit: from spectra and SEDs to `StarArrays`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from sedflux.covariance import LowRankCovariance, positive_part
from sedflux.exceptions import InputError, SedfluxWarning
from sedflux.response.counts import MIN_PIXELS, count_arrays, unusable_reason
from sedflux.response.outliers import EXCLUDED, UNUSABLE, Rejection
from sedflux.response.pixel_integrals import pixel_integrals
from sedflux.response.solve import STARS_AT_A_TIME
from sedflux.response.star_arrays import SecondErrors, StarArrays
from sedflux.response.systematics import largest_library_error
from sedflux.slitless.forward import (
    blur_operator,
    distinct_points,
    fine_grid,
    second_order_operator,
    sed_operator,
)
from sedflux.spectra.grids import interpolation_matrix, pixel_edges
from sedflux.spectra.library_error import library_error_of
from sedflux.spectra.relative_errors import MODEL_PARTS, is_zero_point, shared_names
from sedflux.spectra.resolution import FWHM_PER_SIGMA, lsf_matrix
from sedflux.spectra.sed import SEDArrays, flux_of, from_sed
from sedflux.spectra.spectrum import header_value

if TYPE_CHECKING:
    from specutils import Spectrum

    from sedflux.slitless.forward import SecondOrder
    from sedflux.slitless.line_spread import LineSpread

__all__ = ["read_stars"]

#: Rows of the factors whose relative errors are below this for nine in ten stars are added to the
#: diagonal.
_NEGLIGIBLE_ERROR = 5e-4
#: Points of the fine grid per pixel without a line-spread function.
_POINTS_PER_PIXEL = 3.0
#: Fewest intervals between nodes.
_MIN_INTERVALS = 8
#: Parts of the errors of an SED that a fit asks for: what they are, and how to give them.
_ASKED = {"reddening": ("E(B-V)", "give predict_sed or condition reddening=(E(B-V), error)"),
          "anchor": ("the magnitude", "give sedflux.anchor magnitude_error")}
#: What the card SEDNORM says of an SED that is scaled to one magnitude, or to several with errors.
_ONE_MAGNITUDE, _MAGNITUDES = "magnitude", "photometry"


@dataclass(frozen=True)
class _Star:
    """One star as read; ``every`` has all of its pixels, ``pixels`` the good ones."""

    name: str
    row: int
    every: np.ndarray
    good: np.ndarray
    pixels: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rate: np.ndarray
    variance: np.ndarray
    sed: SEDArrays
    resolving_power: float | None
    ebv: float
    library_error: tuple[tuple[float, float], ...] | None
    scaled: bool
    unknown: tuple[str, ...]


def _read_star(counts, sed, row, name, options):
    """A star, or the reason why it cannot be used."""
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
    if options["broadened"]:
        power = options["sed_resolving_power"] or arrays.resolving_power
    return _Star(name, row, pixels, good, pixels[good], edges[:-1][good], edges[1:][good],
                 rate[good], variance[good], arrays, power, _known_ebv(sed),
                 _library_error(sed, arrays), _is_scaled(sed, arrays),
                 _unknown_errors(sed, arrays))


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
    options = {"saturation": saturation, "wavelength_range": wavelength_range,
               "sed_resolving_power": sed_resolving_power, "broadened": line_spread is not None}
    found: list[_Star] = []
    rejected: dict[str, Rejection] = {}
    for row, (one, sed) in enumerate(zip(counts, seds, strict=True)):
        if exclude and names[row] in exclude:
            rejected[names[row]] = Rejection(EXCLUDED, exclude[names[row]])
            continue
        star = _read_star(one, sed, row, names[row], options)
        if isinstance(star, str):
            rejected[names[row]] = Rejection(UNUSABLE, star)
        else:
            found.append(star)
    if not found:
        reasons = "; ".join(f"{name}: {one.reason}" for name, one in list(rejected.items())[:5])
        raise InputError(f"none of the {len(rejected)} stars can be used: {reasons}")
    _warn_of_unknown_errors(found)
    return _assemble(found, rejected, area, line_spread, second_order)


def _assemble(found, rejected, area, line_spread, second_order):
    """Arrays of the stars that were read."""
    low, high = min(star.low[0] for star in found), max(star.high[-1] for star in found)
    pixel = float(np.median(np.concatenate([star.high - star.low for star in found])))
    fine, blur, step = _grids(found, low, high, pixel, line_spread)
    nodes = np.linspace(low, high, max(int(np.ceil((high - low) / step)), _MIN_INTERVALS) + 1)
    photons, factor, diagonal, parts, second_errors = _sed_arrays(found, fine, nodes, line_spread,
                                                                  second_order)
    flat = {name: np.concatenate([getattr(star, name) for star in found])
            for name in ("pixels", "low", "high", "rate", "variance")}
    star = np.repeat(np.arange(len(found), dtype=np.int32), [one.pixels.size for one in found])
    collect = pixel_integrals(fine, flat["low"], flat["high"], star)
    second = np.zeros(star.size)
    if second_order is not None:
        second = np.concatenate([_second_order_rate(one, area, line_spread, second_order)
                                 for one in found])
    return StarArrays([one.name for one in found], rejected,
                      np.array([one.row for one in found]), area, fine, blur, photons, star,
                      flat["pixels"], flat["rate"], flat["variance"], second,
                      collect, nodes, factor, diagonal, parts,
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


def _sed_arrays(found, fine, nodes, line_spread, second_order):
    """Photon fluxes on the fine grid, and relative errors of the SEDs at the nodes."""
    groups = {}
    for index, star in enumerate(found):
        key = (star.sed.wavelength.tobytes(), star.resolving_power)
        groups.setdefault(key, []).append(index)
    rank = max(star.sed.relative_covariance.rank + len(star.sed.relative_covariance.removed)
               + len(shared_names(star.sed.parts)) for star in found)
    size = len(found)
    # The second order of the nodes comes from other wavelengths, whose errors are correlated.
    ratios = [1.0] if second_order is None else [1.0, second_order.ratio]
    places = np.concatenate([ratio * nodes for ratio in ratios])
    steps = np.concatenate([ratio * np.gradient(nodes) for ratio in ratios])
    widths = None if line_spread is None else np.concatenate(
        [ratio * line_spread.fwhm_at(nodes) for ratio in ratios])
    photons, diagonal = np.zeros((size, fine.size)), np.zeros((size, places.size))
    factor = np.zeros((size, rank, places.size), dtype=np.float32)
    parts = {}
    for (_, power), rows in groups.items():
        wavelength = found[rows[0]].sed.wavelength
        operator = sed_operator(wavelength, fine, sed_resolving_power=power)
        smooth = _node_operator(wavelength, places, widths)
        # Nodes that are closer than the samples of the SED share its independent errors.
        repeated = np.maximum(np.interp(places, wavelength, np.gradient(wavelength)) / steps, 1.0)
        for begin in range(0, len(rows), STARS_AT_A_TIME):
            block = rows[begin:begin + STARS_AT_A_TIME]
            flux = np.stack([found[row].sed.flux for row in block])
            photons[block] = (operator @ flux.T).T
            level = (smooth @ flux.T).T
            _errors_at_nodes(found, block, smooth, level, factor=factor, diagonal=diagonal,
                             parts=parts)
        diagonal[rows] *= repeated
    factor, diagonal = _compressed(factor, diagonal)
    if second_order is None:
        return photons, factor, diagonal, parts, None
    here, there = np.split(np.arange(places.size), 2)
    return (photons, factor[..., here], diagonal[:, here],
            {name: value[:, here] for name, value in parts.items()},
            SecondErrors(second_order.ratio, factor[..., there], diagonal[:, there],
                         {name: value[:, there] for name, value in parts.items()}))


def _node_operator(wavelength, places, widths):
    """Means of an SED's samples around some places, over the line-spread function's FWHM."""
    inside = np.clip(places, wavelength[0], wavelength[-1])
    if widths is None:
        return interpolation_matrix(wavelength, inside)
    return lsf_matrix(wavelength, widths / FWHM_PER_SIGMA, new_wavelength=inside)


def _errors_at_nodes(found, rows, smooth, level, *, factor, diagonal, parts):
    """Fill in the relative errors of some stars' SEDs at the nodes, (N, g)."""
    square = smooth.power(2)
    for row, here in zip(rows, level, strict=True):
        flux, covariance = found[row].sed.flux, _own_errors(found[row].sed)
        each = np.vstack([covariance.factor, covariance.removed])
        each = (smooth @ (each * flux).T).T / here
        if len(covariance.removed):
            # The fit has no place for directions that are taken away.
            sign = np.repeat([1.0, -1.0], [covariance.rank, len(covariance.removed)])
            each = positive_part(each, np.diag(sign))
        factor[row, : len(each)] = each
        diagonal[row] = (square @ (covariance.diagonal * flux**2)) / here**2
        for name, direction in found[row].sed.parts.items():
            if name not in parts:
                parts[name] = np.zeros_like(diagonal)
            parts[name][row] = (smooth @ (np.asarray(direction) * flux)) / here


def _own_errors(sed):
    """Covariance of an SED without the errors that it shares with others."""
    whole = sed.relative_covariance
    shared = [sed.parts[name] for name in shared_names(sed.parts)]
    if not shared:
        return whole
    return LowRankCovariance(whole.diagonal, whole.factor, np.vstack([whole.removed, *shared]))


def _compressed(factor, diagonal):
    """A factor with fewer rows: within one band, errors of an SED have few directions."""
    found, rest = np.zeros_like(factor), np.zeros(factor.shape[:2])
    blocks = [slice(begin, begin + STARS_AT_A_TIME)
              for begin in range(0, len(factor), STARS_AT_A_TIME)]
    for rows in blocks:
        # The factors U and Q^T U give the same covariance; the last rows of Q^T U are small.
        _, vector = np.linalg.eigh(factor[rows] @ factor[rows].transpose(0, 2, 1))
        found[rows] = (vector.transpose(0, 2, 1) @ factor[rows])[:, ::-1]
        square = found[rows].astype(float) ** 2
        rest[rows] = square[:, ::-1].cumsum(axis=1)[:, ::-1].max(axis=2)
    keep = int((np.quantile(rest, 0.9, axis=0) > _NEGLIGIBLE_ERROR**2).sum())
    diagonal = diagonal.copy()
    for rows in blocks:
        diagonal[rows] += np.square(found[rows, keep:], dtype=float).sum(axis=1)
    return found[:, :keep].copy(), diagonal


def _second_order_rate(star, area, line_spread, second_order):
    """Count rates of the second order on a star's good pixels."""
    operator = second_order_operator(
        star.every, star.sed.wavelength, second_order, area=area, line_spread=line_spread,
        sed_resolving_power=star.resolving_power)
    return (operator @ star.sed.flux)[star.good]
