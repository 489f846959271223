"""Values that are almost never what an argument takes, and units."""

import numpy as np
from astropy import units as u

__all__ = ["JUNK", "UNITS", "junk"]

#: Values of all kinds, each made anew.
JUNK = (
    lambda rng: None, lambda rng: True, lambda rng: False, lambda rng: 0, lambda rng: -1,
    lambda rng: 1, lambda rng: 2.5, lambda rng: np.nan, lambda rng: np.inf, lambda rng: -np.inf,
    lambda rng: 1e300, lambda rng: 1e-300, lambda rng: 10**400, lambda rng: 1j, lambda rng: "",
    lambda rng: "x", lambda rng: "5", lambda rng: b"x", lambda rng: "../../etc/passwd",
    lambda rng: [], lambda rng: (), lambda rng: {}, lambda rng: set(), lambda rng: [1, 2],
    lambda rng: [[1.0], [2.0, 3.0]], lambda rng: ["a", 1], lambda rng: {"a": 1},
    lambda rng: object(), lambda rng: object, lambda rng: len, lambda rng: np.array(5.0),
    lambda rng: np.array([]), lambda rng: np.array(["a"]), lambda rng: np.array([None, 1]),
    lambda rng: np.zeros((2, 3, 4)), lambda rng: rng.standard_normal(7),
    lambda rng: np.ma.masked, lambda rng: np.ma.masked_all(4),
    lambda rng: np.datetime64("2026-01-01"), lambda rng: np.zeros(3, dtype=[("a", float)]),
    lambda rng: float(10.0 ** rng.uniform(-300, 300)),
    lambda rng: -float(10.0 ** rng.uniform(-3, 9)), lambda rng: int(rng.integers(0, 2**31)),
    lambda rng: 5 * u.kg, lambda rng: np.nan * u.AA, lambda rng: 5 * u.ABmag, lambda rng: 5 * u.mag,
    lambda rng: [1, 2] * u.AA, lambda rng: 5 * u.km / u.s, lambda rng: 5 * u.cm**2,
    lambda rng: 5 * u.ct / u.s, lambda rng: u.AA, lambda rng: range(3), lambda rng: slice(1, 2),
    lambda rng: np.random.default_rng(1), lambda rng: (0.1, 0.2), lambda rng: 10.0 * u.deg_C,
)
#: Units, of light and of other things.
UNITS = ("", "Jy", "mJy", "erg / (s cm2 Angstrom)", "W / (m2 um)", "erg / (s cm2 Hz)",
         "ph / (s cm2 Angstrom)", "ct", "electron / s", "adu", "DN / s",
         "erg / (s cm2 Angstrom sr)", "%", "mag", "kg", "K", "m", "dB", "Jy / beam", "s",
         "1 / Angstrom", "deg_C", "rad", "bit")


def junk(rng):
    """One of the values."""
    return JUNK[rng.integers(len(JUNK))](rng)
