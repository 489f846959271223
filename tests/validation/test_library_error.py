"""The error that all predicted SEDs share, and its way into a fit."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux import InputError
from sedflux.response.systematics import checked_library_error, common_errors
from sedflux.spectra.grids import sed_grid
from sedflux.validation.library_error import library_error_table


@dataclass
class Stars:
    """Stars whose predicted SEDs are a given factor too bright."""

    factor: np.ndarray
    stars: SimpleNamespace

    @property
    def predictions(self):
        flux = np.exp(0.3 * np.sin(sed_grid() / 900.0))
        return [SimpleNamespace(reddened=lambda ebv, one=one: SimpleNamespace(
            flux=flux * one * np.exp(-ebv))) for one in self.factor]

    def take(self, rows):
        rows = np.flatnonzero(rows)
        return Stars(self.factor[rows], SimpleNamespace(
            **{name: value[rows] for name, value in vars(self.stars).items()}))


def make_stars(number, rng):
    grid = sed_grid()
    true = np.tile(0.3 * np.sin(grid / 900.0), (number, 1)) - 0.02
    true[:, grid < 3000.0] = np.nan
    labels = np.full((number, 6), 6000.0)
    ebv = np.full(number, 0.0)
    ebv[0], labels[1, 0] = np.nan, 30000.0
    factor = np.exp(0.03 * rng.standard_normal((number, 1))) * np.ones(grid.size)
    return Stars(factor, SimpleNamespace(ebv=ebv, stis_sed=true, labels=labels))


def test_the_shared_error_is_found(rng, tmp_path):
    table = library_error_table(make_stars(42, rng))
    assert table["wavelength"].min() > 3000.0
    assert (table["stars"] == 40).all()
    assert_allclose(table["median"], 0.02, atol=4.0 * 0.03 * 1.25 / np.sqrt(40))
    assert_allclose(table["error"], 0.03 * 1.25 / np.sqrt(40), rtol=0.5)
    assert_allclose(table["library_error"], np.hypot(table["median"], table["error"]))
    path = tmp_path / "library_error.ecsv"
    table.write(path)
    pairs = checked_library_error(path)
    assert_allclose(np.array(pairs)[:, 1], table["library_error"])
    sigma = common_errors(np.array(pairs)[:, 0], library_error=path)["library"].sigma
    assert_allclose(sigma, table["library_error"], rtol=0.01)


def test_a_handful_of_stars_is_needed(rng):
    assert not len(library_error_table(make_stars(6, rng)))


def test_other_tables_are_refused(tmp_path):
    (tmp_path / "other.ecsv").write_text("# %ECSV 1.0\n# ---\n# datatype:\n"
                                         "# - {name: a, datatype: int64}\na\n1\n")
    for name in ("other.ecsv", "none.ecsv"):
        with pytest.raises(InputError, match=f"library_error is '.*{name}', which cannot be read"):
            checked_library_error(tmp_path / name)
