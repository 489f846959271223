"""Download files of public libraries, and keep a list of their hashes beside them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sedflux.exceptions import InputError, WeightsError
from sedflux.io.download import DownloadError, fetch_file, file_hash
from sedflux.libraries.archive import ARCHIVES, ArchiveFile
from sedflux.writing import write_whole

__all__ = ["HASHES", "fetch_files"]

#: File beside the downloads with their hashes, in the layout of the command ``sha256sum``.
HASHES = "SHA256SUMS"
#: Failures that an error message shows.
_SHOWN = 5

_log = logging.getLogger(__name__)


def fetch_files(name: str, files: Sequence[ArchiveFile], folder: str | os.PathLike[str], *,
                base_url: str | None = None, workers: int = 4, progress: bool = False
                ) -> list[ArchiveFile]:
    """
    Download files that are not there yet; an interrupted download resumes.

    The hash of every file is kept in the folder's ``SHA256SUMS``.  A file that no longer has
    its hash, cut short or changed, is downloaded again.

    Parameters
    ----------
    name : str
        One of `~sedflux.libraries.archive.ARCHIVES`.
    files : sequence of `~sedflux.libraries.archive.ArchiveFile`
    folder : path-like
        Made if it does not exist.
    base_url : str, optional
        Another address than the archive's own, such as a mirror.
    workers : int, optional
        Files that are downloaded at the same time.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    present : list of `~sedflux.libraries.archive.ArchiveFile`
        Files that are in the folder now.  The archive lacks a few that follow from its rules.

    Raises
    ------
    sedflux.exceptions.InputError
        If the archive is unknown, or the folder or the number of workers cannot be used.
    sedflux.exceptions.WeightsError
        If files could not be downloaded; those that could are kept.
    """
    if name not in ARCHIVES:
        raise InputError(f"archive {name!r} is not known; choose one of {', '.join(ARCHIVES)}")
    if workers < 1:
        raise InputError(f"workers is {workers}; 1 or more are needed")
    base = (base_url or ARCHIVES[name]).rstrip("/")
    place, files = _make_folder(folder), list(dict.fromkeys(files))
    found, failures = _fetch_all(base, files, place, workers, progress)
    if failures or not found:
        shown = "\n  ".join(failures[:_SHOWN]) or f"{base} has none of them"
        raise WeightsError(
            f"{len(files) - len(found)} of {len(files)} files of {name} could not be "
            f"downloaded:\n  {shown}\n"
            f"What came is in {str(place)!r}; run the same command again to resume, or give "
            "the address of a mirror with --base-url."
        )
    return list(found)


def _fetch_all(base, files, folder, workers, progress):
    """Files that are there now, and what went wrong with others; the hashes are listed."""
    from tqdm import tqdm

    known = _read_hashes(folder / HASHES)
    found: dict[ArchiveFile, str] = {}
    failures: list[str] = []
    with ThreadPoolExecutor(max_workers=workers) as pool:
        tasks = {file: pool.submit(_fetch, f"{base}/{file.path}", folder / file.filename,
                                   known.get(file.filename)) for file in files}
        try:
            for file, task in tqdm(tasks.items(), disable=not progress, unit="file"):
                try:
                    found[file] = task.result()
                except DownloadError as error:
                    failures += [] if error.absent else error.failures
        finally:
            # After an interruption, files that still wait are not started.
            pool.shutdown(cancel_futures=True)
            _write_hashes(folder / HASHES, {file.filename: value for file, value in found.items()})
    return found, failures


def _make_folder(folder):
    """The folder as a path; made if it does not exist."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"folder {str(folder)!r} cannot be made ({error.strerror}); choose "
                         "another one") from error
    return folder


def _fetch(url, path, known):
    """Hash of a file; downloaded unless it is there, with its known hash."""
    if path.is_file():
        here = file_hash(path)
        if known in (None, here):
            return here
        _log.warning("%s has changed since it was downloaded: it is downloaded again", path)
    fetch_file([url], path)
    here = file_hash(path)
    if known not in (None, here):
        _log.warning("%s differs from the file that was downloaded before", url)
    return here


def _read_hashes(path):
    """Hashes by the names of their files; lines that hold none are skipped."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} is no list of hashes ({error}); remove it") from error
    pairs = [line.split(maxsplit=1) for line in lines]
    return {pair[1].lstrip("*"): pair[0] for pair in pairs if len(pair) == 2}


def _write_hashes(path, found):
    """Add hashes to the list, which another download may have changed meanwhile."""
    if not found:
        return
    hashes = sorted((_read_hashes(path) | found).items())
    write_whole(path, lambda temporary: temporary.write_text(
        "".join(f"{value}  {name}\n" for name, value in hashes), encoding="utf-8"))
