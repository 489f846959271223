"""Stars of simulated fields: from a library, or from the references of a model."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import numpy as np

from sedflux.exceptions import InputError
from sedflux.libraries.prior import label_chances
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.predict.loading import loaded_predictor
from sedflux.predict.models import AUTO
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor
from sedflux.spectra.grids import SED_RESOLVING_POWER, input_grid

__all__ = ["LibraryStars", "ModelStars", "single_predictor"]

#: References above this quantile of resolving power are used: their resolving power is close to
#: the nominal one.
_SHARP_QUANTILE = 0.6
#: Inverse variance, S/N of 200 per pixel, with which labels of the references are predicted.
_LABEL_IVAR = 4e4
#: Number of models whose references are kept.
_KEPT_MODELS = 4


def single_predictor(model: str | os.PathLike[str] | Predictor | None) -> Predictor:
    """
    The predictor of one model, read once; ``"auto"``, a choice of several, is none.

    Parameters
    ----------
    model : str, path-like or `~sedflux.Predictor`, optional
        By default, the packaged model.

    Returns
    -------
    predictor : `~sedflux.Predictor`
    """
    if isinstance(model, str) and model == AUTO:
        return Predictor(model)  # says which models there are
    return loaded_predictor(model)


class LibraryStars:
    """
    Stars with spectra and true SEDs from a library.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        The model that predicts the SEDs must not have been trained on it.
    teff : tuple of float
        Range of effective temperature in K.
    prior : {'survey', 'flat'}

    Attributes
    ----------
    labels : `~numpy.ndarray`, shape (k, 3)
        TEFF, LOGG and [M/H]; NaN for labels that the library has not.
    wavelength : `~numpy.ndarray`, shape (n,)
        Of the true SEDs, in Angstrom.
    resolving_power : float or None
        Of the true SEDs; None for those at full resolution.
    """

    def __init__(self, library: Any, *, teff: tuple[float, float], prior: str) -> None:
        from sedflux.libraries.inputs import library_inputs
        from sedflux.libraries.library import SpectralLibrary

        if not isinstance(library, SpectralLibrary):
            raise InputError(f"library is a {type(library).__name__}; a SpectralLibrary is needed: "
                             "read one with sedflux.libraries.library.read_library(path)")
        labels = library.labels
        rows = np.flatnonzero((labels[:, 0] >= teff[0]) & (labels[:, 0] <= teff[1]))
        if rows.size < 2:
            raise InputError(f"the library has {rows.size} stars between {teff[0]:.0f} and "
                             f"{teff[1]:.0f} K; at least two are needed")
        chosen = library.take(rows)
        self.labels = np.full((rows.size, 3), np.nan)
        self.labels[:, : labels.shape[1]] = labels[rows, :3]
        self.wavelength = chosen.wavelength
        self.resolving_power = None
        self._flux = np.asarray(chosen.sed_flux, dtype=float)
        self._spectra = library_inputs(chosen, RESOLVING_POWER, input_grid())
        self._chances = label_chances(self.labels, prior, floor=0.0)

    def draw(self, size: int, snr: np.ndarray, predictor: Predictor,
             rng: np.random.Generator) -> tuple[np.ndarray, SEDPrediction, np.ndarray]:
        """
        Draw stars.

        Parameters
        ----------
        size : int
        snr : `~numpy.ndarray`, shape (size,)
            S/N per pixel of the input spectra.
        predictor : `~sedflux.Predictor`
        rng : `numpy.random.Generator`

        Returns
        -------
        rows : `~numpy.ndarray` of int, shape (size,)
            Of ``labels``.
        prediction : `~sedflux.SEDPrediction`
            From noisy spectra.
        flux : `~numpy.ndarray`, shape (size, n)
            True SEDs.
        """
        rows = rng.choice(len(self.labels), size, p=self._chances)
        return rows, *self.observe(rows, snr, predictor, rng)

    def observe(self, rows: np.ndarray, snr: np.ndarray, predictor: Predictor,
                rng: np.random.Generator) -> tuple[SEDPrediction, np.ndarray]:
        """
        Predictions from noisy spectra of given stars, and their true SEDs.

        Parameters
        ----------
        rows : `~numpy.ndarray` of int, shape (size,)
            Of ``labels``.
        snr, predictor, rng
            See `draw`.

        Returns
        -------
        prediction : `~sedflux.SEDPrediction`
        flux : `~numpy.ndarray`, shape (size, n)
        """
        prediction = _predict(predictor, self._spectra[rows], snr, RESOLVING_POWER, rng)
        return prediction, self._flux[rows]


class ModelStars:
    """
    Stars from the references of a model; no library is needed.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`
    teff : tuple of float
        Range of effective temperature in K.
    prior : {'survey', 'flat'}

    Attributes
    ----------
    labels : `~numpy.ndarray`, shape (k, 3)
        TEFF, LOGG and [M/H], estimated by the model; NaN for labels that it has not.
    normalised : `~numpy.ndarray`, shape (k, pixels)
        Input spectra without their continuum, on the input grid.
    input_resolving_power : float
        Of the input spectra.
    wavelength : `~numpy.ndarray`, shape (n,)
        Of the true SEDs, in Angstrom.
    resolving_power : float
        Of the true SEDs.
    """

    def __init__(self, predictor: Predictor, *, teff: tuple[float, float], prior: str) -> None:
        labels, spectra, self.input_resolving_power = _sharp_references(predictor)
        rows = (labels[:, 0] >= teff[0]) & (labels[:, 0] <= teff[1])
        if rows.sum() < 2:
            raise InputError(f"model {predictor.name!r} has {rows.sum()} reference stars between "
                             f"{teff[0]:.0f} and {teff[1]:.0f} K; at least two are needed: widen "
                             "teff or give a library")
        self.labels, self.normalised = labels[rows], spectra[rows]
        self.wavelength, self.resolving_power = predictor.wavelength, SED_RESOLVING_POWER
        self._chances = label_chances(self.labels, prior, floor=0.0)

    def draw(self, size: int, snr: np.ndarray, predictor: Predictor,
             rng: np.random.Generator) -> tuple[np.ndarray, SEDPrediction, np.ndarray]:
        """
        Draw stars, with true SEDs from the predicted covariance.

        Parameters and results are those of `LibraryStars.draw`.
        """
        rows = rng.choice(len(self.labels), size, p=self._chances)
        return rows, *self.observe(rows, snr, predictor, rng)

    def observe(self, rows: np.ndarray, snr: np.ndarray, predictor: Predictor,
                rng: np.random.Generator) -> tuple[SEDPrediction, np.ndarray]:
        """
        Predictions from noisy spectra of given stars, and true SEDs drawn about them.

        Parameters and results are those of `LibraryStars.observe`.
        """
        prediction = _predict(predictor, self.normalised[rows], snr, self.input_resolving_power,
                              rng)
        # Without the diagonal part of the covariance, because true SEDs have no noise per sample.
        rank = prediction.factor.shape[1]
        draw = rng.standard_normal((len(rows), 1, rank)) @ prediction.factor
        return prediction, prediction.flux * np.exp(draw[:, 0])


@lru_cache(maxsize=_KEPT_MODELS)
def _sharp_references(predictor):
    """Labels (k, 3), normalised spectra (k, pixels) and resolving power of sharp references."""
    network = predictor.arrays
    power = network.reference_powers()
    if not power.size:
        raise InputError(f"model {predictor.name!r} holds no reference stars; give a library")
    sharp = np.flatnonzero(power > np.quantile(power, _SHARP_QUANTILE))
    spectra, power = network.reference_spectra(sharp)
    nominal = float(np.median(power))
    estimates = predictor.predict(input_grid(), spectra, np.full(spectra.shape, _LABEL_IVAR),
                                  resolving_power=nominal).diagnostics
    unknown = np.full(len(spectra), np.nan)
    labels = np.stack([estimates.get(name, unknown) for name in ("teff", "logg", "mh")], axis=1)
    return labels, spectra, nominal


def _predict(predictor, spectra, snr, power, rng):
    """Predictions from noisy copies of spectra."""
    noise = rng.standard_normal(spectra.shape) / snr[:, None]
    flux = spectra * (1.0 + noise)
    return predictor.predict(input_grid(), flux, (snr[:, None] / spectra) ** 2,
                             resolving_power=power)
