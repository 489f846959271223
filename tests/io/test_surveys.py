"""SDSS spectra and DESI coadds in files that are written here, in the surveys' layouts."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from numpy.testing import assert_allclose

from sedflux import InputError
from sedflux.io.desi import desi_targets, is_coadd_name, read_desi
from sedflux.io.registry import read_spectrum
from sedflux.io.sdss import identify_sdss

STEP = 0.8


def shape(wavelength):
    return 10.0 + np.sin(wavelength / 150.0)


def test_sdss(write_sdss, tmp_path):
    spectrum = read_spectrum(write_sdss(tmp_path / "spec-4055-55359-0007.fits", shape))
    wavelength = spectrum.spectral_axis.to_value(u.AA)
    assert_allclose(spectrum.flux.value, shape(wavelength), rtol=1e-4)
    assert list(np.flatnonzero(spectrum.mask)) == [100]
    assert_allclose(spectrum.meta["radial_velocity"].to_value(u.km / u.s), 90.0, rtol=1e-5)
    assert_allclose(spectrum.meta["resolving_power"], 1.0 / (2.3548 * 1e-4 * np.log(10)), rtol=1e-2)
    assert spectrum.meta["class"] == "STAR"
    quasar = read_spectrum(write_sdss(tmp_path / "quasar.fits", shape, kind="QSO", velocity=3e5))
    assert quasar.meta["radial_velocity"].value == 0.0


def test_other_files_are_no_sdss_spectra(tmp_path):
    fits.PrimaryHDU(np.ones((3, 4))).writeto(tmp_path / "image.fits")
    assert not identify_sdss("read", tmp_path / "image.fits")
    (tmp_path / "text.fits").write_text("SIMPLE")
    assert not identify_sdss("read", tmp_path / "text.fits")


def test_desi_arms_are_combined_by_inverse_variance(write_desi, tmp_path):
    path = write_desi(tmp_path / "coadd-main-bright-1.fits", shape)
    assert is_coadd_name(path)
    assert not is_coadd_name("spectra-main-bright-1.fits")
    assert len(desi_targets(path)) == 3
    coadd = read_desi(path, [2, 0])
    assert_allclose(coadd.wavelength[[0, -1]], [3600.0, 9824.0])
    assert_allclose(np.diff(coadd.wavelength), STEP, rtol=1e-6)
    overlap = (coadd.wavelength > 5761.0) & (coadd.wavelength < 5799.0)
    both = shape(coadd.wavelength) + 8.0 * 0.1 / 12.0
    assert_allclose(coadd.flux[1][overlap], both[overlap], rtol=1e-5)
    assert_allclose(coadd.ivar[1][overlap], 12.0)
    assert (coadd.ivar[0, :50] == 0.0).all()
    assert coadd.ivar[0, 50] == 4.0
    fwhm = coadd.wavelength / coadd.resolving_power
    for wavelength, sigma in ((4500.0, 1.1), (5780.0, 1.1), (7000.0, 0.9), (9000.0, 0.8)):
        assert_allclose(np.interp(wavelength, coadd.wavelength, fwhm), 2.3548 * sigma, rtol=0.01)
    assert_allclose(coadd.radial_velocity, [2e-4 * 299792.458, 0.0])
    assert_allclose(coadd.position, [[12.0, -3.0], [10.0, -1.0]])
    assert coadd.target.all()
    assert not read_desi(path, [1]).target.any()


def test_desi_without_redshifts_and_bad_coadds(write_desi, tmp_path):
    path = write_desi(tmp_path / "coadd-1.fits", shape, redrock=False)
    assert (read_desi(path, [0, 1, 2]).radial_velocity == 0.0).all()
    with pytest.raises(InputError, match="rows 3 to 3"):
        read_desi(path, [3])
    fits.PrimaryHDU().writeto(tmp_path / "coadd-2.fits")
    with pytest.raises(InputError, match="no DESI coadd file"):
        desi_targets(tmp_path / "coadd-2.fits")
    with fits.open(path) as hdus:
        hdus["R_WAVELENGTH"].data = hdus["R_WAVELENGTH"].data + 0.3
        hdus.writeto(tmp_path / "coadd-3.fits")
    with pytest.raises(InputError, match="do not coincide"):
        read_desi(tmp_path / "coadd-3.fits", [0])
