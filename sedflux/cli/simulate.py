"""The command ``sedflux simulate``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sedflux.cli.options import (
    add_command,
    add_model,
    add_overwrite,
    check_new_files,
    files_by_band,
    given,
    make_folder,
    number,
    positive_number,
    refuse_unused,
    say,
    whole_number,
)
from sedflux.cli.response import INSTRUMENT_HELP
from sedflux.exceptions import InputError

__all__ = ["add_parser", "run"]

#: Options with the names of settings of the field.
_SETTINGS = ("magnitudes", "snr", "exposure", "outliers")


def add_parser(commands: Any) -> None:
    """Add ``sedflux simulate``."""
    parser = add_command(
        commands, "simulate", run, "simulate a field of stars in slitless bands",
        example="sedflux simulate --stars 80 --magnitudes 14 17 -o field")
    band = parser.add_argument_group("instrument")
    band.add_argument("--instrument", default="lookalike", metavar="NAME",
                      help=INSTRUMENT_HELP + " (default: %(default)s)")
    band.add_argument("--throughput", nargs="+", default=[], metavar="BAND=FILE",
                      help="throughputs of the instrument's bands")
    band.add_argument("--exposure", type=positive_number, metavar="SECONDS",
                      help="exposure time (default: {simulate.settings:FieldSettings.exposure})")
    stars = parser.add_argument_group("stars")
    stars.add_argument("--stars", type=whole_number(1), default=80, metavar="N",
                       help="number of stars (default: %(default)s)")
    stars.add_argument("--seed", type=whole_number(0), default=1,
                       help="of the random numbers (default: %(default)s)")
    stars.add_argument("--outliers", type=number, metavar="FRACTION", help="fraction of the stars "
                       "(default: {simulate.settings:FieldSettings.outliers})")
    stars.add_argument("--magnitudes", type=number, nargs=2, metavar=("BRIGHT", "FAINT"),
                       help="range of AB magnitudes (default: "
                       "{simulate.settings:FieldSettings.magnitudes})")
    stars.add_argument("--snr", type=number, nargs=2, metavar=("LOW", "HIGH"),
                       help="range of S/N of the R = 2000 spectra (default: "
                       "{simulate.settings:FieldSettings.snr})")
    stars.add_argument("--library", metavar="FITS", help="models that are used as stars (default: "
                       "the reference stars of the model)")
    stars.add_argument("--white-dwarfs", type=whole_number(0), metavar="N",
                       help="number of hydrogen white dwarfs beside the stars (default: none)")
    stars.add_argument("--white-dwarf-model", metavar="MODEL", help="name or path of the model "
                       "that predicts them (default: {predict.models:WHITE_DWARF_MODEL})")
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", required=True, metavar="FOLDER")
    add_overwrite(output)
    add_model(parser.add_argument_group("model"))


def run(arguments: argparse.Namespace) -> None:
    """Simulate a field and write its spectra, SEDs and truth."""
    from sedflux.libraries.library import read_library
    from sedflux.simulate.settings import FieldSettings
    from sedflux.simulate.simulator import Simulator
    from sedflux.simulate.white_dwarfs import WhiteDwarfs
    from sedflux.slitless.instrument_files import bands_with_throughput

    refuse_unused(arguments, {"white_dwarf_model": ("white_dwarfs",)})
    settings = FieldSettings(**given(arguments, _SETTINGS))
    throughputs = files_by_band(arguments.throughput, "--throughput")
    bands = bands_with_throughput(arguments.instrument, throughputs)
    library = read_library(arguments.library) if arguments.library else None
    dwarfs = WhiteDwarfs(number=arguments.white_dwarfs or 0,
                         **({} if arguments.white_dwarf_model is None else
                            {"model": arguments.white_dwarf_model}))
    folder = _check_folder(arguments, bands, throughputs.values())
    field = Simulator(bands, settings, library=library, model=arguments.model,
                      white_dwarfs=dwarfs if arguments.white_dwarfs else None).draw(
        arguments.stars, seed=arguments.seed)
    field.write(folder)
    say([f"wrote {len(field.seds)} stars in {', '.join(bands)} to {arguments.output}: counts/, "
         "seds/, truth.ecsv, true_seds.fits"])


def _check_folder(arguments, bands, throughputs):
    """Make the folder of the field; refuse one in which an input or an old field is replaced."""
    folder = Path(arguments.output)
    inputs = [*throughputs, *(path for path in (arguments.library, arguments.model) if path)]
    names = ["truth.ecsv", "true_seds.fits", *(f"throughput_{name}.ecsv" for name in bands)]
    check_new_files([folder / name for name in names], overwrite=arguments.overwrite,
                    inputs=inputs)
    for part in ("seds", *(f"counts/{name}" for name in bands)):
        if not arguments.overwrite and (folder / part).is_dir() and any((folder / part).iterdir()):
            raise InputError(f"folder {str(folder / part)!r} is not empty; choose another "
                             "--output, or add --overwrite")
    return make_folder(folder)
