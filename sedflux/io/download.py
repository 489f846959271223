"""Fetch one file through pooch, and hash it."""

import hashlib

__all__ = ["ABSENT", "fetch_file", "file_hash"]

#: What `fetch_file` says of a file that the server does not have.
ABSENT = "absent"
_TRIES = 3


def file_hash(path):
    """SHA-256 of a file, as hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch_file(url, path):
    """
    Fetch one file through pooch unless it is there; a partial one never bears its name.

    Parameters
    ----------
    url : str
    path : `~pathlib.Path`

    Returns
    -------
    problem : str or None
        What went wrong, `ABSENT` if the server has no such file.
    """
    import pooch
    import requests

    if path.exists():
        return None
    partial = path.with_name(path.name + ".part")
    for _ in range(_TRIES):
        try:
            # `pooch.retrieve` would log a hash for each of thousands of files.
            pooch.HTTPDownloader(timeout=60)(url, str(partial), None)
            partial.replace(path)
            return None
        except (requests.RequestException, OSError) as error:
            answer = getattr(error, "response", None)
            if answer is not None and answer.status_code == 404:
                return ABSENT
            problem = f"{url}: {type(error).__name__}: {str(error).splitlines()[0]}"
    return problem
