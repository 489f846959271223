"""From a library to tables and figures by the commands alone: a trial run in a minute."""

from astropy.table import Table

from sedflux import Predictor
from sedflux.cli.main import main


def test_training_says_where_it_comes_from(toy_models):
    first, second = (Predictor(path).metadata for path in toy_models)
    assert first["training"]["schedule"]["steps"] == 8
    assert second["training"]["start"] == "uara.one"
    assert set(second["training"]["files"]) == {"miles.fits", "stis.fits", "photometry.fits"}
    assert (toy_models[1].parent / "training.png").stat().st_size > 1000
    assert second["training"]["left_out"] == "stars of fold 1"
    assert first["kernels"] == second["kernels"]
    assert (toy_models[0].parent / "training.png").stat().st_size > 1000


def test_tables_and_figures_of_stars(toy_models, star_files, tmp_path):
    paths = [str(star_files[name]) for name in ("stis", "miles", "photometry")]
    assert main(["validate", "--stars", *paths, "--folds", *[str(toy_models[1])] * 4,
                 "--compare", str(toy_models[0]), "--output", str(tmp_path)]) == 0
    stars = Table.read(tmp_path / "stars.ecsv")
    assert set(stars["model"]) == {"left out", "uara.one"}
    assert set(stars["E(B-V)"]) == {"none", "fitted"}
    assert (Table.read(tmp_path / "miles.ecsv")["stars"] >= 3).all()
    assert len(Table.read(tmp_path / "colors.ecsv")) == 4
    for name in ("stars.png", "miles.png"):
        assert (tmp_path / name).stat().st_size > 1000


def test_table_of_foreign_objects(toy_models, star_files, tmp_path):
    assert main(["validate", "--foreign", str(star_files["stis"]), str(star_files["miles"]),
                 "--model", str(toy_models[0]), "--output", str(tmp_path)]) == 0
    table = Table.read(tmp_path / "foreign.ecsv")
    assert {"white dwarf (STIS)", "hot subdwarf (STIS)"} < set(table["kind"])


def test_table_and_figures_of_models(toy_models, star_files, tmp_path):
    assert main(["validate", "--synthetic", str(star_files["library"]), "--model",
                 str(toy_models[0]), "--realisations", "1", "--no-baselines", "--output",
                 str(tmp_path)]) == 0
    table = Table.read(tmp_path / "synthetic.ecsv")
    assert (table["ratio"] > 0).all()
    for name in ("examples", "map", "histograms"):
        assert (tmp_path / f"synthetic_{name}.png").stat().st_size > 1000


def test_error_against_the_number_of_models(toy_models, star_files, tmp_path):
    assert main(["validate", "--model-count", str(star_files["library"]), "--model",
                 str(toy_models[0]), "--output", str(tmp_path)]) == 0
    table = Table.read(tmp_path / "model_count.ecsv")
    assert len(set(table["models"])) == 2
    assert (table["error"] > 0).all()
