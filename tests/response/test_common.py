"""Errors that all stars share, and tests of a fit."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose

from sedflux import InputError, ResponseCurve, fit_response, fit_responses, simulate_field
from sedflux.cli.response import _common
from sedflux.exceptions import SedfluxWarning
from sedflux.response import CommonErrors, common_terms, iterate
from sedflux.response.common_terms import _parabolas
from sedflux.response.solve import Design, column_equations, normal_equations
from sedflux.spectra.reddening import extinction_curve

NAMES = ("reddening_zero_point", "reddening_scale", "r_v", "magnitude_zero_point", "shift",
         "stretch", "line_spread", "background")


@pytest.fixture(scope="module")
def band(bands):
    return bands["GV"]


@pytest.fixture(scope="module")
def stars(sky):
    return sky.counts["GV"][:9], sky.seds[:9]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-0.1, np.nan, "0.1", None, 1e20, True])
def test_wrong_common_errors_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        CommonErrors(**{name: value})


def test_common_errors_have_units_and_can_be_left_out(stars, band):
    assert CommonErrors(reddening_zero_point=10 * u.mmag).reddening_zero_point == 0.01
    response = fit_response(*stars, band=band, common=CommonErrors.none())
    assert set(response.systematics) == {"truth scale", "library"}
    with pytest.raises(InputError, match="common is a dict"):
        fit_response(*stars, band=band, common={"shift": 0.1})


def test_common_errors_have_the_size_that_is_given(responses):
    response = responses["GU"]
    found = response.systematics
    assert set(found) == {
        "truth scale", "library", "reddening zero point", "reddening law", "magnitude zero point",
        "wavelength scale", "line spread"}
    good = response.good
    assert_allclose(found["magnitude zero point"].sigma[good], 0.01 * 0.4 * np.log(10.0),
                    rtol=1e-3)
    # SEDs are scaled to magnitudes at 5600-7000 Angstrom, where dust changes nothing.
    curve = extinction_curve(response.wavelength) - extinction_curve([6250.0])
    assert_allclose(found["reddening zero point"].sigma[good], 0.02 * np.abs(curve)[good],
                    rtol=0.05)


def test_errors_of_another_size_are_in_proportion(stars, band, responses):
    one, two = (fit_response(*stars, band=band, common=CommonErrors(
        shift=shift, stretch=0.0, background=shift)) for shift in (0.1, 0.2))
    for name in ("wavelength scale", "background"):
        assert_allclose(two.systematics[name].sigma, 2.0 * one.systematics[name].sigma, rtol=1e-9)
    assert_allclose(two.throughput, one.throughput, rtol=1e-12)


def test_a_shift_changes_the_response_by_its_row(stars, band):
    """Wavelengths that are wrong by a pixel's tenth move the response as the budget says."""
    counts, seds = stars
    tenth = 0.1 * np.diff(counts[0].spectral_axis).mean()
    moved = [type(one)(spectral_axis=one.spectral_axis + tenth, flux=one.flux,
                       uncertainty=one.uncertainty) for one in counts]
    options = {"band": band, "robust": False, "grey_error": 0.0, "wavelength_error": 0.0,
               "common": CommonErrors(shift=0.1, stretch=0.0)}
    right, wrong = fit_response(counts, seds, **options), fit_response(moved, seds, **options)
    row = right.systematics["wavelength scale"].factor[0]
    change = wrong.evaluate(right.wavelength)[0] - right.evaluate(right.wavelength)[0]
    left = (np.abs(change) - np.abs(row))[right.good]
    assert np.sqrt(np.mean(left**2)) < 0.3 * np.sqrt(np.mean(row[right.good] ** 2))


def test_tests_of_a_good_fit_do_not_suspect(responses, tmp_path):
    for response in responses.values():
        table = response.diagnostics()
        assert {"chi2", "wavelength", "dispersion", "line spread", "background", "E(B-V)",
                "colour", "magnitude"} <= set(table["test"])
        assert ((table["p"] >= 0) & (table["p"] <= 1)).all()
        assert not table["suspect"].any()
        assert not table["order"].any()
    responses["GU"].write(tmp_path / "r.fits")
    with pytest.raises(InputError, match="right after fit_response"):
        ResponseCurve.read(tmp_path / "r.fits").diagnostics()


def test_column_equations_are_those_of_a_larger_design(rng):
    """Columns that are the same for all stars are more functions of the spline."""
    weight, diagonal = rng.uniform(1.0, 3.0, (4, 9)), rng.uniform(0.0, 0.1, (4, 9))
    factor, residual = rng.standard_normal((4, 2, 9)), rng.standard_normal((4, 9))
    basis, more = rng.standard_normal((9, 3)), rng.standard_normal((9, 2))
    inflation = np.array([1.0, 2.0, np.inf, 1.0])
    rest = (factor, weight, diagonal, residual, inflation)
    none = (np.zeros((9, 0)), np.zeros((4, 0)))
    whole, right = normal_equations(Design(np.c_[basis, more], *none), *rest)
    cross, own, more_right = column_equations(
        Design(basis, *none), *rest, np.broadcast_to(more, (4, 9, 2)))
    assert_allclose(cross, whole[:3, 3:])
    assert_allclose(own, whole[3:, 3:])
    assert_allclose(more_right, right[3:])


def test_the_default_error_of_wavelengths_is_a_tenth_of_a_pixel(stars, band):
    response = fit_response(*stars, band=band)
    width = np.diff(stars[0][0].spectral_axis.value).mean()
    assert response.wavelength_error == pytest.approx(0.1 * width, rel=1e-2)
    assert response.grey_error == 0.01
    with pytest.raises(InputError, match="wavelength_error"):
        fit_response(*stars, band=band, wavelength_error=1e3 * u.pix)


def test_options_may_differ_from_band_to_band(sky, bands):
    counts = {name: sky.counts[name][:9] for name in ("GU", "GV")}
    errors = {"GU": 0.8 * u.AA, "GV": 1.2}
    both = fit_responses(counts, sky.seds[:9], bands, wavelength_error=errors)
    assert both["GU"].wavelength_error == 0.8
    assert both["GV"].wavelength_error == 1.2
    with pytest.raises(InputError, match="wavelength_error is for the bands GU;"):
        fit_responses(counts, sky.seds[:9], bands, wavelength_error={"GU": 0.8})


def test_errors_that_seds_lack_are_asked_about_once(band):
    field = simulate_field({"GV": band}, size=9, seed=2, outliers=0.0, ebv_error=0.0,
                           magnitude_error=0.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit_response(field.counts["GV"], field.seds, band=band)
    said = [str(one.message) for one in caught if issubclass(one.category, SedfluxWarning)]
    for words in (r"no error of E(B-V)", "no error of the magnitude"):
        assert len([one for one in said if words in one and "9 of 9 stars" in one]) == 1


def test_the_shell_takes_common_errors():
    assert _common(["background=0.3", "shift=0"]) == CommonErrors(background=0.3, shift=0.0)
    assert _common(["fitted=shift,stretch"]).fitted == ("shift", "stretch")
    for text, message in (("fitted=dust", "fitted is"), ("dust=1", "NAME=ERROR"),
                          ("shift=much", "'much' is no number"), ("shift=-1", "shift is -1")):
        with pytest.raises(InputError, match=message):
            _common([text])


def test_wrong_parameters_are_refused():
    for wrong in ("shift", ["shift", "r_v"], None, 1):
        with pytest.raises(InputError, match="fitted is"):
            CommonErrors(fitted=wrong)
    with pytest.raises(InputError, match="an error above zero"):
        CommonErrors(fitted=["background"])
    assert CommonErrors(fitted=["stretch", "shift"]).fitted == ("shift", "stretch")


def test_a_parabola_is_interpolated_exactly(rng):
    grid = np.sort(rng.uniform(0.0, 1.0, 20))
    points = np.linspace(grid[0], grid[-1], 50)
    assert_allclose(_parabolas(grid, points) @ (1.0 - 2.0 * grid + 3.0 * grid**2),
                    1.0 - 2.0 * points + 3.0 * points**2, rtol=1e-9, atol=1e-9)


def test_fitted_parameters_are_known_better_after_the_fit(stars, band):
    """Their rows of the budget are smaller, and errors that are not fitted stay in it."""
    before = fit_response(*stars, band=band)
    after = fit_response(*stars, band=band, common=CommonErrors(fitted=["shift"]))
    assert before.common is None
    row = after.common[0]
    assert (row["name"], row["unit"], row["before"]) == ("shift", "pix", 0.3)
    assert row["after"] < 0.5 * row["before"]
    assert abs(row["value"]) < 4.0 * row["after"]
    inside = before.good
    assert (after.systematics["wavelength scale"].sigma[inside].max()
            < before.systematics["wavelength scale"].sigma[inside].max())
    assert len(after.systematics["wavelength scale"].factor) == 2
    assert_allclose(after.systematics["line spread"].sigma, before.systematics["line spread"].sigma,
                    rtol=0.1, atol=1e-5)


def test_what_does_not_converge_stays_in_the_budget(stars, band, monkeypatch):
    monkeypatch.setattr(iterate, "_TERM_STEPS", 1)
    monkeypatch.setattr(common_terms, "_CONVERGED", 0.0)
    common = CommonErrors(fitted=["shift"])
    with pytest.warns(SedfluxWarning, match="the fit of shift does not converge"):
        found = fit_response(*stars, band=band, common=common)
    plain = fit_response(*stars, band=band)
    assert found.common is None
    assert_allclose(found.throughput, plain.throughput, rtol=1e-6)
    assert_allclose(found.total_covariance.sigma, plain.total_covariance.sigma, rtol=1e-5)
