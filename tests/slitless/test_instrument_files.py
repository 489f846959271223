"""Files that describe an instrument, and what they must not hold."""

import json

import numpy as np
import pytest
import yaml
from astropy import units as u
from astropy.table import Table

from sedflux import InputError, get_instrument
from sedflux.slitless.instrument_files import (
    bands_with_throughput,
    find_instrument,
    read_instrument,
)

GOOD = {
    "area_cm2": 45238.9, "size": [1014, 1014], "read_noise": 12.0,
    "bands": {"P1": {"range": [8000, 10500], "fwhm": 48.0, "dispersion": [7800.0, 24.5],
                     "pixels": 110}}}


@pytest.fixture
def write(tmp_path):
    def written(content, name="mine.yaml"):
        path = tmp_path / name
        path.write_text(json.dumps(content) if name.endswith("json") else yaml.safe_dump(content))
        return path
    return written


def changed(**changes):
    """The good description with other entries of its band; None leaves one out."""
    band = {name: value for name, value in (GOOD["bands"]["P1"] | changes).items()
            if value is not None}
    return GOOD | {"bands": {"P1": band}}


@pytest.mark.parametrize("name", ["mine.json", "mine.yaml", "mine.yml"])
def test_an_instrument_is_read(write, name):
    band = read_instrument(write(GOOD, name)).bands["P1"]
    assert band.area == 45238.9 * u.cm**2
    assert band.wavelength_range == (8000.0, 10500.0)
    assert band.line_spread.fwhm_at(9000.0) == 48.0
    assert (band.read_noise, band.sky, band.detector_size) == (12.0, 0.0, (1014.0, 1014.0))


def test_names_and_files_are_told_apart(write):
    assert find_instrument("csst").bands.keys() == get_instrument("csst").bands.keys()
    assert find_instrument(str(write(GOOD))).name == "mine"
    with pytest.raises(InputError, match="instrument 'mine' is unknown"):
        find_instrument("mine")


def test_throughputs_and_second_orders_are_relative_to_the_file(write, tmp_path):
    wavelength = np.arange(7900.0, 10700.0, 100.0)
    Table({"WAVELENGTH": wavelength * u.AA, "THROUGHPUT": np.full(wavelength.size, 0.3)}).write(
        tmp_path / "p1.ecsv")
    content = changed(throughput="p1.ecsv", second_order={"throughput": "p1.ecsv", "ratio": 0.5})
    path = write(content)
    band = read_instrument(path).bands["P1"]
    assert band.throughput(9000.0) == pytest.approx(0.3)
    assert band.second_order.ratio == 0.5
    assert set(bands_with_throughput(str(path), {})) == {"P1"}


@pytest.mark.parametrize("power", [200, [[8000, 200], [10000, 200]]])
def test_a_resolving_power_is_one_number_or_pairs(write, power):
    band = read_instrument(write(changed(fwhm=None, resolving_power=power))).bands["P1"]
    assert band.line_spread.fwhm_at([8000.0, 10000.0]) == pytest.approx([40.0, 50.0])


@pytest.mark.parametrize(("content", "message"), [
    ([1, 2], "is a list"),
    ({"area_cm2": 1.0}, "lacks 'bands'"),
    (GOOD | {"areas": 3.0}, "unknown entry 'areas'"),
    (GOOD | {"bands": {}}, "bands is"),
    (GOOD | {"bands": {"P1": 3.0}}, "band 'P1' is a float"),
    (GOOD | {"area_cm2": "large"}, "mine.yaml"),
    (GOOD | {"area_cm2": -1.0}, "area is -1"),
    (changed(pixels=None), "lacks 'pixels'"),
    (changed(pixel=3), "unknown entry 'pixel'"),
    (changed(fwhm=None), "either fwhm or resolving_power"),
    (changed(resolving_power=[[8000, 200], [10000, 200]]), "either fwhm or resolving_power"),
    (changed(range=[10500, 8000]), "wavelength_range"),
    (changed(range="blue"), "mine.yaml"),
    (changed(fwhm=None, resolving_power=[200, 300, 400]), "resolving_power of band P1 is"),
    (changed(fwhm=None, resolving_power=0.3), "resolving_power is"),
    (changed(throughput="none.fits"), "none.fits"),
    (changed(second_order={"ratio": 0.5}), "lacks 'throughput'"),
])
def test_wrong_descriptions_are_refused(write, content, message):
    with pytest.raises(InputError, match=message):
        read_instrument(write(content))


def test_damaged_and_missing_files_are_refused(tmp_path):
    for name, text in (("a.json", "{"), ("a.yaml", "a: [1")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="is damaged"):
            read_instrument(tmp_path / name)
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    for name in ("b.json", "none.yaml"):
        with pytest.raises(InputError, match="cannot be read"):
            read_instrument(tmp_path / name)
