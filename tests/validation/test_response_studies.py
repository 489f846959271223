"""Small studies of responses: their tables show what the studies are for."""

import numpy as np
import pytest
from astropy.table import Table

from sedflux import Predictor, get_instrument
from sedflux.cli.main import main
from sedflux.libraries.library import read_library
from sedflux.simulate.settings import FieldSettings
from sedflux.simulate.simulator import Simulator
from sedflux.simulate.white_dwarfs import WhiteDwarfs
from sedflux.training.stars import read_stars
from sedflux.validation.response_closure import closure, resolution_study
from sedflux.validation.response_fields import field_study, scaling
from sedflux.validation.response_kinds import response_kinds
from sedflux.validation.response_run import bands_of
from sedflux.validation.response_stars import real_star_study

BANDS = get_instrument("lookalike").bands


def test_closure_beats_the_naive_ratio(predictor):
    table, curves = closure(predictor, BANDS)
    assert (table["fit"] < 3e-4).all()
    assert (table["naive"] > 30.0 * table["fit"]).all()
    assert set(curves) == set(BANDS)


def test_pulls_are_right_with_the_full_covariance_alone(caplog):
    caplog.set_level("INFO", logger="sedflux")
    simulator = Simulator({"GV": BANDS["GV"]}, FieldSettings(outliers=0.0))
    summary, detail = field_study(simulator, size=20, realisations=20)
    full, diagonal = summary
    assert (full["covariance"], diagonal["covariance"]) == ("full", "diagonal")
    assert 0.6 < full["scatter"] < 1.5
    assert diagonal["scatter"] > 1.3 * full["scatter"]
    assert len(detail) > 40
    assert "20 fields" in caplog.text


def test_two_kinds_of_stars_add_their_information():
    """In each interval the inverse variances of stars and of white dwarfs add up."""
    dwarfs = WhiteDwarfs(number=4, magnitudes=(13.0, 15.0))
    simulator = Simulator({"GU": BANDS["GU"]}, FieldSettings(outliers=0.0), white_dwarfs=dwarfs)
    summary, detail = response_kinds(simulator, size=8, realisations=2)
    assert list(summary["group"]) == ["stars", "white dwarfs", "both"]
    assert list(summary["fields"]) == [2, 2, 2]
    places = [{row["wavelength"]: row["sigma"] for row in detail if row["group"] == group}
              for group in summary["group"]]
    common = sorted(set.intersection(*(set(one) for one in places)))
    assert len(common) > 15
    star, dwarf, both = (np.array([one[place] for place in common]) for one in places)
    assert (both < np.minimum(star, dwarf)).all()
    # About so: the smoothness of each response is its own.
    assert 0.8 < np.median(both**-2.0 / (star**-2.0 + dwarf**-2.0)) < 1.5


def test_recovered_seds_give_better_counts(toy_library):
    table = resolution_study(toy_library, {"GV": BANDS["GV"]}, models=5)
    assert (table["recovered_rms"] < table["naive_rms"]).all()


def test_real_stars_give_a_response(star_files):
    stars = read_stars(star_files["miles"], star_files["stis"], star_files["photometry"])
    detail = real_star_study({"one": [Predictor()]}, read_library(star_files["miles"]), stars,
                             {"GI": BANDS["GI"]})
    assert np.isfinite(detail["error"]).all()
    assert (detail["total"] > detail["sigma"]).all()
    ways = set(zip(detail["dust"], detail["covariance"], strict=True))
    assert ways == {("fitted", "full"), ("catalogue", "full"), ("catalogue", "diagonal")}


def test_copies_of_stars_take_their_share_of_time(monkeypatch):
    """Beyond the most stars that are simulated, copies are fitted, all of them."""
    from sedflux.validation import response_fields

    monkeypatch.setattr(response_fields, "_MOST_SIMULATED", 4)
    fitted, fit_response = [], response_fields.fit_response

    def fit(counts, seds, **options):
        response = fit_response(counts, seds, **options)
        fitted.append(len(response.stars))
        return response

    monkeypatch.setattr(response_fields, "fit_response", fit)
    # A clock that shows how many fits have begun and ended.
    monkeypatch.setattr(response_fields.time, "perf_counter", lambda: 7.0 * len(fitted))
    table = scaling(Simulator({"GI": BANDS["GI"]}, FieldSettings()), (3, 10))
    assert list(table["stars"]) == fitted == [3, 10]
    assert table.meta["bands"] == 1
    assert list(table["seconds"]) == [7.0, 7.0]
    assert table["memory"][0] <= table["memory"][1]


def test_closure_command_writes_its_table(tmp_path, capsys):
    assert main(["validate", "--response", "lookalike", "--closure", "--output",
                 str(tmp_path)]) == 0
    table = Table.read(tmp_path / "closure.ecsv")
    assert list(table["band"]) == ["GU", "GV", "GI"]
    assert (table["fit"] < 3e-4).all()
    printed = capsys.readouterr().out
    assert f"{table['naive'][0]:.6f}" in printed
    assert f"wrote {tmp_path / 'closure.ecsv'}" in printed
    assert (tmp_path / "closure.png").read_bytes().startswith(b"\x89PNG")
    assert "GU" in (tmp_path / "closure.rst").read_text()


def test_fields_command_takes_size_and_number(tmp_path):
    assert main(["validate", "--response", "lookalike", "--realisations", "2", "--field-size", "8",
                 "--output", str(tmp_path)]) == 0
    table = Table.read(tmp_path / "fields.ecsv")
    assert (table["fields"] == 2).all()
    assert set(table["covariance"]) == {"full", "diagonal"}
    intervals = Table.read(tmp_path / "field_intervals.ecsv")
    assert set(intervals["band"]) == {"GU", "GV", "GI"}
    assert (tmp_path / "fields.png").read_bytes().startswith(b"\x89PNG")


def test_real_stars_command_summarises_its_intervals(tmp_path, star_files):
    assert main(["validate", "--response", "lookalike", "--stars", str(star_files["stis"]),
                 str(star_files["miles"]), str(star_files["photometry"]), "--output",
                 str(tmp_path)]) == 0
    detail = Table.read(tmp_path / "real_response.ecsv")
    bands = Table.read(tmp_path / "real_response_bands.ecsv")
    for row in bands:
        same = [detail[name] == row[name] for name in ("band", "dust", "covariance")]
        error = detail["error"][np.all(same, axis=0)]
        assert row["rms"] == pytest.approx(np.sqrt(np.mean(error**2)), abs=1e-4)
    assert (tmp_path / "real_response.png").read_bytes().startswith(b"\x89PNG")


def test_benchmark_of_responses(capsys):
    assert main(["benchmark", "--response", "4"]) == 0
    assert "4 stars, 3 bands" in capsys.readouterr().out


def test_bands_without_throughput_are_left_out(capsys):
    assert set(bands_of("lookalike", {})) == {"GU", "GV", "GI"}
    assert main(["validate", "--response", "csst"]) == 2
    assert "--throughput BAND=FILE" in capsys.readouterr().err
