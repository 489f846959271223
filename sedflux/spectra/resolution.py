"""Line-spread functions as sparse operators.  They broaden and never sharpen."""

from functools import lru_cache

import numpy as np
from scipy import sparse

from sedflux.spectra.grids import index_runs, pixel_edges

__all__ = ["FWHM_PER_SIGMA", "broadening_sigma", "degrade_spectra", "lsf_matrix",
           "recovery_matrix", "smooth_spectra"]

#: Full width at half maximum of a Gaussian of unit standard deviation.
FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


def broadening_sigma(wavelength: np.ndarray, resolving_power: float | np.ndarray,
                     new_resolving_power: float) -> np.ndarray:
    """
    Gaussian sigma in Angstrom that takes one resolving power to a lower one.

    Parameters
    ----------
    wavelength : array_like
        Wavelengths in Angstrom.
    resolving_power, new_resolving_power : float or array_like
        Resolving power lambda / FWHM before (`numpy.inf` for a perfectly sharp
        spectrum) and after, at each wavelength.

    Returns
    -------
    sigma : `~numpy.ndarray`
        Zero where the spectrum is no sharper than asked: nothing is sharpened.
    """
    wavelength = np.asarray(wavelength, dtype=float)
    have = 1.0 / np.asarray(resolving_power, dtype=float)
    want = 1.0 / np.asarray(new_resolving_power, dtype=float)
    square = np.broadcast_to(want**2 - have**2, wavelength.shape)
    return wavelength / FWHM_PER_SIGMA * np.sqrt(np.clip(square, 0.0, None))


def lsf_matrix(wavelength: np.ndarray, sigma: np.ndarray, *,
               new_wavelength: np.ndarray | None = None, reach: float = 5.0) -> sparse.csr_matrix:
    """
    Sparse operator that convolves samples with a Gaussian of varying width.

    Row i is the line-spread function centred on output wavelength i, integrated
    over the input pixels by the trapezoid rule and normalised to one.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Ascending input wavelengths in Angstrom.
    sigma : float or `~numpy.ndarray`, shape (m,)
        Standard deviation in Angstrom at the output wavelengths; rows with zero
        width interpolate linearly.
    new_wavelength : `~numpy.ndarray`, shape (m,), optional
        Output wavelengths; the input ones by default.
    reach : float, optional
        Where the Gaussian is cut, in sigma.

    Returns
    -------
    matrix : `~scipy.sparse.csr_matrix`, shape (m, n)

    Examples
    --------
    >>> import numpy as np
    >>> from sedflux.spectra.resolution import lsf_matrix
    >>> wavelength = np.arange(5000.0, 5100.0)
    >>> kernel = lsf_matrix(wavelength, 3.0)
    >>> float(np.round((kernel @ (wavelength == 5050))[50], 3))
    0.133
    """
    wavelength = np.asarray(wavelength, dtype=float)
    centre = wavelength if new_wavelength is None else np.asarray(new_wavelength, float)
    sigma = np.broadcast_to(np.asarray(sigma, dtype=float), centre.shape)
    width = np.diff(pixel_edges(wavelength))
    first = np.searchsorted(wavelength, centre - reach * sigma, side="left")
    last = np.searchsorted(wavelength, centre + reach * sigma, side="right")
    first = np.clip(np.minimum(first, np.searchsorted(wavelength, centre, "right") - 1),
                    0, wavelength.size - 1)
    last = np.clip(np.maximum(last, first + 2), 0, wavelength.size)
    rows, columns = index_runs(first, last)
    offset = wavelength[columns] - centre[rows]
    # Narrower than a pixel, a sampled Gaussian no longer conserves its shape: the
    # hat function of linear interpolation takes over.
    broad = sigma[rows] > 0.3 * width[columns]
    gauss = np.exp(-0.5 * (offset / np.where(broad, sigma[rows], 1.0)) ** 2) * width[columns]
    hat = np.clip(1.0 - np.abs(offset) / width[columns], 0.0, None)
    weight = np.where(broad, gauss, hat)
    matrix = sparse.csr_matrix((weight, (rows, columns)), shape=(centre.size, wavelength.size))
    total = np.asarray(matrix.sum(axis=1)).ravel()
    # A row far from all samples holds nothing but what is left of its Gaussian's wing.
    scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 1e-200)
    return sparse.csr_matrix(sparse.diags_array(scale) @ matrix)


def recovery_matrix(wavelength: np.ndarray, resolving_power: float, position: np.ndarray, *,
                    iterations: int = 32, points: int = 8) -> sparse.csr_matrix:
    """
    Operator from samples of a broadened curve to the curve itself, where it can be told.

    For curves that will be broadened again, by an instrument of about the same resolving
    power, and must not be broadened twice.  Samples are joined by a cubic spline in
    ln(wavelength), and what the broadening took is put back by van Cittert's iteration
    (1931).  Features much narrower than the line-spread function stay lost; noise that the
    iteration amplifies is smoothed again by broadening at a similar resolving power.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Positions of the samples in Angstrom, about equally spaced in the logarithm.
    resolving_power : float
        lambda / FWHM of the Gaussian that broadened the curve.
    position : `~numpy.ndarray`, shape (m,)
        Where the curve is wanted; outside the samples it is zero.
    iterations : int, optional
    points : int, optional
        Points to a sample on which the broadening is computed.

    Returns
    -------
    matrix : `~scipy.sparse.csr_matrix`, shape (m, n)

    Examples
    --------
    >>> import numpy as np
    >>> from sedflux.spectra.resolution import recovery_matrix
    >>> wavelength = np.exp(np.arange(np.log(4000), np.log(7000), 1 / 800))
    >>> matrix = recovery_matrix(wavelength, 200.0, np.arange(4500.0, 6500.0, 10.0))
    >>> matrix.shape, bool(np.allclose(matrix @ np.ones(wavelength.size), 1.0, atol=1e-3))
    ((200, 448), True)
    """
    knots, coefficients = _recovery(np.asarray(wavelength, dtype=float).tobytes(),
                                    float(resolving_power), iterations, points)
    low, high = np.log(wavelength[0]), np.log(wavelength[-1])
    place = np.log(np.asarray(position, dtype=float))
    inside = (place >= low - 1e-12) & (place <= high + 1e-12)
    matrix = np.zeros((place.size, len(coefficients)))
    matrix[inside] = _cubic(np.clip(place[inside], low, high), knots) @ coefficients
    matrix[np.abs(matrix) < 1e-9] = 0.0
    return sparse.csr_matrix(matrix)


def _cubic(position, knots):
    """Cubic B-splines at positions (m,), a sparse matrix (m, n)."""
    # Slow to import, and of no use to predictions.
    from scipy.interpolate import BSpline

    return BSpline.design_matrix(position, knots, 3)


@lru_cache(maxsize=4)
def _recovery(samples, resolving_power, iterations, points):
    """
    Knots (n + 4,) of a cubic spline, and its coefficients (n, n) by samples of the broadened curve.

    Kept for the grids in use, because every fit of every field needs them.  ``samples`` are the
    bytes of the wavelengths.
    """
    from scipy.interpolate import make_interp_spline

    wavelength = np.frombuffer(samples)
    x = np.log(wavelength)
    between = np.interp(np.arange(points * (x.size - 1) + 1) / points, np.arange(x.size), x)
    spline = make_interp_spline(x, np.eye(x.size), k=3)
    broaden = lsf_matrix(np.exp(between), wavelength / resolving_power / FWHM_PER_SIGMA,
                         new_wavelength=wavelength)
    again = (broaden @ _cubic(between, spline.t)) @ spline.c
    recover = total = np.eye(x.size)
    for _ in range(iterations):
        recover = recover - again @ recover
        total = total + recover
    coefficients = spline.c @ total
    coefficients.setflags(write=False)
    return spline.t, coefficients


def degrade_spectra(wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray,
                    resolving_power: float | np.ndarray, new_resolving_power: float
                    ) -> tuple[np.ndarray, np.ndarray]:
    """
    Bring noisy spectra with bad pixels down to a lower resolving power.

    Bad pixels take no part: they are left out of the sums, and stay bad.  The inverse
    variance is smoothed and not raised, so the noise is treated as white at
    its former level; that is exact for features broader than the line-spread
    function and cautious for finer ones.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Ascending wavelengths in Angstrom.
    flux, ivar : `~numpy.ndarray`, shape (N, n)
        Flux and inverse variance, zero for bad pixels.
    resolving_power, new_resolving_power : float or `~numpy.ndarray`, shape (n,)
        Before and after.

    Returns
    -------
    flux, ivar : `~numpy.ndarray`, shape (N, n)
    """
    sigma = broadening_sigma(wavelength, resolving_power, new_resolving_power)
    if not sigma.any():
        return flux, ivar
    return smooth_spectra(lsf_matrix(wavelength, sigma), flux, ivar)


def smooth_spectra(kernel: sparse.csr_matrix, flux: np.ndarray, ivar: np.ndarray
                   ) -> tuple[np.ndarray, np.ndarray]:
    """
    Smooth noisy spectra with bad pixels, see `degrade_spectra`.

    Parameters
    ----------
    kernel : sparse matrix, shape (n, n)
        From `lsf_matrix`.
    flux, ivar : `~numpy.ndarray`, shape (N, n)

    Returns
    -------
    flux, ivar : `~numpy.ndarray`, shape (N, n)
    """
    good = ivar > 0
    weight = (kernel @ good.T.astype(flux.dtype)).T
    smooth = (kernel @ (flux * good).T).T
    usable = good & (weight > 0.5)
    new_flux = np.divide(smooth, weight, out=np.zeros_like(smooth), where=usable)
    return new_flux, usable * (kernel.astype(ivar.dtype, copy=False) @ ivar.T).T
