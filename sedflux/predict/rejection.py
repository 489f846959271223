"""
Pixels that are not the star's: rejected against the projection, robustly and repeatedly.

Cosmic rays and residuals of sky lines are a few pixels that no mixture of training spectra fits.
They are left out, with neighbours that deviate too, and the spectrum is projected again.
Deviations count in units of the noise and of what templates lack of real stars, or of their own
median where that is larger: molecular bands all over a spectrum are no outliers.

Two arms of a spectrograph that do not match make a dip or a bump of a hundred Angstrom, which
templates and continuum follow for the most part.  What is left of it has a known shape, which
filters find in the residuals; the range of the joint is then left out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sedflux.spectra.grids import input_grid
from sedflux.spectra.normalise import some_spectra

__all__ = ["LINE_ERROR", "bad_joint", "joint_filters", "misfit_scale", "outlying",
           "reject_outliers"]

#: Deviation (sigma) of an outlier, and of pixels beside it that go with it.
LIMIT, BESIDE = 5.0, 2.5
#: Rms of the lines of real stars about the templates, relative to the continuum.
LINE_ERROR = 0.03
#: Pixels over which these may extend on each side, and projections of a spectrum.
REACH, ROUNDS = 8, 3
#: Share of the pixels beyond which deviations are those of another kind of object.
MOST = 0.03
#: Standard deviation over the median absolute deviation of a Gaussian.
SIGMA_PER_MAD = 1.4826
#: Centres and standard deviations (Angstrom) of dips where surveys such as LAMOST and SDSS join two
#: arms, and the range that is left out.
_CENTRES, _WIDTHS = np.arange(5760.0, 6081.0, 40.0), (30.0, 60.0, 100.0)
LEFT_OUT = (5700.0, 6120.0)
#: Noise for which filters are made, error of the lines beside the noise, and significance of a bad
#: joint.  One MILES star in a hundred of 4200-10750 K reaches 6 at S/N 150, one in 300 at 50.
_FILTER_NOISE, JOINT_ERROR, BAD_JOINT = 0.02, 0.02, 6.0
#: Values of the first projection that stay: evidences of two models are of the same pixels, and
#: flags of emission and units are those of the spectrum as it came.
FIRST = ("evidence", "spikes", "claimed_snr")


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
    found = np.zeros(residual.shape, dtype=bool, order="F")
    # The square of the residual over hypot(noise, error of the lines).
    square = residual * residual
    square *= ivar / (1.0 + ivar * np.float32(LINE_ERROR**2))
    rows = np.flatnonzero(square.max(axis=1) > LIMIT**2)
    if not rows.size:
        return found
    size = np.sqrt(square[rows])
    # Bad pixels are zeros, which come first.
    middle = size.shape[1] - ((ivar[rows] > 0).sum(axis=1) + 1) // 2
    median = np.sort(size, axis=1)[np.arange(rows.size), middle]
    size = size / np.maximum(SIGMA_PER_MAD * median, 1.0)[:, None]
    outliers, beside = size > LIMIT, size > BESIDE
    for _ in range(REACH):
        outliers |= _neighbours(outliers) & beside
    outliers |= _neighbours(outliers)
    found[rows] = outliers & (outliers.mean(axis=1) <= MOST)[:, None]
    return found


def joint_filters(templates: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """
    What templates and continuum leave of dips at the joint of two arms.

    Parameters
    ----------
    templates : `~numpy.ndarray`, shape (k, m)
        In units of their spread.
    basis : `~numpy.ndarray`, shape (m, c)
        Of the continuum.

    Returns
    -------
    filters : `~numpy.ndarray`, shape (m, 27)
        In single precision.
    """
    # Numbers of damaged models may be of any size.
    with np.errstate(over="ignore", invalid="ignore"):
        return _remainders(np.asarray(templates, float), basis).astype(np.float32)


def _remainders(templates, basis):
    """Dips without what continuum and templates follow, (m, 27)."""
    centres, widths = (values.ravel() for values in np.meshgrid(_CENTRES, _WIDTHS))
    dips = np.exp(-0.5 * ((input_grid()[:, None] - centres) / widths) ** 2)
    smooth, _ = np.linalg.qr(basis)
    lines = templates.T - smooth @ (smooth.T @ templates.T)
    dips -= smooth @ (smooth.T @ dips)
    normal = lines.T @ lines + _FILTER_NOISE**2 * np.eye(len(templates))
    return dips - lines @ np.linalg.solve(normal, lines.T @ dips)


def bad_joint(residual: np.ndarray, ivar: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """
    Spectra whose arms do not match.

    Parameters
    ----------
    residual, ivar : `~numpy.ndarray`, shape (N, m)
        See `outlying`.
    filters : `~numpy.ndarray`, shape (m, f)
        From `joint_filters`.

    Returns
    -------
    bad : `~numpy.ndarray` of bool, shape (N,)
    """
    weight = ivar / (1.0 + ivar * np.float32(JOINT_ERROR**2))
    weighted = weight * residual
    signal, noise = np.abs(weighted @ filters), np.sqrt(weight @ filters**2)
    bad = (signal > BAD_JOINT * noise).any(axis=1)
    rows = np.flatnonzero(bad)
    # A bad fit everywhere is no bad joint.
    scale = misfit_scale(weighted[rows], residual[rows], ivar[rows])
    bad[rows] = (signal[rows] > BAD_JOINT * scale[:, None] * noise[rows]).any(axis=1)
    return bad


def misfit_scale(weighted: np.ndarray, residual: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """
    Rms of residuals in units of their errors, one at the least.

    Parameters
    ----------
    weighted : `~numpy.ndarray`, shape (N, m)
        Residuals over their variances.
    residual, ivar : `~numpy.ndarray`, shape (N, m)
        See `outlying`.

    Returns
    -------
    scale : `~numpy.ndarray`, shape (N,)
    """
    good = np.maximum((ivar > 0).sum(axis=1), 1)
    return np.sqrt(np.maximum((weighted * residual).sum(axis=1) / good, 1.0))


def pixels_between(low, high):
    """Pixels of the input grid between two wavelengths, (m,)."""
    return (input_grid() > low) & (input_grid() < high)


def _neighbours(pixels):
    """The pixels beside some pixels, (N, m)."""
    beside = np.zeros_like(pixels)
    beside[:, 1:] |= pixels[:, :-1]
    beside[:, :-1] |= pixels[:, 1:]
    return beside


def reject_outliers(flux: np.ndarray, ivar: np.ndarray, values: dict[str, np.ndarray],
                    filters: np.ndarray,
                    project: Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]
                    ) -> np.ndarray:
    """
    Project spectra again without a bad joint and outliers, until there are none.

    Parameters
    ----------
    flux, ivar : `~numpy.ndarray`, shape (N, m)
        On the input grid.
    values : dict of str to `~numpy.ndarray`
        Of the first projection, with ``residual`` and ``ivar`` (N, m), see `outlying`.  Changed in
        place.
    filters : `~numpy.ndarray`, shape (m, f)
        From `joint_filters`.
    project : callable
        Gets flux and inverse variance of some spectra, and gives their values.

    Returns
    -------
    rejected : `~numpy.ndarray` of bool, shape (N, m)
        Pixels that were left out.
    """
    rejected = np.zeros(flux.shape, dtype=bool)
    rows, latest = np.arange(len(flux)), values
    for turn in range(ROUNDS):
        found = outlying(latest["residual"], latest["ivar"])
        if turn == 0:
            # Cosmic rays make no bad joint.
            bad = bad_joint(latest["residual"], latest["ivar"] * ~found, filters)
            found[bad] |= pixels_between(*LEFT_OUT)
        some = found.any(axis=1)
        if not some.any():
            break
        rows = rows[some]
        rejected[rows] |= found[some]
        some_ivar = some_spectra(ivar, rows)
        some_ivar[rejected[rows]] = 0.0
        latest = project(some_spectra(flux, rows), some_ivar)
        for name, value in latest.items():
            if name not in FIRST:
                values[name][rows] = value
    return rejected
