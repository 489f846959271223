"""The flag of stars that are more luminous than all of the training."""

import numpy as np

from sedflux.libraries.labels import scale_labels
from sedflux.predict.flags import domain_flags, flag, flag_names, severity_of

LIMITS = {"excess": 0.03, "unusual": 80.0, "strange": 80.0, "teff": [4100.0, 10250.0],
          "prior": "flat", "gravity": [[4000.0, 6000.0, 9000.0], [0.9, 1.6, 3.3]]}


def values(labels):
    """What network and pipeline say of unremarkable spectra with labels (N, 3)."""
    size = len(labels)
    six = np.column_stack([labels, np.zeros((size, 2)), np.full(size, 2.0)])
    found = {"label_mean": scale_labels(six), "usable": np.ones(size, dtype=bool),
             "finite": np.ones(size, dtype=bool), "snr": np.full(size, 50.0),
             "claimed_snr": np.full(size, 50.0), "good": np.ones(size),
             "spikes": np.zeros(size)}
    return found | {name: np.zeros(size) for name in ("excess", "unusual", "strange")}


def test_supergiants_are_flagged_by_temperature():
    stars = values(np.array([[5000.0, 1.0, 0.0], [5000.0, 1.5, 0.0], [9000.0, 3.2, 0.0],
                             [9000.0, 3.4, 0.0], [5800.0, 4.4, 0.0]]))
    bits = domain_flags(stars, LIMITS)
    assert [flag_names(value) for value in bits] == [("supergiant",), (), ("supergiant",), (), ()]


def test_errors_of_supergiants_are_widened():
    stars = values(np.array([[5000.0, 1.0, 0.0], [5800.0, 4.4, 0.0]]))
    bits = domain_flags(stars, LIMITS)
    severity = severity_of(bits, stars, LIMITS)
    assert severity[0] >= 3.0
    assert severity[1] < 1.0


def test_models_that_know_no_edge_flag_none():
    limits = {name: value for name, value in LIMITS.items() if name != "gravity"}
    stars = values(np.array([[5000.0, 1.0, 0.0]]))
    assert not domain_flags(stars, limits)[0] & flag("supergiant").mask
