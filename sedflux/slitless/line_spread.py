"""Line-spread functions: Gaussian, or tabulated."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sedflux.exceptions import InputError
from sedflux.spectra.grids import index_runs, pixel_edges
from sedflux.spectra.resolution import FWHM_PER_SIGMA, lsf_matrix

__all__ = ["LineSpread", "REACH"]

REACH = 5.0


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
    >>> from sedflux.slitless.line_spread import LineSpread
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
        return max(far, REACH / FWHM_PER_SIGMA * float(self.fwhm_at(wavelength)))

    def matrix(self, fine):
        """Operator on a fine grid, sparse (m, m); rows sum to one."""
        if self.offset is None:
            return lsf_matrix(fine, self.fwhm_at(fine) / FWHM_PER_SIGMA, reach=REACH)
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
