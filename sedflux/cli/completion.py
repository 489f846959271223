"""The command ``sedflux completion``."""

from __future__ import annotations

import argparse
from typing import Any

from sedflux.cli.options import add_command, say
from sedflux.exceptions import SedfluxError

__all__ = ["add_parser", "run"]

#: Shells for which shtab writes scripts.
_SHELLS = ("bash", "zsh", "tcsh")


def add_parser(commands: Any) -> None:
    """Add ``sedflux completion``."""
    parser = add_command(
        commands, "completion", run, "print a script that completes options in a shell",
        example="sedflux completion bash > ~/.local/share/bash-completion/completions/sedflux")
    parser.add_argument("shell", choices=_SHELLS)


def run(arguments: argparse.Namespace) -> None:
    """Print the script; it is static, so that a completion does not start Python."""
    try:
        import shtab
    except ImportError as error:
        raise SedfluxError("completion needs shtab: pip install 'sedflux[completion]'") from error
    _prepare(arguments.parser, shtab.FILE)
    say([shtab.complete(arguments.parser, arguments.shell)])


def _prepare(parser, files):
    """Fill in the help of every command, and let arguments that take files complete them."""
    parser.fill_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in dict.fromkeys(action.choices.values()):
                _prepare(command, files)
        elif action.choices is None and action.type is None and action.nargs != 0:
            action.complete = files
