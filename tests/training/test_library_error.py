"""The error that all predicted SEDs share, and its way into a fit."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import (
    InputError,
    Predictor,
    anchor,
    condition,
    fit_response,
    get_instrument,
    simulate_field,
)
from sedflux.demo import demo_arrays
from sedflux.io.sed import read_sed, write_sed
from sedflux.response.systematics import (
    LIBRARY_ERROR,
    checked_library_error,
    common_errors,
    largest_library_error,
)
from sedflux.spectra.grids import sed_grid
from sedflux.spectra.library_error import LIBRARY_CARD, library_error_of
from sedflux.training.band_errors import dust_of
from sedflux.training.left_out import LeftOut
from sedflux.training.library_error import (
    _common_error,
    library_error_entry,
    library_error_table,
)
from sedflux.training.sed_truths import band_weights
from sedflux.units import MAG_PER_LN


@dataclass
class Stars:
    """Stars whose predicted SEDs are a given factor too bright."""

    factor: np.ndarray
    stars: SimpleNamespace

    @property
    def predictions(self):
        flux = np.exp(0.3 * np.sin(sed_grid() / 900.0))
        return [SimpleNamespace(reddened=lambda ebv, one=one: SimpleNamespace(
            flux=flux * one * np.exp(-ebv))) for one in self.factor]

    def take(self, rows):
        rows = np.flatnonzero(rows)
        return Stars(self.factor[rows], SimpleNamespace(
            **{name: value[rows] for name, value in vars(self.stars).items()}))


def make_stars(number, rng):
    grid = sed_grid()
    true = np.tile(0.3 * np.sin(grid / 900.0), (number, 1)) - 0.02
    true[:, grid < 3000.0] = np.nan
    labels = np.full((number, 6), 6000.0)
    ebv = np.full(number, 0.0)
    ebv[0], labels[1, 0] = np.nan, 30000.0
    factor = np.exp(0.03 * rng.standard_normal((number, 1))) * np.ones(grid.size)
    return Stars(factor, SimpleNamespace(
        ebv=ebv, stis_sed=true, labels=labels, dust=np.full((number, 2), np.nan),
        johnson=np.full((number, 3), np.nan),
        magnitudes=np.full((number, 3), np.nan)))


def test_the_shared_error_is_found(rng, tmp_path):
    table = library_error_table(make_stars(42, rng))
    assert table["wavelength"].min() > 3000.0
    assert (table["stars"] == 40).all()
    assert_allclose(table["median"], 0.02, atol=4.0 * 0.03 * 1.25 / np.sqrt(40))
    assert_allclose(table["error"], 0.03 * 1.25 / np.sqrt(40), rtol=0.5)
    # The prior hardly matters where many stars tell the error, and limits what a few say.
    assert np.all(table["library_error"] <= np.hypot(table["median"], table["error"]) + 1e-12)
    assert _common_error(3125.0, 0.02, 0.002) == pytest.approx(np.hypot(0.02, 0.002), rel=0.01)
    assert _common_error(2600.0, 0.07, 0.16) == pytest.approx(0.05, rel=0.1)
    path = tmp_path / "library_error.ecsv"
    table.write(path)
    pairs = checked_library_error(path)
    assert_allclose(np.array(pairs)[:, 1], table["library_error"])
    sigma = common_errors(np.array(pairs)[:, 0], library_error=path)["library"].sigma
    assert_allclose(sigma, table["library_error"], rtol=0.01)


def test_a_handful_of_stars_is_needed(rng):
    assert not len(library_error_table(make_stars(6, rng)))


def test_other_tables_are_refused(tmp_path):
    (tmp_path / "other.ecsv").write_text("# %ECSV 1.0\n# ---\n# datatype:\n"
                                         "# - {name: a, datatype: int64}\na\n1\n")
    for name in ("other.ecsv", "none.ecsv"):
        with pytest.raises(InputError, match=f"library_error is '.*{name}', which cannot be read"):
            checked_library_error(tmp_path / name)


def test_the_header_of_a_model_takes_the_error(rng):
    stars = make_stars(42, rng)
    entry, table = library_error_entry(stars)["library_error"], library_error_table(stars)
    assert entry["wavelength"] == table["wavelength"].tolist()
    assert_allclose(entry["error"], table["library_error"], atol=1e-4)
    assert library_error_entry(make_stars(6, rng)) == {}


@pytest.fixture
def prediction():
    """A prediction by a model that says its shared error."""
    predictor = Predictor()
    predictor.library_error = ((2500.0, 0.05), (4000.0, 0.01234567), (9000.0, 0.02))
    wavelength, flux = demo_arrays()
    return predictor.predict(wavelength, flux, np.full(flux.size, 1e4) / flux.mean() ** 2)


def test_seds_say_the_error_of_their_model(prediction, tmp_path):
    sed = prediction.reddened(0.1, reddening_error=0.02).to_spectrum()
    known = ((2500.0, 0.05), (4000.0, 0.01235), (9000.0, 0.02))
    assert library_error_of(sed) == known
    band = SpectralElement(Box1D, amplitude=1.0, x_0=5500.0, width=600.0)
    absolute = anchor(sed, 14.0 * u.ABmag, band, magnitude_error=0.02 * u.mag)
    write_sed(absolute, tmp_path / "sed.fits")
    for one in (absolute, 2.0 * absolute, read_sed(tmp_path / "sed.fits")):
        assert library_error_of(one) == known
    silent = replace(prediction, library_error={}).to_spectrum()
    assert library_error_of(silent) is None


def test_conditioned_seds_say_the_error_of_their_model(prediction, tmp_path):
    known = ((2500.0, 0.05), (4000.0, 0.01235), (9000.0, 0.02))
    bands = {"V": SpectralElement(Box1D, amplitude=1.0, x_0=5500.0, width=600.0)}
    many = replace(prediction, flags=(prediction.flags,), diagnostics={},
                   model=np.array([prediction.model]),
                   **{name: getattr(prediction, name)[None]
                      for name in ("flux", "diagonal", "factor")})
    single, several, spectrum = (
        condition(one, {"V": (14.0, 0.02)}, bands, reddening=(0.1, 0.02))
        for one in (prediction, many, prediction.to_spectrum()))
    spectra = [single.to_spectrum(), several[0].to_spectrum(), spectrum,
               spectrum.meta["sedflux"]["photometry"].to_spectrum()]
    write_sed(spectra[0], tmp_path / "sed.fits")
    for one in (*spectra, read_sed(tmp_path / "sed.fits")):
        assert library_error_of(one) == known
        assert one.meta["header"]["SEDMODEL"] == prediction.model


def test_a_damaged_card_is_refused(prediction):
    sed = prediction.to_spectrum()
    for text in ("3000", "3000:a", "4000:0.1 3000:0.1", "3000:-1", "3000:nan"):
        sed.meta["header"][LIBRARY_CARD] = text
        with pytest.raises(InputError, match=f"the card {LIBRARY_CARD} of the SED is '{text}'"):
            library_error_of(sed)


def test_seds_of_several_models_have_the_largest_error():
    one, other = ((3000.0, 0.05), (5000.0, 0.01)), ((4000.0, 0.04), (6000.0, 0.0))
    assert largest_library_error([one, one]) == one
    assert largest_library_error([None]) == LIBRARY_ERROR
    found = largest_library_error([one, other, ()])
    assert_allclose(found, [(3000.0, 0.05), (4000.0, 0.04), (5000.0, 0.02), (6000.0, 0.01)])


def test_the_budget_of_a_response_is_that_of_the_model(prediction):
    band = get_instrument("lookalike").bands["GV"]
    field = simulate_field({"GV": band}, size=4, seed=3, outliers=0.0)
    for sed in field.seds:
        sed.meta["header"][LIBRARY_CARD] = "3000:0.03 9000:0.03"
    told = fit_response(field.counts["GV"], field.seds, band=band)
    assert_allclose(told.systematics["library"].sigma, 0.03, rtol=0.01)
    own = fit_response(field.counts["GV"], field.seds, band=band, library_error=[(5000.0, 0.02)])
    assert_allclose(own.systematics["library"].sigma, 0.02, rtol=0.01)


def test_photometry_measures_the_error_too(rng):
    """Stars whose blue magnitudes are predicted 0.1 mag too bright, and no STIS SEDs."""
    number, grid = 30, sed_grid()
    passbands = {name: (np.linspace(centre - 100.0, centre + 100.0, 9), np.ones(9))
                 for name, centre in (("blue", 3400.0), ("green", 5500.0), ("SDSS_R", 6200.0))}
    weights = band_weights(passbands)
    flux = np.exp(-0.3 * np.log(grid / 5500.0))
    magnitudes = -MAG_PER_LN * np.log((weights * flux).sum(axis=1)
                                      / (weights / grid**2).sum(axis=1))
    measured = magnitudes + [0.1, 0.0, 0.0] + 0.01 * rng.standard_normal((number, 3))
    stars = make_stars(number + 2, rng)
    for name, values in vars(stars.take(np.arange(number + 2) > 1).stars).items():
        setattr(stars.stars, name, values)
    stars.stars.stis_sed[:] = np.nan
    stars.stars.magnitudes = measured
    part = SimpleNamespace(flux=flux, factor=np.zeros((1, grid.size)), diagonal=np.zeros(grid.size),
                           reddened=lambda ebv: part)
    left_out = LeftOut(RowsOf(stars.stars), [part] * number)
    table = library_error_table(left_out, passbands)
    assert list(table["wavelength"]) == [3375.0, 5500.0, 6500.0]
    assert_allclose(table["median"], [0.1 / MAG_PER_LN, 0.0, 0.0], atol=0.01)
    assert (table["stars"] == number).all()
    assert not len(library_error_table(left_out))


class RowsOf(SimpleNamespace):
    """Arrays of stars, of which some can be taken."""

    def __init__(self, stars):
        super().__init__(**{name: np.asarray(value) for name, value in vars(stars).items()})

    def __len__(self):
        return len(self.ebv)

    def take(self, rows):
        return RowsOf(SimpleNamespace(**{name: value[rows] for name, value in vars(self).items()}))


def test_dust_is_that_of_the_catalogue_or_of_good_colours():
    nan = np.nan
    stars = SimpleNamespace(ebv=np.array([0.1, -0.01, nan, nan, nan]),
                            dust=np.array([[0.3, 0.01], [0.3, 0.01], [0.05, 0.01], [0.05, 0.03],
                                           [0.05, 0.01]]),
                            johnson=np.array([[0.1] * 3] * 4 + [[nan] * 3]))
    assert_allclose(dust_of(SimpleNamespace(stars=stars)), [0.1, 0.0, 0.05, nan, nan])


def test_few_stars_of_an_interval_have_the_error_of_their_rms(rng):
    stars = make_stars(42, rng)
    stars.stars.stis_sed[5:, sed_grid() > 9000.0] = np.nan
    table = library_error_table(stars)
    last = table[-1]
    assert (last["wavelength"], last["stars"]) == (9750.0, 3)
    errors = np.log(stars.factor[2:5, 0]) + 0.02
    assert_allclose(last["error"], 1.2533 * np.sqrt(np.mean(errors**2) / 3), rtol=1e-3)
    assert last["library_error"] == _common_error(9750.0, last["median"], last["error"])
