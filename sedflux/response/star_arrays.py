"""
All stars of a fit as arrays.

One fine grid serves the forward model of all stars, and the pixels of all stars form one list.
What is smooth (the spline, the errors of SEDs) is sampled at *nodes*, half a resolution element
apart, to which the pixels are reduced.  Time and memory grow in proportion to the number of stars:
what needs the fine grid is done for a few stars at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sedflux.response.outliers import Rejection
from sedflux.response.pixel_integrals import PixelIntegrals
from sedflux.response.solve import STARS_AT_A_TIME
from sedflux.slitless.line_spread import LineSpread
from sedflux.spectra.resolution import FWHM_PER_SIGMA

__all__ = ["SecondErrors", "StarArrays"]


@dataclass(frozen=True)
class SecondErrors:
    """
    Relative errors of N SEDs where the second order of the nodes comes from.

    Attributes
    ----------
    ratio : float
        Wavelength of the second order over that of the first.
    factor : `~numpy.ndarray`, shape (N, r, g)
        In the directions of the errors at the nodes themselves.
    diagonal : `~numpy.ndarray`, shape (N, g)
    parts : dict of str to `~numpy.ndarray`, shape (N, g)
        Directions of the SED errors whose origin is known: ``reddening``, ``anchor``.
    """

    ratio: float
    factor: np.ndarray
    diagonal: np.ndarray
    parts: Mapping[str, np.ndarray]

    def take(self, chosen: np.ndarray) -> SecondErrors:
        """
        Those of some of the stars.

        Parameters
        ----------
        chosen : `~numpy.ndarray` of int
        """
        return SecondErrors(self.ratio, self.factor[chosen], self.diagonal[chosen],
                            {name: value[chosen] for name, value in self.parts.items()})


@dataclass
class StarArrays:
    """
    Arrays of the N usable stars of one band.

    Attributes
    ----------
    name : list of str
        Names of the usable stars.
    rejected : dict of str to `~sedflux.response.outliers.Rejection`
        Why the others cannot be used.
    row : `~numpy.ndarray` of int, shape (N,)
        Indices of the usable stars among all given ones.
    area : float
        Collecting area in cm2.
    fine : `~numpy.ndarray`, shape (m,)
        Fine grid of the forward model in Angstrom.
    blur : sparse matrix, shape (m, m), or None
        Convolution with the line-spread function on the fine grid.
    photons : `~numpy.ndarray`, shape (N, m)
        Photon flux on the fine grid, in single precision.
    star : `~numpy.ndarray` of int, shape (p,)
        Star of each good pixel.
    pixel : `~numpy.ndarray`, shape (p,)
        Centres of the good pixels in Angstrom.
    rate, variance : `~numpy.ndarray`, shape (p,)
        Count rates and their variances.
    second : `~numpy.ndarray`, shape (p,)
        Count rates of the second order.
    collect : `~sedflux.response.pixel_integrals.PixelIntegrals`
        Integrals over the pixels.
    nodes : `~numpy.ndarray`, shape (g,)
        Angstrom, evenly spaced.
    factor : `~numpy.ndarray`, shape (N, r, g)
        Relative errors of each SED that are common to the nodes; see
        `~sedflux.LowRankCovariance`.
    diagonal : `~numpy.ndarray`, shape (N, g)
        Relative variance of each SED that is independent from node to node.
    parts : dict of str to `~numpy.ndarray`, shape (N, g)
        Directions of the SED errors whose origin is known: ``reddening``, ``anchor``; and those
        that stars share, which ``factor`` does not have: see
        `~sedflux.spectra.relative_errors.shared_names`.
    ebv : `~numpy.ndarray`, shape (N,), optional
        E(B-V) of the SEDs in mag, NaN where it is not known.
    line_spread : `~sedflux.LineSpread` or None
    library_error : tuple of pairs
        Wavelength (Angstrom) and relative error that the SEDs share.
    own_shift : `~numpy.ndarray`, shape (N,), or None
        True minus given wavelengths of each star in Angstrom, beside those that ``blur`` has.
    own_spread : `~numpy.ndarray`, shape (N,), or None
        By which fraction the line-spread function of each star is wider than ``blur``.
    place : dict of str to `~numpy.ndarray`, shape (N,)
        ``x``, ``y``, ``epoch`` and ``detector`` of the stars, as far as they are known.
    second_errors : `~sedflux.response.star_arrays.SecondErrors` or None
        Relative errors of the light of the second order; None without one.
    background : float
        Background that is left in the count rates of all pixels.
    scaled : `~numpy.ndarray` of bool, shape (N,), optional
        SEDs that are scaled to magnitudes, without a part for the zero points of these.
    """

    name: list[str]
    rejected: Mapping[str, Rejection]
    row: np.ndarray
    area: float
    fine: np.ndarray
    blur: sparse.csr_matrix | None
    photons: np.ndarray
    star: np.ndarray
    pixel: np.ndarray
    rate: np.ndarray
    variance: np.ndarray
    second: np.ndarray
    collect: PixelIntegrals
    nodes: np.ndarray
    factor: np.ndarray
    diagonal: np.ndarray
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    ebv: np.ndarray | None = None
    line_spread: LineSpread | None = None
    place: Mapping[str, np.ndarray] = field(default_factory=dict)
    library_error: tuple[tuple[float, float], ...] = ()
    own_shift: np.ndarray | None = None
    own_spread: np.ndarray | None = None
    second_errors: SecondErrors | None = None
    background: float = 0.0
    scaled: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.name)

    def take(self, rows: npt.ArrayLike) -> StarArrays:
        """
        Some of the stars.

        Parameters
        ----------
        rows : array_like of int
        """
        chosen = np.arange(len(self))[np.asarray(rows)]
        place, keep = self._chosen_pixels(chosen)
        shift, spread = (None if one is None else one[chosen]
                         for one in (self.own_shift, self.own_spread))
        return StarArrays(
            [self.name[row] for row in chosen], {}, self.row[chosen], self.area, self.fine,
            self.blur,
            self.photons[chosen], place[self.star[keep]], self.pixel[keep], self.rate[keep],
            self.variance[keep], self.second[keep],
            self.collect.take(keep, self.star[keep]), self.nodes,
            self.factor[chosen], self.diagonal[chosen],
            {name: value[chosen] for name, value in self.parts.items()},
            None if self.ebv is None else self.ebv[chosen], self.line_spread,
            {name: value[chosen] for name, value in self.place.items()}, self.library_error,
            shift, spread,
            None if self.second_errors is None else self.second_errors.take(chosen),
            self.background, None if self.scaled is None else self.scaled[chosen])

    def first_rate(self, pixels: slice = slice(None)) -> np.ndarray:
        """
        Measured count rates of the first order, without other light.

        Parameters
        ----------
        pixels : slice, optional
            All by default.
        """
        return self.rate[pixels] - self.second[pixels] - self.background

    def across(self, axis: str) -> np.ndarray | None:
        """
        Places of the stars on the detector, from -1 to 1.

        Parameters
        ----------
        axis : {'x', 'y'}

        Returns
        -------
        place : `~numpy.ndarray`, shape (N,), or None
            None where the places are not known, or are all the same.
        """
        place = self.place.get(axis)
        if place is None or not np.isfinite(place).all() or not np.ptp(place) > 0:
            return None
        return 2.0 * (place - place.min()) / np.ptp(place) - 1.0

    def pixels_of(self, rows: npt.ArrayLike) -> np.ndarray:
        """
        Numbers of the pixels of some of the stars, in the order of `take`.

        Parameters
        ----------
        rows : array_like of int

        Returns
        -------
        pixels : `~numpy.ndarray` of int
        """
        return self._chosen_pixels(np.arange(len(self))[np.asarray(rows)])[1]

    def _chosen_pixels(self, chosen):
        """New number of each star, -1 for those left out, and the pixels of the chosen ones."""
        place = np.full(len(self), -1)
        place[chosen] = np.arange(len(chosen))
        keep = np.flatnonzero(place[self.star] >= 0)
        return place, keep[np.argsort(place[self.star[keep]], kind="stable")]

    @property
    def pixel_width(self) -> float:
        """Median width of the pixels in Angstrom."""
        return float(np.median(self.collect.width))

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """
        Blocks of stars, so small that their arrays on the fine grid stay in the processor's cache.

        Yields
        ------
        rows : slice
            Of stars.
        pixels : slice
            Of their pixels.
        """
        for begin in range(0, len(self), STARS_AT_A_TIME):
            end = min(begin + STARS_AT_A_TIME, len(self))
            yield slice(begin, end), slice(*np.searchsorted(self.star, (begin, end)))

    def rates(self, throughput: Callable[[slice], np.ndarray]
              ) -> Iterator[tuple[slice, slice, np.ndarray, np.ndarray]]:
        """
        Expected counts of the first order for a response, block by block.

        Parameters
        ----------
        throughput : callable
            Throughput on the fine grid, shape (m,) or (K, m), for a slice of K stars.

        Yields
        ------
        rows, pixels : slice
            From `blocks`.
        density : `~numpy.ndarray`, shape (K, m)
            Count rate per Angstrom on the fine grid, through the line-spread function.
        rate : `~numpy.ndarray`, shape (k,)
            Count rates of the pixels, without the second order.
        """
        for rows, pixels in self.blocks():
            density = self.area * throughput(rows) * self.photons[rows]
            if self.blur is not None:
                # Each star's row stays in one piece of memory.
                density = np.ascontiguousarray((self.blur @ density.T).T)
            density = self._of_each_star(density, rows)
            yield (rows, pixels, density,
                   self.collect.of(density, self.star[pixels] - rows.start, pixels))

    def _of_each_star(self, density, rows):
        """Densities (K, m) as each star's own wavelengths and line-spread function make them."""
        if self.own_shift is None and self.own_spread is None:
            return density
        slope = np.gradient(density, self.fine, axis=1)
        curvature = np.gradient(slope, self.fine, axis=1)
        found = density
        if self.own_shift is not None:
            shift = self.own_shift[rows, None]
            found = found + shift * slope + 0.5 * shift**2 * curvature
        if self.own_spread is not None and self.line_spread is not None:
            # A Gaussian of another width changes a curve by the variance times its curvature.
            variance = (self.line_spread.fwhm_at(self.fine) / FWHM_PER_SIGMA) ** 2
            wider = np.maximum(1.0 + self.own_spread[rows, None], 0.0) ** 2 - 1.0
            found = found + 0.5 * wider * variance * curvature
        return found

    def to_nodes(self, *values: np.ndarray) -> list[np.ndarray]:
        """
        Sums of the pixels' values at the nodes; a pixel is shared by its two neighbours.

        Parameters
        ----------
        *values : `~numpy.ndarray`, shape (p,)

        Returns
        -------
        sums : list of `~numpy.ndarray`, shape (N, g)
        """
        sums = [np.empty((len(self), self.nodes.size)) for _ in values]
        for rows, pixels in self.blocks():
            here = self.block_to_nodes(rows, pixels, *(value[pixels] for value in values))
            for whole, part in zip(sums, here, strict=True):
                whole[rows] = part
        return sums

    def block_to_nodes(self, rows: slice, pixels: slice, *values: np.ndarray) -> list[np.ndarray]:
        """
        The same for one block of K stars.

        Parameters
        ----------
        rows, pixels : slice
            From `blocks`.
        *values : `~numpy.ndarray`, shape (k,)
            Of these pixels.

        Returns
        -------
        sums : list of `~numpy.ndarray`, shape (K, g)
        """
        left, share = self._neighbours(pixels)
        shape = (rows.stop - rows.start, self.nodes.size)
        index = (self.star[pixels] - rows.start) * shape[1] + left
        size = shape[0] * shape[1]
        return [(np.bincount(index, value * (1.0 - share), size)
                 + np.bincount(index + 1, value * share, size)).reshape(shape)
                for value in values]

    def at_pixels(self, rows: slice, pixels: slice, values: np.ndarray) -> np.ndarray:
        """
        Interpolate values at the nodes to the pixels of one block of K stars.

        Parameters
        ----------
        rows, pixels : slice
            From `blocks`.
        values : `~numpy.ndarray`, shape (K, g)

        Returns
        -------
        values : `~numpy.ndarray`, shape (k,)
        """
        left, share = self._neighbours(pixels)
        index = (self.star[pixels] - rows.start) * self.nodes.size + left
        values = values.ravel()
        return values[index] * (1.0 - share) + values[index + 1] * share

    def _neighbours(self, pixels):
        """Node below each of some pixels, and the share of the node above."""
        place = (self.pixel[pixels] - self.nodes[0]) / (self.nodes[1] - self.nodes[0])
        left = np.clip(place.astype(int), 0, self.nodes.size - 2)
        return left, np.clip(place - left, 0.0, 1.0)

    def noise_models(self) -> tuple[np.ndarray, np.ndarray]:
        """
        Fit ``variance = a + b rate`` to the pixels of each star: background and photon noise.

        Returns
        -------
        a, b : `~numpy.ndarray`, shape (N,)
            NaN for stars whose variances do not follow the rates.
        """
        parts = [self._noise_models(rows, pixels) for rows, pixels in self.blocks()]
        a, b = (np.concatenate(values) for values in zip(*parts, strict=True))
        return a, b

    def _noise_models(self, rows, pixels):
        """`noise_models` of one block of stars."""
        size, star = rows.stop - rows.start, self.star[pixels] - rows.start
        rate, variance = self.rate[pixels], self.variance[pixels]
        count = np.bincount(star, minlength=size)
        level = np.maximum(np.bincount(star, np.abs(rate), size) / count, 1e-300)
        x, y = rate / level[star], variance / level[star] ** 2
        mean_x, mean_y = (np.bincount(star, value, size) / count for value in (x, y))
        dx, dy = x - mean_x[star], y - mean_y[star]
        square = np.bincount(star, dx * dx, size)
        slope = np.divide(np.bincount(star, dx * dy, size), square, out=np.zeros(size),
                          where=square > 0)
        start = mean_y - slope * mean_x
        scatter = np.sqrt(np.bincount(star, (dy - slope[star] * dx) ** 2, size) / count)
        fits = ((scatter < 0.05 * mean_y) & (slope >= 0) & (start >= -1e-3 * mean_y)
                & (count > 8))
        a = np.where(fits, np.maximum(start, 1e-3 * mean_y) * level**2, np.nan)
        return a, np.where(fits, slope * level, np.nan)
