"""synphot as oracle of photometry and of the slitless forward model."""

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose
from synphot import Observation, SpectralElement, units
from synphot.models import Box1D, Empirical1D, Gaussian1D

from sedflux import covariance_of, synthetic_photometry, to_source_spectrum, with_covariance
from sedflux.slitless.forward import count_model
from sedflux.spectra.grids import pixel_edges
from sedflux.units import FLAM

AREA = np.pi * 100.0**2 * u.cm**2


@pytest.fixture(scope="module")
def bands():
    grid = np.linspace(5200.0, 6100.0, 61)
    return {
        "box": SpectralElement(Box1D, amplitude=0.8, x_0=4500.0, width=600.0),
        "gauss": SpectralElement(Gaussian1D, amplitude=0.5, mean=7000.0, stddev=150.0),
        "table": SpectralElement(Empirical1D, points=grid * u.AA,
                                 lookup_table=np.clip(np.sin((grid - 5200.0) / 290.0), 0, 1)),
    }


@pytest.fixture(scope="module")
def absolute(sed):
    return 1e-14 * FLAM * sed


def test_magnitudes(absolute, bands):
    source = to_source_spectrum(absolute)
    result = synthetic_photometry(absolute, bands)
    for name, band in bands.items():
        expected = Observation(source, band).effstim(u.ABmag)
        assert_allclose(result.value[result.bands.index(name)].value, expected.value, rtol=1e-10)


def test_count_rates(absolute, bands):
    source = to_source_spectrum(absolute)
    result = synthetic_photometry(absolute, bands, unit=u.ct, area=AREA)
    for name, band in bands.items():
        expected = Observation(source, band).effstim(u.count, area=AREA)
        assert_allclose(result.value[result.bands.index(name)].value, expected.value, rtol=1e-10)


def test_errors_equal_the_dense_computation(absolute, bands):
    """Finite differences through synphot itself, contracted with the dense covariance."""
    from sedflux.photometry import _flux_row

    result = synthetic_photometry(absolute, bands)
    dense = covariance_of(absolute).to_dense()
    wavelength, flux = absolute.spectral_axis.value, absolute.flux.value
    rows = []
    for name, band in bands.items():
        row, _ = _flux_row(wavelength, band, name)
        rows.append(-2.5 / np.log(10) * row / (row @ flux))
        step = np.zeros_like(flux)
        step[300] = 1e-4 * flux[300]
        moved = with_covariance(absolute._copy(flux=(flux + step) * absolute.flux.unit))
        change = synthetic_photometry(moved, {name: band}).value - result.value[
            result.bands.index(name)]
        assert_allclose(change[0].value, rows[-1] @ step, rtol=1e-3, atol=1e-12)
    rows = np.stack(rows)
    assert_allclose(result.covariance, rows @ dense @ rows.T, rtol=1e-8)
    assert_allclose(result.sigma.value**2, np.diag(result.covariance))


@pytest.mark.parametrize("irregular", [False, True])
def test_binned_counts_without_line_spread_function(sed, rng, irregular):
    throughput = np.linspace(3000.0, 9000.0, 400)
    value = 0.3 + 0.1 * np.sin(throughput / 200.0)
    band = SpectralElement(Empirical1D, points=throughput * u.AA, lookup_table=value)
    pixels = np.linspace(4000.0, 6000.0, 150)
    if irregular:
        pixels = 4000.0 + 2000.0 * np.cumsum(rng.uniform(0.5, 1.5, 150)) / 150.0
    observation = Observation(to_source_spectrum(sed), band, binset=pixels * u.AA)
    expected = observation.sample_binned(flux_unit=u.count, area=AREA).value
    model = count_model(pixels, sed.spectral_axis.value, area=AREA.value, extra=throughput)
    counts = model.counts(np.interp(model.fine, throughput, value), sed.flux.value)
    assert units.PHOTLAM is not None
    assert pixel_edges(pixels).size == expected.size + 1
    assert_allclose(counts, expected, rtol=1e-10)
