"""
From models to stars: training on a library that real stars have corrected.

The stars are too few to train the weights of a network.  Instead they correct the library
(`sedflux.training.star_correction`), by terms that are smooth in the labels.  The network is then
trained on as many examples of the corrected library as before, with the scatter of the stars
added to lines and SEDs.  Models far from all stars are not changed.

The correction of SEDs must be measured at the labels that the network gives.  There are three
trainings.  The first, a short one, uses labels of label fits.  The second uses the labels that the
first network gives, and starts from new weights.  The third uses the labels of the second network
and continues from its weights; labels hardly change any more.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sedflux.emulator.labelfit import LabelFit
from sedflux.emulator.principal import kernels_from_lists
from sedflux.io.download import file_hash
from sedflux.libraries.library import read_library, split_models
from sedflux.network.checkpoint import load_network
from sedflux.network.header import require_entries
from sedflux.training.examples import ExampleGenerator
from sedflux.training.johnson import johnson_weights
from sedflux.training.pretrain import pretrain
from sedflux.training.run import finish
from sedflux.training.schedule import Schedule
from sedflux.training.star_correction import correct_seds, place_stars, with_network_labels
from sedflux.training.stars import MILES_POWER, read_passbands, read_stars
from sedflux.writing import make_folder

if TYPE_CHECKING:
    from sedflux.training.types import PathLike

__all__ = ["finetune", "training_stages"]


def training_stages(steps: int, *, seed: int = 1, learning_rate: float = 1e-3) -> list[Schedule]:
    """
    Schedules of the three trainings.

    Parameters
    ----------
    steps : int
        Of the second one; the first has half as many, the third a quarter.
    seed : int, optional
    learning_rate : float, optional
        Peak of the first two; the third has 0.3 of it.

    Returns
    -------
    stages : list of `~sedflux.training.schedule.Schedule`
    """
    main = Schedule(steps=steps, seed=seed, learning_rate=learning_rate, pool=40, reuse=6)
    return [replace(main, steps=max(steps // 2, 1)), main,
            replace(main, steps=max(steps // 4, 1), seed=seed + 1,
                    learning_rate=0.3 * learning_rate, pool=16, reuse=8)]


def finetune(library: PathLike, miles: PathLike, stis: PathLike, photometry: PathLike,
             folder: PathLike, *, start: PathLike, name: str = "uara.custom_stars",
             leave_out: int | None = None, steps: int = 4000, seed: int = 1, workers: int = 1,
             learning_rate: float = 1e-3, warm: bool = True, share: float = 1.0,
             prior: str = "flat", johnson: PathLike | None = None,
             claim: tuple[float, float] | None = None, effects: bool = False) -> Path:
    """
    Fine-tune a pretrained model on real stars and write it, with its log.

    Parameters
    ----------
    library, miles, stis, photometry : path-like
        FITS libraries: models, R = 2000 spectra, STIS SEDs, magnitudes.
    folder : path-like
        Gets checkpoint, ``log.csv``, ``training.json``, ``training.png`` and the model, and
        the folders ``first`` and ``second`` of the earlier trainings; a run that was cut off is
        resumed.
    start : path-like
        The pretrained model.
    name : str, optional
        ``arch.tag``.
    leave_out : int, optional
        Fold of stars that is left out, see `sedflux.training.stars.fold_of`.
    steps, seed, learning_rate : optional
        See `training_stages`.
    workers : int, optional
        Processes that make examples; 0 makes them in this one.
    warm : bool, optional
        Start the first two trainings from the pretrained weights.  If False, they start from new
        weights, with templates of corrected models.
    share : float, optional
        Share of the stars that is used, to measure how the errors depend on their number.
    prior : {'flat', 'survey'}, optional
        Distribution of the labels.
    johnson : path-like, optional
        Johnson colours of the stars, as further truths.
    claim : tuple of float, optional
        Temperatures (K) between which predictions are not flagged: where stars left out confirm
        the errors.
    effects : bool, optional
        Add effects of surveys to some spectra of the second and third training, see
        `sedflux.training.effects`.

    Returns
    -------
    path : `~pathlib.Path`
        Of the model.
    """
    folder = make_folder(folder)
    torch.set_num_threads(1)
    network, metadata = load_network(start)
    require_entries(metadata, ("name", "kernels"), start)
    models, _ = split_models(read_library(library))
    stars = read_stars(miles, stis, photometry, johnson)
    if leave_out is not None:
        stars = stars.take(stars.fold != leave_out)
    stars = stars.take(np.random.default_rng(seed).random(len(stars)) <= share)
    trainer = _Trainer(models, kernels_from_lists(metadata["kernels"]), stars,
                       read_passbands(photometry),
                       None if johnson is None else johnson_weights(johnson), prior, workers)
    start_network = network if warm else None
    first, second, third = stages = training_stages(steps, seed=seed, learning_rate=learning_rate)
    network, _ = trainer.train(first, folder / "first", start=start_network)
    network, _ = trainer.train(second, folder / "second", start=start_network, labels_of=network,
                               effects=effects)
    network, generator = trainer.train(third, folder, start=network, labels_of=network,
                                    effects=effects)
    left_out = "none" if leave_out is None else f"stars of fold {leave_out}"
    origin = {"start": metadata["name"] if warm else "none", "stars": len(stars),
              "left_out": left_out, "effects": effects,
              "stages": [asdict(stage) for stage in stages],
              "files": {Path(file).name: file_hash(file)
                        for file in (miles, stis, photometry, johnson) if file is not None}}
    return finish(network, generator, third, folder, name=name, origin=origin, claim=claim)


class _Trainer:
    """Trainings on one library and one set of stars, with labels from lines or from a network."""

    def __init__(self, library, kernels, stars, passbands, johnson, prior, workers):
        self._library, self._kernels, self._prior = library, kernels, prior
        self._passbands, self._johnson, self._workers = passbands, johnson, workers
        self._fitter = LabelFit(library, kernels, resolving_power=MILES_POWER)
        self._placed = place_stars(library, kernels, self._fitter, stars)

    def train(self, schedule, folder, *, start=None, labels_of=None, effects=False):
        """Train once; return the network and the generator of its examples."""
        placed = self._placed
        if labels_of is not None:
            placed = with_network_labels(placed, labels_of, self._library)
        correction = correct_seds(self._fitter, placed, self._passbands, self._johnson)
        generator = ExampleGenerator(correction.correct(self._library), kernels=self._kernels,
                                  scatter=correction, prior=self._prior, effects=effects)
        network, _ = pretrain(generator, schedule, folder, start=start, workers=self._workers)
        return network, generator
