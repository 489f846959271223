"""Damaged catalogues are refused, and the file that is damaged is named."""

import json
import shutil

import numpy as np
import pytest

from sedflux import InputError, SEDCatalog, predict_catalog


@pytest.fixture(scope="module")
def good(star, tmp_path_factory):
    """A catalogue of three spectra in two shards."""
    folder = tmp_path_factory.mktemp("damage")
    wavelength, flux = star
    np.savez(folder / "stars.npz", wavelength=wavelength, flux=np.tile(flux, (3, 1)),
             ivar=np.tile(400.0 / flux**2, (3, 1)), reddening=np.full(3, 0.2))
    predict_catalog(folder / "stars.npz", folder / "catalog", workers=1, shard_size=2)
    return folder / "catalog"


@pytest.fixture
def copied(good, tmp_path):
    return shutil.copytree(good, tmp_path / "copy")


def read(path):
    catalog = SEDCatalog(path)
    return catalog.table, list(catalog.spectra())


def test_seds_say_their_dust(good):
    for sed in SEDCatalog(good).spectra():
        assert sed.meta["header"]["SEDEBV"] == pytest.approx(0.2)
        assert sed.meta["header"]["OBJECT"] in "012"


@pytest.mark.parametrize("name", ["stars", "shard_size", "rank", "model", "teff", "wavelength"])
@pytest.mark.parametrize("value", [None, -1, "x" * 9, [3.0, "x"], {}])
def test_entries_of_catalog_json(copied, name, value):
    facts = json.loads((copied / "catalog.json").read_text())
    facts[name] = 7 if name == "model" else value
    (copied / "catalog.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=r"catalog\.json"):
        read(copied)


def test_files_that_are_cut_or_lost(copied):
    table = (copied / "table.parquet").read_bytes()
    (copied / "table.parquet").write_bytes(table[: len(table) // 2])
    with pytest.raises(InputError, match=r"table\.parquet"):
        read(copied)
    (copied / "table.parquet").write_bytes(table)
    for path in (copied / "spectra.zarr" / "factor").rglob("*"):
        if path.is_file() and path.name != "zarr.json":
            path.unlink()
    # Zarr gives NaN for chunks that are not there.
    with pytest.raises(InputError, match=r"spectra\.zarr .*factor is not finite"):
        read(copied)
    with pytest.raises(InputError, match="shards"):
        SEDCatalog(copied).verify()
    shutil.rmtree(copied / "spectra.zarr")
    with pytest.raises(InputError, match=r"spectra\.zarr"):
        read(copied)


def test_notes_that_are_no_notes(copied):
    note = next((copied / "landed").glob("*.json"))
    note.write_text("[1, 2]")
    with pytest.raises(InputError, match="landed/"):
        SEDCatalog(copied).verify()
