"""The flag of stars that are more luminous than all of the training."""

import numpy as np
from numpy.testing import assert_allclose

from sedflux.libraries.labels import scale_labels
from sedflux.predict.flags import domain_flags, flag, flag_names, severity_of
from sedflux.predict.luminosity import balmer_shape
from sedflux.spectra.grids import input_grid

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


def test_narrow_balmer_lines_tell_supergiants_whose_gravity_fits():
    """A discriminant of cores and wings, within its temperatures and at enough resolution."""
    teff = np.array([5500.0, 5500.0, 12000.0, 5500.0])
    stars = values(np.column_stack([teff, np.full(4, 3.5), np.zeros(4)]))
    stars["balmer"] = np.zeros((4, 8))
    stars["balmer"][:, :4] = -0.5
    stars["balmer"][1, 4:] = -0.2
    stars["resolving_power"] = np.array([1800.0, 1800.0, 1800.0, 900.0])
    weights = np.zeros(20)
    weights[:4], weights[4:8] = 1.0, -4.0
    limits = LIMITS | {"luminous": {"weights": weights.tolist(), "constant": 1.0,
                                    "teff": [4300.0, 11500.0]}}
    bits = domain_flags(stars, limits) & flag("supergiant").mask
    assert (bits != 0).tolist() == [True, False, False, False]


def test_shape_of_balmer_lines_needs_good_pixels_alone():
    grid = input_grid()
    lines = np.where(np.abs(grid - 4862.7) < 6.0, -0.4, 0.0)[None]
    ivar = np.ones_like(lines)
    shape = balmer_shape(lines, ivar)
    assert_allclose(shape[0], [0, 0, -0.4, 0, 0, 0, 0, 0], atol=1e-6)
    lines[0, ::2], ivar[0, ::2] = 99.0, 0.0
    assert_allclose(balmer_shape(lines, ivar), shape, atol=1e-6)
    assert not balmer_shape(lines, 0.0 * ivar).any()


def test_models_that_know_no_edge_flag_none():
    limits = {name: value for name, value in LIMITS.items() if name != "gravity"}
    stars = values(np.array([[5000.0, 1.0, 0.0]]))
    assert not domain_flags(stars, limits)[0] & flag("supergiant").mask
