"""
All stars of a fit as arrays.

The forward model works on one fine grid for all stars, pixels are a flat list, and what
is smooth (the spline, errors of SEDs) lives on *nodes*, half a resolution element apart, to
which pixels hand their information: nothing here grows faster than the number of stars.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import sparse

from sedflux.exceptions import InputError
from sedflux.response.counts import MIN_PIXELS, count_arrays, unusable_reason
from sedflux.response.outliers import EXCLUDED, UNUSABLE, Rejection
from sedflux.slitless.forward import (
    blur_operator,
    distinct_points,
    fine_grid,
    second_order_operator,
    sed_operator,
)
from sedflux.spectra.grids import integral_matrix, interpolation_matrix, pixel_edges
from sedflux.spectra.resolution import FWHM_PER_SIGMA, lsf_matrix
from sedflux.spectra.sed import from_sed

__all__ = ["Stars", "read_stars"]

#: Stars that are worked on at a time.
CHUNK = 256
#: Relative errors of SEDs below this (of nine in ten) count as independent from node to node.
_NEGLIGIBLE = 5e-4


@dataclass
class Stars:
    """
    N usable stars of one band.

    Attributes
    ----------
    name : list of str
        Of the usable stars.
    rejected : dict of str to `~sedflux.response.outliers.Rejection`
        Why others cannot be used.
    row : `~numpy.ndarray`, shape (N,)
        Places of the usable stars among those given.
    area : float
        In cm2.
    fine : `~numpy.ndarray`, shape (m,)
    spread : sparse matrix, shape (m, m), or None
        Line-spread function on the fine grid.
    photons : `~numpy.ndarray`, shape (N, m)
        Photon flux on the fine grid.
    star, pixel, rate, variance, second : `~numpy.ndarray`, shape (p,)
        Flat list of good pixels: star, centre, count rate, its variance, and the rate of
        the second order.
    collect : `~scipy.sparse.csr_matrix`, shape (p, m)
        Integrals over the pixels.
    nodes : `~numpy.ndarray`, shape (g,)
    modes : `~numpy.ndarray`, shape (N, r, g)
        Common errors of each SED, relative.
    own : `~numpy.ndarray`, shape (N, g)
        Variance of each SED that is independent from node to node, relative.
    parts : dict of str to `~numpy.ndarray`, shape (N, g)
        Those of the modes whose origin is known: ``reddening``, ``anchor``.
    """

    name: list
    rejected: dict
    row: np.ndarray
    area: float
    fine: np.ndarray
    spread: sparse.csr_matrix | None
    photons: np.ndarray
    star: np.ndarray
    pixel: np.ndarray
    rate: np.ndarray
    variance: np.ndarray
    second: np.ndarray
    collect: sparse.csr_matrix
    nodes: np.ndarray
    modes: np.ndarray
    own: np.ndarray
    parts: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.name)

    def take(self, rows):
        """Some of the stars, as a set of their own."""
        rows = np.arange(len(self))[rows]
        place = np.full(len(self), -1)
        place[rows] = np.arange(len(rows))
        keep = np.flatnonzero(place[self.star] >= 0)
        keep = keep[np.argsort(place[self.star[keep]], kind="stable")]
        return Stars([self.name[row] for row in rows], {}, self.row[rows], self.area, self.fine,
                     self.spread, self.photons[rows], place[self.star[keep]], self.pixel[keep],
                     self.rate[keep], self.variance[keep], self.second[keep],
                     self.collect[keep], self.nodes, self.modes[rows], self.own[rows],
                     {name: value[rows] for name, value in self.parts.items()})

    def density(self, throughput):
        """
        Count rate an Angstrom on the fine grid, through the line-spread function.

        Parameters
        ----------
        throughput : `~numpy.ndarray`, shape (m,) or (N, m)

        Returns
        -------
        density : `~numpy.ndarray`, shape (N, m)
        """
        density = np.empty_like(self.photons)
        throughput = np.broadcast_to(throughput, density.shape)
        # A few stars at a time stay in the processor's cache, and each star's row in one piece.
        for begin in range(0, len(density), CHUNK):
            rows = slice(begin, begin + CHUNK)
            passed = self.area * throughput[rows] * self.photons[rows]
            density[rows] = passed if self.spread is None else (self.spread @ passed.T).T
        return density

    def expected(self, density):
        """Count rates of the flat list of pixels, shape (p,), with the second order."""
        begin, index, weight = self.collect.indptr, self.collect.indices, self.collect.data
        return np.add.reduceat(weight * density[self._number, index], begin[:-1]) + self.second

    @cached_property
    def _number(self):
        """Star of every entry of `collect`."""
        return np.repeat(self.star, np.diff(self.collect.indptr))

    def to_nodes(self, *values):
        """Sums of pixels' values at nodes, each shared by its two neighbours; (N, g) each."""
        size = self.nodes.size
        left, share = self._place
        index = self.star * size + left
        return [(np.bincount(index, value * (1.0 - share), len(self) * size)
                 + np.bincount(index + 1, value * share, len(self) * size)
                 ).reshape(len(self), size) for value in values]

    def at_pixels(self, values):
        """Values (N, g) at nodes, interpolated to the flat list of pixels."""
        left, share = self._place
        return values[self.star, left] * (1.0 - share) + values[self.star, left + 1] * share

    @cached_property
    def _place(self):
        """Node below every pixel, and the share of the one above."""
        left = np.clip(np.searchsorted(self.nodes, self.pixel, side="right") - 1, 0,
                       self.nodes.size - 2)
        share = (self.pixel - self.nodes[left]) / (self.nodes[left + 1] - self.nodes[left])
        return left, np.clip(share, 0.0, 1.0)


@dataclass(frozen=True)
class _Star:
    """One star as it was read."""

    name: str
    row: int
    every: np.ndarray
    good: np.ndarray
    pixels: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rate: np.ndarray
    variance: np.ndarray
    sed: object
    resolving_power: float | None
    parts: dict


def _read_one(counts, sed, row, name, options):
    """A star, or the reason why it cannot be used."""
    pixels, rate, variance = count_arrays(counts, f"counts[{row}]",
                                          saturation=options["saturation"])
    if pixels.size > 1 and np.any(np.diff(pixels) <= 0):
        return "two pixels have the same wavelength"
    try:
        arrays = from_sed(sed)
    except InputError as error:
        raise InputError(f"seds[{row}]: {error}") from error
    if not arrays.absolute:
        return "its SED is relative; put it on an absolute scale with sedflux.anchor"
    if pixels.size < MIN_PIXELS:
        return unusable_reason(rate, variance)
    edges = pixel_edges(pixels)
    low, high = arrays.wavelength[[0, -1]]
    if options["wavelength_range"] is not None:
        low, high = max(low, options["wavelength_range"][0]), min(high,
                                                                 options["wavelength_range"][1])
    inside = (edges[:-1] >= low) & (edges[1:] <= high)
    if inside.sum() < MIN_PIXELS:
        return (f"no overlap: its pixels reach from {edges[0]:.0f} to {edges[-1]:.0f} Angstrom, "
                f"SED and band from {low:.0f} to {high:.0f}")
    good = inside & np.isfinite(variance)
    reason = unusable_reason(np.where(good, rate, 0.0), np.where(good, variance, np.inf))
    if reason:
        return reason
    # Without a line-spread function SEDs are taken to be as blurred as the counts.
    power = None
    if options["blurred"]:
        power = options["sed_resolving_power"] or arrays.resolving_power
    return _Star(name, row, pixels, good, pixels[good], edges[:-1][good], edges[1:][good],
                 rate[good], variance[good], arrays, power, dict(arrays.parts))


def read_stars(counts, seds, *, area, names=None, line_spread=None, second_order=None,
               sed_resolving_power=None, wavelength_range=None, saturation=None,
               exclude=None):
    """
    Check stars and bring them into arrays.

    Parameters
    ----------
    counts, seds : sequence of `~specutils.Spectrum`
    area : float
        In cm2.
    names, line_spread, second_order, sed_resolving_power, saturation, exclude
        See `sedflux.fit_response`.
    wavelength_range : tuple of float, optional
        Angstrom; pixels beyond are left out.

    Returns
    -------
    stars : `Stars`

    Raises
    ------
    sedflux.exceptions.InputError
        If a spectrum is of the wrong kind, or no star can be used.
    """
    names = [str(name) for name in (names if names is not None else range(len(counts)))]
    options = {"saturation": saturation, "wavelength_range": wavelength_range,
               "sed_resolving_power": sed_resolving_power, "blurred": line_spread is not None}
    found, rejected = [], {}
    for row, (one, sed) in enumerate(zip(counts, seds, strict=True)):
        if exclude and names[row] in exclude:
            rejected[names[row]] = Rejection(EXCLUDED, exclude[names[row]])
            continue
        star = _read_one(one, sed, row, names[row], options)
        if isinstance(star, str):
            rejected[names[row]] = Rejection(UNUSABLE, star)
        else:
            found.append(star)
    if not found:
        reasons = "; ".join(f"{name}: {one.reason}" for name, one in list(rejected.items())[:5])
        raise InputError(f"none of the {len(rejected)} stars can be used: {reasons}")
    return _assemble(found, rejected, area, line_spread, second_order)


def _assemble(found, rejected, area, line_spread, second_order):
    """Arrays of the stars that were read."""
    low, high = min(star.low[0] for star in found), max(star.high[-1] for star in found)
    pixel = float(np.median(np.concatenate([star.high - star.low for star in found])))
    fine, spread, step = _grids(found, low, high, pixel, line_spread)
    nodes = np.linspace(low, high, max(int(np.ceil((high - low) / step)), 8) + 1)
    groups = {}
    for index, star in enumerate(found):
        key = (star.sed.wavelength.tobytes(), star.resolving_power)
        groups.setdefault(key, []).append(index)
    rank = max(star.sed.relative_covariance.rank for star in found)
    size = len(found)
    photons, own = np.zeros((size, fine.size)), np.zeros((size, nodes.size))
    modes = np.zeros((size, rank, nodes.size), dtype=np.float32)
    parts = {}
    for (_, power), rows in groups.items():
        wavelength = found[rows[0]].sed.wavelength
        photons[rows] = (sed_operator(wavelength, fine, sed_resolving_power=power)
                         @ np.stack([found[row].sed.flux for row in rows]).T).T
        smooth = _node_operator(wavelength, nodes, line_spread)
        # Samples further apart than nodes are the same for several nodes.
        repeated = np.maximum(np.interp(nodes, wavelength, np.gradient(wavelength))
                              / np.gradient(nodes), 1.0)
        for row in rows:
            _errors_at_nodes(found[row], row, smooth, modes, own, parts)
        own[rows] *= repeated
    modes, own = _compressed(modes, own)
    flat = {name: np.concatenate([getattr(star, name) for star in found])
            for name in ("pixels", "low", "high", "rate", "variance")}
    star = np.repeat(np.arange(size), [one.pixels.size for one in found])
    second = np.zeros(star.size)
    if second_order is not None:
        second = np.concatenate([_second(one, area, line_spread, second_order) for one in found])
    return Stars([one.name for one in found], rejected, np.array([one.row for one in found]),
                 area, fine, spread, photons, star, flat["pixels"], flat["rate"],
                 flat["variance"], second, integral_matrix(fine, flat["low"], flat["high"]),
                 nodes, modes, own, parts)


def _grids(found, low, high, pixel, line_spread):
    """Fine grid, line-spread operator, distance of the nodes."""
    sampled = [star.sed.wavelength for star in found if star.resolving_power is None]
    extra = np.unique(np.concatenate(sampled)) if sampled else np.zeros(0)
    limits = (max(star.sed.wavelength[0] for star in found),
              min(star.sed.wavelength[-1] for star in found))
    if line_spread is None:
        points = np.linspace(low, high, int(np.ceil((high - low) / pixel * 3.0)) + 1)
        fine = distinct_points(np.r_[points, extra], low, high)
        return fine, None, 2.0 * pixel
    fine = fine_grid(low, high, line_spread, extra=extra, limits=limits)
    narrow = float(line_spread.fwhm_at(np.linspace(low, high, 50)).min())
    return fine, blur_operator(fine, line_spread), max(pixel, 0.5 * narrow)


def _node_operator(wavelength, nodes, line_spread):
    """Means of an SED's samples about the nodes, as the line-spread function weighs them."""
    inside = np.clip(nodes, wavelength[0], wavelength[-1])
    if line_spread is None:
        return interpolation_matrix(wavelength, inside)
    return lsf_matrix(wavelength, line_spread.fwhm_at(inside) / FWHM_PER_SIGMA,
                      new_wavelength=inside)


def _errors_at_nodes(star, row, smooth, modes, own, parts):
    """Relative errors of one star's SED at the nodes."""
    flux, covariance = star.sed.flux, star.sed.relative_covariance
    level = smooth @ flux
    modes[row, : covariance.rank] = ((smooth @ (covariance.factor * flux).T) / level[:, None]).T
    own[row] = (smooth.power(2) @ (covariance.diagonal * flux**2)) / level**2
    for name, direction in star.parts.items():
        if name not in parts:
            parts[name] = np.zeros_like(own)
        parts[name][row] = (smooth @ (np.asarray(direction) * flux)) / level


def _compressed(modes, own):
    """Fewer modes: within one band, errors of an SED have few directions."""
    found = np.zeros_like(modes)
    for begin in range(0, len(modes), CHUNK):
        rows = slice(begin, begin + CHUNK)
        # Modes M and Q^T M have the same covariance; of the latter the last rows vanish.
        _, vector = np.linalg.eigh(modes[rows] @ modes[rows].transpose(0, 2, 1))
        found[rows] = (vector.transpose(0, 2, 1) @ modes[rows])[:, ::-1]
    square = found.astype(float) ** 2
    rest = np.quantile(square[:, ::-1].cumsum(axis=1)[:, ::-1].max(axis=2), 0.9, axis=0)
    keep = int((rest > _NEGLIGIBLE**2).sum())
    return found[:, :keep], own + square[:, keep:].sum(axis=1)


def _second(star, area, line_spread, second_order):
    """Count rates of the second order on a star's good pixels."""
    operator = second_order_operator(
        star.every, star.sed.wavelength, second_order, area=area, line_spread=line_spread,
        sed_resolving_power=star.resolving_power)
    return (operator @ star.sed.flux)[star.good]
