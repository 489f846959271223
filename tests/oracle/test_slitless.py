"""Response fits against a second simulator, with right and with wrong inputs."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u

from sedflux import InputError, LineSpread, ResponseCurve
from sedflux.response import CommonErrors
from sedflux.slitless.forward import count_model
from sedflux.slitless.throughput import Throughput

from . import slitless_sky
from .slitless_sky import BANDS, Wrong, make_objects, make_sky, true_throughput
from .slitless_study import fit_sky, interval_pulls, object_pulls

SIZE = 24


def rms_pull(name, response):
    error, sigma = interval_pulls(name, response)
    return np.sqrt(np.mean((error / sigma) ** 2))


def named(response):
    """Tests whose causes a fit names."""
    tests = response.diagnostics()
    return {str(row["test"]) for row in tests if row["order"] > 0}


def test_both_simulators_agree():
    """Error functions over the pixels and convolutions on a fine grid give the same counts."""
    name = "green"
    fwhm, dispersion = BANDS[name][2:4]
    fine = slitless_sky._FINE
    sharp = 1e-14 * slitless_sky._star_shapes(np.array([6000.0]), np.array([1.0]), [])[0]
    sharp /= sharp.mean() * 1e14
    edges = np.polynomial.polynomial.polyval(np.arange(60, 300) - 0.5, dispersion)
    area = 3e4 * slitless_sky.true_throughput(name, fine)
    light = np.diff(fine[:2]) * sharp * area * fine / slitless_sky._HC
    exact = slitless_sky._on_pixels(light, edges, fwhm)
    model = count_model(0.5 * (edges[1:] + edges[:-1]), fine, area=3e4,
                        line_spread=LineSpread.from_fwhm(fwhm))
    rate = model.counts(slitless_sky.true_throughput(name, model.fine), sharp)
    np.testing.assert_allclose(rate[3:-3], exact[3:-3], rtol=2e-3)


@pytest.fixture(scope="module")
def right():
    return make_sky("green", seed=3, size=SIZE, outliers=0.0)


def test_right_inputs_give_no_warning_and_are_covered(right):
    response, said = fit_sky(right)
    assert not said
    assert rms_pull("green", response) < 1.3
    response, said = fit_sky(right, common=CommonErrors.none())
    assert not said
    assert 0.4 < rms_pull("green", response) < 1.6


@pytest.mark.parametrize(("wrong", "test"), [
    (Wrong(stretch=0.01), "dispersion"),
    (Wrong(line_spread=0.25), "line spread"),
    (Wrong(background=1.0), "background"),
    (Wrong(field_tilt=0.15), "position"),
    (Wrong(field_dispersion=1.0), "dispersion over the field")])
def test_a_wrong_input_is_named(wrong, test):
    sky = make_sky("green", seed=4, size=SIZE, outliers=0.0, wrong=wrong)
    response, said = fit_sky(sky)
    assert any(f"test of {test}, p = " in one for one in said)
    assert test in named(response)


def test_a_wrong_scale_of_dust_is_named():
    """By default too, where every star is an outlier of its own; not what the budget allows."""
    sky = make_sky("green", seed=4, size=SIZE, outliers=0.0, wrong=Wrong(ebv_scale=1.0))
    response, said = fit_sky(sky)
    assert any("test of E(B-V) scale, p = " in one for one in said)
    assert "E(B-V) scale" in named(response)
    assert named(fit_sky(sky, common=CommonErrors(reddening_scale=0.05))[0]) & {
        "E(B-V)", "E(B-V) scale"}
    assert not named(fit_sky(sky, common=CommonErrors(reddening_scale=1.0))[0])


def test_only_errors_beyond_the_budget_are_named():
    sky = make_sky("green", seed=4, size=SIZE, outliers=0.0, wrong=Wrong(shift_pixels=0.6))
    assert "dispersion" in named(fit_sky(sky, common=CommonErrors(shift=0.05))[0])
    assert "dispersion" not in named(fit_sky(sky, common=CommonErrors(shift=0.6))[0])


def test_lines_of_seds_are_no_wrong_line_spread():
    """SEDs of R = 200 give lines of another width to the ends of a sharp band (p was 0.0004)."""
    response, said = fit_sky(make_sky("green", seed=9012, size=80))
    tests = {row["test"]: row["p"] for row in response.diagnostics()}
    assert tests["line spread"] > 0.01
    assert not said


@pytest.mark.parametrize(("wrong", "name", "value", "tolerance"), [
    (Wrong(stretch=0.01), "stretch", 0.01, 0.0005),
    (Wrong(shift_pixels=0.5), "shift", 0.5, 0.15),
    (Wrong(line_spread=0.1), "line_spread", 0.1, 0.02),
    (Wrong(background=1.0), "background", 1.0, 0.3)])
def test_a_wrong_instrument_is_fitted(wrong, name, value, tolerance):
    sky = make_sky("green", seed=4, size=SIZE, outliers=0.0, wrong=wrong)
    common = CommonErrors(background=0.3, fitted=("shift", "stretch", "line_spread", "background"))
    response, said = fit_sky(sky, common=common)
    assert not said
    row = response.common[response.common["name"] == name][0]
    assert row["value"] == pytest.approx(value, abs=tolerance)
    assert abs(row["value"] - value) < 5.0 * row["after"]
    assert rms_pull("green", response) < 1.3
    error, _ = interval_pulls("green", response)
    assert np.sqrt(np.mean(error**2)) < 0.012


@pytest.mark.parametrize(("wrong", "name", "value", "tolerance"), [
    (Wrong(field_dispersion=1.0), "shift_x", 1.0, 0.15),
    (Wrong(field_line_spread=0.25), "line_spread_x", 0.25, 0.05)])
def test_a_change_over_the_field_is_fitted(wrong, name, value, tolerance):
    sky = make_sky("green", seed=4, size=SIZE, outliers=0.0, wrong=wrong)
    common = CommonErrors(**{name: 2.0 * value}, fitted=[name])
    response, said = fit_sky(sky, common=common)
    assert not said
    row = response.common[0]
    # The stars do not reach the edges of the detector.
    reach = np.ptp(sky.x) / 4000.0
    assert row["name"] == name
    assert row["value"] / reach == pytest.approx(value, abs=tolerance)
    assert abs(row["value"] / reach - value) < 5.0 * row["after"]
    bare, warned = fit_sky(sky)
    assert warned or name == "line_spread_x"
    assert response.chi2 < bare.chi2


@pytest.mark.parametrize(("name", "wrong"), [
    ("blue", Wrong(ebv_offset=0.03)), ("red", Wrong(magnitude_offset=0.02))])
def test_what_the_counts_cannot_tell_is_covered(name, wrong):
    sky = make_sky(name, seed=6, size=SIZE, outliers=0.0, wrong=wrong)
    response, _ = fit_sky(sky)
    bare, _ = fit_sky(sky, common=CommonErrors.none())
    assert rms_pull(name, response) < 1.6
    assert rms_pull(name, bare) > 1.3 * rms_pull(name, response)


def test_pulls_of_other_objects():
    """Aperture loss and wavelength error of the object are part of its errors."""
    name = "green"
    wavelength = np.arange(3900.0, 6400.0, 4.0)
    known = ResponseCurve.from_throughput(
        Throughput(wavelength, true_throughput(name, wavelength)), area=3.0e4 * u.cm**2)
    told = {"grey_error": 0.01, "wavelength_error": 0.6}
    pixel, band = object_pulls(name, replace(known, **told), 60, seed=1)
    assert 0.85 < pixel.std() < 1.2
    assert 0.8 < band.std() < 1.3
    assert object_pulls(name, known, 60, seed=1)[1].std() > 1.6
    counts, _ = make_objects(name, 1, seed=2)[0]
    again = known.calibrate(counts, grey_error=0.01, wavelength_error=0.06 * u.nm)
    same = replace(known, **told).calibrate(counts)
    np.testing.assert_allclose(again.uncertainty.array, same.uncertainty.array, rtol=1e-12)
    for wrong in ({"grey_error": -0.1}, {"wavelength_error": np.nan}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            known.calibrate(counts, **wrong)
