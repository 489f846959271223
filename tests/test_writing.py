"""Files are written whole or not at all."""

import os
import stat

import pytest

from sedflux import InputError, WriteError
from sedflux.writing import refuse_existing, write_whole


def test_a_failing_writer_keeps_the_former_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_told_and_keeps_the_former_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(WriteError, match="No space left"):
        write_whole(path, full)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_endings_stay_and_links_are_followed(tmp_path):
    seen = []
    (tmp_path / "real.fits.gz").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real.fits.gz")
    write_whole(tmp_path / "link", lambda path: (seen.append(path.name), path.write_text("new")))
    assert seen[0].endswith(".fits.gz")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real.fits.gz").read_text() == "new"


def test_permissions_are_those_of_any_new_file(tmp_path):
    write_whole(tmp_path / "a", lambda path: path.write_text("x"))
    (tmp_path / "b").write_text("x")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"}
    assert len(modes) == 1


def test_existing_files_are_replaced_on_request_alone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(InputError, match="overwrite=True"):
        write_whole(path, lambda temporary: temporary.write_text("new"), overwrite=False)
    with pytest.raises(InputError, match="does not exist"):
        refuse_existing(tmp_path / "no" / "a.txt", overwrite=True)
    with pytest.raises(InputError, match="no regular file"):
        refuse_existing(tmp_path, overwrite=True)
