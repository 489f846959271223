"""The command ``sedflux validate``."""

from __future__ import annotations

import argparse
from typing import Any

from sedflux.cli.options import (
    add_command,
    add_model,
    files_by_band,
    given,
    make_folder,
    positive_number,
    refuse_unused,
    say,
    whole_number,
)
from sedflux.cli.train import FOLDS
from sedflux.exceptions import InputError

__all__ = ["add_parser", "run"]

#: Options that choose a study.
_STUDIES = ("synthetic", "stars", "foreign", "effects", "model_count", "continuum",
            "white_dwarfs", "kinds", "response")
#: Options that have no effect without another one.
_PARTNERS = {"folds": ("stars", "effects"), "compare": ("stars",), "snr": ("stars", "effects"),
             "johnson": ("stars",), "conditioned": ("stars",),
             "star_count": ("stars",), "throughput": ("response",), "closure": ("response",),
             "field_size": ("response",), "white_dwarf_models": ("response",),
             "realisations": ("synthetic", "white_dwarfs", "response"),
             "no_baselines": ("synthetic",)}
#: Options that cannot be combined with --response.
_NOT_WITH_RESPONSE = ("foreign", "effects", "model_count", "continuum", "white_dwarfs", "kinds",
                      "star_count", "snr", "conditioned", "no_baselines")


def add_parser(commands: Any) -> None:
    """Add ``sedflux validate``."""
    parser = add_command(
        commands, "validate", run, "measure the accuracy",
        example="sedflux validate --stars stis_sed.fits miles.fits ngsl_photometry.fits -o tables")
    _add_seds(parser.add_argument_group("accuracy of SEDs"))
    _add_responses(parser.add_argument_group("accuracy of responses"))
    model = parser.add_argument_group("model")
    add_model(model)
    model.add_argument("--folds", nargs=FOLDS, metavar="MODEL", default=[],
                       help="models trained without fold 0, 1, 2, 3 of the stars")
    model.add_argument("--compare", metavar="MODEL", help="another model on the same stars")
    parser.add_argument_group("output").add_argument(
        "-o", "--output", default="validation", metavar="FOLDER",
        help="for tables and figures; those of an earlier run are replaced (default: %(default)s)")


def _add_seds(group):
    group.add_argument("--synthetic", metavar="FITS", help="synthetic library")
    group.add_argument("--realisations", type=whole_number(1), metavar="N",
                       help="of the noise of each model (default: "
                       "{validation.run:synthetic.realisations}), or fields (default: "
                       "{validation.response_run:fields.realisations})")
    group.add_argument("--no-baselines", action="store_true",
                       help="with --synthetic: score only the network")
    group.add_argument("--stars", nargs=3, metavar=("STIS", "MILES", "PHOTOMETRY"),
                       help="real stars")
    group.add_argument("--johnson", metavar="FITS",
                       help="with --stars: Johnson colours of the stars")
    group.add_argument("--conditioned", action="store_true", help="with --stars: SEDs from lines "
                       "and magnitudes")
    group.add_argument("--snr", type=positive_number,
                       help="S/N per pixel to which the spectra of stars are degraded")
    group.add_argument("--foreign", nargs=2, metavar=("STIS", "MILES"),
                       help="objects of other kinds: how many are flagged")
    group.add_argument("--effects", metavar="MILES",
                       help="shifts of SEDs by effects of surveys on spectra")
    group.add_argument("--white-dwarfs", nargs=4, metavar=("MODELS", "STIS", "SPECTRA", "BANDS"),
                       help="models of white dwarfs, and real ones: STIS SEDs, ground-based "
                       "spectra, and passbands of their HST magnitudes")
    group.add_argument("--kinds", nargs=5, metavar=("STIS", "MILES", "SPECTRA", "STARS",
                                                    "WHITE_DWARFS"),
                       help="choice between models of stars and of white dwarfs: STIS SEDs, "
                       "MILES, ground-based spectra of white dwarfs, and models of both")
    group.add_argument("--star-count", action="store_true",
                       help="errors against the number of stars; needs --synthetic and --stars")
    group.add_argument("--model-count", metavar="FITS",
                       help="errors against the number of models of a library")
    group.add_argument("--continuum", metavar="FITS",
                       help="compare methods of continuum removal on a library")


def _add_responses(group):
    group.add_argument("--response", metavar="INSTRUMENT",
                       help="responses against their truth, in simulated fields, or for real stars "
                       "with --stars; with --synthetic the stars of the fields are held-out models")
    group.add_argument("--throughput", nargs="+", default=[], metavar="BAND=FILE",
                       help="throughputs of the instrument")
    group.add_argument("--closure", action="store_true",
                       help="with --response: one star without noise")
    group.add_argument("--white-dwarf-models", metavar="FITS",
                       help="with --response and --synthetic: responses from F stars, from white "
                       "dwarfs of these models, and from both")
    group.add_argument("--field-size", type=whole_number(1), metavar="N", help="stars of a "
                       "simulated field (default: {validation.response_run:fields.size})")


def run(arguments: argparse.Namespace) -> None:
    """Run the chosen studies, and print the tables that they write."""
    _check_options(arguments)
    folder = make_folder(arguments.output)
    studies = _response if arguments.response else _star_count if arguments.star_count else _models
    for tables in studies(arguments, folder):
        for path, table in tables.items():
            say(table.pformat(max_lines=-1, max_width=-1))
            say([f"wrote {path}"])


def _check_options(arguments):
    """Refuse options that contradict each other or have no effect."""
    if not any(getattr(arguments, name) for name in _STUDIES):
        raise InputError("nothing to validate on: give --synthetic, --stars, --foreign, "
                         "--effects, --model-count, --continuum, --white-dwarfs, --kinds or "
                         "--response")
    refuse_unused(arguments, _PARTNERS)
    if arguments.star_count and not arguments.synthetic:
        raise InputError("--star-count needs --synthetic and --stars")
    if arguments.white_dwarf_models and not arguments.synthetic:
        raise InputError("--white-dwarf-models needs --response and --synthetic, whose models are "
                         "the stars of the fields")
    if arguments.response:
        for name in _NOT_WITH_RESPONSE:
            if getattr(arguments, name):
                raise InputError(f"--{name.replace('_', '-')} is no study of responses; leave it "
                                 "or --response out")


def _left_out(arguments):
    """Models that predict stars: one per fold, or one for all."""
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
                            johnson=arguments.johnson, conditioned=arguments.conditioned)
    if arguments.foreign:
        yield studies.foreign(*arguments.foreign, folder, model=arguments.model)
    if arguments.white_dwarfs:
        from sedflux.validation.white_dwarf_run import white_dwarfs

        yield white_dwarfs(*arguments.white_dwarfs, folder, model=arguments.model,
                           **given(arguments, ["realisations"]))
    if arguments.kinds:
        yield studies.kinds(*arguments.kinds, folder)
    if arguments.effects:
        yield studies.effects(arguments.effects, folder, models=_left_out(arguments),
                              **given(arguments, ["snr"]))


def _response(arguments, folder):
    """Tables of the accuracy of responses."""
    from sedflux.validation import response_run as studies

    bands = studies.bands_of(arguments.response,
                             files_by_band(arguments.throughput, "--throughput"))
    if arguments.closure:
        yield studies.closures(bands, folder, library=arguments.synthetic, model=arguments.model)
    elif arguments.white_dwarf_models:
        yield studies.kinds(bands, folder, library=arguments.synthetic,
                            white_dwarfs=arguments.white_dwarf_models, model=arguments.model,
                            **given(arguments, ["realisations"]))
    elif arguments.stars:
        yield studies.real_stars(*arguments.stars, bands, folder, models=_left_out(arguments),
                                 compare=arguments.compare)
    else:
        size = {} if arguments.field_size is None else {"size": arguments.field_size}
        yield studies.fields(bands, folder, library=arguments.synthetic, model=arguments.model,
                             **size, **given(arguments, ["realisations"]))
