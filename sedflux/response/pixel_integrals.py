"""
Integrals of curves over the pixels of many stars.

A curve on the fine grid is joined by straight lines.  Its integral over a pixel is the difference
of its running integral at the two edges, and most neighbours share an edge: this takes a third of
the memory of an operator with one row a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["PixelIntegrals", "pixel_integrals"]


@dataclass(frozen=True)
class PixelIntegrals:
    """
    Edges of p pixels on a grid of m wavelengths.

    Attributes
    ----------
    fine : `~numpy.ndarray`, shape (m,)
        Ascending wavelengths in Angstrom.
    place : `~numpy.ndarray`, shape (q,)
        Edges: the number of the wavelength below, and the fraction of the interval after it.
    lower : `~numpy.ndarray` of int, shape (p,)
        Number of the lower edge of each pixel; the next one is its upper edge.
    """

    fine: np.ndarray
    place: np.ndarray
    lower: np.ndarray

    @property
    def width(self) -> np.ndarray:
        """Widths of the pixels on the grid in Angstrom, shape (p,)."""
        edge = np.interp(self.place, np.arange(self.fine.size), self.fine)
        return np.diff(edge)[self.lower]

    def take(self, pixels: np.ndarray, star: np.ndarray) -> PixelIntegrals:
        """
        Those of some of the pixels.

        Parameters
        ----------
        pixels : `~numpy.ndarray` of int, shape (k,)
        star : `~numpy.ndarray` of int, shape (k,)
            Star of each of them.
        """
        lower = self.lower[pixels]
        return _joined(self.fine, self.place[lower], self.place[lower + 1], star)

    def of(self, density: np.ndarray, star: np.ndarray, pixels: slice) -> np.ndarray:
        """
        Integrals of the curves of some stars over their pixels.

        Parameters
        ----------
        density : `~numpy.ndarray`, shape (K, m)
        star : `~numpy.ndarray` of int, shape (k,)
            Row of ``density`` for each pixel, ascending.
        pixels : slice
            Of the pixels of these stars.

        Returns
        -------
        integral : `~numpy.ndarray`, shape (k,)
        """
        lower = self.lower[pixels]
        first = lower[0]
        place, lower = self.place[first:lower[-1] + 2], lower - first
        begin = np.empty(place.size, dtype=int)
        begin[lower] = begin[lower + 1] = star * self.fine.size
        left = np.minimum(place.astype(int), self.fine.size - 2)
        share, width = place - left, np.diff(self.fine)
        running = np.zeros_like(density)
        np.cumsum(0.5 * width * (density[:, :-1] + density[:, 1:]), axis=1, out=running[:, 1:])
        index = begin + left
        here, after = density.ravel()[index], density.ravel()[index + 1]
        part = share * (here + 0.5 * share * (after - here))
        edge = running.ravel()[index] + width[left] * part
        return np.diff(edge)[lower]


def pixel_integrals(fine: np.ndarray, low: np.ndarray, high: np.ndarray, star: np.ndarray
                    ) -> PixelIntegrals:
    """
    Integrals over pixels with given edges.

    Parameters
    ----------
    fine : `~numpy.ndarray`, shape (m,)
        Ascending wavelengths in Angstrom; curves are zero outside.
    low, high : `~numpy.ndarray`, shape (p,)
        Edges in Angstrom, ascending for each star.
    star : `~numpy.ndarray` of int, shape (p,)
        Star of each pixel, ascending.

    Returns
    -------
    integrals : `PixelIntegrals`
    """
    number = np.arange(fine.size)
    return _joined(fine, np.interp(low, fine, number), np.interp(high, fine, number), star)


def _joined(fine, low, high, star):
    """Integrals between places; pixels that follow each other share an edge."""
    begins = np.ones(low.size, dtype=bool)
    begins[1:] = (low[1:] != high[:-1]) | (star[1:] != star[:-1])
    # Every run of pixels has one edge more than pixels.
    lower = np.arange(low.size) + np.cumsum(begins) - 1
    place = np.empty(lower[-1] + 2)
    place[lower], place[lower + 1] = low, high
    return PixelIntegrals(fine, place, lower)
