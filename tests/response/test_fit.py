"""The joint fit: closure, statistics, outliers, field terms, bad input."""

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from numpy.testing import assert_allclose
from specutils import Spectrum
from synphot import Observation, SpectralElement
from synphot.models import Empirical1D

from sedflux import (
    FieldTerms,
    InputError,
    LineSpread,
    LowRankCovariance,
    covariance_of,
    fit_response,
    to_source_spectrum,
)
from sedflux.exceptions import SedfluxWarning
from sedflux.response.solve import Design, normal_equations
from sedflux.slitless.forward import SecondOrder, count_model
from sedflux.spectra.grids import sed_grid

AREA = np.pi * 100.0**2 * u.cm**2
PIXELS = np.arange(4100.0, 6100.0, 10.0)
GRID = sed_grid()
FLAM = u.Unit("erg / (s cm2 Angstrom)")
FLUX = 1e-14 * (GRID / 5000.0) ** -1.0 * (
    1.0 - 0.4 * np.exp(-0.5 * ((GRID - 4861.0) / 25.0) ** 2)
    - 0.3 * np.exp(-0.5 * ((GRID - 5175.0) / 30.0) ** 2))


def throughput(wavelength):
    return 0.25 * np.exp(-0.5 * ((wavelength - 5100.0) / 900.0) ** 2) * (
        1.0 + 0.05 * np.sin(wavelength / 60.0))


def make_sed(flux=FLUX, directions=((0.02,), ("level",)), **meta):
    """An SED with errors of its level, and optionally of its slope."""
    shapes = {"level": np.ones(GRID.size), "slope": np.log(GRID / 5000.0)}
    factor = np.stack([size * shapes[name] for size, name in zip(*directions, strict=True)])
    covariance = LowRankCovariance(np.full(GRID.size, 1e-10), factor).scaled(flux)
    return Spectrum(spectral_axis=GRID * u.AA, flux=flux * FLAM,
                    uncertainty=StdDevUncertainty(covariance.sigma * FLAM),
                    meta={"sedflux": {"covariance": covariance} | meta})


def as_counts(rate, sigma=None, pixels=PIXELS):
    uncertainty = None if sigma is None else StdDevUncertainty(np.broadcast_to(sigma, rate.shape))
    return Spectrum(spectral_axis=pixels * u.AA, flux=rate * u.electron / u.s,
                    uncertainty=uncertainty)


def counts_of(flux, resolving_power=None, pixels=PIXELS, change=0.0, **options):
    spread = None if resolving_power is None else LineSpread.from_resolving_power(resolving_power)
    model = count_model(pixels, GRID, area=AREA.value, line_spread=spread, **options)
    value = change(model.fine) if callable(change) else change
    return model.counts(throughput(model.fine) * np.exp(value), flux)


def field(rng, size, *, noise=0.02, directions=((0.03, 0.1), ("level", "slope")), change=None,
          resolving_power=None):
    """Stars with SED errors drawn from their covariance, each on its own pixels."""
    counts, seds = [], []
    for star in range(size):
        z = rng.standard_normal(len(directions[0]))
        shapes = {"level": 1.0, "slope": np.log(GRID / 5000.0)}
        error = sum(a * b * shapes[name] for a, b, name in zip(z, *directions, strict=True))
        pixels = PIXELS + rng.uniform(-5.0, 5.0)
        rate = counts_of(FLUX * np.exp(error), resolving_power, pixels,
                         0.0 if change is None else lambda w, star=star: change(w, star))
        sigma = noise * np.sqrt(rate * rate.mean())
        counts.append(as_counts(rate + sigma * rng.standard_normal(rate.size), sigma, pixels))
        seds.append(make_sed(directions=directions))
    return counts, seds


def error_of(response):
    """Error of ln(response) at good wavelengths."""
    return np.log(response.throughput / throughput(response.wavelength))[response.good]


def test_noiseless_counts_by_synphot_return_the_throughput():
    grid = np.arange(3900.0, 6300.0, 2.0)
    band = SpectralElement(Empirical1D, points=grid * u.AA, lookup_table=throughput(grid))
    observation = Observation(to_source_spectrum(make_sed()), band, binset=PIXELS * u.AA)
    rate = observation.sample_binned(flux_unit=u.count, area=AREA).value
    response = fit_response([as_counts(rate, 1e-6 * rate)], [make_sed()], area=AREA)
    assert np.abs(error_of(response))[4:-4].max() < 3e-4


def test_closure_through_a_line_spread_function():
    """Exact to 1e-4; without the line-spread function the error is fifty times larger."""
    rate = counts_of(FLUX, 200.0)
    response = fit_response([as_counts(rate, 1e-7 * rate)], [make_sed()], area=AREA,
                            resolving_power=200.0)
    error = error_of(response)
    assert np.abs(error)[8:-8].max() < 1e-4
    plain = fit_response([as_counts(rate, 1e-7 * rate)], [make_sed()], area=AREA)
    assert np.abs(error_of(plain))[8:-8].max() > 50.0 * np.abs(error)[8:-8].max()


def test_seds_that_were_broadened_are_not_broadened_twice():
    """SEDs of R = 200 through R = 200: the fit needs the resolving power of the SED."""
    fine = np.geomspace(2500.0, 10500.0, 20000)
    sharp = 1e-14 * (1.0 - 0.5 * np.exp(-0.5 * ((fine - 4861.0) / 12.0) ** 2))
    from sedflux.spectra.resolution import FWHM_PER_SIGMA, lsf_matrix

    seen = lsf_matrix(fine, GRID / 200.0 / FWHM_PER_SIGMA, new_wavelength=GRID) @ sharp
    spread = LineSpread.from_resolving_power(200.0)
    model = count_model(PIXELS, fine, area=AREA.value, line_spread=spread)
    rate = model.counts(throughput(model.fine), sharp)
    errors = [np.abs(error_of(fit_response(
        [as_counts(rate, 1e-5 * rate)], [make_sed(seen)], area=AREA, line_spread=spread,
        grey_error=0.0, wavelength_error=0.0, sed_resolving_power=power)))[10:-10].max()
        for power in (None, 200.0)]
    assert errors[1] < 0.25 * errors[0]


@pytest.mark.parametrize("resolving_power", [None, 200.0])
def test_pulls_of_the_response(resolving_power):
    """Errors of responses from random SEDs and photon noise agree with the covariance."""
    rng, pulls, chi2 = np.random.default_rng(11), [], []
    for _ in range(30):
        counts, seds = field(rng, 6, resolving_power=resolving_power)
        response = fit_response(counts, seds, area=AREA, resolving_power=resolving_power)
        pulls.append((np.log(response.throughput / throughput(response.wavelength))
                      / response.covariance.sigma)[response.good][10:-10:12][:12])
        chi2.append(response.chi2 / response.degrees_of_freedom)
    assert 0.8 < np.std(pulls) < 1.2
    assert np.mean(chi2) == pytest.approx(1.0, abs=0.08)


def test_errors_taken_from_noisy_counts_do_not_bias():
    """With sigma from noisy counts at S/N 10 as weights, the response would be 1 % too low."""
    rng = np.random.default_rng(3)
    clean = counts_of(FLUX)
    exposure = 100.0 / np.median(clean)
    counts = []
    for _ in range(20):
        electrons = rng.poisson(clean * exposure)
        counts.append(as_counts(electrons / exposure, np.sqrt(electrons + 1.0) / exposure))
    response = fit_response(counts, [make_sed(directions=((1e-4,), ("level",)))] * 20, area=AREA)
    assert abs(error_of(response).mean()) < 0.003


def test_more_stars_make_a_smaller_error():
    counts, seds = field(np.random.default_rng(5), 24)
    few, many = (fit_response(counts[:n], seds[:n], area=AREA) for n in (6, 24))
    ratio = np.median(few.covariance.sigma / many.covariance.sigma)
    assert ratio == pytest.approx(2.0, rel=0.15)
    assert np.median(many.effective_stars) == pytest.approx(24.0, rel=0.1)
    # What all stars have in common does not shrink.
    assert many.total_covariance.sigma.min() > 0.01


def test_outliers_are_found_and_named(rng):
    counts, seds = field(rng, 20, directions=((0.02,), ("level",)))
    clean = fit_response(counts, seds, area=AREA)
    counts[3] = as_counts(1.5 * counts[3].flux.value, counts[3].uncertainty.array,
                          counts[3].spectral_axis.value)
    bump = counts[7].flux.value.copy()
    bump[40:120] *= 1.6
    counts[7] = as_counts(bump, counts[7].uncertainty.array, counts[7].spectral_axis.value)
    names = [f"s{i}" for i in range(20)]
    response = fit_response(counts, seds, area=AREA, names=names)
    left_out = {row["name"]: row["reason"] for row in response.stars if not row["used"]}
    assert {"s3", "s7"} <= set(left_out)
    assert len(left_out) <= 3
    assert "sigma of its SED" in left_out["s3"]
    assert np.abs(error_of(response)).mean() < 1.5 * np.abs(error_of(clean)).mean() + 1e-3
    naive = fit_response(counts, seds, area=AREA, robust=False)
    assert np.abs(error_of(naive)).mean() > 2.0 * np.abs(error_of(response)).mean()


def test_single_outlying_pixels_lose_their_weight():
    counts, seds = field(np.random.default_rng(1), 8)
    before = fit_response(counts, seds, area=AREA)
    spoiled = counts[2].flux.value.copy()
    spoiled[[50, 90, 130]] *= 30.0
    counts[2] = as_counts(spoiled, counts[2].uncertainty.array, counts[2].spectral_axis.value)
    after = fit_response(counts, seds, area=AREA)
    assert after.stars["used"].all()
    change = np.abs(np.log(after.throughput / before.throughput)) / before.covariance.sigma
    assert change[before.good].max() < 0.5


def test_field_terms_are_recovered(rng):
    """Tilts, offsets between detectors and a decline with time are recovered."""
    size = 90
    stars = {"x": rng.uniform(0, 9216.0, size), "y": rng.uniform(0, 9232.0, size),
             "detector": rng.choice(["a", "b", "c"], size), "epoch": rng.uniform(0.0, 1.0, size)}
    offset = {"a": 0.05, "b": -0.02, "c": -0.03}

    def change(wavelength, star):
        x = 2.0 * stars["x"][star] / 9216.0 - 1.0
        time = 2.0 * stars["epoch"][star] - 1.0
        slope = (wavelength - 5100.0) / 1000.0
        return 0.04 * x * (1.0 + 0.5 * slope) + offset[stars["detector"][star]] - 0.03 * time

    counts, seds = field(rng, size, change=change)
    terms = FieldTerms(position=1, detectors=("a", "b", "c"), epoch=True)
    response = fit_response(counts, seds, area=AREA, stars=stars, field=terms)
    assert np.abs(error_of(response)).max() < 0.03
    wavelength = np.array([4600.0, 5600.0])
    pulls = []
    for place in ({"x": 0.0, "y": 4600.0, "detector": "a", "epoch": 0.0},
                  {"x": 9216.0, "y": 9232.0, "detector": "c", "epoch": 1.0},
                  {"x": 4608.0, "y": 4616.0, "detector": "b", "epoch": 0.5}):
        value, covariance, good = response.evaluate(wavelength, systematics=False, **place)
        here = dict(stars) | {key: [given] for key, given in place.items()}
        x, time = 2.0 * here["x"][0] / 9216.0 - 1.0, 2.0 * here["epoch"][0] - 1.0
        truth = np.log(throughput(wavelength)) + 0.04 * x * (
            1.0 + 0.5 * (wavelength - 5100.0) / 1000.0) + offset[place["detector"]] - 0.03 * time
        pulls.append((value - truth) / covariance.sigma)
        assert good.all()
        assert (covariance.sigma < 0.03).all()
    assert np.abs(pulls).max() < 4.0
    plain = fit_response(counts, seds, area=AREA, robust=False)
    assert plain.chi2 > response.chi2 + 50.0
    with pytest.raises(InputError, match="detector 'z' is unknown"):
        response.evaluate(wavelength, x=1.0, y=1.0, detector="z", epoch=0.0)


def test_field_terms_without_signal_are_zero(rng):
    size = 40
    stars = {"x": rng.uniform(0, 9216.0, size), "y": rng.uniform(0, 9232.0, size)}
    counts, seds = field(rng, size)
    response = fit_response(counts, seds, area=AREA, stars=stars, field=FieldTerms(position=2))
    corner, centre = (response.evaluate([5000.0], systematics=False, x=x, y=4616.0)
                      for x in (0.0, 4608.0))
    assert abs(corner[0][0] - centre[0][0]) < 4.0 * corner[1].sigma[0]


def test_second_order_is_subtracted():
    pixels = np.arange(7000.0, 9000.0, 10.0)
    order = SecondOrder(np.linspace(3400.0, 4700.0, 20),
                        0.1 * np.hanning(20))
    model = count_model(pixels, GRID, area=AREA.value, second_order=order)
    rate = model.counts(np.full(model.fine.size, 0.3), FLUX)
    counts = [as_counts(rate, 1e-5 * rate, pixels)]
    response = fit_response(counts, [make_sed()], area=AREA, second_order=order)
    assert_allclose(response.throughput[4:-4], 0.3, rtol=1e-3)
    without = fit_response(counts, [make_sed()], area=AREA)
    assert without.throughput.max() > 0.32


def test_ignoring_correlations_makes_errors_too_small():
    counts, seds = field(np.random.default_rng(8), 10)
    full = fit_response(counts, seds, area=AREA, robust=False)
    diagonal = fit_response(counts, seds, area=AREA, covariance="diagonal", robust=False)
    assert np.median(diagonal.covariance.sigma) < 0.6 * np.median(full.covariance.sigma)


@pytest.mark.parametrize("rank", [3, 0])
def test_normal_equations_equal_dense_algebra(rng, rank):
    """The Woodbury identity in batches agrees with inverted matrices."""
    stars, nodes, knots = 7, 12, 5
    base, smooth = rng.standard_normal((nodes, knots)), rng.standard_normal((nodes, 2))
    terms = rng.standard_normal((stars, 2))
    design = Design(base, smooth, terms)
    factor = rng.standard_normal((stars, rank, nodes))
    weight, diagonal = rng.uniform(0.5, 2.0, (2, stars, nodes))
    weight[2, 4] = 0.0
    residual = rng.standard_normal((stars, nodes))
    inflation = np.array([1.0, 2.0, 1.0, np.inf, 1.0, 1.0, 3.0])
    normal, right = normal_equations(design, factor, weight, diagonal, residual, inflation)
    expected, other = 0.0, 0.0
    for star in np.flatnonzero(np.isfinite(inflation)):
        seen = weight[star] > 0
        phi = np.hstack([base, terms[star, 0] * smooth, terms[star, 1] * smooth])[seen]
        covariance = np.diag(1.0 / weight[star][seen] + diagonal[star][seen]) + inflation[star] * (
            factor[star][:, seen].T @ factor[star][:, seen])
        expected = expected + phi.T @ np.linalg.solve(covariance, phi)
        other = other + phi.T @ np.linalg.solve(covariance, residual[star][seen])
    assert_allclose(normal, expected, rtol=1e-9, atol=1e-9)
    assert_allclose(right, other, rtol=1e-9, atol=1e-9)


def test_fits_of_many_stars_start_from_a_fit_of_some(rng, monkeypatch):
    from sedflux.response import iterate as module

    monkeypatch.setattr(module, "_FIRST_FIT_STARS", 5)
    counts, seds = field(rng, 16)
    quick = fit_response(counts, seds, area=AREA)
    monkeypatch.setattr(module, "_FIRST_FIT_STARS", 50)
    whole = fit_response(counts, seds, area=AREA)
    change = np.log(quick.throughput / whole.throughput) / whole.covariance.sigma
    assert np.abs(change[whole.good]).max() < 0.3


def test_the_number_of_stars_at_a_time_changes_nothing(rng, monkeypatch):
    from sedflux.response import sed_errors, solve, star_arrays

    counts, seds = field(rng, 11, resolving_power=300.0)
    options = {"area": AREA, "resolving_power": 300.0, "wavelength_error": 2.0,
               "grey_error": 0.01, "field": FieldTerms(position=1, size=(1.0, 1.0)),
               "stars": {"x": rng.uniform(0, 1, 11), "y": rng.uniform(0, 1, 11)}}
    together = fit_response(counts, seds, **options)
    for module in (sed_errors, solve, star_arrays):
        monkeypatch.setattr(module, "STARS_AT_A_TIME", 4)
    monkeypatch.setattr(sed_errors, "_SEDS_AT_A_TIME", 3)
    apart = fit_response(counts, seds, **options)
    assert_allclose(apart.throughput, together.throughput, rtol=1e-8)
    assert_allclose(apart.sigma, together.sigma, rtol=1e-8)
    assert_allclose(apart.problem.factor, together.problem.factor, atol=1e-7)


def test_calibrating_another_object(rng):
    counts, seds = field(rng, 12)
    response = fit_response(counts, seds, area=AREA)
    other = 3e-15 * (GRID / 5500.0) ** 2
    rate = counts_of(other)
    result = response.calibrate(as_counts(rate, 0.05 * rate))
    good = ~result.mask
    expected = np.interp(PIXELS, GRID, other)
    assert result.flux.unit == FLAM
    assert_allclose(result.flux.value[good], expected[good], rtol=0.08)
    covariance = covariance_of(result)
    assert_allclose(result.uncertainty.array**2, covariance.variance)
    assert (result.uncertainty.array / expected)[good].min() > 0.05
    # Errors of the response are common to neighbouring pixels.
    both = covariance.factor[:, 100] @ covariance.factor[:, 101]
    assert both > 0.9 * (covariance.factor[:, 100] ** 2).sum()
    without = response.calibrate(as_counts(rate, 0.05 * rate), systematics=False)
    assert (without.uncertainty.array[good] < result.uncertainty.array[good]).all()


def test_pixels_beyond_the_response_are_masked(rng):
    counts, seds = field(rng, 6)
    response = fit_response(counts, seds, area=AREA)
    pixels = np.arange(5000.0, 7000.0, 10.0)
    result = response.calibrate(as_counts(np.ones(pixels.size), 0.1, pixels))
    assert result.mask[pixels > response.wavelength_range[1] + 1.0].all()
    assert not result.mask[pixels < 6000.0].any()
    with pytest.raises(InputError, match="cut the counts"):
        response.calibrate(as_counts(np.ones(50), 0.1, np.linspace(7000, 8000, 50)))


def test_to_synphot(rng):
    counts, seds = field(rng, 4)
    response = fit_response(counts, seds, area=AREA)
    element, inside = response.to_synphot(), response.good
    assert_allclose(element(response.wavelength[inside] * u.AA).value, response.throughput[inside])
    assert_allclose(response.sigma, response.throughput * response.covariance.sigma)


def test_masked_and_nan_pixels_are_left_out():
    rate = counts_of(FLUX)
    spoiled = rate.copy()
    spoiled[50], spoiled[60], spoiled[70] = np.nan, 1e9, -1.0
    counts = Spectrum(spectral_axis=PIXELS * u.AA, flux=spoiled * u.electron / u.s,
                      mask=np.arange(rate.size) == 60, uncertainty=StdDevUncertainty(1e-3 * rate))
    response = fit_response([counts], [make_sed()], area=AREA)
    assert np.abs(error_of(response))[5:-5].max() < 5e-3
    saturated = np.minimum(rate, np.quantile(rate, 0.8))
    response = fit_response([as_counts(saturated, 1e-3 * rate)], [make_sed()], area=AREA,
                            saturation=np.quantile(rate, 0.8) * u.electron / u.s)
    assert int(response.stars["pixels"][0]) == pytest.approx(0.8 * PIXELS.size, abs=2)


def test_stars_that_cannot_be_used_are_listed_and_the_rest_is_fitted(rng):
    counts, seds = field(rng, 9)
    relative = Spectrum(spectral_axis=GRID * u.AA, flux=FLUX * 1e14 * u.dimensionless_unscaled)
    seds[0] = relative
    counts[1] = as_counts(np.ones(50), 0.1, np.linspace(2000.0, 2400.0, 50))
    counts[2] = as_counts(np.full(PIXELS.size, 1.0), np.nan)
    counts[3] = as_counts(np.full(PIXELS.size, -1.0), 0.01)
    counts[4] = as_counts(0.01 * rng.standard_normal(PIXELS.size), 1.0)
    response = fit_response(counts, seds, area=AREA)
    reasons = {row["name"]: row["reason"] for row in response.stars if not row["used"]}
    assert set(reasons) == {"0", "1", "2", "3", "4"}
    for name, words in {"0": "sedflux.anchor", "1": "no overlap", "2": "good pixels",
                        "3": "good pixels", "4": "no signal"}.items():
        assert words in reasons[name]
    assert len(response.stars) == 9


def test_two_stars_are_enough(rng):
    counts, seds = field(rng, 2)
    response = fit_response(counts, seds, area=AREA)
    assert response.effective_stars.max() <= 2.0 + 1e-9
    assert response.good.any()


def test_too_few_stars_and_photons_mask(rng):
    """The response is not good where only one of eight stars has pixels."""
    counts, seds = field(rng, 8)
    short = PIXELS < 5600.0
    counts[1:] = [as_counts(one.flux.value[short], one.uncertainty.array[short],
                            one.spectral_axis.value[short]) for one in counts[1:]]
    response = fit_response(counts, seds, area=AREA)
    assert response.good[response.wavelength < 5500.0].mean() > 0.9
    assert not response.good[response.wavelength > 5650.0].any()
    assert np.isfinite(response.throughput).all()


def test_bad_input(rng):
    good, sed = as_counts(counts_of(FLUX)), make_sed()
    relative = Spectrum(spectral_axis=GRID * u.AA, flux=np.ones(575) * u.dimensionless_unscaled)
    cases = [
        (([good], [sed, sed]), {}, "1 and 2 entries"),
        (([good], [relative]), {}, "none of the 1 stars can be used: 0: its SED is relative"),
        (([good], [sed]), {"area": 3.0}, "area is 3.0; a Quantity"),
        (([Spectrum(spectral_axis=PIXELS * u.AA, flux=good.flux.value * u.Jy)], [sed]), {},
         "electron / s"),
        (([as_counts(np.ones(10), pixels=np.linspace(2000, 2400, 10))], [sed]), {}, "no overlap"),
        (([as_counts(np.full(PIXELS.size, np.nan), 1.0)], [sed]), {}, "good pixels"),
        ((["x"], [sed]), {}, "specutils.Spectrum"),
        (([good], [sed]), {"covariance": "none"}, "'full' and 'diagonal'"),
        (([good], [sed]), {"grey_error": -1.0}, "grey_error is -1"),
        (([good], [sed]), {"saturation": 3.0 * u.m}, "saturation is"),
        (([good], [1.0]), {}, r"seds\[0\]: sed must be"),
        (([good], [sed]), {"knot_spacing": 3.0 * u.s}, "knot_spacing"),
        (([good], [sed]), {"truth_scale": np.nan}, "truth_scale"),
        (([good, good], [sed, sed]), {"names": ["a", "a"]}, "name of its own"),
        (([good], [sed]), {"field": 3}, "FieldTerms"),
        (([good], [sed]), {"field": FieldTerms(position=1), "stars": {"x": [1.0]}}, "'y'"),
    ]
    for arguments, change, message in cases:
        with pytest.raises(InputError, match=message):
            fit_response(*arguments, **({"area": AREA} | change))


def test_all_stars_rejected_is_an_error(rng):
    """Counts of six different collecting areas: no star agrees with another."""
    counts, seds = field(rng, 6, directions=((0.001,), ("level",)), noise=0.005)
    counts = [as_counts(one.flux.value * factor, one.uncertainty.array, one.spectral_axis.value)
              for one, factor in zip(counts, (0.1, 0.3, 1.0, 3.0, 10.0, 30.0), strict=True)]
    with pytest.raises(InputError, match="stars were rejected"):
        fit_response(counts, seds, area=AREA)


def test_errors_that_are_too_small_give_a_warning(rng):
    """Noise three times as large as the uncertainties of the counts."""
    counts, seds = field(rng, 8)
    counts = [as_counts(one.flux.value, one.uncertainty.array / 3.0, one.spectral_axis.value)
              for one in counts]
    with (pytest.warns(SedfluxWarning, match="times the noise"),
          pytest.warns(SedfluxWarning, match="test of chi2")):
        fit_response(counts, seds, area=AREA)


def test_ordinary_warnings_stay_silent(rng, recwarn):
    counts, seds = field(rng, 3)
    fit_response(counts, seds, area=AREA, resolving_power=300.0, wavelength_error=1.0 * u.AA,
                 grey_error=0.01)
    assert not [one for one in recwarn if issubclass(one.category, RuntimeWarning)]


def test_the_field_is_evaluated_as_it_was_fitted():
    """A slope in wavelength that grows over the field, without noise, through a line spread."""
    rng = np.random.default_rng(4)
    x = rng.uniform(0.0, 9216.0, 20)

    def slope(wavelength, place):
        return 0.05 * (2.0 * place / 9216.0 - 1.0) * (wavelength - 5100.0) / 1000.0

    counts = []
    for place in x:
        rate = counts_of(FLUX, 250.0, change=lambda w, place=place: slope(w, place))
        counts.append(as_counts(rate, 1e-4 * rate))
    response = fit_response(counts, [make_sed(directions=((1e-4,), ("level",)))] * 20, area=AREA,
                            resolving_power=250.0, stars={"x": x, "y": np.full(20, 4616.0)},
                            field=FieldTerms(position=1), robust=False)
    wavelength = np.linspace(4300.0, 5900.0, 9)
    for place in (0.0, 3000.0, 9216.0):
        value, *_ = response.evaluate(wavelength, x=place, y=4616.0)
        assert_allclose(value, np.log(throughput(wavelength)) + slope(wavelength, place), atol=2e-3)


def test_without_line_spread_seds_stay_as_they_are():
    rate = counts_of(FLUX)
    counts = [as_counts(rate, 1e-5 * rate)]
    with_it, without = (fit_response(counts, [make_sed(**meta)], area=AREA)
                        for meta in ({"resolving_power": 200.0}, {}))
    assert_allclose(with_it.throughput, without.throughput)


def test_more_electrons_than_photons_give_a_warning(rng):
    counts, seds = field(rng, 4)
    with pytest.warns(SedfluxWarning, match="more electrons than photons"):
        fit_response(counts, seds, area=0.1 * AREA)


def test_rejections_have_a_kind(rng):
    counts, seds = field(rng, 12)
    counts[3] = counts[3] * 1.5
    response = fit_response(counts, seds, area=AREA, names=[f"s{i}" for i in range(12)],
                            exclude={"s5": "a double star"})
    kinds = {str(row["name"]): str(row["kind"]) for row in response.stars}
    assert kinds["s3"] == "inconsistent"
    assert kinds["s5"] == "excluded"
    assert kinds["s0"] == ""
    assert list(response.stars["used"]) == [kind == "" for kind in response.stars["kind"]]


def test_the_basis_gives_the_curve_and_its_errors(rng):
    counts, seds = field(rng, 12)
    response = fit_response(counts, seds, area=AREA)
    basis = response.basis(response.wavelength)
    assert_allclose(np.exp(basis @ response.coefficients), response.throughput, rtol=1e-10)
    assert_allclose(np.sqrt(((basis @ response.root) ** 2).sum(axis=1)),
                    response.covariance.sigma, rtol=1e-8)
