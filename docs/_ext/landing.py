"""The picture of the landing page, drawn from packaged data and a simulated field."""

from __future__ import annotations

from argparse import Namespace

import matplotlib.pyplot as plt
from astropy import units as u

from sedflux import Predictor, fit_responses, get_instrument, simulate_field
from sedflux.cli.report import measured_sed, normalised_input
from sedflux.demo import demo_spectrum
from sedflux.plotting import draw_normalised, draw_response, draw_sed

#: Inches of a panel: legible at the width of a telephone.
_SIZE = (4.4, 3.4)


def draw_panels():
    """Three figures: the lines, the SED, the response."""
    _lines()
    _sed()
    _response()


def _lines():
    """The packaged spectrum of BD+17 4708, without its shape."""
    spectrum = demo_spectrum("bd17_stis")
    prediction = Predictor().predict_spectrum(spectrum)
    as_read = Namespace(medium=None, resolving_power=None)
    _, axis = plt.subplots(figsize=_SIZE, layout="constrained")
    draw_normalised(axis, *normalised_input(spectrum, prediction, as_read))
    axis.set_title("1. The lines of a star")


def _sed():
    """The SED of BD+17 4708 from its lines, and what HST measured."""
    spectrum = demo_spectrum("bd17_stis")
    prediction = Predictor().predict_spectrum(spectrum)
    _, axis = plt.subplots(figsize=_SIZE, layout="constrained")
    draw_sed(axis, prediction, measured=measured_sed(spectrum, prediction)[0])
    axis.set_title("2. give its SED, with errors")


def _response():
    """Responses of the three bands of the look-alike of CSST, from 80 simulated stars."""
    bands = get_instrument("lookalike").bands
    field = simulate_field(bands, size=80, seed=8)
    responses = fit_responses(field.counts, field.seds, bands, names=field.names,
                              grey_error=0.01, wavelength_error=0.5 * u.AA)
    _, axis = plt.subplots(figsize=_SIZE, layout="constrained")
    for name, response in responses.items():
        draw_response(axis, response, truth=bands[name].throughput(response.wavelength))
    handles, labels = axis.get_legend_handles_labels()
    first = dict(zip(reversed(labels), reversed(handles), strict=True))
    axis.legend(first.values(), first.keys(), frameon=False, fontsize="small", loc="upper left")
    axis.set(title="3. Eighty stars give a response", xlabel="wavelength (Å)", ylim=(0, 0.6))
