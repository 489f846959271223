"""Writers that are killed, and disks that are full."""

import os
from pathlib import Path

import pytest

from sedflux import SedfluxError

from .killing import fill_disk, kill_writer
from .writers import WRITERS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.mark.parametrize("name", WRITERS)
def test_a_killed_writer_leaves_the_old_file_or_the_new_one(name):
    count = kill_writer(name, 3, seed=1)
    assert count["half"] == 0
    assert count["old"] + count["new"] == 3


@pytest.mark.parametrize("limit", [0, 5000])
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_keeps_the_old_file(name, limit, tmp_path):
    raised, found, left = fill_disk(name, tmp_path, limit)
    assert raised == "WriteError"
    assert found == 1.0
    assert left == [WRITERS[name][0]]


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"catalog", "catalog_copy"}))
def test_a_failing_writer_leaves_no_other_file(name, tmp_path, monkeypatch):
    """An error while the temporary file is moved: the old file alone is left."""
    file_name, make, write, read = WRITERS[name]
    path = Path(tmp_path) / file_name
    write(path, make(1.0))
    new = make(2.0)

    def fail(*arguments, **options):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as failing:
        failing.setattr("os.replace", fail)
        with pytest.raises(SedfluxError, match="cannot be written"):
            write(path, new)
    assert os.listdir(tmp_path) == [file_name]
    assert round(float(read(path)), 3) == 1.0
