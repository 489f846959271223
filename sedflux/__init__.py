"""
sedflux: a star's spectral energy distribution from its lines, with believable errors.

`predict_sed` takes a `specutils.Spectrum` and gives the SED (2500-10500 Angstrom,
R = 200); `fit_response` turns many such stars into a response curve.
"""

from importlib import import_module

from sedflux._version import __version__

# Where each public name lives: nothing is loaded before it is asked for (PEP 562).
_HOMES = {
    "FieldTerms": "response",
    "InputError": "exceptions",
    "LineSpread": "slitless",
    "LowRankCovariance": "covariance",
    "ModelError": "exceptions",
    "Predictor": "predict",
    "ResponseCurve": "response",
    "SEDPrediction": "prediction",
    "SedfluxError": "exceptions",
    "SlitlessBand": "instrument",
    "SlitlessInstrument": "instrument",
    "SyntheticPhotometry": "photometry",
    "WeightsError": "exceptions",
    "anchor": "photometry",
    "error_budget": "response.quality",
    "fit_response": "response",
    "fit_responses": "response",
    "get_instrument": "instrument",
    "list_instruments": "instrument",
    "list_models": "weights",
    "plan_calibration": "response.planning",
    "predict_sed": "predict",
    "read_throughput": "instrument",
    "register_readers": "libraries.connect",
    "simulate_field": "simulate",
    "synthetic_photometry": "photometry",
    "to_source_spectrum": "photometry",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(f"sedflux.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sedflux' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
