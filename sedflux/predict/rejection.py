"""
Pixels that are not the star's: rejected against the projection, robustly and repeatedly.

Cosmic rays and residuals of sky lines are a few pixels that no mixture of training spectra fits.
They are left out, with neighbours that deviate too, and the spectrum is evaluated again.
Deviations count in units of the noise and of what templates lack of real stars, or of their own
median where that is larger: molecular bands all over a spectrum are no outliers.

Two arms of a spectrograph that do not match make a dip or a step of a hundred Angstrom, which
templates and continuum follow in part.  What is left shows in means of residuals; the range of the
joint is then left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from sedflux.spectra.grids import input_grid

__all__ = ["LINE_ERROR", "bad_joint", "outlying", "reject_outliers"]

#: Deviation (sigma) of an outlier, and of pixels beside it that go with it.
_LIMIT, _BESIDE = 5.0, 2.5
#: Rms of the lines of real stars about the templates, relative to the continuum.
LINE_ERROR = 0.03
#: Pixels over which these may extend on each side, and evaluations of a spectrum.
_REACH, _ROUNDS = 8, 3
#: Share of the pixels beyond which deviations are those of another kind of object.
_MOST = 0.03
#: Standard deviation over the median absolute deviation of a Gaussian.
_SIGMA_PER_MAD = 1.4826
#: Where surveys such as LAMOST and SDSS join two arms (Angstrom), and what is left out of it.
_JOINT, _LEFT_OUT = (5720.0, 6180.0), (5700.0, 6120.0)
#: Half the pixels of a mean of residuals, rms of these means in real stars, the deviation of a bad
#: joint, and what the noise of neighbours, which rebinning makes common, adds where it dominates.
_HALF_MEAN, _MEAN_ERROR, _BAD_JOINT, _COMMON_NOISE = 15, 0.006, 4.0, 1.4
#: Values of the first evaluation that stay: evidences of two models are of the same pixels, and
#: flags of emission and units are those of the spectrum as it came.
_FIRST = ("evidence", "spikes", "claimed_snr")


def outlying(residual: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """
    Pixels that deviate far more than the others of their spectrum.

    Parameters
    ----------
    residual, ivar : `~numpy.ndarray`, shape (N, m)
        Of normalised spectra; bad pixels have ``ivar = 0``.

    Returns
    -------
    outliers : `~numpy.ndarray` of bool, shape (N, m)
        None in spectra in which more than 3 % of the pixels are.
    """
    found = np.zeros(residual.shape, dtype=bool)
    # |residual| over hypot(noise, error of the lines).
    size = np.abs(residual) * np.sqrt(ivar / (1.0 + ivar * np.float32(LINE_ERROR**2)))
    rows = np.flatnonzero(size.max(axis=1) > _LIMIT)
    if not rows.size:
        return found
    size = size[rows]
    # Bad pixels are zeros, which come first.
    middle = size.shape[1] - ((ivar[rows] > 0).sum(axis=1) + 1) // 2
    median = np.sort(size, axis=1)[np.arange(rows.size), middle]
    size = size / np.maximum(_SIGMA_PER_MAD * median, 1.0)[:, None]
    outliers, beside = size > _LIMIT, size > _BESIDE
    for _ in range(_REACH):
        outliers |= _neighbours(outliers) & beside
    outliers |= _neighbours(outliers)
    found[rows] = outliers & (outliers.mean(axis=1) <= _MOST)[:, None]
    return found


def bad_joint(residual: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """
    Spectra whose arms do not match.

    Parameters
    ----------
    residual, ivar : `~numpy.ndarray`, shape (N, m)
        See `outlying`.

    Returns
    -------
    bad : `~numpy.ndarray` of bool, shape (N,)
    """
    share = 1.0 / (1.0 + ivar * np.float32(LINE_ERROR**2))
    weight = ivar * share
    total, power, noise = (_sums(part) for part in (weight * residual, weight, weight * share))
    known = power > 0
    power = np.where(known, power, 1.0)
    noise = np.sqrt(noise)
    error = np.maximum(np.hypot(noise, _MEAN_ERROR * power), _COMMON_NOISE * noise)
    size = np.where(known, np.abs(total), 0.0) / error
    scale = np.maximum(_SIGMA_PER_MAD * np.median(size, axis=0), 1.0)
    return size[_joint_sums()].max(axis=0) > _BAD_JOINT * scale


def _sums(values):
    """Sums over 30 pixels, which overlap by half, (k, N): pixels are the slow axis of spectra."""
    halves = values.T[: values.shape[1] // _HALF_MEAN * _HALF_MEAN].reshape(
        -1, _HALF_MEAN, len(values)).sum(axis=1)
    return halves[1:] + halves[:-1]


@lru_cache(maxsize=1)
def _joint_sums():
    """Which of these sums are at the joint, (k,)."""
    return _sums(_between(*_JOINT)[None].astype(float))[:, 0] > _HALF_MEAN


def _between(low, high):
    """Pixels of the input grid between two wavelengths, (m,)."""
    return (input_grid() > low) & (input_grid() < high)


def _neighbours(pixels):
    """The pixels beside some pixels, (N, m)."""
    beside = np.zeros_like(pixels)
    beside[:, 1:] |= pixels[:, :-1]
    beside[:, :-1] |= pixels[:, 1:]
    return beside


def reject_outliers(flux: np.ndarray, ivar: np.ndarray, values: dict[str, np.ndarray],
                    evaluate: Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]
                    ) -> np.ndarray:
    """
    Evaluate spectra again without their outliers, until there are none.

    Parameters
    ----------
    flux, ivar : `~numpy.ndarray`, shape (N, m)
        On the input grid.
    values : dict of str to `~numpy.ndarray`
        Of the first evaluation, with ``residual`` and ``ivar`` (N, m), see `outlying`.  Changed in
        place.
    evaluate : callable
        Gets flux and inverse variance of some spectra, and gives their values.

    Returns
    -------
    rejected : `~numpy.ndarray` of bool, shape (N, m)
        Pixels that were left out.
    """
    rejected = np.zeros(flux.shape, dtype=bool)
    rows, latest = np.arange(len(flux)), values
    for _ in range(_ROUNDS):
        found = outlying(latest["residual"], latest["ivar"])
        # Cosmic rays make no bad joint.
        found[bad_joint(latest["residual"], latest["ivar"] * ~found)] |= _between(*_LEFT_OUT)
        some = found.any(axis=1)
        if not some.any():
            break
        rows = rows[some]
        rejected[rows] |= found[some]
        latest = evaluate(flux[rows], np.where(rejected[rows], 0.0, ivar[rows]).astype(ivar.dtype))
        for name, value in latest.items():
            if name not in _FIRST:
                values[name][rows] = value
    return rejected
