"""Zero points from many stars, some of them wrong."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux import InputError, photometric_offsets
from sedflux.response.systematics import common_errors

from .conftest import WAVELENGTH

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


def test_errors_of_the_library_stay_however_many_stars_there_are(draw, photometry, bandpasses):
    """Of fields whose SEDs are all wrong by one draw of it."""
    pairs = ((2500.0, 0.04), (5000.0, 0.02), (10500.0, 0.02))
    rows = common_errors(WAVELENGTH, library_error=pairs)["library"].factor
    rng, pulls = np.random.default_rng(8), []
    for seed in range(40):
        drawn = draw(60, 0.0, seed=seed)
        wrong = replace(drawn.prediction, library_error={"toy": pairs},
                        flux=drawn.prediction.flux * np.exp(rng.standard_normal(len(rows)) @ rows))
        table = photometric_offsets(wrong, photometry(drawn.magnitudes, 0.01, seed=seed),
                                    bandpasses, reddening=0.0)
        assert (table["systematic"] > 2.0 * table["error"]).all()
        pulls.append(table["pull"].value)
    assert 0.75 < np.std(pulls) < 1.2


def test_errors_that_some_stars_share_move_the_offsets(draw, photometry, bandpasses):
    """A part of half of the stars, which is one sigma off in all of them."""
    drawn = draw(80, 0.0)
    part = np.zeros((80, WAVELENGTH.size))
    part[::2] = 0.05 * np.exp(-0.5 * ((WAVELENGTH - 3600.0) / 400.0) ** 2)
    measured = photometry(drawn.magnitudes, 0.01)
    sure, unsure = (replace(drawn.prediction, flux=flux, parts={"models": part}) for flux in (
        drawn.prediction.flux, drawn.prediction.flux * np.exp(part)))
    here, there = (photometric_offsets(seds, measured, bandpasses, reddening=0.0, width=10.0)
                   for seds in (sure, unsure))
    moved = np.abs((there["offset"] - here["offset"]).value)
    assert_allclose(moved, here["systematic"].value, rtol=0.1, atol=3e-4)
    assert here["systematic"][0].value > 0.01
    assert_allclose(np.diag(here.meta["systematic"]), here["systematic"].value**2)


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
