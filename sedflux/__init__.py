"""
sedflux: a star's spectral energy distribution from its lines, with believable errors.

`predict_sed` takes a `specutils.Spectrum` and gives the SED (2500-10500 Angstrom,
R = 200); `fit_response` turns many such stars into a response curve.
"""

from importlib import import_module

from sedflux._version import __version__

# Where each public name lives: nothing is loaded before it is asked for (PEP 562).
_HOMES = {
    "ConditionedSEDs": "conditioning.result",
    "FieldTerms": "response.field_terms",
    "InputError": "exceptions",
    "LineSpread": "slitless.line_spread",
    "LowRankCovariance": "covariance",
    "ModelError": "exceptions",
    "Predictor": "predict.predictor",
    "ReddeningAtDistance": "conditioning.distance",
    "ResponseCurve": "response.curve",
    "SEDCatalog": "catalog.catalog",
    "SEDPrediction": "predict.prediction",
    "SedfluxError": "exceptions",
    "SlitlessBand": "slitless.instrument",
    "SlitlessInstrument": "slitless.instrument",
    "SyntheticPhotometry": "photometry",
    "WeightsError": "exceptions",
    "WriteError": "exceptions",
    "anchor": "photometry",
    "condition": "conditioning.condition",
    "covariance_of": "spectra.sed",
    "error_budget": "response.quality",
    "fit_response": "response.fit",
    "fit_responses": "response.fit",
    "get_instrument": "slitless.instrument",
    "list_instruments": "slitless.instrument",
    "list_models": "predict.models",
    "photometric_offsets": "conditioning.offsets",
    "plan_calibration": "simulate.planning",
    "predict_catalog": "catalog.run",
    "predict_sed": "predict.sed",
    "read_throughput": "slitless.throughput",
    "register_readers": "io.registry",
    "simulate_field": "simulate.simulator",
    "synthetic_photometry": "photometry",
    "to_source_spectrum": "photometry",
    "with_covariance": "spectra.sed",
}

#: Names that need an extra, and so are no part of ``from sedflux import *``.
_EXTRAS = ("SEDCatalog", "predict_catalog")

__all__ = ["__version__", *sorted(set(_HOMES) - set(_EXTRAS))]


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(f"sedflux.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sedflux' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__, *_EXTRAS})
