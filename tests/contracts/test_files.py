"""Files as those see them who do not have sedflux: astropy, plain specutils, TOPCAT."""

import json
import subprocess
import sys

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.io.votable.ucd import parse_ucd
from astropy.nddata import StdDevUncertainty
from astropy.table import Table
from numpy.testing import assert_allclose
from specutils import Spectrum
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import anchor, fit_response, get_instrument, predict_sed, simulate_field

#: Reads files as spectra and tables, in a process that must not load sedflux.
READER = """
import json, sys, warnings
import numpy as np
from astropy.table import QTable, Table
from specutils import Spectrum

warnings.simplefilter("error")
found = {}
for path in sys.argv[1:]:
    one, table = Spectrum.read(path), QTable.read(path, hdu=1)
    cards = one.meta["header"]
    found[path] = {
        "unit": str(one.flux.unit), "axis": str(one.spectral_axis.unit),
        "flux": float(one.flux.value.sum()), "sigma": float(one.uncertainty.array.sum()),
        "kind": one.uncertainty.uncertainty_type,
        "mask": None if one.mask is None else int(np.sum(one.mask)),
        "columns": {name: str(table[name].unit) for name in table.colnames if name != "mask"},
        "bits": cards.get("SEDFBITS"), "object": cards.get("OBJECT")}
assert not [name for name in sys.modules if name.startswith("sedflux")]
print(json.dumps(found))
"""
#: Columns of numbers that have no unit.
WITHOUT_UNIT = {
    "mask", "NAME", "SENTENCE", "snr", "resolving_power", "misfit", "excess", "unusual", "strange",
    "logg", "mh", "THROUGHPUT", "ERROR", "TOTAL_ERROR", "GOOD", "STARS", "SENSITIVITY", "name",
    "used", "kind", "reason", "weight", "pixels", "chi2", "sed_chi2", "sed_number", "largest",
    "offset", "JSON", "rejected", "nebular"}
SPECTRA = ("relative", "absolute", "calibrated", "counts/GV/star0001")
TABLES = (*SPECTRA, "response", "axe", "synphot")


@pytest.fixture(scope="module")
def products(predictor, star, tmp_path_factory):
    """One file of every kind, and the spectra that four of them hold."""
    folder = tmp_path_factory.mktemp("products")
    wavelength, flux = star
    header = fits.Header([("RA", 12.5), ("DEC", -3.25)])
    noisy = flux * (1.0 + 0.3 * np.random.default_rng(2).standard_normal(flux.size))
    spectrum = Spectrum(spectral_axis=wavelength * u.AA, flux=noisy * u.ct,
                        meta={"object": "HD 1", "header": header})
    relative = predict_sed(spectrum, model=predictor, reddening=(0.1, 0.02))
    green = SpectralElement(Box1D, amplitude=1.0, x_0=5000.0, width=800.0)
    absolute = anchor(relative, 17.25 * u.ABmag, green, magnitude_error=0.01 * u.mag)
    band = get_instrument("lookalike").bands["GV"]
    field = simulate_field({"GV": band}, size=6, seed=1, model=predictor)
    field.write(folder)
    response = fit_response(field.counts["GV"], field.seds, band=band)
    counts = field.counts["GV"][1]
    mask = np.arange(counts.flux.size) % 7 == 0
    calibrated = response.calibrate(Spectrum(
        spectral_axis=counts.spectral_axis, flux=counts.flux, mask=mask,
        uncertainty=StdDevUncertainty(counts.uncertainty.array)))
    spectra = dict(zip(SPECTRA, (relative, absolute, calibrated, counts), strict=True))
    for name in SPECTRA[:3]:
        spectra[name].write(folder / f"{name}.fits")
    for name, kind in (("response", "fits"), ("axe", "axe"), ("synphot", "synphot")):
        response.write(folder / f"{name}.fits", format=kind)
    return folder, spectra


def test_plain_specutils_and_astropy_read_spectra(products):
    """Without a format: flux, sigma, mask, units, flags and the name of the star."""
    folder, spectra = products
    paths = [str(folder / f"{name}.fits") for name in SPECTRA]
    done = subprocess.run([sys.executable, "-c", READER, *paths], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    for path, (name, one) in zip(paths, spectra.items(), strict=True):
        found = json.loads(done.stdout)[path]
        unit = "adu" if name == "relative" else str(one.flux.unit)
        assert u.Unit(found["unit"]) == u.Unit(unit)
        assert found["kind"] == "std"
        assert_allclose(found["flux"], one.flux.value.sum(), rtol=1e-12)
        assert_allclose(found["sigma"], one.uncertainty.array.sum(), rtol=1e-12)
        assert found["mask"] == (None if one.mask is None else one.mask.sum())
        assert found["axis"] == found["columns"]["wavelength"] == "Angstrom"
        assert u.Unit(found["columns"]["uncertainty"]) == u.Unit(unit)
        assert found["object"] == {"calibrated": None, "counts/GV/star0001": "star0001"}.get(
            name, "HD 1")
    bits = json.loads(done.stdout)[paths[0]]["bits"]
    assert bits == spectra["relative"].meta["sedflux"]["flag_bits"] > 0


@pytest.mark.parametrize("name", TABLES)
def test_columns_say_what_they_are(products, name):
    """Every column of every table has a description, and a unit if it can have one."""
    with fits.open(products[0] / f"{name}.fits", checksum=True) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
        assert tables
        for hdu in tables:
            for number, column in enumerate(hdu.columns, start=1):
                assert column.unit or column.name in WITHOUT_UNIT, column.name
                assert hdu.header.get(f"TCOMM{number}"), column.name
                if f"TUCD{number}" in hdu.header:
                    parse_ucd(hdu.header[f"TUCD{number}"], check_controlled_vocabulary=True)


@pytest.mark.parametrize("name", [*SPECTRA, "response", "true_seds"])
def test_files_say_who_made_them(products, name):
    with fits.open(products[0] / f"{name}.fits", checksum=True) as hdus:
        header = hdus[0].header
        assert header["ORIGIN"] == "sedflux"
        assert header["SEDFLUX"].startswith("sedflux-")
        assert {"DATE", "SEDVERS"} < set(header)
        assert [header[f"NEED{number}"] for number in range(len(hdus) - 1)] == [
            hdu.name for hdu in hdus[1:]]
        assert all({"CHECKSUM", "DATASUM"} < set(hdu.header) for hdu in hdus)


def test_the_truth_of_a_field_has_units(products):
    truth = Table.read(products[0] / "truth.ecsv")
    assert all(column.description for column in truth.itercols())
    assert (truth["teff"].unit, truth["magnitude"].unit) == (u.K, u.ABmag)
    assert truth["shift_GV"].unit == u.AA
    throughput = Table.read(products[0] / "throughput_GV.ecsv")
    assert throughput["WAVELENGTH"].unit == u.AA
