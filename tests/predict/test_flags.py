"""The registry of flags, and its table in the documentation."""

import re
from pathlib import Path

from sedflux.predict.flags import FLAGS

PAGE = Path(__file__).parents[2] / "docs" / "data_model.rst"


def test_names_and_bits_are_unique():
    assert len({one.bit for one in FLAGS}) == len({one.name for one in FLAGS}) == len(FLAGS)


def test_the_documentation_lists_every_flag():
    rows = re.findall(r"^(\d+) +``(\w+)`` ", PAGE.read_text(), flags=re.MULTILINE)
    assert [(int(bit), name) for bit, name in rows] == [
        (one.bit, one.name) for one in sorted(FLAGS, key=lambda one: one.bit)]
