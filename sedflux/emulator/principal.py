"""
Emulator of whole spectra: Gaussian processes for their principal components.

Input and SED of a model are emulated together, as one long vector.  The leading
component, mostly the slope of the SED, is far smoother in the labels than the others, and
almost half of the emulator's error is in it.  A kernel of its own makes that error a quarter
smaller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from sedflux.emulator.gaussian_process import NEIGHBOURS, Emulator, Kernel, fit_kernel
from sedflux.exceptions import InputError

__all__ = ["COMPONENTS", "GROUPS", "PrincipalEmulator", "fit_kernels", "joint_weight",
           "kernels_from_lists", "kernels_to_lists"]

#: Components (first and one past the last) to which each kernel is fitted; the last kernel
#: serves all that follow, too.
GROUPS = ((0, 1), (1, 3), (3, 5), (5, 18), (18, 40))
#: Group whose kernel is fitted first, and where the fits of the others start.
_FIRST_FITTED = 3
#: Iterations of the fits that start there.
_ITERATIONS = 30
#: Principal components that are kept, of about six hundred.
COMPONENTS = 160


def fit_kernels(labels: np.ndarray, scores: np.ndarray) -> tuple[Kernel, ...]:
    """
    Fit a kernel to every group of components.

    Parameters
    ----------
    labels : `~numpy.ndarray`, shape (n, 6)
    scores : `~numpy.ndarray`, shape (n, k)
        Principal components, the largest first.

    Returns
    -------
    kernels : tuple of `~sedflux.emulator.gaussian_process.Kernel`
    """
    groups = [scores[:, begin:end] for begin, end in GROUPS if begin < scores.shape[1]]
    common = fit_kernel(labels, groups[min(_FIRST_FITTED, len(groups) - 1)])
    return tuple(common if index == _FIRST_FITTED else
                 fit_kernel(labels, group, start=common, iterations=_ITERATIONS)
                 for index, group in enumerate(groups))


class PrincipalEmulator:
    """
    Emulator of spectra through their principal components.

    Parameters
    ----------
    labels : `~numpy.ndarray`, shape (n, 6)
    outputs : `~numpy.ndarray`, shape (n, m)
        ln(flux) of the models.
    weight : `~numpy.ndarray`, shape (m,)
        Weight of every output in the choice of the components.
    kernels : tuple of `~sedflux.emulator.gaussian_process.Kernel`, optional
        One for each of the first `GROUPS`; fitted if not given, which takes minutes.

    Attributes
    ----------
    components : `~numpy.ndarray`, shape (k, m)
        What one unit of each score adds to the outputs.
    centre : `~numpy.ndarray`, shape (m,)
        Mean of the outputs.
    scores : `~numpy.ndarray`, shape (n, k)
        Components of the models.
    errors : `~numpy.ndarray`, shape (n, k)
        Leave-one-out errors of the scores.

    Raises
    ------
    sedflux.exceptions.InputError
        If outputs are not finite, or there are no or too many kernels.
    """

    def __init__(self, labels: np.ndarray, outputs: np.ndarray, weight: np.ndarray, *,
                 kernels: Iterable[Kernel] | None = None):
        if not np.isfinite(outputs).all():
            raise InputError("outputs of an emulator must be finite; leave out models with gaps "
                             "or without light")
        self.labels = labels
        self.centre = outputs.mean(axis=0)
        scaled = (outputs - self.centre) * weight
        directions = np.linalg.svd(scaled, full_matrices=False)[2][:COMPONENTS]
        self.scores = scaled @ directions.T
        self.components = directions / weight
        self.kernels = (fit_kernels(labels, self.scores) if kernels is None else tuple(kernels))
        if not 1 <= len(self.kernels) <= len(GROUPS):
            raise InputError(f"kernels has {len(self.kernels)} kernels; 1 to {len(GROUPS)} are "
                             "allowed, or None to fit them")
        edges = [first for first, _ in GROUPS[: len(self.kernels)]] + [self.scores.shape[1]]
        self._emulators = [
            Emulator(labels, self.scores[:, begin:end], kernel)
            for kernel, begin, end in zip(self.kernels, edges[:-1], edges[1:], strict=True)
        ]
        self.errors = np.hstack([emulator.errors for emulator in self._emulators])

    def mean_scores(self, labels: npt.ArrayLike) -> np.ndarray:
        """Expected scores at labels (N, 6), shape (N, k)."""
        return np.hstack([emulator.mean(labels) for emulator in self._emulators])

    def mean(self, labels: npt.ArrayLike) -> np.ndarray:
        """Expected outputs at labels (N, 6), shape (N, m)."""
        return self.mean_scores(labels) @ self.components + self.centre

    def draw_scores(self, labels: npt.ArrayLike, rng: np.random.Generator) -> np.ndarray:
        """
        Random scores: the mean, and mixtures of the leave-one-out errors.

        Parameters
        ----------
        labels : `~numpy.ndarray`, shape (N, 6)
        rng : `numpy.random.Generator`

        Returns
        -------
        scores : `~numpy.ndarray`, shape (N, k)
        """
        weights = self._emulators[0].draw_weights(labels, rng)
        return self.mean_scores(labels) + weights @ self.errors

    def error_rows(self, labels: np.ndarray) -> np.ndarray:
        """
        Leave-one-out errors of the nearest models.

        Multiplied by independent standard normal numbers, their sum is a draw of the
        emulator's error.

        Parameters
        ----------
        labels : `~numpy.ndarray`, shape (6,)

        Returns
        -------
        rows : `~numpy.ndarray`, shape (12, m)
        """
        near = self._emulators[0].neighbours(labels[None])[0]
        return self.errors[near] @ self.components / np.sqrt(NEIGHBOURS)


def kernels_to_lists(kernels: Iterable[Kernel]) -> list[list[float]]:
    """Parameters of kernels as plain numbers, for the header of a model."""
    return [kernel.log_parameters.tolist() for kernel in kernels]


def kernels_from_lists(values: Sequence[Sequence[float]]) -> tuple[Kernel, ...]:
    """
    The inverse of `kernels_to_lists`.

    Raises
    ------
    sedflux.exceptions.InputError
        If the values are not one to five lists of 15 numbers.
    """
    try:
        kernels = tuple(Kernel(np.array(value, dtype=float)) for value in values)
    except (TypeError, ValueError) as error:
        raise InputError(f"kernels cannot be used ({error}); fit them again") from error
    if not 1 <= len(kernels) <= len(GROUPS):
        raise InputError(f"{len(kernels)} kernels are given; 1 to {len(GROUPS)} are allowed")
    return kernels


def joint_weight(pixels: int, samples: int) -> np.ndarray:
    """
    Weights of outputs, so that input and SED have the same share in the components.

    Parameters
    ----------
    pixels, samples : int
        Outputs that belong to the input, and to the SED.

    Returns
    -------
    weight : `~numpy.ndarray`, shape (pixels + samples,)
    """
    return np.r_[np.full(pixels, pixels**-0.5), np.full(samples, samples**-0.5)]
