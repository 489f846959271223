"""White dwarfs of simulated fields: their counts, their draws, and what they add to a plan."""

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose

from sedflux import InputError, fit_response, get_instrument, plan_calibration, simulate_field
from sedflux.simulate import planning
from sedflux.simulate.simulator import Simulator
from sedflux.simulate.white_dwarfs import (
    WhiteDwarfs,
    checked_white_dwarfs,
    draw_magnitudes,
    white_dwarf_counts,
)

BANDS = get_instrument("lookalike").bands
#: Any model can stand in for that of white dwarfs, if its references have these temperatures.
HOT = WhiteDwarfs(number=6, model="uara.stars2", teff=(7500.0, 9500.0), magnitudes=(14.0, 17.0))


def test_counts_near_the_sun_are_those_of_a_uniform_density():
    # Within 50 parsec the disc is nearly uniform: counts grow as 10^(0.6 m).
    counts = white_dwarf_counts([9.0, 10.0])
    assert counts[1] / counts[0] == pytest.approx(10**0.6, rel=0.02)


def test_counts_flatten_beyond_the_disc():
    counts = white_dwarf_counts(np.arange(16.0, 25.0))
    slope = np.diff(np.log10(counts))
    assert (np.diff(slope) < 0).all()
    # Deep in the disc's outskirts only the plane adds stars, as the square of the distance.
    assert slope[-1] == pytest.approx(0.4, abs=0.02)


def test_ranges_of_temperature_add_up():
    whole = white_dwarf_counts(18.0, teff=(8000.0, 60000.0))
    parts = white_dwarf_counts(18.0, teff=(8000.0, 20000.0)) + white_dwarf_counts(
        18.0, teff=(20000.0, 60000.0))
    assert_allclose(whole, parts, rtol=1e-4)


def test_one_hot_white_dwarf_brighter_than_18_every_few_square_degrees():
    assert 3.0 < 1.0 / white_dwarf_counts(18.0 * u.mag) < 8.0


def test_draws_follow_the_counts():
    teff = np.geomspace(12000.0, 80000.0, 400)
    rows, magnitude = draw_magnitudes(teff, (14.0, 18.0), 4000, np.random.default_rng(2))
    limits = np.array([14.0, 16.0, 17.0, 17.5, 18.0])
    expected = np.diff(white_dwarf_counts(limits))
    found = np.histogram(magnitude, limits)[0] / 4000
    assert_allclose(found, expected / expected.sum(), atol=0.025)
    hot = white_dwarf_counts([14.0, 18.0], teff=(30000.0, 80000.0))
    everything = white_dwarf_counts([14.0, 18.0])
    assert (teff[rows] > 30000.0).mean() == pytest.approx(
        np.diff(hot)[0] / np.diff(everything)[0], abs=0.03)


def test_a_number_or_an_area():
    assert checked_white_dwarfs(5).draw_number(np.random.default_rng(1)) == 5
    field = WhiteDwarfs(area=20.0)
    assert field.expected == pytest.approx(
        20.0 * float(np.diff(white_dwarf_counts([14.0, 18.0]))[0]))
    numbers = [field.draw_number(np.random.default_rng(seed)) for seed in range(400)]
    assert np.mean(numbers) == pytest.approx(field.expected, abs=0.3)
    assert WhiteDwarfs(area=72000 * u.arcmin**2).expected == pytest.approx(field.expected)


@pytest.mark.parametrize("wrong", [
    {}, {"number": 3, "area": 1.0}, {"number": -1}, {"area": 0.0}, {"area": 1e5},
    {"area": 1 * u.m**2}, {"number": 3, "teff": (5000.0, 9000.0)},
    {"number": 3, "magnitudes": (18.0, 14.0)}, {"number": 3, "magnitudes": 15.0},
])
def test_wrong_white_dwarfs_are_refused(wrong):
    with pytest.raises(InputError):
        WhiteDwarfs(**wrong)


@pytest.fixture(scope="module")
def both():
    return simulate_field({"GV": BANDS["GV"]}, size=8, seed=3, outliers=0.0, white_dwarfs=HOT)


def test_ordinary_stars_do_not_change_beside_white_dwarfs(both):
    alone = simulate_field({"GV": BANDS["GV"]}, size=8, seed=3, outliers=0.0)
    assert_allclose(both.flux[:8], alone.flux)
    assert (both.truth["kind"][:8] == "star").all()
    assert len(both.seds) == len(both.counts["GV"]) == len(both.truth) == 14


def test_white_dwarfs_follow_their_settings(both):
    part = both.truth[8:]
    assert (part["kind"] == "white dwarf").all()
    assert part["name"][0] == "dwarf0000"
    for name, (low, high) in (("teff", HOT.teff), ("magnitude", HOT.magnitudes)):
        assert part[name].min() >= low
        assert part[name].max() <= high
    # Their SEDs are those of hot stars: bluer than the others.
    blue = both.flux[:, both.wavelength < 3300].mean(axis=1) / both.flux[:, 300]
    assert np.median(blue[8:]) > np.median(blue[:8])


def test_a_response_takes_both_kinds_together(both):
    # A field of each kind alone and of both: the errors of both are the smallest.
    band = BANDS["GV"]
    rows = {"stars": range(8), "white dwarfs": range(8, 14), "both": range(14)}
    sigma = {}
    for name, some in rows.items():
        response = fit_response([both.counts["GV"][row] for row in some],
                                [both.seds[row] for row in some], band=band, grey_error=0.01)
        inside = (response.wavelength > 4500) & (response.wavelength < 5800)
        sigma[name] = np.median(response.sigma[inside] / response.throughput[inside])
    assert sigma["both"] < min(sigma["stars"], sigma["white dwarfs"])


def test_true_seds_of_another_resolving_power_are_refused(toy_library):
    with pytest.raises(InputError, match="different resolving power"):
        Simulator({"GV": BANDS["GV"]}, library=toy_library, white_dwarfs=HOT)


def test_white_dwarfs_of_a_library(toy_library):
    dwarfs = WhiteDwarfs(number=3, model="uara.stars2", library=toy_library, teff=(7000.0, 11000.0))
    field = simulate_field({"GV": BANDS["GV"]}, size=2, seed=1, library=toy_library,
                           white_dwarfs=dwarfs)
    teff = np.asarray(toy_library.labels[:, 0])
    assert set(field.truth["teff"][2:]) <= set(teff[teff > 7000.0])


def test_a_plan_says_what_white_dwarfs_add(monkeypatch):
    # The sums are exact for any number of stars.
    monkeypatch.setattr(planning, "_SIMULATED_STARS", 60)
    plan = plan_calibration(BANDS["GU"], stars_per_exposure=80, white_dwarfs=HOT)
    table = plan.white_dwarfs
    assert table.meta["expected"] == 6
    assert_allclose(table["both"] ** -2.0, table["stars"] ** -2.0 + table["white_dwarfs"] ** -2.0)
    assert_allclose(table["stars_per_white_dwarf"],
                    (table["star"] / table["white_dwarf"]) ** 2)
