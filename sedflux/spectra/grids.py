"""Wavelength grids, and moving spectra between them with sparse operators.

Everything here is plain numpy and scipy: wavelengths are vacuum Angstrom, in
ascending order, and name pixel centres.  Two operators cover every need:

* `rebin_matrix` treats a spectrum as *pixels* (histogram bins): the mean of
  F_lambda over each output pixel, flux-conserving.  It is what
  `specutils.manipulation.FluxConservingResampler` computes.
* `average_matrix` treats a spectrum as *samples of a curve* joined by straight
  lines, as synphot does, and averages that curve over each output pixel.
"""

import numpy as np
from scipy import sparse

__all__ = ["OPTICAL_RANGE", "SED_RANGE", "SED_RESOLVING_POWER", "Rebinning", "average_matrix",
           "index_runs", "input_grid", "integral_matrix", "interpolation_matrix", "optical_mean",
           "pixel_edges", "rebin_matrix", "rebin_spectra", "sed_grid"]

#: Centre of the first pixel of the input grid, and its step, in log10(wavelength): LAMOST's.
INPUT_START, INPUT_STEP = 3.6021, 1e-4
#: Pixels of the input grid.
INPUT_PIXELS = 2430
#: Limits (Angstrom) of the SED grid, and of the range over whose mean SEDs are relative.
SED_RANGE, OPTICAL_RANGE = (2500.0, 10500.0), (4000.0, 7000.0)
#: Samples of the SED grid: two a resolution element of R = 200.
SED_SAMPLES = 575
#: lambda / FWHM of predicted SEDs.
SED_RESOLVING_POWER = 200.0


def input_grid() -> np.ndarray:
    """
    Centres of the input pixels: LAMOST's own, 4000 to 7000 Angstrom.

    Returns
    -------
    wavelength : `~numpy.ndarray`, shape (2430,)
        Vacuum wavelength in Angstrom.

    Examples
    --------
    >>> from sedflux.spectra.grids import input_grid
    >>> wavelength = input_grid()
    >>> wavelength.shape, wavelength[[0, -1]].round(2)
    ((2430,), array([4000.37, 6998.42]))
    """
    return 10 ** (INPUT_START + INPUT_STEP * np.arange(INPUT_PIXELS))


def sed_grid() -> np.ndarray:
    """
    Wavelengths of the SED: 2500 to 10500 Angstrom, two samples at R = 200.

    Returns
    -------
    wavelength : `~numpy.ndarray`, shape (575,)
        Vacuum wavelength in Angstrom, equally spaced in its logarithm.
    """
    return np.geomspace(*SED_RANGE, SED_SAMPLES)


def pixel_edges(wavelength: np.ndarray) -> np.ndarray:
    """
    Edges of pixels from their centres: half-way between neighbours.

    Parameters
    ----------
    wavelength : array_like, shape (n,)
        Ascending pixel centres; at least two.

    Returns
    -------
    edges : `~numpy.ndarray`, shape (n + 1,)
    """
    wavelength = np.asarray(wavelength, dtype=float)
    middle = 0.5 * (wavelength[1:] + wavelength[:-1])
    first = 1.5 * wavelength[0] - 0.5 * wavelength[1]
    last = 1.5 * wavelength[-1] - 0.5 * wavelength[-2]
    return np.concatenate([[first], middle, [last]])


def index_runs(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Rows and columns of a matrix whose row i holds the columns ``first[i]:last[i]``.

    Parameters
    ----------
    first, last : `~numpy.ndarray` of int, shape (m,)

    Returns
    -------
    rows, columns : `~numpy.ndarray` of int, shape (k,)
    """
    count = last - first
    rows = np.repeat(np.arange(count.size), count)
    return rows, np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)


def _overlaps(wavelength, new_wavelength):
    """Overlap in Angstrom of every new pixel with every old one, sparse (new, old)."""
    edges, new_edges = pixel_edges(wavelength), pixel_edges(new_wavelength)
    first = np.clip(np.searchsorted(edges, new_edges[:-1], side="right") - 1, 0, None)
    last = np.searchsorted(edges, new_edges[1:], side="left")
    last = np.clip(last, first, wavelength.size)
    rows, columns = index_runs(first, last)
    overlap = np.minimum(new_edges[rows + 1], edges[columns + 1])
    overlap = np.clip(overlap - np.maximum(new_edges[rows], edges[columns]), 0.0, None)
    shape = (new_wavelength.size, wavelength.size)
    return sparse.csr_matrix((overlap, columns, np.r_[0, np.cumsum(last - first)]), shape=shape)


def rebin_matrix(wavelength: np.ndarray, new_wavelength: np.ndarray) -> sparse.csr_matrix:
    """
    Sparse operator from pixels to pixels that conserves flux.

    Each row gives the mean F_lambda over one output pixel.  An output pixel that
    the input covers in part gets the mean over the covered part; one that it
    does not cover at all has an empty row.

    Parameters
    ----------
    wavelength : array_like, shape (n,)
        Ascending centres of the input pixels.
    new_wavelength : array_like, shape (m,)
        Ascending centres of the output pixels.

    Returns
    -------
    matrix : `~scipy.sparse.csr_matrix`, shape (m, n)

    Examples
    --------
    >>> import numpy as np
    >>> from sedflux.spectra.grids import rebin_matrix
    >>> rebin_matrix(np.array([1.0, 2, 3, 4]), np.array([1.5, 3.5])).toarray()
    array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]])
    """
    overlap = _overlaps(np.asarray(wavelength, float), np.asarray(new_wavelength, float))
    covered = np.asarray(overlap.sum(axis=1)).ravel()
    scale = np.divide(1.0, covered, out=np.zeros_like(covered), where=covered > 0)
    return sparse.csr_matrix(sparse.diags_array(scale) @ overlap)


class Rebinning:
    """
    Operator that rebins noisy spectra with bad pixels; information is conserved.

    The flux of an output pixel is the mean over the good part of what it
    covers.  Its inverse variance is the sum of the shares that the input pixels
    give to it, so that the total information of a stretch of spectrum stays the
    same.  (Propagating variances through the overlaps instead would make errors too
    small wherever an input pixel is shared by two output pixels, because their
    correlation is then forgotten.)

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Ascending centres of the input pixels.
    new_wavelength : `~numpy.ndarray`, shape (m,)
        Ascending centres of the output pixels.
    """

    def __init__(self, wavelength: np.ndarray, new_wavelength: np.ndarray) -> None:
        overlap = _overlaps(np.asarray(wavelength, float), np.asarray(new_wavelength, float))
        self._least = 0.5 * np.diff(pixel_edges(new_wavelength))[:, None]
        width = np.diff(pixel_edges(wavelength))
        self._overlap, self._covered = overlap, (overlap @ np.ones(width.size))[:, None]
        self._share = overlap.data / width[overlap.indices]
        self._shares: dict[np.dtype, sparse.csr_matrix] = {}

    def __call__(self, flux: np.ndarray, ivar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Rebin spectra.

        Parameters
        ----------
        flux, ivar : `~numpy.ndarray`, shape (N, n)
            Flux and inverse variance; bad pixels have ``ivar = 0`` and finite flux.  Arrays in
            Fortran order, whose pixels are the slow axis, are fastest.

        Returns
        -------
        flux, ivar : `~numpy.ndarray`, shape (N, m)
            Output pixels whose good coverage is below one half have ``ivar = 0``
            and zero flux.
        """
        good = ivar > 0
        if good.all():
            covered = self._covered
        else:
            covered = self._overlap @ good.T.astype(float)
            flux = flux * good
        total = self._overlap @ flux.T
        usable = covered > self._least
        new_flux = np.divide(total, covered, out=np.zeros_like(total), where=usable)
        new_ivar = self._shares_in(ivar.dtype) @ ivar.T
        return new_flux.T, (usable * new_ivar).T

    def _shares_in(self, kind):
        """Shares of input pixels in output pixels, in the precision of the inverse variance."""
        if kind not in self._shares:
            overlap = self._overlap
            self._shares[kind] = sparse.csr_matrix(
                (self._share.astype(kind), overlap.indices, overlap.indptr), shape=overlap.shape)
        return self._shares[kind]


def rebin_spectra(wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray,
                  new_wavelength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Rebin noisy spectra with bad pixels, see `Rebinning`.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
    flux, ivar : `~numpy.ndarray`, shape (N, n)
    new_wavelength : `~numpy.ndarray`, shape (m,)

    Returns
    -------
    flux, ivar : `~numpy.ndarray`, shape (N, m)
    """
    return Rebinning(wavelength, new_wavelength)(flux, ivar)


def interpolation_matrix(wavelength: np.ndarray, position: np.ndarray) -> sparse.csr_matrix:
    """
    Sparse operator from samples of a curve to its values between them.

    Parameters
    ----------
    wavelength : array_like, shape (n,)
        Ascending sample positions.
    position : array_like, shape (m,)
        Where the curve is wanted; outside the samples it is zero.

    Returns
    -------
    matrix : `~scipy.sparse.csr_matrix`, shape (m, n)
    """
    x, position = np.asarray(wavelength, dtype=float), np.asarray(position, dtype=float)
    left = np.clip(np.searchsorted(x, position, side="right") - 1, 0, x.size - 2)
    share = (position - x[left]) / (x[left + 1] - x[left])
    inside = (position >= x[0]) & (position <= x[-1])
    rows = np.arange(position.size)
    entries = np.r_[np.where(inside, 1.0 - share, 0.0), np.where(inside, share, 0.0)]
    where = (np.r_[rows, rows], np.r_[left, left + 1])
    return sparse.csr_matrix((entries, where), shape=(position.size, x.size))


def average_matrix(wavelength: np.ndarray, new_wavelength: np.ndarray) -> sparse.csr_matrix:
    """
    Sparse operator from samples of a curve to its averages over pixels.

    The samples are joined by straight lines, as synphot joins them, and the
    result is averaged over each output pixel.  Rows of pixels that reach beyond
    the samples are averaged over the part inside.

    Parameters
    ----------
    wavelength : array_like, shape (n,)
        Ascending sample positions.
    new_wavelength : array_like, shape (m,)
        Ascending centres of the output pixels.

    Returns
    -------
    matrix : `~scipy.sparse.csr_matrix`, shape (m, n)
    """
    x = np.asarray(wavelength, dtype=float)
    edges = np.clip(pixel_edges(new_wavelength), x[0], x[-1])
    width = np.diff(edges)
    scale = np.divide(1.0, width, out=np.zeros_like(width), where=width > 0)
    return sparse.csr_matrix(
        sparse.diags_array(scale) @ integral_matrix(x, edges[:-1], edges[1:]))


def integral_matrix(wavelength: np.ndarray, low: np.ndarray, high: np.ndarray
                    ) -> sparse.csr_matrix:
    """
    Sparse operator from samples of a curve to its integrals over intervals.

    The samples are joined by straight lines; the curve is zero outside them.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Ascending sample positions.
    low, high : `~numpy.ndarray`, shape (m,)
        Ends of the intervals, which may overlap or leave gaps.

    Returns
    -------
    matrix : `~scipy.sparse.csr_matrix`, shape (m, n)

    Examples
    --------
    >>> import numpy as np
    >>> from sedflux.spectra.grids import integral_matrix
    >>> integral_matrix(np.arange(4.0), np.array([0.0]), np.array([2.0])).toarray()
    array([[0.5, 1. , 0.5, 0. ]])
    """
    x = np.asarray(wavelength, dtype=float)
    low, high = np.clip(low, x[0], x[-1]), np.clip(high, x[0], x[-1])
    first = np.clip(np.searchsorted(x, low, side="right") - 1, 0, x.size - 2)
    last = np.clip(np.searchsorted(x, high, side="left"), first + 1, x.size - 1)
    rows, left = index_runs(first, last)
    begin, end = np.maximum(low[rows], x[left]), np.minimum(high[rows], x[left + 1])
    # A straight line's integral is its value in the middle times the length.
    length = np.clip(end - begin, 0.0, None)
    share = (0.5 * (begin + end) - x[left]) / (x[left + 1] - x[left])
    entries = np.r_[length * (1.0 - share), length * share]
    where = (np.r_[rows, rows], np.r_[left, left + 1])
    return sparse.csr_matrix((entries, where), shape=(low.size, x.size))


def optical_mean(wavelength: np.ndarray) -> sparse.csr_matrix:
    """Row vector that averages a sampled SED over 4000-7000 Angstrom, sparse (1, n)."""
    low, high = OPTICAL_RANGE
    # Three pixels as wide as the range; the middle one is the range.
    centres = 0.5 * (low + high) + (high - low) * np.array([-1.0, 0.0, 1.0])
    return average_matrix(wavelength, centres)[1:2]
