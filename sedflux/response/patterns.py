"""
What errors that all stars share do to the counts: patterns in the residuals of a fit.

A pattern is the relative change of the counts of every star at the nodes for a unit of an error:
wavelengths that are shifted, a line-spread function that is too narrow, a background that is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from sedflux.response.star_arrays import StarArrays
from sedflux.slitless.line_spread import LineSpread
from sedflux.spectra.grids import interpolation_matrix
from sedflux.spectra.resolution import FWHM_PER_SIGMA

__all__ = ["FitPatterns", "instrument_columns", "measured_stars", "places_of_stars",
           "star_patterns"]

#: Most stars from which common errors are measured: more take memory, and change little.
_MOST_STARS = 300
#: Step of the derivatives with wavelength, in FWHM of the line-spread function.
_STEP = 0.25
#: Bins along the dispersion on the detector.
_DETECTOR_BINS = 12
#: Most detectors that are told apart.
_MOST_DETECTORS = 20


@dataclass(frozen=True)
class FitPatterns:
    """
    What is needed to search the residuals of a fit for patterns.

    Attributes
    ----------
    rows : `~numpy.ndarray` of int, shape (n,)
        Stars that the patterns are measured on: those that are used, or some of many.
    columns : dict of str to `~numpy.ndarray`, shape (n, g)
        Relative change of the counts for a unit of an error of the instrument and of the SEDs: see
        `instrument_columns` and `~sedflux.response.common_rows.sed_columns`.
    star_values : dict of str to `~numpy.ndarray`, shape (n,)
        Numbers that describe the stars, NaN where unknown: ``E(B-V)``, ``colour``,
        ``magnitude``, ``x``, ``y``, ``epoch``.
    place : `~numpy.ndarray`, shape (g,)
        Places of the nodes in the band, -1 to 1.
    pixels : `~numpy.ndarray`, shape (g,)
        Places of the nodes in pixels.
    detector : `~numpy.ndarray` of str, shape (n,), or None
    deviation : float
        Typical deviation of pixels or stars in units of their errors, at least one.
    """

    rows: np.ndarray
    columns: Mapping[str, np.ndarray]
    star_values: Mapping[str, np.ndarray]
    place: np.ndarray
    pixels: np.ndarray
    detector: np.ndarray | None = None
    deviation: float = 1.0


def measured_stars(used: np.ndarray) -> np.ndarray:
    """
    The stars from which common errors are measured.

    Parameters
    ----------
    used : `~numpy.ndarray` of int
        Numbers of the stars that are not rejected.

    Returns
    -------
    rows : `~numpy.ndarray` of int
        At most 300 of them.
    """
    return used[np.linspace(0, used.size - 1, min(used.size, _MOST_STARS)).astype(int)]


def instrument_columns(stars: StarArrays, throughput: Callable[[slice], np.ndarray], *,
                       weight: np.ndarray, pixel: float, line_spread: LineSpread | None) \
        -> dict[str, np.ndarray]:
    """
    Relative change of the counts for a unit of each error of the instrument.

    Parameters
    ----------
    stars : `~sedflux.response.star_arrays.StarArrays`
    throughput : callable
        Throughput on the fine grid for a slice of the stars.
    weight : `~numpy.ndarray`, shape (p,)
        Inverse variance of the counts, and zero for pixels without weight.
    pixel : float
        Width of a pixel in Angstrom.
    line_spread : `~sedflux.LineSpread` or None

    Returns
    -------
    columns : dict of str to `~numpy.ndarray`, shape (N, g)
        ``shift`` (true minus given wavelength in pixels), ``stretch`` (the same as a fraction of
        the distance from the middle of the band), ``line_spread`` (width of the line-spread
        function, relative; left out without one), ``background`` (electron/s a pixel),
        ``second_order`` (relative; left out without one), and ``shift_x``, ``shift_y``,
        ``line_spread_x``, ``line_spread_y`` (where the stars have places).
    """
    nodes, fine = stars.nodes, stars.fine
    fwhm = np.full(nodes.size, pixel / _STEP) if line_spread is None else line_spread.fwhm_at(nodes)
    step = _STEP * fwhm
    here, after, before = (interpolation_matrix(fine, np.clip(nodes + move, fine[0], fine[-1]))
                           for move in (0.0, step, -step))
    slope, curvature = (np.zeros((len(stars), nodes.size)) for _ in range(2))
    first = np.empty_like(stars.rate)
    for rows, pixels, density, rate in stars.rates(throughput):
        first[pixels] = rate
        level, more, less = ((matrix @ density.T).T for matrix in (here, after, before))
        level = np.maximum(level, 1e-300)
        slope[rows] = (more - less) / (2.0 * step * level)
        curvature[rows] = (more - 2.0 * level + less) / (step**2 * level)
    first = np.maximum(first, 1e-300)
    sums, inverse = stars.to_nodes(weight * first**2, weight * first)
    middle = 0.5 * (nodes[0] + nodes[-1])
    found = {"shift": pixel * slope, "stretch": slope * (nodes - middle) + 1.0}
    if line_spread is not None:
        # A Gaussian of another width changes a curve by the variance times its second derivative.
        found["line_spread"] = curvature * (fwhm / FWHM_PER_SIGMA) ** 2
    found["background"] = np.divide(inverse, sums, out=np.zeros_like(sums), where=sums > 0)
    if stars.second.any():
        light = stars.to_nodes(weight * first * stars.second)[0]
        found["second_order"] = np.divide(light, sums, out=np.zeros_like(sums), where=sums > 0)
    for axis in "xy":
        place = stars.across(axis)
        for name in ("shift", "line_spread"):
            if place is not None and name in found:
                found[f"{name}_{axis}"] = place[:, None] * found[name]
    return found


def star_patterns(patterns: FitPatterns, *, least: int) -> dict[str, np.ndarray]:
    """
    Patterns that are searched for in the residuals, by the name of their test.

    Parameters
    ----------
    patterns : `FitPatterns`
    least : int
        Fewest stars of which a number must be known.

    Returns
    -------
    columns : dict of str to `~numpy.ndarray`, shape (n, g, e)
    """
    basis = legendre.legvander(patterns.place, 2)
    shift, spread = patterns.columns["shift"], patterns.columns.get("line_spread")
    found = {"dispersion": np.stack(
        [shift, patterns.columns["stretch"], shift * basis[:, 2]], axis=2)}
    if spread is not None:
        found["line spread"] = np.stack([spread, spread * basis[:, 1]], axis=2)
    found["background"] = patterns.columns["background"][:, :, None]
    values = {name: _scaled(value, least) for name, value in patterns.star_values.items()}
    for name, terms in (("E(B-V)", 3), ("colour", 3), ("magnitude", 2), ("epoch", 2)):
        if values.get(name) is not None:
            found[name] = values[name][:, None, None] * basis[None, :, :terms]
    x, y = values.get("x"), values.get("y")
    if x is not None and y is not None:
        found["position"] = np.concatenate(
            [value[:, None, None] * basis[None, :, :2] for value in (x, y)], axis=2)
        found["dispersion over the field"] = np.stack(
            [shift * value[:, None] for value in (x, y)], axis=2)
        found["detector column"] = _detector_bins(patterns)
    if patterns.detector is not None:
        names = np.unique(patterns.detector)
        if 1 < names.size <= _MOST_DETECTORS:
            member = (patterns.detector[:, None] == names[:-1]).astype(float)
            found["detector"] = np.concatenate(
                [member[:, None, :] * basis[None, :, [term]] for term in range(2)], axis=2)
    return found


def _scaled(values, least):
    """Values about their mean in units of their scatter; zero where unknown; None if constant."""
    known = np.isfinite(values)
    if known.sum() < least or not np.ptp(values[known]) > 0:
        return None
    return np.where(known, (values - values[known].mean()) / values[known].std(), 0.0)


def _detector_bins(patterns):
    """One column a bin along the dispersion on the detector, (n, g, bins)."""
    x = patterns.star_values["x"]
    column = np.where(np.isfinite(x), x, np.nanmean(x))[:, None] + patterns.pixels
    edges = np.linspace(column.min(), column.max() + 1e-9, _DETECTOR_BINS + 1)
    return ((column[:, :, None] >= edges[:-1]) & (column[:, :, None] < edges[1:])).astype(float)


def places_of_stars(stars: StarArrays) -> dict[str, Any]:
    """
    Where the stars are: in colour and magnitude, on the detector, and their nodes in the band.

    Parameters
    ----------
    stars : `~sedflux.response.star_arrays.StarArrays`

    Returns
    -------
    found : dict
        ``star_values``, ``place``, ``pixels`` and ``detector`` of `FitPatterns`.
    """
    nodes = stars.nodes
    blue = stars.fine < 0.5 * (nodes[0] + nodes[-1])
    light = [np.maximum(stars.photons[:, half].mean(axis=1, dtype=float), 1e-300)
             for half in (blue, ~blue)]
    values = {"colour": -2.5 * np.log10(light[0] / light[1]),
              "magnitude": -2.5 * np.log10(light[0] + light[1])}
    if stars.ebv is not None:
        values["E(B-V)"] = stars.ebv
    values |= {name: value for name, value in stars.place.items() if name != "detector"}
    return {"star_values": values, "detector": stars.place.get("detector"),
            "place": 2.0 * (nodes - nodes[0]) / (nodes[-1] - nodes[0]) - 1.0,
            "pixels": (nodes - nodes[0]) / stars.pixel_width}
