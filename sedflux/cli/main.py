"""
The command ``sedflux``: builds the parser, runs a subcommand, and reports errors.

Modules of commands import little; what a command needs is imported when it runs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from sedflux import __version__
from sedflux.cli import (
    benchmark,
    catalog,
    fetch,
    models,
    predict,
    response,
    simulate,
    train,
    validate,
)
from sedflux.cli.console import console, discard_output, one_line
from sedflux.cli.options import Parser
from sedflux.exceptions import SedfluxError

__all__ = ["main"]

_COMMANDS = (predict, catalog, response, simulate, models, fetch, train, validate, benchmark)
#: Exit status after errors of usage or input, Ctrl-C (128 + SIGINT), and a closed pipe
#: (128 + SIGPIPE).
_FAILED, _INTERRUPTED, _PIPE_CLOSED = 2, 130, 141

_log = logging.getLogger(__name__)


def _parser():
    parser = Parser(prog="sedflux",
                    description="Spectral energy distributions of stars from their lines.")
    parser.add_argument("--version", action="version", version=f"sedflux {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        `sys.argv` without the program by default.

    Returns
    -------
    status : int
        0; 1 if some of several files failed; 2 after an error of usage or input, which is
        told in one line; 130 after Ctrl-C; 141 if the reader of the output stopped reading.
    """
    arguments = _parser().parse_args(argv)
    with console(arguments.verbosity):
        try:
            status = arguments.run(arguments) or 0
            sys.stdout.flush()
        except KeyboardInterrupt:
            _log.error("interrupted")
            return _INTERRUPTED
        except BrokenPipeError:
            discard_output()
            return _PIPE_CLOSED
        except (SedfluxError, OSError) as error:
            _log.debug("traceback of the error", exc_info=True)
            _log.error("%s", _output_error() or one_line(error))
            return _FAILED
    return status


def _output_error():
    """What is wrong with the standard output, if anything is."""
    try:
        sys.stdout.flush()
    except OSError as error:
        discard_output()
        return f"the standard output cannot be written ({error.strerror})"
    return None
