"""
The command ``sedflux``: builds the parser, runs a subcommand, and reports errors.

Modules of commands import little, so that the command starts fast; ``run`` imports the rest.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sedflux import __version__
from sedflux.cli import (
    benchmark,
    catalog,
    completion,
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

__all__ = ["build_parser", "main"]

_COMMANDS = (predict, catalog, response, simulate, models, fetch, train, validate, benchmark,
             completion)
#: Exit status after errors of usage or input, Ctrl-C (128 + SIGINT), a closed pipe
#: (128 + SIGPIPE), and the end of a batch job (128 + SIGTERM).
_FAILED, _INTERRUPTED, _PIPE_CLOSED, _TERMINATED = 2, 130, 141, 143

_log = logging.getLogger(__name__)


def build_parser() -> Parser:
    """The parser of the command line, with all subcommands."""
    parser = Parser(prog="sedflux",
                    description="Spectral energy distributions of stars from their lines.",
                    epilog="sedflux COMMAND --help describes a command.")
    parser.add_argument("--version", action="version", version=f"sedflux {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        module.add_parser(commands)
    parser.set_defaults(parser=parser)
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
        reported in one line; 130 after Ctrl-C; 141 if the reader of the output stopped reading;
        143 after SIGTERM.
    """
    parser = build_parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        # Help and version are results; argparse has already printed errors of usage.
        status = int(end.code or 0)
        with console(0):
            raise SystemExit(_reported(lambda: status)) from None
    with console(arguments.verbosity):
        return _reported(lambda: arguments.run(arguments))


def _reported(work: Callable[[], int | None]) -> int:
    """Do some work, write its output, and report its error; return the exit status."""
    try:
        with _stopped_in_order():
            status = work() or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        _log.error("interrupted")
        return _INTERRUPTED
    except _Terminated:
        _log.error("terminated")
        return _TERMINATED
    except BrokenPipeError:
        discard_output()
        return _PIPE_CLOSED
    except (SedfluxError, OSError) as error:
        _log.debug("traceback of the error", exc_info=True)
        _log.error("%s", _output_error(error) or one_line(error))
        return _FAILED
    return status


class _Terminated(BaseException):
    """SIGTERM, as batch systems send it."""


@contextmanager
def _stopped_in_order() -> Iterator[None]:
    """Close files and stop workers at SIGTERM; otherwise workers print long tracebacks."""

    def stop(number, frame):
        raise _Terminated

    try:
        former = signal.signal(signal.SIGTERM, stop)
    except ValueError:
        # Only the main thread takes signals.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _output_error(error):
    """Message for an error of the standard output, which has no file name; None for others."""
    if isinstance(error, SedfluxError) or error.errno is None or error.filename is not None:
        return None
    discard_output()
    return f"the standard output cannot be written ({one_line(error)})"
