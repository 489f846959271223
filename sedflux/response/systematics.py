"""
Errors common to all stars, which more stars do not reduce.

The flux scale is that of the white dwarfs of CALSPEC, with an error of 1 % (Bohlin et al. 2014,
2020).  The *library term* is the part of the error of SED models that is the same for all stars.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import numpy as np
from astropy.table import Table

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.units import finite_array, positive_number

__all__ = ["LIBRARY_ERROR", "LibraryError", "OF_MODELS", "TRUTH_SCALE", "checked_library_error",
           "common_errors", "largest_library_error"]

#: Pairs of wavelength (Angstrom) and relative error, or the path of a table.
LibraryError = Sequence[Sequence[float]] | str | os.PathLike[str]
#: Standard error of the flux scale, relative: that of CALSPEC (Bohlin et al. 2014, 2020).
TRUTH_SCALE = 0.01
#: What stands for the errors in the headers of the SEDs, which come from their models.
OF_MODELS = "model"
#: Standard error of the library term against wavelength (Angstrom) of SEDs whose model does not say
#: it: the size of the mean errors
#: of ``uara.stars2`` on stars that were not in its training, halfway between those without dust
#: and with E(B-V) fitted (docs/accuracy/stars.rst).
LIBRARY_ERROR = ((2500.0, 0.045), (3000.0, 0.035), (3500.0, 0.030), (4000.0, 0.012),
                 (4500.0, 0.006), (6800.0, 0.004), (7500.0, 0.008), (10500.0, 0.012))
#: Correlation length of the library term in ln(wavelength): a round number, 600 Angstrom at 5000.
_CORRELATION_LENGTH = 0.12
#: Eigenvalues of the correlation below this fraction of the largest are left out.
_SMALLEST_EIGENVALUE = 1e-5


def checked_library_error(library_error: LibraryError) \
        -> tuple[tuple[float, float], ...]:
    """
    Check the library term.

    Parameters
    ----------
    library_error : sequence of pairs, or path-like
        Wavelength (Angstrom), ascending, and relative error; empty for none.  A path is that of the
        table ``library_error.ecsv`` that ``sedflux validate --stars`` writes.

    Returns
    -------
    library_error : tuple of pairs

    Raises
    ------
    sedflux.exceptions.InputError
        If it holds anything else than such pairs.
    """
    if isinstance(library_error, (list, tuple)) and not library_error:
        return ()
    if isinstance(library_error, (str, os.PathLike)):
        library_error = _from_table(library_error)
    pairs = finite_array(library_error, "library_error")
    if pairs.size == 0:
        return ()
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise InputError(f"library_error has the shape {pairs.shape}; pairs of a wavelength "
                         "(Angstrom) and a relative error are needed")
    if np.any(np.diff(pairs[:, 0]) <= 0) or pairs[0, 0] <= 0 or np.any(pairs[:, 1] < 0):
        raise InputError(f"library_error is {library_error!r}; wavelengths must be positive and "
                         "ascend, and relative errors be 0 or more")
    return tuple((wavelength, error) for wavelength, error in pairs.tolist())


def _from_table(path):
    """Pairs from a table of ``sedflux validate --stars``."""
    try:
        table = Table.read(path, format="ascii.ecsv")
        return np.column_stack([table["wavelength"], table["library_error"]])
    except Exception as error:  # readers of astropy raise errors of any type
        raise InputError(f"library_error is {str(path)!r}, which cannot be read as a table with "
                         "the columns wavelength and library_error; give library_error.ecsv of "
                         "sedflux validate --stars, or pairs of numbers") from error


def largest_library_error(found: Iterable[tuple[tuple[float, float], ...] | None]) \
        -> tuple[tuple[float, float], ...]:
    """
    The library term of SEDs of one or several models.

    Parameters
    ----------
    found : iterable of pairs, or None
        Of each SED, from `sedflux.spectra.library_error.library_error_of`; `LIBRARY_ERROR` stands
        for None.

    Returns
    -------
    library_error : tuple of pairs
        The largest of the errors at every wavelength.
    """
    distinct = list(dict.fromkeys(LIBRARY_ERROR if one is None else one for one in found))
    if len(distinct) == 1:
        return distinct[0]
    places = np.unique([wavelength for pairs in distinct for wavelength, _ in pairs])
    error = np.max([np.interp(places, *np.array(pairs).T) for pairs in distinct if pairs], axis=0)
    return tuple(zip(places.tolist(), error.tolist(), strict=True))


def common_errors(wavelength: np.ndarray, *, truth_scale: float = TRUTH_SCALE,
                  library_error: LibraryError = LIBRARY_ERROR) \
        -> dict[str, LowRankCovariance]:
    """
    Covariance of ln(response) from errors common to all stars.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        In Angstrom.
    truth_scale : float, optional
        Relative error of the flux scale, the same at all wavelengths.
    library_error : sequence of pairs, optional
        Wavelength (Angstrom) and relative error; empty for none.

    Returns
    -------
    systematics : dict of str to `~sedflux.LowRankCovariance`
        ``truth scale`` and ``library``.

    Raises
    ------
    sedflux.exceptions.InputError
        If an error is negative or not finite.
    """
    truth_scale = positive_number(truth_scale, "truth_scale", zero=True)
    pairs = checked_library_error(library_error)
    zeros = np.zeros(len(wavelength))
    scale = LowRankCovariance(zeros, np.full((1, len(zeros)), truth_scale))
    library = np.zeros((0, len(zeros)))
    if pairs:
        sigma = np.interp(wavelength, *np.asarray(pairs).T)
        log_wavelength = np.log(wavelength)
        correlation = np.exp(-0.5 * ((log_wavelength[:, None] - log_wavelength)
                                     / _CORRELATION_LENGTH) ** 2)
        values, vectors = np.linalg.eigh(correlation)
        keep = values > _SMALLEST_EIGENVALUE * values.max()
        library = (vectors[:, keep] * np.sqrt(values[keep])).T * sigma
    return {"truth scale": scale, "library": LowRankCovariance(zeros, library)}
