"""Flags by what the network says, without a network; and their table in the documentation."""

import re
from pathlib import Path

import numpy as np

from sedflux.libraries.labels import scale_labels
from sedflux.predict.flags import FLAGS, domain_flags, flag_names

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "flags.rst"


def test_names_and_bits_are_unique():
    assert len({one.bit for one in FLAGS}) == len({one.name for one in FLAGS}) == len(FLAGS)


def test_the_documentation_says_what_to_do_with_every_flag():
    """The table of bits is generated; what to do is written by hand."""
    text = PAGE.read_text()
    assert ".. flag-table::" in text
    advice = text.partition("What to do with a flagged star")[2]
    assert sorted(re.findall(r"``(\w+)``", advice)) == sorted(one.name for one in FLAGS)


LIMITS = {"teff": (4500.0, 10250.0), "excess": 0.05, "unusual": 4.0, "strange": 4.0}


def said(*labels):
    """What the network says of stars with these labels and ordinary spectra."""
    size = len(labels)
    full = np.zeros((size, 6))
    full[:, :3] = labels
    values = {name: np.zeros(size) for name in ("excess", "unusual", "strange", "spikes")}
    return values | {"label_mean": scale_labels(full), "snr": np.full(size, 50.0),
                     "claimed_snr": np.full(size, 50.0), "good": np.ones(size),
                     "usable": np.ones(size, bool), "finite": np.ones(size, bool)}


def test_rare_stars_are_flagged_where_the_prior_is_a_survey():
    """A supergiant as hot as an A star, and the Sun."""
    values = said((7000.0, 2.0, 0.3), (5777.0, 4.44, 0.0))
    rare, common = domain_flags(values, LIMITS | {"prior": "survey"})
    assert flag_names(rare) == ("rare",)
    assert flag_names(common) == ()
    assert not domain_flags(values, LIMITS | {"prior": "flat"}).any()
    assert not domain_flags(values, LIMITS).any()


def test_rarity_says_nothing_of_spectra_that_cannot_be_used():
    values = said((7000.0, 2.0, 0.3))
    values["usable"][:] = False
    bits, = domain_flags(values, LIMITS | {"prior": "survey"})
    assert "rare" not in flag_names(bits)
    assert "unusable" in flag_names(bits)


def test_spectra_beyond_those_without_defects_are_peculiar_alone():
    """The wider limits of the training decide whether a spectrum is like it at all."""
    values = said(*[(6000.0, 4.4, 0.0)] * 4)
    values["strange"] = np.array([0.5, 2.0, 9.0, 0.5])
    values["excess"] = np.array([0.0, 0.0, 0.0, 0.03])
    limits = LIMITS | {"peculiar": {"excess": 0.01, "unusual": 3.0, "strange": 1.0}}
    names = [flag_names(bits) for bits in domain_flags(values, limits)]
    assert names == [(), ("peculiar",), ("unlike_training",), ("peculiar",)]
    assert not domain_flags(values, LIMITS)[[0, 1, 3]].any()
