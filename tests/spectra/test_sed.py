"""The covariance follows its SED, or is refused."""

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose
from specutils import SpectralRegion, Spectrum
from specutils.manipulation import box_smooth, extract_region
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import InputError, covariance_of, predict_sed, synthetic_photometry
from sedflux.io.sed import read_sed, write_sed
from sedflux.spectra.sed import from_sed
from sedflux.units import FLAM

BANDS = {"blue": SpectralElement(Box1D, x_0=4500, width=500),
         "red": SpectralElement(Box1D, x_0=6500, width=500)}
FOLLOWED = {
    "number": lambda sed: 3.0 * sed,
    "quantity": lambda sed: sed * (1e-15 * FLAM),
    "division": lambda sed: sed / 7.0,
    "curve": lambda sed: sed * np.linspace(1.0, 2.0, sed.flux.size),
    "flux unit": lambda sed: (sed * (1e-15 * FLAM)).with_flux_unit(u.Jy),
    "axis unit": lambda sed: sed.with_spectral_axis_unit(u.um),
    "frequency": lambda sed: sed.with_spectral_axis_unit(u.THz),
    "slice": lambda sed: sed[100:400],
    "region": lambda sed: extract_region(sed, SpectralRegion(4000 * u.AA, 8000 * u.AA)),
    "several": lambda sed: (2.0 * sed[50:500] * (1.0 * FLAM)).with_flux_unit(u.Jy)[20:300],
}
BROKEN = {
    "sum": lambda sed: sed + sed,
    "difference": lambda sed: sed - 0.01 * u.dimensionless_unscaled,
    "product": lambda sed: sed * sed,
    "smoothed": lambda sed: box_smooth(sed, 3),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_covariance_follows(sed, name):
    changed = FOLLOWED[name](sed)
    covariance = covariance_of(changed)
    assert_allclose(covariance.sigma, changed.uncertainty.array, rtol=1e-9)
    arrays = from_sed(changed)
    assert (np.diff(arrays.wavelength) > 0).all()
    whole = from_sed(sed)
    rows = np.searchsorted(whole.wavelength, arrays.wavelength - 0.1)
    assert_allclose(arrays.relative_covariance.to_dense(),
                    whole.relative_covariance.take(rows).to_dense(), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", ["number", "quantity", "flux unit", "axis unit", "slice"])
def test_colours_keep_their_errors(sed, name):
    expected = synthetic_photometry(sed, BANDS).color("blue", "red")
    found = synthetic_photometry(FOLLOWED[name](sed), BANDS).color("blue", "red")
    assert_allclose(found[0].value, expected[0].value, atol=1e-9)
    assert_allclose(found[1].value, expected[1].value, rtol=1e-9)


@pytest.mark.parametrize("name", BROKEN)
def test_a_covariance_that_cannot_follow_is_refused(sed, name):
    changed = BROKEN[name](sed)
    with pytest.raises(InputError, match="its covariance does not give"):
        covariance_of(changed)
    with pytest.raises(InputError, match="its covariance does not give"):
        synthetic_photometry(changed, BANDS)


def test_rows_of_several_seds(predictor, star):
    wavelength, flux = star
    both = Spectrum(spectral_axis=wavelength * u.AA, flux=np.stack([flux, flux**1.2]) * u.ct)
    seds = predict_sed(both, model=predictor)
    covariances = covariance_of(seds)
    for row in (0, 1):
        assert_allclose(covariances[row].sigma, seds.uncertainty.array[row])
        assert_allclose(covariance_of(seds[row]).to_dense(), covariances[row].to_dense())


def test_a_changed_sed_is_written_with_its_own_covariance(sed, tmp_path):
    half = (0.5 * sed)[100:300]
    write_sed(half, tmp_path / "half.fits")
    back = read_sed(tmp_path / "half.fits")
    assert_allclose(covariance_of(back).to_dense(), covariance_of(half).to_dense(), rtol=1e-12,
                    atol=1e-18)
    assert_allclose(covariance_of(2.0 * back).sigma, 2.0 * half.uncertainty.array)
    with pytest.raises(InputError, match="its covariance does not give"):
        write_sed(sed + sed, tmp_path / "sum.fits")
    assert not (tmp_path / "sum.fits").exists()


def test_a_spectrum_without_covariance_is_told(spectrum):
    with pytest.raises(InputError, match="has no covariance"):
        covariance_of(spectrum)
