"""
Training examples without end: posterior draws of the emulator, observed anew.

A network trained on bare syntheses memorises them, and one trained on the means
of an emulator trusts them too much.  So every example is a draw: labels from the
prior, input and SED from the emulator's posterior (they err together), then
velocity, rotation, resolution, calibration curve, noise and gaps.
"""

from dataclasses import dataclass

import numpy as np

from sedflux.continuum import remove_continuum, smooth_basis
from sedflux.grids import input_grid, rebin_matrix, sed_grid
from sedflux.libraries.emulator import Emulator, fit_kernel, scale_labels
from sedflux.libraries.library import LABELS
from sedflux.prediction import optical_mean
from sedflux.reddening import continuum_shapes, extinction_curve
from sedflux.resolution import broadening_sigma, lsf_matrix
from sedflux.training.augment import (
    FINE_RESOLVING_POWER,
    draw_observing,
    fine_grid,
    observe,
    random_curves,
    random_noise,
)

__all__ = ["Engine", "Examples", "input_basis", "library_inputs", "library_seds"]

#: Principal components that the engine's emulator keeps.
COMPONENTS = 160
#: Components that decide the kernel.
KERNEL_COMPONENTS = 18
#: Noisy copies made of each simulated star.
COPIES = 4
_CHUNK = 256


def input_basis():
    """Basis of the continuum on the input grid: polynomials and extinction curves."""
    grid = input_grid()
    return smooth_basis(grid.size, shapes=continuum_shapes(grid))


def library_inputs(library, resolving_power, grid):
    """
    Flux of a library's models at a resolving power on a pixel grid.

    Returns
    -------
    flux : `~numpy.ndarray`, shape (N, n)
        Scaled to a mean of one.
    """
    sigma = broadening_sigma(library.wavelength, library.resolving_power, resolving_power)
    kernel = rebin_matrix(library.wavelength, grid) @ lsf_matrix(library.wavelength, sigma)
    flux = (kernel @ library.flux.T.astype(float)).T
    return flux / flux.mean(axis=1, keepdims=True)


def library_seds(library):
    """
    ln(SED) of a library's models: R = 200, relative to the mean over 4000-7000 A.

    Returns
    -------
    log_sed : `~numpy.ndarray`, shape (N, 575)
    """
    grid = sed_grid()
    sigma = broadening_sigma(grid, library.resolving_power, 200.0)
    kernel = lsf_matrix(library.wavelength, sigma, new_wavelength=grid)
    flux = (kernel @ library.sed_flux.T.astype(float)).T
    return np.log(flux / (optical_mean(grid) @ flux.T).T)


@dataclass(frozen=True)
class Examples:
    """
    A batch of examples.

    Attributes
    ----------
    normalised, ivar : `~numpy.ndarray`, shape (N, 2430)
        Input after continuum removal, float32.
    resolving_power : `~numpy.ndarray`, shape (N,)
        As the network is told, wrong by a few percent.
    log_sed : `~numpy.ndarray`, shape (N, 575)
        The truth.
    labels : `~numpy.ndarray`, shape (N, 6)
        Scaled labels, see `sedflux.libraries.emulator.scale_labels`.
    """

    normalised: np.ndarray
    ivar: np.ndarray
    resolving_power: np.ndarray
    log_sed: np.ndarray
    labels: np.ndarray

    def take(self, rows):
        """The examples of some rows."""
        return Examples(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


class Engine:
    """
    Makes training examples from a synthetic library.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        The training models alone.
    kernel : `~sedflux.libraries.emulator.Kernel`, optional
        Fitted when not given; takes minutes.
    """

    def __init__(self, library, *, kernel=None):
        self.library = library
        log_input = np.log(library_inputs(library, FINE_RESOLVING_POWER, fine_grid()))
        smooth = smooth_basis(log_input.shape[1], shapes=continuum_shapes(fine_grid()))
        log_input -= (log_input @ smooth) @ smooth.T
        log_sed = library_seds(library)
        self.pixels = log_input.shape[1]
        self.scale = np.r_[np.full(self.pixels, self.pixels**-0.5),
                           np.full(log_sed.shape[1], log_sed.shape[1] ** -0.5)]
        joint = np.hstack([log_input, log_sed])
        self.centre = joint.mean(axis=0)
        components = np.linalg.svd((joint - self.centre) * self.scale, full_matrices=False)[2]
        scores = ((joint - self.centre) * self.scale) @ components[:COMPONENTS].T
        labels = library.labels
        self.kernel = kernel or fit_kernel(labels, scores[:, :KERNEL_COMPONENTS])
        self.emulator = Emulator(labels, scores, self.kernel)
        self.to_pixels = (components[:COMPONENTS] / self.scale).astype(np.float32)
        self.continuum = input_basis()
        self._dust = extinction_curve(input_grid())
        self._average = optical_mean(sed_grid())
        core = scale_labels(labels)[:, :3]
        solar = (labels[:, LABELS.index("ALPHA")] == 0) & (labels[:, LABELS.index("CARBON")] == 0)
        distance = ((core[:, None] - core[None]) ** 2).sum(axis=-1)
        distance[solar[:, None] != solar[None]] = np.inf
        self._near = np.argsort(distance, axis=1)[:, 1:9]

    def draw_labels(self, size, rng):
        """
        Labels from the flat prior: the library's own, smoothed between neighbours.

        Returns
        -------
        labels : `~numpy.ndarray`, shape (size, 6)
        """
        labels = self.library.labels
        first = rng.integers(0, len(labels), size)
        second = self._near[first, rng.integers(0, self._near.shape[1], size)]
        share = rng.uniform(-0.5, 0.5, (size, 1))
        drawn = labels[first] + share * (labels[second] - labels[first])
        return np.clip(drawn, labels.min(axis=0), labels.max(axis=0))

    def stars(self, size, rng):
        """
        Noiseless stars: flux on the fine grid, ln(SED), labels.

        Returns
        -------
        flux : `~numpy.ndarray`, shape (size, 5000)
        log_sed : `~numpy.ndarray`, shape (size, 575)
        labels : `~numpy.ndarray`, shape (size, 6)
        """
        labels = self.draw_labels(size, rng)
        scores = self.emulator.mean(labels)
        scores += self.emulator.draw_weights(labels, rng) @ self.emulator.errors
        joint = scores.astype(np.float32) @ self.to_pixels + self.centre.astype(np.float32)
        log_sed = joint[:, self.pixels :]
        log_sed = log_sed - np.log(self._average @ np.exp(log_sed).T).T
        return np.exp(joint[:, : self.pixels]), log_sed, labels

    def examples(self, size, rng):
        """
        A shuffled block of examples; each star is observed and then noised 4 times.

        Parameters
        ----------
        size : int
            Number of examples, a multiple of 4.
        rng : `numpy.random.Generator`

        Returns
        -------
        examples : `Examples`
        """
        parts = [self._chunk(min(_CHUNK, size - begin), rng) for begin in range(0, size, _CHUNK)]
        names = Examples.__dataclass_fields__
        joined = Examples(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))
        return joined.take(rng.permutation(size))

    def _chunk(self, size, rng):
        """A few examples, so few that they stay in the processor's cache."""
        flux, log_sed, labels = self.stars(size // COPIES, rng)
        observing = draw_observing(labels[:, 0], rng)
        clean = observe(flux, observing).astype(np.float32)
        rows = np.repeat(np.arange(size // COPIES), COPIES)
        curves = random_curves(size // COPIES, rng, self._dust).astype(np.float32)
        sigma, good = random_noise(size, rng)
        sigma = sigma.astype(np.float32)
        noisy = clean[rows] * (1.0 + sigma * rng.standard_normal(sigma.shape, dtype=np.float32))
        curve = curves[rows] / curves[rows].mean(axis=1, keepdims=True)
        ivar = (good / (sigma * curve * clean[rows]) ** 2).astype(np.float32)
        normalised, ivar = remove_continuum(noisy * curve, ivar, self.continuum, tolerance=1e-4)
        told = observing.resolving_power[rows] * np.exp(0.03 * rng.standard_normal(size))
        return Examples(normalised, ivar, told.astype(np.float32), log_sed[rows],
                        scale_labels(labels[rows]).astype(np.float32))
