"""``sedflux predict`` with folders and many files: files, JSON, table, failures."""

import json
import os
import shutil

import numpy as np
import pytest
from astropy.table import Table
from numpy.testing import assert_allclose

from sedflux.cli.main import main
from sedflux.demo import demo_path, demo_spectrum
from sedflux.io.registry import read_spectrum
from sedflux.io.sed import read_sed
from sedflux.predict.flags import flag_names
from sedflux.predict.loading import loaded_predictor
from sedflux.predict.many import predict_many
from sedflux.predict.models import DEFAULT_MODEL, WHITE_DWARF_MODEL


@pytest.fixture
def stars(tmp_path):
    """A folder with three good spectra on two grids, and what is no spectrum."""
    folder = tmp_path / "stars"
    folder.mkdir()
    for name in ("a", "b.1"):
        shutil.copy(demo_path("16cygb_miles"), folder / f"{name}.fits")
    shutil.copy(demo_path("bd17_stis"), folder / "c.fits")
    (folder / "notes.md").write_text("no spectrum")
    (folder / ".hidden.fits").write_text("no spectrum")
    return folder


def test_a_folder_is_predicted_and_failures_stop_nothing(stars, tmp_path, capsys):
    (stars / "broken.fits").write_text("no spectrum")
    (stars / "empty.fits").touch()
    assert main(["predict", str(stars), "-o", str(tmp_path / "seds")]) == 1
    out, err = capsys.readouterr()
    assert sorted(path.name for path in (tmp_path / "seds").iterdir()) == [
        "a.fits", "b.1.fits", "c.fits"]
    assert len(out.splitlines()) == 4
    assert out.count("16 Cyg B") == 2
    lines = err.splitlines()
    assert [line.split(":")[2].strip() for line in lines[:2]] == [
        str(stars / "broken.fits"), str(stars / "empty.fits")]
    assert lines[2] == "sedflux: error: 3 predicted, 2 of them flagged; 2 failed"
    assert len(lines) == 3


def test_json_says_what_the_table_says(stars, tmp_path, capsys):
    (stars / "empty.fits").touch()
    table = tmp_path / "stars.ecsv"
    assert main(["predict", str(stars), "--json", "--table", str(table), "-q"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["predicted"], document["flagged"]) == (3, 2)
    assert document["failed"][0]["file"].endswith("empty.fits")
    assert "is empty" in document["failed"][0]["reason"]
    rows = Table.read(table)
    assert rows["teff"].unit == "K"
    assert rows["radial_velocity"].unit == "km / s"
    assert rows["flags"].dtype.kind == "i"
    assert len(rows) == len(document["stars"]) == 3
    for row, star in zip(rows, document["stars"], strict=True):
        assert row["file"] == star["file"]
        assert row["sha256"] == star["sha256"] == loaded_predictor(star["model"]).sha256
        assert document["model"]["sha256"] == loaded_predictor("auto").sha256
        assert int(row["flags"]) == star["flags"]
        assert row["flag_names"].split() == (star["flag_names"] or ["none"])
        assert star["flag_names"] == list(flag_names(star["flags"]))
        assert len(star["flag_names"]) == len(star["flag_sentences"])
        assert_allclose(row["teff"], star["teff"])
        assert len(star["sed"]["wavelength"]) == len(star["sed"]["sigma"]) == 10
    assert "measured" in document["stars"][2]["sed"]


def test_json_of_one_star_has_its_printed_numbers(tmp_path, capsys):
    target = tmp_path / "sed.fits"
    assert main(["predict", "--demo", "--json", "-o", str(target)]) == 0
    star, = json.loads(capsys.readouterr().out)["stars"]
    assert star["output"] == str(target)
    sed = read_sed(target)
    rows = np.searchsorted(sed.spectral_axis.value, star["sed"]["wavelength"])
    assert_allclose(sed.flux.value[rows], star["sed"]["flux"], rtol=1e-6)
    assert main(["predict", "--demo"]) == 0
    printed = capsys.readouterr().out
    for flux in star["sed"]["flux"]:
        assert f"{flux:8.4f}" in printed


def test_many_are_predicted_as_one_alone(predictor):
    good, other = demo_spectrum("16cygb_miles"), demo_spectrum("bd17_stis")
    dark = demo_spectrum("16cygb_miles")
    dark = type(dark)(spectral_axis=dark.spectral_axis, flux=-dark.flux, meta=dark.meta)
    results = predict_many([good, other, dark, good], predictor)
    assert "negative" in str(results[2])
    alone = predictor.predict_spectrum(good)
    for result in (results[0], results[3]):
        assert result.flags == alone.flags
        assert_allclose(result.flux, alone.flux, rtol=1e-6)
        assert_allclose(result.sigma, alone.sigma, rtol=1e-5)
    assert results[1].radial_velocity == -291.0


def test_a_spectrum_that_cannot_be_used_says_so_in_company(predictor):
    """In a batch a spectrum with few good pixels would only be flagged."""
    good = demo_spectrum("16cygb_miles")
    mask = np.ones(good.flux.size, dtype=bool)
    mask[1000:1200] = False
    bad = type(good)(spectral_axis=good.spectral_axis, flux=good.flux, mask=mask, meta=good.meta)
    results = predict_many([good, bad, good], predictor)
    with pytest.raises(type(results[1]), match="too few pixels"):
        raise results[1]
    assert results[0].flux.shape == results[2].flux.shape == (575,)


def test_one_model_is_loaded_for_all(stars, monkeypatch):
    from sedflux.predict import loading
    from sedflux.predict import predictor as module

    loading._read_once.cache_clear()
    made, real = [], module.Predictor.__init__

    def count(self, model=None):
        made.append(model)
        real(self, model)

    monkeypatch.setattr(module.Predictor, "__init__", count)
    assert main(["predict", str(stars)]) == 0
    assert made == [DEFAULT_MODEL, WHITE_DWARF_MODEL]


def test_an_interrupted_run_says_how_far_it_came(stars, tmp_path, monkeypatch, capsys):
    from sedflux.cli import outcome

    real, written = outcome.write_sed, []

    def write(sed, path, **options):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        real(sed, path, **options)

    monkeypatch.setattr(outcome, "write_sed", write)
    assert main(["predict", str(stars), "-o", str(tmp_path / "seds")]) == 130
    assert capsys.readouterr().err.splitlines() == [
        "sedflux: error: 1 of 3 spectra were predicted", "sedflux: error: interrupted"]
    assert [path.name for path in (tmp_path / "seds").iterdir()] == ["a.fits"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The present folder, with a spectrum, links to it, and names that are taken."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(demo_path("16cygb_miles"), "a.fits")
    os.symlink("a.fits", "link.fits")
    os.link("a.fits", "hard.fits")
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        shutil.copy("a.fits", tmp_path / name / "same.fits")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "old.fits").write_text("old")
    (tmp_path / "band.txt").write_text("5600 0.5\n6300 0.5\n7000 0.5\n")
    os.mkfifo("pipe.fits")
    return tmp_path


@pytest.mark.parametrize(("arguments", "message"), [
    ("a.fits -o a.fits --overwrite", "is the input 'a.fits'"),
    ("a.fits -o link.fits --overwrite", "is the input 'a.fits'"),
    ("a.fits -o hard.fits --overwrite", "is the input 'a.fits'"),
    ("x -o x --overwrite", "is the input 'x/same.fits'"),
    ("x y -o seds", "two spectra are called 'same'"),
    ("a.fits -o old.fits", "add --overwrite"),
    ("a.fits -o o.fits.gz", "must end in .fits"),
    ("a.fits -o out --plot p.xyz", "no name of a figure"),
    ("a.fits -o o.fits --plot o.fits", "no name of a figure"),
    ("a.fits x -o file", "it is a file"),
    ("a.fits -o file/o.fits", "it is a file"),
    ("a.fits x -o o.fits", "give a folder for 2 spectra"),
    ("a.fits --table t.csv", "must end in .ecsv"),
    ("a.fits --table no/t.ecsv", "does not exist"),
    ("a.fits --magnitude 15 --bandpass t.ecsv --table t.ecsv -o o.fits", "is the input"),
    ("empty", "has no spectrum"),
    ("pipe.fits", "folder, pipe or device"),
    ("no.fits", "does not exist"),
    ("a.fits --overwrite", "no effect without --output or --plot or --table"),
    ("a.fits --magnitude 15", "no effect without --output"),
    ("a.fits --magnitude 15 -o o.fits", "needs --bandpass FILE"),
    ("a.fits --bandpass band.txt", "no effect without --magnitude"),
    ("a.fits --magnitude-error 0.1", "no effect without --magnitude"),
    ("a.fits --reddening-error 0.1", "no effect without --reddening"),
    ("x a.fits --magnitude 15 --bandpass band.txt -o seds", "belongs to one star"),
    ("a.fits --photometry t.ecsv --bandpasses g=g.ecsv", "no effect without --output"),
    ("a.fits --photometry t.ecsv -o o.fits", "needs --bandpasses BAND=FILE"),
    ("a.fits --bandpasses g=g.ecsv", "no effect without --photometry"),
    ("a.fits --photometry no.ecsv --bandpasses g=g.ecsv -o o.fits", "there is no such file"),
    ("a.fits --radial-velocity 1e9", "is the unit right"),
    ("a.fits --reddening -1", "not negative"),
])
def test_what_cannot_be_is_told_in_one_line(here, arguments, message, capsys):
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert main(["predict", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.startswith("sedflux: error: ")
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in before} == before


def test_two_outputs_of_one_file_are_refused(here, capsys):
    """A link among the outputs would let one SED replace the other."""
    (here / "seds").mkdir()
    (here / "seds" / "a.fits").write_text("old")
    os.symlink("a.fits", here / "seds" / "same.fits")
    assert main(["predict", "a.fits", "x", "-o", "seds", "--overwrite"]) == 2
    assert "are one file" in capsys.readouterr().err
    assert (here / "seds" / "a.fits").read_text() == "old"


def test_an_sed_is_no_star(here, capsys):
    assert main(["predict", "a.fits", "-o", "seds"]) == 0
    assert main(["predict", "seds/a.fits"]) == 2
    assert "give the spectrum of a star" in capsys.readouterr().err


def test_a_pipe_among_spectra_fails_alone(here, capsys):
    assert main(["predict", "a.fits", "pipe.fits", "--overwrite", "-o", "seds"]) == 1
    assert "pipe.fits: spectrum" in capsys.readouterr().err
    assert read_spectrum(here / "seds" / "a.fits").flux.size == 575


def test_photometry_sets_scale_and_dust(stars, tmp_path, capsys):
    """Magnitudes of stars by name; the one without fails alone."""
    from astropy import units as u

    grid = np.arange(4500.0, 5510.0, 10.0)
    for name, shift in (("g", 0.0), ("r", 1500.0)):
        open_at = (grid > 4520.0) & (grid < 5480.0)
        Table({"wavelength": (grid + shift) * u.AA, "throughput": 0.5 * open_at}).write(
            tmp_path / f"{name}.ecsv")
    Table({"star": ["a", "b.1"], "g": [6.6, 6.7], "g_error": [0.02, 0.02], "r": [6.1, 6.2],
           "r_error": [0.02, 0.02]}).write(tmp_path / "magnitudes.ecsv")
    assert main(["predict", str(stars), "--photometry", str(tmp_path / "magnitudes.ecsv"),
                 "--bandpasses", f"g={tmp_path / 'g.ecsv'}", f"r={tmp_path / 'r.ecsv'}",
                 "--reddening", "0.02", "--reddening-error", "0.02",
                 "-o", str(tmp_path / "seds"), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert "rows of the star 'c'" in document["failed"][0]["reason"]
    first = document["stars"][0]
    assert first["photometry"]["dof"] == 1
    assert set(first["photometry"]["pulls"]) == {"g", "r"}
    one, two = (read_sed(tmp_path / "seds" / f"{name}.fits") for name in ("a", "b.1"))
    assert one.flux.unit.is_equivalent(u.Unit("erg / (s cm2 Angstrom)"))
    assert_allclose((one.flux / two.flux).value, 10**0.04, rtol=1e-9)
    assert one.meta["header"]["SEDEBV"] == first["photometry"]["reddening"]
