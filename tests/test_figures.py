"""
Public figures against their baselines, without text: fonts differ between releases of matplotlib.

After a change that is meant, look at the new figures and keep them::

    python -m pytest tests/test_figures.py --mpl-generate-path=tests/baseline
"""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from sedflux.figure_style import subplots
from sedflux.plotting import (
    draw_budget,
    draw_normalised,
    draw_pulls,
    draw_response,
    draw_response_error,
    draw_sed,
)
from sedflux.predict.prediction import SEDPrediction
from sedflux.response.curve import ResponseCurve
from sedflux.slitless.throughput import Throughput

pytest.importorskip("pytest_mpl")

#: Root mean square of the differences of pixels (of 255) that rendering may make.
compared = pytest.mark.mpl_image_compare(
    baseline_dir="baseline", style="default", remove_text=True, tolerance=4,
    savefig_kwargs={"dpi": 50})

WAVELENGTH = np.linspace(2500.0, 10500.0, 200)
FLUX = np.exp(-0.5 * ((WAVELENGTH - 5000.0) / 2500.0) ** 2)


def without_words(axis):
    """The figure without labels, and with its axes where labels do not move them."""
    axis.figure.set_layout_engine("none")
    axis.set(xlabel="", ylabel="", position=(0.1, 0.1, 0.85, 0.85))
    for words in [*axis.texts, axis.get_legend()]:
        if words is not None:
            words.remove()
    return axis.figure


@pytest.fixture
def axis():
    return subplots(figsize=(5, 3))[1]


@pytest.fixture
def prediction():
    """A smooth SED whose error is 2 % in the red and 20 % in the ultraviolet."""
    error = 0.02 + 0.18 * np.exp(-(WAVELENGTH - 2500.0) / 800.0)
    return SEDPrediction(wavelength=WAVELENGTH, flux=FLUX, diagonal=0.3 * error**2,
                         factor=np.sqrt(0.7) * error[None], diagnostics={}, flags=())


@pytest.fixture
def response():
    wavelength = np.linspace(4000.0, 6200.0, 100)
    value = 0.3 * np.exp(-((wavelength - 5000.0) / 1200.0) ** 4)
    return ResponseCurve.from_throughput(Throughput(wavelength, value, 0.03 * value),
                                         area=1.0 * u.m**2)


@compared
def test_sed(axis, prediction):
    return without_words(draw_sed(axis, prediction, measured=1.03 * FLUX))


@compared
def test_pulls(axis, prediction):
    measured = FLUX * (1.0 + 0.05 * np.sin(WAVELENGTH / 400.0))
    return without_words(draw_pulls(axis, prediction, measured, 0.01 * measured))


@compared
def test_normalised(axis):
    wavelength = np.linspace(4000.0, 7000.0, 500)
    flux = 1.0 - 0.6 * np.exp(-0.5 * ((wavelength - 4862.7) / 15.0) ** 2)
    flux[100] = 50.0
    return without_words(draw_normalised(axis, wavelength, flux))


@compared
def test_response(axis, response):
    return without_words(draw_response(axis, response, truth=1.02 * response.throughput))


@compared
def test_response_error(axis, response):
    return without_words(draw_response_error(axis, response, 1.02 * response.throughput))


@compared
def test_budget(axis):
    wavelength = np.linspace(4000.0, 6200.0, 60)
    terms = {name: 0.002 * (number + 1) * (1 + ((wavelength - 5000.0) / 2000.0) ** 2)
             for number, name in enumerate(("photons", "sed", "reddening", "statistical", "total"))}
    return without_words(draw_budget(axis, Table({"wavelength": wavelength, **terms,
                                    "good": np.ones(60, dtype=bool)})))
