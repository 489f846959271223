"""Catalogues whose stars are predicted by the model of their kind."""

import json
import shutil

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from numpy.testing import assert_allclose, assert_array_equal
from specutils import Spectrum
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import InputError, SEDCatalog, anchor, fit_response, get_instrument, predict_catalog
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


def systematics(seds):
    """What a response by these SEDs has in common errors, from flat counts."""
    band = get_instrument("lookalike").bands["GU"]
    green = SpectralElement(Box1D, x_0=4750, width=1200)
    seds = [anchor(sed, 16.0 * u.ABmag, green, magnitude_error=0.02 * u.mag) for sed in seds]
    counts = Spectrum(spectral_axis=np.arange(2600.0, 4000.0, 10.0) * u.AA,
                      flux=np.full(140, 20.0) * u.electron / u.s,
                      uncertainty=StdDevUncertainty(np.full(140, 0.2)))
    return fit_response([counts] * len(seds), seds, band=band, robust=False,
                        smoothness=0.05).systematics


@pytest.mark.filterwarnings("ignore:.*no error of E:sedflux.exceptions.SedfluxWarning")
def test_white_dwarfs_keep_the_errors_that_they_share(mixed):
    """Those of a catalogue, of a selection, and of the copy of one count as those without."""
    catalog, arrays, folder = mixed
    direct = loaded_predictor("auto").predict(input_grid(), *arrays)
    found = catalog.predictions(slice(0, 6))
    assert sorted(found.parts) == ["convection", "models"]
    for name, part in direct.parts.items():
        assert_allclose(found.parts[name], part, rtol=1e-3, atol=1e-7)
        assert not found.parts[name][[0, 2, 3, 5]].any()
    some = catalog.select(model=WHITE_DWARF_MODEL)
    seds = {"direct": [direct[row].to_spectrum() for row in (1, 4)],
            "catalogue": [catalog[f"star {row}"] for row in (4, 5)],
            "selection": list(some.reddened(0.0).write(folder / "copy").spectra())}
    expected = systematics(seds["direct"])
    assert expected["models"].sigma.max() > 1e-3
    for kind in ("catalogue", "selection"):
        own = systematics(seds[kind])
        assert list(own) == list(expected)
        for name, row in expected.items():
            # Factors are stored in half precision.
            assert_allclose(own[name].sigma, row.sigma, rtol=1e-2, atol=1e-6, err_msg=kind)
    assert not catalog.select(model=DEFAULT_MODEL).predictions(slice(0, 4)).parts


@pytest.mark.parametrize("row", [None, 99])
def test_rows_that_a_catalogue_does_not_say_or_have(mixed, tmp_path, row):
    """Former versions did not say the rows; one that the factor does not have is damage."""
    _, _, folder = mixed
    shutil.copytree(folder / "out", tmp_path / "copy")
    facts = json.loads((tmp_path / "copy" / "catalog.json").read_text())
    parts = facts["models"][WHITE_DWARF_MODEL].pop("parts")
    if row is not None:
        facts["models"][WHITE_DWARF_MODEL]["parts"] = parts | {"models": row}
    (tmp_path / "copy" / "catalog.json").write_text(json.dumps(facts))
    catalog = SEDCatalog(tmp_path / "copy")
    if row is None:
        assert not catalog.predictions(slice(0, 6)).parts
        return
    with pytest.raises(InputError, match=r"catalog\.json .* damaged"):
        catalog.predictions(slice(0, 6))


def test_a_catalogue_of_white_dwarfs_has_room_for_all_rows(tmp_path):
    """Spectra beyond the domain have four rows more, of the prior."""
    flux, ivar = spectra(WHITE_DWARF_MODEL, 1)
    flux = np.concatenate([flux, flux**3.0])
    np.savez(tmp_path / "stars.npz", wavelength=input_grid(), flux=flux, ivar=ivar[[0, 0]])
    predict_catalog(tmp_path / "stars.npz", tmp_path / "out", model=WHITE_DWARF_MODEL, workers=1)
    catalog = SEDCatalog(tmp_path / "out")
    assert catalog.columns("flag_bits")["flag_bits"][1]
    direct = loaded_predictor(WHITE_DWARF_MODEL).predict(input_grid(), flux, ivar[[0, 0]])
    assert direct.factor.shape[1] == catalog.facts["rank"]
    assert_allclose(catalog.predictions(slice(0, 2)).sigma, direct.sigma, rtol=2e-3)
