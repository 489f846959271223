"""From a library to tables and figures by the commands alone: a trial run in a minute."""

import numpy as np
import pytest
from astropy.table import Table

from sedflux import Predictor
from sedflux.cli.main import main


@pytest.fixture(scope="module")
def models(star_files, tmp_path_factory):
    """A pretrained and a fine-tuned model of a few dozen steps."""
    folder = tmp_path_factory.mktemp("train")
    common = ["--steps", "24", "--workers", "0"]
    assert main(["train", "pretrain", str(star_files["library"]), "--output", str(folder / "one"),
                 "--name", "uara.one", *common]) == 0
    first = folder / "one" / "uara.one.safetensors"
    assert main(["train", "finetune", str(star_files["library"]), str(star_files["miles"]),
                 str(star_files["stis"]), str(star_files["photometry"]), "--start", str(first),
                 "--output", str(folder / "two"), "--name", "uara.two", "--leave-out", "1",
                 "--johnson", str(star_files["johnson"]), "--effects", "--claim", "4800", "9800",
                 *common]) == 0
    second = folder / "two" / "uara.two.safetensors"
    assert main(["train", "finetune", str(star_files["library"]), str(star_files["miles"]),
                 str(star_files["stis"]), str(star_files["photometry"]), "--start", str(first),
                 "--labels-of", str(second), "--output", str(folder / "three"), "--name",
                 "uara.three", "--leave-out", "1", *common]) == 0
    assert (folder / "three" / "uara.three.safetensors").stat().st_size > 1000
    return first, folder / "two" / "uara.two.safetensors"


def test_training_says_where_it_comes_from(models):
    first, second = (Predictor(path).metadata for path in models)
    assert first["training"]["schedule"]["steps"] == 24
    assert second["training"]["start"] == "uara.one"
    assert set(second["training"]["files"]) == {"miles.fits", "stis.fits", "photometry.fits",
                                                "johnson.fits"}
    assert second["domain"]["teff"] == [4800.0, 9800.0]
    assert (models[1].parent / "training.png").stat().st_size > 1000
    assert second["training"]["left_out"] == "stars of fold 1"
    assert first["kernels"] == second["kernels"]
    assert (models[0].parent / "training.png").stat().st_size > 1000


def test_tables_and_figures_of_stars(models, star_files, tmp_path):
    paths = [str(star_files[name]) for name in ("stis", "miles", "photometry")]
    assert main(["validate", "--stars", *paths, "--folds", *[str(models[1])] * 4,
                 "--compare", str(models[0]), "--johnson", str(star_files["johnson"]),
                 "--output", str(tmp_path)]) == 0
    stars = Table.read(tmp_path / "stars.ecsv")
    assert set(stars["model"]) == {"left out", "uara.one"}
    assert set(stars["E(B-V)"]) == {"none", "fitted"}
    assert (Table.read(tmp_path / "miles.ecsv")["stars"] >= 3).all()
    assert len(Table.read(tmp_path / "colors.ecsv")) == 4
    colors = Table.read(tmp_path / "johnson.ecsv")
    assert set(colors["colour"]) == {"U-B", "B-V", "R-I"}
    assert set(colors["model"]) == {"left out", "uara.one"}
    assert (colors["rms"] >= np.abs(colors["median"]) / 2).all()
    each = Table.read(tmp_path / "each_johnson.ecsv")
    assert len(each) == 2 * len(set(each["star"]))
    for name in ("stars.png", "miles.png", "johnson.png"):
        assert (tmp_path / name).stat().st_size > 1000


def test_table_of_foreign_objects(models, star_files, tmp_path):
    assert main(["validate", "--foreign", str(star_files["stis"]), str(star_files["miles"]),
                 "--model", str(models[0]), "--output", str(tmp_path)]) == 0
    table = Table.read(tmp_path / "foreign.ecsv")
    assert {"white dwarf (STIS)", "hot subdwarf (STIS)"} < set(table["kind"])


def test_table_and_figures_of_models(models, star_files, tmp_path):
    assert main(["validate", "--synthetic", str(star_files["library"]), "--model", str(models[0]),
                 "--realisations", "1", "--no-baselines", "--output", str(tmp_path)]) == 0
    table = Table.read(tmp_path / "synthetic.ecsv")
    assert (table["ratio"] > 0).all()
    for name in ("examples", "map", "histograms"):
        assert (tmp_path / f"synthetic_{name}.png").stat().st_size > 1000


def test_error_against_the_number_of_models(models, star_files, tmp_path):
    assert main(["validate", "--model-count", str(star_files["library"]), "--model",
                 str(models[0]), "--output", str(tmp_path)]) == 0
    table = Table.read(tmp_path / "model_count.ecsv")
    assert len(set(table["models"])) == 2
    assert (table["error"] > 0).all()
