"""
Emulator of whole spectra: Gaussian processes for their principal components.

Input and SED of a model are emulated together, as one long vector.  The leading
component, mostly the slope of the SED, is far smoother in the labels than the
others; with a kernel of its own its error is a quarter smaller, and it holds almost
half of the emulator's error.
"""

import numpy as np

from sedflux.emulator.gaussian_process import NEIGHBOURS, Emulator, Kernel, fit_kernel

__all__ = ["GROUPS", "PrincipalEmulator", "fit_kernels", "kernels_from_lists", "kernels_to_lists"]

#: Components that share a kernel; the last group's serves all that follow.
GROUPS = ((0, 1), (1, 3), (3, 5), (5, 18), (18, 40))
_COMMON = 3
#: Principal components that are kept, of some six hundred.
COMPONENTS = 160


def fit_kernels(labels, scores):
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
    common = fit_kernel(labels, groups[min(_COMMON, len(groups) - 1)])
    return tuple(common if index == _COMMON else
                 fit_kernel(labels, group, start=common, iterations=30)
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
        One a group; fitted when not given, which takes minutes.

    Attributes
    ----------
    components : `~numpy.ndarray`, shape (k, m)
        What a unit of each score adds to the outputs.
    centre : `~numpy.ndarray`, shape (m,)
    errors : `~numpy.ndarray`, shape (n, k)
        Leave-one-out errors of the scores.
    """

    def __init__(self, labels, outputs, weight, *, kernels=None):
        self.labels = labels
        self.centre = outputs.mean(axis=0)
        scaled = (outputs - self.centre) * weight
        directions = np.linalg.svd(scaled, full_matrices=False)[2][:COMPONENTS]
        self.scores = scaled @ directions.T
        self.components = directions / weight
        self.kernels = tuple(kernels) if kernels else fit_kernels(labels, self.scores)
        edges = [first for first, _ in GROUPS[: len(self.kernels)]] + [self.scores.shape[1]]
        self._emulators = [
            Emulator(labels, self.scores[:, begin:end], kernel)
            for kernel, begin, end in zip(self.kernels, edges[:-1], edges[1:], strict=True)
        ]
        self.errors = np.hstack([emulator.errors for emulator in self._emulators])

    def mean_scores(self, labels):
        """Expected scores at labels (N, 6), shape (N, k)."""
        return np.hstack([emulator.mean(labels) for emulator in self._emulators])

    def mean(self, labels):
        """Expected outputs at labels (N, 6), shape (N, m)."""
        return self.mean_scores(labels) @ self.components + self.centre

    def draw_scores(self, labels, rng):
        """
        Scores drawn from what the emulator knows: its mean and its real errors.

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

    def error_rows(self, labels):
        """
        Errors of the nearest models, as rows with weights of unit variance.

        Parameters
        ----------
        labels : `~numpy.ndarray`, shape (6,)

        Returns
        -------
        rows : `~numpy.ndarray`, shape (12, m)
        """
        near = self._emulators[0].neighbours(labels[None])[0]
        return self.errors[near] @ self.components / np.sqrt(NEIGHBOURS)


def kernels_to_lists(kernels):
    """Plain numbers, for the header of a model."""
    return [kernel.log_parameters.tolist() for kernel in kernels]


def kernels_from_lists(values):
    """The inverse of `kernels_to_lists`."""
    return tuple(Kernel(np.array(value)) for value in values)


def joint_weight(pixels, samples):
    """Weights that let input and SED count alike in the emulator's components."""
    return np.r_[np.full(pixels, pixels**-0.5), np.full(samples, samples**-0.5)]
