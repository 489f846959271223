"""Catalogues: each spectrum comes out once, as `predict_sed` gives it, or with a reason."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import dask
import numpy as np
import pyarrow.parquet
import pytest
import zarr
from astropy import units as u
from astropy.io.votable import parse
from astropy.io.votable.ucd import parse_ucd
from astropy.nddata import StdDevUncertainty
from astropy.table import Table
from numpy.testing import assert_allclose
from specutils import Spectrum
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import (
    InputError,
    SEDCatalog,
    anchor,
    predict_catalog,
    predict_sed,
    synthetic_photometry,
)
from sedflux.catalog import run
from sedflux.catalog.destination import Destination
from sedflux.cli.main import main
from sedflux.exceptions import SedfluxWarning, WriteError
from sedflux.io.registry import read_spectrum
from sedflux.predict.flags import FLAGS

BANDS = {"g": SpectralElement(Box1D, x_0=4700, width=1000),
         "r": SpectralElement(Box1D, x_0=6200, width=1000),
         "u": SpectralElement(Box1D, x_0=3500, width=500)}


@pytest.fixture(scope="module")
def catalog(survey, tmp_path_factory):
    path = tmp_path_factory.mktemp("catalog") / "out"
    summary = predict_catalog(survey, path, workers=1, shard_size=4)
    assert summary == {"predicted": 10, "flagged": summary["flagged"], "failed": 0, "shards": 3}
    return SEDCatalog(path)


def checksums(path):
    return {number: note["sha256"] for number, note in Destination(path).notes().items()}


def test_stars_are_those_of_predict_sed(catalog):
    table = catalog.table
    assert len(set(table["identifier"])) == 10
    for row in (0, 7, 9):
        alone = predict_sed(read_spectrum(table["path"][row]))
        found = catalog[table["identifier"][row]]
        assert_allclose(found.flux.value, alone.flux.value, rtol=1e-5)
        assert_allclose(found.uncertainty.array, alone.uncertainty.array, rtol=2e-3)
        assert found.meta["sedflux"]["flags"] == alone.meta["sedflux"]["flags"]
        assert_allclose(table["teff"][row], alone.meta["sedflux"]["diagnostics"]["teff"], rtol=1e-4)
        assert_allclose(table["radial_velocity"][row], alone.meta["header"]["SEDRV"], atol=1e-3)
    assert table["teff"].unit == u.K
    assert set(table["ra"]) == {10.0 + seed for seed in range(10)}


def test_files_are_read_without_sedflux(catalog):
    table = pyarrow.parquet.read_table(catalog.path / "table.parquet")
    assert table.num_rows == 10
    assert {f"flag_{one.name}" for one in FLAGS} < set(table.column_names)
    assert len(Table.read(catalog.path / "table.parquet")) == 10
    group = zarr.open_group(str(catalog.path / "spectra.zarr"), mode="r")
    sigma = group["flux"][3] * np.sqrt(
        group["diagonal"][3] + (group["factor"][3].astype(float) ** 2).sum(axis=0))
    assert_allclose(group["sigma"][3], sigma, rtol=2e-3)
    assert group["wavelength"].attrs["unit"] == "Angstrom"


def test_astropy_reads_units_and_descriptions(catalog):
    pytest.importorskip("pandas")
    table = Table.read(catalog.path / "table.parquet")
    assert table["teff"].unit == u.K
    assert (table["ra"].unit, table["radial_velocity"].unit) == (u.deg, u.km / u.s)
    assert table["flag_low_snr"].description == "bit 3 of flag_bits is set"
    assert all(column.description for column in table.itercols())
    assert list(table["teff"]) == list(catalog.table["teff"])


# VOTables have no unit of AB magnitudes: theirs is mag.
@pytest.mark.filterwarnings("ignore:In merged column 'mag")
def test_the_table_has_a_votable_for_topcat(catalog, anchored):
    """Programs of the Virtual Observatory read its fields from the metadata of the file."""
    for one in (catalog, anchored):
        schema = pyarrow.parquet.read_schema(one.path / "table.parquet")
        assert schema.metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
        content = io.BytesIO(schema.metadata[b"IVOA.VOTable-Parquet.content"])
        fields = parse(content, verify="exception").get_first_table().fields
        assert [field.name for field in fields] == schema.names
        for field in fields:
            assert field.description
            parse_ucd(field.ucd, check_controlled_vocabulary=True)
        found = {field.name: field for field in fields}
        assert (found["teff"].unit, found["radial_velocity"].unit) == (u.K, u.km / u.s)
        pytest.importorskip("pandas")
        table = Table.read(one.path / "table.parquet", format="parquet.votable")
        assert table["teff"].unit == u.K
        assert list(table["identifier"]) == list(one.table["identifier"])
    assert found["mag_g"].unit == found["mag_g_error"].unit == u.mag
    assert found["scale"].unit == u.Unit("erg / (s cm2 Angstrom)")


def test_stars_behind_dust_get_no_more(anchored):
    with pytest.raises(InputError, match="reddened already"):
        anchored.reddened(0.1)


def test_selections(catalog):
    good = catalog.select(flags="none")
    assert set(good.table["flag_bits"]) == {0}
    low = catalog.select(flag_low_snr=True)
    assert list(low.table["identifier"]) == ["spec-007"]
    assert len(catalog.select(snr=(20.0, None))) == 9
    assert len(good.select(identifier=["spec-001", "spec-007"])) == 1
    assert len(catalog.select(flags="low_snr")) == len(good) + len(low.select(flags="low_snr"))
    assert sum(len(part) for part in good.chunks()) == len(list(good.spectra())) == len(good)
    inside = catalog.select(teff=(5000.0, 6000.0))
    assert 0 < len(inside) == len(catalog.select(teff=(5.0 * u.kK, 6000 * u.K)))
    assert len(catalog.select(teff=(5.0 * u.kK, None))) >= len(inside)
    for bad, message in (({"colour": 1}, "column 'colour' is unknown"),
                         ({"teff": (5000 * u.AA, None)}, "teff is no array"),
                         ({"snr": (20 * u.K, None)}, "snr is no array"),
                         ({"snr": (1, 2, 3)}, "least and the largest"),
                         ({"flags": "green"}, "flag 'green' is unknown")):
        with pytest.raises(InputError, match=message):
            catalog.select(**bad)
    with pytest.raises(InputError, match="not among the 9"):
        catalog.select(snr=(20.0, None))["spec-007"]
    for key in (0, slice(2)):
        with pytest.raises(InputError, match=r"give the name of a star, or .* spectra\(\)"):
            catalog[key]


def test_photometry_of_all_stars(catalog):
    table = catalog.photometry(BANDS)
    name = table["identifier"][2]
    photometry = synthetic_photometry(catalog[name], BANDS)
    for band in ("r", "u"):
        colour, error = photometry.color("g", band)
        assert_allclose(table[f"g-{band}"][2].value, colour.value, rtol=1e-6)
        assert_allclose(table[f"g-{band}_error"][2].value, error.value, rtol=1e-6)
    with pytest.raises(InputError, match="holds one band"):
        catalog.photometry({"g": BANDS["g"]})


def test_a_pile_with_bad_files(survey, write_lamost, tmp_path):
    pile = tmp_path / "pile"
    pile.mkdir()
    good = write_lamost(pile / "good.fits", 1)
    content = good.read_bytes()
    (pile / "truncated.fits").write_bytes(content[: len(content) // 2])
    (pile / "empty.fits").touch()
    (pile / "text.fits").write_text("SIMPLE is what this is not")
    (pile / "image.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
    (pile / "packed.fits.gz").write_bytes(b"\x1f\x8b" + bytes(50))
    (pile / "loop.fits").symlink_to(pile / "loop.fits")
    write_lamost(pile / "fast.fits", 2, redshift=0.2)
    from astropy.io import fits

    with fits.open(good) as hdus:
        hdus[0].data[0] = np.nan
        hdus.writeto(pile / "nan.fits")
    fits.PrimaryHDU(np.ones((50, 60))).writeto(pile / "picture.fits")
    summary = predict_catalog(pile, tmp_path / "out", workers=1)
    table = SEDCatalog(tmp_path / "out").table
    assert summary["predicted"] == 1
    assert summary["failed"] == 9 == (table["error"] != "").sum()
    row = table[table["identifier"] == "good"][0]
    assert row["predicted"]
    reasons = {row["identifier"]: row["error"] for row in table if not row["predicted"]}
    assert "velocity" in reasons["fast"]
    assert all(len(reason) > 10 and "\n" not in reason for reason in reasons.values())
    flux = zarr.open_group(str(tmp_path / "out" / "spectra.zarr"), mode="r")["flux"][:]
    assert np.isfinite(flux).all(axis=1).sum() == 1
    alone = predict_sed(read_spectrum(good))
    assert_allclose(SEDCatalog(tmp_path / "out")["good"].flux.value, alone.flux.value, rtol=1e-5)
    with pytest.raises(InputError, match="could not be predicted"):
        SEDCatalog(tmp_path / "out")["nan"]


def test_arrays_with_dust(star, predictor, tmp_path):
    wavelength, flux = star
    ivar = np.full((3, flux.size), 2500.0) / flux**2
    np.savez(tmp_path / "stars.npz", wavelength=wavelength, flux=np.stack([flux] * 3), ivar=ivar,
             radial_velocity=[0.0, 30.0, -20.0], reddening=[0.0, 0.2, np.nan],
             reddening_error=[0.0, 0.02, np.nan])
    predict_catalog(tmp_path / "stars.npz", tmp_path / "out", workers=1)
    catalog = SEDCatalog(tmp_path / "out")
    alone = predictor.predict(wavelength, flux, ivar[0], radial_velocity=30.0).reddened(
        0.2, reddening_error=0.02)
    found = catalog["1"]
    assert_allclose(found.flux.value, alone.flux, rtol=1e-5)
    assert_allclose(found.uncertainty.array, alone.sigma, rtol=2e-3)
    clean = predictor.predict(wavelength, flux, ivar[0], radial_velocity=-20.0)
    assert_allclose(catalog["2"].flux.value, clean.flux, rtol=1e-5)


@pytest.fixture(scope="module")
def anchored(star, tmp_path_factory):
    """Three stars of one spectrum: with a magnitude and dust, with a magnitude alone, without."""
    folder = tmp_path_factory.mktemp("anchored")
    wavelength, flux = star
    ivar = np.full((3, flux.size), 2500.0) / flux**2
    np.savez(folder / "stars.npz", wavelength=wavelength, flux=np.stack([flux] * 3), ivar=ivar,
             reddening=[0.1, 0.0, 0.0], reddening_error=[0.02, 0.0, 0.0], band=["r", "g", ""],
             magnitude=[14.5, 12.0, np.nan], magnitude_error=[0.02, 0.0, np.nan])
    predict_catalog(folder / "stars.npz", folder / "out", workers=1, shard_size=2, bands=BANDS)
    return SEDCatalog(folder / "out")


def test_magnitudes_put_stars_on_an_absolute_scale(star, predictor, anchored):
    wavelength, flux = star
    alone = predictor.predict(wavelength, flux, 2500.0 / flux**2)
    reddened = anchor(alone.reddened(0.1, reddening_error=0.02).to_spectrum(), 14.5 * u.ABmag,
                      {"r": BANDS["r"]}, magnitude_error=0.02 * u.mag)
    bright = anchor(alone.to_spectrum(), 12.0 * u.ABmag, {"g": BANDS["g"]})
    table = anchored.table
    for name, wanted in (("0", reddened), ("1", bright)):
        found, row = anchored[name], table[table["identifier"] == name][0]
        assert found.flux.unit == wanted.flux.unit
        assert_allclose(found.flux.value, wanted.flux.value, rtol=1e-4)
        # The factor is stored in half precision, and the magnitude removes most of it.
        assert_allclose(found.uncertainty.array / wanted.flux.value,
                        wanted.uncertainty.array / wanted.flux.value, rtol=5e-3, atol=5e-5)
        photometry = synthetic_photometry(wanted, BANDS)
        for band, value, sigma in zip(photometry.bands, photometry.value.value,
                                      photometry.sigma.value, strict=True):
            assert_allclose(row[f"mag_{band}"], value, atol=1e-4)
            assert_allclose(row[f"mag_{band}_error"], sigma, rtol=5e-3, atol=1e-4)
        assert_allclose(row["scale"] * anchored.predictions(slice(0, 3)).flux[int(name)],
                        wanted.flux.value, rtol=1e-4)
    assert np.isnan(table["mag_g"][2])
    assert np.isnan(table["scale"][2])
    assert anchored["2"].flux.unit == u.dimensionless_unscaled
    assert table["mag_g_error"].unit == u.mag
    assert len(anchored.select(mag_g=(11.9, 12.1))) == 1


def test_magnitudes_of_all_stars(anchored):
    table = anchored.photometry({"g": BANDS["g"], "u": BANDS["u"]})
    assert_allclose(table["g"][1].value, 12.0, atol=1e-4)
    assert_allclose(table["g_error"][1].value, 0.0, atol=1e-4)
    assert_allclose(table["u"][0].value, anchored.table["mag_u"][0], atol=1e-4)
    assert_allclose(table["g"][0].value - table["u"][0].value, table["g-u"][0].value, atol=1e-6)
    assert np.isnan(table["u"][2].value)
    assert np.isfinite(table["g-u"][2].value)
    assert_allclose(anchored.photometry({"u": BANDS["u"]})["u"][0].value, table["u"][0].value)


def test_dust_pixels_and_a_copy(anchored, catalog, tmp_path):
    dusty = catalog.select(flags="none").reddened(0.2, reddening_error=0.03)
    name = dusty.table["identifier"][0]
    sed = dusty[name]
    wanted = next(catalog.select(identifier=name).chunks()).reddened(0.2, reddening_error=0.03)
    assert_allclose(sed.flux.value, wanted.flux[0], rtol=1e-9)
    assert_allclose(sed.uncertainty.array, wanted.sigma[0], rtol=1e-9)
    pixels = np.arange(3000.0, 9000.0, 40.0) * u.AA
    flux, sigma = dusty.rebin(pixels)
    rebinned = wanted[0].to_spectrum(wavelengths=pixels)
    assert_allclose(flux[0], rebinned.flux.value, rtol=1e-10)
    assert_allclose(sigma[0], rebinned.uncertainty.array, rtol=1e-6)
    copy = dusty.write(tmp_path / "dusty")
    copy.verify()
    assert list(copy.table["identifier"]) == list(dusty.table["identifier"])
    assert_allclose(copy[name].flux.value, sed.flux.value, rtol=1e-6)
    assert_allclose(copy[name].uncertainty.array, sed.uncertainty.array, rtol=2e-3)
    before = checksums(tmp_path / "dusty")
    dusty.write(tmp_path / "dusty")
    assert checksums(tmp_path / "dusty") == before
    same = anchored.write(tmp_path / "same")
    assert_allclose(same["0"].flux.value, anchored["0"].flux.value, rtol=1e-6)
    assert_allclose(same.table["mag_u"], anchored.table["mag_u"], atol=1e-4)
    with pytest.raises(InputError, match="reddened already"):
        dusty.reddened(0.1)
    with pytest.raises(InputError, match="catalogue itself"):
        dusty.write(catalog.path)
    with pytest.raises(InputError, match="no stars"):
        catalog.select(snr=(1e9, None)).write(tmp_path / "none")
    with pytest.raises(InputError, match="pixel centres"):
        catalog.rebin([3000.0, 2900.0] * u.AA)


def test_a_selection_gives_a_response(anchored):
    from sedflux import fit_responses, get_instrument
    from sedflux.slitless.forward import count_model

    band = get_instrument("lookalike").bands["GV"]
    pixels = band.wavelengths()
    seds, counts = list(anchored.select(magnitude=(0, 20)).spectra()), []
    for sed in seds:
        wavelength = sed.spectral_axis.to_value(u.AA)
        model = count_model(pixels, wavelength, area=band.area.to_value(u.cm**2),
                            line_spread=band.line_spread, sed_resolving_power=200.0)
        rate = model.counts(band.throughput(model.fine), sed.flux.value)
        counts.append(Spectrum(spectral_axis=pixels * u.AA, flux=rate * u.ct / u.s,
                               uncertainty=StdDevUncertainty(0.01 * rate * u.ct / u.s)))
    # The second star has neither an error of E(B-V) nor of its magnitude.
    with (pytest.warns(SedfluxWarning, match=r"1 of 2 stars have no error of E\(B-V\)"),
          pytest.warns(SedfluxWarning, match="1 of 2 stars have no error of the magnitude")):
        response = fit_responses({"GV": counts}, seds, {"GV": band})["GV"]
    error = np.log(response.throughput / band.throughput(response.wavelength))
    assert response.good.sum() > 100
    assert np.abs(error[response.good]).max() < 0.02


def test_sdss_and_desi_files(star, write_sdss, write_desi, tmp_path):
    wavelength, flux = star
    folder = tmp_path / "in"
    folder.mkdir()
    def spectrum(pixels):
        return 10.0 * np.interp(pixels, wavelength, flux / np.median(flux))

    write_sdss(folder / "spec-4055-55359-0007.fits", spectrum)
    write_desi(folder / "coadd-main-bright-1.fits", spectrum)
    summary = predict_catalog(folder, tmp_path / "out", workers=1, shard_size=2)
    assert (summary["predicted"], summary["failed"]) == (3, 1)
    catalog = SEDCatalog(tmp_path / "out")
    table = catalog.table
    rows = {str(row["identifier"]): row for row in table}
    first = rows["coadd-main-bright-1/39627700000000001"]
    assert first["predicted"], first["error"]
    assert (first["ra"], first["dec"]) == (10.0, -1.0)
    assert "sky" in rows["coadd-main-bright-1/39627700000000002"]["error"]
    third = rows["coadd-main-bright-1/39627700000000003"]
    assert_allclose(third["radial_velocity"], 2e-4 * 299792.458, rtol=1e-6)
    sdss = rows["spec-4055-55359-0007"]
    assert sdss["predicted"], sdss["error"]
    assert sdss["ra"] == 240.5
    assert_allclose(sdss["radial_velocity"], 90.0, rtol=1e-4)


def test_an_interrupted_run_is_resumed(survey, catalog, tmp_path, monkeypatch):
    """Stopped after one shard by a full disk: the rest follows, and all is as undisturbed."""
    land = Destination.land

    def full(self, number, shard):
        if number == 1:
            raise WriteError("no space left")
        land(self, number, shard)

    monkeypatch.setattr(Destination, "land", full)
    with pytest.raises(WriteError, match="no space"):
        predict_catalog(survey, tmp_path / "out", workers=1, shard_size=4)
    with pytest.raises(InputError, match="1 of 3 shards have landed"):
        SEDCatalog(tmp_path / "out")
    monkeypatch.undo()
    assert predict_catalog(survey, tmp_path / "out", workers=1, shard_size=4)["shards"] == 2
    assert checksums(tmp_path / "out") == checksums(catalog.path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")
              if path.is_file() and path.name != ".lock"}
    assert predict_catalog(survey, tmp_path / "out", workers=1, shard_size=4)["shards"] == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_what_a_killed_writer_leaves_is_no_obstacle(survey, catalog, tmp_path):
    """Killed before catalog.json is there, and while the note of a shard is written."""
    for name in ("parts", "landed", "spectra.zarr"):
        (tmp_path / "out" / name).mkdir(parents=True)
    (tmp_path / "out" / ".1f2e.catalog.json").write_text("{")
    (tmp_path / "out" / "landed" / ".1f2e.0000001.json").write_text("{")
    assert predict_catalog(survey, tmp_path / "out", workers=1, shard_size=4)["predicted"] == 10
    SEDCatalog(tmp_path / "out").verify()
    assert checksums(tmp_path / "out") == checksums(catalog.path)


def test_other_options_and_other_runs_are_refused(survey, tmp_path):
    predict_catalog(survey, tmp_path / "out", workers=1, shard_size=4)
    for change, message in (({"model": "uara.synthetic3"}, "another model"),
                            ({"shard_size": 5}, "another shard_size")):
        with pytest.raises(InputError, match=message):
            predict_catalog(survey, tmp_path / "out", **({"workers": 1, "shard_size": 4} | change))
    with pytest.raises(InputError, match="another source"):
        predict_catalog(survey / "plate0", tmp_path / "out", workers=1, shard_size=4)
    with Destination(tmp_path / "out").locked(), pytest.raises(InputError, match="another run"):
        predict_catalog(survey, tmp_path / "out", workers=1, shard_size=4)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(InputError, match="is not empty"):
        predict_catalog(survey, tmp_path / "full", workers=1)
    with pytest.raises(InputError, match="no catalogue"):
        SEDCatalog(tmp_path / "full")
    with pytest.raises(InputError, match="shard_size"):
        predict_catalog(survey, tmp_path / "new", shard_size=0)


def test_damage_is_found(survey, tmp_path):
    predict_catalog(survey / "plate0", tmp_path / "out", workers=1, shard_size=2)
    catalog = SEDCatalog(tmp_path / "out")
    catalog.verify()
    zarr.open_group(str(tmp_path / "out" / "spectra.zarr"), mode="r+")["flux"][3, 5] = 1.5
    with pytest.raises(InputError, match=r"shards \[1\]"):
        catalog.verify()


def test_workers_that_are_killed_lose_nothing(survey, catalog, tmp_path, monkeypatch):
    """SIGKILL of workers of a real cluster: every spectrum comes out once, as undisturbed."""
    from distributed import Client, LocalCluster

    killed = []

    @contextmanager
    def killing_bar(total, shown):
        """Kill a worker whenever a shard has landed, twice."""
        def advance(size):
            if size and len(killed) < 2:
                # A worker that is gone already does not answer.
                alive = client.run(os.getpid, on_error="ignore")
                killed.append(next(iter(alive.values())))
                os.kill(killed[-1], signal.SIGKILL)
        yield advance

    monkeypatch.setattr(run, "_bar", killing_bar)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0",
                      silence_logs=50) as cluster, Client(cluster) as client:
        summary = predict_catalog(survey, tmp_path / "out", client=client, shard_size=4)
    assert len(killed) == 2
    assert summary["predicted"] == 10
    assert checksums(tmp_path / "out") == checksums(catalog.path)


def test_scripts_without_a_main_block_are_told(survey, tmp_path):
    """Its workers import the script, and would predict the catalogue once more."""
    call = f"predict_catalog({str(survey)!r}, {str(tmp_path / 'out')!r}, workers=2, shard_size=5)"
    script = tmp_path / "script.py"
    script.write_text(f"from sedflux import predict_catalog\n{call}\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("call it below  if __name__ == '__main__':")
    script.write_text("from sedflux import predict_catalog\n"
                      f"if __name__ == '__main__':\n    print({call})\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("{'predicted': 10,")


def test_a_killed_run_is_resumed_from_the_shell(survey, catalog, tmp_path):
    command = [sys.executable, "-m", "sedflux", "catalog", str(survey), str(tmp_path / "out"),
               "--workers", "1", "--shard-size", "4", "-q"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    note = tmp_path / "out" / "landed"
    while process.poll() is None and not (note.exists() and any(note.glob("*.json"))):
        time.sleep(0.02)
    process.kill()
    process.wait()
    finished = subprocess.run([*command, "--verify"], capture_output=True, text=True, check=True)
    assert finished.stdout.startswith("10 predicted")
    assert checksums(tmp_path / "out") == checksums(catalog.path)


def test_the_shell_names_what_failed(write_lamost, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    write_lamost(tmp_path / "in" / "good.fits", 3)
    (tmp_path / "in" / "bad.fits").write_text("bad")
    assert main(["catalog", str(tmp_path / "in"), str(tmp_path / "out"), "--workers", "1"]) == 0
    shown = capsys.readouterr().out
    assert "1 predicted" in shown
    assert "  bad: " in shown
    assert main(["catalog", "nowhere", str(tmp_path / "out")]) == 2
    assert main(["catalog", str(tmp_path / "in"), str(tmp_path / "new"), "--band", "g"]) == 2
    assert "--band is" in (error := capsys.readouterr().err)
    assert "BAND=FILE is needed" in error
    assert json.loads((Path(tmp_path) / "out" / "catalog.json").read_text())["stars"] == 2


def test_two_runs_of_one_machine_do_not_meet():
    """Their local clusters took the same port, and warned of it."""
    with run._local_client(1) as first, run._local_client(1) as second:
        assert first.submit(os.getpid).result() != second.submit(os.getpid).result()


def test_a_worker_that_returns_late_is_waited_for():
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "10ms"}), \
            run._local_client(1) as client:
        os.kill(client.submit(os.getpid).result(), signal.SIGKILL)
        assert client.submit(os.getpid, pure=False).result(timeout=300)
