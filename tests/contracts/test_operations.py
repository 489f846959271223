"""Whatever is done to an SED, its photometry has the errors of the dense calculation, or none."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from specutils import SpectralRegion, Spectrum
from specutils.manipulation import FluxConservingResampler, box_smooth, extract_region
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import InputError, anchor, predict_sed, synthetic_photometry
from sedflux.photometry import _flux_row
from sedflux.spectra.reddening import extinction_curve
from sedflux.units import FLAM

BANDS = {"blue": SpectralElement(Box1D, amplitude=1.0, x_0=4600, width=400),
         "green": SpectralElement(Box1D, amplitude=0.7, x_0=5200, width=300),
         "red": SpectralElement(Box1D, amplitude=1.0, x_0=5900, width=600)}
MAG_PER_LN = 2.5 / np.log(10.0)


class Dense:
    """Wavelength, ln(flux) and its dense covariance: the plain calculation beside sedflux's."""

    def __init__(self, wavelength, log_flux, covariance):
        self.wavelength, self.log_flux, self.covariance = wavelength, log_flux, covariance
        self.broken = False

    def take(self, rows):
        if self.broken:
            return
        self.wavelength, self.log_flux = self.wavelength[rows], self.log_flux[rows]
        self.covariance = self.covariance[np.ix_(rows, rows)]

    def change(self, log_factor):
        if self.broken:
            return
        self.log_flux = self.log_flux + log_factor

    def anchor(self, error):
        if self.broken:
            return
        row, _ = _flux_row(self.wavelength, BANDS["green"], "green")
        flux = np.exp(self.log_flux)
        matrix = np.eye(flux.size) - row * flux / (row @ flux)
        self.covariance = matrix @ self.covariance @ matrix.T + (error / MAG_PER_LN) ** 2

    def errors(self):
        """Covariance of the magnitudes."""
        flux = np.exp(self.log_flux)
        rows = np.stack([_flux_row(self.wavelength, band, name)[0]
                         for name, band in BANDS.items()])
        shares = MAG_PER_LN * rows * flux / (rows @ flux)[:, None]
        return shares @ self.covariance @ shares.T


def scale(sed, dense, number):
    dense.change(np.log(number))
    return number * sed


def curve(sed, dense, number):
    shape = 1.0 + 0.1 * number * np.linspace(0.0, 1.0, sed.flux.size)
    # Arithmetic follows the order of the spectral axis, as ``dense`` in ascending order does not.
    dense.change(np.log(shape if ascending(sed) else shape[::-1]))
    return sed * shape


def ascending(sed):
    wavelength = sed.spectral_axis.to_value(u.AA, u.spectral())
    return wavelength[0] < wavelength[-1]


def cut(sed, dense, number):
    ends = 4000.0 + 50.0 * number, 7000.0 - 50.0 * number
    dense.take(np.flatnonzero((dense.wavelength > ends[0]) & (dense.wavelength < ends[1])))
    wavelength = sed.spectral_axis.to_value(u.AA, u.spectral())
    rows = np.flatnonzero((wavelength > ends[0]) & (wavelength < ends[1]))
    return sed[int(rows[0]):int(rows[-1]) + 1]


def region(sed, dense, number):
    ends = (3990.0 + number) * u.AA, (7050.0 - number) * u.AA
    if sed.spectral_axis.unit != u.AA:
        return sed
    dense.take(np.flatnonzero((dense.wavelength >= ends[0].value)
                              & (dense.wavelength <= ends[1].value)))
    return extract_region(sed, SpectralRegion(*ends))


def flux_unit(sed, dense, number):
    return sed if sed.flux.unit == u.dimensionless_unscaled else sed.with_flux_unit(
        (u.Jy, FLAM, u.W / u.m**2 / u.um)[int(number) % 3])


def axis_unit(sed, dense, number):
    return sed.with_spectral_axis_unit((u.AA, u.um, u.THz)[int(number) % 3])


def absolute(sed, dense, number):
    return sed if sed.flux.unit != u.dimensionless_unscaled else sed * (1e-15 * FLAM)


def written(sed, dense, number):
    if "sedflux" not in sed.meta:
        # Resampling drops what makes it an SED; specutils writes it, without unit or covariance.
        return sed
    with tempfile.TemporaryDirectory() as folder:
        sed.write(Path(folder) / "sed.fits")
        return Spectrum.read(Path(folder) / "sed.fits")


def redden(sed, dense, number):
    wavelength = sed.spectral_axis.to_value(u.AA, u.spectral())
    dense.change(0.1 * number * extinction_curve(dense.wavelength))
    return sed * np.exp(0.1 * number * extinction_curve(wavelength))


def anchored(sed, dense, number):
    result = anchor(sed, 15.0 * u.ABmag, BANDS["green"], magnitude_error=0.01 * number * u.mag)
    dense.anchor(0.01 * number)
    return result


def resampled(sed, dense, number):
    dense.broken = True
    sed = sed.with_spectral_axis_unit(u.AA)
    return FluxConservingResampler()(sed, np.linspace(4100.0, 6900.0, 200) * u.AA)


def smoothed(sed, dense, number):
    dense.broken = True
    return box_smooth(sed, 3)


def added(sed, dense, number):
    dense.broken = True
    return sed + sed


OPERATIONS = (scale, curve, cut, region, flux_unit, axis_unit, absolute, written, redden,
              anchored, resampled, smoothed, added)


def run(sed, dense, steps):
    """The SED after all steps, or the message with which one of them is refused."""
    for operation, number in steps:
        try:
            sed = operation(sed, dense, number)
        except InputError as error:
            return str(error)
    return sed


@pytest.fixture(scope="module")
def whole(predictor, star):
    wavelength, flux = star
    spectrum = Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.ct)
    return predict_sed(spectrum, model=predictor)


@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.floats(0.5, 3.0)), max_size=10))
@settings(max_examples=25, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_photometry_has_the_errors_of_the_dense_calculation(whole, steps):
    covariance = whole.meta["sedflux"]["errors"].covariance.to_dense()
    dense = Dense(whole.spectral_axis.value, np.log(whole.flux.value), covariance)
    sed = run(whole, dense, steps)
    if isinstance(sed, str):
        assert dense.broken
        assert "covariance" in sed
        return
    if dense.broken:
        with pytest.raises(InputError, match="covariance"):
            synthetic_photometry(sed, BANDS)
        return
    found, expected = synthetic_photometry(sed, BANDS), dense.errors()
    if sed.flux.unit == u.dimensionless_unscaled:
        matrix = np.eye(3) - np.eye(3)[0]
        expected = matrix @ expected @ matrix.T
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-6, atol=1e-6 * expected.max())
