"""Readers, on files written here in the archives' layouts, and on the packaged stars."""

import gzip
import shutil

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from numpy.testing import assert_allclose
from specutils import Spectrum

from sedflux import InputError, predict_sed, register_readers
from sedflux.demo import demo_arrays, demo_path, demo_spectrum
from sedflux.io.lamost import read_lamost

PIXELS = 3908


def lamost_cards():
    return {"ORIGIN": "NAOC-LAMOST", "COEFF0": 3.5682, "COEFF1": 1e-4, "Z": -0.0002,
            "CLASS": "STAR", "SUBCLASS": "G5", "DESIG": "LAMOST J000000.00+000000.0"}


def lamost_rows():
    wavelength = 10 ** (3.5682 + 1e-4 * np.arange(PIXELS))
    star = np.interp(wavelength * (1 + 0.0002), *demo_arrays())
    flux = 1000.0 * star
    return [flux, (50.0 / flux) ** 2, wavelength, np.zeros(PIXELS), np.zeros(PIXELS)]


def write_image(path):
    header = fits.Header(lamost_cards())
    fits.PrimaryHDU(np.array(lamost_rows(), dtype=np.float32), header).writeto(path)


def write_table(path):
    names = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")
    columns = [fits.Column(name, f"{PIXELS}E", array=row[None])
               for name, row in zip(names, lamost_rows(), strict=True)]
    table = fits.BinTableHDU.from_columns(columns, name="COADD")
    primary = fits.PrimaryHDU(header=fits.Header(lamost_cards()))
    fits.HDUList([primary, table]).writeto(path)


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
    with pytest.raises(InputError, match="'sun' is unknown"):
        demo_path("sun")
