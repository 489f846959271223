"""Hostile spectra and options for `predict_sed`."""

import warnings

import numpy as np
from astropy import units as u
from astropy.nddata import (
    InverseVariance,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from specutils import Spectrum

from sedflux import predict_sed

from .arrays import base
from .judge import Violation, check_sed, judge
from .junk import UNITS, junk

__all__ = ["CHANGES", "HARMLESS", "run"]

NAMES = ("spectrum", "spectral axis", "flux", "uncertainty", "mask", "wavelength", "pixels",
         "resolving_power", "radial_velocity", "reddening", "medium", "model", "resolving power")
_OPTIONS = ("resolving_power", "radial_velocity", "reddening", "wavelengths", "medium", "model")
_AXES = ("nm", "um", "m", "THz", "eV", "1 / cm", "km / s", "pix", "kg", "")


def _flip(a, rng):
    for name in ("spectral_axis", "flux", "sigma", "mask"):
        if a.get(name) is not None:
            a[name] = a[name][..., ::-1]


def _axis(a, rng, names=_AXES):
    unit = u.Unit(str(rng.choice(names)))
    try:
        a["spectral_axis"] = a["spectral_axis"].to(unit, u.spectral())
    except u.UnitConversionError:
        a["spectral_axis"] = a["spectral_axis"].value * unit


def _flux_unit(a, rng):
    unit = u.Unit(str(rng.choice(UNITS)))
    a["flux"] = a["flux"].value * (u.ABmag if rng.random() < 0.05 else unit)


def _values(a, rng, name):
    value = rng.choice([np.nan, np.inf, 0.0, -1.0, 1e30, 1e-30])
    a[name] = np.where(rng.random(a[name].shape) < rng.choice([0.01, 0.4, 1.0]), value,
                       getattr(a[name], "value", a[name])) * getattr(a[name], "unit", 1)


def _stack(a, rng):
    size = int(rng.integers(1, 5))
    a["flux"] = np.stack([a["flux"].value] * size) * a["flux"].unit
    a["sigma"] = np.stack([a["sigma"]] * size)
    a["sigma"][rng.integers(size)] *= rng.choice([1.0, -1.0, np.nan, 1e9, 1e-9])
    if rng.random() < 0.1:
        a["flux"] = a["flux"][None]


def _meta(a, rng):
    a["meta"] = {str(rng.choice(["resolving_power", "radial_velocity", "medium", "header",
                                 "sedflux"])): junk(rng)}


def _axis_values(a, rng):
    axis = a["spectral_axis"].value.copy()
    place = rng.integers(axis.size, size=3)
    axis[place] = rng.choice([np.nan, 0.0, -5.0, axis[0], 1e30])
    a["spectral_axis"] = axis * a["spectral_axis"].unit


def _wavelengths(a, rng):
    size = int(10.0 ** rng.uniform(0, 3.5))
    low, high = np.sort(rng.uniform(2000, 11000, 2))
    values = np.linspace(low, high, size)[::int(rng.choice([1, -1]))]
    a["options"]["wavelengths"] = values * u.Unit(str(rng.choice(["AA", "AA", "nm", "kg"])))


def _short(a, rng):
    size = int(rng.integers(0, 60))
    for name in ("spectral_axis", "flux", "sigma"):
        a[name] = a[name][..., :size]


def _option(a, rng, name, values):
    a["options"][name] = values[rng.integers(len(values))]


HARMLESS = {
    "flip": _flip,
    "axis": lambda a, rng: _axis(a, rng, ("nm", "um", "THz", "eV", "1 / cm")),
    "variance": lambda a, rng: a.update(kind=VarianceUncertainty),
    "inverse": lambda a, rng: a.update(kind=InverseVariance),
    "no_mask": lambda a, rng: a.update(mask=np.zeros(a["flux"].shape, rng.choice(["?", "i4"]))),
    "counts": lambda a, rng: a.update(flux=a["flux"].value * u.ct),
    "small": lambda a, rng: a.update(flux=a["flux"] * 1e-17, sigma=a["sigma"] * 1e-17),
}
CHANGES = HARMLESS | {
    "any_axis": _axis, "flux_unit": _flux_unit, "stack": _stack, "meta": _meta, "short": _short,
    "axis_values": _axis_values, "wavelengths": _wavelengths,
    "flux_values": lambda a, rng: _values(a, rng, "flux"),
    "sigma_values": lambda a, rng: _values(a, rng, "sigma"),
    "no_sigma": lambda a, rng: a.update(kind=None),
    "unknown": lambda a, rng: a.update(kind=UnknownUncertainty),
    "sigma_unit": lambda a, rng: a.update(sigma_unit=u.Unit(str(rng.choice(UNITS)))),
    "mask": lambda a, rng: a.update(mask=(rng.random(a["flux"].shape) < rng.random()).astype(
        str(rng.choice(["?", "i2", "f4"])))),
    "complex": lambda a, rng: a.update(flux=a["flux"] * (1 + 1j)),
    "option": lambda a, rng: a["options"].update({str(rng.choice(_OPTIONS)): junk(rng)}),
    "reddening": lambda a, rng: _option(a, rng, "reddening", (0.0, 0.3, (0.3, 0.05), 9.0, 11.0)),
    "power": lambda a, rng: _option(a, rng, "resolving_power", (400.0, 700.0, 1e4, 1e5 * u.one)),
    "velocity": lambda a, rng: _option(a, rng, "radial_velocity", (
        50 * u.km / u.s, -5e4 * u.m / u.s, [1.0] * u.km / u.s, 1e-4 * u.AA, 2e6 * u.km / u.s)),
    "medium": lambda a, rng: _option(a, rng, "medium", ("air", "vacuum", "water")),
    "object": lambda a, rng: a.update(instead=junk(rng)),
}


def _arguments(case):
    """Parts of the spectrum, and options."""
    wavelength, flux = base()[:2]
    a = {"spectral_axis": wavelength * u.AA, "flux": flux * u.dimensionless_unscaled,
         "sigma": np.full(flux.size, 1.0 / 80.0), "mask": None, "kind": StdDevUncertainty,
         "meta": {}, "options": {}, "sigma_unit": None}
    rng = np.random.default_rng(case.seed)
    for change in case.changes:
        before = a | {"options": dict(a["options"])}
        try:
            with np.errstate(all="ignore"):
                CHANGES[change](a, rng)
        except Exception:  # a change of what does not fit any more
            a = before
    return a


def _spectrum(a):
    """The spectrum, or what stands for it."""
    if "instead" in a:
        return a["instead"]
    kind, sigma = a["kind"], np.array(a["sigma"], dtype=float)
    unit = a["flux"].unit if a["sigma_unit"] is None else a["sigma_unit"]
    with np.errstate(all="ignore"):
        uncertainty = {
            StdDevUncertainty: lambda: StdDevUncertainty(sigma, unit=unit),
            VarianceUncertainty: lambda: VarianceUncertainty(sigma**2, unit=unit**2),
            InverseVariance: lambda: InverseVariance(sigma**-2, unit=unit**-2),
            UnknownUncertainty: lambda: UnknownUncertainty(sigma), None: lambda: None}[kind]()
    return Spectrum(spectral_axis=a["spectral_axis"], flux=a["flux"], uncertainty=uncertainty,
                    mask=a["mask"], meta=a["meta"])


def run(case):
    """Predict, and check; the outcome."""
    a = _arguments(case)
    predictor, good = base()[3:]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spectrum = _spectrum(a)
    except Exception:
        return "no input"

    def check(sed):
        check_sed(sed)
        if all(change in HARMLESS for change in case.changes):
            pulls = np.log(sed.flux.value / good.flux) / (good.sigma / good.flux)
            if np.abs(pulls).max() > 1e-3 or sed.meta["sedflux"]["flags"] != good.flags:
                raise Violation("a harmless change moves the prediction",
                                f"{np.abs(pulls).max():.3g} {sed.meta['sedflux']['flags']}")

    return judge(lambda: predict_sed(spectrum, **({"model": predictor} | a["options"])), check,
                 NAMES)
