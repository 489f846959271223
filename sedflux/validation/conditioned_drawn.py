"""
What magnitudes add to lines, for stars that are drawn from their predictions.

The truth is known there: errors must fall as the Fisher information of lines and magnitudes says,
pulls must be one, and wrong magnitudes, wrong stars and variable stars must be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from scipy.stats import truncnorm

from sedflux.conditioning.condition import condition
from sedflux.conditioning.result import ConditionedSEDs
from sedflux.photometry import band_rows
from sedflux.predict.prediction import SEDPrediction
from sedflux.slitless.throughput import Throughput
from sedflux.spectra.reddening import extinction_curve
from sedflux.units import MAG_PER_LN

__all__ = ["conditioned_drawn_table"]

#: Ends (Angstrom) of boxes in the place of bands.
_BOXES = {"G": (3300, 10400), "BP": (3300, 6800), "RP": (6300, 10400), "u": (3200, 3900),
          "g": (4000, 5500), "r": (5500, 6900), "i": (6900, 8200), "z": (8200, 9800)}
#: Magnitudes that are given.
_SETS = {"r": ("r",), "G, BP, RP": ("G", "BP", "RP"), "g, r, i, z": ("g", "r", "i", "z"),
         "u, g, r, i, z": ("u", "g", "r", "i", "z")}
#: Most stars, and draws of each.
_STARS, _DRAWS = 100, 10
#: Error of a magnitude, and of a wrong one (mag); E(B-V) and its error.
_ERROR, _WRONG, _DUST = 0.02, 0.3, (0.05, 0.03)
#: Amplitude (mag) of a variable star, whose bands are measured at different times.
_AMPLITUDE = 0.3
#: Wavelength (Angstrom) below which errors are compared.
_BLUE = 3500.0
#: p-value below which a star is suspicious, and difference in temperature (K) of a wrong star.
_SUSPICIOUS, _OTHER = 1e-3, 1000.0


@dataclass(frozen=True)
class _Drawn:
    """N drawn stars: predictions, ln(flux) as seen (N, n), E(B-V), and magnitudes by band."""

    prediction: SEDPrediction
    truth: np.ndarray
    ebv: np.ndarray
    magnitudes: dict[str, np.ndarray]
    teff: np.ndarray


def conditioned_drawn_table(predictions: Sequence[SEDPrediction], *, seed: int = 14) -> Table:
    """
    Errors, pulls and tests of stars that are drawn from their predictions.

    Parameters
    ----------
    predictions : sequence of `~sedflux.SEDPrediction`
        One a star; of many, every so many is taken.
    seed : int, optional

    Returns
    -------
    table : `~astropy.table.Table`
        One row for each set of magnitudes: ``sigma``, the median error of ln(flux) below 3500
        Angstrom; ``information``, the same by the Fisher information; ``factor``, by which it is
        smaller than with r alone; rms of the ``pulls`` of the SED there, of the magnitudes and of
        E(B-V); and the shares of wrong magnitudes, of wrong stars and of ``variables`` with
        p < 0.001.  A variable changes as a sine, and each band has a phase of its own.
    """
    rng = np.random.default_rng(seed)
    predictions = predictions[::-(-len(predictions) // _STARS)]
    elements = {name: Throughput(np.array([low, low + 1.0, high - 1.0, high]),
                                 np.array([0.0, 1.0, 1.0, 0.0])).to_synphot()
                for name, (low, high) in _BOXES.items()}
    drawn = _draw(predictions, elements, rng)
    blue = drawn.prediction.wavelength < _BLUE
    rows: list[dict[str, Any]] = []
    for name, bands in _SETS.items():
        given = {band: drawn.magnitudes[band] for band in bands}
        found = _condition(drawn, given, elements)
        sigma = (found.sigma / found.flux)[:, blue]
        pulls = (np.log(found.flux) - drawn.truth)[:, blue] / sigma
        away = (found.reddening - drawn.ebv) ** 2
        row = {"given": name, "stars": len(drawn.ebv), "sigma": float(np.median(sigma)),
               "information": float(np.median(_information(drawn, bands, elements)[:, blue])),
               "pulls": _rms(pulls), "pulls_of_bands": _rms(found.pulls),
               "pulls_of_dust": float(np.sqrt(away.mean()
                                              / np.mean(found.reddening_error**2)))}
        rows.append(row | _found(drawn, given, elements) | _variables(drawn, given, elements, seed))
    for row in rows:
        row["factor"] = rows[0]["sigma"] / row["sigma"]
    return Table(rows)


def _draw(predictions, elements, rng):
    """Stars with errors as their predictions say, behind dust."""
    count = _DRAWS * len(predictions)
    rank = max(len(one.factor) for one in predictions)
    stack = [np.repeat(np.stack(parts), _DRAWS, axis=0) for parts in zip(*(
        (one.flux, one.diagonal, np.pad(one.factor, ((0, rank - len(one.factor)), (0, 0))))
        for one in predictions), strict=True)]
    prediction = SEDPrediction(predictions[0].wavelength, *stack, ((),) * count)
    ebv = rng.normal(*_DUST, 2 * count)
    ebv = ebv[ebv >= 0][:count]
    errors = np.concatenate([one.relative_covariance.sample(_DRAWS, rng) for one in predictions])
    truth = (np.log(prediction.flux) + errors + rng.uniform(-32.0, -30.0, count)[:, None]
             + ebv[:, None] * extinction_curve(prediction.wavelength))
    names, (rows, zero) = band_rows(prediction.wavelength, elements)
    exact = zero - 2.5 * np.log10(np.exp(truth) @ rows.T)
    noisy = exact + _ERROR * rng.standard_normal(exact.shape)
    teff = np.repeat([float(one.diagnostics.get("teff", np.nan)) for one in predictions], _DRAWS)
    return _Drawn(prediction, truth, ebv, dict(zip(names, noisy.T, strict=True)), teff)


def _condition(drawn, magnitudes, elements) -> ConditionedSEDs:
    pairs = {name: (value, np.full(len(value), _ERROR)) for name, value in magnitudes.items()}
    return condition(drawn.prediction, pairs, elements, reddening=_DUST)


def _rms(values):
    """Root mean square of what is finite; NaN if nothing is."""
    values = values[np.isfinite(values)]
    return float(np.sqrt((values**2).mean())) if values.size else np.nan


def _found(drawn, given, elements):
    """Shares of wrong magnitudes, of one band after the other, and of wrong stars that are seen."""
    if len(given) < 2:
        return {"wrong_magnitudes": np.nan, "wrong_stars": np.nan}
    shares = [np.mean(_condition(drawn, given | {band: given[band] + _WRONG}, elements).p_value
                      < _SUSPICIOUS) for band in given]
    # The magnitudes of the next star but one.
    step = 2 * _DRAWS
    other = np.abs(np.roll(drawn.teff, step) - drawn.teff) > _OTHER
    p_value = _condition(drawn, {band: np.roll(value, step) for band, value in given.items()},
                         elements).p_value
    return {"wrong_magnitudes": float(np.mean(shares)),
            "wrong_stars": float(np.mean(p_value[other] < _SUSPICIOUS)) if other.any() else np.nan}


def _variables(drawn, given, elements, seed):
    """Share of variable stars that are seen: the bands of each are at phases of their own."""
    if len(given) < 2:
        return {"variables": np.nan}
    phases = np.random.default_rng(seed).uniform(0.0, 2.0 * np.pi, (len(drawn.ebv), len(given)))
    changed = {band: value + _AMPLITUDE * np.sin(phase)
               for (band, value), phase in zip(given.items(), phases.T, strict=True)}
    return {"variables": float(np.mean(_condition(drawn, changed, elements).p_value < _SUSPICIOUS))}


def _information(drawn, bands, elements):
    """Errors of ln(flux) by the information of lines and magnitudes, dense, (N, n)."""
    prediction = drawn.prediction
    curve = extinction_curve(prediction.wavelength)
    # The standard deviation of the prior, which zero cuts.
    dust = truncnorm(-_DUST[0] / _DUST[1], np.inf, scale=_DUST[1]).std()
    _, (rows, _) = band_rows(prediction.wavelength, {band: elements[band] for band in bands})
    sigma = np.empty_like(drawn.truth)
    for number, truth in enumerate(drawn.truth):
        share = rows * np.exp(truth - truth.max())
        share /= share.sum(axis=1, keepdims=True)
        design = np.vstack([prediction.factor[number], dust * curve, np.ones_like(curve)])
        change = -MAG_PER_LN * design @ share.T
        noise = (_ERROR**2 * np.eye(len(bands))
                 + MAG_PER_LN**2 * (share * prediction.diagonal[number]) @ share.T)
        prior = np.diag(np.r_[np.ones(len(design) - 1), 0.0])
        covariance = np.linalg.inv(change @ np.linalg.solve(noise, change.T) + prior)
        variance = np.einsum("rn,rs,sn->n", design, covariance, design)
        sigma[number] = np.sqrt(variance + prediction.diagonal[number])
    return sigma
