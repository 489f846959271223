import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import (
    InputError,
    anchor,
    get_instrument,
    synthetic_photometry,
    to_source_spectrum,
)

GREEN = SpectralElement(Box1D, amplitude=1.0, x_0=5000.0, width=800.0)
RED = SpectralElement(Box1D, amplitude=1.0, x_0=7500.0, width=800.0)


def test_source_has_the_flux(sed):
    from synphot import units

    source = to_source_spectrum(sed)
    assert_allclose(source(sed.spectral_axis, flux_unit=units.FLAM).value, sed.flux.value)


def test_anchoring_gives_the_magnitude_and_its_error(sed):
    absolute = anchor(sed, 13.4 * u.ABmag, GREEN, magnitude_error=0.02 * u.mag)
    assert absolute.flux.unit == u.Unit("erg / (s cm2 Angstrom)")
    result = synthetic_photometry(absolute, {"green": GREEN, "red": RED})
    assert_allclose(result.value[0].value, 13.4, rtol=1e-10)
    assert_allclose(result.sigma[0].value, 0.02, rtol=0.05)
    color = synthetic_photometry(sed, {"green": GREEN, "red": RED}).color("green", "red")
    expected = np.hypot(color[1].value, 0.02)
    assert_allclose(result.sigma[1].value, expected, rtol=0.02)
    assert absolute.meta["header"]["SEDMAGER"] == 0.02
    assert absolute.meta["sedflux"]["model"] == sed.meta["sedflux"]["model"]


def test_covariance_between_bands_is_used_for_colors(sed):
    result = synthetic_photometry(sed, {"green": GREEN, "red": RED})
    _, error = result.color("green", "red")
    variance = result.covariance
    assert_allclose(error.value**2, variance[0, 0] + variance[1, 1] - 2 * variance[0, 1])


def test_throughputs_of_an_instrument_are_bands(sed):
    """What read_throughput and get_instrument give needs no conversion."""
    throughput = get_instrument("lookalike").bands["GV"].throughput
    element = throughput.to_synphot()
    absolute = anchor(sed, 15.0 * u.ABmag, throughput, magnitude_error=0.01 * u.mag)
    assert_allclose(absolute.flux.value, anchor(sed, 15.0 * u.ABmag, element).flux.value)
    given, converted = (synthetic_photometry(absolute, {"GV": band, "red": RED})
                        for band in (throughput, element))
    assert_allclose(given.value.value, converted.value.value)
    assert_allclose(given.covariance, converted.covariance)


@pytest.mark.parametrize(("kwargs", "message"), [
    ({"bandpasses": []}, "empty"),
    ({"bandpasses": ["V"]}, r"is a str; .*read_throughput reads files.*SpectralElement"),
    ({"bandpasses": SpectralElement(Box1D, x_0=11000.0, width=2000.0)}, "must lie inside"),
    ({"bandpasses": GREEN, "unit": u.Jy}, "u.ABmag and u.ct"),
    ({"bandpasses": GREEN, "unit": u.ct}, "collecting area"),
    ({"bandpasses": GREEN, "unit": u.ct, "area": 3 * u.m}, "collecting area"),
    ({"bandpasses": GREEN, "unit": u.ct, "area": 5}, "collecting area"),
    ({"bandpasses": GREEN, "unit": u.ct, "area": [1, 2] * u.cm**2}, "collecting area"),
    ({"bandpasses": None}, "bandpasses is None"),
    ({"bandpasses": GREEN, "unit": 10**400}, "u.ABmag and u.ct"),
    ({"bandpasses": "V"}, "bandpasses is 'V'"),
])
def test_bad_bands_and_units(sed, kwargs, message):
    sed = anchor(sed, 13.4 * u.ABmag, GREEN)
    with pytest.raises(InputError, match=message):
        synthetic_photometry(sed, **kwargs)


@pytest.mark.parametrize(("magnitude", "error", "message"), [
    (13.4, 0.0 * u.mag, "AB magnitude"),
    (np.nan * u.ABmag, 0.0 * u.mag, "AB magnitude"),
    (13.4 * u.ABmag, -1.0 * u.mag, "0 mag or more"),
    ([13.4, 13.5] * u.ABmag, 0.0 * u.mag, "magnitude is"),
    (800.0 * u.ABmag, 0.0 * u.mag, "from -50 to 100"),
    (-800.0 * u.ABmag, 0.0 * u.mag, "from -50 to 100"),
    (13.4 * u.ABmag, 1e300 * u.mag, "10 mag at the most"),
    (13.4 * u.ABmag, 1.0 * u.m, "magnitude_error is"),
    (13.4 * u.ABmag, None, "magnitude_error is None"),
    (13.4 * u.ABmag, True, "magnitude_error is True"),
])
def test_bad_anchors(sed, magnitude, error, message):
    with pytest.raises(InputError, match=message):
        anchor(sed, magnitude, GREEN, magnitude_error=error)


def test_a_relative_sed_has_colours_alone(sed):
    """The zero point of a relative SED is arbitrary: no magnitude comes out."""
    bands = {"green": GREEN, "red": RED}
    relative = synthetic_photometry(sed, bands)
    absolute = synthetic_photometry(anchor(sed, 13.4 * u.ABmag, GREEN), bands)
    assert relative.value.unit == u.mag
    assert relative.value[0] == 0.0 * u.mag
    for first, second in (("green", "red"), ("red", "green")):
        found, expected = relative.color(first, second), absolute.color(first, second)
        assert_allclose(found[0].value, expected[0].value, rtol=1e-9)
        assert_allclose(found[1].value, expected[1].value, rtol=1e-6)
    for options in ({"bandpasses": GREEN}, {"bandpasses": bands, "unit": u.ct, "area": 1 * u.m**2}):
        with pytest.raises(InputError, match="sed is relative"):
            synthetic_photometry(sed, **options)


def test_bands_of_the_same_name_stay_apart(sed):
    photometry = synthetic_photometry(sed, [GREEN, RED, GREEN])
    assert len(photometry.bands) == 3
    assert_allclose(photometry.value[2].value, 0.0, atol=1e-12)
    with pytest.raises(InputError, match="band 'blue' is unknown"):
        photometry.color("blue", photometry.bands[0])
    with pytest.raises(InputError, match=r"bandpasses is 3\.0"):
        synthetic_photometry(sed, 3.0)


def test_one_magnitude_needs_one_band(sed):
    with pytest.raises(InputError, match="bandpass holds 2 bands"):
        anchor(sed, 13.4 * u.ABmag, [GREEN, RED])
