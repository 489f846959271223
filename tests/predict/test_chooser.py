"""The choice between the models of stars and of white dwarfs, and predictions of both together."""

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose, assert_array_equal
from specutils import Spectrum

from sedflux import InputError, Predictor, covariance_of, predict_sed
from sedflux.demo import demo_spectrum
from sedflux.io.sed import read_sed, write_sed
from sedflux.predict.chooser import Chooser
from sedflux.predict.flags import flag
from sedflux.predict.loading import loaded_predictor
from sedflux.predict.models import DEFAULT_MODEL, WHITE_DWARF_MODEL
from sedflux.predict.screen import Screen
from sedflux.spectra.arrays import check_spectra
from sedflux.spectra.grids import input_grid

SNR = 40.0


@pytest.fixture(scope="module")
def chooser():
    return loaded_predictor("auto")


def references(predictor, number, rng, *, inside=lambda found: np.ones(len(found), bool)):
    """Reference spectra of one resolving power whose predictions are inside some limits."""
    power = predictor.arrays.reference_powers()
    rows = np.flatnonzero((power > 1200.0) & (power < 2200.0))
    flux, _ = predictor.arrays.reference_spectra(rows)
    found = predictor.predict(input_grid(), flux, (200.0 / flux) ** 2, resolving_power=1600.0)
    good = np.flatnonzero(inside(found) & (found.flag_bits == 0))
    return flux[rng.permutation(good)[:number]]


@pytest.fixture(scope="module")
def both(chooser):
    """Spectra of twelve stars and, after them, of six white dwarfs."""
    rng = np.random.default_rng(4)
    star, dwarf = chooser.predictors
    flux = np.concatenate([
        references(star, 12, rng, inside=lambda found: found.diagnostics["teff"] < 7000.0),
        references(dwarf, 6, rng, inside=lambda found: found.diagnostics["teff"] > 12000.0)])
    return flux * (1.0 + rng.standard_normal(flux.shape) / SNR), (SNR / flux) ** 2


@pytest.fixture(scope="module")
def mixed(chooser, both):
    return chooser.predict(input_grid(), *both, resolving_power=1600.0)


def test_each_kind_is_predicted_by_its_model(mixed):
    assert_array_equal(mixed.model, [DEFAULT_MODEL] * 12 + [WHITE_DWARF_MODEL] * 6)
    assert (mixed.diagnostics["log_odds"] > 3.0).all()
    assert (mixed.flag_bits & flag("kind_uncertain").mask == 0).all()
    assert np.isnan(mixed.diagnostics["mh"][12:]).all()
    assert np.isfinite(mixed.diagnostics["mh"][:12]).all()


def test_stars_are_the_same_as_with_the_model_of_stars(chooser, both, mixed):
    stars = [part[:12] for part in both]
    forced = chooser.predictors[0].predict(input_grid(), *stars, resolving_power=1600.0)
    chosen = chooser.predict(input_grid(), *stars, resolving_power=1600.0)
    for name in ("flux", "diagonal", "factor", "flag_bits"):
        assert_array_equal(getattr(chosen, name), getattr(forced, name))
    assert chosen.model == DEFAULT_MODEL
    assert chosen.sha256 == forced.sha256
    assert chosen.flags == forced.flags
    # Beside white dwarfs, only the number of rows of the factor changes.
    assert_allclose(mixed.flux[:12], forced.flux, rtol=1e-6)
    assert_allclose(mixed.sigma[:12], forced.sigma, rtol=1e-5)


def test_white_dwarfs_are_the_same_as_with_their_model(chooser, both, mixed):
    forced = chooser.predictors[1].predict(input_grid(), both[0][12:], both[1][12:],
                                           resolving_power=1600.0)
    assert_allclose(mixed.flux[12:], forced.flux, rtol=1e-6)
    assert_allclose(mixed.sigma[12:], forced.sigma, rtol=1e-5)
    for name, part in forced.parts.items():
        assert_allclose(mixed.parts[name][12:], part, rtol=1e-6)
        assert (mixed.parts[name][:12] == 0).all()
    assert_array_equal(mixed.diagnostics["second_weight"][12:],
                       forced.diagnostics["second_weight"])


def test_one_star_of_a_mixed_batch(chooser, both, mixed):
    for row in (3, 14):
        alone = chooser.predict(input_grid(), both[0][row], both[1][row], resolving_power=1600.0)
        assert mixed[row].model == alone.model
        assert mixed[row].sha256 == alone.sha256
        assert_allclose(mixed[row].flux, alone.flux, rtol=1e-5)
    some = mixed.take([2, 13])
    assert_array_equal(some.model, [DEFAULT_MODEL, WHITE_DWARF_MODEL])
    assert "uara.da1, uara.stars2" in repr(some)


def test_spectra_of_a_mixed_batch_can_be_written(mixed, tmp_path):
    seds = mixed.take([1, 15]).to_spectrum()
    for row, model in ((0, DEFAULT_MODEL), (1, WHITE_DWARF_MODEL)):
        write_sed(seds[row], tmp_path / f"{row}.fits")
        again = read_sed(tmp_path / f"{row}.fits")
        assert again.meta["sedflux"]["model"] == model
        assert again.meta["sedflux"]["diagnostics"]["log_odds"] > 3.0
        assert_allclose(covariance_of(again).sigma, seds[row].uncertainty.array, rtol=1e-4)


def test_a_model_by_name_is_forced(both):
    flux, ivar = (part[15] for part in both)
    for model in (DEFAULT_MODEL, WHITE_DWARF_MODEL):
        found = loaded_predictor(model).predict(input_grid(), flux, ivar, resolving_power=1600.0)
        assert found.model == model
        assert "log_odds" not in found.diagnostics


def test_predict_sed_chooses(both):
    from astropy.nddata import InverseVariance

    spectrum = Spectrum(spectral_axis=input_grid() * u.AA, flux=both[0][15] * u.one,
                        uncertainty=InverseVariance(both[1][15]),
                        meta={"resolving_power": 1600.0})
    assert predict_sed(spectrum).meta["sedflux"]["model"] == WHITE_DWARF_MODEL
    forced = predict_sed(spectrum, model=DEFAULT_MODEL)
    assert forced.meta["sedflux"]["model"] == DEFAULT_MODEL
    assert predict_sed(demo_spectrum()).meta["sedflux"]["model"] == DEFAULT_MODEL


def test_noise_leaves_the_kind_uncertain(chooser, both):
    rng = np.random.default_rng(2)
    flux = np.repeat(both[0][12:14], 20, axis=0)
    sigma = flux / 3.0
    found = chooser.predict(input_grid(), flux + sigma * rng.standard_normal(flux.shape),
                            sigma**-2.0, resolving_power=1600.0)
    uncertain = (found.flag_bits & flag("kind_uncertain").mask) > 0
    assert uncertain.any()
    assert_array_equal(uncertain, (np.abs(found.diagnostics["log_odds"]) < 2.0) & uncertain)


def test_lines_of_a_subdwarf_are_of_neither_kind(chooser, both):
    # Balmer lines of a white dwarf, made narrower: of a gravity between both kinds.
    dwarf = chooser.predictors[1]
    rng = np.random.default_rng(8)
    # Those of high gravity would become a white dwarf of a lower one.
    flux = references(dwarf, 4, rng, inside=lambda found: (found.diagnostics["teff"] > 30000.0)
                      & (found.diagnostics["logg"] < 8.3))
    grid = input_grid()
    narrow = np.ones_like(flux)
    for line in (4102.9, 4341.7, 4862.7, 6564.6):
        inside = np.abs(grid - line) < 60.0
        for row, values in enumerate(flux):
            far = line + 1.6 * (grid[inside] - line)
            narrow[row, inside] = np.interp(far, grid, values)
    # Beside a white dwarf none of them is refused.
    spectra = np.vstack([narrow, flux[:1]])
    found = chooser.predict(grid, spectra, (150.0 / spectra) ** 2, resolving_power=1600.0)
    assert (found.flag_bits[:4] != 0).all()


def test_evidence_is_that_of_a_gaussian_process(chooser, both):
    """Differences of log evidences, against dense algebra on fewer pixels."""
    from scipy.stats import Covariance, multivariate_normal

    star, dwarf = chooser.predictors
    # The normalised spectrum comes from the screen, which sees it.
    seen = {}

    def keep(normalised, weight, evidence):
        seen["normalised"], seen["ivar"] = normalised.copy(), weight.copy()
        return np.zeros(len(normalised))

    full = check_spectra(input_grid(), *(part[13:14] for part in both))
    _, first = star.evaluate(full, 1600.0, 0.0, screen=keep)
    _, second = dwarf.evaluate(full, 1600.0, 0.0)
    good = np.flatnonzero(seen["ivar"][0] > 0)
    dense = []
    for predictor in (star, dwarf):
        projection = predictor.network.projection
        templates = (projection.templates * projection.spread[:, None]).numpy().astype(float)
        covariance = np.diag(1.0 / seen["ivar"][0, good] + 0.003**2) \
            + templates[:, good].T @ templates[:, good]
        dense.append(multivariate_normal.logpdf(
            seen["normalised"][0, good], projection.mean.numpy()[good],
            Covariance.from_cholesky(np.linalg.cholesky(covariance))))
    assert float(second["evidence"][0] - first["evidence"][0]) == pytest.approx(
        dense[1] - dense[0], rel=1e-3)


def test_the_screen_has_the_evidence_of_its_templates(chooser, both, monkeypatch):
    dwarf = chooser.predictors[1]
    size = dwarf.arrays.config.components
    monkeypatch.setattr("sedflux.predict.screen.SCREEN_TEMPLATES", (size, size))
    found, fit = dwarf.evaluate(check_spectra(input_grid(), *both), 1600.0, 0.0,
                                screen=Screen(dwarf))
    assert len(found) == 18
    assert_allclose(fit["screen"], fit["evidence"], rtol=1e-4, atol=0.05)


def test_unusable_spectra_stay_with_the_stars(chooser, both):
    flux, ivar = (part[[0, 13]].copy() for part in both)
    ivar[1] = 0.0
    found = chooser.predict(input_grid(), flux, ivar, resolving_power=1600.0)
    assert found.model == DEFAULT_MODEL
    assert found.flag_bits[1] & flag("unusable").mask
    assert np.isfinite(found.diagnostics["log_odds"]).all()


def test_spectra_that_white_dwarfs_alone_can_use(chooser, both):
    with pytest.raises(InputError, match=r"star; if these are .*model='uara\.da1'"):
        chooser.predict(input_grid(), both[0][13], both[1][13], resolving_power=400.0)
    with pytest.raises(InputError, match="resolving_power is 200;"):
        chooser.predict(input_grid(), both[0][13], both[1][13], resolving_power=200.0)


@pytest.mark.parametrize("odds", [0.0, -1.0, np.inf, np.nan])
def test_prior_odds_are_positive(odds):
    star, dwarf = loaded_predictor(), loaded_predictor(WHITE_DWARF_MODEL)
    with pytest.raises(InputError, match="prior_odds"):
        Chooser(star, dwarf, prior_odds=odds)


def test_prior_odds_count(chooser, both):
    fair = Chooser(*chooser.predictors, prior_odds=1.0)
    flux, ivar = (part[12:] for part in both)
    low, high = (one.predict(input_grid(), flux * 1.0, ivar / 200.0, resolving_power=1600.0)
                 for one in (chooser, fair))
    sign = {DEFAULT_MODEL: -1.0, WHITE_DWARF_MODEL: 1.0}
    odds = [np.array([sign[name] for name in np.broadcast_to(part.model, 6)])
            * part.diagnostics["log_odds"] for part in (low, high)]
    assert_allclose(odds[1] - odds[0], 4.0, atol=1e-6)


def test_the_header_of_the_white_dwarfs_calibrates_the_odds(chooser, both):
    """Odds are straight lines of the ratio of evidences, with the slope of the header."""
    star, dwarf = chooser.predictors
    flux, ivar = both[0][12:], both[1][12:] / 300.0
    found = {}
    for slope, offset in ((1.0, 0.0), (0.5, 0.0), (0.5, 2.0), (None, None)):
        odds = None if slope is None else {"slope": slope, "offset": offset}
        part = Chooser(star, dwarf, prior_odds=1.0, odds=odds).predict(
            input_grid(), flux, ivar, resolving_power=1600.0)
        sign = np.where(np.broadcast_to(part.model, 6) == WHITE_DWARF_MODEL, 1.0, -1.0)
        found[slope, offset] = sign * part.diagnostics["log_odds"] * np.log(10.0)
    ratio = found[1.0, 0.0]
    assert_allclose(found[0.5, 0.0], 0.5 * ratio, rtol=1e-6)
    assert_allclose(found[0.5, 2.0], 0.5 * ratio + 2.0, rtol=1e-6)
    own = dwarf.metadata["odds"]
    assert 0.0 < own["slope"] <= 1.0
    assert_allclose(found[None, None], own["slope"] * ratio + own["offset"], rtol=1e-6)


def test_a_chooser_is_a_predictor(chooser):
    assert isinstance(chooser, Predictor)
    assert loaded_predictor("auto") is chooser
    assert loaded_predictor(chooser) is chooser
    assert chooser.name == "auto"
    assert len(chooser.sha256) == 64
