"""Readers of real stars, on toy files in their layouts."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux.spectra.grids import sed_grid
from sedflux.training.stars import read_passbands, read_stars


@pytest.fixture(scope="module")
def stars(star_files):
    return read_stars(star_files["miles"], star_files["stis"], star_files["photometry"])


def test_every_source_is_found(stars):
    assert set(stars.source) == {"MILES", "CALSPEC"}
    # The white dwarf, the subdwarf and the M star are no ordinary stars.
    assert (stars.source == "CALSPEC").sum() == 1
    assert np.isfinite(stars.magnitudes[stars.source == "MILES"]).all()
    assert np.isnan(stars.magnitudes[stars.source == "CALSPEC"]).all()


def test_truths_agree_where_they_overlap(stars):
    grid = sed_grid()
    inside = (grid > 3650) & (grid < 7300)
    both = np.isfinite(stars.stis_sed).any(axis=1) & np.isfinite(stars.miles_sed).any(axis=1)
    difference = (stars.miles_sed - stars.stis_sed)[both][:, inside]
    assert np.median(np.abs(difference)) < 3e-3
    assert np.isnan(stars.miles_sed[:, grid < 3600]).all()
    assert np.isfinite(stars.stis_sed[both]).mean() > 0.99


def test_inputs_are_normalised(stars):
    assert stars.normalised.shape == (len(stars), 2430)
    assert_allclose(stars.normalised.mean(axis=1), 0.0, atol=5e-3)
    assert set(stars.resolving_power) == {1600.0, 500.0}


def test_passbands_keep_their_names(star_files):
    assert list(read_passbands(star_files["photometry"])) == ["BLUE", "SDSS_R", "RED"]
