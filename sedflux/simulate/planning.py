"""
How many stars, and which, make a response of a wanted precision.

Stars are simulated as they would be seen, and the information that each gives at each
wavelength is added up: inverse variance of its counts over its predicted counts, with all
its errors.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from astropy import units as u
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.response.fit import fit_response
from sedflux.response.solve import star_information
from sedflux.simulate.settings import FieldSettings
from sedflux.simulate.simulator import Simulator
from sedflux.slitless.instrument import SlitlessBand
from sedflux.units import positive_number, whole_number

__all__ = ["CalibrationPlan", "plan_calibration"]

#: Stars whose information is worked out.
_CANDIDATES = 240
_TEFF_EDGES = (4500.0, 5500.0, 6500.0, 8000.0, 10250.0)


@dataclass(frozen=True)
class CalibrationPlan:
    """
    What it takes to reach a precision.

    Attributes
    ----------
    precision : float
        Wanted statistical error of ln(response).
    wavelength : `~numpy.ndarray`, shape (n,)
        Angstrom, centres of intervals of 50.
    stars_needed : `~numpy.ndarray`, shape (n,)
        Typical stars of the field that reach the precision.
    stars_needed_best : `~numpy.ndarray`, shape (n,)
        The same if the best stars at each wavelength are chosen.
    one_exposure : `~numpy.ndarray`, shape (n,)
        Error from one exposure with ``stars_per_exposure`` stars.
    exposures_needed : `~numpy.ndarray`, shape (n,)
        Exposures of other fields until the precision is reached.
    classes : `~astropy.table.Table`
        One row a class of temperature, magnitude and S/N of the R = 2000 spectrum: stars
        simulated, the error that one gives (median over wavelength), and how many reach the
        precision at nine in ten wavelengths.
    floor : `~numpy.ndarray`, shape (n,)
        Common errors that no number of stars lowers.
    """

    precision: float
    wavelength: np.ndarray
    stars_needed: np.ndarray
    stars_needed_best: np.ndarray
    one_exposure: np.ndarray
    exposures_needed: np.ndarray
    classes: Table
    floor: np.ndarray

    def to_table(self):
        """The numbers against wavelength as a table."""
        return Table({"wavelength": self.wavelength * u.AA, "stars": self.stars_needed,
                      "best_stars": self.stars_needed_best, "one_exposure": self.one_exposure,
                      "exposures": self.exposures_needed, "floor": self.floor})


def plan_calibration(band, *, precision=0.005, stars_per_exposure=80, settings=None, library=None,
                     model=None, seed=0):
    """
    How many and which stars calibrate a slitless band to a precision.

    Parameters
    ----------
    band : `~sedflux.SlitlessBand`
        With a throughput, if only a guessed one.
    precision : float, optional
        Wanted statistical error of ln(response) in each interval of 50 Angstrom.
    stars_per_exposure : int, optional
        Stars with R = 2000 spectra in one exposure.
    settings : `~sedflux.simulate.settings.FieldSettings`, optional
        Magnitudes, S/N, errors of dust and magnitudes, exposure time.
    library, model : optional
        See `~sedflux.simulate.simulator.Simulator`.
    seed : int, optional

    Returns
    -------
    plan : `CalibrationPlan`

    Examples
    --------
    >>> from sedflux import get_instrument, plan_calibration
    >>> plan = plan_calibration(get_instrument("lookalike").bands["GV"], precision=0.01)
    >>> bool(plan.stars_needed.max() > plan.stars_needed.min() > 0)
    True
    """
    if not isinstance(band, SlitlessBand):
        raise InputError(f"band is a {type(band).__name__}; a sedflux.SlitlessBand is needed")
    precision = positive_number(precision, "precision")
    if precision >= 1:
        raise InputError(f"precision is {precision}; give a relative error such as 0.005")
    stars_per_exposure = whole_number(stars_per_exposure, "stars_per_exposure", least=1)
    settings = FieldSettings(outliers=0.0) if settings is None else settings
    if not isinstance(settings, FieldSettings):
        raise InputError(f"settings is a {type(settings).__name__}; FieldSettings are needed")
    field = Simulator({band.name: band}, settings, library=library, model=model).draw(
        _CANDIDATES, seed=seed)
    response = fit_response(
        field.counts[band.name], field.seds, band=band, grey_error=settings.grey_error,
        wavelength_error=settings.wavelength_error, names=field.names)
    wavelength, information = _intervals(response)
    used = [field.names.index(name) for name in response.problem.name]
    mean = np.maximum(information.mean(axis=0), 1e-30)
    ordered = -np.sort(-information, axis=0)
    best = (np.cumsum(ordered, axis=0) < precision**-2).sum(axis=0) + 1
    one = 1.0 / np.sqrt(stars_per_exposure * mean)
    floor = np.interp(wavelength, response.wavelength, np.sqrt(
        sum(part.variance for part in response.systematics.values())))
    return CalibrationPlan(
        precision, wavelength, np.ceil(precision**-2 / mean),
        np.where(best > len(used), np.ceil(precision**-2 / mean), best), one,
        np.ceil((one / precision) ** 2), _classes(field.truth[used], information, precision), floor)


def _intervals(response):
    """Information of each star in intervals of 50 Angstrom where the response is good."""
    problem = response.problem
    low, high = response.wavelength_range
    edges = np.arange(low, high + 1e-6, 50.0)
    if edges.size < 2:
        raise InputError("the response is good over less than 50 Angstrom; nothing to plan")
    common = np.square(problem.modes, dtype=float).sum(axis=1)
    found = []
    for begin, end in pairwise(edges):
        inside = (response.wavelength >= begin) & (response.wavelength < end)
        weight = problem.weight[:, inside].sum(axis=1)
        # Errors of SEDs hardly change over an interval, photons add up.
        mode = np.sqrt(common[:, None, inside].mean(axis=2, keepdims=True))
        own = problem.own[:, inside].mean(axis=1, keepdims=True)
        found.append(star_information(mode, weight[:, None], own, problem.inflation)[:, 0])
    return 0.5 * (edges[:-1] + edges[1:]), np.stack(found, axis=1)


def _classes(truth, information, precision):
    """Table of the classes of stars."""
    bright = float(np.median(truth["magnitude"]))
    clean = float(np.median(truth["snr"]))
    rows = []
    for low, high in pairwise(_TEFF_EDGES):
        for faint in (False, True):
            for noisy in (False, True):
                inside = ((truth["teff"] >= low) & (truth["teff"] < high)
                          & ((truth["magnitude"] > bright) == faint)
                          & ((truth["snr"] < clean) == noisy))
                if inside.sum() < 2:
                    continue
                mean = np.maximum(information[inside].mean(axis=0), 1e-30)
                rows.append({
                    "teff": low, "teff_end": high,
                    "magnitude": f"{'>' if faint else '<'} {bright:.1f}",
                    "snr": f"{'<' if noisy else '>'} {clean:.0f}", "stars": int(inside.sum()),
                    "error": float(np.median(1.0 / np.sqrt(mean))),
                    "needed": int(np.ceil(np.quantile(precision**-2 / mean, 0.9)))})
    return Table(rows)
