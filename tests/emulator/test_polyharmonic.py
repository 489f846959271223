"""Interpolation of models of white dwarfs in temperature and gravity."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux.emulator.polyharmonic import PolyharmonicSpline
from sedflux.exceptions import InputError


def grid():
    teff, logg = np.meshgrid(np.geomspace(7000.0, 40000.0, 24), np.linspace(7.0, 9.5, 7))
    return np.column_stack([teff.ravel(), logg.ravel()])


def curves(labels):
    """Two smooth outputs."""
    x, y = np.log(labels[:, 0]), labels[:, 1]
    return np.column_stack([np.sin(2.0 * x) + 0.1 * y, np.exp(-((x - 9.5) ** 2)) * y])


def test_the_spline_passes_through_the_models():
    labels = grid()
    assert_allclose(PolyharmonicSpline(labels, curves(labels))(labels), curves(labels), atol=1e-7)


def test_the_spline_follows_smooth_curves_between_the_models(rng):
    labels = grid()
    between = np.column_stack([rng.uniform(8000.0, 35000.0, 50), rng.uniform(7.2, 9.3, 50)])
    found = PolyharmonicSpline(labels, curves(labels))(between)
    assert_allclose(found, curves(between), atol=2e-3)


@pytest.mark.parametrize("row", [0, 40, 100])
def test_errors_are_those_of_splines_without_a_model(row):
    labels = grid()
    outputs = curves(labels)
    others = np.arange(len(labels)) != row
    alone = PolyharmonicSpline(labels[others], outputs[others])(labels[row : row + 1])[0]
    assert_allclose(PolyharmonicSpline(labels, outputs).errors[row], outputs[row] - alone,
                    atol=1e-6)


@pytest.mark.parametrize(("rows", "message"), [
    (slice(0, 5), "12 or more"), ([0] * 20, "same labels"), (None, "must be finite")])
def test_models_that_fix_no_spline_are_refused(rows, message):
    labels = grid()
    outputs = curves(labels)
    if rows is None:
        outputs[3, 0] = np.nan
        rows = slice(None)
    with pytest.raises(InputError, match=message):
        PolyharmonicSpline(labels[rows], outputs[rows])
