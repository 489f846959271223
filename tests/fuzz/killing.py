"""Kill writers at random moments: a reader finds the old file or the new one."""

import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from .writers import WRITERS

__all__ = ["fill_disk", "fill_folder", "kill_writer"]


def _killed(write, path, new, delay):
    """Start a writer, and kill it after a delay; its exit status."""
    process = multiprocessing.get_context("fork").Process(target=write, args=(path, new))
    process.start()
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode


def _found(read, path, content):
    """The number in a file, None if it is half; content is that of the old one."""
    try:
        if content is not None and path.read_bytes() == content:
            return 1.0
        return round(float(read(path)), 3)
    except Exception:  # whatever it is, no reader of ours can read the file
        return None


def kill_writer(name, times, *, seed=0):
    """
    Kill a writer at random moments.

    Parameters
    ----------
    name : str
        One of `WRITERS`.
    times : int
    seed : int, optional
        Of the moments.

    Returns
    -------
    count : `~collections.Counter`
        How many writers were ``killed`` or ``finished`` before, and how many files were ``old``,
        ``new`` or ``half`` afterwards.
    """
    rng, count = np.random.default_rng(seed), Counter()
    file_name, make, write, read = WRITERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path, old, new = Path(folder) / file_name, make(1.0), make(2.0)
        begin = time.monotonic()
        write(path, new)
        longest = 2.0 * (time.monotonic() - begin) + 0.01
        write(path, old)
        content = path.read_bytes() if path.is_file() else None
        for _ in range(times):
            status = _killed(write, path, new, rng.uniform(0.0, longest))
            found = _found(read, path, content)
            count["killed" if status == -signal.SIGKILL else "finished"] += 1
            count[{1.0: "old", 2.0: "new"}.get(found, "half")] += 1
            if content is None:
                write(path, old)
            elif found != 1.0:
                path.write_bytes(content)
    return count


def _told(write, path, new, sender):
    """Write, and say what was raised."""
    try:
        write(path, new)
        sender.send("written")
    except Exception as error:  # the type of whatever it is is compared
        sender.send(type(error).__name__)


def _write_little(write, path, new, limit, sender):
    """Write with a limit of the size of files, as a full disk has; what was raised."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    _told(write, path, new, sender)


def _raised(target, arguments):
    """What a process says that it raised."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(*arguments, sender))
    process.start()
    raised = receiver.recv() if receiver.poll(60) else "nothing"
    process.join()
    return raised


def fill_disk(name, folder, limit):
    """
    Overwrite a file while no file may be longer than a limit.

    Returns
    -------
    raised : str
        Type of the error.
    found : float
        The number in the file afterwards.
    left : list of str
        Files in the folder.
    """
    file_name, make, write, read = WRITERS[name]
    path = Path(folder) / file_name
    write(path, make(1.0))
    raised = _raised(_write_little, (write, path, make(2.0), limit))
    return raised, round(float(read(path)), 3), sorted(os.listdir(folder))


def fill_folder(name, folder, room):
    """
    Overwrite a file in a folder whose file system has hardly any room left.

    Parameters
    ----------
    name : str
        One of `WRITERS`.
    folder : path-like
        An empty folder on a small file system of its own, such as a tmpfs.
    room : int
        Bytes that are left, in whole pages.

    Returns
    -------
    raised, found, left
        As `fill_disk` returns them.
    """
    folder = Path(folder)
    file_name, make, write, read = WRITERS[name]
    path, filler = folder / file_name, folder / ".filler"
    new = make(2.0)
    write(path, make(1.0))
    state = os.statvfs(folder)
    with open(filler, "wb") as stream:
        stream.write(bytes(max(state.f_bavail * state.f_frsize - room, 0)))
    try:
        raised = _raised(_told, (write, path, new))
    finally:
        filler.unlink()
    found, left = round(float(read(path)), 3), sorted(os.listdir(folder))
    for one in folder.iterdir():
        shutil.rmtree(one) if one.is_dir() else one.unlink()
    return raised, found, left
