"""From a library to tables and figures by the commands alone: a trial run in a minute."""

import numpy as np
from astropy.table import Table
from numpy.testing import assert_allclose

from sedflux import Predictor
from sedflux.cli.main import main


def test_training_says_where_it_comes_from(toy_models):
    first, second = (Predictor(path).metadata for path in toy_models)
    assert first["training"]["schedule"]["steps"] == 4
    assert second["training"]["start"] == "uara.one"
    assert set(second["training"]["files"]) == {"miles.fits", "stis.fits", "photometry.fits",
                                                 "johnson.fits"}
    assert second["domain"]["teff"] == [4800.0, 9800.0]
    assert (toy_models[1].parent / "training.png").stat().st_size > 1000
    assert second["training"]["left_out"] == "stars of fold 1"
    assert first["kernels"] == second["kernels"]
    assert (toy_models[0].parent / "training.png").stat().st_size > 1000


def test_three_trainings_lead_to_a_model(toy_models):
    folder = toy_models[1].parent
    logs = [Table.read(path / "log.csv", format="ascii.csv")
            for path in (folder / "first", folder / "second", folder)]
    assert [int(log["step"][-1]) for log in logs] == [2, 4, 1]
    training = Predictor(toy_models[1]).metadata["training"]
    assert [stage["steps"] for stage in training["stages"]] == [2, 4, 1]
    assert training["stages"][2]["seed"] == training["stages"][1]["seed"] + 1


def test_tables_and_figures_of_stars(toy_models, star_files, tmp_path):
    paths = [str(star_files[name]) for name in ("stis", "miles", "photometry")]
    assert main(["validate", "--stars", *paths, "--folds", *[str(toy_models[1])] * 4,
                 "--compare", str(toy_models[0]), "--johnson", str(star_files["johnson"]),
                 "--conditioned", "--output", str(tmp_path)]) == 0
    conditioned = Table.read(tmp_path / "conditioned.ecsv")
    assert set(conditioned["quantity"]) == {"BLUE", "E(B-V)"}
    assert (conditioned["pull_rms"] > 0).all()
    seds = Table.read(tmp_path / "conditioned_stis.ecsv")
    assert set(seds["given"]) == {"one", "all"}
    drawn = Table.read(tmp_path / "conditioned_drawn.ecsv")
    assert list(drawn["given"]) == ["r", "G, BP, RP", "g, r, i, z", "u, g, r, i, z"]
    assert (drawn["sigma"] > 0).all()
    assert {"quantity", "given", "stars"} <= set(
        Table.read(tmp_path / "conditioned_johnson.ecsv").colnames)
    stars = Table.read(tmp_path / "stars.ecsv")
    assert set(stars["model"]) == {"left out", "uara.one"}
    assert set(stars["E(B-V)"]) == {"none", "fitted"}
    assert (Table.read(tmp_path / "miles.ecsv")["stars"] >= 3).all()
    assert len(Table.read(tmp_path / "colors.ecsv")) == 4
    colors = Table.read(tmp_path / "johnson.ecsv")
    assert set(colors["colour"]) == {"U-B", "B-V", "R-I"}
    assert set(colors["model"]) == {"left out", "uara.one"}
    # All toy stars are near: dust alone is between the two medians.
    assert (colors["near"] == colors["stars"]).all()
    u_minus_b = colors[colors["colour"] == "U-B"]
    assert_allclose(u_minus_b["median"] - u_minus_b["near_median"], 0.03 * 0.7, atol=0.01)
    assert (colors["rms"] >= np.abs(colors["median"]) / 2).all()
    each = Table.read(tmp_path / "each_johnson.ecsv")
    assert len(each) == 2 * len(set(each["star"]))
    for name in ("stars.png", "miles.png", "johnson.png"):
        assert (tmp_path / name).stat().st_size > 1000


def test_table_of_foreign_objects(toy_models, star_files, tmp_path):
    assert main(["validate", "--foreign", str(star_files["stis"]), str(star_files["miles"]),
                 "--model", str(toy_models[0]), "--output", str(tmp_path)]) == 0
    table = Table.read(tmp_path / "foreign.ecsv")
    assert {"white dwarf (STIS)", "hot subdwarf (STIS)", "M star (STIS)", "quasar (made)",
            "ordinary, 5500-10250 K (MILES)"} < set(table["kind"])
    assert (table["refused"] <= table["flagged"]).all()
    assert len(table) == 2 * len(set(table["kind"]))


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
    few, all_models = sorted(set(table["models"]))
    error, ratio = ({count: table[name][table["models"] == count].mean()
                     for count in (few, all_models)} for name in ("error", "ratio"))
    assert error[all_models] < error[few]
    # The bound is that of all models: fewer of them stay further above it.
    assert 0.5 < ratio[all_models] < ratio[few]


def test_errors_shrink_with_the_number_of_stars(toy_models, star_files, tmp_path):
    """Toy stars are 10 % brighter in the blue than the models: stars correct this."""
    paths = [str(star_files[name]) for name in ("stis", "miles", "photometry")]
    assert main(["validate", "--star-count", "--synthetic", str(star_files["library"]), "--stars",
                 *paths, "--model", str(toy_models[0]), "--output", str(tmp_path)]) == 0
    table = Table.read(tmp_path / "star_count.ecsv")
    counts = sorted(set(table["stars"]))
    assert counts[0] == 0
    blue = table[table["band"] == "3750-4000"]
    bias = dict(zip(blue["stars"], blue["bias"], strict=True))
    assert bias[0] < -0.05
    assert abs(bias[counts[-1]]) < 0.4 * abs(bias[0])


def test_calibration_of_models_through_the_shell(toy_models, star_files, toy_library, tmp_path,
                                                 capsys):
    paths = [str(star_files[name]) for name in ("miles", "stis", "photometry")]
    first, second = map(str, toy_models)
    assert main(["train", "calibrate", *paths, "--model", second, "--folds", first, second, first,
                 second, "--output", str(tmp_path)]) == 0
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["uara.one.safetensors", "uara.two.safetensors"]
    assert f"wrote {tmp_path / 'uara.two.safetensors'}" in capsys.readouterr().out
    before, after = Predictor(second), Predictor(tmp_path / "uara.two.safetensors")
    scatter = after.metadata["scatter"]
    assert "scatter" not in before.metadata
    assert (np.array(scatter["scale"]) >= 0.6).all()
    # Lengths are rounded: where the models hardly differ, they are zero.
    assert (np.array(scatter["length"])[:, 0] > 0).any()
    # The models differ, and so the calibrated one is less sure where sigma is not scaled down.
    wavelength, flux = toy_library.wavelength, toy_library.flux[0]
    one, other = (p.predict(wavelength, flux, (50.0 / flux) ** 2) for p in (before, after))
    assert_allclose(one.flux, other.flux)
    assert not np.allclose(one.sigma, other.sigma)
