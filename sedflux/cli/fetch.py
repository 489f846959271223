"""The command ``sedflux fetch-library``."""

from __future__ import annotations

import argparse
from typing import Any

from sedflux.cli.options import add_command, given, say, whole_number
from sedflux.exceptions import InputError

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add ``sedflux fetch-library``."""
    parser = add_command(commands, "fetch-library", run,
                         "download spectra from the public archive")
    parser.add_argument("name", help="bosz2017, bosz2024, calspec or ngsl")
    parser.add_argument("files", nargs="*", help="names of CALSPEC or NGSL files")
    parser.add_argument("--select", nargs="+", default=[], metavar="LABEL=LOW:HIGH",
                        help="BOSZ models, by TEFF, LOGG, MH, ALPHA, CARBON, VMICRO")
    parser.add_argument("--resolving-power", type=whole_number(1), help="of BOSZ files")
    parser.add_argument("--folder", required=True,
                        help="the files go here; those already there are kept")
    parser.add_argument("-o", "--output", metavar="FITS", help="write BOSZ models as one library")
    parser.add_argument("--workers", type=whole_number(1), help="downloads at the same time")
    parser.add_argument("--base-url", help="address of a mirror")


def run(arguments: argparse.Namespace) -> None:
    """Download the files, and write BOSZ models as one library."""
    from sedflux.libraries.archive import list_files
    from sedflux.libraries.bosz import read_bosz
    from sedflux.libraries.fetch import fetch_files
    from sedflux.libraries.library import write_library

    if arguments.output and not arguments.name.startswith("bosz"):
        raise InputError("--output writes BOSZ models alone; leave it out for other libraries")
    power = given(arguments, ["resolving_power"])
    files = list_files(arguments.name, select=arguments.select, files=arguments.files, **power)
    present = fetch_files(arguments.name, files, arguments.folder, progress=True,
                          **given(arguments, ["base_url", "workers"]))
    say([f"{len(present)} of {len(files)} files of {arguments.name} are in {arguments.folder}"])
    if arguments.output:
        library = read_bosz(arguments.name, present, arguments.folder, **power)
        write_library(arguments.output, library)
        say([f"wrote {arguments.output}, {len(library)} models"])
