"""The command ``sedflux simulate``."""

from __future__ import annotations

import argparse
from typing import Any

from sedflux.cli.options import add_command, given, make_folder, say, whole_number
from sedflux.cli.response import INSTRUMENT_HELP

__all__ = ["add_parser", "run"]

#: Options that are settings of the field under the same name.
_SETTINGS = ("magnitudes", "snr", "exposure", "outliers")


def add_parser(commands: Any) -> None:
    """Add ``sedflux simulate``."""
    parser = add_command(
        commands, "simulate", run, "simulate a field of stars in slitless bands",
        epilog="Defaults are those of sedflux.simulate.settings.FieldSettings.")
    parser.add_argument("--instrument", default="lookalike", help=INSTRUMENT_HELP)
    parser.add_argument("--throughput", nargs="+", default=[], metavar="BAND=FILE",
                        help="throughputs of the instrument's bands")
    parser.add_argument("--stars", type=whole_number(1), default=80, help="number of stars")
    parser.add_argument("--seed", type=whole_number(0), default=1, help="of the random numbers")
    parser.add_argument("--outliers", type=float, help="fraction of the stars")
    parser.add_argument("--exposure", type=float, metavar="SECONDS", help="exposure time")
    parser.add_argument("--magnitudes", type=float, nargs=2, metavar=("BRIGHT", "FAINT"),
                        help="range of AB magnitudes")
    parser.add_argument("--snr", type=float, nargs=2, metavar=("LOW", "HIGH"),
                        help="range of S/N of the R = 2000 spectra")
    parser.add_argument("--library", metavar="FITS", help="models that serve as stars")
    parser.add_argument("--model", help="name or path of the model that predicts the SEDs")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER")


def run(arguments: argparse.Namespace) -> None:
    """Simulate a field and write its spectra, SEDs and truth."""
    from sedflux.libraries.library import read_library
    from sedflux.simulate.settings import FieldSettings
    from sedflux.simulate.simulator import Simulator
    from sedflux.slitless.instrument import named_bands

    settings = FieldSettings(**given(arguments, _SETTINGS))
    bands, _ = named_bands(arguments.instrument, arguments.throughput)
    library = read_library(arguments.library) if arguments.library else None
    folder = make_folder(arguments.output)
    field = Simulator(bands, settings, library=library, model=arguments.model).draw(
        arguments.stars, seed=arguments.seed)
    field.write(folder)
    say([f"wrote {len(field.seds)} stars in {', '.join(bands)} to {arguments.output}: counts/, "
         "seds/, truth.ecsv, true_seds.fits"])
