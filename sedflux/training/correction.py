"""
Corrections of a synthetic library, and the scatter of stars about it.

Both corrections, of lines and of SEDs, are smooth in (5040 K / TEFF, LOGG, MH) and vanish where
no star is near (`sedflux.training.label_features`).  `sedflux.training.star_correction` measures
them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline

from sedflux.emulator.gaussian_process import mix_neighbours
from sedflux.libraries.labels import scale_labels
from sedflux.spectra.grids import input_grid, sed_grid
from sedflux.training.label_features import LabelFeatures
from sedflux.training.line_labels import LineModel

if TYPE_CHECKING:
    from sedflux.libraries.library import SpectralLibrary

__all__ = ["SPLINES", "Correction", "class_shares", "sed_splines"]

#: Splines in wavelength.
SPLINES = 26
#: Temperature (K) at which each class begins to replace the cooler one, and width of the change.
_CHANGES = ((4450.0, 300.0), (5200.0, 400.0), (7200.0, 600.0))


def class_shares(labels: npt.ArrayLike) -> np.ndarray:
    """
    Shares of stars in the classes cold, cool, warm and hot, whose SEDs scatter differently.

    Parameters
    ----------
    labels : array_like, shape (N, 6)

    Returns
    -------
    shares : `~numpy.ndarray`, shape (N, 4)
        The classes overlap at 4450-4750 K, 5200-5600 K and 7200-7800 K.
    """
    teff = np.asarray(labels)[:, 0]
    cool, warm, hot = (np.clip((teff - low) / width, 0.0, 1.0) for low, width in _CHANGES)
    return np.stack([1.0 - cool, cool - warm, warm - hot, hot], axis=1)


def sed_splines() -> np.ndarray:
    """
    Cubic B-splines in ln(wavelength) on the SED grid, shape (575, 26).
    """
    place = np.linspace(0.0, 1.0, sed_grid().size)
    inner = np.linspace(0.0, 1.0, SPLINES - 2)
    knots = np.r_[[0.0] * 3, inner, [1.0] * 3]
    return BSpline.design_matrix(np.clip(place, 0.0, 1.0 - 1e-12), knots, 3).toarray()


@dataclass(frozen=True)
class Correction:
    """
    Mean corrections of a synthetic library, and the scatter of stars about them.

    Attributes
    ----------
    lines : `~sedflux.training.line_labels.LineModel`
        Correction of normalised spectra.
    features : `~sedflux.training.label_features.LabelFeatures`
        Of the correction of SEDs.
    sed_terms : `~numpy.ndarray`, shape (M, 575)
        Coefficients of the correction of ln(SED).
    star_labels : `~numpy.ndarray`, shape (n, 6)
    residuals : `~numpy.ndarray`, shape (n, 2430)
        Of each star's normalised spectrum after the line correction.
    sed_factors : `~numpy.ndarray`, shape (4, r, 575)
        Rows of the covariance of ln(SED) of stars about the correction, by class.
    sed_noise : `~numpy.ndarray`, shape (4, 575)
        Standard deviation of the part that is independent between samples.
    sed_draws : `~numpy.ndarray`, shape (d, M, 26)
        Draws of the errors of ``sed_terms`` from their posterior, as spline coefficients.
    prior_size : `~numpy.ndarray`, shape (26,)
        Standard deviation of the spline coefficients where no star is near.
    """

    lines: LineModel
    features: LabelFeatures
    sed_terms: np.ndarray
    star_labels: np.ndarray
    residuals: np.ndarray
    sed_factors: np.ndarray
    sed_noise: np.ndarray
    sed_draws: np.ndarray
    prior_size: np.ndarray

    def input_correction(self, labels: np.ndarray) -> np.ndarray:
        """Correction of the normalised spectrum at labels (N, 6), shape (N, 2430)."""
        return self.lines.correction(labels)

    def sed_correction(self, labels: np.ndarray) -> np.ndarray:
        """Correction of ln(SED) at labels (N, 6), shape (N, 575)."""
        return self.features(labels) @ self.sed_terms

    def draw_errors(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """
        Draw errors of the SED correction from its posterior.

        Returns
        -------
        log_sed : `~numpy.ndarray`, shape (N, 575)
        """
        features = self.features(labels)
        which = rng.integers(0, len(self.sed_draws), len(labels))
        splines = np.einsum("nm,nms->ns", features, self.sed_draws[which])
        unknown = np.sqrt(self.features.unknown(labels))[:, None]
        splines += unknown * self.prior_size * rng.standard_normal(splines.shape)
        return splines @ sed_splines().T

    def correct(self, library: SpectralLibrary) -> SpectralLibrary:
        """
        Apply the mean corrections to the models of a library.

        Parameters
        ----------
        library : `~sedflux.libraries.SpectralLibrary`
            Synthetic.

        Returns
        -------
        library : `~sedflux.libraries.SpectralLibrary`
        """
        lines = np.log1p(np.clip(self.input_correction(library.labels), -0.3, 0.3))
        shape = self.sed_correction(library.labels)
        wave = library.wavelength
        change = np.stack([np.interp(wave, input_grid(), row, left=0.0, right=0.0)
                           for row in lines])
        better = np.stack([np.interp(wave, sed_grid(), row) for row in shape])
        factor = 1.0 if library.sed_factor is None else library.sed_factor
        return replace(library, flux=(library.flux * np.exp(change)).astype(np.float32),
                       sed_factor=(factor * np.exp(better - change)).astype(np.float32))

    def draw(self, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """
        Draw discrepancies of simulated stars from the models.

        Parameters
        ----------
        labels : `~numpy.ndarray`, shape (N, 6)
        rng : `numpy.random.Generator`

        Returns
        -------
        lines : `~numpy.ndarray`, shape (N, 2430)
            Relative change of the spectrum.
        log_sed : `~numpy.ndarray`, shape (N, 575)
        """
        here, there = (scale_labels(values)[:, :3] for values in (labels, self.star_labels))
        weights = mix_neighbours(here, there, rng).astype(np.float32)
        chance = rng.random(len(labels))[:, None]
        kind = (chance > np.cumsum(class_shares(labels), axis=1)[:, :-1]).sum(axis=1)
        mix = rng.standard_normal((len(labels), self.sed_factors.shape[1]))
        sed = np.einsum("nr,nrs->ns", mix, self.sed_factors[kind])
        sed += self.sed_noise[kind] * rng.standard_normal(sed.shape)
        sed += self.draw_errors(labels, rng)
        return weights @ self.residuals, sed.astype(np.float32)
