"""E(B-V) by distance: against draws, limits, and what is refused."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from numpy.testing import assert_allclose

from sedflux import InputError, ReddeningAtDistance, condition, photometric_offsets

from .test_exactness import sampled

#: A cloud at 400 pc.
CLOUD = Table({"distance": [100.0, 390.0, 410.0, 3000.0],
               "reddening": [0.01, 0.03, 0.35, 0.45], "reddening_error": [0.02, 0.02, 0.04, 0.06]})
#: The same dust everywhere.
EVEN = Table({"distance": [100.0, 3000.0], "reddening": [0.1, 0.1],
              "reddening_error": [0.03, 0.03]})


def draws_of_distance(rng, size, *, parallax=None, distance=None, length=1350.0):
    """Distances in pc by rejection."""
    if distance is not None:
        return rng.normal(*distance, size)
    value, error = parallax
    drawn = rng.gamma(3.0, length, 400 * size)
    likelihood = np.exp(-0.5 * ((1000.0 / drawn - value) / error) ** 2)
    kept = drawn[rng.random(drawn.size) < likelihood / likelihood.max()]
    assert kept.size > 1000
    return kept


@pytest.mark.parametrize("parallax", [(2.4, 0.3), (0.2, 0.4), (-0.1, 0.2)])
def test_distances_are_those_that_parallax_and_density_allow(parallax):
    rng = np.random.default_rng(2)
    drawn = draws_of_distance(rng, 5000, parallax=parallax)
    found = ReddeningAtDistance(EVEN, parallax=parallax).distances[0]
    share = (np.arange(64) + 0.5) / 64
    spread = drawn.std() / drawn.size**0.5
    assert_allclose(found[4:60], np.quantile(drawn, share[4:60]), atol=10.0 * spread)


def test_units_and_precise_parallaxes():
    one = ReddeningAtDistance(CLOUD, parallax=(2.0, 0.001))
    assert_allclose(one.distances, 500.0, rtol=2e-3)
    assert_allclose(one.distances.std(), 0.25, rtol=0.02)
    two = ReddeningAtDistance(CLOUD, parallax=(2000.0 * u.uas, 1.0 * u.uas),
                              scale_length=1.35 * u.kpc)
    assert_allclose(two.distances, one.distances, rtol=1e-10)
    three = ReddeningAtDistance(CLOUD, distance=(0.5 * u.kpc, 0.05 * u.kpc))
    assert_allclose([three.distances.mean(), three.distances.std()], [500.0, 50.0], rtol=0.02)
    assert three.single
    assert "1 star" in repr(three)


def test_the_same_dust_everywhere_is_its_gaussian(draw, photometry, bandpasses):
    drawn = draw(5, 0.08)
    measured = photometry(drawn.magnitudes, 0.05)
    gaussian = condition(drawn.prediction, measured, bandpasses, reddening=(0.1, 0.03))
    even = condition(drawn.prediction, measured, bandpasses,
                     reddening=ReddeningAtDistance(EVEN, distance=(500.0, 200.0)))
    for name in ("reddening", "reddening_error", "chi2", "pulls", "flux", "sigma"):
        assert_allclose(getattr(even, name), getattr(gaussian, name), rtol=1e-6)
    assert_allclose(even.reddening_interval, gaussian.reddening_interval, atol=2e-4)
    assert (even.dof == gaussian.dof).all()


@pytest.mark.parametrize(("where", "ebv", "error"), [
    ({"parallax": (2.5, 0.1)}, 0.03, 0.05), ({"parallax": (2.5, 0.1)}, 0.35, 0.3),
    ({"parallax": (1.0, 0.5)}, 0.38, 0.1), ({"parallax": (1.0, 0.5)}, 0.2, 0.3),
    ({"distance": (430.0, 60.0)}, 0.03, 0.05), ({"distance": (430.0, 60.0)}, 0.2, 0.2)])
def test_equals_importance_samples_of_distance_and_dust(draw, bandpasses, where, ebv, error):
    star = draw(1, ebv, seed=12)
    noisy = star.magnitudes[0] + error * np.random.default_rng(7).standard_normal(5)
    star = star.prediction[0]
    found = condition(star, {name: (value, error) for name, value in
                             zip(bandpasses, noisy, strict=True)}, bandpasses,
                      reddening=ReddeningAtDistance(CLOUD, **where))
    rng = np.random.default_rng(3)
    distance = rng.choice(draws_of_distance(rng, 3000, **where), 100_000)
    mean, width = (np.interp(distance, CLOUD["distance"], CLOUD[name])
                   for name in ("reddening", "reddening_error"))
    dust = rng.normal(mean, width)
    while (dust < 0).any():
        again = dust < 0
        dust[again] = rng.normal(mean[again], width[again])
    weights, *_ = sampled(star, noisy, error, bandpasses, dust)
    effective = 1.0 / (weights**2).sum()
    assert effective > 1000
    mean = weights @ dust
    spread = np.sqrt(weights @ (dust - mean) ** 2)
    # Five standard errors of the samples, and the 64 distances.
    assert abs(found.reddening - mean) < (5.0 / effective**0.5 + 0.02) * spread
    assert_allclose(found.reddening_error, spread, rtol=5.0 / effective**0.5 + 0.02)


def test_stars_have_their_own_distances(draw, photometry, bandpasses):
    drawn = draw(3, 0.2)
    measured = photometry(drawn.magnitudes, 0.05)
    parallax, error = np.array([4.0, 2.5, 0.5]), np.array([0.1, 0.3, 0.4])

    def along(distance):
        ebv = 0.2 * (1.0 - np.exp(-distance / (300.0 * u.pc)))
        return ebv.value, np.full(distance.shape, 0.03) * u.mag

    many = condition(drawn.prediction, measured, bandpasses,
                     reddening=ReddeningAtDistance(along, parallax=(parallax, error)))
    for row in range(3):
        pairs = {name: (value[row], sigma[row]) for name, (value, sigma) in measured.items()}
        one = condition(drawn.prediction[row], pairs, bandpasses, reddening=ReddeningAtDistance(
            along, parallax=(parallax[row], error[row])))
        assert_allclose(one.reddening, many.reddening[row], rtol=1e-8)
        assert_allclose(one.flux, many.flux[row], rtol=1e-8)
    # There is more dust before the far star.
    assert many.reddening[0] < many.reddening[2]
    table = photometric_offsets(drawn.prediction, measured, bandpasses,
                                reddening=ReddeningAtDistance(along, parallax=(parallax, error)))
    assert np.isfinite(table["error"]).all()


@pytest.mark.parametrize(("along", "options", "message"), [
    (EVEN, {}, "not given; give one"),
    (EVEN, {"distance": (1.0, 1.0), "parallax": (1.0, 1.0)}, "both given"),
    (EVEN, {"distance": 100.0}, "a tuple of distance and its error"),
    (EVEN, {"distance": (-100.0, 10.0)}, "a positive distance"),
    (EVEN, {"distance": ([100.0, 100.0], [10.0, 0.0])}, "error 0 in row 1"),
    (EVEN, {"distance": ([100.0, 100.0], [1.0, 1.0, 1.0])}, "have the shapes"),
    (EVEN, {"distance": (np.ones((2, 2)), 1.0)}, "has the shape"),
    (EVEN, {"distance": (100.0 * u.mas, 1.0)}, "numbers in pc"),
    (EVEN, {"parallax": ("2", "near")}, "numbers in mas"),
    (EVEN, {"parallax": (np.nan, 0.1)}, "parallax is nan"),
    (EVEN, {"parallax": (-1.0, 0.1)}, "negative by more than 6 errors"),
    (EVEN, {"parallax": (1.0, 0.1), "scale_length": 0.0}, "scale_length is 0"),
    (EVEN[:0], {"distance": (100.0, 10.0)}, "has 0 rows"),
    (EVEN["distance", "reddening"], {"distance": (100.0, 10.0)}, "reddening_error are needed"),
    (EVEN[::-1], {"distance": (100.0, 10.0)}, "must be finite and ascend"),
    (Table({"distance": [1.0, 2.0] * u.Jy, "reddening": [0, 1], "reddening_error": [1, 1]}),
     {"distance": (100.0, 10.0)}, "column 'distance' of along"),
    (3.0, {"distance": (100.0, 10.0)}, "along is 3.0"),
    (lambda distance: (0.1, 0.0), {"distance": (100.0, 10.0)}, "error of the dust is 0"),
    (lambda distance: (-0.1, 0.1), {"distance": (100.0, 10.0)}, "of the dust is -0.1 at"),
    (lambda distance: 0.1, {"distance": (100.0, 10.0)}, "gave no pair"),
    (lambda distance: (np.ones(3), 0.1), {"distance": (100.0, 10.0)}, "gave no pair"),
])
def test_bad_distances_and_dust_are_named(along, options, message):
    with pytest.raises(InputError, match=message):
        ReddeningAtDistance(along, **options)


def test_stars_and_distances_must_agree(draw, photometry, bandpasses):
    drawn = draw(3, 0.1)
    measured = photometry(drawn.magnitudes, 0.05)
    with pytest.raises(InputError, match="of 2 stars; there are 3"):
        condition(drawn.prediction, measured, bandpasses,
                  reddening=ReddeningAtDistance(EVEN, distance=([1.0, 2.0], [1.0, 1.0])))
    thick = Table({"distance": [1.0], "reddening": [30.0], "reddening_error": [1.0]})
    with pytest.raises(InputError, match="reaches 30 mag"):
        condition(drawn.prediction, measured, bandpasses,
                  reddening=ReddeningAtDistance(thick, distance=(1.0, 0.1)))
