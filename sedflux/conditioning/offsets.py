"""Offsets of the zero points of a survey, from many stars with predicted SEDs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy import units as u
from astropy.table import QTable

from sedflux.conditioning.bands import BandRows, find_bands
from sedflux.conditioning.condition import star_arrays
from sedflux.conditioning.dust import Dust, dust_prior
from sedflux.conditioning.magnitudes import Magnitudes, as_magnitudes
from sedflux.conditioning.update import band_changes, search, solve
from sedflux.exceptions import InputError
from sedflux.predict.prediction import SEDPrediction
from sedflux.response.systematics import common_errors, largest_library_error
from sedflux.spectra.reddening import LAW, R_V
from sedflux.spectra.relative_errors import shared_names
from sedflux.units import positive_number

__all__ = ["Evidence", "evidence", "library_shifts", "offsets_table", "photometric_offsets"]

#: Degrees of freedom of Student's t, which reduces the weights of discrepant stars.
_STUDENT_DOF = 4.0
#: Largest number of iterations of the weights, and the change (mag) at which they have converged.
_MOST_ITERATIONS, _TOLERANCE = 100, 1e-7
#: Stars per chunk.
_CHUNK = 64


class Evidence(NamedTuple):
    """
    What N stars say of the offsets of b bands.

    Attributes
    ----------
    information : `~numpy.ndarray`, shape (N, b, b)
        Inverse covariance of the residuals, scale and dust projected out.
    residual : `~numpy.ndarray`, shape (N, b)
        Measured minus predicted magnitudes.
    known : `~numpy.ndarray` of bool, shape (N, b)
    shared : dict of str to `~numpy.ndarray`, shape (N, b)
        Magnitudes by which errors that stars of one model share move the predictions.
    """

    information: np.ndarray
    residual: np.ndarray
    known: np.ndarray
    shared: dict[str, np.ndarray]

    @classmethod
    def joined(cls, found: Sequence[Evidence]) -> Evidence:
        """That of several groups of stars together."""
        names = dict.fromkeys(name for one in found for name in one.shared)
        information, residual, known = (np.concatenate(parts) for parts in zip(
            *(one[:3] for one in found), strict=True))
        return cls(information, residual, known, {
            name: np.concatenate([one.shared.get(name, np.zeros_like(one.residual))
                                  for one in found]) for name in names})


def photometric_offsets(seds: SEDPrediction, photometry: Any, bandpasses: Any, *,
                        reddening: Any = None, width: float = 0.1, r_v: float = R_V,
                        r_v_error: float = 0.0, law: str = LAW, system: str = "AB",
                        vega: Any = None, area: u.Quantity | None = None) -> QTable:
    """
    Offsets of the zero points of bands, from many stars with SEDs predicted from their lines.

    The scale of each star is free, so that offsets are relative to their mean over the bands.
    Stars that fit badly (variables, wrong matches) get low weights, as for errors with Student's t
    distribution.  More stars do not reduce errors that SEDs have in common, those of the model:
    they are told apart.

    Parameters
    ----------
    seds : `~sedflux.SEDPrediction`
        Of N stars.
    photometry, bandpasses, reddening, r_v, r_v_error, law, system, vega, area
        As for `sedflux.condition`.  Without a prior of the dust, offsets with the shape of the
        extinction curve cannot be separated from dust; their errors are then large.
    width : float, optional
        Standard deviation of the prior of the offsets, in mag.

    Returns
    -------
    table : `~astropy.table.QTable`
        One row per band: ``band``, ``offset`` (measured minus predicted, in mag: subtract it from
        the magnitudes), ``error``, ``systematic`` (error that all SEDs of a model share),
        ``stars`` (number of stars with this band), and ``pull`` (offset over both errors).
        ``meta["covariance"]`` and ``meta["systematic"]`` are the covariances in mag2 (b, b), and
        ``meta["weights"]`` are the weights of the stars (N,).

    Raises
    ------
    sedflux.exceptions.InputError
        If there are fewer than two bands or stars, or a value cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from synphot import SpectralElement
    >>> from synphot.models import Box1D
    >>> from sedflux import Predictor, photometric_offsets
    >>> from sedflux.demo import demo_arrays
    >>> wavelength, flux = demo_arrays()
    >>> seds = Predictor().predict(wavelength, np.stack([flux, flux]))
    >>> bands = {"blue": SpectralElement(Box1D, x_0=4500, width=900),
    ...          "red": SpectralElement(Box1D, x_0=6500, width=900)}
    >>> magnitudes = Table({"blue": [6.6, 7.6], "blue_error": [0.02, 0.02],
    ...                     "red": [6.0, 7.0], "red_error": [0.02, 0.02]})
    >>> offsets = photometric_offsets(seds, magnitudes, bands, reddening=0.0)
    >>> offsets["band"].tolist(), offsets["stars"].tolist()
    (['blue', 'red'], [2, 2])
    """
    if not isinstance(seds, SEDPrediction) or seds.single:
        raise InputError(f"seds is a {type(seds).__name__}; predictions of several stars are "
                         "needed, as an SEDPrediction with an axis for stars")
    magnitudes = as_magnitudes(photometry, system=system, stars=len(seds))
    bands = find_bands(seds.wavelength, magnitudes.bands, magnitudes.systems, bandpasses,
                       area=area, vega=vega)
    if len(bands) < 2:
        raise InputError("photometry has one band; offsets are relative to the mean of the bands, "
                         "and two or more are needed")
    width = positive_number(width, "width", u.mag)
    dust = dust_prior(seds.wavelength, len(seds), reddening=reddening, law=law, r_v=r_v,
                      r_v_error=r_v_error)
    return offsets_table(bands.names, evidence(seds, magnitudes, bands, dust), width,
                         library_shifts(seds.wavelength, bands, seds.library_error.values()))


def evidence(seds: SEDPrediction, magnitudes: Magnitudes, bands: BandRows, dust: Dust
             ) -> Evidence:
    """
    What each star says of the offsets.

    Parameters
    ----------
    seds : `~sedflux.SEDPrediction`
        Of N stars.
    magnitudes : `~sedflux.conditioning.magnitudes.Magnitudes`
    bands : `~sedflux.conditioning.bands.BandRows`
    dust : `~sedflux.conditioning.dust.Dust`

    Returns
    -------
    evidence : `Evidence`
    """
    stars = star_arrays(seds, magnitudes, np.zeros(len(bands)))
    count = len(bands)
    information, residual = np.empty((len(seds), count, count)), np.empty((len(seds), count))
    for begin in range(0, len(seds), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        few, prior = stars.take(rows), dust.take(rows)
        sample = search(few, bands, prior).sample
        column = sample.dust * prior.error[:, None, None]
        solution = solve(sample, relative=few.relative, column=column)
        information[rows], residual[rows] = solution.information[:, 0], sample.residual[:, 0]
    names, shared = shared_names(seds.parts), {}
    if names:
        parts = np.stack([seds.parts[name] for name in names], axis=1)
        changes = band_changes(bands, np.log(seds.flux)[:, None], parts)
        shared = dict(zip(names, np.swapaxes(changes, 0, 1), strict=True))
    return Evidence(information, residual, stars.known, shared)


def library_shifts(wavelength: np.ndarray, bands: BandRows,
                   library_error: Iterable[tuple[tuple[float, float], ...]]) -> np.ndarray:
    """
    Magnitudes by which the errors of a library move all predictions.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        In Angstrom.
    bands : `~sedflux.conditioning.bands.BandRows`
    library_error : iterable of pairs
        Of each model, see `SEDPrediction`; the largest counts.

    Returns
    -------
    shifts : `~numpy.ndarray`, shape (m, b)
        One row for each direction of these errors, for flat light.
    """
    pairs = largest_library_error(list(library_error) or [()])
    rows = common_errors(wavelength, library_error=pairs)["library"].factor
    return band_changes(bands, np.zeros((1, 1, wavelength.size)), rows[None])[0]


def offsets_table(names: Sequence[str], found: Evidence, width: float, library: np.ndarray
                  ) -> QTable:
    """
    The table of `photometric_offsets`.

    Parameters
    ----------
    names : sequence of str, length b
    found : `Evidence`
    width : float
        See `photometric_offsets`.
    library : `~numpy.ndarray`, shape (m, b)
        From `library_shifts`.

    Returns
    -------
    table : `~astropy.table.QTable`
    """
    offset, covariance, influence, weights = _robust(*found[:3], width)
    error = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    # What moves all predictions moves the offsets by as much, but for their prior.
    shared = [library @ np.einsum("s,sij->ij", weights, found.information) @ influence.T,
              *(np.einsum("s,sij,sj->i", weights, found.information, shift)[None] @ influence.T
                for shift in found.shared.values())]
    systematic = sum(rows.T @ rows for rows in shared)
    common = np.sqrt(np.diag(systematic))
    whole = np.hypot(error, common)
    return QTable(
        {"band": list(names), "offset": offset * u.mag, "error": error * u.mag,
         "systematic": common * u.mag, "stars": found.known.sum(axis=0),
         "pull": np.divide(offset, whole, out=np.zeros_like(offset), where=whole > 0)},
        meta={"covariance": covariance, "systematic": systematic, "weights": weights})


def _robust(information: np.ndarray, residual: np.ndarray, known: np.ndarray, width: float
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """
    Offsets (b,) relative to their mean, their covariance, and weights of the stars (N,).

    Between the two last: what the offsets change for a change of the weighted scores, (b, b).
    """
    count = known.shape[1]
    free = np.maximum(known.sum(axis=1) - 1, 1)
    offset, prior = np.zeros(count), np.eye(count) / width**2
    for _ in range(_MOST_ITERATIONS):
        left = np.where(known, residual - offset, 0.0)
        score = (information @ left[..., None])[..., 0]
        chi2 = (left * score).sum(axis=1)
        weights = (_STUDENT_DOF + free) / (_STUDENT_DOF + chi2)
        total = np.einsum("s,sij->ij", weights, information) + prior
        step = np.linalg.solve(total, weights @ score - prior @ offset)
        offset = offset + step
        if np.abs(step).max() < _TOLERANCE:
            break
    # The sandwich estimator: the scatter of the stars' scores includes errors that are too small.
    scatter = np.einsum("s,si,sj->ij", weights**2, score, score) + prior
    inverse = np.linalg.inv(total)
    contrast = np.eye(count) - 1.0 / count
    influence = contrast @ inverse
    return contrast @ offset, influence @ scatter @ influence.T, influence, weights
