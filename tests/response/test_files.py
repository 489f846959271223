"""Files of responses and SEDs, also as read by other packages."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal
from specutils import Spectrum
from synphot import SpectralElement

from sedflux import (
    InputError,
    LowRankCovariance,
    ResponseCurve,
    WriteError,
    covariance_of,
    read_throughput,
    register_readers,
)
from sedflux.io.sed import read_sed, write_sed
from sedflux.spectra.sed import parts_of
from sedflux.units import photons_per_flux


@pytest.mark.parametrize("name", ["r.fits", "r.ecsv"])
def test_a_response_comes_back(responses, tmp_path, name):
    response = responses["GU"]
    response.write(tmp_path / name)
    back = ResponseCurve.read(tmp_path / name)
    wavelength = np.linspace(2700.0, 3900.0, 60)
    for systematics in (True, False):
        first, second = (one.evaluate(wavelength, systematics=systematics)
                         for one in (response, back))
        assert_allclose(second[0], first[0], rtol=1e-12)
        assert_allclose(second[1].to_dense(), first[1].to_dense(), atol=1e-14)
        assert (second[2] == first[2]).all()
    assert set(back.systematics) == set(response.systematics) > {"truth scale", "library"}
    assert (back.grey_error, back.wavelength_error) == (0.01, 0.5)
    assert back.area == response.area
    assert_allclose(back.effective_stars, response.effective_stars)
    if name.endswith("fits"):
        assert list(back.stars["name"]) == list(response.stars["name"])
        assert list(back.stars["reason"]) == list(response.stars["reason"])
    with pytest.raises(InputError, match="overwrite=True"):
        response.write(tmp_path / name)
    response.write(tmp_path / name, overwrite=True)


def test_a_response_without_systematics_comes_back(responses, tmp_path):
    bare = replace(responses["GV"], systematics={}, stars=None)
    bare.write(tmp_path / "r.fits")
    assert not ResponseCurve.read(tmp_path / "r.fits").systematics


def test_extraction_packages_get_a_sensitivity(responses, tmp_path):
    response = responses["GV"]
    response.write(tmp_path / "sens.fits", format="axe")
    with fits.open(tmp_path / "sens.fits") as hdus:
        assert hdus[1].columns.names == ["WAVELENGTH", "SENSITIVITY", "ERROR"]
        wavelength = hdus[1].data["WAVELENGTH"].astype(float)
        expected = response.area.value * photons_per_flux(wavelength) * np.exp(
            response.evaluate(wavelength)[0])
        assert_allclose(hdus[1].data["SENSITIVITY"], expected, rtol=1e-4)
        assert np.all(hdus[1].data["ERROR"] > 0.009 * hdus[1].data["SENSITIVITY"])
    back = read_throughput(tmp_path / "sens.fits", area=response.area)
    assert_allclose(back(wavelength), np.exp(response.evaluate(wavelength)[0]), rtol=1e-4)


def test_synphot_reads_its_own_layout(responses, tmp_path):
    response = responses["GI"]
    response.write(tmp_path / "t.fits", format="synphot")
    element = SpectralElement.from_file(str(tmp_path / "t.fits"))
    inside = response.wavelength[response.good][1:-1]
    assert_allclose(element(inside * u.AA).value,
                    response.throughput[response.good][1:-1], rtol=1e-6)
    assert element(20000.0 * u.AA).value == 0.0
    assert_allclose(element(inside * u.AA).value, response.to_synphot()(inside * u.AA).value,
                    rtol=1e-6)


def test_files_that_are_not_responses_are_refused(tmp_path, responses):
    with pytest.raises(InputError, match="does not exist"):
        ResponseCurve.read(tmp_path / "nothing.fits")
    fits.PrimaryHDU().writeto(tmp_path / "other.fits")
    with pytest.raises(InputError, match="no response of sedflux"):
        ResponseCurve.read(tmp_path / "other.fits")
    (tmp_path / "other.ecsv").write_text("# %ECSV 1.0\n# ---\n# datatype:\n"
                                         "# - {name: a, datatype: int64}\n# schema: astropy-2.0\n"
                                         "a\n1\n")
    with pytest.raises(InputError, match="no response of sedflux"):
        ResponseCurve.read(tmp_path / "other.ecsv")
    with pytest.raises(InputError, match="make it first"):
        responses["GU"].write(tmp_path / "none" / "x.fits")
    with pytest.raises(InputError, match="fits, ecsv, axe, synphot"):
        responses["GU"].write(tmp_path / "x.dat", format="table")


def test_seds_keep_their_covariance(sky, tmp_path):
    sed = sky.seds[0]
    write_sed(sed, tmp_path / "sed.fits")
    register_readers()
    for back in (read_sed(tmp_path / "sed.fits"), Spectrum.read(tmp_path / "sed.fits")):
        assert_allclose(back.flux.to_value(sed.flux.unit), sed.flux.value)
        assert_allclose(covariance_of(back).to_dense(), covariance_of(sed).to_dense())
        assert back.meta["sedflux"]["resolving_power"] == 200.0
        assert set(parts_of(back)) == {"reddening", "anchor"}
    with pytest.raises(InputError, match="overwrite=True"):
        write_sed(sed, tmp_path / "sed.fits")


def test_a_spectral_element_goes_in_and_comes_back(responses):
    element = responses["GV"].to_synphot()
    response = ResponseCurve.from_throughput(element, area=responses["GV"].area)
    inside = responses["GV"].wavelength[responses["GV"].good]
    assert_allclose(response.to_synphot()(inside * u.AA).value, element(inside * u.AA).value)


def test_a_published_sensitivity_calibrates(sky, responses, tmp_path):
    responses["GV"].write(tmp_path / "sens.fits", format="axe")
    known = ResponseCurve.from_throughput(tmp_path / "sens.fits", area=responses["GV"].area)
    one, other = (response.calibrate(sky.counts["GV"][0], grey_error=0.0, wavelength_error=0.0)
                  for response in (responses["GV"], known))
    wavelength = one.spectral_axis.value
    good = ~one.mask & ~other.mask & (wavelength > 4080.0) & (wavelength < 6250.0)
    assert good.sum() > 300
    assert_allclose(other.flux.value[good], one.flux.value[good], rtol=2e-3)
    assert_allclose(other.uncertainty.array[good], one.uncertainty.array[good], rtol=0.05)


def test_a_file_that_was_cut_is_refused(responses, tmp_path):
    """Without its covariance, a response would seem to have no errors."""
    path = tmp_path / "r.fits"
    responses["GV"].write(path)
    whole = path.read_bytes()
    with fits.open(path) as hdus:
        ends = [hdu.fileinfo()["datLoc"] + hdu.fileinfo()["datSpan"] for hdu in hdus]
    for end in ends[:-1]:
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match="is no response of sedflux, or damaged"):
            ResponseCurve.read(path)


@pytest.mark.parametrize("name", ["COVARIANCE", "RESPONSE", "ROOT", "STARS"])
def test_a_file_with_changed_numbers_is_refused(responses, tmp_path, name):
    """Also where warnings are silenced: astropy only warns of wrong checksums."""
    path = tmp_path / "r.fits"
    responses["GV"].write(path)
    with fits.open(path) as hdus:
        place = hdus[name].fileinfo()["datLoc"]
    content = bytearray(path.read_bytes())
    content[place + 5] ^= 4
    path.write_bytes(bytes(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match=r"damaged \((Checks|Datas)um verification failed"):
            ResponseCurve.read(path)


def test_a_file_without_checksums_is_refused(responses, tmp_path):
    path = tmp_path / "r.fits"
    responses["GV"].write(path)
    path.write_bytes(path.read_bytes().replace(b"CHECKSUM=", b"OLD_SUM =").replace(
        b"DATASUM =", b"OLD_DATA="))
    with pytest.raises(InputError, match="has no checksum"):
        ResponseCurve.read(path)


def test_damaged_files_are_input_errors(responses, tmp_path):
    """One bit changed, or a file cut anywhere: it is refused, or nothing has changed."""
    rng = np.random.default_rng(5)
    response = replace(responses["GV"], stars=None)
    path = tmp_path / "r.fits"
    response.write(path)
    whole = path.read_bytes()
    for number in range(90):
        content = bytearray(whole)
        if number % 3 == 0:
            content = content[: rng.integers(len(whole))]
        else:
            reach = len(whole) if number % 3 == 1 else 20_000
            content[rng.integers(reach)] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(content))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                back = ResponseCurve.read(path)
            except InputError:
                continue
        assert_array_equal(back.throughput, response.throughput)
        assert_array_equal(back.total_covariance.factor, response.total_covariance.factor)
        assert_array_equal(back.root, response.root)


def test_a_text_file_with_changed_numbers_is_refused(responses, tmp_path):
    path = tmp_path / "r.ecsv"
    response = responses["GU"]
    small = replace(response, systematics={}, root=None, knots=None, coefficients=None,
                    covariance=LowRankCovariance(np.zeros(response.wavelength.size),
                                                 response.covariance.factor[-2:]))
    small.write(path)
    assert_array_equal(ResponseCurve.read(path).throughput, small.throughput)
    lines = path.read_text().splitlines(keepends=True)
    for changed in (lines[:-5], [*lines[:-5], lines[-5].replace("1", "2", 1), *lines[-4:]],
                    [*lines[:-1], lines[-1][:20]], [*lines[:12], *lines[14:]]):
        path.write_text("".join(changed))
        with pytest.raises(InputError, match="damaged"):
            ResponseCurve.read(path)


def test_a_failing_write_keeps_the_former_file(responses, tmp_path, monkeypatch):
    path = tmp_path / "r.fits"
    responses["GV"].write(path)
    before = path.read_bytes()

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fits.HDUList, "writeto", full)
    with pytest.raises(WriteError, match="No space left"):
        responses["GV"].write(path, overwrite=True)
    assert path.read_bytes() == before


def test_a_published_curve_continues_a_sensitivity(responses, bands, tmp_path):
    """Beyond the good range the file holds the published curve, scaled to meet the measured one."""
    response, published = responses["GV"], bands["GV"].throughput
    response.write(tmp_path / "sens.fits", format="axe", published=published)
    with fits.open(tmp_path / "sens.fits") as hdus:
        table, header = hdus[1].data.copy(), hdus[1].header
        assert header["SPLICED"]
        assert header["CREATOR"].startswith("sedflux")
        assert header["TUNIT2"] == header["TUNIT3"] == "ct cm2 Angstrom erg-1"
    measured = np.asarray(table["MEASURED"], dtype=bool)
    low, high = response.wavelength_range
    assert_allclose(table["WAVELENGTH"][measured][[0, -1]], [low, high], rtol=1e-6)
    assert table["WAVELENGTH"][0] == pytest.approx(published.wavelength[0])
    assert table["WAVELENGTH"][-1] == pytest.approx(published.wavelength[-1])
    back = read_throughput(tmp_path / "sens.fits", area=response.area)
    inside = response.wavelength[response.good]
    assert_allclose(back(inside), response.throughput[response.good], rtol=1e-5)
    first = np.flatnonzero(measured)[0]
    assert back.value[first - 1] / back.value[first] == pytest.approx(
        published(back.wavelength[first - 1]) / published(back.wavelength[first]), rel=1e-4)
    relative = back.error / np.maximum(back.value, 1e-300)
    assert relative[first - 1] >= relative[first] * 0.999
    with pytest.raises(InputError, match="axe files alone"):
        response.write(tmp_path / "r.fits", published=published)
