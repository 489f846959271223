"""Progress, warnings and errors on the standard error; results are on the standard output."""

from __future__ import annotations

import logging
import os
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from sedflux.exceptions import SedfluxWarning

__all__ = ["console", "discard_output", "one_line", "progress"]

_LEVELS = {-1: logging.WARNING, 0: logging.INFO, 1: logging.DEBUG}
#: Longest error (characters); longer errors of other packages, with tables, are cut.
_LONGEST_ERROR = 600

_log = logging.getLogger("sedflux")


class _Formatter(logging.Formatter):
    """Formats warnings and errors with their level, and progress without."""

    def format(self, record):
        """Text of a record."""
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        return f"sedflux: {record.levelname.lower()}: {text}"


@contextmanager
def console(verbosity: int) -> Iterator[None]:
    """
    Send log records and warnings of sedflux to the standard error.

    Parameters
    ----------
    verbosity : {-1, 0, 1}
        -1 shows warnings, 0 also progress, 1 also details.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(message)s"))
    level = _log.level
    _log.addHandler(handler)
    _log.setLevel(_LEVELS[verbosity])
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            yield
    finally:
        _log.removeHandler(handler)
        _log.setLevel(level)


def _show_warning(message, category, filename, lineno, file=None, line=None):
    """Log a warning in one line; warnings of other packages are details."""
    level = logging.WARNING if issubclass(category, SedfluxWarning) else logging.DEBUG
    _log.log(level, one_line(message))


def one_line(error: object) -> str:
    """
    An error or a warning as one line of text.

    Parameters
    ----------
    error : exception

    Examples
    --------
    >>> from sedflux.cli.console import one_line
    >>> one_line(FileNotFoundError(2, "No such file or directory", "a.fits"))
    'a.fits: No such file or directory'
    """
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return textwrap.shorten(text, _LONGEST_ERROR, placeholder=" ...")


def _print(lines):
    for line in lines:
        print(line)


@contextmanager
def progress(total: int, verbosity: int) -> Iterator[Callable[[Iterable[str]], None]]:
    """
    A progress bar for many spectra, on the standard error if it is a terminal.

    Parameters
    ----------
    total : int
        Number of spectra.
    verbosity : {-1, 0, 1}
        No bar is shown with -1.

    Yields
    ------
    step : callable
        ``step(lines)`` counts one spectrum, and prints its results to the standard output.
    """
    if total < 2 or verbosity < 0 or not sys.stderr.isatty():
        yield _print
        return
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    def step(lines: Iterable[str]) -> None:
        with tqdm.external_write_mode(sys.stdout):
            for line in lines:
                print(line)
        bar.update()

    with tqdm(total=total, unit="spectra", file=sys.stderr, leave=False) as bar, \
            logging_redirect_tqdm([_log]):
        yield step


def discard_output() -> None:
    """Discard the unwritten rest of the standard output, which Python would try to write again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
