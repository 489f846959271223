"""The door for arrays: what is refused, and what gaps and masks do."""

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose

from sedflux import InputError
from sedflux.spectra.arrays import spectrum_arrays
from sedflux.spectra.gaps import fill_gaps

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
    ({"flux": FLUX > 1.0}, "flux is no array of real numbers .its type is bool"),
    ({"flux": np.full(301, np.inf)}, "flux has no good pixel"),
    ({"flux": FLUX * u.ABmag}, r"flux has the unit 'mag\(AB\)'"),
    ({"flux": FLUX * u.kg}, "flux has the unit 'kg'"),
    ({"wavelength": WAVELENGTH * u.kg}, "wavelength has the unit 'kg'"),
    ({"wavelength": np.ma.masked_greater(WAVELENGTH, 5000.0)}, "wavelength .* masked"),
    ({"ivar": np.ones(301) / u.Jy}, "ivar has the unit"),
    ({"ivar": np.ma.masked_all(4)}, "ivar has the shape"),
    ({"ivar": np.full(301, np.nan)}, "ivar is not finite"),
    ({"ivar": np.full(301, -1.0)}, "ivar reaches down to -1"),
    ({"mask": np.full(301, "a")}, "mask has the type"),
    ({"mask": [[True], [True, False]]}, "mask has rows of different lengths"),
    ({"mask": np.ones(301, dtype=bool)}, "no good pixel"),
])
def test_what_is_no_spectrum_is_refused_by_name(change, message):
    arguments = {"wavelength": WAVELENGTH, "flux": FLUX, "ivar": np.ones(301)} | change
    with pytest.raises(InputError, match=message):
        spectrum_arrays(**arguments)


def test_the_mask_of_inverse_variances_counts():
    mask = np.zeros(301, dtype=bool)
    mask[40:60] = True
    masked = spectrum_arrays(WAVELENGTH, FLUX, np.ma.masked_array(np.ones(301), mask=mask))
    assert_allclose(masked.ivar[0] > 0, ~mask)


@pytest.mark.parametrize("factor", [1e-300, 1e-17, 1e300, 1.7e308])
def test_no_scale_leaves_the_range_of_numbers(factor):
    flux = FLUX / FLUX.max() * factor
    spectra = spectrum_arrays(WAVELENGTH, flux)
    assert_allclose(spectra.flux[0], FLUX / FLUX.mean())
    assert np.isfinite(spectra.ivar).all()
    proud = spectrum_arrays(WAVELENGTH, flux, np.full(301, 1e300))
    assert np.isfinite(proud.ivar).all()
    weak = spectrum_arrays(WAVELENGTH, FLUX, np.full(301, 1e-310))
    assert (weak.ivar == 0).all()


def test_units_of_arrays_are_those_of_light():
    bare = spectrum_arrays(WAVELENGTH, FLUX, np.ones(301))
    same = spectrum_arrays(WAVELENGTH / 10 * u.nm, FLUX * u.ct, np.ones(301) / u.ct**2)
    assert_allclose(same.wavelength, bare.wavelength)
    assert_allclose(same.ivar, bare.ivar)
    density = spectrum_arrays(WAVELENGTH * u.AA, FLUX * WAVELENGTH**2 * u.Jy,
                              WAVELENGTH**-4 / u.Jy**2)
    assert_allclose(density.flux, bare.flux)
    assert_allclose(density.ivar, bare.ivar)
