"""
Emulator of a synthetic library: ln flux as a Gaussian process in the labels.

One kernel serves every output.  With n models, outputs ``Y`` (n x m), basis
``H`` and kernel matrix ``K``, the mean at labels ``t`` is
``h(t) B + k(t) K^-1 (Y - H B)`` and the error covariance is ``v(t)`` times the
covariance of the standardised leave-one-out errors, which have a closed form
(Rasmussen & Williams 2006, sections 2.7 and 5.4.2).  Random errors are mixtures of
the leave-one-out errors of neighbouring models, so that errors of input and SED are
correlated as those of the emulator are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from sedflux.exceptions import InputError
from sedflux.libraries.labels import scale_labels

__all__ = ["NEIGHBOURS", "Emulator", "Kernel", "fit_kernel", "mix_neighbours", "nearest_points"]

#: Neighbours in label space whose leave-one-out errors represent the error at a point.
NEIGHBOURS = 12
#: Models that an emulator needs: the 28 quadratic terms of six labels, and some to spare.
_LEAST_MODELS = 40
#: Bounds of a kernel's log parameters about their start: a factor of 150 either way.
_LOG_BOUND = 5.0
#: Negative log likelihood of kernels whose matrix is singular in double precision.
_SINGULAR_COST = 1e10


def _quadratic(scaled):
    """Constant, linear and all quadratic terms of the scaled labels."""
    first, second = np.triu_indices(scaled.shape[1])
    ones = np.ones((len(scaled), 1))
    return np.hstack([ones, scaled, scaled[:, first] * scaled[:, second]])


def nearest_points(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """
    Nearest known points of every point.

    Parameters
    ----------
    points : `~numpy.ndarray`, shape (N, d)
    known : `~numpy.ndarray`, shape (n, d)
        More than 12.

    Returns
    -------
    indices : `~numpy.ndarray`, shape (N, 12)
        Of the known points, in no particular order.

    Raises
    ------
    sedflux.exceptions.InputError
        If there are too few known points.
    """
    if len(known) <= NEIGHBOURS:
        raise InputError(f"known has {len(known)} points; more than {NEIGHBOURS} are needed")
    distance = ((points[:, None, :] - known[None]) ** 2).sum(axis=-1)
    return np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]


def mix_neighbours(points: np.ndarray, known: np.ndarray, rng: np.random.Generator
                   ) -> np.ndarray:
    """
    Gaussian weights of the nearest known points, whose variances sum to one.

    Parameters
    ----------
    points : `~numpy.ndarray`, shape (N, d)
    known : `~numpy.ndarray`, shape (n, d)
    rng : `numpy.random.Generator`

    Returns
    -------
    weights : `~numpy.ndarray`, shape (N, n)
        Twelve in each row are not zero.
    """
    near = nearest_points(points, known)
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
        Natural logarithms of: three lengths (in scaled TEFF, LOGG, MH) of the first
        scale, three of the second; amplitude of the second scale; three abundance
        lengths; three abundance amplitudes; amplitude of the product; nugget.

    Raises
    ------
    sedflux.exceptions.InputError
        If they are not 15 finite numbers.
    """

    log_parameters: np.ndarray

    def __post_init__(self):
        if np.shape(self.log_parameters) != (15,) or not np.isfinite(self.log_parameters).all():
            raise InputError(f"log_parameters is {self.log_parameters!r}; 15 finite numbers are "
                             "needed")

    @staticmethod
    def initial() -> Kernel:
        """Start of `fit_kernel`: smooth in every label, with a small nugget."""
        return Kernel(np.log([1.5, 2.0, 2.0, 0.5, 0.6, 0.6, 0.05,
                              2.0, 2.0, 2.0, 0.1, 0.1, 0.1, 0.02, 1e-4]))

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Kernel between scaled labels (N, 6) and (M, 6), shape (N, M), without nugget."""
        p = np.exp(self.log_parameters)
        squares = (first[:, None, :] - second[None, :, :]) ** 2
        core = np.exp(-0.5 * squares[..., :3] @ p[:3] ** -2)
        core += p[6] * np.exp(-0.5 * squares[..., :3] @ p[3:6] ** -2)
        each = np.exp(-0.5 * squares[..., 3:] / p[7:10] ** 2)
        return core * (1.0 + each @ p[10:13] + p[13] * each.prod(axis=-1))

    @property
    def nugget(self) -> float:
        """Variance added to the diagonal."""
        return float(np.exp(self.log_parameters[14]))

    def matrix(self, scaled: np.ndarray) -> np.ndarray:
        """Kernel matrix with the nugget on its diagonal."""
        return self(scaled, scaled) + self.nugget * np.eye(len(scaled))


def _profile(log_parameters, scaled, outputs, basis):
    """Negative restricted log likelihood, maximised over the variances of the outputs."""
    n, free = len(scaled), len(scaled) - basis.shape[1]
    try:
        factor = cho_factor(Kernel(log_parameters).matrix(scaled), lower=True)
    except np.linalg.LinAlgError:
        return _SINGULAR_COST
    white_basis = solve_triangular(factor[0], basis, lower=True)
    white = solve_triangular(factor[0], outputs, lower=True)
    orthonormal, triangle = np.linalg.qr(white_basis)
    rest = white - orthonormal @ (orthonormal.T @ white)
    log_det = np.log(np.diag(factor[0])[:n]).sum() + np.log(np.abs(np.diag(triangle))).sum()
    return 0.5 * free * np.mean(np.log((rest**2).sum(axis=0) / free)) + log_det


def fit_kernel(labels: np.ndarray, outputs: np.ndarray, *, start: Kernel | None = None,
               iterations: int = 60) -> Kernel:
    """
    Fit a kernel that outputs share.

    Parameters
    ----------
    labels : `~numpy.ndarray`, shape (n, 6)
        Labels of the models.
    outputs : `~numpy.ndarray`, shape (n, k)
        Principal components of what is emulated.
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
    bounds = [(value - _LOG_BOUND, value + _LOG_BOUND) for value in begin]
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
        What is emulated.
    kernel : `Kernel`
        From `fit_kernel`; all outputs share it.

    Attributes
    ----------
    errors : `~numpy.ndarray`, shape (n, m)
        Leave-one-out errors: model minus the prediction of the emulator without it.
    loo_variance : `~numpy.ndarray`, shape (n,)
        Variance factor of each of these predictions.

    Raises
    ------
    sedflux.exceptions.InputError
        If there are too few models, or values are not finite.
    """

    labels: np.ndarray
    outputs: np.ndarray
    kernel: Kernel
    errors: np.ndarray = field(init=False, repr=False)
    loo_variance: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        if len(self.labels) != len(self.outputs) or len(self.labels) < _LEAST_MODELS:
            raise InputError(
                f"labels and outputs have {len(self.labels)} and {len(self.outputs)} rows; "
                f"an emulator needs the same number of both, and at least {_LEAST_MODELS}"
            )
        if not (np.isfinite(self.labels).all() and np.isfinite(self.outputs).all()):
            raise InputError("labels and outputs of an emulator must be finite; leave out models "
                             "with gaps")
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

    def mean(self, labels: npt.ArrayLike) -> np.ndarray:
        """
        Mean of the outputs at labels, shape (N, m).

        Parameters
        ----------
        labels : array_like, shape (N, 6)
        """
        scaled = scale_labels(labels)
        cross = self.kernel(scaled, self._scaled)
        return cross @ self._weights + _quadratic(scaled) @ self._trend

    def variance(self, labels: npt.ArrayLike) -> np.ndarray:
        """
        Variance factor at labels, shape (N,), of the smooth function without the nugget.

        Multiply by the covariance of the standardised leave-one-out errors,
        ``errors / sqrt(loo_variance)``, for the error covariance of the outputs.
        """
        scaled = scale_labels(labels)
        cross = self.kernel(scaled, self._scaled)
        basis = _quadratic(scaled)
        unconditioned = np.array([self.kernel(row[None], row[None])[0, 0] for row in scaled])
        solved = cho_solve(self._factor, cross.T).T
        gap = basis - cross @ self._solved_basis
        explained = (cross * solved).sum(axis=1)
        trend = ((gap @ self._information) * gap).sum(axis=1)
        return np.maximum(unconditioned - explained + trend, 0.0)

    def neighbours(self, labels: npt.ArrayLike) -> np.ndarray:
        """Indices of the nearest models in the emulator's coordinates, (N, 12)."""
        return nearest_points(scale_labels(labels), self._scaled)

    def draw_weights(self, labels: npt.ArrayLike, rng: np.random.Generator) -> np.ndarray:
        """
        Random weights of the leave-one-out errors, for draws of the emulator's error.

        Each draw mixes the leave-one-out errors of the nearest models with Gaussian
        weights.  Its covariance is the local covariance of the errors that the
        emulator makes on a model it has not seen.  The variance is smaller close to a
        known model, where most training labels are, but draws are not scaled down to it:
        sigma learned from scaled draws was too small for new models by up to a third.

        Parameters
        ----------
        labels : array_like, shape (N, 6)
        rng : `numpy.random.Generator`

        Returns
        -------
        weights : `~numpy.ndarray`, shape (N, n)
            ``weights @ errors`` are the deviations of the draws from the mean.
        """
        return mix_neighbours(scale_labels(labels), self._scaled, rng)
