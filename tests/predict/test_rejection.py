"""Pixels that are not the star's are left out, and nothing else."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sedflux.plotting import draw_normalised, subplots
from sedflux.predict.rejection import outlying
from sedflux.spectra.grids import input_grid
from sedflux.training.effects import add_sky, dip


def test_outliers_take_deviating_neighbours_along(rng):
    """A cosmic ray of three pixels in noise, beside a bad pixel."""
    residual = 0.02 * rng.standard_normal((3, 500))
    ivar = np.full((3, 500), 2500.0, dtype=np.float32)
    residual[0, 200:203] += (0.15, 0.9, 0.14)
    residual[0, 210], ivar[0, 210] = 5.0, 0.0
    # Deviations of 3 % of the pixels are no outliers, nor is a bad fit everywhere.
    residual[1, ::30] += 0.5
    residual[2] *= 20.0
    found = outlying(residual, ivar)
    assert_array_equal(np.flatnonzero(found[0]), np.arange(199, 204))
    assert not found[1:].any()


def test_spectra_with_cosmic_rays_and_sky_lines_are_as_good_as_clean_ones(predictor, star, rng):
    wavelength, flux = star
    noise = 1.0 + 0.02 * rng.standard_normal(flux.size)
    hit = np.array(flux)
    for pixel in (600, 1500, 2400):
        hit[pixel : pixel + 2] *= 0.4
    sky = add_sky(wavelength, flux, 1800.0, levels={5578.9: 1.5, 6302.0: -1.7})
    spectra = np.stack([flux, hit, sky]) * noise
    found = predictor.predict(wavelength, spectra, np.full((3, flux.size), 2500.0) / flux**2,
                              resolving_power=1800.0)
    count = found.diagnostics["rejected"]
    assert count[0] == 0
    # The sky line in emission is a spike, which is masked before; that in absorption is left.
    assert (count[1:] >= 5).all()
    assert_array_equal(found.diagnostics["rejected_pixels"].sum(axis=1), count)
    shift = np.abs(np.log(found.flux / found.flux[0])) * found.flux / found.sigma
    assert np.median(shift[1]) < 0.15
    assert np.median(shift[2]) < 0.4
    alone = predictor.predict(wavelength, spectra[1], 2500.0 / flux**2, resolving_power=1800.0)
    assert alone.flux == pytest.approx(found.flux[1], rel=1e-5)


def test_a_bad_joint_of_two_arms_is_left_out(predictor, star, rng):
    """A dip of 25 %, which without that would move the SED by more than its error."""
    wavelength, flux = star
    spectra = np.stack([flux, dip(wavelength, flux, centre=5970.0, depth=0.25, width=110.0)])
    spectra = spectra * (1.0 + 0.01 * rng.standard_normal(flux.size))
    good = np.ones(spectra.shape, dtype=bool)
    good[1] = (wavelength < 5700.0) | (wavelength > 6120.0)
    found, masked = (predictor.predict(wavelength, spectra, 1e4 / spectra**2 * use,
                                       resolving_power=1800.0) for use in (1.0, good))
    left_out = [found.diagnostics["rejected_pixels"][row] for row in range(2)]
    assert not left_out[0].any()
    assert_array_equal(left_out[1], (input_grid() > 5700.0) & (input_grid() < 6120.0))
    assert found.flags[1] == ()
    assert_allclose(found.flux[1], masked.flux[1], rtol=1e-3)
    assert np.median(np.abs(found.flux[1] - found.flux[0]) / found.sigma[0]) < 0.3


def test_rejected_pixels_are_marked_in_the_figure():
    wavelength, rejected = np.linspace(4000.0, 7000.0, 50), np.zeros(50, dtype=bool)
    rejected[7:10] = True
    _, axes = subplots(1, 1, figsize=(4, 2))
    axis = draw_normalised(axes, wavelength, np.ones(50), rejected=rejected)
    assert axis.get_legend().get_texts()[0].get_text() == "3 pixels left out"
    assert axis.lines[1].get_xdata().tolist() == wavelength[7:10].tolist()
