"""Responses from simulated fields: errors and pulls, time and memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.response.fit import fit_response, fit_responses
from sedflux.simulate.simulator import Simulator
from sedflux.validation.cells import INTERVAL
from sedflux.validation.response_parts import interval_errors
from sedflux.validation.speed import peak_memory

if TYPE_CHECKING:
    from sedflux.response.curve import ResponseCurve
    from sedflux.simulate.field import SimulatedField

__all__ = ["field_outcome", "field_study", "fit_errors", "outcome_statistics", "scaling",
           "study_fields"]

#: Least fraction of the fields with a good response in an interval that is scored.
_LEAST_GOOD = 0.9
#: Fields between two reports of progress.
_REPORT_EVERY = 20
#: Largest number of stars that are simulated to measure the time; further ones are copies of them.
_MOST_SIMULATED = 1000
#: Threads for the fits of the bands.
_THREADS = 2

_log = logging.getLogger(__name__)


def fit_errors(simulator: Simulator) -> dict[str, Any]:
    """Options of the fits: the errors that the simulation has."""
    settings = simulator.settings
    return {"grey_error": settings.grey_error,
            "wavelength_error": settings.wavelength_error * u.AA}


def field_study(simulator: Simulator, *, size: int = 80, realisations: int = 200,
                seed: int = 1000) -> tuple[Table, Table]:
    """
    Errors and pulls of responses from many simulated fields.

    Each field is fitted with the full covariances of the SEDs and with their diagonals.

    Parameters
    ----------
    simulator : `~sedflux.simulate.simulator.Simulator`
    size : int, optional
        Stars in a field.
    realisations : int, optional
        Number of fields.
    seed : int, optional
        Of the first field.

    Returns
    -------
    summary : `~astropy.table.Table`
        One row per band and covariance: median sigma over intervals, scatter and mean of the
        pulls, largest bias in sigma, chi-square, and per field the outliers missed and the
        good stars rejected.
    detail : `~astropy.table.Table`
        One row per band, covariance and interval.
    """
    options = fit_errors(simulator)

    def fits(field):
        for way, responses in _fits(field, options).items():
            for name, response in responses.items():
                yield name, way, field, response

    return study_fields(simulator, fits, column="covariance", size=size,
                        realisations=realisations, seed=seed)


def study_fields(simulator: Simulator, fits: Callable[[SimulatedField], Iterable[Any]], *,
                 column: str, size: int, realisations: int, seed: int,
                 report_every: int = _REPORT_EVERY) -> tuple[Table, Table]:
    """
    Errors and pulls of responses that are fitted to many simulated fields in several ways.

    Parameters
    ----------
    simulator : `~sedflux.simulate.simulator.Simulator`
    fits : callable
        Gives of a field, for each fit: the band, the name of the way, the field with the stars
        that were fitted, and the response.
    column : str
        Of the tables, for the ways.
    size, realisations, seed
        See `field_study`.
    report_every : int, optional
        Fields between two reports of progress.

    Returns
    -------
    summary, detail : `~astropy.table.Table`
        See `field_study`.
    """
    found: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    begin = time.perf_counter()
    for number in range(realisations):
        for name, way, field, response in fits(simulator.draw(size, seed=seed + number)):
            found.setdefault((name, way), []).append(field_outcome(field, name, response))
        if (number + 1) % report_every == 0:
            _log.info("%d fields, %.0f s", number + 1, time.perf_counter() - begin)
    summary, detail = [], []
    for (name, way), outcomes in found.items():
        row, intervals = outcome_statistics(outcomes)
        label = {"band": name, column: way}
        summary.append(label | row)
        detail += [label | interval for interval in intervals]
    return Table(summary), Table(detail)


def _fits(field, options):
    """Responses of all bands with full covariances, and of the same stars with diagonals."""
    full = fit_responses(field.counts, field.seds, field.bands, names=field.names, **options)
    diagonal = {name: fit_response(
        field.counts[name], field.seds, band=field.bands[name], names=field.names,
        covariance="diagonal", robust=False,
        exclude={row["name"]: "left out" for row in response.stars if not row["used"]},
        **options) for name, response in full.items()}
    return {"full": full, "diagonal": diagonal}


def field_outcome(field: SimulatedField, name: str, response: ResponseCurve) -> tuple[Any, ...]:
    """
    Intervals with error and sigma, reduced chi-square, missed and false outliers.

    Parameters
    ----------
    field : `~sedflux.simulate.field.SimulatedField`
    name : str
        Of the band.
    response : `~sedflux.ResponseCurve`
    """
    throughput = field.bands[name].throughput
    assert throughput is not None
    assert response.stars is not None
    outliers = set(np.asarray(field.truth["name"])[np.asarray(field.truth["outlier"]) != ""])
    out = {row["name"] for row in response.stars if not row["used"]}
    return (*interval_errors(response, throughput),
            response.chi2 / response.degrees_of_freedom, len(outliers - out), len(out - outliers))


def outcome_statistics(outcomes: Sequence[tuple[Any, ...]]
                       ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """
    Row of a summary, and rows of its intervals, of several fields.

    Parameters
    ----------
    outcomes : sequence of tuple
        From `field_outcome`.
    """
    middle = outcomes[0][0]
    error, sigma = (np.array([outcome[i] for outcome in outcomes]) for i in (1, 2))
    least = max(_LEAST_GOOD * len(outcomes), 2)
    known = np.isfinite(error).sum(axis=0) >= least
    if not known.any():
        raise InputError("the responses are good in no interval; simulate more stars per field")
    middle, error, sigma = middle[known], error[:, known], sigma[:, known]
    pull = error / sigma
    bias = np.nanmean(pull, axis=0)
    chi2, missed, false = (np.mean([outcome[i] for outcome in outcomes]) for i in (3, 4, 5))
    summary = {
        "fields": len(outcomes),
        "begin": middle[0] - 0.5 * INTERVAL, "end": middle[-1] + 0.5 * INTERVAL,
        "sigma": np.nanmedian(sigma),
        "pull": np.nanstd(pull), "scatter": np.nanmean(np.nanstd(pull, axis=0)),
        "bias": np.abs(bias).max(), "mean_bias": bias.mean(),
        "chi2": chi2, "missed": missed, "false": false}
    intervals = [{"wavelength": wavelength, "sigma": np.nanmedian(sigma[:, index]),
                  "error": np.nanstd(error[:, index]), "mean": np.nanmean(error[:, index]),
                  "pull": np.nanstd(pull[:, index]), "bias": bias[index]}
                 for index, wavelength in enumerate(middle)]
    return summary, intervals


def scaling(simulator: Simulator, sizes: Sequence[int], *, seed: int = 1) -> Table:
    """
    Time and memory of fits against the number of stars.

    Above a thousand stars, simulated spectra are used repeatedly.

    Parameters
    ----------
    simulator : `~sedflux.simulate.simulator.Simulator`
    sizes : sequence of int
        Numbers of stars.
    seed : int, optional

    Returns
    -------
    table : `~astropy.table.Table`
        One row per number of stars: ``seconds`` for all bands, and ``memory``, the largest
        memory of the process so far in GB, spectra included.  ``meta["bands"]`` is the number
        of bands.
    """
    options = fit_errors(simulator)
    field = simulator.draw(min(max(sizes), _MOST_SIMULATED), seed=seed)
    rows = []
    for size in sizes:
        index = np.arange(size) % len(field.seds)
        seds = [field.seds[i] for i in index]
        counts = {name: [values[i] for i in index] for name, values in field.counts.items()}

        def fit(name, counts=counts, seds=seds):
            return fit_response(counts[name], seds, band=field.bands[name], **options)

        begin = time.perf_counter()
        with ThreadPoolExecutor(max_workers=_THREADS) as pool:
            list(pool.map(fit, field.bands))
        seconds = time.perf_counter() - begin
        _log.info("%d stars: %.2f s", size, seconds)
        rows.append({"stars": size, "seconds": seconds, "memory": peak_memory()})
    return Table(rows, meta={"bands": len(field.bands)})
