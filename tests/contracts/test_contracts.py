"""Contracts of the design that never break."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from astropy.utils.exceptions import AstropyDeprecationWarning
from numpy.testing import assert_allclose
from specutils import Spectrum

from sedflux import covariance_of, predict_sed, register_readers
from sedflux.spectra.grids import input_grid
from sedflux.spectra.reddening import extinction_curve


def build(wavelength, flux, **kwargs):
    kwargs.setdefault("uncertainty", StdDevUncertainty(np.abs(0.02 * flux)))
    return Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.ct, **kwargs)


def flux_of(predictor, spectrum, **kwargs):
    return predict_sed(spectrum, model=predictor, **kwargs).flux.value


@pytest.fixture(scope="module")
def reference(predictor, star):
    return flux_of(predictor, build(*star))


def test_scale_changes_nothing(predictor, star, reference):
    wavelength, flux = star
    assert_allclose(flux_of(predictor, build(wavelength, 1e-17 * flux)), reference, rtol=1e-5)
    assert_allclose(flux_of(predictor, build(wavelength, 1e12 * flux)), reference, rtol=1e-5)


def test_order_changes_nothing(predictor, star, reference):
    wavelength, flux = star
    assert_allclose(flux_of(predictor, build(wavelength[::-1], flux[::-1])), reference, rtol=1e-6)


@pytest.mark.parametrize("kind", [bool, int])
def test_masked_spike_changes_nothing(predictor, star, kind):
    wavelength, flux = star
    mask = np.zeros(flux.size, dtype=kind)
    mask[1200] = 1
    spiked = flux.copy()
    spiked[1200] = 1e4
    sigma = StdDevUncertainty(0.02 * flux)
    clean = flux_of(predictor, build(wavelength, flux, mask=mask, uncertainty=sigma))
    assert_allclose(flux_of(predictor, build(wavelength, spiked, mask=mask, uncertainty=sigma)),
                    clean, rtol=1e-7)


@pytest.mark.parametrize("name", ["cubic", "dust", "both"])
def test_smooth_curves_move_the_sed_by_less_than_a_fifth_of_a_percent(
        predictor, star, reference, name):
    wavelength, flux = star
    x = (wavelength - 5500.0) / 1500.0
    curves = {"cubic": 1.0 + 0.4 * x - 0.2 * x**2 + 0.15 * x**3,
              "dust": np.exp(extinction_curve(wavelength))}
    curves["both"] = curves["cubic"] * curves["dust"]
    moved = flux_of(predictor, build(wavelength, flux * curves[name]))
    assert np.abs(moved / reference - 1.0).max() < 0.002


def test_spectrum_and_spectrum1d_give_the_same_and_their_own_class(predictor, star, reference):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyDeprecationWarning)
        from specutils import Spectrum1D

        wavelength, flux = star
        old = Spectrum1D(spectral_axis=wavelength * u.AA, flux=flux * u.ct,
                         uncertainty=StdDevUncertainty(0.02 * flux))
    result = predict_sed(old, model=predictor)
    assert type(result) is Spectrum1D
    assert type(predict_sed(build(*star), model=predictor)) is Spectrum
    assert_allclose(result.flux.value, reference)


@pytest.mark.parametrize("size", [2, 40, 300])
def test_alone_or_in_a_batch(predictor, star, rng, size):
    wavelength, flux = star
    batch = flux * (1.0 + 0.05 * rng.standard_normal((size, flux.size)))
    ivar = np.full_like(batch, 400.0)
    together = predictor.predict(wavelength, batch, ivar)
    alone = predictor.predict(wavelength, batch[-1], ivar[-1])
    assert_allclose(together.flux[-1], alone.flux, rtol=1e-6)
    assert_allclose(together.sigma[-1], alone.sigma, rtol=1e-5)


def test_two_dimensions_equal_one(predictor, star, reference):
    wavelength, flux = star
    both = Spectrum(spectral_axis=wavelength * u.AA, flux=np.stack([flux, flux]) * u.ct,
                    uncertainty=StdDevUncertainty(np.stack([0.02 * flux] * 2)))
    result = predict_sed(both, model=predictor)
    assert result.flux.shape == (2, 575)
    assert_allclose(result.flux.value[1], reference, rtol=1e-6)
    assert len(covariance_of(result)) == 2


def test_fits_round_trip(predictor, star, tmp_path):
    sed = predict_sed(build(*star), model=predictor)
    sed.write(tmp_path / "sed.fits", format="tabular-fits")
    register_readers()
    back = Spectrum.read(tmp_path / "sed.fits")
    assert back.flux.unit == u.dimensionless_unscaled
    assert_allclose(back.flux.value, sed.flux.value)
    assert_allclose(back.uncertainty.array, sed.uncertainty.array)
    assert_allclose(back.spectral_axis.value, sed.spectral_axis.value)
    for card in ("SEDMODEL", "SEDHASH", "SEDRV", "SEDRPOW", "SEDNORM"):
        assert back.meta["header"][card] == sed.meta["header"][card]


def test_sigma_squared_is_the_diagonal(predictor, star):
    sed = predict_sed(build(*star), model=predictor)
    dense = covariance_of(sed).to_dense()
    assert_allclose(np.diag(dense), sed.uncertainty.array**2, rtol=1e-12)


def test_input_on_the_models_own_grid(predictor, star, reference):
    wavelength, flux = star
    grid = input_grid()
    own = flux_of(predictor, build(grid, np.interp(grid, wavelength, flux)))
    assert np.abs(own / reference - 1.0).max() < 0.03


def test_own_velocities_in_a_batch(predictor, star, rng):
    """Stars are sorted by velocity and worked on in pieces: each finds its own place again."""
    wavelength, flux = star
    size = 600
    velocity = rng.normal(0.0, 80.0, size)
    batch = flux * (1.0 + 0.05 * rng.standard_normal((size, flux.size)))
    ivar = np.full_like(batch, 400.0)
    batch[7] *= 1.0 + 4.0 * np.exp(-0.5 * ((wavelength - 6564.6) / 4.0) ** 2)
    together = predictor.predict(wavelength, batch, ivar, radial_velocity=velocity)
    assert together.flags[7]
    for row in (0, 7, 300, 599):
        alone = predictor.predict(wavelength, batch[row], ivar[row], radial_velocity=velocity[row])
        assert_allclose(together.flux[row], alone.flux, rtol=1e-6)
        assert_allclose(together.sigma[row], alone.sigma, rtol=1e-5)
        assert together.flag_bits[row] == alone.flag_bits
        assert together.radial_velocity[row] == velocity[row]


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_nothing(predictor, star, rng, threads):
    import torch

    wavelength, flux = star
    batch = flux * (1.0 + 0.05 * rng.standard_normal((300, flux.size)))
    ivar = np.full_like(batch, 400.0)
    before = torch.get_num_threads()
    reference = predictor.predict(wavelength, batch, ivar)
    torch.set_num_threads(threads)
    try:
        again = predictor.predict(wavelength, batch, ivar)
    finally:
        torch.set_num_threads(before)
    assert_allclose(again.flux, reference.flux, rtol=1e-6)
    assert_allclose(again.sigma, reference.sigma, rtol=1e-5)
