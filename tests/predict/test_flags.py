"""Flags by what the network says, without a network; and their table in the documentation."""

import re
from pathlib import Path

import numpy as np

from sedflux.libraries.labels import scale_labels
from sedflux.predict.flags import FLAGS, domain_flags, flag, flag_names, severity_of

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
    values["strange"] = np.array([0.5, 2.0, 5.0, 0.5])
    values["excess"] = np.array([0.0, 0.0, 0.0, 0.03])
    limits = LIMITS | {"peculiar": {"excess": 0.01, "unusual": 3.0, "strange": 1.0}}
    names = [flag_names(bits) for bits in domain_flags(values, limits)]
    assert names == [(), ("peculiar",), ("unlike_training",), ("peculiar",)]
    assert not domain_flags(values, LIMITS)[[0, 1, 3]].any()


def test_what_is_far_from_all_stars_is_foreign_and_its_errors_are_huge():
    """Just within and beyond the limit; the limit is lower where there are no metal lines."""
    values = said((5000.0, 2.0, 0.0), (5000.0, 2.0, 0.0), (5000.0, 2.0, -2.3), (5000.0, 2.0, -2.3))
    values["strange"] = LIMITS["strange"] * np.array([1.35, 1.45, 0.6, 0.7]) ** 2
    bits = domain_flags(values, LIMITS)
    assert ["foreign" in flag_names(value) for value in bits] == [False, True, False, True]
    severity = severity_of(bits, values, LIMITS)
    assert (severity[[1, 3]] > 2.0 * severity[[0, 2]]).all()
    values["usable"][:] = False
    assert not (domain_flags(values, LIMITS) & flag("foreign").mask).any()


def test_errors_grow_with_what_the_model_lacks():
    """Molecular bands beyond the cool limit; hardly any metal lines, and none at all."""
    values = said((4400.0, 2.0, 0.0), (4400.0, 2.0, 0.0), (5500.0, 4.0, -2.2), (5500.0, 4.0, -2.5))
    values["strange"] = LIMITS["strange"] * np.array([0.4, 0.9, 0.2, 0.2]) ** 2
    cool, banded, poor, none = severity_of(domain_flags(values, LIMITS), values, LIMITS)
    assert banded > 2.0 * cool
    assert none > 1.5 * poor
    assert poor == 3.0
