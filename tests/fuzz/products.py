"""Predictions, SEDs and their errors: hostile values for what is done with them."""

import contextlib
import copy
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty, UnknownUncertainty
from specutils import Spectrum
from synphot import SpectralElement
from synphot.models import Box1D

import sedflux
from sedflux.covariance import LowRankCovariance
from sedflux.io.sed import read_sed, write_sed

from .arrays import base
from .judge import check_prediction, check_sed, judge, numbers_of
from .junk import JUNK, junk
from .options import parts

__all__ = ["CHANGES", "run"]

#: Words of which an error says one.
_WORDS = ("sed", "spectrum", "covariance", "reddening", "wavelengths", "law", "r_v", "row", "size",
          "rng", "kind", "header", "diagonal", "factor", "removed", "flux", "spectral axis",
          "matrix", "uncertainty", "magnitude", "bandpass")


@cache
def _several():
    """Predictions of three stars."""
    wavelength, flux, ivar, predictor = base()[:4]
    return predictor.predict(wavelength, np.stack([flux] * 3), np.stack([ivar] * 3))


@cache
def _bands():
    return {name: SpectralElement(Box1D, x_0=centre, width=500.0)
            for name, centre in (("blue", 4500.0), ("red", 6500.0))}


def _prediction(rng):
    return base()[4] if rng.random() < 0.5 else _several()


def _reddened(rng):
    number = float(rng.choice([0.0, 0.3, 2.0, 10.0]))
    arguments = {"reddening": number, "reddening_error": 0.1 * number, "law": "G23", "r_v": 3.1}
    arguments[sorted(arguments)[rng.integers(4)]] = junk(rng)
    return lambda: _prediction(rng).reddened(**arguments), check_prediction


def _to_spectrum(rng):
    arguments = {"kind": Spectrum, "wavelengths": np.linspace(3000.0, 9000.0, 40) * u.AA,
                 "header": {"OBJECT": ("x", "star")}}
    name = sorted(arguments)[rng.integers(3)]
    arguments[name] = junk(rng)
    if name == "header" and rng.random() < 0.5:
        arguments[name] = {str(rng.choice(["OBJECT", "object", "TOOLONGNAME", "SEDRV", ""])):
                           junk(rng)}
    if name == "wavelengths" and rng.random() < 0.5:
        values = rng.uniform(2400.0, 10600.0, int(rng.integers(0, 50)))
        arguments[name] = values * u.Unit(str(rng.choice(["AA", "AA", "nm"])))
    return lambda: _prediction(rng).to_spectrum(**arguments), check_sed


def _rows(rng):
    what, value = rng.integers(3), junk(rng)
    call = (lambda: _several()[value], lambda: _several().take(value),
            lambda: base()[4].sample(value, np.random.default_rng(1)))[what]
    return call, (lambda found: None if what == 2 or not len(found) else check_prediction(found))


def _spectrum(rng):
    """A spectrum that may be an SED, with something odd."""
    size = int(rng.choice([2, 3, 20]))
    flux = 10.0 ** rng.uniform(-20, 2) * rng.uniform(0.5, 1.5, size)
    if rng.random() < 0.3:
        flux[rng.integers(size)] = rng.choice([np.nan, np.inf, 0.0, -1.0])
    sigma = StdDevUncertainty(np.abs(flux) * rng.choice([0.0, 0.01, np.nan, -1.0]))
    sigma = (sigma, sigma, None, UnknownUncertainty(flux))[rng.integers(4)]
    unit = u.Unit(str(rng.choice(["Jy", "erg / (s cm2 Angstrom)", "", "kg", "ct"])))
    return Spectrum(spectral_axis=np.linspace(4000.0, 7000.0, size) * u.AA, flux=flux * unit,
                    uncertainty=sigma)


def _covariance(rng, flux):
    """A covariance for so many values, or something like it."""
    size = flux.size + int(rng.choice([0, 0, 0, 1]))
    scale = np.nanmax(np.abs(flux[np.isfinite(flux)]), initial=1e-30)
    rows = scale * rng.standard_normal((int(rng.integers(0, 4)), size))
    diagonal = (scale * rng.choice([0.0, 0.1])) ** 2 * np.ones(size)
    dense = np.diag(diagonal) + rows.T @ rows
    choices = (lambda: junk(rng), lambda: None, lambda: dense, lambda: -dense,
               lambda: dense + np.triu(dense), lambda: np.full((size, size), np.nan),
               lambda: LowRankCovariance(diagonal, rows),
               lambda: LowRankCovariance(diagonal, rows, 0.5 * rows),
               lambda: LowRankCovariance(diagonal, rows, 2.0 * rows))
    return choices[rng.integers(len(choices))]


def _with_covariance(rng):
    spectrum = _spectrum(rng) if rng.random() < 0.8 else junk(rng)
    flux = spectrum.flux.value if isinstance(spectrum, Spectrum) else np.ones(3)
    make = _covariance(rng, flux)

    def call():
        return sedflux.with_covariance(spectrum, make())

    def check(found):
        numbers_of(found.flux.value, "flux", positive=True)
        numbers_of(sedflux.covariance_of(found).sigma, "sigma")

    return call, check


def _noted(rng):
    """An SED with something else in its meta."""
    sed = copy.copy(parts()["absolute" if rng.random() < 0.5 else "sed"])
    notes = dict(sed.meta["sedflux"])
    place = rng.integers(4)
    if place == 0:
        notes[sorted(notes)[rng.integers(len(notes))]] = junk(rng)
    elif place == 1:
        del notes[sorted(notes)[rng.integers(len(notes))]]
    meta = {"sedflux": notes, "header": sed.meta["header"]}
    if place == 2:
        meta[str(rng.choice(["sedflux", "header"]))] = junk(rng)
    if place == 3:
        meta["header"] = sed.meta["header"].copy()
        value = JUNK[rng.integers(len(JUNK))](rng)
        if isinstance(value, (str, bool, int, float)) and not isinstance(value, bytes):
            with contextlib.suppress(ValueError):
                meta["header"][str(rng.choice(list(meta["header"])))] = value
    sed.meta = meta
    return sed


def _photometry(rng):
    sed = _noted(rng)
    return (lambda: sedflux.synthetic_photometry(sed, _bands()),
            lambda found: numbers_of(found.sigma.value, "sigma"))


def _anchor(rng):
    sed = _noted(rng)
    return lambda: sedflux.anchor(sed, 12.0 * u.ABmag, _bands()["red"],
                                  magnitude_error=0.02 * u.mag), check_sed


def _written(rng):
    sed = _noted(rng)

    def call():
        with tempfile.TemporaryDirectory() as folder:
            write_sed(sed, Path(folder) / "sed.fits")
            return read_sed(Path(folder) / "sed.fits")

    return call, check_sed


#: What is done, by name: each gives a call and a check of its result.
CHANGES = {"reddened": _reddened, "to_spectrum": _to_spectrum, "rows": _rows,
           "with_covariance": _with_covariance, "photometry": _photometry, "anchor": _anchor,
           "written": _written}


def run(case):
    """Do what the first change names; the outcome."""
    rng = np.random.default_rng(case.seed)
    call, check = CHANGES[case.changes[0] if case.changes else "photometry"](rng)
    return judge(call, check, _WORDS)
