"""Numbers at the public doors."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose

from sedflux import FieldTerms, InputError, LineSpread, get_instrument
from sedflux.predict.checks import check_velocity
from sedflux.slitless.throughput import Throughput
from sedflux.units import finite_array, plain_number, whole_number


@pytest.mark.parametrize("value", [10**400, True, "5", None, 1j, np.nan, [1.0], np.ma.masked])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(InputError, match="exposure is"):
        plain_number(value, "exposure")


@pytest.mark.parametrize("value", [True, np.True_, 1.5, "5", None, -1])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(InputError, match="size is"):
        whole_number(value, "size")


def test_lists_of_quantities_are_arrays_with_a_unit():
    assert_allclose(finite_array((400 * u.nm, 5000 * u.AA), "wavelength", u.AA), [4000.0, 5000.0])
    assert_allclose(check_velocity([1 * u.km / u.s, 2000 * u.m / u.s], 2), [1.0, 2.0])
    for wrong in ([400 * u.nm, 1 * u.s], [400 * u.nm, 5000.0]):
        with pytest.raises(InputError, match="wavelength is no array"):
            finite_array(wrong, "wavelength", u.AA)
    with pytest.raises(InputError, match="radial_velocity is"):
        check_velocity([1 * u.km / u.s, 2 * u.AA], 2)


def test_throughputs_take_wavelengths_with_units():
    curve = Throughput([4000.0, 5000.0], [0.1, 0.2])
    assert_allclose(curve(450 * u.nm), curve(4500.0))
    assert_allclose(curve(450 * u.nm), 0.15)
    with pytest.raises(InputError, match="wavelength is no array"):
        curve(450 * u.s)


def test_bands_and_field_terms_take_pixels_and_electrons():
    band = get_instrument("lookalike").bands["GV"]
    plain = replace(band, sky=0.1, dark=0.02, read_noise=3.0, height=4, detector_size=(900, 800))
    assert replace(band, sky=0.1 * u.electron / u.s, dark=1.2 * u.electron / u.min,
                   read_noise=3 * u.electron, height=4 * u.pix,
                   detector_size=(900, 800) * u.pix) == plain
    for name in ("sky", "read_noise", "height", "detector_size"):
        with pytest.raises(InputError, match=name):
            replace(band, **{name: 3 * u.kg})
    terms = FieldTerms(position=1, size=(900, 800) * u.pix)
    assert terms == FieldTerms(position=1, size=(900, 800))
    stars = {"x": [0.0, 900.0], "y": [0.0, 400.0]}
    assert_allclose(terms.values({name: value * u.pix for name, value in stars.items()}),
                    terms.values(stars))
    with pytest.raises(InputError, match="x of the stars"):
        terms.values(stars | {"x": [0.0, 900.0] * u.AA})


def test_line_spreads_take_wavelengths_with_units():
    spread = LineSpread.from_resolving_power(200.0)
    assert_allclose(spread.fwhm_at(500 * u.nm), 25.0)
    with pytest.raises(InputError, match="wavelength is no array"):
        spread.fwhm_at(500 * u.s)
