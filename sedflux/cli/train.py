"""The commands ``sedflux train pretrain``, ``finetune``, ``calibrate`` and ``odds``."""

from __future__ import annotations

import argparse
import os
from typing import Any

from sedflux.cli.options import (
    add_command,
    given,
    make_folder,
    positive_number,
    say,
    whole_number,
)
from sedflux.exceptions import InputError

__all__ = ["FOLDS", "add_parser", "run_calibrate", "run_finetune", "run_odds", "run_pretrain"]

#: Options of a training run that go to the function under the same names.
_COMMON = ("name", "steps", "seed", "workers", "learning_rate", "prior")
#: Number of folds of the real stars: `sedflux.training.stars.FOLDS`, which is slow to import.
FOLDS = 4


def add_parser(commands: Any) -> None:
    """Add ``sedflux train`` with its stages."""
    stages = commands.add_parser("train", help="train a network") \
        .add_subparsers(dest="stage", metavar="STAGE", required=True)
    _add_pretrain(stages)
    _add_finetune(stages)
    _add_calibrate(stages)
    _add_odds(stages)


def _add_pretrain(stages):
    first = add_command(stages, "pretrain", run_pretrain, "train on a synthetic library alone",
                        example="sedflux train pretrain bosz.fits -o run --name uara.mine")
    source = first.add_argument_group("input")
    source.add_argument("library", help="FITS library with MODELS, WAVELENGTH and FLUX; models "
                        "with TEFF and LOGG alone are hydrogen white dwarfs")
    source.add_argument("--other-models", metavar="FITS", help="other models of white dwarfs, "
                        "whose difference is an error that all white dwarfs share")
    model = _add_run_options(first, "training.run:train_on_library")
    model.add_argument("--convolutions", action="store_true",
                       help="add convolutions, for comparison")
    model.add_argument("--no-shrinkage", action="store_true",
                       help="leave out the soft thresholds, for comparison")
    model.add_argument("--diagonal-loss", action="store_true",
                       help="train with a diagonal covariance, for comparison")


def _add_finetune(stages):
    second = add_command(
        stages, "finetune", run_finetune, "train on a library corrected by real stars",
        example="sedflux train finetune bosz.fits miles.fits stis.fits photometry.fits "
        "--start run/uara.mine.safetensors -o stars")
    source = second.add_argument_group("input")
    source.add_argument("library", help="the library of the pretraining")
    _add_star_files(source)
    source.add_argument("--start", required=True, metavar="MODEL", help="the pretrained model")
    source.add_argument("--leave-out", type=int, choices=range(FOLDS), metavar="FOLD",
                        help=f"fold of stars to leave out, 0-{FOLDS - 1} (default: none)")
    source.add_argument("--share", type=positive_number, metavar="FRACTION", help="share of the "
                        "stars to use (default: {training.finetune:finetune.share})")
    source.add_argument("--johnson", metavar="FITS", help="Johnson colours of the stars")
    model = _add_run_options(second, "training.finetune:finetune")
    model.add_argument("--claim", nargs=2, type=positive_number, metavar=("COOL", "HOT"),
                       help="temperatures in K beyond which predictions are flagged (default: "
                       "those of the models)")
    model.add_argument("--effects", action="store_true",
                       help="add effects of surveys to some training spectra")
    model.add_argument("--cold", action="store_true", help="start from new weights")


def _add_calibrate(stages):
    third = add_command(
        stages, "calibrate", run_calibrate, "calibrate sigma on stars that were left out",
        example="sedflux train calibrate miles.fits stis.fits photometry.fits --model "
        "all.safetensors\n      --folds 0.safetensors 1.safetensors 2.safetensors 3.safetensors "
        "-o calibrated")
    source = third.add_argument_group("input")
    _add_star_files(source)
    source.add_argument("--johnson", metavar="FITS", help="Johnson colours of the stars")
    source.add_argument("--model", required=True, help="trained on all stars")
    source.add_argument("--folds", nargs=FOLDS, required=True, metavar="MODEL",
                        help="models trained without fold 0, 1, 2, 3 of the stars")
    third.add_argument_group("output").add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="for the models")


def _add_odds(stages):
    fourth = add_command(
        stages, "odds", run_odds,
        "calibrate the odds of white dwarfs, what makes one peculiar, and the weight of its grid",
        example="sedflux train odds synthetic.fits wd_koester.fits.gz "
        "--model run/uara.da1.safetensors -o calibrated")
    source = fourth.add_argument_group("input")
    source.add_argument("stars", help="FITS library of synthetic stars")
    source.add_argument("white_dwarfs", help="FITS library of models of white dwarfs")
    source.add_argument("--model", help="of white dwarfs (default: "
                        "{training.odds:calibrate_odds.model})")
    source.add_argument("--star", metavar="MODEL",
                        help="of stars (default: {training.odds:calibrate_odds.star})")
    source.add_argument("--draws", type=whole_number(1), metavar="N", help="spectra of each kind "
                        "per S/N (default: {training.odds:calibrate_odds.draws})")
    fourth.add_argument_group("output").add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="for the model")


def _add_star_files(group):
    group.add_argument("miles", help="R = 2000 spectra of stars")
    group.add_argument("stis", help="HST/STIS SEDs of stars")
    group.add_argument("photometry", help="magnitudes of stars")


def _add_run_options(parser, function):
    """Add the options of a training run, with the defaults of a function; return the last group."""
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", required=True, metavar="FOLDER",
                        help="for checkpoint, log, figure and model; an interrupted run resumes")
    output.add_argument("--name",
                        help=f"name of the model, arch.tag (default: {{{function}.name}})")
    model = parser.add_argument_group("model")
    model.add_argument("--steps", type=whole_number(1), metavar="N",
                       help=f"optimiser steps (default: {{{function}.steps}})")
    model.add_argument("--seed", type=whole_number(0),
                       help=f"of the random numbers (default: {{{function}.seed}})")
    model.add_argument("--workers", type=whole_number(0), metavar="N",
                       help="processes that make examples; 0 makes them in the main process "
                       f"(default: {{{function}.workers}})")
    model.add_argument("--learning-rate", type=positive_number, metavar="RATE",
                       help=f"at its maximum (default: {{{function}.learning_rate}})")
    model.add_argument("--prior", choices=("flat", "survey"),
                       help="distribution of the stars' labels "
                       f"(default: {{{function}.prior}})")
    return model


def _folder_beside(arguments, models):
    """Make the folder for output; refuse one that holds one of the models."""
    folder = os.path.realpath(arguments.output)
    for model in models:
        if os.path.dirname(os.path.realpath(model)) == folder:
            raise InputError(f"--output is the folder of the model {model!r}, which might be "
                             "replaced; choose another folder")
    return make_folder(arguments.output)


def run_pretrain(arguments: argparse.Namespace) -> None:
    """Train a model on a synthetic library."""
    from sedflux.training.run import train_on_library

    path = train_on_library(
        arguments.library, make_folder(arguments.output), convolutions=arguments.convolutions,
        shrink=not arguments.no_shrinkage, diagonal=arguments.diagonal_loss,
        **given(arguments, (*_COMMON, "other_models")))
    say([f"wrote {path}"])


def run_finetune(arguments: argparse.Namespace) -> None:
    """Train a model on a library corrected by real stars."""
    from sedflux.training.finetune import finetune

    if arguments.share is not None and arguments.share > 1:
        raise InputError(f"--share is {arguments.share}; 1 or less is allowed")
    path = finetune(
        arguments.library, arguments.miles, arguments.stis, arguments.photometry,
        _folder_beside(arguments, [arguments.start]), start=arguments.start,
        warm=not arguments.cold, effects=arguments.effects,
        **given(arguments, (*_COMMON, "leave_out", "share", "johnson", "claim")))
    say([f"wrote {path}"])


def run_calibrate(arguments: argparse.Namespace) -> None:
    """Calibrate sigma of a model, and of the models that were trained without a fold."""
    from sedflux.training.calibrate import calibrate_models

    say(f"wrote {path}" for path in calibrate_models(
        arguments.miles, arguments.stis, arguments.photometry,
        _folder_beside(arguments, [arguments.model, *arguments.folds]), model=arguments.model,
        folds=arguments.folds, johnson=arguments.johnson))


def run_odds(arguments: argparse.Namespace) -> None:
    """Write a model of white dwarfs with calibrated odds."""
    from sedflux.training.odds import calibrate_odds

    models = [one for one in (arguments.model, arguments.star) if one is not None]
    path = calibrate_odds(arguments.stars, arguments.white_dwarfs,
                          _folder_beside(arguments, models),
                          **given(arguments, ("model", "star", "draws")))
    say([f"wrote {path}"])
