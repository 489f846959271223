"""Error budget, leave-one-out, split halves, overlaps of bands, and plans."""

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose

from sedflux import (
    InputError,
    ResponseCurve,
    error_budget,
    fit_response,
    get_instrument,
    plan_calibration,
)
from sedflux.response.quality import leave_one_out, overlap_consistency, split_half
from sedflux.simulate import planning


def test_the_budget_adds_up(responses):
    for response in responses.values():
        table = error_budget(response)
        parts = ("photons", "sed", "reddening", "anchor", "extraction", "smoothness")
        total = sum(np.asarray(table[name]) ** 2 for name in parts)
        assert_allclose(total, table["statistical"] ** 2, rtol=1e-6)
        assert {"library", "truth scale", "wavelength scale"} < set(response.systematics)
        common = sum(np.asarray(table[name]) ** 2 for name in response.systematics)
        assert_allclose(total + common, table["total"] ** 2, rtol=1e-6)
        good = np.asarray(table["good"])
        assert (np.asarray(table["photons"])[good] > 0).all()


def test_the_budget_has_the_known_origins(responses):
    """SEDs limit the ultraviolet; the anchor and aperture losses are grey, 1 % over root N."""
    table = error_budget(responses["GU"])
    inside = np.asarray(table["good"])
    assert np.median(table["sed"][inside]) > np.median(table["photons"][inside])
    used = responses["GU"].stars["used"].sum()
    for name in ("anchor", "extraction"):
        assert np.median(table[name][inside]) == pytest.approx(0.01 / np.sqrt(used), rel=0.35)


def test_leaving_one_out_equals_a_fit_without(sky, responses):
    table = leave_one_out(responses["GV"])
    used = responses["GV"].stars["used"]
    assert len(table) == used.sum()
    star = table["name"][int(np.argmax(table["influence"]))]
    names = [name for name in sky.names if name != star and name in set(
        responses["GV"].stars["name"][used])]
    rows = [sky.names.index(name) for name in names]
    without = fit_response([sky.counts["GV"][row] for row in rows], [sky.seds[row] for row in rows],
                           band=sky.bands["GV"], grey_error=0.01, wavelength_error=0.5 * u.AA,
                           smoothness=responses["GV"].smoothness)
    inside = responses["GV"].good & without.good
    change = np.abs(np.log(without.throughput / responses["GV"].throughput)
                    / responses["GV"].covariance.sigma)[inside].max()
    assert change == pytest.approx(table["influence"].max(), rel=0.35, abs=0.15)


def test_halves_differ_as_they_should(responses):
    pulls = []
    for seed in range(12):
        table = split_half(responses["GI"], seed=seed)
        good = np.asarray(table["good"])
        pulls.append(np.asarray(table["difference"] / table["sigma"])[good][::10])
    assert 0.6 < np.std(pulls) < 1.4


def test_bands_agree_where_they_overlap(sky, responses):
    for first, second, between in (("GU", "GV", (3986, 4026)), ("GV", "GI", (6207, 6364))):
        table = overlap_consistency(sky.counts[first], sky.counts[second], responses[first],
                                    responses[second])
        assert_allclose(table.meta["range"], between, atol=12.0)
        allowed = np.hypot(table.meta["allowed"], 2.0 * table.meta["error"])
        assert abs(table.meta["mean"]) < 3.0 * allowed
        assert (table["sigma"] > 0).all()
    with pytest.raises(InputError, match="do not overlap"):
        overlap_consistency(sky.counts["GU"], sky.counts["GI"], responses["GU"], responses["GI"])


def test_quality_needs_the_fit(responses, tmp_path):
    responses["GU"].write(tmp_path / "r.fits")
    with pytest.raises(InputError, match="right after fit_response"):
        error_budget(ResponseCurve.read(tmp_path / "r.fits"))


def test_a_plan_predicts_the_error(bands, responses, monkeypatch):
    # Half as many stars as a plan has are enough for all classes.
    monkeypatch.setattr(planning, "_SIMULATED_STARS", 120)
    plan = plan_calibration(bands["GV"], precision=0.005, stars_per_exposure=36)
    table = plan.to_table()
    predicted = np.median(table["one_exposure"])
    response = responses["GV"]
    rows = [np.abs(response.wavelength - middle) < 25.0 for middle in plan.wavelength]
    got = np.median([np.sqrt((response.covariance.factor[:, row].mean(axis=1) ** 2).sum())
                     for row in rows])
    assert predicted == pytest.approx(got, rel=0.35)
    assert (plan.stars_needed_best <= plan.stars_needed).all()
    assert_allclose(plan.exposures_needed, np.ceil((plan.one_exposure / 0.005) ** 2))
    assert len(plan.classes) > 3
    faint = plan_calibration(bands["GV"], precision=0.0025, stars_per_exposure=36)
    assert np.median(faint.stars_needed / plan.stars_needed) == pytest.approx(4.0, rel=0.05)


def test_wrong_arguments_of_a_plan_are_refused(bands):
    with pytest.raises(InputError, match="precision is 0"):
        plan_calibration(bands["GV"], precision=0.0)
    with pytest.raises(InputError, match="no throughput"):
        plan_calibration(get_instrument("csst").bands["GV"])
    for change, message in (({"stars_per_exposure": 0}, "stars_per_exposure is 0"),
                            ({"stars_per_exposure": 1.5}, "stars_per_exposure is 1.5"),
                            ({"precision": "small"}, "precision is 'small'"),
                            ({"precision": 2.0}, "precision is 2.0"),
                            ({"settings": {"outliers": 0.0}}, "settings is a dict")):
        with pytest.raises(InputError, match=message):
            plan_calibration(bands["GV"], **change)
    with pytest.raises(InputError, match="band is a str"):
        plan_calibration("GV")


def test_ranges_of_overlaps_have_units(sky, responses):
    pairs = [sky.counts["GU"], sky.counts["GV"], responses["GU"], responses["GV"]]
    plain, with_unit, given = (
        overlap_consistency(*pairs, wavelength_range=limits)
        for limits in ((3990.0, 4020.0), [399.0, 402.0] * u.nm, np.array([3990.0, 4020.0])))
    for table in (with_unit, given):
        assert_allclose(table.meta["range"], plain.meta["range"])
        assert_allclose(table["ratio"], plain["ratio"])
    for limits in ((4020.0, 3990.0), 4000.0, "GU", (3990.0, 4020.0) * u.s, (np.nan, 4000.0)):
        with pytest.raises(InputError, match="wavelength_range"):
            overlap_consistency(*pairs, wavelength_range=limits)
    with pytest.raises(InputError, match="first and second have 40 and 3"):
        overlap_consistency(pairs[0], pairs[1][:3], *pairs[2:])
    with pytest.raises(InputError, match=r"first\[0\] must be"):
        overlap_consistency(["a"], ["b"], *pairs[2:])
    with pytest.raises(InputError, match="seed is -1"):
        split_half(responses["GU"], seed=-1)
