"""Steps of a fit, and deviations of pixels: numbers of any size."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux import fit_response
from sedflux.exceptions import SedfluxWarning
from sedflux.response import iterate
from sedflux.slitless.forward import count_model
from sedflux.slitless.line_spread import LineSpread
from tests.response.test_fit import AREA, FLUX, GRID, as_counts, field, make_sed


@pytest.mark.parametrize("height", [1e25, 1e42])
def test_a_pixel_of_any_height_is_left_out_like_another(height):
    """Squares of such deviations, and they themselves, are beyond single precision."""
    counts, seds = field(np.random.default_rng(1), 8)
    found = []
    for value in (1e12, height):
        rate = counts[2].flux.value.copy()
        rate[90] = value
        some = [*counts[:2], as_counts(rate, counts[2].uncertainty.array,
                                       counts[2].spectral_axis.value), *counts[3:]]
        found.append(fit_response(some, seds, area=AREA))
    assert found[1].stars["used"].all()
    assert_allclose(found[1].stars["chi2"], found[0].stars["chi2"], rtol=1e-4)
    assert_allclose(found[1].throughput, found[0].throughput, rtol=1e-6)


def test_light_where_an_sed_has_none_is_contamination():
    """Expected counts of zero to rounding, of any sign: they divide nothing."""
    counts, seds = field(np.random.default_rng(1), 9, resolving_power=300.0)
    dark = np.where(np.abs(GRID - 5300.0) < 300.0, 1e-30, FLUX)
    seds[3] = make_sed(dark, directions=((0.03, 0.1), ("level", "slope")))
    response = fit_response(counts, seds, area=AREA, resolving_power=300.0)
    assert list(np.flatnonzero(response.stars["kind"] == "contaminated")) == [3]


@pytest.mark.parametrize("factor", [1e-25, 1e40])
def test_fluxes_of_any_size(rng, factor):
    counts, seds = field(rng, 6)
    found = fit_response(counts, [make_sed(factor * FLUX) for _ in seds], area=AREA / factor)
    expected = fit_response(counts, [make_sed() for _ in seds], area=AREA)
    assert_allclose(found.throughput, expected.throughput, rtol=1e-5)


def test_no_step_is_longer_than_it_may_be(monkeypatch):
    """
    Neither one from the equations nor one that is extrapolated: in the dark all are long.

    So are the last ones, of which a warning tells.
    """
    rng, counts = np.random.default_rng(5), []
    for _ in range(24):
        pixels = np.arange(3700.0, 6500.0, 20.0) + rng.uniform(-10.0, 10.0)
        model = count_model(pixels, GRID, area=AREA.value,
                            line_spread=LineSpread.from_resolving_power(100.0))
        band = 0.25 / (1.0 + np.exp((np.abs(model.fine - 5100.0) - 800.0) / 20.0))
        rate = model.counts(band, FLUX)
        sigma = 0.02 * np.sqrt(rate * rate.mean()) + 1e-3 * rate.mean()
        counts.append(as_counts(rate + sigma * rng.standard_normal(rate.size), sigma, pixels))
    points, solve = [], iterate.solve

    def watched(normal, right, present, *others):
        points.append(present)
        return solve(normal, right, present, *others)

    monkeypatch.setattr(iterate, "_FIRST_FIT_STARS", 8)
    monkeypatch.setattr(iterate, "solve", watched)
    with pytest.warns(SedfluxWarning, match="has not converged") as warned:
        fit_response(counts, [make_sed()] * len(counts), area=AREA, resolving_power=100.0,
                     smoothness=0.5, knot_spacing=40.0)
    assert {one.filename for one in warned} == {__file__}
    steps = np.abs(np.diff(points[-10:], axis=0)).max(axis=1)
    assert (steps <= 1.0 + 1e-9).all()
    assert (steps > 0.99).any()


def test_warnings_point_at_the_caller(rng, recwarn):
    """Noise three times as large as the uncertainties of the counts: two warnings."""
    counts, seds = field(rng, 8)
    counts = [as_counts(one.flux.value, one.uncertainty.array / 3.0, one.spectral_axis.value)
              for one in counts]
    fit_response(counts, seds, area=AREA)
    assert len(recwarn) == 2
    assert {one.filename for one in recwarn} == {__file__}
