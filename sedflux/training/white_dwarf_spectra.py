"""Interpolation of a grid of models of white dwarfs in TEFF and LOGG: spectra and SEDs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sedflux.emulator.polyharmonic import PolyharmonicSpline
from sedflux.emulator.principal import joint_weight
from sedflux.exceptions import InputError
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.libraries.labels import WHITE_DWARFS
from sedflux.spectra.continuum import smooth_basis
from sedflux.spectra.reddening import continuum_shapes
from sedflux.training.augment import FINE_RESOLVING_POWER, fine_grid

if TYPE_CHECKING:
    from sedflux.libraries.library import SpectralLibrary

__all__ = ["WhiteDwarfSpectra"]

#: Principal components of the spectra that are interpolated.
_COMPONENTS = 60


class WhiteDwarfSpectra:
    """
    Spectra and SEDs of white dwarfs at any temperature and gravity of a grid of models.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        With the labels TEFF and LOGG.

    Attributes
    ----------
    spline : `~sedflux.emulator.polyharmonic.PolyharmonicSpline`
        Of the scores.
    components : `~numpy.ndarray`, shape (k, 5000 + 575)
        What a unit of each score adds to ln(flux) and ln(SED).
    centre : `~numpy.ndarray`, shape (5000 + 575,)
        Their mean.

    Raises
    ------
    sedflux.exceptions.InputError
        If the library is not one of white dwarfs.
    """

    def __init__(self, library: SpectralLibrary) -> None:
        if library.label_set is not WHITE_DWARFS:
            raise InputError("library has models of stars, with more labels than TEFF and LOGG; a "
                             "grid of white dwarfs is needed")
        log_input = np.log(library_inputs(library, FINE_RESOLVING_POWER, fine_grid()))
        smooth = smooth_basis(log_input.shape[1], shapes=continuum_shapes(fine_grid()))
        log_input -= (log_input @ smooth) @ smooth.T
        log_sed = library_seds(library)
        self.pixels = log_input.shape[1]
        outputs = np.hstack([log_input, log_sed])
        weight = joint_weight(self.pixels, log_sed.shape[1])
        self.centre = outputs.mean(axis=0)
        scaled = (outputs - self.centre) * weight
        directions = np.linalg.svd(scaled, full_matrices=False)[2][:_COMPONENTS]
        self.spline = PolyharmonicSpline(library.labels, scaled @ directions.T)
        self.components = directions / weight

    def __call__(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Interpolated models.

        Parameters
        ----------
        labels : `~numpy.ndarray`, shape (N, 2)
            TEFF (K) and LOGG.

        Returns
        -------
        flux : `~numpy.ndarray`, shape (N, 5000)
            On the fine grid of `sedflux.training.augment`, continuum of order one.
        log_sed : `~numpy.ndarray`, shape (N, 575)
        """
        joint = self.spline(labels) @ self.components + self.centre
        return np.exp(joint[:, : self.pixels]), joint[:, self.pixels :]
