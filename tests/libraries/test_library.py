import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from numpy.testing import assert_allclose, assert_array_equal

from sedflux import InputError
from sedflux.libraries import SpectralLibrary, read_library, split_models, write_library


def library_hdus(library):
    """Extensions of a library file, with blanketing."""
    primary = fits.PrimaryHDU()
    primary.header["RPOWER"] = 5000
    blanketing = np.full((len(library), 20), 0.9, dtype=np.float32)
    return fits.HDUList([
        primary, fits.BinTableHDU(library.table, name="MODELS"),
        fits.ImageHDU(library.wavelength, name="WAVELENGTH"),
        fits.ImageHDU(library.flux, name="FLUX"),
        fits.ImageHDU(np.linspace(3000.0, 4800.0, 20), name="BLANKWAVE"),
        fits.ImageHDU(blanketing, name="BLANKETING"),
    ])


@pytest.fixture
def library_file(tmp_path, toy_library):
    path = tmp_path / "library.fits"
    library_hdus(toy_library).writeto(path)
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


def test_what_is_written_is_read(library_file, tmp_path):
    """Blanketing included, which is part of the SEDs."""
    library = read_library(library_file)
    write_library(tmp_path / "again.fits", library)
    again = read_library(tmp_path / "again.fits")
    assert_array_equal(again.wavelength, library.wavelength)
    assert_array_equal(again.flux, library.flux)
    assert_array_equal(again.sed_flux, library.sed_flux)
    assert_array_equal(again.labels, library.labels)
    assert again.resolving_power == library.resolving_power


def test_a_failure_leaves_the_former_library(library_file, toy_library, monkeypatch):
    former = library_file.read_bytes()
    with pytest.raises(InputError, match="overwrite=True"):
        write_library(library_file, toy_library, overwrite=False)

    def fill_the_disk(self, path, *args, **kwargs):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fits.HDUList, "writeto", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        write_library(library_file, toy_library)
    assert library_file.read_bytes() == former
    assert [path.name for path in library_file.parent.iterdir()] == [library_file.name]


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match="not a file"):
        read_library(tmp_path / "none.fits")
    path = tmp_path / "empty.fits"
    fits.PrimaryHDU().writeto(path)
    with pytest.raises(InputError, match="needs the extensions"):
        read_library(path)


@pytest.mark.parametrize("content", [b"", b"no FITS", b"SIMPLE  =                    T"])
def test_files_that_are_no_fits(content, tmp_path):
    path = tmp_path / "library.fits"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"library.fits is (damaged|not a library)"):
        read_library(path)


def without_teff(hdus):
    table = Table(hdus["MODELS"].data)
    table.remove_column("TEFF")
    hdus["MODELS"] = fits.BinTableHDU(table, name="MODELS")


def with_text_labels(hdus):
    table = Table(hdus["MODELS"].data)
    table["MH"] = ["poor"] * len(table)
    hdus["MODELS"] = fits.BinTableHDU(table, name="MODELS")


def with_nan_labels(hdus):
    hdus["MODELS"].data["LOGG"][3] = np.nan


def without_rows(hdus):
    hdus["MODELS"] = fits.BinTableHDU(Table(hdus["MODELS"].data)[:0], name="MODELS")
    hdus["FLUX"].data = hdus["FLUX"].data[:1]


def with_fewer_spectra(hdus):
    hdus["FLUX"].data = hdus["FLUX"].data[:-1]


def transposed(hdus):
    hdus["FLUX"].data = hdus["FLUX"].data.T


def without_flux(hdus):
    hdus["FLUX"].data = None


def with_nan_wavelengths(hdus):
    hdus["WAVELENGTH"].data[7] = np.nan


def descending(hdus):
    hdus["WAVELENGTH"].data = hdus["WAVELENGTH"].data[::-1].copy()


def with_text_power(hdus):
    hdus[0].header["RPOWER"] = "high"


def with_zero_power(hdus):
    hdus[0].header["RPOWER"] = 0


def with_fewer_factors(hdus):
    hdus["BLANKETING"].data = hdus["BLANKETING"].data[:, 1:]


def without_blankwave(hdus):
    del hdus["BLANKWAVE"]


@pytest.mark.parametrize(("damage", "message"), [
    (without_teff, "no column TEFF"), (with_text_labels, "values in MH"),
    (with_nan_labels, "values in LOGG"), (without_rows, "no spectra"),
    (with_fewer_spectra, r"90 rows, WAVELENGTH of shape .* FLUX of shape \(89, "),
    (transposed, "FLUX of shape"), (without_flux, "FLUX of shape"),
    (with_nan_wavelengths, "no ascending list"), (descending, "no ascending list"),
    (with_text_power, "RPOWER of library.fits is 'high'"),
    (with_zero_power, "RPOWER of library.fits is 0"),
    (with_fewer_factors, "BLANKETING of shape"), (without_blankwave, "damaged"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_damaged_libraries_are_refused(damage, message, tmp_path, toy_library):
    hdus = library_hdus(toy_library)
    hdus["MODELS"].data, hdus["WAVELENGTH"].data = (hdus[name].data.copy()
                                                    for name in ("MODELS", "WAVELENGTH"))
    damage(hdus)
    path = tmp_path / "library.fits"
    hdus.writeto(path)
    with pytest.raises(InputError, match=message):
        read_library(path)


def test_libraries_without_labels_say_so(toy_library):
    stars = SpectralLibrary(toy_library.wavelength, toy_library.flux,
                            Table({"TEFF": np.full(90, 5000.0)}), 2000.0)
    with pytest.raises(InputError, match="lacks the columns LOGG, MH"):
        stars.labels  # noqa: B018
    with pytest.raises(InputError, match="lacks the columns INDEX"):
        split_models(stars)


def test_truncated_libraries_are_refused(tmp_path, toy_library):
    """astropy only warns, and reads what is left as zeros."""
    path = tmp_path / "library.fits"
    write_library(path, toy_library)
    content = path.read_bytes()
    for size in (len(content) - 2880, len(content) // 2, 5760, 100):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"library\.fits"):
            read_library(path)
