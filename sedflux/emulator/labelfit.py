"""
Label fit and Fisher bound: labels and SED of a spectrum, through the emulator.

Free parameters are the six labels, whose prior is the spread of the library, and the weights
of the emulator's errors (those of neighbouring models), each with unit variance.  Errors of
input and SED are correlated, so that the fit of an error to the input corrects the SED too.
Iterated generalised least squares gives the *label fit*.  The Fisher information of the
labels alone, without the emulator's errors, gives the *Fisher bound*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sedflux.emulator.gaussian_process import NEIGHBOURS, Kernel
from sedflux.emulator.principal import PrincipalEmulator, joint_weight
from sedflux.exceptions import InputError
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.libraries.library import SpectralLibrary
from sedflux.libraries.prior import label_chances
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import input_grid
from sedflux.spectra.normalise import input_basis

__all__ = ["LabelFit", "LabelResult"]

#: Steps of the labels for derivatives: TEFF (K), LOGG, MH, ALPHA, CARBON, VMICRO (km/s).
_STEPS = np.array([40.0, 0.05, 0.05, 0.04, 0.04, 0.1])
#: Largest change of a label in one iteration, and the change below which the fit has
#: converged, in these steps.
_LARGEST_CHANGE, _CONVERGED = 8.0, 0.05
#: Variance of ln(SED) that the components left out of the emulator cause.
_LEFT_OUT_VARIANCE = 1e-6
#: Convergence of the continuum, tighter than for spectra: derivatives are differences.
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class LabelResult:
    """
    Fit of one star.

    Attributes
    ----------
    labels : `~numpy.ndarray`, shape (6,)
    log_sed : `~numpy.ndarray`, shape (575,)
        ln(SED).
    factor : `~numpy.ndarray`, shape (r, 575)
        Its covariance is ``factor.T @ factor`` and `diagonal`.
    chi2 : float
        Of the input.
    """

    labels: np.ndarray
    log_sed: np.ndarray
    factor: np.ndarray
    chi2: float

    @property
    def diagonal(self) -> np.ndarray:
        """Independent part of the variance of ln(SED), shape (575,)."""
        return np.full(self.log_sed.shape, _LEFT_OUT_VARIANCE)


class LabelFit:
    """
    Fits labels to spectra through the emulator, and gives the Fisher bound.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        Training models.
    kernels : tuple of `~sedflux.emulator.gaussian_process.Kernel`
        Of the emulator.
    resolving_power : float, optional
        Of the spectra that are fitted.
    prior : {'flat', 'survey'}, optional
        Distribution of the labels, see `sedflux.libraries.prior`.

    Attributes
    ----------
    emulator : `~sedflux.emulator.principal.PrincipalEmulator`
    spectra : `~numpy.ndarray`, shape (n, 2430)
        Normalised spectra of the models.
    prior_mean, prior_precision : `~numpy.ndarray`, shape (6,) and (6, 6)
        Of the labels.
    """

    def __init__(self, library: SpectralLibrary, kernels: tuple[Kernel, ...], *,
                 resolving_power: float = 2000.0, prior: str = "flat"):
        self._basis = input_basis()
        flux = np.log(library_inputs(library, resolving_power, input_grid()))
        flux -= (flux @ self._basis) @ self._basis.T
        self._pixels = flux.shape[1]
        outputs = np.hstack([flux, library_seds(library)])
        weight = joint_weight(self._pixels, outputs.shape[1] - self._pixels)
        self.emulator = PrincipalEmulator(library.labels, outputs, weight, kernels=kernels)
        models = np.exp(flux) - 1.0
        self.spectra = models - (models @ self._basis) @ self._basis.T
        labels = library.labels
        self._low, self._high = labels.min(axis=0), labels.max(axis=0)
        chances = label_chances(labels, prior)
        self.prior_mean = chances @ labels
        self.prior_precision = np.linalg.inv(np.cov(labels.T, aweights=chances))

    def models(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Noiseless models and their derivatives.

        Parameters
        ----------
        labels : `~numpy.ndarray`, shape (N, 6)

        Returns
        -------
        normalised : `~numpy.ndarray`, shape (N, 2430)
        slopes : `~numpy.ndarray`, shape (6, N, 2430)
            Derivatives with respect to the labels.
        """
        found = [self._local(row, np.ones(self._pixels)) for row in labels]
        return (np.stack([model for model, *_ in found]),
                np.stack([slope for _, _, slope, _ in found], axis=1))

    def _local(self, labels, ivar):
        """Model at labels: normalised input, ln(SED), and their derivatives."""
        points = np.repeat(labels[None], 1 + 2 * len(_STEPS), axis=0)
        for index, step in enumerate(_STEPS):
            points[1 + 2 * index, index] += step
            points[2 + 2 * index, index] -= step
        joint = self.emulator.mean(points)
        flux = np.exp(joint[:, : self._pixels])
        weights = np.broadcast_to(ivar, flux.shape)
        normalised, _ = remove_continuum(flux, weights, self._basis, tolerance=_TOLERANCE)
        log_sed = joint[:, self._pixels :]
        slopes = [(values[1::2] - values[2::2]) / (2.0 * _STEPS[:, None])
                  for values in (normalised, log_sed)]
        return normalised[0], log_sed[0], *slopes

    def _error_rows(self, labels):
        """Errors of neighbouring models: of the input, and of ln(SED)."""
        rows = self.emulator.error_rows(labels)
        return rows[:, : self._pixels], rows[:, self._pixels :]

    def bound(self, labels: np.ndarray, ivar: np.ndarray) -> np.ndarray:
        """
        Fisher bound: the least variance of ln(SED) that the noise allows.

        Parameters
        ----------
        labels : `~numpy.ndarray`, shape (6,)
        ivar : `~numpy.ndarray`, shape (2430,)
            Inverse variance of the normalised spectrum.

        Returns
        -------
        variance : `~numpy.ndarray`, shape (575,)
        """
        _, _, slope, sed_slope = self._local(labels, ivar)
        covariance = np.linalg.inv((slope * ivar) @ slope.T + self.prior_precision)
        return np.einsum("ip,ij,jp->p", sed_slope, covariance, sed_slope)

    def _start(self, normalised, ivar):
        """Labels of the model that fits best."""
        return self.emulator.labels[np.argmin(((self.spectra - normalised) ** 2) @ ivar)]

    def fit(self, normalised: np.ndarray, ivar: np.ndarray, *, start: np.ndarray | None = None,
            errors: np.ndarray | None = None, iterations: int = 12) -> LabelResult:
        """
        Fit one spectrum.

        Parameters
        ----------
        normalised, ivar : `~numpy.ndarray`, shape (2430,)
            From `sedflux.spectra.continuum.remove_continuum`.
        start : `~numpy.ndarray`, shape (6,), optional
            Labels where the search begins; the model that fits best by default.
        errors : `~numpy.ndarray`, shape (6,), optional
            Errors of ``start``, which then is the mean of the labels' prior in place of the
            library's.
        iterations : int, optional
            1 or more.

        Returns
        -------
        result : `LabelResult`

        Raises
        ------
        sedflux.exceptions.InputError
            If errors come without a start, or iterations is less than 1.
        """
        if iterations < 1:
            raise InputError(f"iterations is {iterations}; 1 or more are needed")
        if errors is not None and start is None:
            raise InputError("errors are given without start, the labels that have them")
        labels = self._start(normalised, ivar) if start is None else np.array(start, float)
        size = len(labels)
        # Precision of the labels' prior, and of the errors' weights.
        prior = np.eye(size + NEIGHBOURS)
        prior[:size, :size] = (self.prior_precision if errors is None
                               else np.diag(errors**-2.0))
        centre = self.prior_mean if errors is None else labels
        for _ in range(iterations):
            model, log_sed, slope, sed_slope = self._local(labels, ivar)
            error_rows, sed_error_rows = self._error_rows(labels)
            design = np.vstack([slope, error_rows])
            offset = np.concatenate([labels - centre, np.zeros(NEIGHBOURS)])
            residual = normalised - model
            normal = (design * ivar) @ design.T + prior
            solution = np.linalg.solve(normal, (design * ivar) @ residual - prior @ offset)
            step = np.clip(solution[:size], -_LARGEST_CHANGE * _STEPS, _LARGEST_CHANGE * _STEPS)
            step = np.clip(labels + step, self._low, self._high) - labels
            if np.abs(step / _STEPS).max() < _CONVERGED:
                break
            labels = labels + step
        sed_design = np.vstack([sed_slope, sed_error_rows])
        root = np.linalg.cholesky(np.linalg.inv(normal))
        corrected = log_sed + np.concatenate([step, solution[size:]]) @ sed_design
        return LabelResult(labels, corrected, root.T @ sed_design,
                           float(residual**2 @ ivar))
