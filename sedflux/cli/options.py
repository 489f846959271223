"""Parser, types of options, and checks of options and files, for all commands."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from sedflux.cli.defaults import fill_defaults
from sedflux.exceptions import InputError

__all__ = ["SPECTRUM_ENDINGS", "Parser", "add_command", "add_model", "add_overwrite",
           "check_new_files", "files_by_band", "given", "make_folder", "number",
           "positive_number", "refuse_unused", "say", "spectrum_files", "star_name",
           "whole_number"]

#: Endings of files in a folder that are read as spectra, the longest first.
SPECTRUM_ENDINGS = (".fits.gz", ".fits", ".fit", ".ecsv", ".txt", ".csv")


class Parser(argparse.ArgumentParser):
    """Argument parser with defaults in its help, and errors of usage in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with status 2."""
        self.exit(2, f"sedflux: error: {message}; see {self.prog} --help\n")

    def format_help(self) -> str:
        """Help, with its placeholders replaced by defaults."""
        self.fill_help()
        return super().format_help()

    def fill_help(self) -> None:
        """Put defaults into the help of every option; see `sedflux.cli.defaults`."""
        for action in self._actions:
            if action.help:
                action.help = fill_defaults(action.help)


def add_command(commands: Any, name: str, run: Callable[[argparse.Namespace], int | None],
                summary: str, *, example: str) -> argparse.ArgumentParser:
    """
    Add a subcommand, with its help, and the options for messages.

    Parameters
    ----------
    commands : action
        From `argparse.ArgumentParser.add_subparsers`.
    name : str
    run : callable
        Gets the parsed arguments and returns the exit status; None means 0.
    summary : str
        One line of help.
    example : str
        A call of the command, for the end of its help.

    Returns
    -------
    parser : `argparse.ArgumentParser`
    """
    parser = commands.add_parser(
        name, help=summary, description=summary[:1].upper() + summary[1:] + ".",
        epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter)
    noise = parser.add_argument_group("messages").add_mutually_exclusive_group()
    noise.add_argument("-q", "--quiet", dest="verbosity", action="store_const", const=-1,
                       help="report no progress")
    noise.add_argument("-v", "--verbose", dest="verbosity", action="store_const", const=1,
                       help="report details, and tracebacks of errors")
    parser.set_defaults(run=run, verbosity=0)
    return parser


def add_model(group: Any, *, auto: bool = False) -> None:
    """Add ``--model``, the model that predicts SEDs; ``auto`` if it is chosen by default."""
    if auto:
        group.add_argument("--model", metavar="MODEL", help="name or path of a "
                           "model, or auto for the one, of stars or of white dwarfs, that "
                           "explains the lines best (default: {predict.models:AUTO})")
        return
    group.add_argument("--model", metavar="MODEL", help="name or path of a model (default: "
                       "{predict.models:DEFAULT_MODEL})")


def add_overwrite(group: Any) -> None:
    """Add ``--overwrite``; without it, no file is replaced."""
    group.add_argument("--overwrite", action="store_true", help="replace existing files")


def whole_number(least: int) -> Callable[[str], int]:
    """
    Type of an option with a whole number.

    Parameters
    ----------
    least : int
        Smallest allowed number.

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


def number(text: str) -> float:
    """Type of an option with a finite number."""
    return _number(text, -math.inf, "a finite number")


def positive_number(text: str) -> float:
    """Type of an option with a positive, finite number."""
    return _number(text, 0.0, "a positive number")


def _number(text, least, wanted):
    """A number above a limit and below infinity."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give {wanted}")
    return value


def given(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """
    Options that the user gave; for the others, the called function has its defaults.

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


def files_by_band(texts: Iterable[str], option: str) -> dict[str, str]:
    """
    Files by band, from the ``BAND=FILE`` of an option.

    Parameters
    ----------
    texts : iterable of str
    option : str
        Such as ``--throughput``, for the error.

    Returns
    -------
    files : dict of str to str

    Raises
    ------
    sedflux.exceptions.InputError
        If a text is of another form, or a band occurs twice.

    Examples
    --------
    >>> from sedflux.cli.options import files_by_band
    >>> files_by_band(["g=g.ecsv", "r=r.ecsv"], "--throughput")
    {'g': 'g.ecsv', 'r': 'r.ecsv'}
    """
    found: dict[str, str] = {}
    for text in texts:
        band, equals, file = text.partition("=")
        if not (band and equals and file) or band in found:
            raise InputError(f"{option} is {text!r}; BAND=FILE is needed, such as g=g.ecsv, and "
                             "each band once")
        found[band] = file
    return found


def _is_given(value: Any) -> bool:
    return value is not None and value is not False and value != []


def refuse_unused(arguments: argparse.Namespace, partners: Mapping[str, Iterable[str]]) -> None:
    """
    Refuse options that have no effect without another one.

    Parameters
    ----------
    arguments : `argparse.Namespace`
        Options that are not given are None, False or empty.
    partners : mapping of str to iterable of str
        By the name of an option: options of which at least one must be given too.

    Raises
    ------
    sedflux.exceptions.InputError
    """
    for option, others in partners.items():
        names = list(others)
        if _is_given(getattr(arguments, option)) and not any(
                _is_given(getattr(arguments, name)) for name in names):
            raise InputError(f"{_flag(option)} has no effect without "
                             f"{' or '.join(map(_flag, names))}; add it, or leave "
                             f"{_flag(option)} out")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def star_name(path: str | os.PathLike[str]) -> str:
    """
    Name of a star: that of its file, without the ending.

    Examples
    --------
    >>> from sedflux.cli.options import star_name
    >>> star_name("spectra/HD1.5.fits.gz")
    'HD1.5'
    """
    name = Path(path).name
    ending = next((end for end in SPECTRUM_ENDINGS if name.lower().endswith(end)), None)
    return name[:-len(ending)] if ending else Path(name).stem


def spectrum_files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """
    Files of spectra, those in folders included.

    Parameters
    ----------
    paths : iterable of path-like

    Returns
    -------
    files : list of `~pathlib.Path`
        Files of a folder are sorted by name.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += sorted(file for file in path.iterdir() if file.is_file()
                            and file.name.lower().endswith(SPECTRUM_ENDINGS)
                            and not file.name.startswith("."))
        else:
            found.append(path)
    return found


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


def check_new_files(paths: Iterable[Path], *, overwrite: bool,
                    inputs: Iterable[str | os.PathLike[str]] = ()) -> None:
    """
    Check output files before any work is done.

    Links are followed, so that the files that would be replaced are compared.

    Parameters
    ----------
    paths : iterable of `~pathlib.Path`
    overwrite : bool
        Whether the user allows existing files to be replaced.
    inputs : iterable of path-like
        Files that are read.

    Raises
    ------
    sedflux.exceptions.InputError
        If a file is an input, is written twice, exists without ``--overwrite``, or is no
        regular file.
    """
    read = {key: str(path) for path in inputs for key in _identities(path)}
    written: dict[Any, Path] = {}
    for path in paths:
        for key in _identities(path):
            if key in read:
                raise InputError(f"output {str(path)!r} is the input {read[key]!r}; choose "
                                 "another name")
            if key in written and written[key] is not path:
                raise InputError(f"{str(written[key])!r} and {str(path)!r} are one file; choose "
                                 "another name for one of them")
            written[key] = path
        if path.exists() and not path.is_file():
            raise InputError(f"output {str(path)!r} is a folder, pipe or device; give the name "
                             "of a file")
        if path.exists() and not overwrite:
            raise InputError(f"{str(path)!r} exists; add --overwrite to replace it")


def _identities(path: str | os.PathLike[str]) -> list[Any]:
    """What two names of the same file have in common: real path, and device and inode."""
    found: list[Any] = [os.path.realpath(path)]
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return found
    return [*found, (state.st_dev, state.st_ino)]


def say(lines: Iterable[str]) -> None:
    """Print lines of results to the standard output."""
    for line in lines:
        print(line)
