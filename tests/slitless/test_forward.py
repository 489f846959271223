"""The forward model of extracted spectra: line-spread functions, orders, linearity."""

import numpy as np
import pytest
from astropy import units as u
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sedflux import InputError, LineSpread
from sedflux.slitless.forward import (
    SecondOrder,
    blur_operator,
    count_model,
    fine_grid,
)
from sedflux.spectra.grids import integral_matrix, sed_grid
from sedflux.spectra.resolution import FWHM_PER_SIGMA, lsf_matrix, recovery_matrix
from sedflux.units import photons_per_flux

PIXELS = np.arange(4100.0, 6100.0, 8.0)
GRID = sed_grid()


def smooth_flux(wavelength):
    return 1e-14 * (wavelength / 5000.0) ** -1.3 * (
        1.0 - 0.3 * np.exp(-0.5 * ((wavelength - 4861.0) / 30.0) ** 2))


def throughput(wavelength):
    return 0.3 + 0.1 * np.sin(wavelength / 150.0)


def test_a_line_spread_function_conserves_photons():
    """The photons of a narrow line far from the edges are all detected."""
    line = 1e-14 * np.exp(-0.5 * ((GRID - 5000.0) / 40.0) ** 2) + 1e-30
    sharp = count_model(PIXELS, GRID, area=1e4)
    for spread in (LineSpread.from_resolving_power(200.0), LineSpread.from_fwhm(40.0),
                   LineSpread.tabulated([4000.0, 7000.0], np.linspace(-60, 60, 121),
                                        [np.exp(-np.abs(np.linspace(-60, 60, 121)) / 12.0)] * 2)):
        broad = count_model(PIXELS, GRID, area=1e4, line_spread=spread)
        total = broad.counts(np.ones(broad.fine.size), line).sum()
        assert total == pytest.approx(sharp.counts(np.ones(sharp.fine.size), line).sum(), rel=2e-3)


def test_gaussian_widths_add_in_quadrature():
    """A Gaussian line and a Gaussian line-spread function have an analytic convolution."""
    wavelength = np.arange(3800.0, 6400.0, 1.0)
    flux = np.exp(-0.5 * ((wavelength - 5000.0) / 30.0) ** 2) / photons_per_flux(wavelength)
    model = count_model(PIXELS, wavelength, area=1.0, line_spread=LineSpread.from_fwhm(
        20.0 * FWHM_PER_SIGMA))
    rate = model.counts(np.ones(model.fine.size), flux)
    width = np.hypot(30.0, 20.0)
    expected = 8.0 * 30.0 / width * np.exp(-0.5 * (PIXELS - 5000.0) ** 2 / width**2)
    # The mean over a pixel of 8 Angstrom differs from the value at its centre.
    expected *= 1.0 + 8.0**2 / 24.0 / width**2 * (((PIXELS - 5000.0) / width) ** 2 - 1.0)
    assert_allclose(rate, expected, atol=1e-4 * expected.max())


def test_tabulated_gaussian_equals_the_gaussian():
    offset = np.linspace(-80.0, 80.0, 641)
    table = LineSpread.tabulated([4000.0, 6500.0], offset,
                                 np.exp(-0.5 * (offset / np.array([[12.0], [12.0]])) ** 2))
    assert_allclose(table.fwhm, FWHM_PER_SIGMA * 12.0, rtol=1e-4)
    one = count_model(PIXELS, GRID, area=1.0, line_spread=table)
    other = count_model(PIXELS, GRID, area=1.0, line_spread=LineSpread.from_fwhm(
        FWHM_PER_SIGMA * 12.0))
    flux = smooth_flux(GRID)
    assert_allclose(one.counts(throughput(one.fine), flux)[8:-8],
                    other.counts(throughput(other.fine), flux)[8:-8], rtol=1e-3)


def test_a_skewed_profile_moves_light_the_right_way():
    """Offset is detected minus true wavelength: all light moves by +20 Angstrom."""
    offset = np.linspace(-60.0, 60.0, 481)
    spread = LineSpread.tabulated([5000.0], offset, np.exp(-0.5 * ((offset - 20.0) / 5.0) ** 2))
    flux = np.exp(-0.5 * ((GRID - 5000.0) / 40.0) ** 2) / photons_per_flux(GRID)
    model = count_model(PIXELS, GRID, area=1.0, line_spread=spread)
    rate = model.counts(np.ones(model.fine.size), flux)
    assert (rate * PIXELS).sum() / rate.sum() == pytest.approx(5020.0, abs=0.5)


@given(st.integers(0, 2**31))
def test_counts_are_linear_in_sed_and_throughput(seed):
    rng = np.random.default_rng(seed)
    model = count_model(PIXELS[:60], GRID, area=1.0, line_spread=LineSpread.from_fwhm(25.0))
    one, two = rng.uniform(0.5, 2.0, (2, GRID.size))
    first, second = rng.uniform(0.0, 1.0, (2, model.fine.size))
    assert_allclose(model.counts(first, one + 3.0 * two),
                    model.counts(first, one) + 3.0 * model.counts(first, two), rtol=1e-10)
    assert_allclose(model.counts(first + 2.0 * second, one),
                    model.counts(first, one) + 2.0 * model.counts(second, one), rtol=1e-10)


def test_many_stars_and_their_grey_factors():
    model = count_model(PIXELS, GRID, area=1.0)
    flux = np.stack([smooth_flux(GRID), 2.0 * smooth_flux(GRID)])
    rate = model.counts(throughput(model.fine), flux, grey=np.array([[1.0], [0.5]]))
    assert_allclose(rate[0], rate[1])


def test_second_order_is_blue_light_on_red_pixels():
    pixels = np.arange(7000.0, 9000.0, 10.0)
    blue = SecondOrder(np.array([3400.0, 3500.0, 4600.0, 4700.0]), np.array([0.0, 0.1, 0.1, 0.0]))
    flux = smooth_flux(GRID)
    without = count_model(pixels, GRID, area=1e4)
    model = count_model(pixels, GRID, area=1e4, second_order=blue)
    extra = model.counts(throughput(model.fine), flux) - without.counts(
        throughput(without.fine), flux)
    assert_allclose(extra[20:-20] / (1e4 * 5.0 * 0.1 * photons_per_flux(pixels / 2)
                                     * smooth_flux(pixels / 2))[20:-20], 1.0, rtol=0.01)


def test_integrals_on_an_even_grid_are_corrected_for_curvature():
    spread, fine = LineSpread.from_fwhm(30.0), np.arange(4000.0, 5000.1, 6.0)
    low, high = np.array([4480.0]), np.array([4490.0])
    exact = 20.0 * (np.sin(high / 20.0) - np.sin(low / 20.0)) * np.exp(
        -0.5 * (30.0 / FWHM_PER_SIGMA / 20.0) ** 2)
    plain, corrected = (
        abs(float((integral_matrix(fine, low, high) @ matrix @ np.cos(fine / 20.0) / exact)[0]) - 1)
        for matrix in (spread.matrix(fine), blur_operator(fine, spread)))
    assert corrected < 1e-4
    assert corrected < 0.05 * plain


def test_recovery_undoes_the_broadening():
    """Recovered samples of R = 200, broadened to R = 200 again, give the same samples."""
    fine = np.geomspace(2450.0, 10600.0, 12000)
    truth = 1.0 - 0.5 * np.exp(-0.5 * ((fine - 4861.0) / 12.0) ** 2)
    sigma = GRID / 200.0 / FWHM_PER_SIGMA
    seen = lsf_matrix(fine, sigma, new_wavelength=GRID) @ truth
    inside = (GRID > 4400.0) & (GRID < 5400.0)
    again = lsf_matrix(fine, sigma, new_wavelength=GRID)
    covered = (fine >= GRID[0]) & (fine <= GRID[-1])
    recovered = np.where(covered, recovery_matrix(GRID, 200.0, fine) @ seen, 1.0)
    plain = np.interp(fine, GRID, seen)
    error = np.abs((again @ recovered) - seen)[inside].max()
    assert error < 0.1 * np.abs((again @ plain) - seen)[inside].max()
    assert error < 2e-3


def test_fine_grid_reaches_beyond_the_pixels():
    spread = LineSpread.from_fwhm(20.0)
    fine = fine_grid(4000.0, 5000.0, spread, extra=[4321.0])
    assert fine[0] < 4000.0 - 40.0
    assert fine[-1] > 5040.0
    assert 4321.0 in fine


def test_line_spread_functions_take_units():
    plain = LineSpread.from_resolving_power([200.0, 300.0], [4000.0, 5000.0])
    found = LineSpread.from_resolving_power([200.0, 300.0], [400.0, 500.0] * u.nm)
    assert_allclose(found.fwhm_at(PIXELS), plain.fwhm_at(PIXELS))
    assert LineSpread.from_fwhm(2.5 * u.nm).fwhm_at(5000.0) == pytest.approx(25.0)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: LineSpread.from_resolving_power(-3.0), "positive"),
    (lambda: LineSpread([4000.0, 3000.0], [1.0, 1.0]), "ascending"),
    (lambda: LineSpread.from_fwhm(np.nan), "fwhm .* not finite"),
    (lambda: LineSpread.from_fwhm(0.0), "fwhm .* positive"),
    (lambda: LineSpread.from_fwhm(3.0 * u.s), "fwhm"),
    (lambda: LineSpread.from_fwhm("wide"), "fwhm"),
    (lambda: LineSpread.from_fwhm(20.0, [-100.0]), "wavelength .* shapes|positive"),
    (lambda: LineSpread([np.nan, 4000.0], [1.0, 1.0]), "wavelength .* not finite"),
    (lambda: LineSpread.from_resolving_power(np.nan), "resolving_power .* not finite"),
    (lambda: LineSpread.from_resolving_power("200"), "resolving_power"),
    (lambda: LineSpread.from_resolving_power(200.0 * u.m), "resolving_power"),
    (lambda: LineSpread.from_resolving_power([]), "resolving_power"),
    (lambda: LineSpread.from_resolving_power([200.0, 300.0]), "one number"),
    (lambda: LineSpread.from_resolving_power([200.0, 300.0], [1e3, 2e3, 3e3]), "shapes"),
    (lambda: LineSpread.tabulated([5000.0], [-1.0, 0.0, 1.0], [[0.0, np.nan, 0.0]]), "profile"),
    (lambda: LineSpread.tabulated([5000.0], [-1.0, 0.0, 1.0], [[0.0, 0.0, 0.0]]), "is zero"),
    (lambda: SecondOrder(np.array([3500.0, 3400.0]), np.array([0.1, 0.1])), "ascending"),
    (lambda: SecondOrder(np.array([3400.0, 3500.0]), np.array([0.1, np.nan])), "second order"),
    (lambda: SecondOrder(np.array([3400.0, 3500.0]), np.array([0.1, 0.1]), ratio=0.0), "ratio"),
    (lambda: LineSpread.tabulated([1.0], [0.0, 1.0], [[1.0, 1.0]]), "offset and profile"),
    (lambda: count_model(np.arange(2400.0, 2500.0, 5.0), GRID, area=1.0), "cut the counts"),
    (lambda: count_model(PIXELS, GRID, area=1.0, line_spread=LineSpread.from_fwhm(1e-4)),
     "too narrow"),
])
def test_impossible_input_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("power", [1e-300, 0.5, 1e300, -1.0])
def test_resolving_powers_of_no_spectrograph_are_refused(power):
    with pytest.raises(InputError, match="resolving_power"):
        LineSpread.from_resolving_power(power)


@pytest.mark.parametrize("value", [[[1.0], [2.0, 3.0]], "x", {}, None, 5 * u.kg])
def test_widths_are_numbers(value):
    with pytest.raises(InputError, match="fwhm"):
        LineSpread.from_fwhm(value)
