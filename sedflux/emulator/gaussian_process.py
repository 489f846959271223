"""
Emulator of a synthetic library: ln flux as a Gaussian process in the labels.

One kernel serves every output.  With n models, outputs ``Y`` (n x m), basis
``H`` and kernel matrix ``K``, the mean at labels ``t`` is
``h(t) B + k(t) K^-1 (Y - H B)`` and the error covariance is ``v(t)`` times the
covariance of the standardised errors, which closed-form leave-one-out gives
(Rasmussen & Williams 2006, sections 2.7 and 5.4.2).  Draws of errors are mixtures
of real leave-one-out errors of neighbouring models, so that input and SED err
together, as the emulator really does.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from sedflux.exceptions import InputError
from sedflux.libraries.labels import scale_labels

__all__ = ["Emulator", "Kernel", "fit_kernel", "mix_neighbours"]

#: Neighbours in label space whose leave-one-out errors stand for the error at a point.
NEIGHBOURS = 12


def _quadratic(scaled):
    """Constant, linear and all quadratic terms of the scaled labels."""
    first, second = np.triu_indices(scaled.shape[1])
    ones = np.ones((len(scaled), 1))
    return np.hstack([ones, scaled, scaled[:, first] * scaled[:, second]])


def _nearest(points, known):
    """Indices of the nearest known points, (N, 12)."""
    distance = ((points[:, None, :] - known[None]) ** 2).sum(axis=-1)
    return np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]


def mix_neighbours(points, known, rng):
    """
    Gaussian weights of the nearest known points that sum to unit variance.

    Parameters
    ----------
    points : `~numpy.ndarray`, shape (N, d)
    known : `~numpy.ndarray`, shape (n, d)
    rng : `numpy.random.Generator`

    Returns
    -------
    weights : `~numpy.ndarray`, shape (N, n)
        Twelve a row are not zero.
    """
    near = _nearest(points, known)
    mix = rng.standard_normal(near.shape) / np.sqrt(NEIGHBOURS)
    weights = np.zeros((len(points), len(known)))
    np.put_along_axis(weights, near, mix, axis=1)
    return weights


@dataclass(frozen=True)
class Kernel:
    """
    The kernel: squared exponentials at two scales, modulated by abundances.

    ``k = sum_s a_s SE_s(theta, logg, [M/H]) (1 + sum_j b_j SE_j + c prod_j SE_j)``
    over the abundance labels j = ALPHA, CARBON, VMICRO, plus a nugget on the
    diagonal.

    Attributes
    ----------
    log_parameters : `~numpy.ndarray`, shape (15,)
        Natural logarithms of: three lengths; ratio of the second scale, amplitude
        of the second scale; three abundance lengths; three abundance amplitudes;
        amplitude of the product; nugget; and two spare lengths of the second scale.
    """

    log_parameters: np.ndarray

    @staticmethod
    def initial():
        """A start for `fit_kernel`: smooth in every label, small nugget."""
        return Kernel(np.log([1.5, 2.0, 2.0, 0.5, 0.6, 0.6, 0.05,
                              2.0, 2.0, 2.0, 0.1, 0.1, 0.1, 0.02, 1e-4]))

    def __call__(self, first, second):
        """Kernel between scaled labels (N, 6) and (M, 6), shape (N, M), without nugget."""
        p = np.exp(self.log_parameters)
        squares = (first[:, None, :] - second[None, :, :]) ** 2
        core = np.exp(-0.5 * squares[..., :3] @ p[:3] ** -2)
        core += p[6] * np.exp(-0.5 * squares[..., :3] @ p[3:6] ** -2)
        each = np.exp(-0.5 * squares[..., 3:] / p[7:10] ** 2)
        return core * (1.0 + each @ p[10:13] + p[13] * each.prod(axis=-1))

    @property
    def nugget(self):
        """Variance added to the diagonal."""
        return float(np.exp(self.log_parameters[14]))

    def matrix(self, scaled):
        """Kernel matrix with the nugget on its diagonal."""
        return self(scaled, scaled) + self.nugget * np.eye(len(scaled))


def _profile(log_parameters, scaled, outputs, basis):
    """Negative restricted log likelihood with the output variances profiled out."""
    n, free = len(scaled), len(scaled) - basis.shape[1]
    try:
        factor = cho_factor(Kernel(log_parameters).matrix(scaled), lower=True)
    except np.linalg.LinAlgError:
        return 1e10
    white_basis = solve_triangular(factor[0], basis, lower=True)
    white = solve_triangular(factor[0], outputs, lower=True)
    orthonormal, triangle = np.linalg.qr(white_basis)
    rest = white - orthonormal @ (orthonormal.T @ white)
    log_det = np.log(np.diag(factor[0])[:n]).sum() + np.log(np.abs(np.diag(triangle))).sum()
    return 0.5 * free * np.mean(np.log((rest**2).sum(axis=0) / free)) + log_det


def fit_kernel(labels, outputs, *, start=None, iterations=60):
    """
    Fit the kernel to the leading components of the outputs.

    Parameters
    ----------
    labels : `~numpy.ndarray`, shape (n, 6)
        Labels of the models.
    outputs : `~numpy.ndarray`, shape (n, k)
        Leading principal components (10 to 25) of whatever is emulated.
    start : `Kernel`, optional
        Where the search starts.
    iterations : int, optional
        Limit of quasi-Newton iterations.

    Returns
    -------
    kernel : `Kernel`
    """
    scaled = scale_labels(labels)
    basis = _quadratic(scaled)
    begin = (start or Kernel.initial()).log_parameters
    bounds = [(value - 5.0, value + 5.0) for value in begin]
    found = minimize(_profile, begin, args=(scaled, outputs, basis), method="L-BFGS-B",
                     bounds=bounds, options={"maxiter": iterations})
    return Kernel(found.x)


@dataclass
class Emulator:
    """
    Gaussian-process emulator of outputs (ln flux) in the six labels.

    Parameters
    ----------
    labels : `~numpy.ndarray`, shape (n, 6)
        Labels of the models, see `sedflux.libraries.LABELS`.
    outputs : `~numpy.ndarray`, shape (n, m)
        What is emulated; all outputs share one kernel.
    kernel : `Kernel`
        From `fit_kernel`.

    Attributes
    ----------
    errors : `~numpy.ndarray`, shape (n, m)
        Leave-one-out errors, model minus prediction without it.
    loo_variance : `~numpy.ndarray`, shape (n,)
        The variance factor that goes with each of them.
    """

    labels: np.ndarray
    outputs: np.ndarray
    kernel: Kernel
    errors: np.ndarray = field(init=False, repr=False)
    loo_variance: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        if len(self.labels) != len(self.outputs) or len(self.labels) < 40:
            raise InputError(
                f"labels and outputs have {len(self.labels)} and {len(self.outputs)} rows; "
                "an emulator needs as many of one as of the other, and at least 40"
            )
        self._scaled = scale_labels(self.labels)
        basis = _quadratic(self._scaled)
        self._factor = cho_factor(self.kernel.matrix(self._scaled), lower=True)
        self._solved_basis = cho_solve(self._factor, basis)
        self._information = np.linalg.inv(basis.T @ self._solved_basis)
        inverse = cho_solve(self._factor, np.eye(len(basis)))
        projected = inverse - self._solved_basis @ self._information @ self._solved_basis.T
        self._weights = projected @ self.outputs
        self._trend = self._information @ (self._solved_basis.T @ self.outputs)
        self.loo_variance = 1.0 / np.diag(projected)
        self.errors = self._weights * self.loo_variance[:, None]

    def mean(self, labels):
        """
        Mean of the outputs at labels, shape (N, m).

        Parameters
        ----------
        labels : array_like, shape (N, 6)
        """
        scaled = scale_labels(labels)
        cross = self.kernel(scaled, self._scaled)
        return cross @ self._weights + _quadratic(scaled) @ self._trend

    def variance(self, labels):
        """
        Variance factor at labels, shape (N,): of the smooth function, no nugget.

        Multiply by the covariance of the standardised leave-one-out errors,
        ``errors / sqrt(loo_variance)``, for the error covariance of the outputs.
        """
        scaled = scale_labels(labels)
        cross = self.kernel(scaled, self._scaled)
        basis = _quadratic(scaled)
        prior = np.array([self.kernel(row[None], row[None])[0, 0] for row in scaled])
        solved = cho_solve(self._factor, cross.T).T
        gap = basis - cross @ self._solved_basis
        explained = (cross * solved).sum(axis=1)
        return np.maximum(prior - explained + ((gap @ self._information) * gap).sum(axis=1), 0.0)

    def neighbours(self, labels):
        """Indices of the nearest models in the emulator's coordinates, (N, 12)."""
        return _nearest(scale_labels(labels), self._scaled)

    def draw_weights(self, labels, rng):
        """
        Random weights of the leave-one-out errors that make posterior draws.

        Each draw mixes the leave-one-out errors of the nearest models with Gaussian
        weights: its covariance is the local covariance of the errors that the
        emulator makes on a model it has not seen.  They are not scaled down to the
        smaller variance close to a known model, where training labels crowd: sigma
        learned there was too small for new models by up to a third.

        Parameters
        ----------
        labels : array_like, shape (N, 6)
        rng : `numpy.random.Generator`

        Returns
        -------
        weights : `~numpy.ndarray`, shape (N, n)
            ``weights @ errors`` are the draws' deviations from the mean.
        """
        return mix_neighbours(scale_labels(labels), self._scaled, rng)
