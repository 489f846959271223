"""The command line, on packaged stars and the toy library."""

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from sedflux import __version__, covariance_of
from sedflux.cli.main import main
from sedflux.demo import demo_path
from sedflux.io.sed import read_sed
from sedflux.spectra.sed import parts_of


def test_predict_demo_with_figure(tmp_path, capsys):
    figure = tmp_path / "demo.png"
    assert main(["predict", "--demo", "--plot", str(figure)]) == 0
    out = capsys.readouterr().out
    for word in ("16 Cyg B", "uara.stars2", "no radial velocity removed", "flags", "measured",
                 "sigma"):
        assert word in out
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert figure.stat().st_size > 30_000


def test_an_sed_is_compared_with_a_measured_one(capsys):
    """The demo star's own flux by HST, read as a user's file, gives the demo's numbers."""
    assert main(["predict", "--demo", "--json"]) == 0
    demo = json.loads(capsys.readouterr().out)["stars"][0]
    star = demo_path("16cygb_miles")
    assert main(["predict", star, "--measured", demo_path("16cygb_stis"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stars"][0] == demo
    measured = np.array(demo["sed"]["measured"], dtype=float)
    assert np.abs(np.array(demo["sed"]["flux"]) / measured - 1.0).max() < 0.15
    # The velocity is that of the file: lines of BD+17 4708 lie 291 km/s to the blue.
    moved = ["predict", demo_path("bd17_stis"), "--json"]
    assert main(moved) == 0
    own = json.loads(capsys.readouterr().out)["stars"][0]["sed"]
    assert main([*moved, "--measured", demo_path("bd17_stis")]) == 0
    assert json.loads(capsys.readouterr().out)["stars"][0]["sed"] == own


@pytest.mark.parametrize(("arguments", "message"), [
    (["--measured", demo_path("16cygb_miles")], "no spectrum of HST over 4000-7000 A"),
    (["--measured", "nothing.fits"], "does not exist|cannot be read"),
    ([demo_path("bd17_stis"), "--measured", demo_path("16cygb_stis")], "belongs to one star"),
    (["--measured", demo_path("16cygb_stis"), "-o", demo_path("16cygb_stis"), "--overwrite"],
     "16cygb_stis.fits"),
])
def test_measured_seds_that_cannot_be_are_told(arguments, message, capsys):
    import re

    assert main(["predict", demo_path("16cygb_miles"), *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_predict_file_writes_a_spectrum(tmp_path, capsys):
    target = tmp_path / "sed.fits"
    assert main(["predict", demo_path("16cygb_miles"), "--output", str(target),
                 "--reddening", "0.1"]) == 0
    assert "16 Cyg B" in capsys.readouterr().out
    with fits.open(target) as hdus:
        assert len(hdus[1].data) == 575
    # What was written can be looked at again by name.
    from specutils import Spectrum

    from sedflux import register_readers

    register_readers()
    assert Spectrum.read(str(target)).meta["header"]["SEDEBV"] == pytest.approx(0.1)


@pytest.mark.parametrize(("arguments", "message"), [
    (["predict"], "use --demo"),
    (["predict", "nothing.fits"], "does not exist|cannot be read"),
    (["predict", "--demo", "--model", "uara.none"], "unknown"),
    (["predict", "--demo", "--resolving-power", "100"], "500 or more"),
    (["predict", "a", "b", "--plot", "c.png"], "give a folder for 2 spectra"),
    (["validate"], "nothing to validate"),
    (["validate", "--synthetic", "nothing.fits"], "not a file"),
])
def test_errors_are_one_line_and_status_two(arguments, message, capsys, tmp_path, monkeypatch):
    import re

    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert "Traceback" not in error


def test_models_and_version(capsys):
    assert main(["models"]) == 0
    assert "uara.stars2" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--version"])
    assert __version__ in capsys.readouterr().out


def test_benchmark(capsys, caplog, monkeypatch):
    """With a clock that ticks once a look, every round of a batch takes a second."""
    import re

    from sedflux.validation import speed

    caplog.set_level("INFO", logger="sedflux")

    ticks = iter(range(10**6))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: float(next(ticks)))
    assert main(["benchmark", "--batches", "1", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "predicted in 1.00 s" in lines[0]
    rates = [float(rate) for rate in re.findall(r"([\d.]+) a second", caplog.text)]
    assert rates[1] == pytest.approx(3 * rates[0], rel=0.1)
    assert "\n".join(lines).count("spectra/s") == 2


def test_benchmark_of_everything(tmp_path, capsys):
    table, results = tmp_path / "speed.ecsv", tmp_path / "speed.json"
    command = ["benchmark", "--batches", "2", "--threads", "1", "2", "--seconds", "0.01", "--all",
               "--output", str(table), "--json", str(results)]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "GFLOP/s" in told
    written, rows = json.loads(results.read_text()), Table.read(table)
    assert [row["way"] for row in written["rows"]] == list(rows["way"])
    assert list(rows["threads"][:4]) == [1, 1, 2, 2]
    assert list(rows["velocities"][:2]) == ["one", "each"]
    assert (rows["rate"] > 0).all()
    assert min(written["limits"].values()) > 0
    assert written["cold_start"]["import sedflux"] < written["cold_start"]["sedflux predict --demo"]
    assert main(command) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_predict_of_garbage(tmp_path, capsys):
    path = tmp_path / "garbage.fits"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert main(["predict", str(path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_an_sed_for_a_response_curve(tmp_path):
    """Reddened, on the scale of a magnitude, with its covariance."""
    (tmp_path / "band.txt").write_text("5599 0.0\n5600 0.5\n6300 0.5\n7000 0.5\n7001 0.0\n")
    target = tmp_path / "sed.fits"
    assert main(["predict", demo_path("16cygb_miles"), "--reddening", "0.05", "--reddening-error",
                 "0.01", "--magnitude", "15.2", "--magnitude-error", "0.02", "--bandpass",
                 str(tmp_path / "band.txt"), "--output", str(target)]) == 0
    sed = read_sed(target)
    assert sed.flux.unit.is_equivalent("erg / (s cm2 Angstrom)")
    assert set(parts_of(sed)) == {"reddening", "anchor"}
    assert (covariance_of(sed).sigma / sed.flux.value).min() > 0.015


def test_several_seds_go_to_a_folder(tmp_path, capsys):
    files = [demo_path("16cygb_miles"), demo_path("bd17_stis")]
    assert main(["predict", *files, "--output", str(tmp_path / "seds")]) == 0
    assert sorted(path.name for path in (tmp_path / "seds").iterdir()) == [
        "16cygb_miles.fits", "bd17_stis.fits"]
    assert main(["predict", files[0], "--magnitude", "15", "--output", str(tmp_path / "x")]) == 2
    assert "--bandpass FILE" in capsys.readouterr().err
