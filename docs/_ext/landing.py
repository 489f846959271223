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
_SIZE = (3.6, 3.0)


def draw_panels():
    """Three figures: the lines, the SED, the response."""
    _lines()
    _sed()
    _response()


def _lines():
    """The spectrum of the solar twin 16 Cyg B, without its shape."""
    spectrum = demo_spectrum("16cygb_miles")
    prediction = Predictor().predict_spectrum(spectrum)
    as_read = Namespace(medium=None, resolving_power=None)
    _, axis = plt.subplots(figsize=_SIZE, layout="constrained")
    draw_normalised(axis, *normalised_input(spectrum, prediction, as_read))
    axis.set_title("1. The lines of a star")


def _sed():
    """The SED of 16 Cyg B from its lines, and what HST/STIS measured."""
    prediction = Predictor().predict_spectrum(demo_spectrum("16cygb_miles"))
    truth = demo_spectrum("16cygb_stis")
    velocity = truth.meta["radial_velocity"].to_value(u.km / u.s)
    measured, _ = measured_sed(truth, prediction.wavelength, velocity)
    _, axis = plt.subplots(figsize=_SIZE, layout="constrained")
    draw_sed(axis, prediction, measured=measured)
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
    # The bands share their labels: one entry each is enough.
    entries = dict(zip(labels, handles, strict=True))
    axis.legend(entries.values(), entries.keys(), frameon=False, fontsize="x-small",
                loc="upper right", ncols=2)
    axis.set(title="3. Eighty stars give a response", ylim=(0, 0.6))
