"""The packaged model of white dwarfs: wavelengths, velocities, dust, and what it hands on."""

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from numpy.testing import assert_allclose
from specutils import Spectrum
from specutils.utils.wcs_utils import vac_to_air

from sedflux import predict_sed
from sedflux.exceptions import InputError
from sedflux.predict.loading import loaded_predictor
from sedflux.predict.predictor import Predictor
from sedflux.spectra.grids import input_grid
from sedflux.spectra.reddening import extinction_curve
from sedflux.units import LIGHT_KM_S

SNR = 60.0


@pytest.fixture(scope="module")
def model():
    return loaded_predictor("uara.da1")


@pytest.fixture(scope="module")
def star(model):
    """Flux over continuum of a reference white dwarf, with noise, and its resolving power."""
    powers = model.arrays.reference_powers()
    normalised, power = model.arrays.reference_spectra(np.argsort(powers)[-400:])
    depth = normalised.min(axis=1)
    row = int(np.argmin(np.abs(depth - np.quantile(depth, 0.3))))
    noise = np.random.default_rng(2).standard_normal(normalised.shape[1])
    slope = (input_grid() / 5500.0) ** -2.5
    return normalised[row] * (1.0 + noise / SNR) * slope, float(power[row])


def predict(model, star, *, wavelength=None, curve=1.0, **options):
    flux, power = star
    grid = input_grid() if wavelength is None else wavelength
    flux = flux * curve
    return model.predict(grid, flux, (SNR / flux) ** 2, resolving_power=power, **options)


def in_sigma(first, second):
    """Largest difference of two SEDs in units of sigma."""
    return float(np.abs((first.flux - second.flux) / second.sigma).max())


def test_labels_are_those_of_a_white_dwarf(model, star):
    part = predict(model, star)
    assert 7000.0 < part.diagnostics["teff"] < 80000.0
    assert 7.0 < part.diagnostics["logg"] < 9.5
    assert np.isnan(part.diagnostics["mh"])
    assert_allclose(part.diagnostics["first_teff"], part.diagnostics["teff"], rtol=0.15)


def test_air_for_vacuum_moves_the_sed_by_less_than_its_error(model, star):
    """Wavelengths in air are shorter by 2.8e-4: 1.4 Angstrom at H beta."""
    in_air = input_grid() * (1.0 - 2.8e-4)
    assert in_sigma(predict(model, star, wavelength=in_air), predict(model, star)) < 1.0


def test_spectra_in_air_are_brought_to_vacuum(model, star):
    flux, power = star
    noise = flux / SNR
    spectra = {medium: Spectrum(flux=flux * u.one, spectral_axis=axis) for medium, axis in (
        ("vacuum", input_grid() * u.AA), ("air", vac_to_air(input_grid() * u.AA)))}
    found = {}
    for medium, spectrum in spectra.items():
        spectrum.uncertainty = StdDevUncertainty(noise)
        found[medium] = model.predict_spectrum(spectrum, resolving_power=power, medium=medium)
    assert in_sigma(found["air"], found["vacuum"]) < 0.1


@pytest.mark.parametrize("velocity", [-300.0, 150.0, 350.0])
def test_velocities_of_hundreds_of_km_s_are_tolerated(model, star, velocity):
    moved = input_grid() * (1.0 + velocity / LIGHT_KM_S)
    assert in_sigma(predict(model, star, wavelength=moved), predict(model, star)) < 2.0


def test_smooth_curves_change_nothing(model, star):
    curve = np.exp(extinction_curve(input_grid()))
    reddened, plain = predict(model, star, curve=curve), predict(model, star)
    assert_allclose(reddened.flux, plain.flux, rtol=0.002)


def test_a_star_alone_is_as_in_a_batch(model, star):
    flux, power = star
    rows = np.stack([flux, flux[::-1], flux])
    many = model.predict(input_grid(), rows, (SNR / rows) ** 2, resolving_power=power)
    alone = predict(model, star)
    assert_allclose(many.flux[0], alone.flux, rtol=1e-6)
    assert_allclose(many.flux[2], many.flux[0], rtol=1e-6)
    assert_allclose(many.parts["convection"][0], alone.parts["convection"], atol=1e-6)
    assert many.take([0, 2]).diagnostics["first_flux"].shape == (2, 575)


def test_spectra_without_h_alpha(model, star):
    grid = input_grid()
    least = model.metadata.get("least_coverage", 0.85)
    end = grid[0] * (grid[-1] / grid[0]) ** (least + 0.02)
    flux, power = star
    use = grid < end
    part = model.predict(grid[use], flux[use], (SNR / flux[use]) ** 2, resolving_power=power)
    assert np.abs(np.log(part.flux / predict(model, star).flux)[:100]).max() < 0.3
    use = grid < grid[0] * (grid[-1] / grid[0]) ** (least - 0.03)
    with pytest.raises(InputError, match=f"at least {100 * least:.0f} %"):
        model.predict(grid[use], flux[use], (SNR / flux[use]) ** 2, resolving_power=power)


def test_predict_sed_knows_the_model_by_name(star, tmp_path):
    flux, power = star
    spectrum = Spectrum(flux=flux * u.one, spectral_axis=input_grid() * u.AA,
                        uncertainty=StdDevUncertainty(flux / SNR))
    sed = predict_sed(spectrum, model="uara.da1", resolving_power=power, reddening=(0.02, 0.01))
    notes = sed.meta["sedflux"]
    assert sorted(notes["errors"].parts) == ["convection", "models", "reddening"]
    sed.write(tmp_path / "sed.fits")
    back = Spectrum.read(tmp_path / "sed.fits", format="sedflux SED")
    assert_allclose(back.flux.value, sed.flux.value)
    kept = back.meta["sedflux"]["diagnostics"]
    assert np.isnan(kept["mh"])
    assert_allclose(kept["first_teff"], notes["diagnostics"]["first_teff"])
    assert kept["second_weight"] == notes["diagnostics"]["second_weight"]


def test_flux_that_is_no_spectrum_is_refused(model):
    with pytest.raises(InputError):
        model.predict(input_grid(), np.full(input_grid().size, np.nan))


def test_predictors_of_both_kinds_live_side_by_side(model, star, predictor):
    flux, _ = star
    as_star = predictor.predict(input_grid(), flux, (SNR / flux) ** 2)
    assert as_star.flags
    assert isinstance(model, Predictor)
    assert "first_flux" not in as_star.diagnostics
