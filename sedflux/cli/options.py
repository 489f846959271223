"""What the commands share: the parser, types of their options, output folders."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from sedflux.exceptions import InputError

__all__ = ["Parser", "add_command", "check_new_file", "given", "make_folder", "positive_number",
           "say", "whole_number"]


class Parser(argparse.ArgumentParser):
    """An argument parser that reports errors of usage in one line, with exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit."""
        self.exit(2, f"sedflux: error: {message}; see {self.prog} --help\n")


def add_command(commands: Any, name: str, run: Callable[[argparse.Namespace], int | None],
                summary: str, **options: Any) -> argparse.ArgumentParser:
    """
    Add a subcommand that ``run`` carries out.

    Parameters
    ----------
    commands : action
        From `argparse.ArgumentParser.add_subparsers`.
    name : str
    run : callable
        Gets the parsed arguments and returns the exit status; None means 0.
    summary : str
        One line of help.
    **options
        For `argparse.ArgumentParser`.

    Returns
    -------
    parser : `argparse.ArgumentParser`
    """
    parser = commands.add_parser(name, help=summary,
                                 description=summary[:1].upper() + summary[1:] + ".", **options)
    noise = parser.add_mutually_exclusive_group()
    noise.add_argument("-q", "--quiet", dest="verbosity", action="store_const", const=-1,
                       help="report no progress")
    noise.add_argument("-v", "--verbose", dest="verbosity", action="store_const", const=1,
                       help="report details, and tracebacks of errors")
    parser.set_defaults(run=run, verbosity=0)
    return parser


def whole_number(least: int) -> Callable[[str], int]:
    """
    Type of an option that takes a whole number.

    Parameters
    ----------
    least : int
        Smallest number that is allowed.

    Examples
    --------
    >>> from sedflux.cli.options import whole_number
    >>> whole_number(0)("3")
    3
    """
    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not allowed; give a whole number of {least} or more")
        return value
    return convert


def positive_number(text: str) -> float:
    """Type of an option that takes a positive, finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a positive number")
    return value


def given(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """
    Options that the user gave.  The others keep the defaults of the function that is called.

    Parameters
    ----------
    arguments : `argparse.Namespace`
    names : iterable of str

    Returns
    -------
    options : dict
    """
    values = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def make_folder(path: str | os.PathLike[str]) -> Path:
    """
    A folder for output, made if it does not exist.

    Raises
    ------
    sedflux.exceptions.InputError
        If no folder can be made there.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror or error
        raise InputError(f"folder {str(path)!r} cannot be made ({reason}); choose another "
                         "--output") from error
    return folder


def check_new_file(path: Path, *, overwrite: bool, inputs: Mapping[str, Path]) -> None:
    """
    Refuse an output file that would replace an input, or another file without ``--overwrite``.

    Parameters
    ----------
    path : `~pathlib.Path`
    overwrite : bool
        Whether the user allows existing files to be replaced.
    inputs : mapping of str to `~pathlib.Path`
        Input files by the name that the user gave.

    Raises
    ------
    sedflux.exceptions.InputError
    """
    for name, file in inputs.items():
        if os.path.realpath(path) == os.path.realpath(file) or (
                path.exists() and file.exists() and path.samefile(file)):
            raise InputError(f"output {str(path)!r} is the input {name!r}; choose another name")
    if path.exists() and not overwrite:
        raise InputError(f"{str(path)!r} exists; add --overwrite to replace it")


def say(lines: Iterable[str]) -> None:
    """Print lines of results to the standard output."""
    for line in lines:
        print(line)
