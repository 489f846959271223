"""The update against dense linear algebra, importance samples, and draws from the prior."""

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose

from sedflux import anchor, condition
from sedflux.conditioning.bands import BandRows
from sedflux.conditioning.dust import Dust
from sedflux.conditioning.posterior import update
from sedflux.conditioning.update import Stars
from sedflux.covariance import LowRankCovariance
from sedflux.photometry import band_rows
from sedflux.spectra.reddening import extinction_curve
from sedflux.spectra.sed import covariance_of
from sedflux.units import MAG_PER_LN

from .conftest import WAVELENGTH, toy_factor, toy_flux

#: Bands of a single wavelength each: magnitudes are linear in ln(flux).
PLACES = (8, 20, 21, 33, 48, 57)


def linear_case(diagonal, seed=3):
    """Two stars with magnitudes at single wavelengths, dust far from zero."""
    rng = np.random.default_rng(seed)
    count = len(PLACES)
    bands = BandRows(tuple("abcdef"), (np.ones(1),) * count,
                     tuple(slice(place, place + 1) for place in PLACES), np.full(count, -21.1))
    log_flux = np.log(toy_flux(2))
    factor = np.broadcast_to(toy_factor(), (2, 3, WAVELENGTH.size)).copy()
    magnitudes = 14.0 + 0.3 * rng.standard_normal((2, count))
    curve = extinction_curve(WAVELENGTH)
    magnitudes -= MAG_PER_LN * 0.5 * curve[list(PLACES)]
    known = np.ones((2, count), dtype=bool)
    known[1, 2] = False
    stars = Stars(log_flux, np.full(log_flux.shape, diagonal), factor, True, magnitudes,
                  np.array([0.05, 0.02, 0.03, 0.02, 0.01, 0.04])[None].repeat(2, 0) ** 2, known,
                  factor[:, :2].copy())
    dust = Dust(np.array([0.5, 0.6]), np.array([0.02, 0.03]), False, curve, np.zeros_like(curve))
    return stars, bands, dust


def dense(stars, dust, row, bands):
    """Posterior, and what it leaves of z, by matrices of all coordinates: z, d, s and E(B-V)."""
    seen = np.flatnonzero(stars.known[row])
    places = np.array(PLACES)[seen]
    design = np.vstack([stars.factor[row], np.diag(np.sqrt(stars.diagonal[row])),
                        np.ones_like(dust.curve), dust.error[row] * dust.curve])
    start = stars.log_flux[row] + dust.mean[row] * dust.curve
    change = -MAG_PER_LN * design[:, places]
    residual = stars.magnitudes[row, seen] - bands.zero_points[seen] + MAG_PER_LN * start[places]
    weight = 1.0 / stars.variance[row, seen]
    precision = (change * weight) @ change.T
    flat = len(design) - 2
    precision[np.diag_indices(len(design))] += np.where(np.arange(len(design)) == flat, 0.0, 1.0)
    covariance = np.linalg.inv(precision)
    gain = covariance @ (change * weight)
    coordinates = gain @ residual
    # What is left of a unit of the first two coordinates, which the magnitudes see.
    left = np.eye(2, len(design)) - change[:2] @ gain.T
    chi2 = (weight * residual**2).sum() - residual @ (weight * (change.T @ coordinates))
    return (start + coordinates @ design, design.T @ covariance @ design,
            dust.mean[row] + dust.error[row] * coordinates[-1],
            dust.error[row] * np.sqrt(covariance[-1, -1]), chi2, left @ design)


@pytest.mark.parametrize("diagonal", [0.0, 4e-4])
def test_equals_the_dense_calculation_to_1e_8(diagonal):
    stars, bands, dust = linear_case(diagonal)
    found = update(stars, bands, dust)
    for row in range(2):
        mean, covariance, ebv, error, chi2, parts = dense(stars, dust, row, bands)
        assert_allclose(found.log_flux[row], mean, rtol=1e-8)
        assert_allclose(found.ebv[row], ebv, rtol=1e-8)
        assert_allclose(found.ebv_error[row], error, rtol=1e-8)
        assert_allclose(found.chi2[row], chi2, rtol=1e-8)
        assert_allclose(found.parts[row], parts, rtol=0, atol=1e-8 * np.abs(parts).max())
        mine = LowRankCovariance(stars.diagonal[row], found.factor[row]).to_dense()
        if diagonal == 0.0:
            assert_allclose(mine, covariance, rtol=0, atol=1e-8 * np.abs(covariance).max())
        else:
            # Without `removed`, what single wavelengths lose of their own variance is kept.
            excess = np.linalg.eigvalsh(mine - covariance)
            assert excess.min() > -1e-8 * np.abs(covariance).max()
            assert excess.max() < 1.000001 * diagonal
        # Unless what the magnitudes remove is taken off, too.
        whole = LowRankCovariance(stars.diagonal[row], found.factor[row], found.removed[row])
        assert_allclose(whole.to_dense(), covariance, rtol=0, atol=1e-8 * np.abs(covariance).max())


def sampled(prediction, magnitudes, error, bandpasses, reddening, size=100_000):
    """
    Posterior by weights of draws from the prior; the scale is integrated exactly.

    ``reddening`` is a mean and its error, or draws from the prior.
    """
    rng = np.random.default_rng(5)
    ebv = reddening
    if isinstance(reddening, tuple):
        ebv = rng.normal(*reddening, 6 * size)
        ebv = ebv[ebv >= 0][:size]
    assert ebv.size == size
    curve = extinction_curve(WAVELENGTH)
    draws = (np.log(prediction.flux) + prediction.relative_covariance.sample(size, rng)
             + ebv[:, None] * curve)
    _, (rows, zero) = band_rows(WAVELENGTH, bandpasses)
    left = magnitudes - zero + 2.5 * np.log10(np.exp(draws) @ rows.T)
    scale = -left.mean(axis=1) / MAG_PER_LN
    chi2 = ((left - left.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) / error**2
    weights = np.exp(-0.5 * (chi2 - chi2.min()))
    weights /= weights.sum()
    return weights, ebv, draws + scale[:, None], (error / MAG_PER_LN) ** 2 / len(magnitudes)


@pytest.mark.parametrize("reddening", [(0.0, 0.05), (0.02, 0.08), (0.3, 0.1)])
@pytest.mark.parametrize("error", [0.05, 0.2])
def test_equals_importance_samples_near_zero_dust(draw, bandpasses, reddening, error):
    drawn = draw(1, reddening[0], seed=11)
    star = drawn.prediction[0]
    noisy = drawn.magnitudes[0] + error * np.random.default_rng(6).standard_normal(5)
    found = condition(star, {name: (value, error) for name, value in
                             zip(bandpasses, noisy, strict=True)}, bandpasses,
                      reddening=reddening)
    weights, ebv, log_flux, own = sampled(star, noisy, error, bandpasses, reddening)
    effective = 1.0 / (weights**2).sum()
    assert effective > 1000
    # Five standard errors of the samples.
    mean, spread = weights @ ebv, np.sqrt(weights @ ebv**2 - (weights @ ebv) ** 2)
    assert abs(found.reddening - mean) < 5.0 * spread / effective**0.5
    assert abs(found.reddening_error / spread - 1.0) < 5.0 / effective**0.5
    center = weights @ log_flux
    sigma = np.sqrt(weights @ (log_flux - center) ** 2 + own)
    assert np.abs((np.log(found.flux) - center) / sigma).max() < 5.0 / effective**0.5
    assert_allclose(found.sigma / found.flux / sigma, 1.0, atol=5.0 / effective**0.5)
    low, high = np.interp((0.1587, 0.8413), np.cumsum(weights[np.argsort(ebv)]), np.sort(ebv))
    assert_allclose(found.reddening_interval, (low, high), atol=8.0 * spread / effective**0.5)


@pytest.mark.parametrize("error", [0.02, 0.3])
def test_one_band_is_what_anchor_does(bandpasses, toy_sed, error):
    magnitude = 13.4
    first = anchor(toy_sed, magnitude * u.ABmag, bandpasses["r"],
                   magnitude_error=error * u.mag)
    second = condition(toy_sed, {"r": (magnitude, error)}, bandpasses, reddening=0)
    assert_allclose(second.flux.value, first.flux.value, rtol=1e-10)
    assert second.flux.unit == first.flux.unit
    dense = covariance_of(first).to_dense()
    assert_allclose(covariance_of(second).to_dense(), dense, rtol=0, atol=1e-10 * dense.max())
    assert_allclose(covariance_of(second).sigma, covariance_of(first).sigma, rtol=1e-10)


def test_anchoring_first_is_conditioning_on_both(draw, bandpasses):
    drawn = draw(1, 0.0, diagonal=0.0)
    sed = drawn.prediction[0].to_spectrum()
    both = {name: (drawn.magnitudes[0, index] + 0.01 * index, 0.02)
            for index, name in enumerate(bandpasses)}
    first = anchor(sed, both["u"][0] * u.ABmag, bandpasses["u"], magnitude_error=0.02 * u.mag)
    rest = {name: pair for name, pair in both.items() if name != "u"}
    one = condition(first, rest, bandpasses, reddening=0)
    two = condition(sed, both, bandpasses, reddening=0)
    # The scale of the first is where it was linearised: second order in 2 %.
    assert_allclose(one.flux.value, two.flux.value, rtol=2e-4)
    assert_allclose(covariance_of(one).sigma, covariance_of(two).sigma, rtol=5e-3)


def test_pulls_and_errors_of_drawn_stars_are_one(draw, photometry, bandpasses):
    size = 3000
    ebv = np.abs(np.random.default_rng(8).normal(0.0, 0.1, size))
    drawn = draw(size, ebv)
    found = condition(drawn.prediction, photometry(drawn.magnitudes, 0.02), bandpasses,
                      reddening=(0.0, 0.1))
    assert_allclose(found.pulls.std(axis=0), 1.0, atol=0.05)
    # Where zero cuts E(B-V), that of the other bands is no Gaussian: u comes out a little red.
    assert_allclose(found.pulls.mean(axis=0), 0.0, atol=0.12)
    # Where zero cuts the posterior it is no Gaussian, but its variance is that of the truth.
    ratio = np.mean((found.reddening - ebv) ** 2) / np.mean(found.reddening_error**2)
    assert_allclose(ratio**0.5, 1.0, atol=0.05)
    pulls = (np.log(found.flux) - drawn.truth) / (found.sigma / found.flux)
    assert_allclose(np.sqrt((pulls**2).mean(axis=0)), 1.0, atol=0.05)
    inside = (ebv > found.reddening_interval[:, 0]) & (ebv < found.reddening_interval[:, 1])
    assert_allclose(inside.mean(), 0.683, atol=0.05)


@pytest.mark.parametrize("reddening", [None, 0.1, (0.1, 0.03)])
def test_chi2_of_drawn_stars_is_distributed_as_chi2(draw, photometry, bandpasses, reddening):
    rng = np.random.default_rng(9)
    ebv = np.clip(rng.normal(0.1, 0.03, 2000), 0.0, None) if isinstance(reddening, tuple) else 0.1
    drawn = draw(2000, ebv)
    found = condition(drawn.prediction, photometry(drawn.magnitudes, 0.02), bandpasses,
                      reddening=reddening)
    free = 4 if reddening is not None else 3
    assert (np.median(found.dof)) == free
    for share in (0.01, 0.1, 0.5):
        spread = np.sqrt(share * (1 - share) / 2000)
        assert abs(np.mean(found.p_value < share) - share) < 4.5 * spread


def test_errors_below_3500_fall_as_the_information_says(draw, bandpasses, photometry):
    """From the relative errors of the lines to those with u, griz, and all: dense information."""
    drawn = draw(1, 0.1, diagonal=0.0)
    star = drawn.prediction[0]
    curve = extinction_curve(WAVELENGTH)
    errors = {}
    for bands in ("griz", "ugriz"):
        chosen = {name: bandpasses[name] for name in bands}
        index = [list(bandpasses).index(name) for name in bands]
        found = condition(star, {name: (drawn.magnitudes[0, place], 0.02) for name, place in
                                 zip(bands, index, strict=True)}, chosen, reddening=(0.1, 0.02))
        _, (rows, _) = band_rows(WAVELENGTH, chosen)
        share = rows * found.flux / (rows @ found.flux)[:, None]
        design = np.vstack([star.factor, 0.02 * curve, np.ones_like(curve)])
        change = -MAG_PER_LN * design @ share.T
        information = change @ change.T / 0.02**2 + np.diag([1.0, 1.0, 1.0, 1.0, 0.0])
        expected = np.sqrt(np.diag(design.T @ np.linalg.inv(information) @ design))
        assert_allclose(found.sigma / found.flux, expected, rtol=0.01)
        errors[bands] = expected
    blue = WAVELENGTH < 3500
    assert (errors["ugriz"][blue] < errors["griz"][blue]).all()
