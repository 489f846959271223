"""The posterior of two labels on a grid: chi-square, velocity, and two solutions."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sedflux.network.label_grid import LabelGrid
from sedflux.network.label_posterior import _cut
from sedflux.network.projection import Projection

PIXELS = 300


@pytest.fixture
def projection():
    torch.manual_seed(3)
    found = Projection(5, PIXELS)
    found.templates.copy_(torch.linalg.qr(torch.randn(PIXELS, 5))[0].T)
    found.spread.copy_(torch.tensor([2.0, 1.0, 0.5, 0.5, 0.3]))
    return found


def strengths(log_teff):
    """Lines grow and fade: two temperatures have the same."""
    return -((log_teff - np.log(13000.0)) ** 2) / 0.1


@pytest.fixture
def grid(projection):
    found = LabelGrid((2, 20, 6), 5, 3)
    found.power = torch.tensor([500.0, 2000.0])
    found.teff = torch.from_numpy(np.geomspace(8000.0, 22000.0, 20)).float()
    found.logg = torch.linspace(7.0, 9.0, 6)
    x, y = np.meshgrid(np.log(found.teff.numpy()), found.logg.numpy(), indexing="ij")
    points = np.stack([strengths(x), 0.5 * (y - 8.0), 0.002 * (x - 9.5), 0.0 * x, 0.0 * x], -1)
    both = np.concatenate([0.8 * points, points]).reshape(-1, 5)
    found.points = torch.from_numpy(both).float()
    found.slopes = torch.zeros(len(both), 5)
    found.slopes[:, 4] = 0.5
    found.scores = torch.from_numpy(np.stack([x, y, x * y], -1).reshape(-1, 3)).float()
    return found


def spectrum(projection, coefficients, snr=50.0):
    templates = (projection.templates * projection.spread[:, None]).numpy()
    flux = np.asarray(coefficients, float) @ templates
    ivar = np.full((1, PIXELS), snr**2)
    return torch.from_numpy(flux[None]).float(), torch.from_numpy(ivar).float()


def equations_of(projection, normalised, ivar):
    return [part.numpy() for part in projection.equations(normalised, ivar)]


def test_density_is_minus_half_of_chi_square(projection, grid):
    normalised, ivar = spectrum(projection, [-0.3, 0.1, 0.0, 0.0, 0.2])
    normal, right = projection.equations(normalised, ivar)
    density = grid.posterior().log_density(normal.numpy(), right.numpy(), 2000.0)[0]
    templates = (projection.templates * projection.spread[:, None]).double()
    weight = (ivar / (1.0 + ivar * 0.003**2)).double()
    points = grid.points[120:].double()
    chi2 = []
    for point in points:
        best = min(float((weight * (normalised - (point + v * grid.slopes[0].double())
                                     @ templates) ** 2).sum() + v * v)
                    for v in np.linspace(-2.0, 2.0, 401))
        chi2.append(best)
    chi2 = np.array(chi2).reshape(20, 6)
    found = density[::3, ::2]
    assert_allclose(found - found.max(), -0.5 * (chi2 - chi2.min()), atol=0.02)


def test_two_temperatures_of_one_strength_are_two_solutions(projection, grid):
    strength = float(strengths(np.log(10500.0)))
    warm = float(np.exp(2.0 * np.log(13000.0) - np.log(10500.0)))
    equations = equations_of(projection, *spectrum(projection, [strength, 0.0, 0.0, 0.0, 0.0]))
    found = grid.posterior().solutions(*equations, 2000.0)
    assert_allclose(found.weight[0].sum(), 1.0)
    assert found.weight[0, 1] > 0.2
    assert_allclose(sorted(np.exp(found.labels[0, :, 0])), [10500.0, warm], rtol=0.01)
    assert_allclose(found.labels[0, :, 1], 8.0, atol=0.03)
    # The components of ln(SED) are those at the labels.
    assert_allclose(found.scores[0, :, 0], found.labels[0, :, 0], atol=0.01)


def test_the_strongest_lines_have_one_solution(projection, grid):
    equations = equations_of(projection, *spectrum(projection, [0.0, 0.0, 0.0, 0.0, 0.0]))
    found = grid.posterior().solutions(*equations, 2000.0)
    assert_allclose(found.weight, [[1.0, 0.0]])
    assert np.isnan(found.labels[0, 1]).all()
    assert np.isnan(found.scores[0, 1]).all()


def test_resolving_powers_between_those_of_the_grid_are_interpolated(projection, grid):
    strength = 0.9 * float(strengths(np.log(10500.0)))
    equations = equations_of(projection, *spectrum(projection, [strength, 0.0, 0.0, 0.0, 0.0]))
    found = grid.posterior().solutions(*equations, 1000.0)
    assert_allclose(np.exp(found.labels[0, :, 0]).min(), 10500.0, rtol=0.01)


def test_the_best_model_is_found_between_the_points(projection, grid):
    """Labels to a fraction of a step, with the covariance of a linear problem of three numbers."""
    x, y, velocity = np.log(9777.0), 8.13, 0.1
    coefficients = [strengths(x), 0.5 * (y - 8.0), 0.002 * (x - 9.5), 0.0, 0.5 * velocity]
    normalised, ivar = spectrum(projection, coefficients)
    found = grid.posterior().solutions(*equations_of(projection, normalised, ivar), 2000.0)
    # The velocity is drawn to zero by its prior, and nothing else is.
    assert_allclose(found.best[0], [x, y, x * y], rtol=1e-5)
    assert abs(found.fit[0]) < 0.03
    slopes = np.zeros((3, 5))
    slopes[0, [0, 2]] = -2.0 * (x - np.log(13000.0)) / 0.1, 0.002
    slopes[1, 1], slopes[2, 4] = 0.5, 0.5
    design = slopes @ (projection.templates * projection.spread[:, None]).numpy()
    weight = float(ivar[0, 0] / (1.0 + ivar[0, 0] * 0.003**2))
    covariance = np.linalg.inv(weight * design @ design.T + np.diag([0.0, 0.0, 1.0]))[:2, :2]
    to_scores = np.array([[1.0, 0.0, y], [0.0, 1.0, x]])
    expected = to_scores.T @ covariance @ to_scores
    assert_allclose(found.rows[0].T @ found.rows[0], expected, rtol=0.01,
                    atol=1e-3 * expected.max())
    steps = np.log(22000.0 / 8000.0) / 19.0, 0.4
    assert_allclose(found.width[0], np.max(np.sqrt(np.diag(covariance)) / steps), rtol=0.01)


def test_what_no_model_fits_has_a_large_chi_square(projection, grid):
    equations = equations_of(projection, *spectrum(projection, [-0.3, 0.1, 0.0, 0.3, 0.0]))
    found = grid.posterior().solutions(*equations, 2000.0)
    near = grid.posterior().solutions(*equations_of(
        projection, *spectrum(projection, [-0.3, 0.1, 0.0, 0.06, 0.0])), 2000.0)
    assert found.fit[0] > 20.0 * near.fit[0] > 20.0
    # Of a spectrum that no model fits, the labels are as uncertain as that says.
    assert_allclose(found.rows**2 / found.fit, near.rows**2 / near.fit, rtol=0.05, atol=1e-8)


@pytest.mark.parametrize(("density", "cut"), [
    ([0.0, 0.1, 0.2, 0.4, 0.2, 0.1, 0.0, 0.0], None),
    ([0.1, 0.3, 0.1, 0.01, 0.1, 0.3, 0.09, 0.0], 3),
    ([0.1, 0.2, 0.1, 0.01, 0.1, 0.4, 0.09, 0.0], 4),
    ([0.3, 0.4, 0.27, 0.0, 0.0, 0.03, 0.0, 0.0], None),
])
def test_valleys_between_solutions(density, cut):
    assert _cut(np.array(density), np.linspace(9.0, 9.7, 8)) == cut
