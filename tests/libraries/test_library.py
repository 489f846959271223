import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose

from sedflux import InputError
from sedflux.libraries import read_library, split_models


@pytest.fixture
def library_file(tmp_path, toy_library):
    path = tmp_path / "library.fits"
    blanketing = np.full((len(toy_library), 20), 0.9, dtype=np.float32)
    primary = fits.PrimaryHDU()
    primary.header["RPOWER"] = 5000
    fits.HDUList([
        primary, fits.BinTableHDU(toy_library.table, name="MODELS"),
        fits.ImageHDU(toy_library.wavelength, name="WAVELENGTH"),
        fits.ImageHDU(toy_library.flux, name="FLUX"),
        fits.ImageHDU(np.linspace(3000.0, 4800.0, 20), name="BLANKWAVE"),
        fits.ImageHDU(blanketing, name="BLANKETING"),
    ]).writeto(path)
    return path


def test_blanketing_goes_into_the_sed_alone(library_file, toy_library):
    library = read_library(library_file)
    assert library.resolving_power == 5000.0
    inside = (library.wavelength > 3000) & (library.wavelength < 4800)
    ratio = library.sed_flux / library.flux
    assert_allclose(ratio[:, inside], 0.9, rtol=1e-6)
    assert_allclose(ratio[:, ~inside], 1.0)
    assert_allclose(library.flux, toy_library.flux)
    assert len(library.sha256) == 64


def test_split_is_by_index_and_complete(toy_library):
    training, test = split_models(toy_library)
    assert set(test.table["INDEX"] % 10) == {3}
    assert len(training) + len(test) == len(toy_library)
    assert not set(training.table["INDEX"]) & set(test.table["INDEX"])


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match="not a file"):
        read_library(tmp_path / "none.fits")
    path = tmp_path / "empty.fits"
    fits.PrimaryHDU().writeto(path)
    with pytest.raises(InputError, match="needs the extensions"):
        read_library(path)
