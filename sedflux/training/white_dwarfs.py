"""
Training examples of hydrogen white dwarfs, from a grid of models in TEFF and LOGG.

Two labels and a dense grid leave no room for errors of the interpolation (a few 1e-4 of the
flux): an example is the interpolated model, observed under random conditions.  Velocities are
those of the star and of its gravitational redshift, up to 400 km/s together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sedflux.libraries.labels import WHITE_DWARFS
from sedflux.libraries.library import split_models
from sedflux.network.label_grid import VELOCITY_SPREAD, LabelGrid
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import INPUT_PIXELS
from sedflux.training.augment import FINE_RESOLVING_POWER, Observing, observe
from sedflux.training.examples import Observer
from sedflux.training.white_dwarf_errors import common_errors
from sedflux.training.white_dwarf_spectra import WhiteDwarfSpectra

if TYPE_CHECKING:
    from sedflux.libraries.library import SpectralLibrary
    from sedflux.training.types import Network

__all__ = ["LEAST_COVERAGE", "LEAST_POWER", "LOGG_CLAIM", "LOGG_RANGE", "TEFF_CLAIM",
           "WhiteDwarfGenerator", "held_out"]

#: Temperatures (K) between which predictions are not flagged, surface gravities of the training,
#: and the least resolving power.
TEFF_CLAIM, LOGG_RANGE, LEAST_POWER = (7000.0, 77000.0), (7.0, 9.5), 300.0
#: Least share of the input grid that spectra cover.
LEAST_COVERAGE = 0.75
#: Estimates of LOGG beyond these are flagged: they shrink towards the middle of the training.
LOGG_CLAIM = (7.1, 9.4)
#: Temperatures (K) of the training, beyond those that are claimed.
_TEFF_RANGE = (6300.0, 80000.0)
#: Whose models and corrections the packaged model stands on.
_SOURCES = ("Koester 2010 (Mem. S.A.It. 81, 921): LTE models; Tremblay, Bergeron & Gianninas 2011 "
            "(ApJ 730, 128): other models; Tremblay et al. 2013 (A&A 559, A104): convection")
#: Limits of the velocity (km/s), of half of the spectra each.
_VELOCITIES = (120.0, 400.0)
#: Resolving powers, temperatures and gravities of the grid of models that a network holds, and S/N
#: per pixel that stands for none.
_GRID, _GRID_SNR = (6, 40, 11), 1e4
#: Change of the velocity (km/s) for the slopes of the grid.
_SLOPE_STEP = 100.0
#: Standard deviation of LOGG about its mean in half of the examples: most white dwarfs have about
#: the same mass.
_LOGG_PEAK, _LOGG_SPREAD = 8.0, 0.35


def held_out(library: SpectralLibrary) -> tuple[SpectralLibrary, SpectralLibrary]:
    """Training models, and the held-out models within the range that is claimed."""
    training, test = split_models(library)
    teff, logg = test.labels.T
    inside = ((teff > TEFF_CLAIM[0]) & (teff < TEFF_CLAIM[1])
              & (logg > LOGG_CLAIM[0]) & (logg < LOGG_CLAIM[1]))
    return training, test.take(inside)


class WhiteDwarfGenerator(Observer):
    """
    Makes training examples of white dwarfs.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        The training models alone.
    effects : bool, optional
        Add effects of surveys to some spectra, see `sedflux.training.effects`.
    other : `~sedflux.libraries.SpectralLibrary`, optional
        Other models of white dwarfs, whose difference is an error that all stars share.
    """

    label_set = WHITE_DWARFS
    # Spectra at the photon limit are the rule: the more have defects, the less a network trusts
    # wings of lines, which tell the temperature.
    defect_share = 0.4
    # Sigma is that of spectra without defects, which are the rule.
    robust = True
    # Many spectra of white dwarfs have no H alpha.
    missing = (0.2, round((1.0 - LEAST_COVERAGE) * INPUT_PIXELS))

    def __init__(self, library: SpectralLibrary, *, effects: bool = True,
                 other: SpectralLibrary | None = None) -> None:
        super().__init__(library, effects=effects)
        self.other = other
        self.spectra = WhiteDwarfSpectra(library)

    def relative(self, log_sed: np.ndarray) -> np.ndarray:
        """ln(SED) (N, 575) relative to the mean over 4000-7000 Angstrom."""
        return log_sed - np.log(self._average @ np.exp(log_sed).T).T

    def gravity_limits(self) -> dict[str, Any]:
        """Surface gravities that are so near the ends of the grid that the star may be beyond."""
        return {"logg": list(LOGG_CLAIM)}

    def complete(self, network: Network) -> dict[str, Any]:
        """
        Store models on a grid of labels in a network, for its solutions.

        Parameters
        ----------
        network : `torch.nn.Module`
            Changed in place.

        Returns
        -------
        entries : dict
            Of the header: names of the labels, the least resolving power, errors that the models
            share, and where these come from.
        """
        network.set_grid(self._label_grid(network))
        return {"labels": list(self.label_set.names), "least_resolving_power": LEAST_POWER,
                "least_coverage": LEAST_COVERAGE,
                "common": common_errors(network, self, self.other), "sources": _SOURCES,
                "caveat": "",
                **({} if self.other is None else {"other_models": self.other.sha256})}

    def _label_grid(self, network):
        """Coefficients and SEDs of models on a grid of labels."""
        powers = np.geomspace(LEAST_POWER, RESOLVING_POWER, _GRID[0])
        teff = np.geomspace(*_TEFF_RANGE, _GRID[1])
        logg = np.linspace(*LOGG_RANGE, _GRID[2])
        labels = np.stack(np.meshgrid(teff, logg, indexing="ij"), axis=-1).reshape(-1, 2)
        flux, log_sed = self.spectra(labels)
        log_sed = self.relative(log_sed)
        grid = LabelGrid(_GRID, network.config.components, network.config.sed_components)
        found = [[self._coefficients(network, flux, power, velocity)
                  for velocity in (0.0, _SLOPE_STEP, -_SLOPE_STEP)] for power in powers]
        rest, up, down = (torch.cat(parts) for parts in zip(*found, strict=True))
        grid.points, grid.slopes = rest, (up - down) * (VELOCITY_SPREAD / (2.0 * _SLOPE_STEP))
        grid.scores = network.scores_of(torch.from_numpy(log_sed.astype(np.float32)))
        grid.power, grid.teff, grid.logg = (torch.from_numpy(axis.astype(np.float32))
                                            for axis in (powers, teff, logg))
        return grid

    def _coefficients(self, network, flux, power, velocity):
        """Coefficients of noiseless spectra, (N, k)."""
        same = np.ones(len(flux))
        clean = observe(flux, Observing(power * same, velocity * same, 0.0 * same))
        ivar = (_GRID_SNR / clean) ** 2
        normalised, ivar = remove_continuum(clean, ivar, self.continuum)
        with torch.inference_mode():
            return network.projection(*(torch.from_numpy(part.astype(np.float32))
                                        for part in (normalised, ivar)))[0].clone()

    def draw_labels(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """
        Draw labels: TEFF evenly in its logarithm; LOGG evenly in half of the examples.

        In the other half LOGG is near that of most white dwarfs.

        Returns
        -------
        labels : `~numpy.ndarray`, shape (size, 2)
        """
        low, high = np.log(_TEFF_RANGE)
        teff = np.exp(rng.uniform(low, high, size))
        wide = rng.uniform(LOGG_RANGE[0], LOGG_RANGE[1], size)
        usual = np.clip(rng.normal(_LOGG_PEAK, _LOGG_SPREAD, size), *LOGG_RANGE)
        return np.column_stack([teff, np.where(rng.random(size) < 0.5, wide, usual)])

    def stars(self, size: int, rng: np.random.Generator
              ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Noiseless stars: flux on the fine grid, ln(SED), labels."""
        labels = self.draw_labels(size, rng)
        flux, log_sed = self.spectra(labels)
        return flux.astype(np.float32), self.relative(log_sed), labels

    def observing(self, labels: np.ndarray, rng: np.random.Generator) -> Observing:
        """
        Random resolving powers and velocities; white dwarfs rotate too slowly to be seen.

        Half of the spectra have a resolving power of 1500-2500, half 300-2500 (logarithmic).
        """
        size = len(labels)
        wide = np.exp(rng.uniform(np.log(LEAST_POWER), np.log(FINE_RESOLVING_POWER), size))
        power = np.where(rng.random(size) < 0.5,
                         rng.uniform(1500.0, FINE_RESOLVING_POWER, size), wide)
        reach = rng.choice(_VELOCITIES, size)
        return Observing(power, reach * rng.uniform(-1.0, 1.0, size), np.zeros(size))
