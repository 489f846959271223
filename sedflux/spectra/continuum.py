r"""
Continuum removal, shared by training and prediction.

The continuum is :math:`e^{p(x)}`, where :math:`p` is a combination of smooth shapes
:math:`P_l`: Legendre polynomials in :math:`x = \ln\lambda` and curves of
interstellar extinction, whose intermediate-scale structure no low polynomial
follows.  It is fixed by the condition that what is left is orthogonal to every
shape:

.. math:: \sum_i w_i \, (f_i e^{-p(x_i)} - 1) \, P_l(x_i) = 0 \quad\mbox{for all } l .

For small deviations this is the projection of :math:`\ln f` on the shapes, but
it is linear in the flux: negative pixels at low S/N need no special treatment and noise
causes no bias.  It is the gradient of a convex function (a gamma quasi-likelihood), so
the solution is unique; and if the flux is multiplied by the exponential of any
combination of the shapes, the continuum absorbs it and the result is exactly the
same.  Nothing is clipped: a line counts as part of the spectrum, so the
"continuum" runs through the middle of the flux, the same for every S/N.

The weights :math:`w = 1 / (1 + \sigma^2 / s_0^2)` with the relative noise
:math:`\sigma` and :math:`s_0 = 0.2` are nearly flat, so that the normalised
spectrum of a star does not depend on its noise; they vanish for bad pixels.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import sparse

__all__ = ["DEGREE", "fit_continuum", "remove_continuum", "smooth_basis"]

#: Degree of the Legendre polynomials.
DEGREE = 8
SOFT_NOISE = 0.2
#: Numbers of blocks of pixels whose means give the first fit, and its start.
BLOCKS, START_BLOCKS = 486, 27
#: Tolerance of the fit to block means, which only starts the fit to pixels.
COARSE_TOLERANCE = 1e-2
#: Least curvature of a block, as a share of its weight: noise must not reverse a step.
LEAST_CURVATURE = 0.1
#: Inverse variance that is negligible, but can be a divisor.
LEAST_IVAR = 1e-30
#: Longest step of the fit (rms of ln continuum), and limit of ln continuum, whose exponential
#: can be squared in single precision.
MAX_STEP = 0.7
MAX_LOG_CONTINUUM = 40.0


def smooth_basis(pixels: int, *, degree: int = DEGREE, shapes: Sequence[np.ndarray] = ()
                 ) -> np.ndarray:
    """
    Orthonormal basis of the smooth curves that the continuum may follow.

    Parameters
    ----------
    pixels : int
        Number of pixels, equally spaced in ln(wavelength).
    degree : int, optional
        Degree of the Legendre polynomials.
    shapes : sequence of array_like, shape (pixels,), optional
        Further curves in ln(flux), such as extinction laws.

    Returns
    -------
    basis : `~numpy.ndarray`, shape (pixels, degree + 1 + len(shapes))
        The first three columns span the polynomials up to the second degree.
    """
    x = np.linspace(-1.0, 1.0, pixels)
    columns = np.column_stack([np.polynomial.legendre.legvander(x, degree), *shapes])
    return np.linalg.qr(columns)[0]


@lru_cache(maxsize=16)
def block_sums(pixels, blocks):
    """Operator that sums pixels in blocks, sparse (blocks, pixels), and the middle of each."""
    edges = np.linspace(0, pixels, min(blocks, pixels) + 1).astype(int)
    sums = sparse.csr_matrix((np.ones(pixels, dtype=np.float32), np.arange(pixels), edges))
    return sums, (edges[1:] + edges[:-1]) // 2


@lru_cache(maxsize=4)
def pairs_of(size):
    """Every pair of columns, the first not after the second."""
    return np.triu_indices(size)


def pair_products(basis):
    """Products of every pair of columns, (n, k (k + 1) / 2)."""
    first, second = pairs_of(basis.shape[1])
    return basis[:, first] * basis[:, second]


def _normal_matrices(packed, size):
    """Symmetric matrices (N, size, size) from sums over `pair_products`, regular in any case."""
    first, second = pairs_of(size)
    normal = np.empty((len(packed), size, size))
    normal[:, first, second] = normal[:, second, first] = packed
    diagonal = np.arange(size)
    normal[:, diagonal, diagonal] += 1e-9
    return normal


def _start(total, count, basis):
    """Coefficients of a fit of the first three shapes to ln(block means)."""
    size, low = basis.shape[1], min(basis.shape[1], 3)
    sums, middle = block_sums(len(basis), START_BLOCKS)
    total, count = (sums @ total.T).T, (sums @ count.T).T
    overall = total.sum(axis=1) / np.maximum(count.sum(axis=1), 1.0)
    mean = total / np.maximum(count, 1.0)
    # A block without good pixels, or whose flux is mere noise, gets no weight.
    light = mean > np.maximum(0.02 * overall[:, None], 0.0)
    weight = np.where((count > 0) & light, count, 0.0)
    value = np.log(np.where(weight > 0, mean, 1.0))
    coarse = basis[middle, :low]
    normal = _normal_matrices(weight @ pair_products(coarse), low)
    right = (weight * value) @ coarse
    start = np.zeros((len(total), size))
    start[:, :low] = np.linalg.solve(normal, right[..., None])[..., 0]
    return start


def _improve(coefficients, flux, variance, count, basis, products, *, iterations, tolerance):
    """
    Take Newton steps until those of each spectrum are small.

    The gradient counts every pixel.  Its derivative needs no such care, and is summed over
    blocks of pixels: ``products`` are those of the basis in the middle of each.  The fit of a
    spectrum ends with its own last step, so that its result does not depend on the spectra fitted
    with it.
    """
    pixels, size = basis.shape
    sums, _ = block_sums(pixels, BLOCKS)
    rows, result = np.arange(len(flux)), coefficients.copy()
    for _ in range(iterations):
        deviation = _inverse_continuum(result[rows], basis)
        with np.errstate(over="ignore"):
            share = deviation.astype(variance.dtype)
            share *= 1.0 / SOFT_NOISE
            share *= share
            share *= variance
            share += 1.0
        np.reciprocal(share, out=share)
        deviation *= flux
        deviation -= 1.0
        np.clip(deviation, -2.0, 2.0, out=deviation)
        weight = count * share
        residual = np.multiply(weight, deviation, out=deviation)
        least = LEAST_CURVATURE * (sums @ weight.T)
        share *= 2.0
        share -= 1.0
        share *= residual.astype(share.dtype, copy=False)
        share += weight
        curvature = np.maximum(sums @ share.T, least, out=least)
        normal = _normal_matrices(curvature.T @ products, size)
        step = np.linalg.solve(normal, (residual @ basis)[..., None])[..., 0]
        # Noise at the end of a spectrum can throw a full step far beyond the minimum.
        length = np.sqrt((step**2).sum(axis=1, keepdims=True) / pixels)
        step *= np.minimum(1.0, MAX_STEP / np.maximum(length, 1e-30))
        result[rows] += step
        moving = np.abs(step).max(axis=1) >= tolerance * np.sqrt(pixels)
        if not moving.any():
            break
        if not moving.all():
            rows, flux, variance, count = (part[moving] for part in (rows, flux, variance, count))
    return result


def _inverse_continuum(coefficients, basis):
    """One over the continuum, (N, n)."""
    log_inverse = (-basis @ coefficients.T.astype(basis.dtype)).T
    np.clip(log_inverse, -MAX_LOG_CONTINUUM, MAX_LOG_CONTINUUM, out=log_inverse)
    return np.exp(log_inverse, out=log_inverse)


def fit_continuum(flux: np.ndarray, ivar: np.ndarray, basis: np.ndarray, *, iterations: int = 25,
                  tolerance: float = 1e-9) -> np.ndarray:
    """
    Fit the continuum of each spectrum.

    The means of blocks of pixels are fitted first; all pixels then need a step or two.

    Parameters
    ----------
    flux, ivar : `~numpy.ndarray`, shape (N, n)
        Flux and inverse variance on a grid equally spaced in ln(wavelength); bad
        pixels have ``ivar = 0`` and finite flux.  The mean flux must be positive.
    basis : `~numpy.ndarray`, shape (n, k)
        From `smooth_basis`.
    iterations : int, optional
        Limit of steps.
    tolerance : float, optional
        Steps of ln(continuum) below this (rms) end the iteration.  What then remains is about a
        thousandth of it for a star, and a tenth for noise.

    Returns
    -------
    coefficients : `~numpy.ndarray`, shape (N, k)
        Coefficients of the logarithm of the continuum in the basis.
    """
    good = ivar > 0
    # Pixels are the slow axis: operators then work on many spectra at a time.
    dtype = ivar.dtype
    exact, exact_basis = flux, basis
    flux, ivar, count = (np.asfortranarray(part, dtype) for part in (flux, ivar, good))
    variance, basis = count / (ivar + LEAST_IVAR), basis.astype(dtype)
    sums, middle = block_sums(len(basis), BLOCKS)
    totals, counts, variances = ((sums @ part.T).T for part in (flux * count, count, variance))
    many, coarse = np.maximum(counts, 1.0), basis[middle]
    products = pair_products(coarse)
    start = _start(totals, counts, coarse)
    start = _improve(start, totals / many, variances / many, counts, coarse, products,
                     iterations=iterations, tolerance=max(tolerance, COARSE_TOLERANCE))
    found = _improve(start, flux, variance, count, basis, products, iterations=iterations,
                     tolerance=tolerance)
    if exact.dtype == dtype:
        return found
    # The last step is in the precision of the flux.
    return _improve(found, exact, variance, count, exact_basis, products, iterations=1,
                    tolerance=tolerance)


def remove_continuum(flux: np.ndarray, ivar: np.ndarray, basis: np.ndarray, *,
                     tolerance: float = 1e-9) -> tuple[np.ndarray, np.ndarray]:
    """
    Continuum-normalised flux minus one, and its inverse variance.

    Parameters
    ----------
    flux, ivar : `~numpy.ndarray`, shape (N, n)
        Flux and inverse variance on a grid equally spaced in ln(wavelength); bad
        pixels have ``ivar = 0``.  The flux of each spectrum is of order one.  The fit is in
        the precision of ``ivar``, its last step and the result in that of ``flux``.
    basis : `~numpy.ndarray`, shape (n, k)
        From `smooth_basis`.
    tolerance : float, optional
        See `fit_continuum`.

    Returns
    -------
    normalised : `~numpy.ndarray`, shape (N, n)
        ``flux / continuum - 1``, zero in bad pixels.
    normalised_ivar : `~numpy.ndarray`, shape (N, n)

    Examples
    --------
    Any smooth factor disappears:

    >>> import numpy as np
    >>> from sedflux.spectra.continuum import remove_continuum, smooth_basis
    >>> basis = smooth_basis(2430)
    >>> x = np.linspace(-1, 1, 2430)
    >>> star = 1 - 0.5 * np.exp(-0.5 * ((x - 0.2) / 0.01) ** 2)[None]
    >>> reference, _ = remove_continuum(star, np.full_like(star, 1e4), basis)
    >>> tilt = np.exp(1.5 * x - x**3)
    >>> tilted, _ = remove_continuum(star * tilt, 1e4 / tilt[None] ** 2, basis)
    >>> bool(np.abs(tilted - reference).max() < 1e-7)
    True
    """
    coefficients = fit_continuum(flux, ivar, basis, tolerance=tolerance)
    inverse = _inverse_continuum(coefficients, basis.astype(flux.dtype))
    normalised = (ivar > 0) * (flux * inverse - 1.0)
    with np.errstate(over="ignore"):
        return normalised, ivar / inverse.astype(ivar.dtype) ** 2
