"""The studies of responses: small ones, that they measure what they say."""

import numpy as np
import pytest

from sedflux import Predictor, get_instrument
from sedflux.cli.main import main
from sedflux.libraries.library import read_library
from sedflux.simulate.settings import FieldSettings
from sedflux.simulate.simulator import Simulator
from sedflux.training.stars import read_stars
from sedflux.validation.response import (
    closure,
    field_study,
    real_star_study,
    resolution_study,
    scaling,
)

BANDS = get_instrument("lookalike").bands


def test_closure_beats_the_naive_ratio():
    table, curves = closure(Predictor(), BANDS)
    assert (table["fit"] < 3e-4).all()
    assert (table["naive"] > 30.0 * table["fit"]).all()
    assert set(curves) == set(BANDS)


def test_fields_show_what_the_covariance_is_for():
    simulator = Simulator({"GV": BANDS["GV"]}, FieldSettings(outliers=0.0))
    lines = []
    summary, detail = field_study(simulator, size=20, realisations=20, say=lines.append)
    full, diagonal = summary
    assert (full["covariance"], diagonal["covariance"]) == ("full", "diagonal")
    assert 0.6 < full["scatter"] < 1.5
    assert diagonal["scatter"] > 1.3 * full["scatter"]
    assert len(detail) > 40
    assert lines


def test_seds_that_keep_their_resolving_power_in_mind(toy_library):
    table = resolution_study(toy_library, {"GV": BANDS["GV"]}, models=5)
    assert (table["recovered_rms"] < table["naive_rms"]).all()


def test_real_stars_give_a_response(star_files):
    stars = read_stars(star_files["miles"], star_files["stis"], star_files["photometry"])
    detail = real_star_study({"one": [Predictor()]}, read_library(star_files["miles"]), stars,
                             {"GI": BANDS["GI"]})
    assert np.isfinite(detail["error"]).all()
    assert (detail["total"] > detail["sigma"]).all()


def test_time_grows_no_faster_than_the_stars():
    simulator = Simulator({"GI": BANDS["GI"]}, FieldSettings())
    table = scaling(simulator, (10, 40), say=lambda text: None)
    assert list(table["stars"]) == [10, 40]
    assert (table["seconds"] > 0).all()


def test_the_commands_write_tables_and_figures(tmp_path, star_files, capsys):
    common = ["validate", "--response", "lookalike"]
    assert main([*common, "--closure", "--output", str(tmp_path / "c")]) == 0
    assert main([*common, "--realisations", "2", "--field-size", "8", "--output",
                 str(tmp_path / "f")]) == 0
    assert main([*common, "--stars", star_files["stis"].as_posix(), star_files["miles"].as_posix(),
                 star_files["photometry"].as_posix(), "--output", str(tmp_path / "r")]) == 0
    for name in ("c/closure.ecsv", "c/closure.png", "f/fields.ecsv", "f/fields.png",
                 "r/real_response.ecsv", "r/real_response.png"):
        assert (tmp_path / name).stat().st_size > 200
    assert main(["validate", "--response", "csst", "--output", str(tmp_path / "x")]) == 2
    assert "--throughput BAND=FILE" in capsys.readouterr().err
    assert main(["benchmark", "--response", "4"]) == 0
    assert "4 stars, 3 bands" in capsys.readouterr().out


@pytest.mark.parametrize("instrument", ["lookalike"])
def test_bands_without_throughput_are_left_out(instrument):
    from sedflux.validation.response_run import bands_of

    assert set(bands_of(instrument, [])) == {"GU", "GV", "GI"}
