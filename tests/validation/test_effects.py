"""Effects of surveys on predictions."""

import numpy as np
import pytest
from astropy.table import Table

from sedflux.cli.main import main
from sedflux.validation.effects import EFFECTS, effects_table, mixture


@pytest.fixture
def flat():
    wavelength = np.arange(3900.0, 7100.0, 0.9)
    return wavelength, np.ones(wavelength.size)


@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_changes_the_spectrum_and_leaves_it_positive(name, flat, rng):
    spoilt = EFFECTS[name](*flat, 2000.0, rng)
    assert np.abs(spoilt - flat[1]).max() > 0.02
    assert (spoilt > 0).all()
    assert (flat[1] == 1.0).all()


def test_the_effects_are_as_strong_as_their_names_say(flat, rng):
    wavelength, flux = flat
    dip, step, waves, lost, sky = (
        EFFECTS[name](wavelength, flux, 2000.0, rng)
        for name in ("dip of 25 %, 5860-6080 A", "step of 10 % at 5900 A", "waves of 3 %, 200 A",
                     "sky over-subtracted by 5 %", "sky lines of half the flux"))
    assert dip.min() == pytest.approx(0.75, abs=1e-3)
    assert ((wavelength[dip < 0.9] > 5850) & (wavelength[dip < 0.9] < 6090)).all()
    assert step[wavelength > 6000].mean() == pytest.approx(1.1, abs=1e-3)
    assert waves.max() == pytest.approx(1.03, abs=1e-3)
    np.testing.assert_allclose(lost, 0.95)
    assert sky.max() == pytest.approx(1.5, abs=0.1)


def test_a_mixture_is_weak(flat, rng):
    spoilt = np.stack([mixture(*flat, 2000.0, rng) for _ in range(40)])
    assert 0.01 < np.std(spoilt) < 0.05


def test_table_of_effects(toy_models, star_files, tmp_path):
    assert main(["validate", "--effects", str(star_files["miles"]), "--folds",
                 *[str(toy_models[1])] * 4, "--snr", "40", "--output", str(tmp_path)]) == 0
    table = Table.read(tmp_path / "effects.ecsv")
    assert list(table["effect"]) == [*EFFECTS, "mixture"]
    assert ((table["flagged"] >= 0) & (table["flagged"] <= 1)).all()
    good = np.isfinite(table["median 4000-7000"])
    assert (table["median 4000-7000"] <= table["95 % 4000-7000"])[good].all()


def test_nothing_moves_where_nothing_is_done(predictor, star_files, monkeypatch):
    from sedflux.libraries.library import read_library
    from sedflux.validation import effects

    monkeypatch.setattr(effects, "EFFECTS", {})
    monkeypatch.setattr(effects, "mixture", lambda wavelength, flux, power, rng: flux)
    (row,) = effects_table([predictor], read_library(star_files["miles"]))
    assert row["flagged"] == 0.0
    assert row["95 % 2500-3000"] == 0.0 or np.isnan(row["95 % 2500-3000"])
