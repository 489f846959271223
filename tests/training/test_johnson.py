"""Johnson colours of real stars: rules, dust and zero points, on a toy file."""

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose

from sedflux.spectra.grids import sed_grid
from sedflux.training.johnson import (
    color_responses,
    johnson_weights,
    read_johnson,
    zero_points,
)


@pytest.fixture
def catalogue(tmp_path, johnson_writer):
    """A quiet star, then one of each rule."""
    names = ["quiet", "unknown", "variable", "suspected", "double", "mira", "far", "eggen",
             "speckle", "faint"]
    path = johnson_writer(tmp_path / "johnson.fits", names, np.tile([0.1, 0.6, 0.3], (10, 1)))
    with fits.open(path, mode="update") as hdus:
        data = hdus["STARS"].data
        data["R_I"][1] = np.nan
        data["VARID"][2], data["VARID"][3] = "V7", "12"
        data["DMAG"][4], data["SEP"][4] = 0.5, 2.0
        data["OTYPE"][5] = "LP*"
        data["PLX"][6] = 0.5
        data["R_I_SYS"][7] = "E"
        data["DMAG"][8], data["SEP"][8:] = np.nan, 0.1
    return path


def test_rules_leave_out_and_weigh_down(catalogue):
    johnson = read_johnson(catalogue)
    by_name = dict(zip(johnson.name, range(len(johnson.name)), strict=True))
    assert {name for name in johnson.name if not johnson.use[by_name[name]]} == {"double", "mira",
                                                                                  "speckle"}
    errors = johnson.errors[:, 0]
    assert errors[by_name["quiet"]] < errors[by_name["suspected"]] < errors[by_name["variable"]]
    assert np.isnan(johnson.colors[by_name["unknown"], 2])
    assert np.isnan(johnson.colors[by_name["eggen"], 2])
    assert johnson.zero == (0.4, 0.01)


def test_near_stars_have_no_dust(catalogue):
    johnson = read_johnson(catalogue)
    near, far = johnson.name == "quiet", johnson.name == "far"
    assert johnson.dust_free[near][0]
    assert not johnson.dust_free[far][0]
    assert johnson.ebv[near][0] < 0.005
    assert johnson.ebv_error[near][0] < 0.01
    # Of a star at 2 kpc its own spectrum says more than its distance.
    assert_allclose(johnson.ebv[far], 0.03, atol=0.005)
    assert johnson.ebv_error[far][0] > 0.02


def test_responses_are_derivatives(catalogue, rng):
    weights = johnson_weights(catalogue)
    log_sed = 0.3 * np.sin(sed_grid() / 700.0)
    colors, responses = color_responses(log_sed, weights)
    change = 1e-5 * rng.standard_normal(log_sed.size)
    moved, _ = color_responses(log_sed + change, weights)
    assert_allclose(moved - colors, responses @ change, atol=1e-9)
    assert_allclose(responses.sum(axis=1), 0.0, atol=1e-12)
    flat, _ = color_responses(np.zeros(log_sed.size), weights)
    assert_allclose(flat, 0.0, atol=1e-12)


def test_zero_points_are_medians_but_that_of_u():
    colors = np.array([[0.1, 0.5, 0.2], [0.2, 1.0, 0.3], [0.2, 1.5, np.nan]])
    residual = np.array([[0.9, 0.5, -0.7], [0.9, 0.6, -0.9], [0.9, 0.7, np.nan]])
    zero = zero_points(colors, (0.4, 0.02), residual)
    assert_allclose(zero[:, 0], [0.41, 0.42, 0.43])
    assert_allclose(zero[:, 1:], [[0.6, -0.8]] * 3)


def test_zero_point_of_the_reddest_colour_has_a_slope(rng):
    colors = np.full((60, 3), 0.3)
    colors[:, 1] = rng.uniform(0.0, 1.5, 60)
    residual = np.full((60, 3), 0.5)
    residual[:, 2] = -0.7 - 0.06 * colors[:, 1] + 0.003 * rng.standard_normal(60)
    expected = -0.7 - 0.06 * colors[:, 1]
    residual[:3, 2] += 0.5
    assert_allclose(zero_points(colors, (0.4, 0.0), residual)[:, 2], expected, atol=0.004)
