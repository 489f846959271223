"""
U-B of real stars left out, given their lines and other colours.

B-V and R-I condition predictions from R = 2000 spectra, and U-B tests the result.  A colour
is two magnitudes whose scale is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table

from sedflux.conditioning.bands import short_rows
from sedflux.conditioning.condition import condition_stars
from sedflux.conditioning.dust import Dust, dust_prior
from sedflux.conditioning.magnitudes import Magnitudes
from sedflux.conditioning.result import ConditionedSEDs
from sedflux.predict.prediction import SEDPrediction
from sedflux.spectra.reddening import extinction_curve
from sedflux.training.johnson import COLORS, Johnson, color_responses
from sedflux.training.johnson_scores import NAMES, johnson_residuals
from sedflux.validation.conditioned import score

__all__ = ["conditioned_johnson_table"]

#: Temperatures (K) between which stars are scored together.
_CELLS = ((4500.0, 5500.0), (5500.0, 6500.0), (6500.0, 10750.0), (4500.0, 10750.0))
#: Fewest stars of a cell.
_LEAST_STARS = 3
#: Columns of the table where there are too few stars.
_COLUMNS = ("quantity", "given", "teff", "teff_end", "stars")
#: Indices of the colours that condition, and of the one that is predicted.
_GIVEN, _WANTED = (1, 2), 0
#: Error of E(B-V) of the catalogue, from the star's spectrum (mag).
_ESTIMATE_ERROR = 0.025


def conditioned_johnson_table(labels: np.ndarray, predictions: Sequence[SEDPrediction],
                              johnson: Johnson, weights: Mapping[str, np.ndarray]) -> Table:
    """
    U-B from lines, from lines and B-V, and from lines, B-V and R-I.

    Each time E(B-V) has the prior of parallax and spectrum.  Stars count that are single,
    constant, without a flag, and have all three colours.

    Parameters
    ----------
    labels : `~numpy.ndarray`, shape (N, 3)
        Published TEFF (K), LOGG, FEH.
    predictions : sequence of `~sedflux.SEDPrediction`
        One a star.
    johnson : `~sedflux.training.johnson.Johnson`
        Of the same stars.
    weights : dict
        From `~sedflux.training.johnson.johnson_weights`.

    Returns
    -------
    table : `~astropy.table.Table`
        One row a cell of temperature and treatment: predicted minus measured, in mag; and of
        E(B-V) from lines and B-V, with nothing known before, minus that of the catalogue.
    """
    colors = _on_our_system(labels, predictions, johnson, weights)
    good = np.flatnonzero(
        johnson.use & np.isfinite(colors).all(axis=1) & np.isfinite(johnson.estimate)
        & np.array([int(part.flag_bits) == 0 for part in predictions]))
    if good.size < _LEAST_STARS:
        return Table({name: np.zeros(0) for name in _COLUMNS})
    some, colors = _stacked([predictions[int(row)] for row in good]), colors[good]
    errors = johnson.errors[good]
    teff, prior = labels[good, 0], (johnson.ebv[good], johnson.ebv_error[good])

    dust = dust_prior(some.wavelength, len(some), reddening=prior)
    one = _on_color(some, _GIVEN[0], colors, errors, dust, weights)
    both = _on_color(_relative(one), _GIVEN[1], colors, errors,
                     dust_prior(some.wavelength, len(some), reddening=0.0), weights)
    free = _on_color(some, _GIVEN[0], colors, errors, dust_prior(some.wavelength, len(some)),
                     weights)
    ebv, ebv_error = np.asarray(free.reddening), np.asarray(free.reddening_error)
    lines = some.reddened(prior[0], reddening_error=prior[1])
    rows = []
    for low, high in _CELLS:
        inside = np.flatnonzero((teff >= low) & (teff < high))
        if inside.size < _LEAST_STARS:
            continue
        for given, seds in (("lines", lines), ("lines, B-V", one), ("lines, B-V, R-I", both)):
            value, sigma = _color(seds, inside, weights)
            rows.append({"quantity": NAMES[_WANTED], "given": given, "teff": low, "teff_end": high}
                        | score(value - colors[inside, _WANTED],
                                np.hypot(sigma, errors[inside, _WANTED])))
        rows.append({"quantity": "E(B-V)", "given": "lines, B-V", "teff": low, "teff_end": high}
                    | score(ebv[inside] - johnson.estimate[good][inside],
                            np.hypot(ebv_error[inside], _ESTIMATE_ERROR)))
    return Table(rows)


def _on_our_system(labels, predictions, johnson, weights):
    """Measured colours with the zero points of all stars, (N, 3)."""
    found = johnson_residuals(johnson.name, labels, predictions, johnson, weights)
    log_flux = np.log([part.flux for part in predictions])
    dust = np.asarray(found["ebv"])[:, None] * extinction_curve(predictions[0].wavelength)
    synthetic, _ = color_responses(log_flux + dust, weights)
    return synthetic - np.stack([np.asarray(found[name]) for name in NAMES], axis=1)


def _stacked(parts: Sequence[SEDPrediction]) -> SEDPrediction:
    """Predictions of single stars as one of all of them."""
    rank = max(len(part.factor) for part in parts)
    factor = np.stack([np.pad(part.factor, ((0, rank - len(part.factor)), (0, 0)))
                       for part in parts])
    return SEDPrediction(parts[0].wavelength, np.stack([part.flux for part in parts]),
                         np.stack([part.diagonal for part in parts]), factor, ((),) * len(parts))


def _relative(seds: ConditionedSEDs) -> SEDPrediction:
    """Reddened SEDs as predictions, whose scale is free."""
    return SEDPrediction(seds.wavelength, seds.flux, seds.diagonal, seds.factor,
                         ((),) * len(seds))


def _on_color(prediction: SEDPrediction, place: int, colors: np.ndarray, errors: np.ndarray,
              dust: Dust, weights: Mapping[str, np.ndarray]) -> ConditionedSEDs:
    """SEDs given one colour of every star."""
    pair = COLORS[place]
    bands = short_rows(pair, np.stack([weights[band] for band in pair]), np.zeros(2))
    value = np.stack([colors[:, place], np.zeros(len(colors))], axis=1)
    error = np.repeat(errors[:, place, None] / np.sqrt(2.0), 2, axis=1)
    return condition_stars(prediction, Magnitudes(pair, value, error, ("AB",) * 2), bands, dust)


def _color(seds, rows, weights):
    """The colour that was not given, and its error, of some stars."""
    value, responses = color_responses(np.log(seds.flux[rows]), weights)
    sigma = [seds[int(row)].relative_covariance.propagate(response[None]).sigma[0]
             for row, response in zip(rows, responses[:, _WANTED], strict=True)]
    return value[:, _WANTED], np.array(sigma)
