"""Extracted spectra of slitless pipelines, in files with the documented layouts."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from numpy.testing import assert_allclose

from sedflux import InputError, fit_response, get_instrument, simulate_field
from sedflux.io.slitless import read_counts

WAVE = np.linspace(4000.0, 6200.0, 111)
RATE = 50.0 + 10.0 * np.sin(WAVE / 300.0)
ERROR = 0.02 * RATE
LIGHT = np.where(WAVE > 5000.0, 4.0, 0.0)
SENSITIVITY = 1e17 * np.exp(-0.5 * ((WAVE - 5000.0) / 900.0) ** 2)


def table(columns, **cards):
    hdu = fits.BinTableHDU.from_columns([
        fits.Column(name, "D", unit=unit, array=values) for name, unit, values in columns])
    for key, value in cards.items():
        hdu.header[key] = value
    return hdu


def write(path, *hdus):
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return path


def axe(name, light=None):
    light = LIGHT / SENSITIVITY if light is None else light
    return table([("LAMBDA", "ANGSTROM", WAVE), ("COUNT", "COUNTS/S", RATE + LIGHT),
                  ("ERROR", "COUNTS/S", ERROR),
                  ("FLUX", "FLUX UNITS", (RATE + LIGHT) / SENSITIVITY),
                  ("FERROR", "FLUX UNITS", ERROR / SENSITIVITY), ("CONTAM", "FLUX UNITS", light),
                  ("DQ", "", np.where(WAVE < 4050.0, 8.0, 0.0))], EXTNAME=name)


def grizli(name):
    return table([("wave", "Angstrom", WAVE), ("flux", "electron / s", RATE),
                  ("err", "electron / s", ERROR), ("flat", "electron / s", SENSITIVITY),
                  ("contam", "electron / s", LIGHT)], EXTNAME=name)


def x1d(number, missing=False):
    step = WAVE[1] - WAVE[0]
    values = [("lamb", "angstrom", WAVE), ("flam", "1e-17", (RATE + LIGHT) / step),
              ("func", "1e-17", ERROR / step), ("cont", "1e-17", LIGHT / step)]
    hdu = table(values, SEGID=number)
    if missing:
        hdu.data["flam"][:3] = np.nan
    return hdu


@pytest.mark.parametrize(("hdus", "names"), [
    ([axe("BEAM_12A"), axe("BEAM_12B"), axe("BEAM_7A")], ["12", "7"]),
    ([grizli("G102"), grizli("G141")], ["G102", "G141"]),
    ([x1d(3), x1d(5)], ["3", "5"])])
def test_layouts_give_rates_without_contamination(tmp_path, hdus, names):
    found = read_counts(write(tmp_path / "spectra.fits", *hdus))
    assert list(found) == names
    for spectrum in found.values():
        good = ~spectrum.mask
        assert good.sum() >= WAVE.size - 3
        assert spectrum.unit == u.electron / u.s
        assert_allclose(spectrum.spectral_axis.value, WAVE)
        assert_allclose(spectrum.flux.value[good], RATE[good], rtol=1e-6)
        assert_allclose(spectrum.uncertainty.array[good],
                        np.hypot(ERROR, 0.2 * LIGHT)[good], rtol=1e-6)


def test_contamination_may_be_left_in_and_have_another_error(tmp_path):
    path = write(tmp_path / "a.fits", x1d(1))
    left = read_counts(path, subtracted=True, contamination_error=0.0)["1"]
    assert_allclose(left.flux.value, RATE + LIGHT)
    assert_allclose(left.uncertainty.array, ERROR)
    half = read_counts(path, scale=0.5)["1"]
    assert_allclose(half.flux.value, 0.5 * RATE)


def test_axe_counts_of_neighbours_mask_pixels(tmp_path):
    path = write(tmp_path / "a.fits", axe("BEAM_1A", np.where(WAVE > 6000.0, 1.0, 0.0)))
    spectrum = read_counts(path, layout="axe")["1"]
    assert spectrum.mask[WAVE > 6000.0].all()
    assert spectrum.mask[WAVE < 4050.0].all()
    assert not spectrum.mask[(WAVE > 4050.0) & (WAVE < 6000.0)].any()
    unknown = write(tmp_path / "b.fits", axe("BEAM_1A", np.full(WAVE.size, -1.0)))
    assert not read_counts(unknown)["1"].mask[WAVE > 4050.0].any()


def test_pixels_without_data_are_masked(tmp_path):
    spectrum = read_counts(write(tmp_path / "a.fits", x1d(1, missing=True)))["1"]
    assert spectrum.mask[:3].all()
    assert not spectrum.mask[3:].any()


COLUMNS = {"wavelength": "WAVE", "rate": "COUNTS", "error": "ERR", "contamination": "CONT",
           "mask": "BAD"}


@pytest.mark.parametrize(("unit", "divided"), [("e-/s", 1.0), ("ct/s", 1.0),
                                               ("electron/(s Angstrom)", WAVE[1] - WAVE[0])])
def test_other_tables_are_read_by_their_columns(tmp_path, unit, divided):
    hdu = table([("WAVE", "nm", 0.1 * WAVE), ("COUNTS", unit, (RATE + LIGHT) / divided),
                 ("ERR", unit, ERROR / divided), ("CONT", unit, LIGHT / divided),
                 ("BAD", "", (WAVE < 4100.0).astype(float))], EXTNAME="STAR7")
    spectrum = read_counts(write(tmp_path / "a.fits", hdu), columns=COLUMNS)["STAR7"]
    good = ~spectrum.mask
    assert_allclose(spectrum.spectral_axis.value, WAVE)
    assert_allclose(spectrum.flux.value[good], RATE[good])
    assert np.array_equal(good, WAVE >= 4100.0)


@pytest.mark.parametrize(("options", "message"), [
    ({"layout": "iraf"}, "layout is 'iraf'; one of axe, grizli, slitlessutils"),
    ({"layout": "axe"}, "has no extracted spectra in the layout axe and of the beam A"),
    ({"layout": "grizli", "columns": COLUMNS}, "columns are given too"),
    ({"columns": {"rate": "flux"}}, "columns is .* wavelength, rate and error"),
    ({"columns": COLUMNS}, "has no column 'WAVE'; it has wave, flux"),
    ({"columns": {"wavelength": "wave", "rate": "flat", "error": "err"}}, "unit 'furlong'"),
    ({"columns": {"wavelength": "err", "rate": "flux", "error": "err"}}, "a length is needed"),
    ({"columns": {"wavelength": "wave", "rate": "wave", "error": "err"}}, "electron/s or"),
    ({"scale": 0.0}, "scale is"), ({"contamination_error": -1.0}, "contamination_error is")])
def test_wrong_options_are_refused(tmp_path, options, message):
    hdu = grizli("G102")
    hdu.columns["flat"].unit = "furlong"
    with pytest.raises(InputError, match=message):
        read_counts(write(tmp_path / "a.fits", hdu), **options)


def test_damaged_files_are_refused(tmp_path):
    (tmp_path / "a.fits").write_bytes(b"SIMPLE")
    with pytest.raises(InputError, match=r"a.fits is damaged or no extracted spectra file"):
        read_counts(tmp_path / "a.fits")
    with pytest.raises(InputError, match="two spectra called '3'"):
        read_counts(write(tmp_path / "b.fits", x1d(3), x1d(3)))
    back = x1d(1)
    back.data["lamb"][5] = back.data["lamb"][4]
    with pytest.raises(InputError, match="ascending"):
        read_counts(write(tmp_path / "c.fits", back))


def test_a_response_is_fitted_to_them(tmp_path):
    """Counts through an x1d file give the response that the counts themselves give."""
    band = get_instrument("lookalike").bands["GV"]
    field = simulate_field({"GV": band}, size=6, seed=2, outliers=0.0)
    hdus = []
    for number, one in enumerate(field.counts["GV"]):
        wave = one.spectral_axis.to_value(u.AA)
        width = np.gradient(wave)
        hdus.append(table([("lamb", "angstrom", wave), ("flam", "1e-17", one.flux.value / width),
                           ("func", "1e-17", one.uncertainty.array / width),
                           ("cont", "1e-17", np.zeros(wave.size))], SEGID=number))
    found = read_counts(write(tmp_path / "a.fits", *hdus))
    again = fit_response(list(found.values()), field.seds, band=band)
    first = fit_response(field.counts["GV"], field.seds, band=band)
    assert_allclose(again.throughput, first.throughput, rtol=1e-6)
