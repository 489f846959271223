"""The command line, on packaged stars and the toy library."""

import numpy as np
import pytest
from astropy.io import fits

from sedflux import __version__
from sedflux.cli import main
from sedflux.demo import demo_path


def test_predict_demo_with_figure(tmp_path, capsys):
    figure = tmp_path / "demo.png"
    assert main(["predict", "--demo", "--plot", str(figure)]) == 0
    out = capsys.readouterr().out
    for word in ("BD+17D4708", "uara.stars1", "-291.0 km/s", "flags", "measured", "sigma"):
        assert word in out
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert figure.stat().st_size > 30_000


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
    (["predict", "a", "b", "--plot", "c.png"], "one spectrum at a time"),
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
    assert "uara.stars1" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--version"])
    assert __version__ in capsys.readouterr().out


def test_benchmark(capsys):
    assert main(["benchmark", "--batches", "1", "3"]) == 0
    assert capsys.readouterr().out.count("spectra/s") == 2


def test_predict_of_garbage(tmp_path, capsys):
    path = tmp_path / "garbage.fits"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert main(["predict", str(path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
