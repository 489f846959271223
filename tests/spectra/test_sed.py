"""The covariance follows its SED, or is refused."""

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from numpy.testing import assert_allclose
from specutils import SpectralRegion, Spectrum
from specutils.manipulation import (
    FluxConservingResampler,
    LinearInterpolatedResampler,
    SplineInterpolatedResampler,
    box_smooth,
    extract_region,
)
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import (
    InputError,
    LowRankCovariance,
    covariance_of,
    predict_sed,
    synthetic_photometry,
    with_covariance,
)
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


@pytest.mark.parametrize("options", [{}, {"wavelengths": np.arange(4000.0, 5000.0, 20.0) * u.AA}])
def test_a_row_shares_what_is_known_of_all_stars(predictor, star, options):
    """specutils copies meta data: a row of 20,000 SEDs took 4 s, and the memory of all factors."""
    wavelength, flux = star
    both = Spectrum(spectral_axis=wavelength * u.AA, flux=np.stack([flux, flux**1.2]) * u.ct)
    seds = predict_sed(both, model=predictor, **options)
    for name in ("errors", "cards", "flags", "flag_names"):
        assert seds[1].meta["sedflux"][name] is seds.meta["sedflux"][name]


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


def test_a_resampled_sed_is_refused(sed):
    """specutils drops the covariance: errors would count as independent, or be none at all."""
    grid = np.linspace(4000.0, 8000.0, 300) * u.AA
    for resampler in (FluxConservingResampler(), LinearInterpolatedResampler(),
                      SplineInterpolatedResampler()):
        resampled = resampler(sed, grid)
        for use in (from_sed, covariance_of, lambda one: synthetic_photometry(one, BANDS)):
            with pytest.raises(InputError, match="has no covariance"):
                use(resampled)


def test_a_small_change_is_found(sed):
    """Smoothing that moves the flux by 1e-6 is no longer the SED of this covariance."""
    changed = Spectrum(spectral_axis=sed.spectral_axis, flux=sed.flux * (1.0 + 1e-6),
                       uncertainty=sed.uncertainty, meta=sed.meta)
    with pytest.raises(InputError, match="its covariance does not give"):
        covariance_of(changed)


def test_single_precision_is_no_change(sed):
    changed = Spectrum(spectral_axis=sed.spectral_axis, flux=sed.flux.astype("f4"), meta=sed.meta,
                       uncertainty=StdDevUncertainty(sed.uncertainty.array.astype("f4")))
    assert_allclose(covariance_of(changed).sigma, sed.uncertainty.array, rtol=1e-6)


def test_a_covariance_is_attached():
    """A star of other origin: dense, low rank, independent errors, or none."""
    wavelength, flux = np.linspace(4000.0, 7000.0, 40), np.linspace(1.0, 2.0, 40)
    factor = np.stack([0.1 * flux, 0.05 * np.sin(wavelength / 300.0)])
    dense = np.diag(0.01 * flux) ** 2 + factor.T @ factor
    bare = Spectrum(spectral_axis=wavelength * u.AA, flux=flux * FLAM)
    star = with_covariance(bare, dense)
    assert_allclose(covariance_of(star).to_dense(), dense, atol=1e-15)
    assert_allclose(covariance_of(3.0 * star).to_dense(), 9.0 * dense, atol=1e-14)
    low_rank = LowRankCovariance((0.01 * flux) ** 2, factor)
    assert_allclose(covariance_of(with_covariance(bare, low_rank)).to_dense(), dense, atol=1e-15)
    assert not covariance_of(with_covariance(bare)).sigma.any()
    noisy = Spectrum(spectral_axis=wavelength * u.AA, flux=flux * FLAM,
                     uncertainty=StdDevUncertainty(0.2 * flux))
    assert_allclose(covariance_of(with_covariance(noisy)).to_dense(), np.diag(0.2 * flux) ** 2)
    for wrong, message in ((np.eye(39), "shape"), (-np.eye(40), "negative eigenvalues"),
                           (LowRankCovariance(np.ones(3), np.zeros((0, 3))), "3 values"),
                           (np.full((40, 40), np.nan), "covariance")):
        with pytest.raises(InputError, match=message):
            with_covariance(bare, wrong)
