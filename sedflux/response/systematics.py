"""
Errors that all stars share, which no number of stars averages away.

The scale of flux itself rests on CALSPEC's white dwarfs, 1 % (Bohlin et al. 2014, 2020);
the model that predicts SEDs is wrong by the same shape for all stars, the *library term*.
"""

import numpy as np

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError

__all__ = ["LIBRARY_ERROR", "TRUTH_SCALE", "common_errors"]

#: One sigma of the scale of the truth.
TRUTH_SCALE = 0.01
#: One sigma of the library term against wavelength (Angstrom): the size of the mean errors of
#: ``uara.stars1`` on stars that it never saw (docs/accuracy/stars.rst).
LIBRARY_ERROR = ((2500.0, 0.040), (3000.0, 0.020), (3500.0, 0.012), (4000.0, 0.004),
                 (6800.0, 0.003), (7500.0, 0.008), (10500.0, 0.012))
#: Length over which the library term changes, in ln(wavelength).
_LENGTH = 0.12


def common_errors(wavelength, *, truth_scale=TRUTH_SCALE, library_error=LIBRARY_ERROR):
    """
    Covariance of ln(response) that all stars have in common.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        In Angstrom.
    truth_scale : float, optional
        Relative error of the scale, grey.
    library_error : sequence of pairs, optional
        Wavelength (Angstrom) and relative error; empty for none.

    Returns
    -------
    parts : dict of str to `~sedflux.LowRankCovariance`
        ``truth scale`` and ``library``.
    """
    if not (np.isfinite(truth_scale) and truth_scale >= 0):
        raise InputError(f"truth_scale is {truth_scale!r}; give a relative error, 0 or more")
    zeros = np.zeros(len(wavelength))
    scale = LowRankCovariance(zeros, np.full((1, len(zeros)), float(truth_scale)))
    library = np.zeros((0, len(zeros)))
    if len(library_error):
        place, size = np.asarray(library_error, dtype=float).T
        sigma = np.interp(wavelength, place, size)
        length = np.log(wavelength)
        kernel = np.exp(-0.5 * ((length[:, None] - length) / _LENGTH) ** 2)
        values, vectors = np.linalg.eigh(kernel)
        keep = values > 1e-5 * values.max()
        library = (vectors[:, keep] * np.sqrt(values[keep])).T * sigma
    return {"truth scale": scale, "library": LowRankCovariance(zeros, library)}
