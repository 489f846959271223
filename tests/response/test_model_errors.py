"""Errors that white dwarfs share through their models, which more stars do not reduce."""

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose
from scipy.linalg import block_diag
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import (
    condition,
    error_budget,
    fit_response,
    get_instrument,
    simulate_field,
    synthetic_photometry,
)
from sedflux.predict.loading import loaded_predictor
from sedflux.simulate.white_dwarfs import WhiteDwarfs
from sedflux.spectra.grids import input_grid
from sedflux.spectra.relative_errors import MODEL_PARTS, RelativeErrors
from sedflux.spectra.sed import from_sed

BAND = get_instrument("lookalike").bands["GU"]
OPTIONS = {"band": BAND, "robust": False, "smoothness": 0.05}
GREEN = {"g": SpectralElement(Box1D, x_0=4750, width=1200)}


@pytest.fixture(scope="module")
def field():
    """Two ordinary stars, and three white dwarfs."""
    return simulate_field({"GU": BAND}, size=2, seed=1, outliers=0.0,
                          white_dwarfs=WhiteDwarfs(number=3, magnitudes=(13.0, 14.0)))


@pytest.fixture(scope="module")
def response(field):
    return fit_response(field.counts["GU"], field.seds, **OPTIONS)


def independent(sed):
    """The SED with all of its errors as those of the star alone."""
    notes = sed.meta["sedflux"]
    errors = notes["errors"]
    parts = {name: part for name, part in errors.parts.items() if name not in MODEL_PARTS}
    meta = sed.meta | {"sedflux": notes | {
        "errors": RelativeErrors(errors.wavelength, errors.covariance, parts)}}
    return type(sed)(flux=sed.flux, spectral_axis=sed.spectral_axis, uncertainty=sed.uncertainty,
                     meta=meta)


def test_they_are_rows_of_the_systematics_as_dense_algebra_has_them(response):
    problem = response.problem
    stars = len(problem.name)
    covariance = block_diag(*(
        np.diag(1.0 / np.maximum(weight, 1e-12) + diagonal) + factor.T.astype(float) @ factor
        for factor, weight, diagonal in zip(problem.factor, problem.weight, problem.diagonal,
                                            strict=True)))
    design = np.tile(problem.design.spline, (stars, 1))
    weighted = np.linalg.solve(covariance, design)
    spline = response.basis(response.wavelength)[:, : problem.design.size]
    for name in MODEL_PARTS:
        part = problem.parts[name]
        assert not part[:2].any()
        assert part[2:].any()
        expected = spline @ np.linalg.solve(problem.inverse, weighted.T @ part.ravel())
        row, = response.systematics[name].factor
        assert_allclose(row, expected, atol=1e-3 * np.abs(expected).max())


def test_they_are_no_errors_of_the_stars(field, response):
    """What the fit takes from a covariance is the part, and nothing else."""
    seds = [independent(sed) for sed in field.seds]
    other = fit_response(field.counts["GU"], seds, **OPTIONS)
    assert not set(MODEL_PARTS) & set(other.systematics)
    for row in range(2, 5):
        with_part, without = (
            np.diag(one.problem.diagonal[row]) + factor.T @ factor for one, factor in
            ((one, one.problem.factor[row].astype(float)) for one in (other, response)))
        shared = sum(np.outer(part, part) for part in (response.problem.parts[name][row]
                                                       for name in MODEL_PARTS))
        # Small rows of a factor are put into the diagonal.
        assert_allclose(with_part - without, shared, atol=0.03 * shared.max())


def test_more_white_dwarfs_do_not_reduce_them(field):
    alone = fit_response(field.counts["GU"][2], field.seds[2], **OPTIONS)
    many = fit_response([field.counts["GU"][2]] * 20, [field.seds[2]] * 20, **OPTIONS)
    inside = alone.good & (alone.wavelength > 2800.0)
    assert (many.covariance.sigma[inside] < 0.5 * alone.covariance.sigma[inside]).all()
    size = alone.systematics["models"].sigma[inside].max()
    assert_allclose(many.systematics["models"].sigma[inside],
                    alone.systematics["models"].sigma[inside], rtol=0.1, atol=0.1 * size)
    assert "models" in error_budget(many).colnames


def conditioned(sed, error, **options):
    """The SED with its own magnitude as that of a photometer."""
    return condition(sed, {"g": (synthetic_photometry(sed, GREEN).value[0].value, error)}, GREEN,
                     **options)


def test_conditioned_seds_keep_them(field, response):
    """A magnitude that says nearly nothing changes nearly nothing, and no error is missing."""
    seds = [conditioned(sed, 0.5, reddening=0.0) for sed in field.seds]
    found = fit_response(field.counts["GU"], seds, **OPTIONS)
    assert list(found.systematics) == list(response.systematics)
    for name, row in response.systematics.items():
        size = row.sigma.max()
        assert size > 0, name
        assert_allclose(found.systematics[name].sigma, row.sigma, atol=0.02 * size, err_msg=name)


@pytest.mark.parametrize(("error", "row", "size"), [
    (0.03, "zero point g", 0.03), (None, "magnitude zero point", 0.01)])
def test_zero_points_of_photometry_are_shared_by_all_stars(field, error, row, size):
    """They are those that `condition` was told, or the default of the fit, and never both."""
    sed = predicted().to_spectrum()
    # So bright that no throughput exceeds one.
    sed = condition(sed, {"g": (11.0, 0.02)}, GREEN, reddening=(0.02, 0.01),
                    zero_point_error=error)
    one, many = (fit_response([field.counts["GU"][2]] * number, [sed] * number, **OPTIONS)
                 for number in (2, 30))
    for found in (one, many):
        rows = [name for name in found.systematics if "zero point" in name]
        assert sorted(rows) == sorted([row, "reddening zero point"])
        assert_allclose(found.systematics[row].sigma, size * np.log(10.0) / 2.5, rtol=2e-3)
    assert (many.covariance.sigma < one.covariance.sigma).all()


def test_white_dwarfs_have_no_library_error_of_stars(field, response):
    alone = fit_response(field.counts["GU"][2:], field.seds[2:], **OPTIONS)
    assert not alone.systematics["library"].sigma.any()
    assert response.systematics["library"].sigma.any()
    assert response.total_covariance.sigma.max() >= response.systematics["models"].sigma.max()


def predicted():
    """A white dwarf at S/N 50."""
    model = loaded_predictor("uara.da1")
    flux, power = model.arrays.reference_spectra(np.array([0]))
    return model.predict(input_grid(), flux[0], np.full(flux.shape[1], 2500.0),
                         resolving_power=float(power[0]))


def test_other_wavelengths_keep_the_parts():
    """An SED that is averaged over pixels still says what its errors are."""
    found = predicted()
    sed = found.to_spectrum(wavelengths=np.arange(3000.0, 6000.0, 40.0) * u.AA)
    parts = from_sed(sed).parts
    for name in MODEL_PARTS:
        own = found.parts[name]
        expected = np.interp(sed.spectral_axis.value, found.wavelength, own)
        assert_allclose(parts[name], expected, atol=0.05 * np.abs(own).max())
