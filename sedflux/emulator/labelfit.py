"""
The label fit and the Fisher bound: what the pixels allow, through the emulator.

Unknown are the six labels, with the library's own spread as prior, and the weights
of the emulator's errors (`Emulator.errors` of neighbouring models), each with unit
variance.  Because input and SED of a model err together, what the input says of an
error corrects the SED.  Iterated generalised least squares gives the *label fit*; the
information of its last step, without the emulator's errors, is the *Fisher bound*.
"""

from dataclasses import dataclass

import numpy as np

from sedflux.emulator.gaussian_process import NEIGHBOURS
from sedflux.emulator.principal import PrincipalEmulator, joint_weight
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.libraries.prior import label_chances
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import input_grid
from sedflux.spectra.normalise import input_basis

__all__ = ["LabelFit", "LabelResult"]

#: Steps of the labels for derivatives.
_STEPS = np.array([40.0, 0.05, 0.05, 0.04, 0.04, 0.1])
#: Variance of ln(SED) that the emulator's truncated noise leaves.
_FLOOR = 1e-6


@dataclass(frozen=True)
class LabelResult:
    """Labels, ln(SED) and the factor of its covariance, for one star."""

    labels: np.ndarray
    log_sed: np.ndarray
    factor: np.ndarray
    chi2: float

    @property
    def diagonal(self):
        """Independent part of the variance of ln(SED)."""
        return np.full(self.log_sed.shape, _FLOOR)


class LabelFit:
    """
    Fits labels to spectra through the emulator, and knows the Fisher bound.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        Training models.
    kernels : tuple of `~sedflux.emulator.gaussian_process.Kernel`
    resolving_power : float, optional
        Of the spectra to be fitted.
    prior : {'flat', 'survey'}, optional
        Distribution of the labels, see `sedflux.libraries.prior`.
    """

    def __init__(self, library, kernels, *, resolving_power=2000.0, prior="flat"):
        self._basis = input_basis()
        flux = np.log(library_inputs(library, resolving_power, input_grid()))
        flux -= (flux @ self._basis) @ self._basis.T
        self._pixels = flux.shape[1]
        outputs = np.hstack([flux, library_seds(library)])
        weight = joint_weight(self._pixels, outputs.shape[1] - self._pixels)
        self.emulator = PrincipalEmulator(library.labels, outputs, weight, kernels=kernels)
        models = np.exp(flux) - 1.0
        self._models = models - (models @ self._basis) @ self._basis.T
        labels = library.labels
        self._low, self._high = labels.min(axis=0), labels.max(axis=0)
        chances = label_chances(labels, prior)
        self._prior_mean = chances @ labels
        self._prior = np.linalg.inv(np.cov(labels.T, aweights=chances))

    def models(self, labels):
        """
        Noiseless models and how they change with the labels.

        Parameters
        ----------
        labels : `~numpy.ndarray`, shape (N, 6)

        Returns
        -------
        normalised : `~numpy.ndarray`, shape (N, 2430)
        slopes : `~numpy.ndarray`, shape (6, N, 2430)
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
        normalised, _ = remove_continuum(flux, weights, self._basis, tolerance=1e-7)
        log_sed = joint[:, self._pixels :]
        slopes = [(values[1::2] - values[2::2]) / (2.0 * _STEPS[:, None])
                  for values in (normalised, log_sed)]
        return normalised[0], log_sed[0], *slopes

    def _error_rows(self, labels):
        """Emulator errors of neighbours, as rows with unit-variance weights."""
        rows = self.emulator.error_rows(labels)
        return rows[:, : self._pixels], rows[:, self._pixels :]

    def bound(self, labels, ivar):
        """
        Variance of ln(SED) that the Fisher information allows, shape (575,).

        Parameters
        ----------
        labels : `~numpy.ndarray`, shape (6,)
        ivar : `~numpy.ndarray`, shape (2430,)
            Inverse variance of the normalised spectrum.
        """
        _, _, slope, sed_slope = self._local(labels, ivar)
        covariance = np.linalg.inv((slope * ivar) @ slope.T + self._prior)
        return np.einsum("ip,ij,jp->p", sed_slope, covariance, sed_slope)

    def _start(self, normalised, ivar):
        """Labels of the model that fits best."""
        return self.emulator.labels[np.argmin(((self._models - normalised) ** 2) @ ivar)]

    def fit(self, normalised, ivar, *, start=None, errors=None,
            iterations=12):
        """
        Fit one spectrum.

        Parameters
        ----------
        normalised, ivar : `~numpy.ndarray`, shape (2430,)
            From `sedflux.spectra.continuum.remove_continuum`.
        start : `~numpy.ndarray`, shape (6,), optional
            Labels where the search begins; the model that fits best by default.
        errors : `~numpy.ndarray`, shape (6,), optional
            Errors of ``start`` as a prior, instead of the library's spread.
        iterations : int, optional

        Returns
        -------
        result : `LabelResult`
        """
        labels = self._start(normalised, ivar) if start is None else np.array(start, float)
        size = len(labels)
        prior = np.eye(size + NEIGHBOURS)
        known = errors is not None
        prior[:size, :size] = np.diag(errors**-2.0) if known else self._prior
        centre = labels if known else self._prior_mean
        for _ in range(iterations):
            model, log_sed, slope, sed_slope = self._local(labels, ivar)
            errors, sed_errors = self._error_rows(labels)
            design = np.vstack([slope, errors])
            offset = np.concatenate([labels - centre, np.zeros(NEIGHBOURS)])
            residual = normalised - model
            normal = (design * ivar) @ design.T + prior
            solution = np.linalg.solve(normal, (design * ivar) @ residual - prior @ offset)
            step = np.clip(solution[:size], -8.0 * _STEPS, 8.0 * _STEPS)
            step = np.clip(labels + step, self._low, self._high) - labels
            if np.abs(step / _STEPS).max() < 0.05:
                break
            labels = labels + step
        sed_design = np.vstack([sed_slope, sed_errors])
        root = np.linalg.cholesky(np.linalg.inv(normal))
        corrected = log_sed + np.concatenate([step, solution[size:]]) @ sed_design
        return LabelResult(labels, corrected, root.T @ sed_design,
                           float(residual**2 @ ivar))
