"""
Forward model of an extracted slitless spectrum.

The count rate of pixel p is ``area * integral over the pixel of LSF * (T P)``, where P is
the star's photon flux and T the throughput.  It is linear in both, so it is a chain of
sparse operators through a *fine grid*: SED to fine grid, line-spread function, pixels.
"""

from dataclasses import dataclass, field

import numpy as np
from astropy import constants
from astropy import units as u
from scipy import sparse

from sedflux.exceptions import InputError
from sedflux.grids import index_runs, integral_matrix, interpolation_matrix, pixel_edges
from sedflux.resolution import FWHM_PER_SIGMA, lsf_matrix, recovery_matrix

__all__ = ["CountModel", "LineSpread", "SecondOrder", "blur_operator", "count_model",
           "distinct_points", "fine_grid", "photons_per_flux", "second_order_operator",
           "sed_operator"]

#: Points of the fine grid to a standard deviation of the line-spread function.
_OVERSAMPLING = 6.0
_REACH = 5.0


@dataclass(frozen=True)
class LineSpread:
    """
    Line-spread function against wavelength: Gaussian, or tabulated.

    Make one with `from_resolving_power`, `from_fwhm` or `tabulated`.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (k,)
        Nodes in Angstrom; constant outside, linear between.
    fwhm : `~numpy.ndarray`, shape (k,)
        Full width at half maximum in Angstrom; of the tabulated profiles, their
        standard deviation times 2.355.
    offset : `~numpy.ndarray`, shape (q,), optional
        Detected minus true wavelength in Angstrom.
    profile : `~numpy.ndarray`, shape (k, q), optional
        Profile at each node.

    Examples
    --------
    >>> from sedflux.slitless import LineSpread
    >>> float(LineSpread.from_resolving_power(200.0).fwhm_at(5000.0))
    25.0
    """

    wavelength: np.ndarray
    fwhm: np.ndarray
    offset: np.ndarray | None = None
    profile: np.ndarray | None = None

    def __post_init__(self):
        for name in ("wavelength", "fwhm"):
            object.__setattr__(self, name, np.atleast_1d(np.asarray(getattr(self, name), float)))
        if self.wavelength.shape != self.fwhm.shape or np.any(np.diff(self.wavelength) <= 0):
            raise InputError(f"wavelength and fwhm of a line-spread function have the shapes "
                             f"{self.wavelength.shape} and {self.fwhm.shape}; both need (k,), "
                             "wavelength ascending")
        if not np.all(np.isfinite(self.fwhm)) or np.any(self.fwhm < 0) or not self.fwhm.max() > 0:
            raise InputError("fwhm of a line-spread function must be positive and finite")

    @classmethod
    def from_resolving_power(cls, resolving_power, wavelength=None):
        """Gaussian of lambda / FWHM, one number or one for each wavelength (Angstrom)."""
        power = np.asarray(resolving_power, dtype=float)
        if not np.all(power > 0):
            raise InputError(f"resolving_power is {resolving_power}; it must be positive")
        if wavelength is None:
            return cls(np.array([0.0, 1e6]), np.array([0.0, 1e6 / float(power)]))
        return cls(wavelength, np.asarray(wavelength, dtype=float) / power)

    @classmethod
    def from_fwhm(cls, fwhm, wavelength=None):
        """Gaussian of one FWHM in Angstrom, or one for each wavelength."""
        return cls(np.zeros(1) if wavelength is None else wavelength, fwhm)

    @classmethod
    def tabulated(cls, wavelength, offset, profile):
        """Profiles (k, q) at wavelengths (k,) and offsets (q,), detected minus true."""
        offset = np.asarray(offset, dtype=float)
        profile = np.clip(np.atleast_2d(np.asarray(profile, dtype=float)), 0.0, None)
        if profile.shape[1] != offset.size or offset.size < 3 or np.any(np.diff(offset) <= 0):
            raise InputError(f"offset and profile have the shapes {offset.shape} and "
                             f"{profile.shape}; (q,), ascending, and (k, q) are needed")
        weight = profile * np.diff(pixel_edges(offset))
        weight = weight / weight.sum(axis=1, keepdims=True)
        centre = weight @ offset
        spread = np.sqrt((weight * (offset - centre[:, None]) ** 2).sum(axis=1))
        return cls(wavelength, FWHM_PER_SIGMA * spread, offset, profile)

    def fwhm_at(self, wavelength):
        """FWHM in Angstrom at wavelengths in Angstrom."""
        return np.interp(wavelength, self.wavelength, self.fwhm)

    def reach(self, wavelength):
        """How far, in Angstrom, light of a wavelength spreads."""
        far = 0.0 if self.offset is None else np.abs(self.offset[[0, -1]]).max()
        return max(far, _REACH / FWHM_PER_SIGMA * float(self.fwhm_at(wavelength)))

    def matrix(self, fine):
        """Operator on a fine grid, sparse (m, m); rows sum to one."""
        if self.offset is None:
            return lsf_matrix(fine, self.fwhm_at(fine) / FWHM_PER_SIGMA, reach=_REACH)
        return self._tabulated_matrix(fine)

    def _tabulated_matrix(self, fine):
        first = np.searchsorted(fine, fine - self.offset[-1])
        last = np.searchsorted(fine, fine - self.offset[0], side="right")
        rows, columns = index_runs(first, last)
        step = fine[rows] - fine[columns]
        place = np.interp(fine[rows], self.wavelength, np.arange(self.wavelength.size))
        left = np.clip(place.astype(int), 0, max(self.wavelength.size - 2, 0))
        value = np.zeros(rows.size)
        for node in range(self.wavelength.size):
            share = np.where(left == node, 1.0 - (place - left), 0.0)
            share += np.where(left + 1 == node, place - left, 0.0)
            value += share * np.interp(step, self.offset, self.profile[node])
        value *= np.diff(pixel_edges(fine))[columns]
        matrix = sparse.csr_matrix((value, (rows, columns)), shape=(fine.size, fine.size))
        total = np.asarray(matrix.sum(axis=1)).ravel()
        scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 1e-200)
        return sparse.csr_matrix(sparse.diags_array(scale) @ matrix)


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


def photons_per_flux(wavelength):
    """Photons a second, cm2 and Angstrom in one erg of the same; lambda / (h c)."""
    return np.asarray(wavelength) / (constants.h * constants.c).to_value(u.erg * u.AA)


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
