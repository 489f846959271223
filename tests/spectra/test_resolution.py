import numpy as np
from numpy.testing import assert_allclose

from sedflux.spectra.resolution import (
    FWHM_PER_SIGMA,
    broadening_sigma,
    degrade_spectra,
    lsf_matrix,
)


def gauss(wavelength, centre, sigma):
    return np.exp(-0.5 * ((wavelength - centre) / sigma) ** 2) / sigma / np.sqrt(2 * np.pi)


def test_gaussian_convolved_with_gaussian():
    wavelength = np.arange(4900.0, 5100.0, 0.2)
    broad = lsf_matrix(wavelength, 2.0) @ gauss(wavelength, 5000.0, 1.5)
    assert_allclose(broad, gauss(wavelength, 5000.0, 2.5), atol=2e-6)


def test_narrow_kernel_is_linear_interpolation():
    wavelength = np.linspace(4000, 4100, 101)
    value = np.sin(wavelength)
    new = np.linspace(4010, 4090, 33)
    assert_allclose(lsf_matrix(wavelength, 0.0, new_wavelength=new) @ value,
                    np.interp(new, wavelength, value), rtol=1e-9)


def test_rows_sum_to_one():
    wavelength = np.geomspace(4000, 7000, 500)
    sigma = wavelength / 1000.0 / FWHM_PER_SIGMA
    assert_allclose(np.asarray(lsf_matrix(wavelength, sigma).sum(axis=1)).ravel(), 1.0)


def test_nothing_is_sharpened():
    assert_allclose(broadening_sigma([5000.0], 500.0, 2000.0), 0.0)
    wavelength, flux = np.linspace(4000, 7000, 500), np.ones((1, 500))
    same, ivar = degrade_spectra(wavelength, flux, flux, 1000.0, 2000.0)
    assert same is flux
    assert ivar is flux


def test_degrading_reaches_the_asked_width():
    wavelength = np.arange(4800.0, 5200.0, 0.25)
    sharp = gauss(wavelength, 5000.0, 5000.0 / 5000.0 / FWHM_PER_SIGMA)[None]
    broad, _ = degrade_spectra(wavelength, sharp, np.ones_like(sharp), 5000.0, 1000.0)
    mean = (wavelength * broad[0]).sum() / broad.sum()
    width = np.sqrt(((wavelength - mean) ** 2 * broad[0]).sum() / broad.sum())
    assert_allclose(width * FWHM_PER_SIGMA, 5.0, rtol=0.01)


def test_masked_spike_is_not_spread():
    wavelength = np.linspace(4000, 4500, 1000)
    flux, ivar = np.ones((1, 1000)), np.ones((1, 1000))
    flux[0, 400], ivar[0, 400] = 1e6, 0.0
    broad, weight = degrade_spectra(wavelength, flux, ivar, 5000.0, 1000.0)
    assert_allclose(broad[weight > 0], 1.0)
    assert weight[0, 400] == 0.0
