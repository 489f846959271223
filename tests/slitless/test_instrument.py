"""Descriptions of instruments, and throughputs in every layout."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from numpy.testing import assert_allclose
from synphot import SpectralElement
from synphot.models import Empirical1D

from sedflux import (
    InputError,
    LineSpread,
    SlitlessBand,
    get_instrument,
    list_instruments,
    read_throughput,
)
from sedflux.exceptions import SedfluxWarning
from sedflux.slitless.throughput import Throughput
from sedflux.units import photons_per_flux

WAVELENGTH = np.linspace(5000.0, 9000.0, 81)
VALUE = 0.3 * np.exp(-0.5 * ((WAVELENGTH - 7000.0) / 900.0) ** 2)
AREA = 45238.9 * u.cm**2


@pytest.mark.parametrize("name", list_instruments())
def test_every_description_is_complete(name):
    instrument = get_instrument(name)
    assert instrument.title
    assert instrument.note
    for band in instrument.bands.values():
        pixels = band.wavelengths()
        low, high = band.covered
        assert low < pixels[0] < pixels[-1] < high
        assert np.all(np.diff(pixels) > 0)
        power = pixels / band.line_spread.fwhm_at(pixels)
        assert 40 < np.median(power) < 600
        # A resolution element has at least about two pixels.
        assert np.median(band.line_spread.fwhm_at(pixels) / np.gradient(pixels)) > 1.5


def test_descriptions_print_in_a_line_each():
    """They hold thousands of numbers."""
    instrument = get_instrument("lookalike")
    band = instrument.bands["GU"]
    assert repr(instrument) == "<SlitlessInstrument lookalike with GU, GV, GI>"
    assert repr(band) == "<SlitlessBand GU: 2550-4050 Angstrom, with its throughput>"
    assert "no throughput" in repr(get_instrument("csst").bands["GU"])
    assert repr(band.throughput) == (
        "<Throughput of 950 wavelengths, 2350-4248 Angstrom, 0.207 at the most>")
    assert repr(band.line_spread) == "<LineSpread: FWHM 15 Angstrom>"
    assert repr(LineSpread([4000.0, 8000.0], [10.0, 20.0])) == (
        "<LineSpread: FWHM 10 to 20 Angstrom>")
    assert "tabulated" in repr(LineSpread.tabulated([5000.0], [-1.0, 0.0, 1.0], [[0.2, 1.0, 0.2]]))


def test_curves_are_found_in_lists_and_sets():
    one, other = (get_instrument("lookalike").bands["GU"] for _ in range(2))
    for mine, its in ((one.throughput, other.throughput), (one.line_spread, other.line_spread)):
        assert [its, mine].index(mine) == 1
        assert len({mine, its, mine}) == 2


def test_bands_of_csst_cover_their_nominal_ranges():
    bands = get_instrument("csst").bands
    assert [bands[name].covered for name in ("GU", "GV", "GI")] == [
        (2550, 4000), (4000, 6200), (6200, 10000)]
    assert get_instrument("hst-wfc3-g102").bands["G102"].covered == (8000, 10500.0)
    shifted = bands["GV"].wavelengths(shift=0.5)[:300] - bands["GV"].wavelengths()[:300]
    assert np.all(np.abs(np.abs(shifted) - 3.0) < 1e-9)


def sensitivity():
    return VALUE * AREA.value * photons_per_flux(WAVELENGTH)


def write(folder, layout):
    if layout == "axe":
        table = Table({"WAVELENGTH": WAVELENGTH, "SENSITIVITY": sensitivity(),
                       "ERROR": 0.01 * sensitivity()})
    elif layout == "micron":
        table = Table({"WAVELENGTH": WAVELENGTH / 1e4, "SENSITIVITY": sensitivity(),
                       "ERROR": 0.01 * sensitivity()})
    elif layout == "synphot":
        columns = [fits.Column("WAVELENGTH", "D", array=WAVELENGTH, unit="ANGSTROMS"),
                   fits.Column("THROUGHPUT", "D", array=VALUE)]
        path = folder / "synphot.fits"
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(path)
        return path
    elif layout == "ecsv":
        path = folder / "t.ecsv"
        Table({"wavelength": (WAVELENGTH * u.AA).to(u.nm), "throughput": VALUE}).write(path)
        return path
    else:
        path = folder / "t.txt"
        np.savetxt(path, np.stack([WAVELENGTH, VALUE], axis=1))
        return path
    path = folder / f"{layout}.fits"
    table.write(path)
    return path


@pytest.mark.parametrize("layout", ["axe", "micron", "synphot", "ecsv", "text"])
def test_every_layout_gives_the_throughput(layout, tmp_path):
    path = write(tmp_path, layout)
    if layout == "micron":
        with pytest.warns(SedfluxWarning, match="taken as micrometres"):
            found = read_throughput(path, area=AREA)
    else:
        found = read_throughput(path, area=AREA)
    assert_allclose(found(WAVELENGTH[1:-1]), VALUE[1:-1], rtol=1e-6)
    assert found(np.array([4000.0]))[0] == 0.0
    if layout in ("axe", "micron"):
        assert_allclose(found.error, 0.01 * VALUE, rtol=1e-6)


def test_a_spectral_element_goes_in_and_comes_back():
    element = SpectralElement(Empirical1D, points=WAVELENGTH * u.AA, lookup_table=VALUE)
    band = get_instrument("hst-acs-g800l").bands["G800L"].with_throughput(element)
    back = band.throughput.to_synphot()
    assert_allclose(back(WAVELENGTH * u.AA).value, VALUE, rtol=1e-12)


def test_unknown_names_and_wrong_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"instrument 'hubble' is unknown; csst"):
        get_instrument("hubble")
    with pytest.raises(InputError, match="collecting area"):
        read_throughput(write(tmp_path, "axe"))
    with pytest.raises(InputError, match="does not exist"):
        read_throughput(tmp_path / "nothing.fits")
    Table({"a": [1.0, 2.0], "b": [1.0, 2.0]}).write(tmp_path / "bad.fits")
    with pytest.raises(InputError, match="columns a, b"):
        read_throughput(tmp_path / "bad.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(InputError, match="no table"):
        read_throughput(tmp_path / "empty.fits")
    with pytest.raises(InputError, match="band 'GX' is unknown"):
        get_instrument("csst").with_throughputs({"GX": "x.fits"})
    with pytest.raises(InputError, match="throughput is a float"):
        get_instrument("csst").bands["GU"].with_throughput(0.3)
    (tmp_path / "high.txt").write_text("4000 3.0\n5000 4.0\n6000 5.0\n")
    with pytest.raises(InputError, match="between 0 and 1"):
        read_throughput(tmp_path / "high.txt")


def _fits_table(path, wavelength=WAVELENGTH, value=VALUE, error=None, unit=None):
    columns = [fits.Column("WAVELENGTH", "D" if np.ndim(wavelength[0]) == 0 else "2D",
                           array=wavelength, unit=unit),
               fits.Column("THROUGHPUT", "D", array=value)]
    if error is not None:
        columns.append(fits.Column("ERROR", "D", array=error))
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(path)
    return path


@pytest.mark.parametrize(("columns", "message"), [
    ({"wavelength": WAVELENGTH - 6000.0}, "wavelengths from -1000 to 3000"),
    ({"wavelength": np.where(WAVELENGTH < 5100, np.nan, WAVELENGTH)}, "'WAVELENGTH'.*finite"),
    ({"wavelength": WAVELENGTH / 1e4, "unit": "Angstrom"}, "correct the column or its unit"),
    ({"wavelength": np.stack([WAVELENGTH, WAVELENGTH], axis=1)}, "one number per row"),
    ({"unit": "s"}, "wavelengths in 's'"),
    ({"unit": "furlongs/fortnight"}, "wavelengths in 'furlongs/fortnight'"),
    ({"value": np.where(WAVELENGTH > 8000, np.inf, VALUE)}, "'THROUGHPUT'.*finite"),
    ({"error": np.where(WAVELENGTH > 8000, np.nan, VALUE)}, "'ERROR'.*finite"),
    ({"error": -VALUE}, "errors from -0.3"),
])
def test_impossible_columns_are_refused(columns, message, tmp_path):
    path = _fits_table(tmp_path / "bad.fits", **columns)
    with pytest.raises(InputError, match=message) as caught:
        read_throughput(path)
    assert "bad.fits" in str(caught.value)


def test_text_and_masked_values_are_refused(tmp_path):
    (tmp_path / "words.csv").write_text("wavelength,throughput\n4000,low\n5000,high\n6000,x\n")
    with pytest.raises(InputError, match=r"'throughput' of words\.csv"):
        read_throughput(tmp_path / "words.csv")
    (tmp_path / "gap.csv").write_text("wavelength,throughput\n4000,0.1\n5000,\n6000,0.2\n")
    with pytest.raises(InputError, match=r"'throughput' of gap\.csv has 1 values that are masked"):
        read_throughput(tmp_path / "gap.csv")


def test_damaged_fits_files_are_refused(tmp_path):
    """Truncated files are refused; a changed byte gives an error or the same wavelengths."""
    whole = _fits_table(tmp_path / "whole.fits").read_bytes()
    expected, path = read_throughput(tmp_path / "whole.fits"), tmp_path / "damaged.fits"
    rng = np.random.default_rng(1)
    cuts = [whole[:size] for size in (*range(0, len(whole), 480), 5760 + 1200)]
    for cut in cuts:
        path.write_bytes(cut)
        with pytest.raises(InputError, match=r"damaged\.fits"):
            read_throughput(path)
    # The table's structure: from XTENSION to the formats of the columns.
    for place in rng.integers(2880, 2880 + 12 * 80, 150):
        path.write_bytes(whole[:place] + bytes([rng.integers(256)]) + whole[place + 1:])
        try:
            found = read_throughput(path)
        except InputError:
            continue
        assert_allclose(found.wavelength, expected.wavelength)


@pytest.mark.parametrize(("area", "message"), [
    (45238.9, "Quantity is needed"), (-1.0 * u.m**2, "positive"), (3.0 * u.m, "cm2"),
    (np.nan * u.m**2, "finite"), ("large", "Quantity is needed")])
def test_a_collecting_area_has_a_unit(area, message, tmp_path):
    with pytest.raises(InputError, match=rf"area is .*{message}"):
        read_throughput(write(tmp_path, "axe"), area=area)


@pytest.mark.parametrize(("values", "message"), [
    (([5000.0, 4000.0], [0.1, 0.1]), "ascending"),
    (([-1.0, 4000.0], [0.1, 0.1]), "positive and ascending"),
    (([4000.0, 5000.0], [0.1, 0.1, 0.2]), "shapes"),
    (([4000.0, 5000.0], ["a", "b"]), "value of a throughput"),
    (([4000.0, 5000.0], [0.1, np.nan]), "finite"),
    (([4000.0, 5000.0], [0.1, 0.1], [0.1, -0.1]), "error of a throughput"),
    (([4000.0, 5000.0] * u.s, [0.1, 0.1]), "wavelength of a throughput"),
])
def test_impossible_throughputs_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        Throughput(*values)


def test_a_throughput_takes_wavelengths_with_a_unit():
    assert_allclose(Throughput([400.0, 500.0] * u.nm, [0.1, 0.2])(4500.0), 0.15)


def _band(**changes):
    given = {"name": "B", "area": 1.0 * u.m**2, "wavelength_range": (4000.0, 6000.0),
             "line_spread": None, "dispersion": (3900.0, 5.0), "pixels": 450}
    return SlitlessBand(**(given | changes))


@pytest.mark.parametrize(("changes", "message"), [
    ({"area": 5}, "area is 5; a Quantity"),
    ({"area": -1.0 * u.m**2}, "area"),
    ({"area": 1.0 * u.s}, "area"),
    ({"wavelength_range": (6000.0, 4000.0)}, "wavelength_range"),
    ({"wavelength_range": (4.0, 6.0) * u.s}, "wavelength_range"),
    ({"wavelength_range": "blue"}, "wavelength_range"),
    ({"wavelength_range": (4000.0, np.nan)}, "wavelength_range"),
    ({"dispersion": (6000.0, -5.0)}, "must ascend"),
    ({"dispersion": (3900.0,)}, "dispersion"),
    ({"dispersion": ("a", "b")}, "dispersion"),
    ({"pixels": 1}, "pixels"),
    ({"pixels": 10.5}, "pixels"),
    ({"pixels": 10**9}, "pixels"),
    ({"sky": -1.0}, "sky"),
    ({"dark": np.nan}, "dark"),
    ({"read_noise": "low"}, "read_noise"),
    ({"height": 0.0}, "height"),
    ({"detector_size": (0.0, 10.0)}, "detector_size"),
    ({"line_spread": 20.0}, "line_spread is a float; a LineSpread"),
    ({"throughput": 0.3}, "throughput is a float; a Throughput"),
    ({"second_order": "yes"}, "second_order is a str; a SecondOrder"),
])
def test_impossible_bands_are_refused(changes, message):
    with pytest.raises(InputError, match=f"band 'B': .*{message}"):
        _band(**changes)


def test_a_band_takes_its_range_with_a_unit():
    assert _band(wavelength_range=(400.0, 600.0) * u.nm).covered == pytest.approx(
        (4000.0, 6000.0))
    assert _band(line_spread=LineSpread.from_fwhm(20.0)).wavelengths().size > 390


def test_a_throughput_of_another_band_is_refused():
    red = Throughput([6500.0, 7000.0, 9000.0], [0.0, 0.2, 0.0])
    with pytest.raises(InputError, match="throughput for band 'B' is zero from 4000 to 6000"):
        _band().with_throughput(red)


@pytest.mark.parametrize("name", list_instruments())
def test_every_number_has_an_origin(name):
    instrument = get_instrument(name)
    known = set(instrument.sources)
    assert {"area_cm2", "size", "noise", "range", "dispersion"} <= known
    assert known & {"fwhm", "resolving_power"}
    assert {band.detector_size for band in instrument.bands.values()} == {instrument.size}


@pytest.mark.parametrize("name", [["csst"], {}, 5, None])
def test_names_of_instruments_are_text(name):
    with pytest.raises(InputError, match="instrument"):
        get_instrument(name)


@pytest.mark.parametrize("path", [5, None, [], object()])
def test_paths_of_throughputs_are_paths(path):
    with pytest.raises(InputError, match="path is"):
        read_throughput(path)
