"""The door for arrays: what is refused, and what gaps and masks do."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux import InputError
from sedflux.spectra.arrays import fill_gaps, spectrum_arrays

WAVELENGTH = np.linspace(4000.0, 7000.0, 301)
FLUX = 1.0 + 0.1 * np.sin(WAVELENGTH / 50.0)


def test_flux_is_of_order_one_and_information_stays():
    spectra = spectrum_arrays(WAVELENGTH, 3e-17 * FLUX, np.full(301, 1e36))
    assert_allclose(spectra.flux.mean(), 1.0)
    assert_allclose(spectra.flux[0] * np.sqrt(spectra.ivar[0]), 3e-17 * FLUX * 1e18)
    assert not spectra.noise_estimated


def test_the_mask_of_a_masked_array_counts():
    mask = np.zeros(301, dtype=bool)
    mask[40:60] = True
    masked = np.ma.masked_array(np.where(mask, 50.0, FLUX), mask=mask)
    both = [spectrum_arrays(WAVELENGTH, flux, np.ones(301), mask=given)
            for flux, given in ((masked, None), (FLUX, mask))]
    assert_allclose(both[0].flux, both[1].flux)
    assert_allclose(both[0].ivar, both[1].ivar)


def test_pixels_do_not_reach_into_gaps():
    keep = (WAVELENGTH < 5000.0) | (WAVELENGTH > 5500.0)
    spectra = fill_gaps(spectrum_arrays(WAVELENGTH[keep], FLUX[keep], np.ones(keep.sum())))
    assert len(spectra.wavelength) == keep.sum() + 2
    blank = spectra.wavelength[spectra.ivar[0] == 0]
    assert_allclose(blank, [5000.0, 5500.0], atol=10.1)
    whole = spectrum_arrays(WAVELENGTH, FLUX, np.ones(301))
    assert fill_gaps(whole) is whole


@pytest.mark.parametrize(("change", "message"), [
    ({"flux": np.full(301, "a")}, "no array of real numbers"),
    ({"flux": [[1.0, 2.0], [3.0]]}, "no array of real numbers"),
    ({"flux": FLUX + 1j}, "complex"),
    ({"flux": FLUX.astype(object)}, "object"),
    ({"wavelength": WAVELENGTH - 4100.0}, "must be positive"),
    ({"ivar": np.full(301, "a")}, "ivar is no array"),
])
def test_what_is_no_spectrum_is_refused_by_name(change, message):
    arguments = {"wavelength": WAVELENGTH, "flux": FLUX, "ivar": np.ones(301)} | change
    with pytest.raises(InputError, match=message):
        spectrum_arrays(**arguments)
