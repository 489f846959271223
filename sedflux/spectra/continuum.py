r"""
Continuum removal, shared by training and prediction.

The continuum is :math:`e^{p(x)}`, where :math:`p` is a combination of smooth shapes
:math:`P_l`: Legendre polynomials in :math:`x = \ln\lambda` and curves of
interstellar extinction, whose intermediate-scale structure no low polynomial
follows.  It is fixed by the condition that what is left is orthogonal to every
shape:

.. math:: \sum_i w_i \, (f_i e^{-p(x_i)} - 1) \, P_l(x_i) = 0 \quad\mbox{for all } l .

For small deviations this is the projection of :math:`\ln f` on the shapes, but
it is linear in the flux: negative pixels at low S/N need no care and noise causes
no bias.  It is the gradient of a convex function (a gamma quasi-likelihood), so
the solution is unique; and if the flux is multiplied by the exponential of any
combination of the shapes, the continuum takes it up and the result is exactly the
same.  Nothing is clipped: a line counts as part of the spectrum, so the
"continuum" runs through the middle of the flux, the same for every S/N.

The weights :math:`w = 1 / (1 + \sigma^2 / s_0^2)` with the relative noise
:math:`\sigma` and :math:`s_0 = 0.2` are nearly flat, so that the normalised
spectrum of a star does not depend on its noise; they vanish for bad pixels.
"""

import numpy as np

__all__ = ["DEGREE", "fit_continuum", "remove_continuum", "smooth_basis"]

#: Degree of the Legendre polynomials.
DEGREE = 8
_SOFT_NOISE = 0.2
_BLOCKS = 27
#: Longest step of the fit (rms of ln continuum), and limit of ln continuum, whose exponential
#: can be squared in single precision.
_LONGEST = 0.7
_LIMIT = 40.0


def smooth_basis(pixels, *, degree=DEGREE, shapes=()):
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


def _start(flux, good, basis):
    """Coefficients of a fit of the first three shapes to ln(block means)."""
    pixels, size = basis.shape
    edges = np.linspace(0, pixels, _BLOCKS + 1).astype(int)
    count = np.add.reduceat(good.astype(float), edges[:-1], axis=1)
    total = np.add.reduceat(np.where(good, flux, 0.0), edges[:-1], axis=1)
    overall = total.sum(axis=1) / np.maximum(count.sum(axis=1), 1.0)
    mean = total / np.maximum(count, 1.0)
    # A block without good pixels, or with noise for flux, says nothing.
    weight = np.where((count > 0) & (mean > 0.02 * overall[:, None]), count, 0.0)
    value = np.log(np.where(weight > 0, mean, 1.0))
    low = min(size, 3)
    coarse = basis[(edges[1:] + edges[:-1]) // 2, :low]
    normal = np.einsum("nb,bi,bj->nij", weight, coarse, coarse) + 1e-9 * np.eye(low)
    right = np.einsum("nb,nb,bi->ni", weight, value, coarse)
    start = np.zeros((len(flux), size), dtype=flux.dtype)
    start[:, :low] = np.linalg.solve(normal, right[..., None])[..., 0]
    return start


def fit_continuum(flux, ivar, basis, *, iterations=25, tolerance=1e-9):
    """
    Fit the continuum of each spectrum.

    Parameters
    ----------
    flux, ivar : `~numpy.ndarray`, shape (N, n)
        Flux and inverse variance on a grid equally spaced in ln(wavelength); bad
        pixels have ``ivar = 0`` and finite flux.  The mean flux must be positive.
    basis : `~numpy.ndarray`, shape (n, k)
        From `smooth_basis`.
    iterations : int, optional
        Limit of scoring steps.
    tolerance : float, optional
        Changes of ln(continuum) below this (rms) end the iteration.

    Returns
    -------
    coefficients : `~numpy.ndarray`, shape (N, k)
        Coefficients of the logarithm of the continuum in the basis.
    """
    pixels, size = basis.shape
    basis = basis.astype(flux.dtype)
    first, second = np.triu_indices(size)
    products = basis[:, first] * basis[:, second]
    good = ivar > 0
    variance = np.divide(1.0, ivar, out=np.zeros_like(ivar), where=good)
    coefficients = _start(flux, good, basis)
    normal = np.empty((len(flux), size, size))
    for _ in range(iterations):
        inverse = np.exp(-np.clip(coefficients @ basis.T, -_LIMIT, _LIMIT))
        weight = good / (1.0 + variance * (inverse / _SOFT_NOISE) ** 2)
        residual = weight * np.clip(flux * inverse - 1.0, -2.0, 2.0)
        packed = weight @ products
        normal[:, first, second] = packed
        normal[:, second, first] = packed
        normal += 1e-9 * np.eye(size)
        step = np.linalg.solve(normal, (residual @ basis)[..., None])[..., 0]
        # Noise at the end of a spectrum can throw a full step far beyond the minimum.
        length = np.sqrt((step**2).sum(axis=1, keepdims=True) / pixels)
        step *= np.minimum(1.0, _LONGEST / np.maximum(length, 1e-30))
        coefficients = coefficients + step.astype(flux.dtype)
        if np.abs(step).max(initial=0.0) < tolerance * np.sqrt(pixels):
            break
    return coefficients


def remove_continuum(flux, ivar, basis, *, tolerance=1e-9):
    """
    Continuum-normalised flux minus one, and its inverse variance.

    Parameters
    ----------
    flux, ivar : `~numpy.ndarray`, shape (N, n)
        Flux and inverse variance on a grid equally spaced in ln(wavelength); bad
        pixels have ``ivar = 0``.  The flux of each spectrum is of order one.
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
    log_continuum = coefficients @ basis.T.astype(flux.dtype)
    inverse = np.exp(-np.clip(log_continuum, -_LIMIT, _LIMIT))
    good = ivar > 0
    normalised = np.where(good, flux * inverse - 1.0, 0.0)
    return normalised, np.where(good, ivar / inverse**2, 0.0)
