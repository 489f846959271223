"""What people do who do not read the documentation: pandas, open files, ``print``, ``==``."""

import copy
import gzip
import io
import pickle

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_array_equal
from specutils import Spectrum

from sedflux import InputError, Predictor, covariance_of
from sedflux.demo import demo_path


@pytest.mark.parametrize("kind", ["float64", "float32", "Float64"])
def test_columns_of_pandas(predictor, star, kind):
    """A pandas.Series has a method called mask, which is no mask."""
    pandas = pytest.importorskip("pandas")
    wavelength, flux = star
    known = predictor.predict(wavelength, flux.astype("f4" if kind == "float32" else float))
    series = pandas.Series(flux).astype(kind)
    assert_array_equal(predictor.predict(pandas.Series(wavelength), series).flux, known.flux)
    assert_array_equal(predictor.predict(pandas.Index(wavelength), series).flux, known.flux)
    frame = pandas.DataFrame([series, series])
    assert_array_equal(predictor.predict(wavelength, frame).flux[1].shape, known.flux.shape)


@pytest.fixture
def files(sed, tmp_path):
    """An SED and a spectrum of MILES; plain and packed."""
    sed.write(tmp_path / "sed.fits")
    (tmp_path / "sed.fits.gz").write_bytes(gzip.compress((tmp_path / "sed.fits").read_bytes()))
    return tmp_path


def test_open_files_are_read_as_their_names_are(sed, files):
    """astropy's registry says no path of them: they were taken for tables without covariance."""
    covariance = covariance_of(sed)
    for name in ("sed.fits", "sed.fits.gz"):
        with open(files / name, "rb") as stream:
            assert covariance_of(Spectrum.read(stream)) == covariance
    content = io.BytesIO((files / "sed.fits").read_bytes())
    assert covariance_of(Spectrum.read(content)) == covariance
    with fits.open(files / "sed.fits") as hdus:
        assert covariance_of(Spectrum.read(hdus)) == covariance
    for name in ("16cygb_miles", "bd17_stis"):
        known = Spectrum.read(demo_path(name))
        with open(demo_path(name), "rb") as stream:
            one = Spectrum.read(stream)
            stream.seek(0)
            two = Spectrum.read(io.BytesIO(stream.read()))
        for found in (one, two):
            assert_array_equal(found.flux, known.flux)
            assert found.meta["medium"] == known.meta["medium"]


def test_a_stream_is_no_name_of_a_file(sed):
    with pytest.raises(InputError, match="path is a BytesIO"):
        sed.write(io.BytesIO(), format="sedflux SED")


def test_products_print_in_a_line(sed, predictor, star):
    """Not as pages of numbers, in notebooks and in ``sed.meta``."""
    wavelength, flux = star
    both = predictor.predict(wavelength, np.stack([flux, flux]))
    for one in (predictor, both, both[0], covariance_of(sed), sed.meta["sedflux"]["errors"],
                both.to_spectrum().meta["sedflux"]["errors"]):
        assert len(repr(one)) < 160
        assert repr(one).startswith(f"<{type(one).__name__}")
    assert "noise_estimated" in repr(both[0])
    assert "2 with flags" in repr(both)
    assert Predictor.__name__ in repr(predictor)


def test_covariances_are_compared_and_become_matrices(sed):
    covariance = covariance_of(sed)
    assert covariance == covariance_of(sed)
    assert covariance != covariance_of(2.0 * sed)
    assert covariance != 5
    assert_array_equal(np.asarray(covariance), covariance.to_dense())
    assert_array_equal(np.diag(np.array(covariance, dtype="f4")),
                       np.diag(covariance.to_dense()).astype("f4"))


def test_copies_keep_their_covariance(sed, predictor, star):
    assert covariance_of(copy.deepcopy(sed)) == covariance_of(sed)
    assert pickle.loads(pickle.dumps(covariance_of(sed))) == covariance_of(sed)
    found = predictor.predict(*star)
    assert_array_equal(pickle.loads(pickle.dumps(found)).flux, found.flux)
