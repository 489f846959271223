"""
Quality of a response curve: error budget, leave-one-out, split halves, overlaps of bands.

All but the overlaps use the linear problem at the solution, with which a hundred fits without one
star take as long as one full fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.stats import mad_std
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.response.counts import count_arrays
from sedflux.response.solve import star_statistics
from sedflux.units import finite_array, whole_number

if TYPE_CHECKING:
    from specutils import Spectrum

    from sedflux.response.curve import ResponseCurve

__all__ = ["error_budget", "leave_one_out", "overlap_consistency", "split_half"]


def _problem(response):
    if response.problem is None:
        raise InputError("response comes from a file, without its linear problem; measure its "
                         "quality right after fit_response")
    return response.problem


def _weighted_design(problem, row):
    """``C^-1 Phi`` of one star, (g, n), and the inverse variance of its noise, (g,)."""
    weight = problem.weight[row] / (1.0 + problem.weight[row] * problem.diagonal[row])
    factor = problem.factor[row].astype(float) * np.sqrt(problem.inflation[row])
    blocks = problem.design.blocks(np.array([row]))
    phi = np.concatenate([term[0] * basis for term, basis in blocks], axis=1)
    weighted = factor * weight
    core = np.eye(len(factor)) + weighted @ factor.T
    return weight[:, None] * phi - weighted.T @ np.linalg.solve(core, weighted @ phi), weight


def error_budget(response: ResponseCurve) -> Table:
    """
    Contributions to the error of a response, against wavelength.

    Parameters
    ----------
    response : `~sedflux.ResponseCurve`
        From `~sedflux.fit_response`, not from a file.

    Returns
    -------
    table : `~astropy.table.Table`
        ``wavelength`` and one sigma of ln(response) from: ``photons`` (noise of the counts),
        ``sed`` (errors of predicted SEDs), ``reddening``, ``anchor``, ``extraction`` (grey
        and wavelength errors), ``smoothness`` (the prior), their sum ``statistical``, each of
        ``response.systematics``, which all stars share, and ``total``.

    Examples
    --------
    >>> from sedflux import error_budget, fit_response, get_instrument, simulate_field
    >>> band = get_instrument("lookalike").bands["GV"]
    >>> field = simulate_field({"GV": band}, size=8, seed=1, outliers=0.0)
    >>> response = fit_response(field.counts["GV"], field.seds, band=band, grey_error=0.01,
    ...                         wavelength_error=0.5)
    >>> budget = error_budget(response)
    >>> budget.colnames[:4], bool((budget["total"] >= budget["statistical"]).all())
    (['wavelength', 'photons', 'sed', 'reddening'], True)
    """
    problem = _problem(response).as_informative()
    size = problem.design.size
    origins = {name: np.zeros((size, size))
               for name in ("photons", "sed", "reddening", "anchor", "extraction")}
    extraction = int(problem.options.grey_error > 0) + int(problem.options.shift_error > 0)
    for row in problem.used:
        design, weight = _weighted_design(problem, row)
        noise = np.divide(1.0, weight, out=np.zeros_like(weight), where=weight > 0)
        origins["photons"] += design.T @ (noise[:, None] * design)
        factor = problem.factor[row].astype(float)
        # Grey and wavelength errors are the last rows of the factor.
        extracted = factor[len(factor) - extraction:] @ design
        origins["extraction"] += extracted.T @ extracted
        sed = np.sqrt(problem.inflation[row]) * factor @ design
        origins["sed"] += sed.T @ sed - extracted.T @ extracted
        for name in ("reddening", "anchor"):
            if name in problem.parts:
                one = problem.parts[name][row] @ design
                origins[name] += np.outer(one, one)
    for name in ("reddening", "anchor"):
        origins["sed"] -= origins[name]
    half = response.basis(response.wavelength) @ np.linalg.inv(problem.inverse)
    table = Table({"wavelength": response.wavelength * u.AA})
    rest = response.covariance.variance
    for name, matrix in origins.items():
        variance = np.clip((half @ matrix * half).sum(axis=1), 0.0, None)
        table[name] = np.sqrt(variance)
        rest = rest - variance
    table["smoothness"] = np.sqrt(np.clip(rest, 0.0, None))
    table["statistical"] = response.covariance.sigma
    for name, shared in response.systematics.items():
        table[name] = shared.sigma
    table["total"] = response.total_covariance.sigma
    table["good"] = response.good
    return table


def leave_one_out(response: ResponseCurve) -> Table:
    """
    Influence of each star on the response, and its deviation from the others (leave-one-out).

    Parameters
    ----------
    response : `~sedflux.ResponseCurve`
        Fresh from `~sedflux.fit_response`.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per star that was used: its ``name``; ``influence``, the largest change of the
        response without the star, in sigma; ``sed_chi2``, the chi-square of the star against
        the response of all others, over ``sed_number`` directions; and the ``largest``
        deviation along one of them, in sigma.

    Examples
    --------
    >>> from sedflux import fit_response, get_instrument, simulate_field
    >>> band = get_instrument("lookalike").bands["GV"]
    >>> field = simulate_field({"GV": band}, size=8, seed=1, outliers=0.0)
    >>> response = fit_response(field.counts["GV"], field.seds, band=band, grey_error=0.01,
    ...                         wavelength_error=0.5)
    >>> from sedflux.response.quality import leave_one_out
    >>> leave_one_out(response).colnames
    ['name', 'influence', 'sed_chi2', 'sed_number', 'largest']
    """
    problem = _problem(response)
    basis, sigma = response.basis(response.wavelength), response.covariance.sigma
    rows = []
    for row in problem.used:
        one = problem.take([row])
        normal, right = one.normal_equations()
        step = -np.linalg.solve(problem.inverse - normal, right)
        change = one.design.log_response(step)[0]
        found = star_statistics(one.factor, one.weight, one.diagonal, one.residual - change)
        moved = np.abs(basis @ step / sigma)[response.good]
        rows.append({"name": str(problem.name[row]), "influence": float(moved.max(initial=0.0)),
                     "sed_chi2": float(found.sed_chi2[0]),
                     "sed_number": int(found.sed_number[0]),
                     "largest": float(found.largest[0])})
    return Table(rows)


def split_half(response: ResponseCurve, *, seed: int = 0) -> Table:
    """
    Compare the responses from two halves of the stars.

    Parameters
    ----------
    response : `~sedflux.ResponseCurve`
        Fresh from `~sedflux.fit_response`, of four stars or more.
    seed : int, optional
        Seed of the random split.

    Returns
    -------
    table : `~astropy.table.Table`
        ``wavelength``, ``difference`` of ln(response) between the halves, its expected
        ``sigma``, and ``good``.

    Examples
    --------
    >>> from sedflux import fit_response, get_instrument, simulate_field
    >>> band = get_instrument("lookalike").bands["GV"]
    >>> field = simulate_field({"GV": band}, size=8, seed=1, outliers=0.0)
    >>> response = fit_response(field.counts["GV"], field.seds, band=band, grey_error=0.01,
    ...                         wavelength_error=0.5)
    >>> from sedflux.response.quality import split_half
    >>> halves = split_half(response, seed=1)
    >>> bool((halves["sigma"][halves["good"]] > 0).all())
    True
    """
    problem, seed = _problem(response), whole_number(seed, "seed")
    used = problem.used
    if used.size < 4:
        raise InputError(f"{used.size} stars were used; two halves need four or more")
    used = np.random.default_rng(seed).permutation(used)
    basis = response.basis(response.wavelength)
    steps, variances = [], []
    for rows in np.array_split(used, 2):
        normal, right = problem.take(rows).normal_equations()
        # Steps start at the solution of all stars, where the prior is already balanced by the data.
        inverse = np.linalg.inv(normal + problem.prior)
        steps.append(basis @ (inverse @ right))
        variances.append((basis @ (inverse @ normal @ inverse) * basis).sum(axis=1))
    return Table({"wavelength": response.wavelength * u.AA, "difference": steps[0] - steps[1],
                  "sigma": np.sqrt(variances[0] + variances[1]), "good": response.good})


def overlap_consistency(first: Sequence[Spectrum], second: Sequence[Spectrum],
                        first_response: ResponseCurve, second_response: ResponseCurve, *,
                        wavelength_range: Sequence[float] | u.Quantity | None = None) -> Table:
    """
    Compare the fluxes of the same stars in two bands where the bands overlap.

    Parameters
    ----------
    first, second : sequence of `~specutils.Spectrum`
        Count rates of the same stars in both bands.
    first_response, second_response : `~sedflux.ResponseCurve`
    wavelength_range : tuple of float or `~astropy.units.Quantity`, optional
        First and last wavelength, numbers in Angstrom; by default where both responses are
        good.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per star: ``ratio`` of the mean fluxes minus one and its ``sigma`` (photon noise
        of both).  ``table.meta`` has the median over stars as ``mean``, the ``scatter`` (from the
        median absolute deviation), the ``error`` of the mean from this scatter, and the error
        that the covariances of the responses give, as ``allowed``.

    Raises
    ------
    sedflux.exceptions.InputError
        If the bands do not overlap, or no star has pixels there.

    Examples
    --------
    >>> from sedflux import ResponseCurve, get_instrument, simulate_field
    >>> from sedflux.response.quality import overlap_consistency
    >>> bands = get_instrument("lookalike").bands
    >>> bands = {name: bands[name] for name in ("GV", "GI")}
    >>> field = simulate_field(bands, size=8, seed=1, outliers=0.0)
    >>> responses = {name: ResponseCurve.from_throughput(band.throughput, area=band.area)
    ...              for name, band in bands.items()}
    >>> table = overlap_consistency(field.counts["GV"], field.counts["GI"], responses["GV"],
    ...                             responses["GI"])
    >>> len(table), sorted(table.meta)
    (8, ['allowed', 'error', 'mean', 'range', 'scatter'])
    """
    ranges = first_response.wavelength_range, second_response.wavelength_range
    if len(first) != len(second):
        raise InputError(f"first and second have {len(first)} and {len(second)} spectra; the same "
                         "stars are needed in both bands")
    low, high = max(r[0] for r in ranges), min(r[1] for r in ranges)
    if wavelength_range is not None:
        given = finite_array(wavelength_range, "wavelength_range", u.AA)
        if given.shape != (2,) or not 0 < given[0] < given[1]:
            raise InputError(f"wavelength_range is {wavelength_range}; two positive, ascending "
                             "wavelengths are needed")
        low, high = given.tolist()
    if not low < high:
        raise InputError(f"the responses are good over {ranges[0][0]:.0f}-{ranges[0][1]:.0f} and "
                         f"{ranges[1][0]:.0f}-{ranges[1][1]:.0f} Angstrom; they do not overlap")
    rows = []
    for number, pair in enumerate(zip(first, second, strict=True)):
        one = _mean_flux(pair[0], f"first[{number}]", first_response, low, high)
        other = _mean_flux(pair[1], f"second[{number}]", second_response, low, high)
        if one is None or other is None:
            continue
        (a, da), (b, db) = one, other
        rows.append({"star": number, "ratio": a / b - 1.0,
                     "sigma": float(np.hypot(da / a, db / b))})
    if not rows:
        raise InputError(f"no star has good pixels in both bands at {low:.0f}-{high:.0f} Angstrom")
    table = Table(rows)
    middle = float(np.median(table["ratio"]))
    scatter = float(mad_std(table["ratio"]))
    allowed = 0.0
    for response in (first_response, second_response):
        inside = (response.wavelength >= low) & (response.wavelength <= high) & response.good
        mean = np.full(inside.sum(), 1.0 / max(inside.sum(), 1))
        allowed += float(((response.covariance.factor[:, inside] @ mean) ** 2).sum())
    table.meta |= {"range": (float(low), float(high)), "mean": middle, "scatter": scatter,
                   "error": scatter / np.sqrt(len(rows)), "allowed": float(np.sqrt(allowed))}
    return table


def _mean_flux(counts, label, response, low, high):
    """Mean flux and its photon noise over a range, None without pixels."""
    pixels, _, variance = count_arrays(counts, label)
    inside = (pixels >= low) & (pixels <= high) & np.isfinite(variance)
    if not response.evaluate(pixels)[2][inside].any():
        return None
    flux = response.calibrate(counts, systematics=False)
    wavelength = flux.spectral_axis.value
    inside = (wavelength >= low) & (wavelength <= high) & ~flux.mask
    if inside.sum() < 2:
        return None
    noise = flux.meta["sedflux"]["covariance"].diagonal[inside]
    return float(flux.flux.value[inside].mean()), float(np.sqrt(noise.sum()) / inside.sum())
