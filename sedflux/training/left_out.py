"""Predictions of real stars by models that were not trained on them, against measured SEDs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.io.miles import MILES_FWHM
from sedflux.spectra.grids import optical_mean
from sedflux.spectra.reddening import extinction_curve
from sedflux.training.stars import FOLDS, RealStars, fold_of, miles_inputs

if TYPE_CHECKING:
    from sedflux.libraries.library import SpectralLibrary
    from sedflux.predict.prediction import SEDPrediction
    from sedflux.predict.predictor import Predictor

__all__ = ["LeftOut", "fit_reddening", "ivar_with_noise", "predict_folds", "predict_left_out",
           "predictions_by_fold", "stis_error"]

#: Relative error of measured SEDs at each wavelength, by source.
TRUTH_ERROR = {"CALSPEC": 0.01, "NGSL": 0.02, "MILES": 0.02}


@dataclass(frozen=True)
class LeftOut:
    """
    Predictions of stars by models that were not trained on them.

    Attributes
    ----------
    stars : `~sedflux.training.stars.RealStars`
    predictions : list of `~sedflux.SEDPrediction`
        One per star.
    """

    stars: RealStars
    predictions: list[SEDPrediction]

    def stack(self, name: str) -> np.ndarray:
        """An array attribute or diagnostic of all predictions, (N, ...)."""
        if name in self.predictions[0].diagnostics:
            return np.array([float(part.diagnostics[name]) for part in self.predictions])
        if name == "factor":
            rank = max(len(part.factor) for part in self.predictions)
            return np.stack([np.pad(part.factor, ((0, rank - len(part.factor)), (0, 0)))
                             for part in self.predictions])
        return np.stack([getattr(part, name) for part in self.predictions])

    def take(self, rows: Any) -> LeftOut:
        """Some of the stars."""
        rows = np.arange(len(self.stars))[rows]
        return LeftOut(self.stars.take(rows), [self.predictions[row] for row in rows])


def predict_left_out(predictors: Sequence[Predictor], miles: SpectralLibrary, stars: RealStars, *,
                     snr: float | None = None, seed: int = 3) -> LeftOut:
    """
    Predict MILES stars, each by the model that was not trained on it.

    Parameters
    ----------
    predictors : sequence of `~sedflux.Predictor`
        One for all stars, or one for every fold in order.
    miles : `~sedflux.libraries.SpectralLibrary`
    stars : `~sedflux.training.stars.RealStars`
    snr : float, optional
        S/N per pixel down to which noise is added; None adds none.
    seed : int, optional

    Returns
    -------
    left_out : `LeftOut`
    """
    stars = stars.take(stars.source == "MILES")
    names = [str(name).strip() for name in miles.table["NAME"]]
    rows = [names.index(name) for name in stars.name]
    return LeftOut(stars, predictions_by_fold(predictors, miles, rows, stars.name, snr=snr,
                                              seed=seed))


def predictions_by_fold(predictors: Sequence[Predictor], miles: SpectralLibrary,
                        rows: npt.ArrayLike, names: Iterable[str], *, snr: float | None = None,
                        seed: int = 3) -> list[SEDPrediction]:
    """
    Predictions of some MILES spectra, each by the model that was not trained on the star.

    Parameters
    ----------
    predictors : sequence of `~sedflux.Predictor`
        One for all stars, or one for every fold in order.
    miles : `~sedflux.libraries.SpectralLibrary`
    rows : array_like of int, shape (N,)
        Of the library.
    names : array_like of str, shape (N,)
        Of the stars, which decide their folds.
    snr, seed : optional
        See `predict_left_out`.

    Returns
    -------
    predictions : list of `~sedflux.SEDPrediction`
    """
    wavelength, flux, ivar = miles_inputs(miles, rows)
    if snr is not None:
        noise = np.random.default_rng([seed, int(snr)]).standard_normal(flux.shape)
        ivar = ivar_with_noise(flux, ivar, snr)
        flux = flux * (1.0 + noise / snr)
    found: dict[int, SEDPrediction] = {}
    for inside, many in predict_folds(predictors, names, wavelength, flux, ivar):
        for place, row in enumerate(inside):
            found[int(row)] = many[place]
    return [found[row] for row in range(len(flux))]


def ivar_with_noise(flux: np.ndarray, ivar: np.ndarray, snr: float) -> np.ndarray:
    """Inverse variance (N, n) of spectra after noise with this S/N per pixel is added."""
    return np.where(ivar > 0, 1.0 / (1.0 / np.maximum(ivar, 1e-30) + (flux / snr) ** 2), 0.0)


def predict_folds(predictors: Sequence[Predictor], names: Iterable[str], wavelength: np.ndarray,
                  flux: np.ndarray, ivar: np.ndarray
                  ) -> Iterator[tuple[np.ndarray, SEDPrediction]]:
    """
    Predict spectra with the resolution of MILES, those of each fold by its model.

    Parameters
    ----------
    predictors : sequence of `~sedflux.Predictor`
        One for all stars, or one for every fold in order.
    names : iterable of str, length N
        Of the stars, which decide their folds.
    wavelength : `~numpy.ndarray`, shape (n,)
    flux, ivar : `~numpy.ndarray`, shape (N, n)

    Yields
    ------
    rows : `~numpy.ndarray` of int, shape (m,)
        Of the stars in one fold; folds without stars are skipped.
    predictions : `~sedflux.SEDPrediction`
        Of these stars.
    """
    if len(predictors) not in (1, FOLDS):
        raise InputError(f"{len(predictors)} models are given; one for all stars or {FOLDS}, one "
                         "for every fold, are needed")
    folds = np.array([fold_of(name) for name in names]) % len(predictors)
    for fold, predictor in enumerate(predictors):
        inside = np.flatnonzero(folds == fold)
        if inside.size:
            yield inside, predictor.predict(wavelength, flux[inside], ivar[inside],
                                            resolving_power=wavelength / MILES_FWHM)


def stis_error(truth: np.ndarray) -> float:
    """Relative error of a STIS SED (n,): only those of CALSPEC begin at the bluest sample."""
    return TRUTH_ERROR["CALSPEC" if np.isfinite(truth[0]) else "NGSL"]


def fit_reddening(prediction: SEDPrediction, truth: np.ndarray, error: float, *,
                  curve: np.ndarray | None = None, lowest: float = 0.0) -> float:
    """
    E(B-V) that brings a prediction closest to a measured SED.

    Parameters
    ----------
    prediction : `~sedflux.SEDPrediction`
        Of one star.
    truth : `~numpy.ndarray`, shape (n,)
        Measured flux, NaN where unknown.
    error : float
        Its relative error.
    lowest : float, optional
        Lower limit; negative for truths that were dereddened.

    Returns
    -------
    ebv : float
    """
    mean = optical_mean(prediction.wavelength)
    curve = extinction_curve(prediction.wavelength) if curve is None else curve
    good = np.isfinite(truth)
    covariance = prediction.relative_covariance
    part = LowRankCovariance(covariance.diagonal[good] + error**2, covariance.factor[:, good])

    def chi2(ebv):
        flux = prediction.flux * np.exp(ebv * curve)
        flux = flux / (mean @ flux)
        return part.chi2(np.log(truth[good] / flux[good])) + (ebv / 0.3) ** 2

    return float(minimize_scalar(chi2, bounds=(lowest, 1.0), method="bounded").x)
