"""One training run from a library to a model, for ``sedflux train``."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sedflux.emulator.principal import kernels_from_lists, kernels_to_lists
from sedflux.exceptions import InputError
from sedflux.libraries.labels import WHITE_DWARFS
from sedflux.libraries.library import read_library, split_models
from sedflux.network.config import Config
from sedflux.training.covariance_stage import fit_covariance
from sedflux.training.examples import ExampleGenerator, Observer
from sedflux.training.export import export_model
from sedflux.training.pretrain import pretrain
from sedflux.training.schedule import Schedule
from sedflux.training.white_dwarfs import TEFF_CLAIM, WhiteDwarfGenerator
from sedflux.writing import make_folder, write_whole

if TYPE_CHECKING:
    from sedflux.training.types import Network, PathLike

__all__ = ["finish", "train_on_library"]

#: Channels of the convolutions, for networks that have them.
CONVOLUTIONS = (16, 32, 48)
#: Sizes of networks for white dwarfs, whose spectra have two labels.
_WHITE_DWARF_SIZES: dict[str, Any] = {"components": 56, "sed_components": 24, "width": 192,
                                      "blocks": 3, "rank": 10, "labels": len(WHITE_DWARFS.names)}
#: Their examples: a family of two labels needs fewer.
_WHITE_DWARF_SCHEDULE: dict[str, Any] = {"pool": 16, "reuse": 8}


def train_on_library(library: PathLike, folder: PathLike, *, name: str = "uara.custom",
                     steps: int = 24000, seed: int = 1, workers: int = 1,
                     learning_rate: float = 1.5e-3, convolutions: bool = False,
                     shrink: bool = True, diagonal: bool = False, prior: str = "flat",
                     other_models: PathLike | None = None) -> Path:
    """
    Train a model on a synthetic library and write it, with its log.

    Parameters
    ----------
    library : path-like
        FITS library; its models whose INDEX ends in 3 are kept for tests.  If they have the labels
        TEFF and LOGG alone, they are hydrogen white dwarfs.
    folder : path-like
        Gets checkpoint, ``log.csv``, ``training.json``, ``training.png`` and the model;
        a run that was cut off is resumed.
    name : str, optional
        ``arch.tag``.
    steps, seed, workers, learning_rate : optional
        See `~sedflux.training.schedule.Schedule`.
    convolutions, shrink : bool, optional
        Add convolutions; use soft thresholds.  The defaults are those of the packaged models.
    diagonal : bool, optional
        Train with `~sedflux.training.loss.diagonal_loss`.
    prior : {'flat', 'survey'}, optional
        Distribution of the labels, see `sedflux.libraries.prior`.
    other_models : path-like, optional
        FITS library of other models of white dwarfs, whose difference is an error that all white
        dwarfs share.

    Returns
    -------
    path : `~pathlib.Path`
        Of the model.
    """
    folder = make_folder(folder)
    torch.set_num_threads(1)
    generator = _example_generator(library, folder, prior, other_models)
    white_dwarfs = generator.label_set is WHITE_DWARFS
    schedule = Schedule(steps=steps, seed=seed, learning_rate=learning_rate, diagonal=diagonal,
                        **(_WHITE_DWARF_SCHEDULE if white_dwarfs else {}))
    config = Config(channels=CONVOLUTIONS if convolutions else (), shrink=shrink,
                    **(_WHITE_DWARF_SIZES if white_dwarfs else {}))
    network, _ = pretrain(generator, schedule, folder, config=config, workers=workers)
    return finish(network, generator, schedule, folder, name=name, origin={"start": "none"},
                  claim=TEFF_CLAIM if white_dwarfs else None)


def finish(network: Network, generator: Observer, schedule: Schedule, folder: Path, *,
           name: str, origin: Mapping[str, Any], claim: tuple[float, float] | None = None) -> Path:
    """
    Train the covariance of a network, and write its model, log and figure.

    Parameters
    ----------
    network : `torch.nn.Module`
    generator : `~sedflux.training.examples.Observer`
    schedule : `~sedflux.training.schedule.Schedule`
    folder : `~pathlib.Path`
        Of the run; gets ``training.json``, ``training.png`` and the model.
    name : str
        ``arch.tag``.
    origin : dict
        What the run started from, for the header.
    claim : tuple of float, optional
        Temperatures (K) between which predictions are not flagged.

    Returns
    -------
    path : `~pathlib.Path`
        Of the model.
    """
    from sedflux.plotting import plot_training

    losses = fit_covariance(network, generator, seed=schedule.seed, examples=schedule.sized(40960),
                             steps=min(1800, 3 * schedule.steps))
    with open(folder / "log.csv", newline="") as stream:
        history = [{key: float(value) for key, value in row.items()}
                   for row in csv.DictReader(stream)]
    training = {"schedule": asdict(schedule), **origin, "last": history[-1],
                "covariance": losses}
    text = json.dumps(training | {"config": network.config.to_dict(),
                                  "data": generator.library.sha256}, indent=2)
    write_whole(folder / "training.json", lambda temporary: temporary.write_text(text))
    path = folder / f"{name}.safetensors"
    export_model(path, network, generator, name=name, training=training, schedule=schedule,
                 claim=claim)
    plot_training(folder / "training.png", history)
    return path


def _stored_kernels(path):
    """Kernels that an earlier start of this run has fitted."""
    try:
        return kernels_from_lists(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise InputError(f"kernels {str(path)!r} are damaged ({error}); delete the file to have "
                         "them fitted again") from error


def _example_generator(library: PathLike, folder: Path, prior: str,
                       other_models: PathLike | None = None) -> Observer:
    """The generator of examples, with the kernels of an earlier start if there are any."""
    training, _ = split_models(read_library(library))
    if training.label_set is WHITE_DWARFS:
        if prior != "flat":
            raise InputError(f"prior {prior!r} is one of ordinary stars; the models of white "
                             "dwarfs have 'flat' alone")
        other = None if other_models is None else read_library(other_models)
        return WhiteDwarfGenerator(training, other=other)
    if other_models is not None:
        raise InputError("other_models are for libraries of white dwarfs; this one has stars")
    stored = folder / "kernels.json"
    kernels = _stored_kernels(stored) if stored.exists() else None
    generator = ExampleGenerator(training, kernels=kernels, prior=prior)
    text = json.dumps(kernels_to_lists(generator.emulator.kernels))
    write_whole(stored, lambda temporary: temporary.write_text(text))
    return generator
