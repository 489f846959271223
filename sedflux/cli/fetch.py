"""The command ``sedflux fetch-library``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from sedflux.cli.options import (
    add_command,
    add_overwrite,
    check_new_files,
    given,
    refuse_unused,
    say,
    whole_number,
)
from sedflux.exceptions import InputError

__all__ = ["add_parser", "run"]

#: Libraries whose models are selected by labels, and libraries whose files are selected by name.
_BOSZ, _BY_NAME = ("bosz2017", "bosz2024"), ("calspec", "ngsl")


def add_parser(commands: Any) -> None:
    """Add ``sedflux fetch-library``."""
    parser = add_command(
        commands, "fetch-library", run, "download spectra from the public archive",
        example="sedflux fetch-library bosz2024 --select TEFF=5000:6000 MH=0 --folder bosz")
    source = parser.add_argument_group("input")
    source.add_argument("name", choices=(*_BOSZ, *_BY_NAME))
    source.add_argument("files", nargs="*", help="names of CALSPEC or NGSL files")
    source.add_argument("--select", nargs="+", default=[], metavar="LABEL=LOW:HIGH",
                        help="BOSZ models, by TEFF, LOGG, MH, ALPHA, CARBON, VMICRO")
    source.add_argument("--resolving-power", type=whole_number(1), metavar="R",
                        help="of BOSZ files (default: "
                        "{libraries.archive:list_files.resolving_power})")
    source.add_argument("--base-url", metavar="URL", help="address of a mirror")
    source.add_argument("--workers", type=whole_number(1), metavar="N",
                        help="downloads at the same time (default: "
                        "{libraries.fetch:fetch_files.workers})")
    output = parser.add_argument_group("output")
    output.add_argument("--folder", required=True,
                        help="for the files; files that are already there are kept")
    output.add_argument("-o", "--output", metavar="FITS", help="write BOSZ models as one library")
    add_overwrite(output)


def run(arguments: argparse.Namespace) -> None:
    """Download the files, and write BOSZ models as one library."""
    _check_options(arguments)
    from sedflux.libraries.archive import list_files
    from sedflux.libraries.bosz import read_bosz
    from sedflux.libraries.fetch import fetch_files
    from sedflux.libraries.library import write_library

    power = given(arguments, ["resolving_power"])
    files = list_files(arguments.name, select=arguments.select, files=arguments.files, **power)
    present = fetch_files(arguments.name, files, arguments.folder,
                          progress=arguments.verbosity >= 0 and sys.stderr.isatty(),
                          **given(arguments, ["base_url", "workers"]))
    say([f"{len(present)} of {len(files)} files of {arguments.name} are in {arguments.folder}"])
    if arguments.output:
        library = read_bosz(arguments.name, present, arguments.folder, **power)
        write_library(arguments.output, library)
        say([f"wrote {arguments.output}, {len(library)} models"])


def _check_options(arguments):
    """Refuse options that do not apply to the library."""
    refuse_unused(arguments, {"overwrite": ("output",)})
    foreign = ("files",) if arguments.name in _BOSZ else ("select", "resolving_power", "output")
    for name in foreign:
        if getattr(arguments, name):
            what = "names of files" if name == "files" else "--" + name.replace("_", "-")
            others = _BY_NAME if name == "files" else _BOSZ
            raise InputError(f"{what} belong to {' and '.join(others)}; leave them out for "
                             f"{arguments.name}")
    if arguments.output:
        check_new_files([Path(arguments.output)], overwrite=arguments.overwrite)
