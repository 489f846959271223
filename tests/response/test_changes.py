"""What changes over time and with the order: splines in time, second order as a parameter."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux import FieldTerms, InputError, ResponseCurve, fit_response, simulate_field
from sedflux.response import CommonErrors
from sedflux.slitless.forward import SecondOrder, count_model
from tests.response.test_fit import (
    AREA,
    FLUX,
    GRID,
    as_counts,
    field,
    make_sed,
    throughput,
)


def bump(time):
    """A change in time that no straight line follows."""
    return 0.08 * np.exp(-0.5 * ((time - 0.4) / 0.12) ** 2)


def test_a_smooth_change_in_time_is_recovered(rng, tmp_path):
    size = 80
    stars = {"epoch": rng.uniform(0.0, 1.0, size)}
    counts, seds = field(rng, size, directions=((0.02,), ("level",)),
                         change=lambda wavelength, star: bump(stars["epoch"][star]))
    terms = FieldTerms(epoch=True, epoch_knots=6, degree=0)
    assert terms.names == tuple(f"epoch {number}" for number in range(1, 10))
    response = fit_response(counts, seds, area=AREA, stars=stars, field=terms)
    response.write(tmp_path / "a.fits")
    wavelength, times = np.array([5000.0]), np.linspace(0.05, 0.95, 10)
    for curve in (response, ResponseCurve.read(tmp_path / "a.fits")):
        found = [curve.evaluate(wavelength, epoch=time, systematics=False)[:2] for time in times]
        error = np.array([value[0] - np.log(throughput(wavelength))[0] - bump(time)
                          for (value, _), time in zip(found, times, strict=True)])
        sigma = np.array([covariance.sigma[0] for _, covariance in found])
        assert np.abs(error / sigma).max() < 4.0
        assert np.abs(error).max() < 0.03
    straight = fit_response(counts, seds, area=AREA, stars=stars,
                            field=FieldTerms(epoch=True, degree=0))
    left = [straight.evaluate(wavelength, epoch=time)[0][0] - np.log(throughput(wavelength))[0]
            - bump(time) for time in times]
    assert np.abs(left).max() > 1.5 * np.abs(error).max()


def test_the_base_is_the_mean_over_time():
    terms = FieldTerms(epoch=True, epoch_knots=3, epochs=(2000.0, 2010.0))
    values = terms.values({"epoch": np.linspace(2000.0, 2010.0, 20001)})
    assert_allclose(values.mean(axis=0), 0.0, atol=1e-4)
    assert np.linalg.matrix_rank(values) == 6


@pytest.mark.parametrize(("options", "message"), [
    ({"epoch_knots": 2}, "epoch_knots is 2 and epoch is False"),
    ({"epoch": True, "epoch_knots": 51}, "0 to 50 is allowed"),
    ({"epoch": True, "epoch_knots": -1}, "epoch_knots is -1")])
def test_wrong_splines_in_time_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        FieldTerms(**options)


def with_second_order(rng, size, strength, slopes=0.0):
    """
    Counts of blue and red stars, whose second order is stronger than it is said to be.

    The slopes of the SEDs have errors, which differ where the second order comes from.
    """
    pixels = np.arange(6500.0, 9500.0, 15.0)
    order = SecondOrder(np.linspace(3200.0, 4800.0, 20), 0.02 * np.hanning(20))
    strong = replace(order, throughput=strength * order.throughput)
    model = count_model(pixels, GRID, area=AREA.value, second_order=strong)
    counts, seds = [], []
    for slope in np.linspace(-2.0, 1.0, size):
        flux = FLUX * (GRID / 5000.0) ** slope
        error = 0.02 * rng.standard_normal()
        if slopes:
            error = error + slopes * rng.standard_normal() * np.log(GRID / 5000.0)
        rate = model.counts(np.full(model.fine.size, 0.3), flux * np.exp(error))
        sigma = 0.01 * np.sqrt(rate * rate.mean())
        counts.append(as_counts(rate + sigma * rng.standard_normal(rate.size), sigma, pixels))
        seds.append(make_sed(flux, directions=((0.02, max(slopes, 1e-9)), ("level", "slope"))))
    return counts, seds, order


def test_the_second_order_is_fitted(rng):
    counts, seds, order = with_second_order(rng, 24, 1.2)
    given = {"area": AREA, "second_order": order, "grey_error": 0.0, "wavelength_error": 0.0}
    common = CommonErrors(second_order=0.3, fitted=["second_order"])
    response = fit_response(counts, seds, common=common, **given)
    row = response.common[0]
    assert row["name"] == "second_order"
    assert abs(row["value"] - 0.2) < 4.0 * row["after"]
    assert row["after"] < 0.05
    assert_allclose(response.throughput[response.good], 0.3, rtol=0.02)
    budget = fit_response(counts, seds, common=CommonErrors(second_order=0.3), robust=False,
                          **given)
    assert (response.systematics["second order"].sigma[response.good].max()
            < 0.5 * budget.systematics["second order"].sigma[budget.good].max())


def test_parameters_that_the_stars_cannot_tell_are_left_out(bands):
    sky = simulate_field({"GV": bands["GV"]}, size=10, seed=3, outliers=0.0)
    common = CommonErrors(second_order=0.1, shift_x=0.5, line_spread_y=0.1,
                          fitted=["second_order", "shift_x", "line_spread_y"])
    response = fit_response(sky.counts["GV"], sky.seds, band=bands["GV"], common=common)
    assert response.common is None
    assert "second order" not in response.systematics
