"""Models of white dwarfs: their library, examples, a trial training and what it predicts."""

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from numpy.testing import assert_allclose

from sedflux.exceptions import InputError
from sedflux.libraries.labels import STARS, WHITE_DWARFS, find_label_set
from sedflux.libraries.library import read_library, split_models
from sedflux.network.checkpoint import save_network
from sedflux.predict.flags import flag
from sedflux.predict.predictor import Predictor
from sedflux.spectra.grids import input_grid, optical_mean, sed_grid
from sedflux.training.grid_weight import grid_weight
from sedflux.training.run import train_on_library
from sedflux.training.white_dwarf_errors import CONVECTION
from sedflux.training.white_dwarf_spectra import WhiteDwarfSpectra
from sedflux.training.white_dwarfs import (
    LOGG_RANGE,
    WhiteDwarfGenerator,
)

LINES = (4102.9, 4341.7, 4862.7, 6564.6)


def toy_spectra(wavelength, teff, logg, scale=1.0):
    """Hydrogen lines that grow to 13,000 K and fade, on a slope that rises with temperature."""
    strength = scale * np.exp(-((np.log(teff / 13000.0) / 0.8) ** 2))
    slope = -2.0 - 2.0 * np.tanh(np.log(teff / 15000.0))
    flux = (wavelength / 5000.0) ** slope * np.exp(
        -0.3 * strength * (wavelength < 3700.0))
    width = 12.0 * 10 ** (0.2 * (logg - 8.0))
    for centre in LINES:
        flux = flux * (1.0 - 0.5 * strength / (1.0 + ((wavelength - centre) / width) ** 2))
    return flux


def write_grid(path, *, scale=1.0, teff=None, logg=(7.0, 7.75, 8.5, 9.5), **columns):
    teff = np.geomspace(6000.0, 82000.0, 16) if teff is None else teff
    labels = [(t, g) for t in teff for g in logg]
    wavelength = np.exp(np.arange(np.log(2400.0), np.log(10700.0), 4e-4))
    flux = np.array([toy_spectra(wavelength, *one, scale) for one in labels], dtype=np.float32)
    table = Table({"TEFF": [t for t, _ in labels], "LOGG": [g for _, g in labels], **columns})
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name="MODELS"),
                  fits.ImageHDU(wavelength, name="WAVELENGTH"),
                  fits.ImageHDU(flux, name="FLUX")]).writeto(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("white_dwarfs")
    return (write_grid(folder / "grid.fits"),
            write_grid(folder / "other.fits", scale=0.97, teff=np.geomspace(2e4, 9e4, 8)))


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    path = train_on_library(files[0], folder, name="uara.toyda", steps=2, workers=0,
                            other_models=files[1])
    return Predictor(path), folder


def test_labels_are_found_by_their_names(files):
    library = read_library(files[0])
    assert library.label_set is WHITE_DWARFS
    assert library.labels.shape == (64, 2)
    # Rows of a grid are its numbers, and nothing has broadened its spectra.
    assert_allclose(library.table["INDEX"], np.arange(64))
    assert library.resolving_power > 10000.0
    assert find_label_set(STARS.names) is STARS
    with pytest.raises(InputError, match="models can have TEFF, LOGG, MH"):
        find_label_set(["TEFF", "AGE"])


def test_scaled_labels_come_back():
    labels = np.array([[6500.0, 7.0], [80000.0, 9.5]])
    scaled = WHITE_DWARFS.scale(labels)
    assert np.abs(scaled).max() < 2.5
    assert_allclose(WHITE_DWARFS.unscale(scaled), labels)
    assert np.isfinite(WHITE_DWARFS.unscale(np.full((1, 2), 1e6))).all()
    with pytest.raises(InputError, match="TEFF, LOGG"):
        WHITE_DWARFS.scale(np.ones((2, 6)))


def test_models_that_are_held_out_are_predicted_by_the_others(files):
    training, test = split_models(read_library(files[0]))
    inside = (test.labels[:, 1] > 7.0) & (test.labels[:, 1] < 9.5)
    test = test.take(inside)
    _, log_sed = WhiteDwarfSpectra(training)(test.labels)
    _, truth = WhiteDwarfSpectra(read_library(files[0]))(test.labels)
    assert np.abs(log_sed - truth).max() < 0.05


def test_examples_are_reproducible_and_of_white_dwarfs(files):
    generator = WhiteDwarfGenerator(read_library(files[0]))
    first, again = (generator.examples(16, np.random.default_rng(5)) for _ in range(2))
    assert_allclose(first.normalised, again.normalised)
    labels = WHITE_DWARFS.unscale(first.labels)
    assert labels[:, 0].min() > 6000.0
    assert ((labels[:, 1] >= LOGG_RANGE[0]) & (labels[:, 1] <= LOGG_RANGE[1])).all()
    assert first.normalised.shape == (16, input_grid().size)
    assert first.log_sed.shape == (16, sed_grid().size)
    drawn = generator.observing(generator.draw_labels(4000, np.random.default_rng(1)),
                                np.random.default_rng(2))
    assert np.abs(drawn.velocity).max() > 350.0
    assert drawn.resolving_power.min() < 350.0
    assert not drawn.rotation.any()


def test_libraries_of_stars_make_no_white_dwarfs(toy_library):
    with pytest.raises(InputError, match="models of stars"):
        WhiteDwarfGenerator(toy_library)


def test_corrections_for_convection_are_those_of_the_published_functions():
    """Tremblay et al. (2013), ML2/alpha = 0.8, at log g = 8."""
    teff = np.linspace(6000.0, 14500.0, 200)
    x = (teff - 10000.0) / 1000.0
    change = 1000.0 * (1.0947335e-3 + (-0.18716231 - 0.10729871 * x) * np.exp(
        -((0.019350009 - 0.22863187 * x) ** 2) * (x - 0.64821613) ** 2))
    bend = np.exp(-((0.049277883 + 0.0036232756 * x) ** 2) * (x + 0.86543477) ** 2)
    gravity = 7.5209868e-4 + 0.65854716 * np.exp(-0.42849862 * (x + 0.088982873) ** 2) \
        - 0.92086619 * np.exp(-0.31253746 * (x + 10.348176 - 10.199718 * bend) ** 2)
    nodes, by_teff, by_gravity = CONVECTION
    assert_allclose(np.interp(teff, nodes, by_teff), change, atol=15.0)
    assert_allclose(np.interp(teff, nodes, by_gravity), gravity, atol=0.006)


def test_options_of_the_other_kind_are_refused(files, star_files, tmp_path):
    with pytest.raises(InputError, match="have 'flat' alone"):
        train_on_library(files[0], tmp_path, steps=2, prior="survey")
    with pytest.raises(InputError, match="this one has stars"):
        train_on_library(star_files["library"], tmp_path, steps=2, other_models=files[1])


def test_the_header_says_what_the_model_is(trained):
    predictor, folder = trained
    assert predictor.label_set is WHITE_DWARFS
    assert predictor.metadata["labels"] == ["TEFF", "LOGG"]
    assert sorted(predictor.metadata["common"]["scores"]) == ["convection", "models"]
    assert "Koester" in predictor.metadata["sources"]
    assert json.loads((folder / "training.json").read_text())["config"]["labels"] == 2


def predict(predictor, teff, logg=8.0, *, snr=100.0, power=1500.0):
    wavelength = np.arange(3900.0, 7100.0, 1.5)
    flux = toy_spectra(wavelength, teff, logg)
    noise = np.random.default_rng(3).standard_normal(flux.size)
    return predictor.predict(wavelength, flux * (1.0 + noise / snr), (snr / flux) ** 2,
                             resolving_power=power)


def test_errors_that_models_share_are_named_parts(trained):
    part = predict(trained[0], 12000.0)
    assert sorted(part.parts) == ["convection", "models"]
    for row in part.parts.values():
        assert row.shape == part.flux.shape
        assert (part.factor == row).all(axis=1).any()
    # Convection ends at 14,000 K.
    hot = predict(trained[0], 40000.0)
    assert np.abs(hot.parts["convection"]).max() < 1e-3
    assert np.abs(part.parts["convection"]).max() > 0.01
    notes = part.to_spectrum().meta["sedflux"]
    assert np.isnan(notes["diagnostics"]["mh"])
    assert sorted(notes["errors"].parts) == ["convection", "models"]


def test_the_grid_finds_the_labels(trained):
    part = predict(trained[0], 30000.0, 7.8)
    assert_allclose(part.diagnostics["first_teff"], 30000.0, rtol=0.05)
    assert_allclose(part.diagnostics["first_logg"], 7.8, atol=0.15)
    truth = toy_spectra(sed_grid(), 30000.0, 7.8)
    truth = truth / (optical_mean(sed_grid()) @ truth)
    assert_allclose(part.diagnostics["first_flux"][:60], truth[:60], rtol=0.05)


def test_weights_of_the_grid_come_from_simulated_spectra(trained, files, tmp_path):
    """A network of two steps knows little, and its grid nearly all."""
    predictor = trained[0]
    table = grid_weight(predictor, read_library(files[0]), powers=[1500.0], spectra=64)
    weight = np.array(table["weight"])
    assert weight[0] > 0.9
    assert (np.diff(weight) <= 0).all()
    assert weight[-1] < 0.5
    assert len(table["scale"]) == len(table["snr"])
    assert min(table["scale"]) > 0
    path = tmp_path / "refined.safetensors"
    save_network(path, predictor.network, predictor.metadata | {"grid_weight": table})
    before, after = (predict(one, 30000.0, 7.8) for one in (predictor, Predictor(path)))
    truth = toy_spectra(sed_grid(), 30000.0, 7.8)
    truth = truth / (optical_mean(sed_grid()) @ truth)
    error = [np.abs(part.flux / truth - 1.0).mean() for part in (before, after)]
    assert error[1] < 0.3 * error[0]
    assert (after.sigma < before.sigma).mean() > 0.9
    assert len(after.factor) == len(before.factor) + 3
    assert sorted(after.parts) == ["convection", "models"]


def test_two_solutions_are_flagged_and_told(trained):
    """The same strength of lines at 9000 and 18,800 K, in a noisy spectrum."""
    part = predict(trained[0], 9000.0, snr=12.0)
    bits = int(part.flag_bits)
    second = part.diagnostics["second_weight"]
    assert bool(bits & flag("two_solutions").mask) == (second > 0)
    assert 0.05 < second <= 0.5
    both = sorted([part.diagnostics["first_teff"], part.diagnostics["second_teff"]])
    assert both[0] < 13000.0 < both[1]
    assert np.isfinite(part.diagnostics["second_flux"]).all()


def test_coarser_spectra_than_those_of_stars_are_taken(trained, predictor):
    assert np.isfinite(predict(trained[0], 20000.0, power=350.0).flux).all()
    with pytest.raises(InputError, match="needs 300 or more"):
        predict(trained[0], 20000.0, power=250.0)
    with pytest.raises(InputError, match="needs 500 or more"):
        predict(predictor, 20000.0, power=350.0)
