"""
Forward model of an extracted slitless spectrum.

The count rate of pixel p is ``area * integral over the pixel of LSF * (T P)``, where P is
the star's photon flux and T the throughput.  It is linear in both, so it is a chain of
sparse operators through a *fine grid*: SED to fine grid, line-spread function, pixels.
"""

from dataclasses import dataclass, field

import numpy as np
from astropy import units as u
from scipy import sparse

from sedflux.exceptions import InputError
from sedflux.slitless.line_spread import LineSpread
from sedflux.spectra.grids import integral_matrix, interpolation_matrix, pixel_edges
from sedflux.spectra.resolution import FWHM_PER_SIGMA, recovery_matrix
from sedflux.units import finite_array, photons_per_flux, positive_number

__all__ = ["CountModel", "SecondOrder", "blur_operator", "count_model", "distinct_points",
           "fine_grid", "second_order_operator", "sed_operator"]

#: Points of the fine grid to a standard deviation of the line-spread function.
_OVERSAMPLING = 6.0


@dataclass(frozen=True)
class SecondOrder:
    """
    Light of the second order that falls on the pixels of the first.

    Attributes
    ----------
    wavelength, throughput : `~numpy.ndarray`, shape (k,)
        Throughput of the second order against its own wavelength in Angstrom; zero outside.
    ratio : float
        Wavelength of the second order over that of the first on the same pixel.
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
    Linear model of the count rates of stars on one grid of pixels.

    Attributes
    ----------
    fine : `~numpy.ndarray`, shape (m,)
        Fine grid in Angstrom.
    collect : `~scipy.sparse.csr_matrix`, shape (p, m)
        From throughput times photon flux on the fine grid to counts a second.
    interpolate : `~scipy.sparse.csr_matrix`, shape (m, n)
        From F_lambda on the SED's wavelengths to photon flux on the fine grid.
    second : `~scipy.sparse.csr_matrix`, shape (p, n), optional
        From F_lambda to the counts of the second order.
    """

    fine: np.ndarray
    collect: sparse.csr_matrix
    interpolate: sparse.csr_matrix
    second: sparse.csr_matrix | None = field(default=None)

    def counts(self, throughput, flux, *, grey=1.0):
        """
        Count rates for a throughput on the fine grid.

        Parameters
        ----------
        throughput : `~numpy.ndarray`, shape (m,)
        flux : `~numpy.ndarray`, shape (n,) or (N, n)
            SEDs in erg/s/cm2/Angstrom.
        grey : float or `~numpy.ndarray`, shape (N, 1), optional
            Share of the light that the extraction catches.

        Returns
        -------
        rate : `~numpy.ndarray`, shape (p,) or (N, p)
            Electrons a second and pixel.
        """
        photons = (self.interpolate @ np.asarray(flux).T).T
        rate = (self.collect @ (throughput * photons).T).T
        if self.second is not None:
            rate = rate + (self.second @ np.asarray(flux).T).T
        return grey * rate


def fine_grid(low, high, line_spread, *, extra=(), limits=None):
    """
    Fine grid over a range, wide enough for light that the line-spread function brings in.

    Parameters
    ----------
    low, high : float
        Outer edges of the pixels in Angstrom.
    line_spread : `LineSpread`
    extra : `~numpy.ndarray`, optional
        Points to be held, such as those of a tabulated throughput.
    limits : tuple of float, optional
        Ends of the SED: beyond them nothing is known, and the grid is cut, not made up.

    Returns
    -------
    fine : `~numpy.ndarray`, shape (m,)
    """
    low, high = low - line_spread.reach(low), high + line_spread.reach(high)
    narrow = line_spread.fwhm_at(np.linspace(low, high, 200)).min() / FWHM_PER_SIGMA
    count = int(np.ceil((high - low) / narrow * _OVERSAMPLING)) + 1
    if not np.isfinite(count) or count > 1_000_000:
        raise InputError(f"the line-spread function is {narrow:.3g} Angstrom wide, too narrow for "
                         f"pixels from {low:.0f} to {high:.0f}; leave it out")
    points = np.concatenate([np.linspace(low, high, count), np.asarray(extra, float)])
    fine = distinct_points(points, low, high)
    return fine if limits is None else fine[(fine >= limits[0]) & (fine <= limits[1])]


def blur_operator(fine, line_spread):
    """
    Line-spread function on a fine grid, for integrals over pixels, sparse (m, m).

    On an even grid it also takes out, to second order, that straight lines between
    samples cut the corners of a curve: ``1 - d^2 / 12``, d the second difference.
    """
    matrix = line_spread.matrix(fine)
    step = np.diff(fine)
    if np.ptp(step) > 1e-6 * step.mean():
        return matrix
    second = sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1],
                                shape=(fine.size, fine.size)).tolil()
    second[0], second[-1] = 0.0, 0.0
    return sparse.csr_matrix(matrix - (second.tocsr() @ matrix) / 12.0)


def distinct_points(points, low, high):
    """Ascending points in a range, none within rounding of another."""
    points = np.unique(points)
    points = points[(points >= low) & (points <= high)]
    return points[np.r_[True, np.diff(points) > 1e-9 * points[1:]]]


def sed_operator(sed_wavelength, fine, *, sed_resolving_power=None):
    """
    From F_lambda of an SED to photon flux on a fine grid, sparse (m, n).

    Photons, not energies, are joined by straight lines, as synphot does; an SED of known
    resolving power gets back what its own broadening took (`recovery_matrix`), since the
    instrument will broaden it again.
    """
    photons = sparse.diags_array(photons_per_flux(sed_wavelength))
    if sed_resolving_power is None:
        return sparse.csr_matrix(interpolation_matrix(sed_wavelength, fine) @ photons)
    return recovery_matrix(sed_wavelength, sed_resolving_power, fine) @ photons


def count_model(pixels, sed_wavelength, *, area, line_spread=None, second_order=None,
                sed_resolving_power=None, extra=()):
    """
    Build the forward model of one extracted spectrum.

    Without a line-spread function it is what `synphot.Observation.sample_binned`
    computes.

    Parameters
    ----------
    pixels : `~numpy.ndarray`, shape (p,)
        Ascending pixel centres in Angstrom; they need not be equally spaced.
    sed_wavelength : `~numpy.ndarray`, shape (n,)
        Samples of the SED in Angstrom; they must reach beyond the pixels.
    area : float
        Collecting area in cm2.
    line_spread : `LineSpread`, optional
        None at all if not given.
    second_order : `SecondOrder`, optional
    sed_resolving_power : float, optional
        lambda / FWHM with which the SED was broadened already; none if not given.  Without a
        line-spread function the SED is taken to be as blurred as the counts.
    extra : `~numpy.ndarray`, optional
        Further points of the fine grid, such as those of a tabulated throughput.

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
    points = np.concatenate([sed_wavelength, np.asarray(extra, dtype=float)])
    if line_spread is None:
        sed_resolving_power = None
        fine = distinct_points(np.concatenate([edges, pixels, points]), edges[0], edges[-1])
        collect = integral_matrix(fine, edges[:-1], edges[1:])
    else:
        # A smooth SED needs no points of its own, and an even grid is the more exact.
        points = extra if sed_resolving_power is not None else np.r_[edges, points]
        fine = fine_grid(edges[0], edges[-1], line_spread, extra=points,
                         limits=(sed_wavelength[0], sed_wavelength[-1]))
        collect = integral_matrix(fine, edges[:-1], edges[1:]) @ blur_operator(fine, line_spread)
    interpolate = sed_operator(sed_wavelength, fine, sed_resolving_power=sed_resolving_power)
    second = None
    if second_order is not None:
        second = second_order_operator(pixels, sed_wavelength, second_order, area=area,
                                       line_spread=line_spread,
                                       sed_resolving_power=sed_resolving_power)
    return CountModel(fine, sparse.csr_matrix(area * collect), interpolate, second)


def second_order_operator(pixels, sed_wavelength, second_order, *, area, line_spread=None,
                          sed_resolving_power=None):
    """
    From F_lambda to the counts of the second order on the pixels of the first, sparse (p, n).

    Where the second order's wavelengths leave the SED nothing is known of it: zero.
    Parameters are those of `count_model`.
    """
    ratio = second_order.ratio
    place = np.asarray(pixels) * ratio
    inside = np.flatnonzero((place > sed_wavelength[0] * 1.001)
                            & (place < sed_wavelength[-1] / 1.001))
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
