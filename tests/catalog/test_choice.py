"""Catalogues whose stars are predicted by the model of their kind."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sedflux import SEDCatalog, predict_catalog
from sedflux.predict.loading import loaded_predictor
from sedflux.predict.models import DEFAULT_MODEL, WHITE_DWARF_MODEL
from sedflux.spectra.grids import input_grid

pytest.importorskip("zarr")


def spectra(model, number):
    """Reference spectra of a model without flags, at S/N 40."""
    predictor, rng = loaded_predictor(model), np.random.default_rng(6)
    power = predictor.arrays.reference_powers()
    flux, _ = predictor.arrays.reference_spectra((power > 1500.0) & (power < 2200.0))
    found = predictor.predict(input_grid(), flux, (200.0 / flux) ** 2)
    low, high = (5000.0, 7000.0) if model == DEFAULT_MODEL else (15000.0, 40000.0)
    teff = found.diagnostics["teff"]
    flux = flux[(found.flag_bits == 0) & (teff > low) & (teff < high)][:number]
    return flux * (1.0 + rng.standard_normal(flux.shape) / 40.0), (40.0 / flux) ** 2


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A catalogue of four stars and two white dwarfs, in shards of three."""
    folder = tmp_path_factory.mktemp("choice")
    flux, ivar = (np.concatenate(parts) for parts in zip(
        spectra(DEFAULT_MODEL, 4), spectra(WHITE_DWARF_MODEL, 2), strict=True))
    order = [0, 4, 1, 2, 5, 3]
    np.savez(folder / "stars.npz", wavelength=input_grid(), flux=flux[order], ivar=ivar[order],
             identifier=np.array([f"star {row}" for row in order]))
    predict_catalog(folder / "stars.npz", folder / "out", workers=1, shard_size=3)
    return SEDCatalog(folder / "out"), (flux[order], ivar[order]), folder


def test_columns_say_which_model_and_how_surely(mixed):
    catalog, _, _ = mixed
    table = catalog.columns("model", "log_odds", "flag_kind_uncertain", "mh")
    white = np.array([False, True, False, False, True, False])
    assert_array_equal(table["model"], np.where(white, WHITE_DWARF_MODEL, DEFAULT_MODEL))
    assert (table["log_odds"] > 3.0).all()
    assert not table["flag_kind_uncertain"].any()
    assert_array_equal(np.isnan(table["mh"]), white)


def test_predictions_are_those_without_a_catalogue(mixed):
    catalog, arrays, _ = mixed
    direct = loaded_predictor("auto").predict(input_grid(), *arrays)
    found = catalog.predictions(slice(0, 6))
    assert_array_equal(found.model, direct.model)
    assert_array_equal(found.sha256, direct.sha256)
    assert_allclose(found.flux, direct.flux, rtol=1e-5)
    assert_allclose(found.sigma, direct.sigma, rtol=2e-3)
    assert_allclose(found.diagnostics["log_odds"], direct.diagnostics["log_odds"], rtol=1e-4)


def test_stars_of_one_kind_are_selected_by_their_model(mixed):
    catalog, _, _ = mixed
    white = catalog.select(model=[WHITE_DWARF_MODEL])
    assert len(white) == 2
    assert white.predictions(slice(0, 2)).model == WHITE_DWARF_MODEL
    assert catalog["star 4"].meta["sedflux"]["model"] == WHITE_DWARF_MODEL
    assert catalog["star 0"].meta["sedflux"]["model"] == DEFAULT_MODEL


def test_a_copy_keeps_the_models(mixed):
    catalog, _, folder = mixed
    copy = catalog.select(model=[WHITE_DWARF_MODEL]).write(folder / "white")
    assert_array_equal(copy.columns("model")["model"], [WHITE_DWARF_MODEL] * 2)
    assert copy.predictions(slice(0, 2)).model == WHITE_DWARF_MODEL


def test_a_catalogue_of_a_former_version_has_one_model(mixed, tmp_path):
    _, arrays, _ = mixed
    np.savez(tmp_path / "stars.npz", wavelength=input_grid(), flux=arrays[0], ivar=arrays[1])
    predict_catalog(tmp_path / "stars.npz", tmp_path / "out", workers=1, model=DEFAULT_MODEL)
    path = tmp_path / "out" / "catalog.json"
    facts = json.loads(path.read_text())
    assert set(facts.pop("models")) == {DEFAULT_MODEL}
    path.write_text(json.dumps(facts))
    again = SEDCatalog(tmp_path / "out")
    found = again.predictions(slice(0, 6))
    assert found.model == DEFAULT_MODEL
    assert np.isnan(again.columns("log_odds")["log_odds"]).all()
    forced = loaded_predictor(DEFAULT_MODEL).predict(input_grid(), *arrays)
    assert_array_equal(found.flag_bits, forced.flag_bits)
