"""Pulls of differences between bands."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux.spectra.grids import sed_grid
from sedflux.training.sed_truths import EBV
from sedflux.units import MAG_PER_LN
from sedflux.validation.differences import difference_table

BANDS = {name: (np.linspace(centre - 300.0, centre + 300.0, 13), np.r_[0.0, np.ones(11), 0.0])
         for name, centre in (("u", 3600.0), ("SDSS_R", 6200.0), ("z", 9000.0))}
STARS = 400


class Stars:
    """Stars whose SEDs deviate along one smooth direction, as their covariance says, or more."""

    def __init__(self, size, rng, claimed=1.0):
        grid = sed_grid()
        slope = 0.05 * np.log(grid / 5500.0)
        self.size, flux = size, np.exp(-0.5 * np.log(grid / 5500.0))
        light = np.stack([np.interp(grid, *one, left=0.0, right=0.0) * grid * grid
                          * np.gradient(np.log(grid)) for one in BANDS.values()])
        z = rng.standard_normal(size)
        measured = [-MAG_PER_LN * np.log((light * flux * np.exp(one * slope)).sum(axis=1)
                                         / (light / grid**2).sum(axis=1)) for one in z]
        self.stars = SimpleNamespace(ebv=np.zeros(size), dust=np.full((size, 2), np.nan),
                                     johnson=np.full((size, 3), np.nan),
                                     magnitudes=np.array(measured))
        self.predictions = [SimpleNamespace(flux=flux, diagonal=np.zeros(grid.size),
                                            factor=claimed * slope[None]) for _ in range(size)]

    def take(self, rows):
        rows = np.arange(self.size)[rows]
        found = object.__new__(Stars)
        found.size = len(rows)
        found.stars = SimpleNamespace(**{name: value[rows] for name, value in
                                         vars(self.stars).items()})
        found.predictions = [self.predictions[row] for row in rows]
        return found


@pytest.fixture
def no_other_errors(monkeypatch):
    """No error of E(B-V), and hardly one of the photometry."""
    monkeypatch.setitem(EBV, "known", 0.0)
    monkeypatch.setattr("sedflux.validation.differences._COLOR_ERROR", 1e-6)


@pytest.mark.parametrize("claimed", [1.0, 0.5])
def test_pulls_follow_the_covariance(rng, no_other_errors, claimed):
    table = difference_table(Stars(STARS, rng, claimed), BANDS)
    assert list(table["bands"]) == ["u - SDSS_R", "u - z", "SDSS_R - z"]
    assert_allclose(table["pull"], 1.0 / claimed, rtol=0.1)
    assert_allclose(table["core"], 1.0 / claimed, rtol=0.15)
    expected = MAG_PER_LN * 0.05 * claimed * np.log([6200 / 3600, 9000 / 3600, 9000 / 6200])
    assert_allclose(table["sigma"], expected, rtol=0.03)
    assert (table["stars"] == STARS).all()


def test_stars_without_dust_or_photometry_are_left_out(rng):
    stars = Stars(12, rng)
    stars.stars.ebv[:3] = np.nan
    stars.stars.magnitudes[3] = np.nan
    stars.stars.magnitudes[4:8, 2] = np.nan
    table = difference_table(stars, BANDS)
    assert list(table["bands"]) == ["u - SDSS_R"]
    assert table["stars"][0] == 8
    stars.stars.ebv[:] = np.nan
    assert not len(difference_table(stars, BANDS))
