"""Every public function with values that one of its arguments does not take."""

from functools import cache

import numpy as np
from astropy import units as u
from synphot import SpectralElement
from synphot.models import Box1D

import sedflux
from sedflux.covariance import LowRankCovariance
from sedflux.demo import demo_spectrum
from sedflux.response.options import Options
from sedflux.simulate.settings import FieldSettings
from sedflux.slitless.line_spread import LineSpread
from sedflux.slitless.throughput import Throughput
from sedflux.spectra.reddening import extinction_curve, redden

from .arrays import base
from .judge import check_sed, judge, numbers_of
from .junk import junk

__all__ = ["CHANGES", "run"]


@cache
def parts():
    """Good values: an SED, its absolute form, a band of an instrument, a small field."""
    sed = sedflux.predict_sed(demo_spectrum(), model=base()[3])
    box = SpectralElement(Box1D, x_0=5000.0, width=800.0)
    band = sedflux.get_instrument("lookalike").bands["GV"]
    field = sedflux.simulate_field({"GV": band}, size=4, seed=1, model=base()[3])
    return {"sed": sed, "box": box, "band": band, "counts": field.counts["GV"], "field": field,
            "seds": field.seds, "absolute": sedflux.anchor(sed, 12.0 * u.ABmag, box,
                                                       magnitude_error=0.01 * u.mag),
            "response": sedflux.fit_response(field.counts["GV"], field.seds, band=band)}


def _photometry(result):
    numbers_of(result.value.value, "value")
    numbers_of(result.sigma.value, "sigma", positive=True)


def _response(result):
    good = result.good
    numbers_of(result.throughput[good], "throughput", positive=True)
    numbers_of(result.sigma[good], "sigma")
    numbers_of(result.total_covariance.sigma, "total sigma")


def _evaluated(result):
    numbers_of(result[0], "ln throughput")
    numbers_of(result[1].sigma, "sigma")


def _field(result):
    for one in result.counts["GV"]:
        numbers_of(one.flux.value, "counts")
        numbers_of(one.uncertainty.array, "sigma of counts", positive=True)
    for one in result.seds:
        check_sed(one)


def _nothing(result):
    """Whatever it is, it was made from what is allowed."""


def _cases():
    """Function, good arguments, and check of the result, by name."""
    a = parts()
    grid = np.linspace(2500.0, 10500.0, 40)
    covariance = LowRankCovariance(np.full(40, 0.01), np.full((1, 40), 0.1))
    fit = {name: getattr(Options, name) for name in Options.__dataclass_fields__
           if name != "iterations"}
    fit |= {"area": None, "resolving_power": None, "second_order": None, "line_spread": None,
            "names": None, "stars": None, "field": None, "saturation": None, "exclude": None}
    settings = {name: getattr(FieldSettings, name) for name in FieldSettings.__dataclass_fields__}
    return {
        "photometry": (sedflux.synthetic_photometry, {
            "sed": a["absolute"], "bandpasses": {"box": a["box"]}, "unit": u.ABmag,
            "area": 100 * u.cm**2}, _photometry),
        "counts": (sedflux.synthetic_photometry, {
            "sed": a["absolute"], "bandpasses": a["box"], "unit": u.ct,
            "area": 100 * u.cm**2}, _photometry),
        "anchor": (sedflux.anchor, {"sed": a["sed"], "magnitude": 12 * u.ABmag,
                                    "bandpass": a["box"], "magnitude_error": 0.01 * u.mag},
                   check_sed),
        "magnitudes": (sedflux.condition, {
            "sed": a["sed"], "photometry": {"box": (12.0, 0.02)}, "bandpasses": {"box": a["box"]},
            "reddening": (0.1, 0.05), "r_v": 3.1, "r_v_error": 0.1, "law": "G23",
            "zero_point_error": {"box": 0.01}, "system": "AB", "vega": None, "area": None,
            "intrinsic": False, "workers": 1}, check_sed),
        "source": (sedflux.to_source_spectrum, {"sed": a["sed"]}, _nothing),
        "covariance_of": (sedflux.covariance_of, {"sed": a["sed"]},
                          lambda found: numbers_of(found.sigma, "sigma", positive=True)),
        "predict_sed": (sedflux.predict_sed, {
            "spectrum": demo_spectrum(), "model": base()[3], "resolving_power": 2000.0,
            "radial_velocity": 5 * u.km / u.s, "reddening": 0.1, "medium": "vacuum"}, check_sed),
        "predictor": (sedflux.Predictor, {"model": None, "device": "cpu"}, _nothing),
        "extinction": (extinction_curve, {"wavelength": grid, "law": "G23", "r_v": 3.1},
                       lambda curve: numbers_of(curve, "curve")),
        "redden": (redden, {"wavelength": grid, "log_flux": np.zeros(40), "covariance": covariance,
                            "reddening": 0.1, "reddening_error": 0.01, "law": "G23", "r_v": 3.1},
                   lambda found: numbers_of(found[0], "ln flux")),
        "covariance": (LowRankCovariance, {"diagonal": covariance.diagonal,
                                           "factor": covariance.factor},
                       lambda found: numbers_of(found.sigma, "sigma")),
        "propagate": (covariance.propagate, {"matrix": np.ones((2, 40))},
                      lambda found: numbers_of(found.sigma, "sigma")),
        "sample": (covariance.sample, {"size": 2, "rng": np.random.default_rng(1)},
                   lambda found: numbers_of(found, "deviations")),
        "condition": (covariance.condition, {"matrix": np.ones((1, 40)), "residual": [0.1],
                                             "noise": [[0.01]]},
                      lambda found: numbers_of(found[0], "shift")),
        "options": (Options, {name: getattr(Options, name)
                              for name in Options.__dataclass_fields__}, _nothing),
        "fit": (sedflux.fit_response, {"counts": a["counts"], "seds": a["seds"],
                                       "band": a["band"], "client": None} | fit, _response),
        "fits": (sedflux.fit_responses, {
            "counts": {"GV": a["counts"]}, "seds": a["seds"], "bands": {"GV": a["band"]},
            "names": None, "exclude": None, "grey_error": 0.01},
            lambda found: [_response(one) for one in found.values()]),
        "evaluate": (a["response"].evaluate, {
            "wavelength": [5000.0, 5500.0], "x": None, "y": None, "detector": None,
            "epoch": None}, _evaluated),
        "calibrate": (a["response"].calibrate, {"counts": a["counts"][0], "x": None, "y": None,
                                                "detector": None, "epoch": None},
                      lambda found: numbers_of(found.flux.value, "flux")),
        "settings": (FieldSettings, settings, _nothing),
        "simulate": (sedflux.simulate_field, {
            "bands": {"GV": a["band"]}, "size": 1, "seed": 1, "settings": None, "library": None,
            "model": base()[3], "response": None, "detectors": ("1",), "outliers": 0.1}, _field),
        "throughput": (Throughput, {"wavelength": grid, "value": np.full(40, 0.5),
                                    "error": np.full(40, 0.01)}, _nothing),
        "read_throughput": (sedflux.read_throughput, {"path": "missing.fits", "area": None},
                            _nothing),
        "spread_power": (LineSpread.from_resolving_power, {"resolving_power": 250.0,
                                                           "wavelength": None}, _nothing),
        "spread_fwhm": (LineSpread.from_fwhm, {"fwhm": 20.0, "wavelength": None}, _nothing),
        "field_terms": (sedflux.FieldTerms, {
            "position": 1, "detectors": ("a", "b"), "epoch": True, "size": (10.0, 10.0),
            "epochs": (0.0, 1.0), "degree": 1, "scatter": 0.05}, _nothing),
        "instrument": (sedflux.get_instrument, {"name": "lookalike"}, _nothing),
        "plan": (sedflux.plan_calibration, {
            "band": a["band"], "precision": 0.1, "stars_per_exposure": 80, "settings": None,
            "library": None, "model": base()[3], "seed": 0}, _nothing),
        "from_throughput": (sedflux.ResponseCurve.from_throughput, {
            "throughput": a["band"].throughput, "area": 100 * u.cm**2}, _response),
        "read_response": (sedflux.ResponseCurve.read, {"path": "missing.fits", "format": None},
                          _nothing),
    }


#: Functions that take seconds, and are called less often.
_SLOW = {"plan"}
_CASES = {}
#: Names of functions: each change gives one argument of that function another value.
CHANGES = ("photometry", "counts", "anchor", "source", "covariance_of", "predict_sed", "predictor",
           "extinction", "redden", "covariance", "propagate", "sample", "condition", "options",
           "fit", "fits", "evaluate", "calibrate", "settings", "simulate", "throughput",
           "read_throughput", "spread_power", "spread_fwhm", "field_terms", "instrument", "plan",
           "from_throughput", "read_response", "magnitudes")
#: Other words by which errors call an argument.
_WORDS = {"bandpasses": "bandpass", "wavelength": "wavelength", "counts": "counts",
          "path": "response file", "spectrum": "spectrum", "model": "model", "sed": "sed",
          "value": "value", "error": "error", "diagonal": "diagonal", "factor": "factor",
          "unit": "area", "name": "instrument", "format": "response file"}


def run(case):
    """Call the function that the first change names; the outcome."""
    if not _CASES:
        _CASES.update(_cases())
    rng = np.random.default_rng(case.seed)
    target = case.changes[0] if case.changes else "photometry"
    if target in _SLOW and rng.random() < 0.9:
        target = "instrument"
    call, arguments, check = _CASES[target]
    name = sorted(arguments)[rng.integers(len(arguments))]
    value = junk(rng)
    return judge(lambda: call(**(arguments | {name: value})), check,
                 (name, _WORDS.get(name, name), *(arguments if target in _PAIRED else ())))


#: Functions whose arguments must fit together: an error may name another one.
_PAIRED = {"fit", "fits", "covariance", "throughput", "condition", "redden", "propagate",
           "calibrate", "field_terms", "read_throughput", "spread_power"}
