"""Readers, on files written here in the archives' layouts, and on the packaged stars."""

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from numpy.testing import assert_allclose
from specutils import Spectrum

from sedflux import InputError, predict_sed, register_readers
from sedflux.demo import demo_arrays, demo_path, demo_spectrum
from sedflux.io.calspec import read_calspec, read_ngsl, stis_fwhm
from sedflux.io.lamost import read_lamost
from sedflux.io.miles import read_miles
from sedflux.io.registry import read_spectrum

PIXELS = 3908


def lamost_cards():
    return {"ORIGIN": "NAOC-LAMOST", "COEFF0": 3.5682, "COEFF1": 1e-4, "Z": -0.0002,
            "CLASS": "STAR", "SUBCLASS": "G5", "DESIG": "LAMOST J000000.00+000000.0"}


def lamost_rows():
    wavelength = 10 ** (3.5682 + 1e-4 * np.arange(PIXELS))
    star = np.interp(wavelength * (1 + 0.0002), *demo_arrays())
    flux = 1000.0 * star
    return [flux, (50.0 / flux) ** 2, wavelength, np.zeros(PIXELS), np.zeros(PIXELS)]


NAMES = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")


def write_image(path, *, change=None, missing=(), rows=None):
    rows = lamost_rows() if rows is None else rows
    fits.PrimaryHDU(np.array(rows, dtype=np.float32), header(change, missing)).writeto(path)


def write_table(path, *, change=None, missing=(), rows=None, names=NAMES):
    rows = lamost_rows() if rows is None else rows
    columns = [fits.Column(name, f"{len(row)}E", array=row[None])
               for name, row in zip(names, rows, strict=True)]
    table = fits.BinTableHDU.from_columns(columns, name="COADD")
    fits.HDUList([fits.PrimaryHDU(header=header(change, missing)), table]).writeto(path)


def header(change, missing):
    cards = lamost_cards() | (change or {})
    return fits.Header({name: value for name, value in cards.items() if name not in missing})


@pytest.fixture(params=[write_image, write_table], ids=["image", "table"])
def lamost_file(request, tmp_path):
    path = tmp_path / "spec-55859-F5902_sp01-001.fits"
    request.param(path)
    packed = path.with_suffix(".fits.gz")
    with open(path, "rb") as source, gzip.open(packed, "wb") as target:
        shutil.copyfileobj(source, target)
    return packed


def test_lamost_is_read_by_name_alone(lamost_file, predictor):
    register_readers()
    spectrum = Spectrum.read(str(lamost_file))
    assert_allclose(spectrum.meta["radial_velocity"].to_value(u.km / u.s), -0.0002 * 299792.458)
    assert spectrum.meta["class"] == "STAR G5"
    assert np.diff(np.log10(spectrum.spectral_axis.value)) == pytest.approx(1e-4, abs=1e-9)
    inside = (spectrum.spectral_axis > 6880 * u.AA) & (spectrum.spectral_axis < 6900 * u.AA)
    assert spectrum.mask[inside].all()
    sed = predict_sed(spectrum, model=predictor)
    assert sed.meta["header"]["SEDRV"] == pytest.approx(-59.96, abs=0.01)
    assert sed.meta["header"]["SEDRPOW"] == 1800.0


def test_a_quasars_redshift_is_not_a_velocity(tmp_path):
    path = tmp_path / "spec.fits"
    write_image(path)
    fits.setval(path, "CLASS", value="QSO")
    fits.setval(path, "Z", value=0.3)
    assert read_lamost(path).meta["radial_velocity"] == 0.0 * u.km / u.s


LAYOUTS = pytest.mark.parametrize("write", [write_image, write_table])


@LAYOUTS
def test_values_are_those_of_the_file(write, tmp_path):
    """Bad pixels of every kind are masked, in each layout."""
    flux, ivar, wavelength, and_mask, or_mask = (row.copy() for row in lamost_rows())
    flux[10], ivar[20], ivar[30], and_mask[40], or_mask[50] = np.nan, 0.0, np.nan, 1, 1
    write(tmp_path / "spec.fits", rows=[flux, ivar, wavelength, and_mask, or_mask])
    spectrum = read_lamost(tmp_path / "spec.fits")
    assert_allclose(spectrum.flux.value, flux, rtol=1e-6)
    assert_allclose(spectrum.uncertainty.array, ivar, rtol=1e-6)
    assert_allclose(spectrum.spectral_axis.to_value(u.AA), wavelength, rtol=1e-12)
    assert np.flatnonzero(spectrum.mask[:3000]).tolist()[:4] == [10, 20, 30, 40]
    assert not spectrum.mask[50]
    assert set(spectrum.meta) == {"header", "object", "medium", "class", "resolving_power",
                                  "radial_velocity", "telescope"}
    assert spectrum.meta["object"] == "LAMOST J000000.00+000000.0"
    assert spectrum.meta["medium"] == "vacuum"


@LAYOUTS
@pytest.mark.parametrize("card", ["COEFF0", "COEFF1", "Z"])
@pytest.mark.parametrize("value", ["abc", "NaN", "", True])
def test_lamost_cards_that_are_no_numbers(write, card, value, tmp_path):
    write(tmp_path / "spec.fits", change={card: value})
    with pytest.raises(InputError, match=rf"{card} in the header of .*spec.fits is"):
        read_lamost(tmp_path / "spec.fits")


@LAYOUTS
@pytest.mark.parametrize("card", ["COEFF0", "COEFF1", "Z"])
def test_lamost_cards_that_are_missing(write, card, tmp_path):
    write(tmp_path / "spec.fits", missing=[card])
    with pytest.raises(InputError, match=rf"has no {card}; a number is needed"):
        read_lamost(tmp_path / "spec.fits")


@LAYOUTS
@pytest.mark.parametrize("kind", ["QSO", "GALAXY", "Unknown"])
def test_redshifts_of_other_objects_are_not_needed(write, kind, tmp_path):
    write(tmp_path / "spec.fits", change={"CLASS": kind}, missing=["Z"])
    assert read_lamost(tmp_path / "spec.fits").meta["radial_velocity"] == 0.0 * u.km / u.s


@LAYOUTS
def test_lamost_stars_without_a_measured_redshift(write, tmp_path):
    write(tmp_path / "spec.fits", change={"Z": -9999.0})
    assert read_lamost(tmp_path / "spec.fits").meta["radial_velocity"] == 0.0 * u.km / u.s


def test_lamost_files_without_pixels(tmp_path):
    write_image(tmp_path / "spec.fits", rows=[np.zeros(0)] * 5)
    with pytest.raises(InputError, match="has no pixels"):
        read_lamost(tmp_path / "spec.fits")


@LAYOUTS
def test_lamost_wavelengths_that_are_none(write, tmp_path):
    rows = lamost_rows()
    rows[2] = np.full(PIXELS, np.nan)
    write(tmp_path / "spec.fits", rows=rows)
    with pytest.raises(InputError, match="not positive, finite and ascending"):
        read_lamost(tmp_path / "spec.fits")


def test_lamost_tables_that_are_not_complete(tmp_path):
    write_table(tmp_path / "name.fits", names=("FLUX", "IVAR", "LAMBDA", "ANDMASK", "ORMASK"))
    with pytest.raises(InputError, match=r"name.fits is damaged or no LAMOST file"):
        read_lamost(tmp_path / "name.fits")
    rows = lamost_rows()
    rows[1] = rows[1][:-5]
    write_table(tmp_path / "short.fits", rows=rows)
    with pytest.raises(InputError, match="different lengths"):
        read_lamost(tmp_path / "short.fits")
    write_table(tmp_path / "none.fits")
    with fits.open(tmp_path / "none.fits", mode="update") as hdus:
        hdus["COADD"].data = hdus["COADD"].data[:0]
    with pytest.raises(InputError, match="damaged"):
        read_lamost(tmp_path / "none.fits")


READ = {"lamost": read_lamost, "calspec": read_calspec, "ngsl": read_ngsl, "miles": read_miles}


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
@pytest.mark.parametrize("reader", READ)
@pytest.mark.parametrize("content", ["", "text", "header", "cut"])
def test_files_that_no_reader_can_read(reader, content, tmp_path):
    path = tmp_path / "spec.fits"
    whole = Path(demo_path("16cygb_miles")).read_bytes()
    path.write_bytes({"": b"", "text": b"4000 1.0\n4001 1.1\n", "header": whole[:2880],
                      "cut": whole[:8000]}[content])
    with pytest.raises(InputError, match=r"spec\.fits"):
        READ[reader](path)
    with pytest.raises(InputError, match="does not exist"):
        READ[reader](tmp_path / "none.fits")


def write_stis(path, *, cards=None, **columns):
    axis = np.linspace(2000.0, 10000.0, 500)
    values = {"WAVELENGTH": axis, "FLUX": np.full(500, 1e-13), "STATERROR": np.full(500, 1e-15),
              "SYSERROR": np.full(500, 1e-15), "FWHM": np.full(500, 5.0)} | columns
    table = Table({name: value for name, value in values.items() if value is not None})
    primary = fits.PrimaryHDU(header=fits.Header({"TARGETID": "STAR", "RADVEL": 10.0}
                                                 | (cards or {})))
    fits.HDUList([primary, fits.BinTableHDU(table)]).writeto(path)


def test_calspec_values_and_keys(tmp_path):
    width = np.full(500, 4.0)
    width[:3] = 0.0, np.nan, -1.0
    write_stis(tmp_path / "star.fits", FWHM=width)
    star = read_calspec(tmp_path / "star.fits")
    assert set(star.meta) == {"header", "object", "medium", "telescope", "source",
                              "resolving_power", "resolving_power_wavelength",
                              "radial_velocity", "systematic"}
    assert_allclose(star.meta["resolving_power"][3:], star.spectral_axis.value[3:] / 4.0)
    # Where the file does not tell, two pixels of STIS.
    assert_allclose(star.meta["resolving_power"][:3], star.spectral_axis.value[:3] / 2.7)
    assert star.meta["radial_velocity"] == 10.0 * u.km / u.s


def test_stis_resolves_two_pixels():
    """Dispersions of G230LB, G430L and G750L in Angstrom a pixel, from the handbook."""
    assert_allclose(stis_fwhm(np.array([2800.0, 4000.0, 8000.0])),
                    2.0 * np.array([1.35, 2.73, 4.92]), rtol=0.02)


@pytest.mark.parametrize(("change", "message"), [
    ({"WAVELENGTH": None}, "at least WAVELENGTH and FLUX"),
    ({"FLUX": ["a"] * 500}, "at least WAVELENGTH and FLUX"),
    ({"WAVELENGTH": np.linspace(1.0, 2.0, 500)}, "two or more"),
    ({"WAVELENGTH": np.full(500, np.nan)}, "two or more"),
    ({"WAVELENGTH": np.r_[np.linspace(3000, 9000, 250), np.linspace(2000, 8000, 250)]},
     "ascending"),
    ({"FLUX": np.ones((500, 2))}, "one row for each wavelength"),
    ({"cards": {"RADVEL": "fast"}}, "RADVEL in the header of"),
])
@pytest.mark.parametrize("reader", ["calspec", "ngsl"])
def test_damaged_stis_files(reader, change, message, tmp_path):
    write_stis(tmp_path / "star.fits", **change)
    with pytest.raises(InputError, match=message):
        READ[reader](tmp_path / "star.fits")


def test_stis_files_without_rows_or_table(tmp_path):
    write_stis(tmp_path / "none.fits")
    with fits.open(tmp_path / "none.fits", mode="update") as hdus:
        hdus[1].data = hdus[1].data[:0]
    with pytest.raises(InputError, match="two or more"):
        read_calspec(tmp_path / "none.fits")
    fits.PrimaryHDU(np.zeros(5)).writeto(tmp_path / "image.fits")
    with pytest.raises(InputError, match="no table in its first extension"):
        read_calspec(tmp_path / "image.fits")


def write_miles(path, data, **cards):
    header = fits.Header({"CRVAL1": 3540.5, "CDELT1": 0.9, "TPLLIB": "MILES"} | cards)
    fits.PrimaryHDU(data, fits.Header({name: value for name, value in header.items()
                                       if value != "gone"})).writeto(path)


@pytest.mark.parametrize(("data", "cards", "message"), [
    (np.ones((2, 4300)), {}, "a MILES star is one row"), (None, {}, "a MILES star is one row"),
    (np.ones(4300), {"CDELT1": "gone"}, "has no CDELT1"),
    (np.ones(4300), {"CRVAL1": "blue"}, "CRVAL1 in the header of .* is 'blue'"),
    (np.ones(4300), {"CDELT1": 0.0}, "ascending"), (np.ones(4300), {"CDELT1": -0.9}, "ascending"),
    (np.ones(4300), {"FWHM": 0.0}, "FWHM of .* is 0.0; it must be positive"),
    (np.ones(4300), {"FWHM": "wide"}, "FWHM in the header"),
    (np.ones(1), {}, "one row|two or more"),
])
def test_damaged_miles_files(data, cards, message, tmp_path):
    write_miles(tmp_path / "star.fits", data, **cards)
    with pytest.raises(InputError, match=message):
        read_miles(tmp_path / "star.fits")


def test_miles_values_and_keys(tmp_path):
    flux = np.linspace(1.0, 2.0, 4300)
    flux[5], flux[6] = 0.0, np.nan
    write_miles(tmp_path / "star.fits", flux, OBJECT="HD 1")
    star = Spectrum.read(str(tmp_path / "star.fits"))
    assert set(star.meta) == {"header", "object", "medium", "resolving_power",
                              "resolving_power_wavelength", "radial_velocity", "source"}
    assert star.meta["object"] == "HD 1"
    assert np.flatnonzero(star.mask).tolist() == [5, 6]
    assert_allclose(star.spectral_axis.value, 3540.5 + 0.9 * np.arange(4300))
    assert_allclose(star.meta["resolving_power"], star.spectral_axis.value / 2.5)


def test_pipes_and_folders_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/null"):
        with pytest.raises(InputError, match="folder, pipe or device"):
            read_spectrum(path)


@pytest.mark.parametrize("path", ["", None, 3, b"x.fits"])
def test_paths_that_are_none(path):
    with pytest.raises(InputError, match=r"path of a spectrum is|does not exist"):
        read_spectrum(path)


@pytest.mark.parametrize("path", ["no.fits", "a\0b", "~nobody_here/x.fits", "x" * 5000])
def test_missing_files(path):
    with pytest.raises(InputError, match=r"spectrum '.*(does not exist|cannot be read)"):
        read_spectrum(path)


@pytest.mark.parametrize("content", [b"", b"\x7fELF" + bytes(range(256)) * 20, b"one\ntwo\n",
                                     b"SIMPLE  =                    T" + b" " * 2850])
@pytest.mark.parametrize("name", ["x.fits", "x.bin", "x"])
def test_unknown_files_take_one_line(content, name, tmp_path):
    """specutils would print its table of formats, 38 lines."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_spectrum(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert str(tmp_path / name) in str(caught.value)


def test_home_folders_are_found(monkeypatch, tmp_path):
    shutil.copy(demo_path("16cygb_miles"), tmp_path / "miles.fits")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_spectrum("~/miles.fits").meta["source"] == "MILES"


def test_no_lamost_layout_is_refused(tmp_path):
    path = tmp_path / "x.fits"
    fits.PrimaryHDU(np.zeros((2, 5)), fits.Header(lamost_cards())).writeto(path)
    with pytest.raises(InputError, match="no LAMOST low-resolution"):
        read_lamost(path)


def test_calspec_and_miles_are_recognised():
    register_readers()
    star = Spectrum.read(demo_path("bd17_stis"))
    assert star.meta["source"] == "CALSPEC"
    assert star.meta["radial_velocity"] == -291.0 * u.km / u.s
    assert star.flux.unit == u.Unit("erg / (s cm2 Angstrom)")
    assert_allclose(star.meta["resolving_power"].min(), 240.0, atol=200.0)
    star = Spectrum.read(demo_path("16cygb_miles"))
    assert star.meta["medium"] == "air"
    assert_allclose(star.spectral_axis[0].value, 3540.5)


def test_ngsl_is_recognised(tmp_path):
    path = tmp_path / "h_stis_ngsl_hd000000_v2.fits"
    source = demo_spectrum("bd17_stis")
    columns = [fits.Column("WAVELENGTH", "E", array=source.spectral_axis.value),
               fits.Column("FLUX", "E", array=source.flux.value),
               fits.Column("STATERROR", "E", array=0.01 * source.flux.value)]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(path)
    register_readers()
    star = Spectrum.read(str(path))
    assert star.meta["source"] == "NGSL"
    assert star.uncertainty is not None


def test_other_files_are_left_to_specutils(tmp_path):
    register_readers()
    path = tmp_path / "other.fits"
    Spectrum(spectral_axis=np.linspace(4000, 7000, 50) * u.AA, flux=np.ones(50) * u.Jy).write(
        path, format="tabular-fits")
    assert Spectrum.read(path).flux.unit == u.Jy


def test_unknown_demo():
    for unknown in (demo_path, demo_spectrum, demo_arrays):
        for name in ("sun", "", 5, "sun_miles"):
            with pytest.raises(InputError, match=r"demo star .* is unknown; choose one of 16cygb"):
                unknown(name)


def test_errors_of_packed_files_name_them(tmp_path):
    """specutils hands on an open file, whose name is not what it prints."""
    path = tmp_path / "spec-1.fits"
    write_table(path)
    with fits.open(path) as hdus:
        columns = [one for one in hdus[1].columns if one.name != "FLUX"]
        text = fits.Column("FLUX", "3A", array=["abc"])
        hdus[1] = fits.BinTableHDU.from_columns([*columns, text], name="COADD")
        hdus.writeto(tmp_path / "spec-1.fits.gz")
    with pytest.raises(InputError, match=r"spec-1\.fits\.gz"):
        read_spectrum(tmp_path / "spec-1.fits.gz")


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_truncated_spectra_are_refused_not_warned_of(share, tmp_path):
    path = tmp_path / "miles_star.fits"
    write_miles(path, np.ones((1, 4300), dtype=np.float32))
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"miles_star\.fits"):
        read_miles(path)
