"""
Forward model of an extracted slitless spectrum.

The count rate of a pixel is ``area * integral over the pixel of LSF * (T P)``, where P is
the star's photon flux, T the throughput and LSF the line-spread function.  It is linear in T
and in P.  It is computed by sparse operators on a *fine grid*: from the SED to the fine grid,
convolution with the line-spread function, integration over pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from astropy import units as u
from scipy import sparse

from sedflux.exceptions import InputError
from sedflux.slitless.line_spread import LineSpread
from sedflux.spectra.grids import integral_matrix, interpolation_matrix, pixel_edges
from sedflux.spectra.resolution import FWHM_PER_SIGMA, recovery_matrix
from sedflux.units import finite_array, photons_per_flux, positive_number

__all__ = ["CountModel", "SecondOrder", "blur_operator", "count_model", "distinct_points",
           "fine_grid", "fine_operators", "second_order_operator", "sed_operator"]

#: Points of the fine grid per standard deviation of the line-spread function.
_POINTS_PER_SIGMA = 6.0
#: Largest number of points of a fine grid: operators of larger grids need too much memory.
_MOST_POINTS = 1_000_000
#: Relative difference in wavelength below which two points are the same.
_ROUNDING = 1e-9
#: Relative difference of the steps of a grid below which they are equal.
_EVEN_STEPS = 1e-6
#: The second order is computed for pixels inside the SED by this factor in wavelength.
_SECOND_ORDER_MARGIN = 1.001


@dataclass(frozen=True)
class SecondOrder:
    """
    Second spectral order, on the same pixels as the first.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (k,)
        Wavelength of the second order in Angstrom, ascending; a Quantity is converted.
    throughput : `~numpy.ndarray`, shape (k,)
        Throughput of the second order; zero outside the wavelengths.
    ratio : float
        Wavelength of the second order over that of the first order on the same pixel.

    Examples
    --------
    >>> from sedflux.slitless.forward import SecondOrder
    >>> second = SecondOrder([2600.0, 3000.0, 3400.0], [0.0, 0.02, 0.0])
    >>> second.ratio
    0.5
    """

    wavelength: np.ndarray
    throughput: np.ndarray
    ratio: float = 0.5

    def __post_init__(self) -> None:
        wavelength = finite_array(self.wavelength, "wavelength of the second order", u.AA)
        throughput = finite_array(self.throughput, "throughput of the second order")
        if wavelength.ndim != 1 or wavelength.shape != throughput.shape or wavelength.size < 2:
            raise InputError(f"wavelength and throughput of the second order have the shapes "
                             f"{wavelength.shape} and {throughput.shape}; both need (k,)")
        if wavelength[0] <= 0 or np.any(np.diff(wavelength) <= 0):
            raise InputError(f"wavelength of the second order runs from {wavelength[0]:g} to "
                             f"{wavelength[-1]:g} Angstrom; it must be positive and ascending")
        object.__setattr__(self, "wavelength", wavelength)
        object.__setattr__(self, "throughput", throughput)
        object.__setattr__(self, "ratio", positive_number(self.ratio, "ratio"))


@dataclass(frozen=True)
class CountModel:
    """
    Linear model of the count rates of stars on one set of pixels.

    Attributes
    ----------
    fine : `~numpy.ndarray`, shape (m,)
        Fine grid in Angstrom.
    collect : `~scipy.sparse.csr_matrix`, shape (p, m)
        From throughput times photon flux on the fine grid to count rates.
    interpolate : `~scipy.sparse.csr_matrix`, shape (m, n)
        From F_lambda on the SED's wavelengths to photon flux on the fine grid.
    second : `~scipy.sparse.csr_matrix`, shape (p, n), optional
        From F_lambda to the count rates of the second order.

    Examples
    --------
    >>> import numpy as np
    >>> from sedflux import LineSpread
    >>> from sedflux.slitless.forward import count_model
    >>> model = count_model(np.arange(5000.0, 6000.0, 20.0), np.arange(4500.0, 6500.0, 5.0),
    ...                     area=3.1e4, line_spread=LineSpread.from_resolving_power(200.0))
    >>> flux = np.full(400, 1e-15)
    >>> model.counts(np.full(model.fine.size, 0.3), flux).shape
    (50,)
    """

    fine: np.ndarray
    collect: sparse.csr_matrix
    interpolate: sparse.csr_matrix
    second: sparse.csr_matrix | None = field(default=None)

    def counts(self, throughput: np.ndarray, flux: npt.ArrayLike, *,
               grey: float | np.ndarray = 1.0) -> np.ndarray:
        """
        Count rates for a throughput.

        Parameters
        ----------
        throughput : `~numpy.ndarray`, shape (m,)
            On the fine grid.
        flux : `~numpy.ndarray`, shape (n,) or (N, n)
            SEDs in erg/s/cm2/Angstrom.
        grey : float or `~numpy.ndarray`, shape (N, 1), optional
            Fraction of the light inside the extraction aperture.

        Returns
        -------
        rate : `~numpy.ndarray`, shape (p,) or (N, p)
            Electrons per second and pixel.
        """
        photons = (self.interpolate @ np.asarray(flux).T).T
        rate = (self.collect @ (throughput * photons).T).T
        if self.second is not None:
            rate = rate + (self.second @ np.asarray(flux).T).T
        return grey * rate


def fine_grid(low: float, high: float, line_spread: LineSpread, *, extra: npt.ArrayLike = (),
              limits: Sequence[float] | None = None) -> np.ndarray:
    """
    Fine grid over a range, and beyond it by the reach of the line-spread function.

    Parameters
    ----------
    low, high : float
        Outer edges of the pixels in Angstrom.
    line_spread : `LineSpread`
    extra : `~numpy.ndarray`, optional
        Further points of the grid, such as those of a tabulated throughput.
    limits : sequence of float, optional
        Ends of the SED, where the grid is cut.

    Returns
    -------
    fine : `~numpy.ndarray`, shape (m,)
        In Angstrom.
    """
    low, high = low - line_spread.reach(low), high + line_spread.reach(high)
    narrow = line_spread.fwhm_at(np.linspace(low, high, 200)).min() / FWHM_PER_SIGMA
    count = (high - low) / narrow * _POINTS_PER_SIGMA if narrow > 0 else np.inf
    if not count <= _MOST_POINTS:
        raise InputError(f"the line-spread function is {narrow:.3g} Angstrom wide, too narrow for "
                         f"pixels from {low:.0f} to {high:.0f}; leave it out")
    even = np.linspace(low, high, int(np.ceil(count)) + 1)
    points = np.concatenate([even, np.asarray(extra, dtype=float)])
    fine = distinct_points(points, low, high)
    return fine if limits is None else fine[(fine >= limits[0]) & (fine <= limits[1])]


def fine_operators(low: float, high: float, line_spread: LineSpread | None, *,
                   points: npt.ArrayLike, extra: npt.ArrayLike = (),
                   limits: Sequence[float] | None = None,
                   ) -> tuple[np.ndarray, sparse.csr_matrix | None]:
    """
    Fine grid over a range, and the line-spread function on it.

    Parameters
    ----------
    low, high : float
        Outer edges of the pixels in Angstrom.
    line_spread : `LineSpread` or None
    points : array_like
        Points of the grid if there is no line-spread function; otherwise its width sets them.
    extra : array_like, optional
        Further points of the grid.
    limits : sequence of float, optional
        See `fine_grid`.

    Returns
    -------
    fine : `~numpy.ndarray`, shape (m,)
        In Angstrom.
    blur : `~scipy.sparse.csr_matrix`, shape (m, m), or None
        From `blur_operator`; None without a line-spread function.
    """
    if line_spread is None:
        return distinct_points(np.r_[np.asarray(points), np.asarray(extra)], low, high), None
    fine = fine_grid(low, high, line_spread, extra=extra, limits=limits)
    return fine, blur_operator(fine, line_spread)


def blur_operator(fine: np.ndarray, line_spread: LineSpread) -> sparse.csr_matrix:
    """
    Convolution with the line-spread function, for integrals over pixels.

    Integrals of straight lines between samples are too small where a curve bends.  On an
    even grid the factor ``1 - d^2 / 12``, with the second difference ``d^2``, corrects this
    to second order.

    Parameters
    ----------
    fine : `~numpy.ndarray`, shape (m,)
        In Angstrom.
    line_spread : `LineSpread`

    Returns
    -------
    blur : `~scipy.sparse.csr_matrix`, shape (m, m)
    """
    matrix = line_spread.matrix(fine)
    step = np.diff(fine)
    if np.ptp(step) > _EVEN_STEPS * step.mean():
        return matrix
    second = sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1],
                                shape=(fine.size, fine.size)).tolil()
    second[0], second[-1] = 0.0, 0.0
    return sparse.csr_matrix(matrix - (second.tocsr() @ matrix) / 12.0)


def distinct_points(points: np.ndarray, low: float, high: float) -> np.ndarray:
    """Ascending points in a range, without points that are equal within rounding."""
    points = np.unique(points)
    points = points[(points >= low) & (points <= high)]
    return points[np.r_[True, np.diff(points) > _ROUNDING * points[1:]]]


def sed_operator(sed_wavelength: np.ndarray, fine: np.ndarray, *,
                 sed_resolving_power: float | None = None) -> sparse.csr_matrix:
    """
    From F_lambda of an SED to photon flux on a fine grid.

    Photon fluxes, not energy fluxes, are interpolated linearly, as synphot does.  If the SED
    has a known resolving power, its broadening is first undone
    (`~sedflux.spectra.resolution.recovery_matrix`), because the instrument broadens it again.

    Parameters
    ----------
    sed_wavelength : `~numpy.ndarray`, shape (n,)
        In Angstrom.
    fine : `~numpy.ndarray`, shape (m,)
        In Angstrom.
    sed_resolving_power : float, optional

    Returns
    -------
    operator : `~scipy.sparse.csr_matrix`, shape (m, n)
        Its result is in photons per s, cm2 and Angstrom.
    """
    photons = sparse.diags_array(photons_per_flux(sed_wavelength))
    if sed_resolving_power is None:
        return sparse.csr_matrix(interpolation_matrix(sed_wavelength, fine) @ photons)
    return recovery_matrix(sed_wavelength, sed_resolving_power, fine) @ photons


def count_model(pixels: np.ndarray, sed_wavelength: np.ndarray, *, area: float,
                line_spread: LineSpread | None = None, second_order: SecondOrder | None = None,
                sed_resolving_power: float | None = None, extra: npt.ArrayLike = ()) -> CountModel:
    """
    Build the forward model of one extracted spectrum.

    Without a line-spread function it equals `synphot.Observation.sample_binned`.

    Parameters
    ----------
    pixels : `~numpy.ndarray`, shape (p,)
        Ascending pixel centres in Angstrom, on any spacing.
    sed_wavelength : `~numpy.ndarray`, shape (n,)
        Samples of the SED in Angstrom; they must reach beyond the pixels.
    area : float
        Collecting area in cm2.
    line_spread : `LineSpread`, optional
        No broadening if not given.
    second_order : `SecondOrder`, optional
    sed_resolving_power : float, optional
        lambda / FWHM of the SED; None for an SED at full resolution.  Without a line-spread
        function it is ignored, and the SED must have the resolution of the counts.
    extra : `~numpy.ndarray`, optional
        More points of the fine grid, such as those of a tabulated throughput.

    Returns
    -------
    model : `CountModel`

    Raises
    ------
    sedflux.exceptions.InputError
        If the SED does not reach beyond the pixels.
    """
    edges = pixel_edges(pixels)
    if edges[0] < sed_wavelength[0] or edges[-1] > sed_wavelength[-1]:
        raise InputError(
            f"pixels reach from {edges[0]:.0f} to {edges[-1]:.0f} Angstrom, the SED from "
            f"{sed_wavelength[0]:.0f} to {sed_wavelength[-1]:.0f}: cut the counts to the SED"
        )
    if line_spread is None:
        sed_resolving_power = None
    if sed_resolving_power is None:
        # The slope of sampled SEDs changes at their samples and at the edges, where the grid
        # needs points.  For smooth SEDs an even grid is more exact.
        extra = np.concatenate([edges, sed_wavelength, np.asarray(extra, dtype=float)])
    fine, blur = fine_operators(edges[0], edges[-1], line_spread, points=pixels, extra=extra,
                                limits=(sed_wavelength[0], sed_wavelength[-1]))
    collect = integral_matrix(fine, edges[:-1], edges[1:])
    collect = collect if blur is None else collect @ blur
    interpolate = sed_operator(sed_wavelength, fine, sed_resolving_power=sed_resolving_power)
    second = None
    if second_order is not None:
        second = second_order_operator(pixels, sed_wavelength, second_order, area=area,
                                       line_spread=line_spread,
                                       sed_resolving_power=sed_resolving_power)
    return CountModel(fine, sparse.csr_matrix(area * collect), interpolate, second)


def second_order_operator(pixels: np.ndarray, sed_wavelength: np.ndarray,
                          second_order: SecondOrder, *, area: float,
                          line_spread: LineSpread | None = None,
                          sed_resolving_power: float | None = None) -> sparse.csr_matrix:
    """
    From F_lambda to the count rates of the second order on the pixels of the first.

    Parameters
    ----------
    pixels, sed_wavelength, area, line_spread, sed_resolving_power
        As for `count_model`.
    second_order : `SecondOrder`

    Returns
    -------
    operator : `~scipy.sparse.csr_matrix`, shape (p, n)
        Zero for pixels whose second order lies outside the SED.
    """
    ratio = second_order.ratio
    place = np.asarray(pixels) * ratio
    inside = np.flatnonzero((place > sed_wavelength[0] * _SECOND_ORDER_MARGIN)
                            & (place < sed_wavelength[-1] / _SECOND_ORDER_MARGIN))
    if inside.size < 2:
        return sparse.csr_matrix((len(pixels), len(sed_wavelength)))
    narrow = None
    if line_spread is not None:
        narrow = LineSpread(line_spread.wavelength * ratio, line_spread.fwhm * ratio,
                            None if line_spread.offset is None else line_spread.offset * ratio,
                            line_spread.profile)
    part = count_model(place[inside], sed_wavelength, area=area, line_spread=narrow,
                       sed_resolving_power=sed_resolving_power, extra=second_order.wavelength)
    passed = np.interp(part.fine, second_order.wavelength, second_order.throughput,
                       left=0.0, right=0.0)
    rows = part.collect @ sparse.diags_array(passed) @ part.interpolate
    spread = sparse.csr_matrix((np.ones(inside.size), (inside, np.arange(inside.size))),
                               shape=(len(pixels), inside.size))
    return sparse.csr_matrix(spread @ rows)
