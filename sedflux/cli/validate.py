"""The command ``sedflux validate``."""

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

__all__ = ["add_parser", "run"]

#: Options that choose what is measured.
_STUDIES = ("synthetic", "stars", "foreign", "model_count", "continuum", "response")


def add_parser(commands: Any) -> None:
    """Add ``sedflux validate``."""
    parser = add_command(commands, "validate", run, "measure the accuracy")
    parser.add_argument("--synthetic", metavar="FITS", help="synthetic library")
    parser.add_argument("--stars", nargs=3, metavar=("STIS", "MILES", "PHOTOMETRY"),
                        help="real stars")
    parser.add_argument("--folds", nargs=4, metavar="MODEL", default=[],
                        help="models trained without fold 0, 1, 2, 3 of the stars")
    parser.add_argument("--johnson", metavar="FITS",
                        help="with --stars: Johnson colours of the stars")
    parser.add_argument("--compare", metavar="MODEL", help="another model on the same stars")
    parser.add_argument("--snr", type=positive_number, help="add noise to the stars' spectra")
    parser.add_argument("--foreign", nargs=2, metavar=("STIS", "MILES"),
                        help="objects of other kinds: how many are flagged")
    parser.add_argument("--star-count", action="store_true",
                        help="errors against the number of stars; needs --synthetic and --stars")
    parser.add_argument("--model-count", metavar="FITS",
                        help="errors against the number of models of a library")
    parser.add_argument("--continuum", metavar="FITS",
                        help="compare forms of the continuum removal on a library")
    parser.add_argument("--response", metavar="INSTRUMENT",
                        help="responses against their truth: simulated fields, or real stars with "
                        "--stars; with --synthetic the fields hold held-out models")
    parser.add_argument("--throughput", nargs="+", default=[], metavar="BAND=FILE",
                        help="throughputs of the instrument")
    parser.add_argument("--closure", action="store_true",
                        help="with --response: one star without noise")
    parser.add_argument("--field-size", type=whole_number(1), help="stars of a simulated field")
    parser.add_argument("--model", help="name or path of a model")
    parser.add_argument("--realisations", type=whole_number(1),
                        help="of the noise of each model, or fields")
    parser.add_argument("--no-baselines", action="store_true",
                        help="with --synthetic: score the network alone")
    parser.add_argument("-o", "--output", default="validation", metavar="FOLDER")


def run(arguments: argparse.Namespace) -> None:
    """Run the studies that are asked for; print the tables that they write."""
    if not any(getattr(arguments, name) for name in _STUDIES):
        raise InputError("nothing to validate on: give --synthetic, --stars, --foreign, "
                         "--model-count, --continuum or --response")
    if arguments.star_count and not (arguments.synthetic and arguments.stars):
        raise InputError("--star-count needs --synthetic and --stars")
    if arguments.johnson and not arguments.stars:
        raise InputError("--johnson needs --stars STIS MILES PHOTOMETRY")
    if arguments.closure and not arguments.response:
        raise InputError("--closure needs --response INSTRUMENT")
    folder = make_folder(arguments.output)
    studies = _response if arguments.response else _star_count if arguments.star_count else _models
    for tables in studies(arguments, folder):
        for path, table in tables.items():
            say(table.pformat(max_lines=-1, max_width=-1))
            say([f"wrote {path}"])


def _left_out(arguments):
    """Models that predict stars: one for every fold, or one for all."""
    return arguments.folds or ([arguments.model] if arguments.model else [])


def _star_count(arguments, folder):
    from sedflux.validation import run as studies

    yield studies.star_count(arguments.synthetic, *arguments.stars, folder, model=arguments.model)


def _models(arguments, folder):
    """Tables of the accuracy of SEDs."""
    from sedflux.validation import run as studies

    if arguments.model_count:
        yield studies.model_count(arguments.model_count, folder, model=arguments.model)
    if arguments.continuum:
        yield studies.continuum(arguments.continuum, folder)
    if arguments.synthetic:
        yield studies.synthetic(arguments.synthetic, folder, model=arguments.model,
                                baselines=not arguments.no_baselines,
                                **given(arguments, ["realisations"]))
    if arguments.stars:
        yield studies.stars(*arguments.stars, folder, models=_left_out(arguments),
                            compare=arguments.compare, snr=arguments.snr,
                            johnson=arguments.johnson)
    if arguments.foreign:
        yield studies.foreign(*arguments.foreign, folder, model=arguments.model)


def _response(arguments, folder):
    """Tables of the accuracy of responses."""
    from sedflux.validation import response_run as studies

    bands = studies.bands_of(arguments.response, arguments.throughput)
    if arguments.closure:
        yield studies.closures(bands, folder, library=arguments.synthetic, model=arguments.model)
    elif arguments.stars:
        yield studies.real_stars(*arguments.stars, bands, folder, models=_left_out(arguments),
                                 compare=arguments.compare)
    else:
        size = {} if arguments.field_size is None else {"size": arguments.field_size}
        yield studies.fields(bands, folder, library=arguments.synthetic, model=arguments.model,
                             **size, **given(arguments, ["realisations"]))
