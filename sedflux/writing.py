"""Write files completely or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from sedflux.exceptions import InputError, WriteError

__all__ = ["make_folder", "refuse_existing", "write_whole"]


def make_folder(path: str | os.PathLike[str]) -> Path:
    """
    Make a folder, and those above it, unless it exists.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    folder : `~pathlib.Path`

    Raises
    ------
    sedflux.exceptions.WriteError
        If no folder can be made there.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"folder {str(folder)!r} cannot be made ({error.strerror}); choose "
                         "another folder") from error
    return folder


def refuse_existing(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """
    Check that a file may be written before any work is done.

    Parameters
    ----------
    path : path-like
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    path : `~pathlib.Path`
        With links followed.

    Raises
    ------
    sedflux.exceptions.InputError
        If the file exists and must not be replaced, no file can be there, or the path is no
        name of a file.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"path is a {type(path).__name__}; give the name of a file")
    place = Path(os.path.realpath(path))
    if not place.parent.is_dir():
        raise InputError(f"folder {str(place.parent)!r} does not exist; make it first")
    if place.exists() and not place.is_file():
        raise InputError(f"{str(path)!r} is no regular file; give the name of a file")
    if place.exists() and not overwrite:
        raise InputError(f"{str(path)!r} exists; give overwrite=True to replace it")
    return place


def write_whole(path: str | os.PathLike[str], write: Callable[[Path], object], *,
                overwrite: bool = True) -> None:
    """
    Write a file under a temporary name in the same folder, and rename it when it is complete.

    At any time, also after a crash, a reader finds either the old file or the new one.

    Parameters
    ----------
    path : path-like
    write : callable
        ``write(temporary)`` writes the file at a temporary path with the same ending.
    overwrite : bool, optional
        Whether an existing file is replaced.

    Raises
    ------
    sedflux.exceptions.InputError
        As `refuse_existing` does.
    sedflux.exceptions.WriteError
        If the disk is full or the folder cannot be written; the old file stays.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sedflux.writing import write_whole
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "note.txt", lambda path: path.write_text("done"))
    ...     (Path(folder) / "note.txt").read_text()
    'done'
    """
    place = refuse_existing(path, overwrite=overwrite)
    temporary = place.with_name(f".{secrets.token_hex(6)}.{place.name}")
    try:
        write(temporary)
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, place)
    except OSError as error:
        if isinstance(error, WriteError):
            raise
        raise WriteError(f"{str(path)!r} cannot be written ({error.strerror or error}); free "
                         "space or choose another folder") from error
    finally:
        temporary.unlink(missing_ok=True)
