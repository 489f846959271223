"""
Corrections of a synthetic library, and the scatter of stars about it.

Both corrections, of lines and of SEDs, are cubic in (5040 K / TEFF, LOGG, MH) and fade where
no star is near; `sedflux.training.empirical` measures them.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import BSpline

from sedflux.emulator.gaussian_process import mix_neighbours
from sedflux.libraries.labels import scale_labels
from sedflux.spectra.grids import input_grid, sed_grid

__all__ = ["SPLINES", "Correction", "label_terms", "sed_splines", "warmth"]

#: Degree of the corrections in the three leading labels.
DEGREE = 3
#: Splines in wavelength.
SPLINES = 26
#: Leverage beyond which a correction fades: no star is near.
_LEVERAGE = 0.15


def label_terms(labels):
    """
    Monomials up to the third degree in the scaled TEFF, LOGG and MH.

    Parameters
    ----------
    labels : array_like, shape (N, 6)

    Returns
    -------
    terms : `~numpy.ndarray`, shape (N, 20)
    """
    x, y, z = scale_labels(labels)[:, :3].T
    powers = [(a, b, c) for a in range(DEGREE + 1) for b in range(DEGREE + 1 - a)
              for c in range(DEGREE + 1 - a - b)]
    powers.sort(key=sum)
    return np.stack([x**a * y**b * z**c for a, b, c in powers], axis=1)


def warmth(labels):
    """
    Share that a star has in the warm class: the SEDs of cool ones scatter far more.

    Parameters
    ----------
    labels : array_like, shape (N, 6)

    Returns
    -------
    share : `~numpy.ndarray`, shape (N,)
        0 below 5200 K, 1 above 5600 K.
    """
    return np.clip((np.asarray(labels)[:, 0] - 5200.0) / 400.0, 0.0, 1.0)


def sed_splines():
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
    input_terms : `~numpy.ndarray`, shape (20, 2430)
        Coefficients of the correction of normalised spectra.
    sed_terms : `~numpy.ndarray`, shape (20, 575)
        Coefficients of the correction of ln(SED).
    spread : `~numpy.ndarray`, shape (20, 20)
        Inverse normal matrix of the terms, for the leverage.
    star_labels : `~numpy.ndarray`, shape (n, 6)
    residuals : `~numpy.ndarray`, shape (n, 2430)
        What the input correction leaves of each star's normalised spectrum.
    sed_factors : `~numpy.ndarray`, shape (2, r, 575)
        Rows of the covariance of ln(SED) of stars about the correction: cool and warm ones.
    sed_noise : `~numpy.ndarray`, shape (2, 575)
        Standard deviation that varies from sample to sample.
    """

    input_terms: np.ndarray
    sed_terms: np.ndarray
    spread: np.ndarray
    star_labels: np.ndarray
    residuals: np.ndarray
    sed_factors: np.ndarray
    sed_noise: np.ndarray

    def faded_terms(self, labels):
        """Terms, smaller where the stars say nothing."""
        terms = label_terms(labels)
        leverage = np.einsum("ni,ij,nj->n", terms, self.spread, terms)
        return terms * np.minimum(1.0, _LEVERAGE / leverage)[:, None]

    def input_correction(self, labels):
        """Correction of the normalised spectrum at labels (N, 6), shape (N, 2430)."""
        return self.faded_terms(labels) @ self.input_terms

    def sed_correction(self, labels):
        """Correction of ln(SED) at labels (N, 6), shape (N, 575)."""
        return self.faded_terms(labels) @ self.sed_terms

    def correct(self, library):
        """
        A library whose models carry the mean corrections.

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

    def draw(self, labels, rng):
        """
        Discrepancies of stars that nobody has seen.

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
        warm = (rng.random(len(labels)) < warmth(labels)).astype(int)
        mix = rng.standard_normal((len(labels), self.sed_factors.shape[1]))
        sed = np.where(warm[:, None], mix @ self.sed_factors[1], mix @ self.sed_factors[0])
        sed += self.sed_noise[warm] * rng.standard_normal(sed.shape)
        return weights @ self.residuals, sed.astype(np.float32)
