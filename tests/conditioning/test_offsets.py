"""Zero points from many stars, some of them wrong."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux import InputError, photometric_offsets

OFFSETS = np.array([0.04, -0.01, 0.0, -0.02, -0.01])


def test_offsets_come_back_within_their_errors(draw, photometry, bandpasses):
    rng = np.random.default_rng(4)
    pulls = []
    for seed in range(12):
        drawn = draw(300, 0.1, seed=seed)
        wrong = rng.random(300) < 0.05
        magnitudes = drawn.magnitudes + OFFSETS
        magnitudes[wrong] += rng.normal(0.0, 0.5, (wrong.sum(), 5))
        table = photometric_offsets(drawn.prediction, photometry(magnitudes, 0.02, seed=seed),
                                    bandpasses, reddening=(0.1, 0.02))
        pulls.append((table["offset"].value - OFFSETS) / table["error"].value)
        assert table.meta["weights"][wrong].mean() < 0.5 * table.meta["weights"][~wrong].mean()
    assert abs(table["pull"][0]) > 4.0
    assert 0.6 < np.std(pulls) < 1.4


def test_without_a_prior_dust_and_offsets_look_alike(draw, photometry, bandpasses):
    drawn = draw(100, 0.1)
    measured = photometry(drawn.magnitudes, 0.02)
    free = photometric_offsets(drawn.prediction, measured, bandpasses)
    known = photometric_offsets(drawn.prediction, measured, bandpasses, reddening=0.1)
    assert (free["error"] > 3.0 * known["error"]).any()
    assert_allclose(known["offset"].value, 0.0, atol=0.03)


def test_what_cannot_be_used(draw, photometry, bandpasses):
    drawn = draw(3, 0.1)
    measured = photometry(drawn.magnitudes, 0.02)
    with pytest.raises(InputError, match="predictions of several stars"):
        photometric_offsets(drawn.prediction[0], measured, bandpasses)
    with pytest.raises(InputError, match="one band"):
        photometric_offsets(drawn.prediction, {"g": measured["g"]}, bandpasses)
    with pytest.raises(InputError, match="width"):
        photometric_offsets(drawn.prediction, measured, bandpasses, width=-1.0)
