"""Names of the files that ``sedflux predict`` writes, checked before any work is done."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sedflux.cli.options import check_new_files, make_folder, star_name
from sedflux.exceptions import InputError

__all__ = ["Job", "plan"]

#: Endings of SED files and of the table.
_SED_ENDINGS, _TABLE_ENDINGS = (".fits", ".fit"), (".ecsv",)
#: Endings that are refused for --output and --plot with several spectra, which need folders.
_FILE_ENDINGS = (*_SED_ENDINGS, *_TABLE_ENDINGS, ".gz", ".png", ".pdf", ".svg", ".jpg", ".jpeg",
                 ".csv", ".txt", ".json")


@dataclass(frozen=True)
class Job:
    """A spectrum, and the files for its SED and its figure."""

    spectrum: str
    sed: Path | None
    figure: Path | None


def plan(files: Sequence[str], arguments: argparse.Namespace) -> list[Job]:
    """
    Choose the names of the output files, check them, and make their folders.

    Parameters
    ----------
    files : sequence of str
        Spectra.
    arguments : `argparse.Namespace`
        With ``output``, ``plot``, ``table``, ``overwrite``, ``bandpass``, ``photometry``,
        ``measured``, ``model`` and ``spectra``.

    Returns
    -------
    jobs : list of `Job`

    Raises
    ------
    sedflux.exceptions.InputError
        If a name is not allowed, or an existing file would be replaced without ``--overwrite``.
    """
    several = len(files) > 1 or any(Path(path).is_dir() for path in arguments.spectra)
    seds = _outputs(files, arguments.output, "output", ".fits", several=several)
    figures = _outputs(files, arguments.plot, "plot", ".png", several=several)
    table = None if arguments.table is None else Path(arguments.table)
    for name, paths, endings in (("output", seds, _SED_ENDINGS),
                                 ("table", [table], _TABLE_ENDINGS)):
        for path in paths:
            if path is not None and path.suffix.lower() not in endings:
                raise InputError(f"--{name} is {str(path)!r}; its name must end in {endings[0]}")
    if arguments.plot is not None:
        from sedflux.plotting import check_figure_name

        check_figure_name(figures[0] or "")
    written = [path for path in (*seds, *figures, table) if path is not None]
    others = (arguments.bandpass, arguments.photometry, arguments.measured, arguments.model)
    inputs = [*files, *(path for path in others if path)]
    check_new_files(written, overwrite=arguments.overwrite, inputs=inputs)
    for path in (seds[0], figures[0]):
        if path is not None:
            make_folder(path.parent)
    if table is not None and not table.parent.is_dir():
        raise InputError(f"folder {str(table.parent)!r} of --table does not exist; make it first")
    return [Job(*job) for job in zip(files, seds, figures, strict=True)]


def _outputs(files, given, option, ending, *, several):
    """One output file for each input: the given file, or files in a folder."""
    if given is None:
        return [None] * len(files)
    path = Path(given)
    is_file = bool(path.suffix) and not path.is_dir() and not given.endswith("/")
    if is_file and not several:
        return [path]
    if is_file and path.suffix.lower() in _FILE_ENDINGS:
        raise InputError(f"--{option} is {given!r}; give a folder for {len(files)} spectra")
    taken = {}
    for file in files:
        name = star_name(file)
        if name in taken:
            raise InputError(f"two spectra are called {name!r}: {taken[name]} and {file}; write "
                             "them to different folders")
        taken[name] = file
    return [path / f"{name}{ending}" for name in taken]
