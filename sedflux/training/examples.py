"""
Training examples: draws from the emulator's posterior, observed under random conditions.

A network trained on the spectra of the library memorises them, and one trained on the mean of
an emulator predicts errors that are too small.  So every example is a random draw: labels from the
prior, input and SED together from the emulator's posterior (their errors are correlated), and
then velocity, rotation, resolution, calibration curve, noise and gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sedflux.emulator.principal import PrincipalEmulator, joint_weight, kernels_to_lists
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.libraries.labels import STARS, LabelSet, is_solar_scaled, scale_labels
from sedflux.libraries.prior import label_chances
from sedflux.spectra.continuum import remove_continuum, smooth_basis
from sedflux.spectra.grids import input_grid, optical_mean, sed_grid
from sedflux.spectra.normalise import input_basis
from sedflux.spectra.reddening import continuum_shapes, extinction_curve
from sedflux.training.augment import (
    FINE_RESOLVING_POWER,
    Observing,
    draw_observing,
    fine_grid,
    observe,
    random_curves,
    random_noise,
)
from sedflux.training.effects import survey_effects
from sedflux.training.stars import GRAVITY_EDGE

if TYPE_CHECKING:
    from sedflux.libraries.library import SpectralLibrary
    from sedflux.training.correction import Correction
    from sedflux.training.types import Kernels, Network

__all__ = ["ExampleGenerator", "Examples", "Observer"]

#: Nearest models among which labels are smoothed, and the width of the smoothing in units of their
#: distance.
_NEIGHBOURS = 12
_SMOOTHING = 0.8
#: Stars are flagged whose surface gravity is less than this (dex) above the edge of the library:
#: lines of supergiants look like those of the most luminous models.
_GRAVITY_MARGIN = 0.4
#: Noisy copies made of each simulated star.
COPIES = 4
_CHUNK = 256


@dataclass(frozen=True)
class Examples:
    """
    A batch of examples.

    Attributes
    ----------
    normalised, ivar : `~numpy.ndarray`, shape (N, 2430)
        Input after continuum removal, float32.
    resolving_power : `~numpy.ndarray`, shape (N,)
        The value that the network gets; its error is a few percent.
    log_sed : `~numpy.ndarray`, shape (N, 575)
        The truth.
    labels : `~numpy.ndarray`, shape (N, k)
        Scaled labels, see `sedflux.libraries.labels.LabelSet.scale`.
    """

    normalised: np.ndarray
    ivar: np.ndarray
    resolving_power: np.ndarray
    log_sed: np.ndarray
    labels: np.ndarray

    def take(self, rows: Any) -> Examples:
        """The examples of some rows."""
        return Examples(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


class Observer:
    """
    Makes training examples of noiseless stars: observed, with noise, continuum removed.

    Kinds of stars derive from it, each with its `stars`, `observing`, ``label_set`` and `complete`.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        The training models alone.
    prior : {'flat', 'survey'}, optional
        Distribution of the labels.
    effects : bool, optional
        Add effects of surveys to some spectra, see `sedflux.training.effects`.
    """

    label_set: LabelSet = STARS
    #: Share of the spectra that may have ripples and effects of surveys.
    defect_share = 1.0
    #: Few examples with large errors do not widen sigma of all others.
    robust = False
    #: Share of spectra that end early, and most pixels that they lack.
    missing = (0.08, 300)
    #: Scatter of real stars about the library, if examples have it.
    scatter: Correction | None = None

    def __init__(self, library: SpectralLibrary, *, prior: str = "flat", effects: bool = False
                 ) -> None:
        self.library, self.prior, self.effects = library, prior, effects
        self.continuum = input_basis()
        self._dust = extinction_curve(input_grid())
        self._average = optical_mean(sed_grid())

    def stars(self, size: int, rng: np.random.Generator
              ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Noiseless stars: flux on the fine grid, ln(SED), labels."""
        raise NotImplementedError

    def observing(self, labels: np.ndarray, rng: np.random.Generator) -> Observing:
        """Random resolving powers, velocities and rotations of stars with labels (N, k)."""
        return draw_observing(labels[:, 0], rng)

    def complete(self, network: Network) -> dict[str, Any]:
        """
        Store what a network holds beside its weights; return what its header holds.

        Parameters
        ----------
        network : `torch.nn.Module`
            Changed in place.

        Returns
        -------
        entries : dict
            Of the header, beside those of every kind of star.
        """
        return {}

    def gravity_limits(self) -> dict[str, Any]:
        """Surface gravities beyond which stars are unlike the training, for the domain."""
        return {}

    def examples(self, size: int, rng: np.random.Generator) -> Examples:
        """
        A shuffled block of examples: four noisy copies of each simulated star.

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

    def _some(self, size, rng):
        """Which spectra may have defects: all or some; bool, or bool array (size,)."""
        return True if self.defect_share == 1.0 else rng.random(size) < self.defect_share

    def _with_effects(self, flux, power, rng):
        """Spectra with effects of surveys."""
        if self.defect_share == 1.0:
            return survey_effects(flux, power, rng)
        hit = np.flatnonzero(self._some(len(flux), rng))
        flux[hit] = survey_effects(flux[hit], power[hit], rng)
        return flux

    def _chunk(self, size, rng):
        """A chunk of examples, small enough for the processor's cache."""
        flux, log_sed, labels = self.stars(size // COPIES, rng)
        observing = self.observing(labels, rng)
        clean = observe(flux, observing)
        if self.effects:
            clean = self._with_effects(clean, observing.resolving_power, rng)
        clean = clean.astype(np.float32)
        rows = np.repeat(np.arange(size // COPIES), COPIES)
        curves = random_curves(size // COPIES, rng, self._dust, ripples=self._some(
            size // COPIES, rng)).astype(np.float32)
        sigma, good = random_noise(size, rng, missing=self.missing)
        sigma = sigma.astype(np.float32)
        noisy = clean[rows] * (1.0 + sigma * rng.standard_normal(sigma.shape, dtype=np.float32))
        curve = curves[rows] / curves[rows].mean(axis=1, keepdims=True)
        ivar = (good / (sigma * curve * clean[rows]) ** 2).astype(np.float32)
        normalised, ivar = remove_continuum(noisy * curve, ivar, self.continuum, tolerance=1e-4)
        usable = np.isfinite(normalised).all(axis=1) & np.isfinite(ivar).all(axis=1)
        if not usable.all():
            # About one spectrum in a million has no continuum: another example replaces it.
            stand_in = np.flatnonzero(usable)[: (~usable).sum()]
            normalised[~usable], ivar[~usable] = normalised[stand_in], ivar[stand_in]
            rows[~usable] = rows[stand_in]
        given = observing.resolving_power[rows] * np.exp(0.03 * rng.standard_normal(size))
        return Examples(normalised, ivar, given.astype(np.float32), log_sed[rows],
                        self.label_set.scale(labels[rows]).astype(np.float32))


class ExampleGenerator(Observer):
    """
    Makes training examples from a synthetic library.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        The training models alone.
    kernels : tuple of `~sedflux.emulator.gaussian_process.Kernel`, optional
        Fitted when not given; takes minutes.
    scatter : `~sedflux.training.correction.Correction`, optional
        Scatter of real stars about the library, drawn at random for every example.
    prior : {'flat', 'survey'}, optional
        Distribution of the labels, see `sedflux.libraries.prior`.
    effects : bool, optional
        Add effects of surveys to some spectra, see `sedflux.training.effects`.
    """

    def __init__(self, library: SpectralLibrary, *, kernels: Kernels | None = None,
                 scatter: Correction | None = None, prior: str = "flat",
                 effects: bool = False) -> None:
        super().__init__(library, prior=prior, effects=effects)
        self.scatter = scatter
        self._chances = label_chances(library.labels, prior)
        log_input = np.log(library_inputs(library, FINE_RESOLVING_POWER, fine_grid()))
        smooth = smooth_basis(log_input.shape[1], shapes=continuum_shapes(fine_grid()))
        log_input -= (log_input @ smooth) @ smooth.T
        log_sed = library_seds(library)
        self.pixels = log_input.shape[1]
        self.emulator = PrincipalEmulator(
            library.labels, np.hstack([log_input, log_sed]),
            joint_weight(self.pixels, log_sed.shape[1]), kernels=kernels)
        self._components = self.emulator.components.astype(np.float32)
        self._centre = self.emulator.centre.astype(np.float32)
        scaled = scale_labels(library.labels)
        solar = is_solar_scaled(library.labels)
        distance = ((scaled[:, None] - scaled[None]) ** 2).sum(axis=-1)
        distance[solar[:, None] != solar[None]] = np.inf
        self._neighbours = np.argsort(distance, axis=1)[:, 1 : 1 + _NEIGHBOURS]

    def complete(self, network: Network) -> dict[str, Any]:
        """The kernels of the emulator, for the header."""
        return {"kernels": kernels_to_lists(self.emulator.kernels)}

    def gravity_limits(self) -> dict[str, Any]:
        """The least surface gravity, by temperature."""
        return {"gravity": [list(map(float, GRAVITY_EDGE[0])),
                            [float(logg) + _GRAVITY_MARGIN for logg in GRAVITY_EDGE[1]]]}

    def draw_labels(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """
        Draw labels from the prior: those of models, each smoothed among its neighbours.

        A Gaussian as wide as the distances between models smooths out the lattice of
        the library.  Solar-scaled models stay solar-scaled, and labels beyond the
        library's range are reflected back into it.

        Returns
        -------
        labels : `~numpy.ndarray`, shape (size, 6)
        """
        labels = self.library.labels
        first = rng.choice(len(labels), size, p=self._chances)
        near = self._neighbours[first]
        mix = _SMOOTHING * rng.standard_normal(near.shape) / np.sqrt(near.shape[1])
        steps = labels[near] - labels[first][:, None]
        drawn = labels[first] + np.einsum("nk,nkl->nl", mix, steps)
        low, high = labels.min(axis=0), labels.max(axis=0)
        drawn = np.where(drawn < low, 2.0 * low - drawn, drawn)
        drawn = np.where(drawn > high, 2.0 * high - drawn, drawn)
        return np.clip(drawn, low, high)

    def stars(self, size: int, rng: np.random.Generator
              ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Noiseless stars: flux on the fine grid, ln(SED), labels.

        Returns
        -------
        flux : `~numpy.ndarray`, shape (size, 5000)
        log_sed : `~numpy.ndarray`, shape (size, 575)
        labels : `~numpy.ndarray`, shape (size, 6)
        """
        labels = self.draw_labels(size, rng)
        scores = self.emulator.draw_scores(labels, rng)
        joint = scores.astype(np.float32) @ self._components + self._centre
        flux, log_sed = np.exp(joint[:, : self.pixels]), joint[:, self.pixels :]
        if self.scatter is not None:
            lines, change = self.scatter.draw(labels, rng)
            margin = (self.pixels - 2 * lines.shape[1]) // 2
            flux[:, margin:-margin] *= 1.0 + np.repeat(lines, 2, axis=1)
            log_sed = log_sed + change
        log_sed = log_sed - np.log(self._average @ np.exp(log_sed).T).T
        return flux, log_sed, labels
