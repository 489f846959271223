"""Line-spread functions: Gaussian, or tabulated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from astropy import units as u
from scipy import sparse

from sedflux.exceptions import InputError
from sedflux.spectra.grids import index_runs, pixel_edges
from sedflux.spectra.resolution import FWHM_PER_SIGMA, lsf_matrix
from sedflux.units import finite_array

__all__ = ["LineSpread", "REACH"]

#: Distance at which a Gaussian is truncated, in standard deviations: 6e-7 of the light is beyond.
REACH = 5.0
#: Largest resolving power of a spectrograph.
_MAX_RESOLVING_POWER = 1e7
#: Largest wavelength of a line-spread function of one resolving power, in Angstrom.
_MAX_WAVELENGTH = 1e6
#: Rows of the operator whose sum is less get no light, and are not normalised.
_LEAST_SUM = 1e-200


@dataclass(frozen=True, eq=False, repr=False)
class LineSpread:
    """
    Line-spread function against wavelength: Gaussian, or tabulated.

    Use `from_resolving_power`, `from_fwhm` or `tabulated`.  Numbers without a unit are in
    Angstrom; quantities are converted.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (k,)
        Ascending nodes in Angstrom.  Between nodes the width and the profile change
        linearly; outside they are constant.
    fwhm : `~numpy.ndarray`, shape (k,)
        Full width at half maximum in Angstrom.  For tabulated profiles it is 2.355 times
        their standard deviation.
    offset : `~numpy.ndarray`, shape (q,), optional
        Detected minus true wavelength in Angstrom.
    profile : `~numpy.ndarray`, shape (k, q), optional
        Tabulated profile at each node.

    Examples
    --------
    >>> from sedflux.slitless.line_spread import LineSpread
    >>> float(LineSpread.from_resolving_power(200.0).fwhm_at(5000.0))
    25.0
    """

    wavelength: np.ndarray
    fwhm: np.ndarray
    offset: np.ndarray | None = None
    profile: np.ndarray | None = None

    def __repr__(self) -> str:
        widths = " to ".join(f"{width:.3g}" for width in np.unique(
            [self.fwhm.min(), self.fwhm.max()]))
        return (f"<LineSpread{'' if self.profile is None else ', tabulated'}: "
                f"FWHM {widths} Angstrom>")

    def __post_init__(self) -> None:
        for name in ("wavelength", "fwhm"):
            array = finite_array(getattr(self, name), f"{name} of a line-spread function", u.AA)
            object.__setattr__(self, name, np.atleast_1d(array))
        if self.wavelength.ndim != 1 or self.wavelength.shape != self.fwhm.shape or (
                self.wavelength.size == 0):
            raise InputError(f"wavelength and fwhm of a line-spread function have the shapes "
                             f"{self.wavelength.shape} and {self.fwhm.shape}; both need (k,)")
        if self.wavelength[0] < 0 or np.any(np.diff(self.wavelength) <= 0):
            raise InputError(f"wavelength of a line-spread function is {self.wavelength}; it must "
                             "be positive and ascending")
        if np.any(self.fwhm < 0) or not self.fwhm.max() > 0:
            raise InputError(f"fwhm of a line-spread function is {self.fwhm}; it must be positive "
                             "and finite")

    @classmethod
    def from_resolving_power(cls, resolving_power: npt.ArrayLike,
                             wavelength: npt.ArrayLike | None = None) -> LineSpread:
        """
        Gaussian line-spread function of a resolving power.

        Parameters
        ----------
        resolving_power : float or array_like, shape (k,)
            lambda / FWHM: one number, or one for each wavelength.
        wavelength : array_like, shape (k,), optional
            Ascending, in Angstrom.

        Returns
        -------
        line_spread : `LineSpread`
        """
        power = finite_array(resolving_power, "resolving_power")
        if power.size == 0 or not np.all((power >= 1.0) & (power <= _MAX_RESOLVING_POWER)):
            raise InputError(f"resolving_power is {resolving_power!r}; it must be positive, from 1 "
                             f"to {_MAX_RESOLVING_POWER:g}")
        if wavelength is None:
            if power.size != 1:
                raise InputError(f"resolving_power has the shape {power.shape}; give one number, "
                                 "or the wavelength of each value")
            return cls(np.array([0.0, _MAX_WAVELENGTH]),
                       np.array([0.0, _MAX_WAVELENGTH / power.item()]))
        nodes = np.atleast_1d(finite_array(wavelength, "wavelength of a line-spread function",
                                           u.AA))
        if power.size != 1 and power.shape != nodes.shape:
            raise InputError(f"resolving_power and wavelength have the shapes {power.shape} and "
                             f"{nodes.shape}; both need (k,)")
        return cls(nodes, nodes / power)

    @classmethod
    def from_fwhm(cls, fwhm: npt.ArrayLike, wavelength: npt.ArrayLike | None = None) -> LineSpread:
        """
        Gaussian line-spread function of a full width at half maximum.

        Parameters
        ----------
        fwhm : float or array_like, shape (k,)
            In Angstrom: one number, or one for each wavelength.
        wavelength : array_like, shape (k,), optional
            Ascending, in Angstrom.

        Returns
        -------
        line_spread : `LineSpread`
        """
        nodes = np.zeros(1) if wavelength is None else np.atleast_1d(
            finite_array(wavelength, "wavelength of a line-spread function", u.AA))
        return cls(nodes, np.atleast_1d(finite_array(fwhm, "fwhm of a line-spread function",
                                                     u.AA)))

    @classmethod
    def tabulated(cls, wavelength: npt.ArrayLike, offset: npt.ArrayLike,
                  profile: npt.ArrayLike) -> LineSpread:
        """
        Line-spread function from profiles.

        Parameters
        ----------
        wavelength : array_like, shape (k,)
            Ascending, in Angstrom.
        offset : array_like, shape (q,)
            Detected minus true wavelength in Angstrom, ascending.
        profile : array_like, shape (k, q)
            Light at each offset on any scale; negative values are set to zero.

        Returns
        -------
        line_spread : `LineSpread`
        """
        places = finite_array(offset, "offset of a line-spread function", u.AA)
        light = np.atleast_2d(finite_array(profile, "profile of a line-spread function"))
        light = np.clip(light, 0.0, None)
        if light.ndim != 2 or places.ndim != 1 or light.shape[1] != places.size or (
                places.size < 3 or np.any(np.diff(places) <= 0)):
            raise InputError(f"offset and profile have the shapes {places.shape} and "
                             f"{light.shape}; (q,), ascending, and (k, q) are needed")
        if not np.all(light.max(axis=1) > 0):
            raise InputError("profile of a line-spread function is zero or less at one of its "
                             "wavelengths; leave that wavelength out")
        weight = light * np.diff(pixel_edges(places))
        weight = weight / weight.sum(axis=1, keepdims=True)
        centre = weight @ places
        spread = np.sqrt((weight * (places - centre[:, None]) ** 2).sum(axis=1))
        nodes = finite_array(wavelength, "wavelength of a line-spread function", u.AA)
        return cls(nodes, FWHM_PER_SIGMA * spread, places, light)

    def fwhm_at(self, wavelength: npt.ArrayLike) -> np.ndarray:
        """FWHM in Angstrom at wavelengths, numbers in Angstrom."""
        return np.interp(finite_array(wavelength, "wavelength", u.AA), self.wavelength, self.fwhm)

    def reach(self, wavelength: float) -> float:
        """Distance in Angstrom over which light of a wavelength spreads."""
        far = 0.0 if self.offset is None else np.abs(self.offset[[0, -1]]).max()
        return max(far, REACH / FWHM_PER_SIGMA * float(self.fwhm_at(wavelength)))

    def matrix(self, fine: np.ndarray) -> sparse.csr_matrix:
        """
        Convolution with the line-spread function on a grid.

        Parameters
        ----------
        fine : `~numpy.ndarray`, shape (m,)
            Ascending wavelengths in Angstrom.

        Returns
        -------
        matrix : `~scipy.sparse.csr_matrix`, shape (m, m)
            Its rows sum to one.
        """
        if self.offset is None:
            return lsf_matrix(fine, self.fwhm_at(fine) / FWHM_PER_SIGMA, reach=REACH)
        return self._tabulated_matrix(fine)

    def _tabulated_matrix(self, fine: np.ndarray) -> sparse.csr_matrix:
        """The operator for tabulated profiles, which change linearly between nodes."""
        assert self.offset is not None
        assert self.profile is not None
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
        scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > _LEAST_SUM)
        return sparse.csr_matrix(sparse.diags_array(scale) @ matrix)
