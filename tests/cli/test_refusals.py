"""Bad input of all commands but ``predict``: one line, status 2, and no file is touched."""

import shutil

import pytest

from sedflux.cli.main import main
from sedflux.demo import demo_path


@pytest.fixture
def here(tmp_path, monkeypatch, star_files):
    monkeypatch.chdir(tmp_path)
    shutil.copy(demo_path("16cygb_miles"), "star.fits")
    for name in ("library", "miles"):
        shutil.copy(star_files[name], f"{name}.fits")
    (tmp_path / "empty.fits").touch()
    (tmp_path / "file").touch()
    (tmp_path / "old.fits").write_text("old")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.safetensors").write_text("no model")
    for name in ("counts", "seds"):
        (tmp_path / name).mkdir()
        shutil.copy("star.fits", tmp_path / name / "star.fits")
    (tmp_path / "table.ecsv").write_text("# no table")
    (tmp_path / "field" / "seds").mkdir(parents=True)
    (tmp_path / "field" / "truth.ecsv").write_text("old")
    (tmp_path / "field" / "throughput_GU.ecsv").write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: wavelength, datatype: float64}\n"
        "# - {name: throughput, datatype: float64}\nwavelength throughput\n"
        "2500 0.1\n3000 0.1\n4000 0.1\n")
    (tmp_path / "full" / "counts" / "GV").mkdir(parents=True)
    (tmp_path / "full" / "counts" / "GV" / "star.fits").write_text("old")
    return tmp_path


FIT = "response fit --spectra counts --seds seds --area 1"
STARS = "empty.fits empty.fits empty.fits"


@pytest.mark.parametrize(("arguments", "message"), [
    (f"{FIT} -o counts/star.fits --overwrite", "is the input 'counts/star.fits'"),
    (f"{FIT} -o old.fits", "add --overwrite"),
    (f"{FIT} -o r.fits --plot r.xyz", "no name of a figure"),
    (f"{FIT} -o r.png --format fits --plot r.png", "are one file"),
    (f"{FIT} -o r.fits.gz", "must end in .fits"),
    (f"{FIT} -o no/r.fits", "does not exist"),
    (f"{FIT} -o r.fits --stars table.ecsv", "no effect without --position"),
    (f"{FIT} -o table.ecsv --time --stars table.ecsv --overwrite", "is the input 'table.ecsv'"),
    (f"{FIT} -o r.fits --time --stars no.ecsv", "it does not exist"),
    (f"{FIT} -o r.fits --time --stars empty.fits", "cannot be read"),
    (f"{FIT} -o r.fits --time", "need --stars TABLE"),
    (f"{FIT} -o r.fits --band GV", "no effect without --instrument"),
    ("response apply empty.fits star.fits -o out", "Empty or corrupt"),
    ("response apply no.fits star.fits -o out", "does not exist"),
    ("simulate --magnitudes 20 10 -o f", "two ascending numbers"),
    ("simulate --magnitudes -500 500 -o f", "two ascending numbers"),
    ("simulate --outliers 2 -o f", "outliers is 2"),
    ("simulate --library empty.fits -o f", "empty.fits is damaged"),
    ("simulate -o file", "it is a file"),
    ("simulate -o field", "add --overwrite"),
    ("simulate -o full", "is not empty"),
    ("simulate --instrument csst --throughput GU=field/throughput_GU.ecsv -o field --overwrite",
     "is the input"),
    ("simulate --instrument csst --throughput GU -o f", "BAND=FILE is needed"),
    ("train pretrain empty.fits -o run", "empty.fits is damaged"),
    ("train pretrain star.fits -o run", "not a library"),
    ("train pretrain library.fits -o file", "it is a file"),
    (f"train finetune library.fits {STARS} --start models/m.safetensors -o models",
     "folder of the model"),
    (f"train finetune library.fits {STARS} --start star.fits -o run", "no safetensors file"),
    (f"train finetune library.fits {STARS} --start star.fits -o run --share 2",
     "1 or less is allowed"),
    (f"train calibrate {STARS} --model models/m.safetensors --folds a b c d -o models",
     "folder of the model"),
    (f"train calibrate {STARS} --model m --folds a b c d -o out", "model 'a' is unknown"),
    ("validate --synthetic empty.fits", "empty.fits is damaged"),
    ("validate --synthetic star.fits", "not a library"),
    (f"validate --stars {STARS}", "empty.fits is damaged"),
    ("validate --foreign star.fits star.fits", "not a library"),
    ("validate --continuum empty.fits", "empty.fits is damaged"),
    ("validate --model-count empty.fits", "empty.fits is damaged"),
    ("validate --synthetic library.fits --snr 20", "no effect without --stars"),
    ("validate --synthetic library.fits --closure", "no effect without --response"),
    (f"validate --stars {STARS} --no-baselines", "no effect without --synthetic"),
    (f"validate --stars {STARS} --star-count", "--star-count needs --synthetic"),
    ("validate --response lookalike --foreign a b", "no study of responses"),
    ("validate --response hubble", "unknown"),
    ("validate --response lookalike --closure -o file", "it is a file"),
    ("fetch-library calspec x.fits --folder file", "cannot be made"),
    ("fetch-library calspec .. --folder out", "not allowed"),
    ("fetch-library calspec --folder out", "no files of calspec are named"),
    ("fetch-library ngsl x --select TEFF=5000 --folder out", "belong to bosz2017 and bosz2024"),
    ("fetch-library bosz2024 x.fits --folder out", "belong to calspec and ngsl"),
    ("fetch-library bosz2024 --folder out -o old.fits", "add --overwrite"),
    ("fetch-library bosz2024 --folder out --overwrite", "no effect without --output"),
    ("benchmark --response 3 --batches 1", "--response has no --batches"),
    ("benchmark --response 3 --device cuda", "--response has no --device"),
    ("benchmark --model no.such", "unknown"),
    ("benchmark --device tpu", "give 'cpu' or 'cuda'"),
])
def test_what_cannot_be_is_told_in_one_line(here, arguments, message, capsys):
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert main(arguments.split()) == 2
    err = capsys.readouterr().err
    last = err.splitlines()[-1]
    assert last.startswith("sedflux: error: ")
    assert message in last
    assert err.count("sedflux: error") == 1
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(("arguments", "message"), [
    ("simulate --seed -1 -o f", "whole number of 0 or more"),
    ("simulate --stars 0 -o f", "whole number of 1 or more"),
    ("simulate --exposure 0 -o f", "positive number"),
    ("train pretrain a.fits -o f --seed -1", "whole number of 0 or more"),
    ("train pretrain a.fits -o f --steps 0", "whole number of 1 or more"),
    ("train pretrain a.fits -o f --learning-rate nan", "positive number"),
    ("fetch-library bosz2017 --workers 0 --folder f", "whole number of 1 or more"),
    ("fetch-library sdss --folder f", "invalid choice"),
    ("benchmark --batches 0", "whole number of 1 or more"),
    ("validate --realisations 0", "whole number of 1 or more"),
    ("predict a.fits --resolving-power 0", "positive number"),
    ("predict a.fits --reddening nan", "finite number"),
    (f"{FIT} -o r.fits --grey-error nan", "finite number"),
    ("predict a.fits -q -v", "not allowed with"),
    ("", "required: COMMAND"),
    ("train", "required: STAGE"),
    ("frobnicate", "invalid choice"),
])
def test_errors_of_usage_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments.split())
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("sedflux: error: ")
    assert message in err
    assert err.count("\n") == 1
