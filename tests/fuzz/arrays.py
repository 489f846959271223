"""Hostile arrays for `Predictor.predict`."""

from functools import lru_cache

import numpy as np
from astropy import units as u
from astropy.utils.masked import Masked

from sedflux.demo import demo_arrays

from .judge import Violation, check_prediction, judge
from .junk import UNITS, junk

__all__ = ["CHANGES", "HARMLESS", "NAMES", "run"]

NAMES = ("wavelength", "flux", "ivar", "mask", "resolving_power", "radial_velocity", "pixels")
#: Names of the arguments.
_ARGUMENTS = ("wavelength", "flux", "ivar", "mask", "resolving_power", "radial_velocity")


@lru_cache(maxsize=1)
def base():
    """Wavelength, flux and inverse variance of a good spectrum; the predictor, its prediction."""
    from sedflux import Predictor

    wavelength, flux = demo_arrays()
    flux = flux / flux.mean()
    flux = flux * (1.0 + np.random.default_rng(1).standard_normal(flux.size) / 80.0)
    ivar = np.full(flux.size, 80.0**2)
    predictor = Predictor()
    return wavelength, flux, ivar, predictor, predictor.predict(wavelength, flux, ivar)


def _arguments():
    wavelength, flux, ivar = (np.array(value) for value in base()[:3])
    return {"wavelength": wavelength, "flux": flux, "ivar": ivar}


def _scale(a, rng):
    factor = 10.0 ** rng.uniform(-130, 130)
    a["flux"] = np.asarray(a["flux"]) * factor
    if a.get("ivar") is not None:
        a["ivar"] = np.asarray(a["ivar"]) / factor**2


def _scale_far(a, rng):
    a["flux"] = np.asarray(a["flux"]) * 10.0 ** rng.uniform(-320, 308)


def _pixels(a, rng, name, value):
    """Set a random share of the pixels of an argument."""
    array = np.array(a[name], dtype=float)
    array[..., rng.random(array.shape[-1]) < rng.choice([0.001, 0.1, 0.5, 0.9])] = value
    a[name] = array


def _block(a, rng, name, value):
    """Set a run of pixels of an argument."""
    array = np.array(a[name], dtype=float)
    first = rng.integers(array.shape[-1])
    array[..., first:first + rng.integers(1, array.shape[-1])] = value
    a[name] = array


def _noise(a, rng):
    a["flux"] = rng.standard_normal(np.shape(a["flux"])) + rng.choice([0.0, 0.02, 0.2, 5.0])


def _emission(a, rng):
    wavelength = np.asarray(base()[0])
    centre, width = rng.uniform(4000, 7000), 10.0 ** rng.uniform(0, 2.5)
    bump = 10.0 ** rng.uniform(-1, 4) * np.exp(-0.5 * ((wavelength - centre) / width) ** 2)
    if np.shape(a["flux"])[-1] == bump.size:
        a["flux"] = np.asarray(a["flux"], dtype=float) + bump


def _keep(a, rng, keep):
    size = np.shape(a["wavelength"])[-1]
    for name in _ARGUMENTS:
        if np.shape(a.get(name))[-1:] == (size,):
            a[name] = np.asarray(a[name])[..., keep]


def _drop(a, rng):
    _keep(a, rng, rng.random(np.shape(a["wavelength"])[-1]) > rng.choice([0.05, 0.3, 0.9]))


def _cut(a, rng):
    low, high = np.sort(rng.integers(0, np.shape(a["wavelength"])[-1] + 1, 2))
    _keep(a, rng, slice(low, high))


def _gap(a, rng):
    place = np.arange(np.shape(a["wavelength"])[-1])
    low, high = np.sort(rng.integers(0, place.size, 2))
    _keep(a, rng, (place < low) | (place > high))


def _thin(a, rng):
    _keep(a, rng, slice(None, None, int(rng.integers(2, 40))))


def _batch(a, rng):
    size = int(rng.integers(1, 7))
    a["flux"] = np.stack([np.asarray(a["flux"], dtype=float)] * size)
    if a.get("ivar") is not None:
        a["ivar"] = np.stack([np.asarray(a["ivar"], dtype=float)] * size)
    row = rng.integers(size)
    bad = rng.choice([np.nan, 0.0, -1.0, np.inf, 1e300, 1e-300])
    a["flux"][row] = np.where(rng.random(a["flux"].shape[-1]) < rng.choice([0.1, 0.7, 1.0]), bad,
                              a["flux"][row])


def _astype(a, rng):
    name = rng.choice(["wavelength", "flux", "ivar", "mask"])
    kind = rng.choice(["f4", "f2", "i2", "u1", "i8", ">f8", "c16", "O", "U9", "?", "S3"])
    a[str(name)] = np.asarray(a.get(str(name))).astype(kind)


def _ivar_log(a, rng):
    a["ivar"] = 10.0 ** rng.uniform(-rng.uniform(0, 300), rng.uniform(0, 300),
                                    np.shape(a["flux"]))


def _velocity(a, rng):
    size = () if rng.random() < 0.7 else np.shape(a["flux"])[:1]
    a["radial_velocity"] = rng.normal(0.0, 10.0 ** rng.uniform(0, 4), size)
    if rng.random() < 0.3:
        a["radial_velocity"] = a["radial_velocity"] * u.Unit(str(rng.choice(["m/s", "km/s", "m"])))


def _power(a, rng):
    size = () if rng.random() < 0.5 else np.shape(a["wavelength"])
    a["resolving_power"] = 10.0 ** rng.uniform(2, 6, size)


def _mask(a, rng):
    mask = rng.random(np.shape(a["flux"])) < rng.choice([0.0, 0.1, 0.6, 1.0])
    a["mask"] = mask.astype(str(rng.choice(["?", "i4", "f8", "u1"])))


def _unit(a, rng):
    name = str(rng.choice(["wavelength", "flux", "ivar"]))
    a[name] = np.asarray(a[name], dtype=float) * u.Unit(str(rng.choice(UNITS)))


def _masked(a, rng):
    name = str(rng.choice(["wavelength", "flux", "ivar"]))
    value = np.asarray(a[name], dtype=float)
    mask = rng.random(value.shape) < rng.choice([0.0, 0.1, 0.9])
    a[name] = np.ma.masked_array(value, mask) if rng.random() < 0.5 else Masked(value, mask=mask)


def _junk(a, rng):
    a[str(rng.choice(_ARGUMENTS))] = junk(rng)


def _set(name, function):
    def change(a, rng):
        a[name] = function(a[name], rng)

    return change


#: Changes that must change nothing in the prediction.
HARMLESS = {
    "scale": _scale,
    "lists": lambda a, rng: a.update({name: np.asarray(a[name]).tolist()
                                      for name in ("wavelength", "flux", "ivar")}),
    "big_endian": _set("flux", lambda value, rng: np.asarray(value).astype(">f8")),
    "read_only": _set("flux", lambda value, rng: np.broadcast_to(value, np.shape(value))),
    "strided": _set("flux", lambda value, rng: np.repeat(value, 2, axis=-1)[..., ::2]),
    "no_mask": lambda a, rng: a.update(mask=np.zeros(np.shape(a["flux"]), "i4")),
    "counts": _set("flux", lambda value, rng: np.asarray(value) * u.ct),
    "nanometres": _set("wavelength", lambda value, rng: np.asarray(value) / 10.0 * u.nm),
}
#: All changes of good arguments, by name.
CHANGES = HARMLESS | {
    "scale_far": _scale_far,
    "nan_flux": lambda a, rng: _pixels(a, rng, "flux", np.nan),
    "inf_flux": lambda a, rng: _pixels(a, rng, "flux", np.inf),
    "zero_flux": lambda a, rng: _block(a, rng, "flux", 0.0),
    "negative_flux": lambda a, rng: _block(a, rng, "flux", -rng.uniform(0, 3)),
    "spikes": lambda a, rng: _pixels(a, rng, "flux", 10.0 ** rng.uniform(0, 30)),
    "constant": lambda a, rng: a.update(flux=np.full(np.shape(a["flux"]), rng.uniform(-1, 2))),
    "noise": _noise,
    "emission": _emission,
    "nan_ivar": lambda a, rng: _pixels(a, rng, "ivar", np.nan),
    "inf_ivar": lambda a, rng: _pixels(a, rng, "ivar", np.inf),
    "zero_ivar": lambda a, rng: _block(a, rng, "ivar", 0.0),
    "negative_ivar": lambda a, rng: _block(a, rng, "ivar", -1.0),
    "no_ivar": lambda a, rng: a.update(ivar=None),
    "ivar_log": _ivar_log,
    "mask": _mask,
    "drop": _drop, "cut": _cut, "gap": _gap, "thin": _thin,
    "reverse": lambda a, rng: a.update(wavelength=np.asarray(a["wavelength"])[..., ::-1]),
    "repeat": _set("wavelength", lambda value, rng: np.repeat(value[::2], 2)[:len(value)]),
    "nan_wavelength": lambda a, rng: _pixels(a, rng, "wavelength", np.nan),
    "other_wavelength": _set("wavelength", lambda value, rng:
                             np.asarray(value) * 10.0 ** rng.uniform(-4, 4)),
    "shift": _set("wavelength", lambda value, rng: np.asarray(value) + rng.normal(0, 500)),
    "batch": _batch, "astype": _astype, "unit": _unit, "masked": _masked,
    "velocity": _velocity, "power": _power, "junk": _junk,
}


def arguments_of(case):
    """The arguments of a case; changes that do not fit those before them are left out."""
    rng, arguments = np.random.default_rng(case.seed), _arguments()
    for change in case.changes:
        before = dict(arguments)
        try:
            with np.errstate(all="ignore"):
                CHANGES[change](arguments, rng)
        except Exception:  # a change of what is junk already
            arguments = before
    return arguments


def run(case):
    """Predict, and check; the outcome."""
    arguments = arguments_of(case)
    wavelength, flux = arguments.pop("wavelength"), arguments.pop("flux")
    predictor, good = base()[3:]

    def check(prediction):
        check_prediction(prediction)
        if arguments.get("ivar", None) is None:
            bits = np.atleast_1d(prediction.flag_bits)
            if not all("noise_estimated" in flag_names(bit) for bit in bits):
                raise Violation("noise is estimated without a flag", case)
        if all(change in HARMLESS for change in case.changes):
            pulls = np.log(prediction.flux / good.flux) / (good.sigma / good.flux)
            if np.abs(pulls).max() > 1e-3 or prediction.flags != good.flags:
                raise Violation("a harmless change moves the prediction",
                                f"{np.abs(pulls).max():.3g} sigma, {prediction.flags}")
        if not prediction.single and len(prediction) > 1:
            _check_alone(prediction, wavelength, flux, arguments, predictor)

    from sedflux.predict.flags import flag_names

    return judge(lambda: predictor.predict(wavelength, flux, **arguments), check, NAMES)


def _check_alone(prediction, wavelength, flux, arguments, predictor):
    """The last row alone gives the same; where it is refused alone, it is flagged."""
    from sedflux.exceptions import InputError

    one = {name: value[-1] if np.shape(value)[:1] == (len(prediction),) else value
           for name, value in arguments.items() if value is not None}
    try:
        alone = predictor.predict(wavelength, flux[-1], **one)
    except InputError:
        if not prediction.flags[-1]:
            raise Violation("a row that is refused alone has no flag", "") from None
        return
    last = prediction[-1]
    pulls = np.log(alone.flux / last.flux) / (alone.sigma / alone.flux)
    if np.abs(pulls).max() > 1e-3:
        raise Violation("a row depends on its neighbours", f"{np.abs(pulls).max():.3g} sigma")
