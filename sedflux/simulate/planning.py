"""
Number and kind of stars for a response of a given precision.

A field is simulated and fitted once.  The information of a star at a wavelength is the inverse
variance of ln(response) from this star alone, with all of its errors; the information of several
stars adds up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.libraries.labels import TEFF_EDGES
from sedflux.response.fit import fit_response
from sedflux.response.solve import star_information
from sedflux.simulate.settings import FieldSettings
from sedflux.simulate.simulator import Simulator
from sedflux.simulate.white_dwarfs import WhiteDwarfs, checked_white_dwarfs
from sedflux.slitless.instrument import SlitlessBand
from sedflux.units import positive_number, whole_number

if TYPE_CHECKING:
    from sedflux.libraries.library import SpectralLibrary
    from sedflux.response.curve import ResponseCurve

__all__ = ["INTERVAL", "CalibrationPlan", "plan_calibration"]

#: Number of simulated stars, large enough for several in each class.
_SIMULATED_STARS = 240
#: Number of simulated white dwarfs: they are of one kind.
_SIMULATED_WHITE_DWARFS = 40
#: Width (Angstrom) of the intervals in which the precision and errors of responses are given.
INTERVAL = 50.0
#: Smallest information, so that its inverse is finite.
_MIN_INFORMATION = 1e-30
#: Share of the wavelengths at which the stars of a class must reach the precision.
_CLASS_QUANTILE = 0.9


@dataclass(frozen=True, eq=False, repr=False)
class CalibrationPlan:
    """
    Stars and exposures for a precision.

    Attributes
    ----------
    precision : float
        Wanted statistical error of ln(response).
    wavelength : `~numpy.ndarray`, shape (n,)
        Centres of intervals of 50 Angstrom, in Angstrom.
    stars_needed : `~numpy.ndarray`, shape (n,)
        Number of average stars of the field for the precision.
    stars_needed_best : `~numpy.ndarray`, shape (n,)
        The same if the best stars at each wavelength are chosen.
    one_exposure : `~numpy.ndarray`, shape (n,)
        Error from one exposure with ``stars_per_exposure`` stars.
    exposures_needed : `~numpy.ndarray`, shape (n,)
        Number of exposures of different fields for the precision.
    classes : `~astropy.table.Table`
        One row per class of temperature, magnitude and S/N of the R = 2000 spectrum: number of
        simulated stars, error from one star (median over wavelength), and number of stars for the
        precision at nine in ten wavelengths.
    floor : `~numpy.ndarray`, shape (n,)
        Error that all stars have in common, which more stars do not reduce.
    white_dwarfs : `~astropy.table.Table` or None
        What white dwarfs add, if they are asked for; one row per interval: errors from one
        average star and one average white dwarf, number of average stars with the information of
        one white dwarf, and errors of one exposure with its stars, with its white dwarfs, and with
        both.  ``meta["expected"]`` is the mean number of white dwarfs in an exposure.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from sedflux.simulate.planning import CalibrationPlan
    >>> plan = CalibrationPlan(
    ...     precision=0.005, wavelength=[4025.0, 4075.0], stars_needed=[40, 32],
    ...     stars_needed_best=[25, 20], one_exposure=[0.0035, 0.0032], exposures_needed=[1, 1],
    ...     classes=Table(), floor=[0.02, 0.02])
    >>> plan.to_table()["best_stars"].tolist()
    [25, 20]
    """

    precision: float
    wavelength: np.ndarray
    stars_needed: np.ndarray
    stars_needed_best: np.ndarray
    one_exposure: np.ndarray
    exposures_needed: np.ndarray
    classes: Table
    floor: np.ndarray
    white_dwarfs: Table | None = None

    def __repr__(self) -> str:
        return (f"<CalibrationPlan for errors of {self.precision:.2%} at {len(self.wavelength)} "
                "wavelengths>")

    def to_table(self) -> Table:
        """
        The numbers against wavelength as a table.

        Returns
        -------
        table : `~astropy.table.Table`
        """
        return Table({"wavelength": self.wavelength * u.AA, "stars": self.stars_needed,
                      "best_stars": self.stars_needed_best, "one_exposure": self.one_exposure,
                      "exposures": self.exposures_needed, "floor": self.floor})


def plan_calibration(band: SlitlessBand, *, precision: float = 0.005, stars_per_exposure: int = 80,
                     settings: FieldSettings | None = None, library: SpectralLibrary | None = None,
                     model: Any = None, white_dwarfs: WhiteDwarfs | int | None = None,
                     seed: int = 0) -> CalibrationPlan:
    """
    Plan which and how many stars calibrate a slitless band to a precision.

    Parameters
    ----------
    band : `~sedflux.SlitlessBand`
        With a throughput; an estimate is enough.
    precision : float, optional
        Wanted statistical error of ln(response) in each interval of 50 Angstrom.
    stars_per_exposure : int, optional
        Stars with R = 2000 spectra in one exposure.
    settings : `~sedflux.simulate.settings.FieldSettings`, optional
        Magnitudes, S/N, errors of dust and magnitudes, exposure time.
    library, model : optional
        See `~sedflux.simulate.simulator.Simulator`.
    white_dwarfs : `~sedflux.simulate.white_dwarfs.WhiteDwarfs` or int, optional
        Hydrogen white dwarfs of one exposure, or their number; by default there are none.
    seed : int, optional

    Returns
    -------
    plan : `CalibrationPlan`

    Raises
    ------
    sedflux.exceptions.InputError
        If an argument is of another type or out of range, or the band has no throughput.

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
    dwarfs = checked_white_dwarfs(white_dwarfs)
    simulated = None if dwarfs is None else replace(dwarfs, area=None,
                                                    number=_SIMULATED_WHITE_DWARFS)
    field = Simulator({band.name: band}, settings, library=library, model=model,
                      white_dwarfs=simulated).draw(_SIMULATED_STARS, seed=seed)
    response = fit_response(
        field.counts[band.name], field.seds, band=band, grey_error=settings.grey_error,
        wavelength_error=settings.wavelength_error, names=field.names)
    wavelength, names, everything = _information(response)
    truth = field.truth[[field.names.index(name) for name in names]]
    ordinary = np.asarray(truth["kind"]) == "star"
    information, truth = everything[ordinary], truth[ordinary]
    number = len(information)
    mean = np.maximum(information.mean(axis=0), _MIN_INFORMATION)
    needed = np.ceil(precision**-2 / mean)
    ordered = -np.sort(-information, axis=0)
    best = (np.cumsum(ordered, axis=0) < precision**-2).sum(axis=0) + 1
    one_exposure = 1.0 / np.sqrt(stars_per_exposure * mean)
    shared = sum(part.variance for part in response.systematics.values())
    return CalibrationPlan(
        precision, wavelength, needed, np.where(best > number, needed, best), one_exposure,
        np.ceil((one_exposure / precision) ** 2), _classes(truth, information, precision),
        np.interp(wavelength, response.wavelength, np.sqrt(shared)),
        None if dwarfs is None or ordinary.all() else _white_dwarf_table(
            wavelength, mean, everything[~ordinary], stars_per_exposure, dwarfs.expected))


def _white_dwarf_table(wavelength, star, information, stars, expected):
    """What white dwarfs add to the stars of an exposure, by wavelength."""
    dwarf = np.maximum(information.mean(axis=0), _MIN_INFORMATION)
    table = Table({
        "wavelength": wavelength * u.AA, "star": 1.0 / np.sqrt(star),
        "white_dwarf": 1.0 / np.sqrt(dwarf), "stars_per_white_dwarf": dwarf / star,
        "stars": 1.0 / np.sqrt(stars * star),
        "white_dwarfs": 1.0 / np.sqrt(np.maximum(expected * dwarf, _MIN_INFORMATION)),
        "both": 1.0 / np.sqrt(stars * star + expected * dwarf)})
    table.meta["expected"] = expected
    return table


def _information(response: ResponseCurve) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Intervals where the response is good, names of the stars, and information (N, n)."""
    problem = response.problem
    if problem is None:
        raise InputError("response comes from a file, without its linear problem; fit it again")
    low, high = response.wavelength_range
    edges = np.arange(low, high + 1e-6, INTERVAL)
    if edges.size < 2:
        raise InputError(f"the response is good over less than {INTERVAL:.0f} Angstrom, too little "
                         "for a plan; choose brighter stars or longer exposures")
    common = np.square(problem.factor, dtype=float).sum(axis=1)
    found = []
    for begin, end in pairwise(edges):
        inside = (response.wavelength >= begin) & (response.wavelength < end)
        # Within an interval the errors of an SED are nearly constant, and photons add up.
        weight = problem.weight[:, inside].sum(axis=1)
        factor = np.sqrt(common[:, None, inside].mean(axis=2, keepdims=True))
        diagonal = problem.diagonal[:, inside].mean(axis=1, keepdims=True)
        found.append(star_information(factor, weight[:, None], diagonal,
                                      problem.inflation)[:, 0])
    return 0.5 * (edges[:-1] + edges[1:]), list(map(str, problem.name)), np.stack(found, axis=1)


def _classes(truth, information, precision):
    """Table of the classes of stars."""
    bright = float(np.median(truth["magnitude"]))
    clean = float(np.median(truth["snr"]))
    rows = []
    for low, high in pairwise(TEFF_EDGES):
        for faint in (False, True):
            for noisy in (False, True):
                inside = ((truth["teff"] >= low) & (truth["teff"] < high)
                          & ((truth["magnitude"] > bright) == faint)
                          & ((truth["snr"] < clean) == noisy))
                if inside.sum() < 2:
                    continue
                mean = np.maximum(information[inside].mean(axis=0), _MIN_INFORMATION)
                rows.append({
                    "teff": low, "teff_end": high,
                    "magnitude": f"{'>' if faint else '<'} {bright:.1f}",
                    "snr": f"{'<' if noisy else '>'} {clean:.0f}", "stars": int(inside.sum()),
                    "error": float(np.median(1.0 / np.sqrt(mean))),
                    "needed": int(np.ceil(np.quantile(precision**-2 / mean, _CLASS_QUANTILE)))})
    return Table(rows)
