"""Download a file from the first address that has it, and hash files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from sedflux.exceptions import WeightsError
from sedflux.writing import make_folder, write_whole

__all__ = ["DownloadError", "fetch_file", "file_hash"]

#: Attempts at one address before the next is tried.
_ATTEMPTS = 3
#: Seconds that a server may stay silent.
_TIMEOUT = 60
#: HTTP statuses of a server that has no such file: not found, gone.
_ABSENT_STATUSES = (404, 410)


class DownloadError(WeightsError):
    """
    A file that no address gave.

    Parameters
    ----------
    failures : sequence of str
        Address and reason of each failure.
    absent : bool, optional
        Whether every server answered, and none has the file.
    """

    def __init__(self, failures: Sequence[str], *, absent: bool = False):
        self.failures, self.absent = tuple(failures), absent
        super().__init__("\n  ".join(self.failures) or "no address is known")


class _BadAnswer(Exception):
    """One attempt that failed: the reason, and whether the server lacks the file."""

    def __init__(self, reason, *, absent=False, final=False):
        super().__init__(reason)
        self.absent, self.final = absent, absent or final


def file_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch_file(urls: Sequence[str], path: str | os.PathLike[str], *,
               sha256: str | None = None) -> None:
    """
    Download a file; it appears at its path complete or not at all.

    Parameters
    ----------
    urls : sequence of str
        Addresses (http or https), tried in this order.
    path : path-like
        An existing file is replaced.  The folder is made if it does not exist.
    sha256 : str, optional
        What the file must be; a file with another hash counts as a failure.

    Raises
    ------
    DownloadError
        If no address has the file.
    sedflux.exceptions.WriteError
        If the disk is full or the folder cannot be written.
    """
    path = Path(path)
    make_folder(path.parent)
    failures, absent = [], bool(urls)
    for url in urls:
        try:
            _try_address(url, path, sha256)
            return
        except _BadAnswer as answer:
            failures.append(f"{url}: {answer}")
            absent = absent and answer.absent
    raise DownloadError(failures, absent=absent)


def _try_address(url, path, sha256):
    """Download from one address; again if it fails for a reason that may pass."""
    for attempt in range(_ATTEMPTS):
        try:
            write_whole(path, lambda temporary: _download(url, temporary, sha256))
            return
        except _BadAnswer as answer:
            if answer.final or attempt == _ATTEMPTS - 1:
                raise


def _download(url, temporary, sha256):
    """
    One attempt.

    `pooch.retrieve` would print a line for each of thousands of files, and has one address.
    """
    import pooch
    import requests

    try:
        # A server may offer to pack files that are packed already; take them as they are.
        pooch.HTTPDownloader(timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"})(
            url, os.fspath(temporary), None)
    except (requests.RequestException, ValueError) as error:
        answer = getattr(error, "response", None)
        status = None if answer is None else answer.status_code
        lines = str(error).splitlines() or [""]
        raise _BadAnswer(f"{type(error).__name__}: {lines[0]}", absent=status in _ABSENT_STATUSES,
                         final=isinstance(error, ValueError)) from error
    found = file_hash(temporary)
    if sha256 is not None and found != sha256:
        raise _BadAnswer(f"SHA-256 is {found[:12]}... instead of {sha256[:12]}...", final=True)
