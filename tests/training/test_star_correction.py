"""Corrections that simulated stars, made with known ones, give back."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux.emulator.gaussian_process import Kernel
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.libraries.labels import scale_labels
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import input_grid, sed_grid
from sedflux.spectra.normalise import input_basis
from sedflux.spectra.reddening import extinction_curve
from sedflux.training.correction import SPLINES, class_shares, sed_splines
from sedflux.training.examples import ExampleGenerator
from sedflux.training.star_correction import fit_correction
from sedflux.training.stars import FOLDS, LABEL_ERRORS, RealStars, fold_of

KERNELS = (Kernel.initial(),)
SCATTER = 0.02


def true_change(labels):
    """What 'real' SEDs have and the toy models lack: smooth in labels and wavelength."""
    warm = scale_labels(labels)[:, :1]
    step = 1.0 / (1.0 + np.exp((sed_grid() - 4000.0) / 150.0))
    return (0.10 + 0.05 * warm) * step


def true_lines(labels):
    """Relative change of the normalised spectrum: a few lines that are too strong."""
    grid = input_grid()
    lines = sum(np.exp(-0.5 * ((grid - centre) / 3.0) ** 2) for centre in (4250.0, 5300.0, 6200.0))
    return (0.03 + 0.01 * scale_labels(labels)[:, 2:3]) * lines


@pytest.fixture(scope="module")
def simulated(toy_library):
    """Stars made of toy models, with known corrections, dust and label errors."""
    rng = np.random.default_rng(8)
    generator = ExampleGenerator(toy_library, kernels=KERNELS)
    labels = generator.draw_labels(160, rng)
    joint = generator.emulator.mean(labels)
    grid, size = sed_grid(), len(labels)
    log_sed = joint[:, generator.pixels :] + true_change(labels)
    log_sed += SCATTER * rng.standard_normal((size, 1)) * (grid < 4000.0)
    fine = np.exp(joint[:, : generator.pixels])[:, 70:-70].reshape(size, -1, 2).mean(axis=2)
    flux = fine * (1.0 + true_lines(labels)) * (1.0 + 0.002 * rng.standard_normal(fine.shape))
    normalised, ivar = remove_continuum(flux, np.full(flux.shape, 150.0**2), input_basis())
    ebv = np.abs(0.03 * rng.standard_normal(size))
    stis = log_sed + ebv[:, None] * extinction_curve(grid)
    stis[size // 2 :] = np.nan
    miles = np.where((grid > 3600.0) & (grid < 7340.0), log_sed, np.nan)
    published = labels + LABEL_ERRORS * np.array([0.5, 0.5, 0.5, 0, 0, 0]) * \
        rng.standard_normal(labels.shape)
    stars = RealStars(
        name=np.array([f"star{i}" for i in range(size)]), source=np.full(size, "MILES"),
        labels=published, label_errors=np.tile(LABEL_ERRORS, (size, 1)), normalised=normalised,
        ivar=ivar, resolving_power=np.full(size, 1600.0), miles_sed=miles, stis_sed=stis,
        magnitudes=np.full((size, 2), np.nan), ebv=np.full(size, np.nan),
        johnson=np.full((size, 3), np.nan), johnson_error=np.full((size, 3), np.nan),
        dust=np.full((size, 2), np.nan))
    return stars, labels


@pytest.fixture(scope="module")
def correction(simulated, toy_library):
    bands = {"BLUE": (np.array([3500.0, 4500.0]), np.ones(2)),
             "SDSS_R": (np.array([5500.0, 7000.0]), np.ones(2))}
    return fit_correction(toy_library, KERNELS, simulated[0], bands)


def test_sed_correction_is_found_again(correction, simulated):
    labels = simulated[1]
    inside = class_shares(labels)[:, :2].sum(axis=1) < 0.5
    found = correction.sed_correction(labels[inside])
    expected = true_change(labels[inside])
    grid = sed_grid()
    # A common scale is no part of an SED.
    middle = (grid > 4500) & (grid < 7000)
    found = found - found[:, middle].mean(axis=1, keepdims=True)
    expected = expected - expected[:, middle].mean(axis=1, keepdims=True)
    blue = (grid > 2600) & (grid < 3800)
    error = (found - expected)[:, blue]
    assert abs(np.median(error)) < 0.02
    assert np.sqrt(np.mean(error**2)) < 0.35 * np.sqrt(np.mean(expected[:, blue] ** 2))


def test_line_correction_is_found_again(correction, simulated):
    labels = simulated[1]
    found, expected = correction.input_correction(labels), true_lines(labels)
    strong = expected.mean(axis=0) > 0.015
    assert_allclose(np.median(found[:, strong] / expected[:, strong]), 1.0, atol=0.3)


def test_library_with_corrections_is_a_library(correction, toy_library):
    better = correction.correct(toy_library)
    change = library_seds(better) - library_seds(toy_library)
    expected = correction.sed_correction(toy_library.labels)
    difference = change - expected
    # R = 200 and the normalisation leave a constant.
    difference -= np.median(difference, axis=1, keepdims=True)
    assert np.median(np.abs(difference)) < 2e-3
    ratio = library_inputs(better, 2000.0, input_grid()) / library_inputs(
        toy_library, 2000.0, input_grid())
    lines = np.log(ratio) - np.log(ratio).mean(axis=1, keepdims=True)
    wanted = np.log1p(np.clip(correction.input_correction(toy_library.labels), -0.3, 0.3))
    assert np.corrcoef(lines.ravel(), wanted.ravel())[0, 1] > 0.95


def test_corrections_vanish_where_no_star_is(correction, simulated):
    far = np.array([[9000.0, 1.0, 3.0, 0.0, 0.0, 2.0]])
    near = np.abs(correction.sed_correction(simulated[1])).max()
    assert np.abs(correction.sed_correction(far)).max() < 0.05 * near
    assert correction.features.unknown(far)[0] > 0.95
    # What nobody knows is in the errors.
    labels = np.repeat(far, 500, axis=0)
    errors = correction.draw_errors(labels, np.random.default_rng(1))
    expected = np.sqrt((correction.prior_size * sed_splines()) ** 2 @ np.ones(SPLINES))
    assert_allclose(errors.std(axis=0), expected, rtol=0.2)


def test_errors_of_the_correction_are_small_among_stars(correction, simulated):
    labels = np.repeat(simulated[1][class_shares(simulated[1])[:, 2] == 1][:5], 100, axis=0)
    errors = correction.draw_errors(labels, np.random.default_rng(1))
    blue = (sed_grid() > 3700) & (sed_grid() < 6500)
    assert np.median(errors.std(axis=0)[blue]) < 0.02


def test_draws_have_the_scatter_of_the_stars(correction, simulated, rng):
    labels = np.repeat(simulated[1][class_shares(simulated[1])[:, 2] == 1][:5], 400, axis=0)
    lines, sed = correction.draw(labels, rng)
    assert lines.shape == (2000, 2430)
    assert sed.shape == (2000, 575)
    errors = correction.draw_errors(labels, np.random.default_rng(3))
    expected = np.sqrt((correction.sed_factors[2] ** 2).sum(axis=0) + correction.sed_noise[2] ** 2
                       + errors.var(axis=0))
    assert_allclose(sed.std(axis=0), expected, rtol=0.15)
    assert 0.3 < lines.std() / correction.residuals.std() < 3.0


def test_engine_draws_stars_with_scatter(correction, toy_library):
    plain = ExampleGenerator(toy_library, kernels=KERNELS)
    wide = ExampleGenerator(toy_library, kernels=KERNELS, scatter=correction)
    one, other = (generator.stars(64, np.random.default_rng(4)) for generator in (plain, wide))
    assert_allclose(one[2], other[2])
    assert 1e-4 < np.abs(one[0] / other[0] - 1.0)[:, 70:-70].mean() < 0.1
    assert 1e-4 < np.abs(one[1] - other[1]).mean() < 0.3


def test_splines_sum_to_one():
    assert_allclose(sed_splines().sum(axis=1), 1.0, atol=1e-12)


def test_classes_share_every_star():
    shares = class_shares(np.array([[t, 4.0, 0, 0, 0, 2]
                                    for t in (4e3, 4600.0, 5e3, 5400, 6500, 7500, 9e3)]))
    assert_allclose(shares.sum(axis=1), 1.0)
    assert_allclose(shares[::2], np.eye(4))
    assert_allclose(shares[1::2], [[0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.5, 0.5]])


def test_folds_are_even_and_fixed():
    folds = np.array([fold_of(f"HD{number}") for number in range(4000)])
    assert_allclose(np.bincount(folds), 4000 / FOLDS, rtol=0.1)
    # The split must never move: models are scored on stars that it kept from them.
    names = ("HD19445", "HD186427", "HD122956", "HD83212")
    assert [fold_of(name) for name in names] == [1, 1, 0, 2]
