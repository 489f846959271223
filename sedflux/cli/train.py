"""The commands ``sedflux train pretrain``, ``finetune`` and ``calibrate``."""

from __future__ import annotations

import argparse
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

__all__ = ["add_parser", "run_calibrate", "run_finetune", "run_pretrain"]

#: Options of a training run that are passed on if the user gives them.
_COMMON = ("name", "steps", "seed", "workers", "learning_rate", "prior")
#: Folds of the real stars, `sedflux.training.stars.FOLDS`.
_FOLDS = 4


def add_parser(commands: Any) -> None:
    """Add ``sedflux train`` with its three stages."""
    stages = commands.add_parser("train", help="train a network") \
        .add_subparsers(dest="stage", metavar="STAGE", required=True)
    first = add_command(stages, "pretrain", run_pretrain, "train on a synthetic library alone")
    first.add_argument("library", help="FITS library with MODELS, WAVELENGTH and FLUX")
    _add_run_options(first)
    first.add_argument("--convolutions", action="store_true",
                       help="add convolutions, for comparison")
    first.add_argument("--no-shrinkage", action="store_true",
                       help="leave out the soft thresholds, for comparison")
    first.add_argument("--diagonal-loss", action="store_true",
                       help="train with a diagonal covariance, for comparison")
    second = add_command(stages, "finetune", run_finetune,
                         "train on a library that real stars correct")
    second.add_argument("library", help="the library of the pretraining")
    _add_star_files(second)
    _add_run_options(second)
    second.add_argument("--start", required=True, metavar="MODEL", help="the pretrained model")
    second.add_argument("--leave-out", type=int, choices=range(_FOLDS), metavar="FOLD",
                        help=f"fold of stars to leave out, 0-{_FOLDS - 1}")
    second.add_argument("--johnson", metavar="FITS", help="Johnson colours of the stars")
    second.add_argument("--claim", nargs=2, type=positive_number, metavar=("COOL", "HOT"),
                        help="temperatures in K beyond which predictions are flagged")
    second.add_argument("--labels-of", metavar="MODEL",
                        help="model fine-tuned on the same stars, whose labels of them are used")
    second.add_argument("--effects", action="store_true",
                        help="spoil some training spectra as surveys do")
    second.add_argument("--share", type=positive_number, help="share of the stars to use")
    second.add_argument("--cold", action="store_true", help="start from new weights")
    third = add_command(stages, "calibrate", run_calibrate,
                        "calibrate sigma on stars that were left out")
    _add_star_files(third)
    third.add_argument("--model", required=True, help="trained on all stars")
    third.add_argument("--johnson", metavar="FITS", help="Johnson colours of the stars")
    third.add_argument("--folds", nargs=_FOLDS, required=True, metavar="MODEL",
                       help="models trained without fold 0, 1, 2, 3 of the stars")
    third.add_argument("-o", "--output", required=True, metavar="FOLDER", help="for the models")


def _add_star_files(parser):
    parser.add_argument("miles", help="R = 2000 spectra of stars")
    parser.add_argument("stis", help="HST/STIS SEDs of stars")
    parser.add_argument("photometry", help="magnitudes of stars")


def _add_run_options(parser):
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER",
                        help="for checkpoint, log, figure and model; an interrupted run resumes")
    parser.add_argument("--name", help="name of the model, arch.tag")
    parser.add_argument("--steps", type=whole_number(1), help="optimiser steps")
    parser.add_argument("--seed", type=whole_number(0), help="of the random numbers")
    parser.add_argument("--workers", type=whole_number(0),
                        help="processes that make examples; 0 makes them in this one")
    parser.add_argument("--learning-rate", type=positive_number, help="at its maximum")
    parser.add_argument("--prior", choices=("flat", "survey"),
                        help="distribution of the stars' labels")


def run_pretrain(arguments: argparse.Namespace) -> None:
    """Train a model on a synthetic library."""
    from sedflux.training.run import train_on_library

    path = train_on_library(
        arguments.library, make_folder(arguments.output), convolutions=arguments.convolutions,
        shrink=not arguments.no_shrinkage, diagonal=arguments.diagonal_loss,
        **given(arguments, _COMMON))
    say([f"wrote {path}"])


def run_finetune(arguments: argparse.Namespace) -> None:
    """Train a model on a library that real stars correct."""
    from sedflux.training.finetune import finetune

    if arguments.share is not None and arguments.share > 1:
        raise InputError(f"--share is {arguments.share}; 1 or less is allowed")
    path = finetune(
        arguments.library, arguments.miles, arguments.stis, arguments.photometry,
        make_folder(arguments.output), start=arguments.start, warm=not arguments.cold,
        effects=arguments.effects,
        **given(arguments, (*_COMMON, "leave_out", "share", "johnson", "claim",
                          "labels_of")))
    say([f"wrote {path}"])


def run_calibrate(arguments: argparse.Namespace) -> None:
    """Calibrate the sigma of a model and of those trained without a fold."""
    from sedflux.training.calibrate import calibrate_models

    say(f"wrote {path}" for path in calibrate_models(
        arguments.miles, arguments.stis, arguments.photometry, make_folder(arguments.output),
        model=arguments.model, folds=arguments.folds, johnson=arguments.johnson))
