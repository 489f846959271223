"""Several responses in one file."""

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose

from sedflux import InputError
from sedflux.response.sets import read_responses, write_responses


def test_responses_of_detectors_and_orders_come_back(responses, tmp_path):
    named = {f"{band} 07 +1": response for band, response in responses.items()}
    named["again 08 +2"] = next(iter(responses.values()))
    path = tmp_path / "all.fits"
    write_responses(named, path)
    found = read_responses(path)
    assert list(found) == list(named)
    for name, response in named.items():
        again = found[name]
        assert_allclose(again.throughput, response.throughput)
        assert_allclose(again.total_covariance.sigma, response.total_covariance.sigma)
        assert np.array_equal(again.good, response.good)
        assert list(again.systematics) == list(response.systematics)
        assert list(again.stars["name"]) == list(response.stars["name"])
    with pytest.raises(InputError, match="exists"):
        write_responses(named, path)
    write_responses({"one": named["again 08 +2"]}, path, overwrite=True)
    assert list(read_responses(path)) == ["one"]


@pytest.mark.parametrize("wrong", [{}, [], {"a": 1}, {1: None}, {" ": None}])
def test_only_named_responses_are_written(responses, tmp_path, wrong):
    if isinstance(wrong, dict) and None in wrong.values():
        wrong = dict.fromkeys(wrong, next(iter(responses.values())))
    with pytest.raises(InputError, match="responses must be a mapping"):
        write_responses(wrong, tmp_path / "a.fits")


def test_damaged_and_other_files_are_refused(responses, tmp_path):
    path = tmp_path / "all.fits"
    write_responses(dict(responses), path)
    with fits.open(path) as hdus:
        hdus[:-1].writeto(tmp_path / "cut.fits")
    next(iter(responses.values())).write(tmp_path / "single.fits")
    (tmp_path / "text.fits").write_text("no FITS")
    for name in ("cut", "single", "text"):
        with pytest.raises(InputError, match=f"{name}.fits is no file of"):
            read_responses(tmp_path / f"{name}.fits")
    with pytest.raises(InputError, match="does not exist"):
        read_responses(tmp_path / "none.fits")
