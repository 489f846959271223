import numpy as np
import pytest
from astropy import units as u
from dust_extinction.parameter_averages import G23
from numpy.testing import assert_allclose

from sedflux import InputError, LowRankCovariance
from sedflux.spectra.reddening import extinction_curve, redden

WAVELENGTH = np.linspace(2500.0, 10500.0, 50)


def test_curve_is_the_law():
    expected = G23(Rv=3.1).extinguish(WAVELENGTH * u.AA, Ebv=0.4)
    assert_allclose(np.exp(0.4 * extinction_curve(WAVELENGTH)), expected)


def test_a_changed_curve_does_not_change_the_next_one():
    wavelength = np.array([3000.0, 5500.0])
    first = extinction_curve(wavelength)
    kept = first.copy()
    first *= 2.0
    np.testing.assert_array_equal(extinction_curve(wavelength), kept)
    assert extinction_curve(5500.0).shape == ()
    np.testing.assert_array_equal(extinction_curve(wavelength[::-1]), kept[::-1])


def test_error_of_the_excess_moves_all_together():
    covariance = LowRankCovariance(np.zeros(50), np.zeros((0, 50)))
    log_flux, result = redden(WAVELENGTH, np.zeros(50), covariance, 0.2, reddening_error=0.05)
    curve = extinction_curve(WAVELENGTH)
    assert_allclose(log_flux, 0.2 * curve)
    assert_allclose(result.to_dense(), 0.05**2 * np.outer(curve, curve))


def test_unknown_law_and_ratio():
    with pytest.raises(InputError, match="'XYZ' is not known"):
        extinction_curve(WAVELENGTH, law="XYZ")
    with pytest.raises(InputError, match="r_v = 20"):
        extinction_curve(WAVELENGTH, r_v=20.0)
    with pytest.raises(InputError, match="not negative"):
        redden(WAVELENGTH, WAVELENGTH, LowRankCovariance(np.zeros(50), np.zeros((0, 50))), -0.1)


@pytest.mark.parametrize("r_v", [None, [3.1], "x", 3.1 * u.m, True])
def test_r_v_is_a_number(r_v):
    with pytest.raises(InputError, match="r_v"):
        extinction_curve(WAVELENGTH, r_v=r_v)


@pytest.mark.parametrize("reddening", [None, [0.1, 0.2], "x", 0.1 * u.m, 1j, True, np.nan])
def test_reddening_is_a_number(reddening):
    covariance = LowRankCovariance(np.ones(WAVELENGTH.size), np.zeros((0, WAVELENGTH.size)))
    zero = np.zeros(WAVELENGTH.size)
    with pytest.raises(InputError, match="reddening"):
        redden(WAVELENGTH, zero, covariance, reddening)
    with pytest.raises(InputError, match="reddening_error"):
        redden(WAVELENGTH, zero, covariance, 0.1, reddening_error=reddening)


@pytest.mark.parametrize(("change", "message"), [
    ({"law": np.array([])}, "law"), ({"wavelength": [500.0]}, "law G23 covers 912 to 320000"),
    ({"wavelength": "x"}, "wavelength"), ({"wavelength": 5 * u.kg}, "wavelength")])
def test_curves_of_wrong_arguments_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        extinction_curve(**({"wavelength": WAVELENGTH, "law": "G23"} | change))


@pytest.mark.parametrize(("log_flux", "covariance", "message"), [
    (np.zeros(50), None, "covariance is a NoneType"),
    (np.zeros(3), LowRankCovariance(np.ones(50), np.zeros((0, 50))), "log_flux has the shape"),
    ("x", LowRankCovariance(np.ones(50), np.zeros((0, 50))), "log_flux")])
def test_what_cannot_be_reddened_is_named(log_flux, covariance, message):
    with pytest.raises(InputError, match=message):
        redden(WAVELENGTH, log_flux, covariance, 0.1)
