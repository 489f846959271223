"""Figures: axes that are given, limits that spikes do not set, lines that can be told apart."""

import numpy as np
import pytest
from astropy.table import Table

from sedflux import Predictor, predict_sed
from sedflux.demo import demo_spectrum
from sedflux.figure_style import label_lines, save_figure, subplots
from sedflux.plotting import draw_budget, draw_normalised, draw_pulls, draw_response, draw_sed

pytest.importorskip("matplotlib")


@pytest.fixture
def axis():
    return subplots(figsize=(5, 3))[1]


@pytest.fixture(scope="module")
def prediction():
    return Predictor().predict_spectrum(demo_spectrum("16cygb_miles"))


def budget(*terms):
    wavelength = np.linspace(4000.0, 6000.0, 20)
    columns = {name: np.full(20, 0.001 * (1 + number)) for number, name in enumerate(terms)}
    return Table({"wavelength": wavelength, **columns, "good": np.ones(20, bool)})


def test_an_sed_is_drawn_from_a_prediction_and_from_a_spectrum(prediction):
    first, second = subplots(1, 2, figsize=(5, 3))[1]
    assert draw_sed(first, prediction) is first
    assert draw_sed(second, predict_sed(demo_spectrum("16cygb_miles"))) is second
    drawn, again = (one.get_lines()[0].get_xydata() for one in (first, second))
    np.testing.assert_allclose(drawn, again, rtol=1e-6)
    assert "mean(4000-7000" in first.get_ylabel()
    assert first.get_ylabel() == second.get_ylabel()


def test_a_spike_does_not_set_the_limits(axis, prediction):
    flux = np.ravel(prediction.flux)
    measured, sigma = 1.02 * flux, 0.01 * flux
    draw_pulls(axis, prediction, measured, sigma)
    limits = axis.get_ylim()
    measured[100] = 1e4
    axis.clear()
    assert draw_pulls(axis, prediction, measured, sigma) is axis
    np.testing.assert_allclose(axis.get_ylim(), limits, rtol=0.1)


def test_cosmic_rays_do_not_set_the_limits_of_the_input(axis):
    wavelength = np.linspace(4000.0, 7000.0, 2430)
    flux = 1.0 + 0.05 * np.sin(wavelength / 10.0)
    flux[::300] = 500.0
    draw_normalised(axis, wavelength, flux)
    assert axis.get_ylim()[1] < 1.2


def test_terms_of_a_budget_differ_in_colour_and_style(axis):
    names = ("photons", "sed", "reddening", "wavelength scale", "background", "zero point",
             "library", "statistical", "total")
    assert draw_budget(axis, budget(*names)) is axis
    looks = {(line.get_color(), line.get_linestyle()) for line in axis.get_lines()}
    assert len(looks) == len(names)


def test_names_beside_lines_keep_their_distance(axis):
    for number in range(6):
        axis.plot([0, 1], [0, 1 + 1e-3 * number], label=f"line {number}")
    label_lines(axis)
    heights = sorted(text.get_position()[1] for text in axis.texts)
    assert [text.get_text() for text in axis.texts] == [f"line {number}" for number in range(6)]
    assert np.diff(heights).min() > 0.05
    assert heights[0] >= 0
    assert heights[-1] <= 1


def test_a_response_is_labelled(axis, tmp_path):
    class Response:
        wavelength = np.linspace(4000.0, 6000.0, 30)
        throughput = np.full(30, 0.3)
        sigma = np.full(30, 0.003)
        good = np.ones(30, bool)

        class total_covariance:
            sigma = np.full(30, 0.02)

    assert draw_response(axis, Response(), truth=np.full(30, 0.31)) is axis
    assert "throughput" in axis.get_ylabel()
    assert "Å" in axis.get_xlabel()
    texts = {text.get_text() for text in axis.get_legend().get_texts()}
    assert texts == {"1 sigma, total", "1 sigma, statistical", "fitted", "true"}
    save_figure(axis.figure, tmp_path / "response.png")
    assert (tmp_path / "response.png").stat().st_size > 1000
