"""
`Chooser`: for each spectrum the packaged model that explains it best.

The templates of a model, with coefficients that are normal, are a Gaussian process, whose
likelihood of a spectrum is the model's *evidence*.  The ratio of two evidences and a prior give
the odds.  The model of stars predicts all spectra.  The leading templates of the model of white
dwarfs then tell which ones it could explain as well, and it predicts those.  It is chosen if the
odds are in its favour and the spectrum lies inside its domain.  Its evidence is the lower one of
all its templates and of the leading ones: the others stand for velocities and defects of spectra,
and metal-poor stars, too, can be built from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sedflux.exceptions import InputError
from sedflux.predict.factor import replaced
from sedflux.predict.flags import flag, sentences
from sedflux.predict.models import AUTO, DEFAULT_MODEL, WHITE_DWARF_MODEL
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor
from sedflux.predict.screen import MORE_SLACK, SLACK, Screen

if TYPE_CHECKING:
    from sedflux.spectra.arrays import CheckedSpectra, SpectrumArrays

__all__ = ["Chooser"]

#: Odds of a white dwarf to a star before the spectrum is seen, in round numbers: to 18 mag, a
#: square degree has a third of a white dwarf and thousands of stars.
PRIOR_ODDS = 1e-4
#: Logarithm of odds by that of the ratio of evidences, slope and offset, of a model whose header
#: does not say them: stars are no normal coefficients, so that the ratio says too much.
_ODDS = {"slope": 0.5, "offset": 0.0}
#: Odds, as their decimal logarithm, below which a choice is uncertain.
UNCERTAIN = 2.0
#: The same above which a star is neither, if the model of white dwarfs may not have it: the odds
#: are calibrated on the two kinds alone, at R = 2000.
_NEITHER = 4.0
#: Largest decimal logarithm of odds that is told.
_MOST_ODDS = 99.0
#: Flags with which the model of white dwarfs has no say.
_REJECTED = ("unusable", "unlike_training", "cool_limit", "hot_limit", "not_finite",
             "gravity_limit")


class Chooser(Predictor):
    """
    Predicts each spectrum with the model that explains it best: a star's or a white dwarf's.

    Parameters
    ----------
    star, white_dwarf : str, path-like or `~sedflux.Predictor`, optional
        Two models; the packaged ones by default.
    prior_odds : float, optional
        Of a white dwarf to a star, before the spectrum is seen.
    odds : mapping, optional
        Logarithm of the odds by that of the ratio of evidences: its ``slope`` and ``offset``.  By
        default those of the header of ``white_dwarf``, from `sedflux.training.odds`.

    Attributes
    ----------
    name : str
        ``"auto"``.
    sha256 : str
        Hash of the hashes of both models.

    Notes
    -----
    The attributes ``network`` and ``metadata`` are those of the model of stars.  Diagnostics have
    one more number, ``log_odds``: the decimal logarithm of the odds of the model that is used
    against the other one, 99 at the most.  Stars that have no resemblance with a white dwarf have
    it from a few templates.

    Examples
    --------
    >>> from sedflux.demo import demo_spectrum
    >>> from sedflux.predict.chooser import Chooser
    >>> prediction = Chooser().predict_spectrum(demo_spectrum())
    >>> prediction.model, bool(prediction.diagnostics["log_odds"] > 10)
    ('uara.stars2', True)
    """

    def __init__(self, star: Any = DEFAULT_MODEL, white_dwarf: Any = WHITE_DWARF_MODEL, *,
                 prior_odds: float = PRIOR_ODDS, odds: Mapping[str, float] | None = None) -> None:
        if not 0.0 < prior_odds < np.inf:
            raise InputError(f"prior_odds is {prior_odds}; give a positive number, such as "
                             f"{PRIOR_ODDS:g}")
        self._both = first, second = tuple(
            model if isinstance(model, Predictor) else Predictor(model)
            for model in (star, white_dwarf))
        self.arrays, self.metadata, self.wavelength = (
            first.arrays, first.metadata, first.wavelength)
        if not np.array_equal(first.wavelength, second.wavelength):
            raise InputError(f"models {first.name} and {second.name} have SEDs on different "
                             "wavelengths; choose two with the same")
        self.name = AUTO
        self.sha256 = hashlib.sha256((first.sha256 + second.sha256).encode()).hexdigest()
        self._screen, self._prior = Screen(second), float(np.log(prior_odds))
        self._odds = second.metadata.get("odds", _ODDS) if odds is None else odds

    @property
    def network(self) -> Any:
        """The network of the model of stars as a module of torch."""
        return self._both[0].network

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        """The models of stars and of white dwarfs."""
        return self._both

    def evaluate(self, spectra: CheckedSpectra | SpectrumArrays, resolving_power: Any,
                 radial_velocity: Any, *, screen: Any = None
                 ) -> tuple[SEDPrediction, dict[str, np.ndarray]]:
        """Predict each spectrum by one of the models; see ``Predictor.evaluate``."""
        first, second = self._both
        try:
            prediction, fit = first.evaluate(spectra, resolving_power, radial_velocity,
                                             screen=self._screen)
        except InputError as error:
            raise self._explained(error, spectra, resolving_power, radial_velocity) from error
        log_odds = self._log_odds(fit["screen"] - fit["evidence"])
        unusable = flag("unusable").mask | flag("not_finite").mask
        slack = SLACK + MORE_SLACK * prediction.diagnostics["snr"] ** 2
        near = np.flatnonzero((fit["screen"] + slack > fit["evidence"])
                              & ((prediction.flag_bits & unusable) == 0))
        if not near.size:
            return _with_odds(prediction, -log_odds), fit
        velocity = np.broadcast_to(np.asarray(prediction.radial_velocity), len(prediction))[near]
        other, own_fit = second.evaluate(spectra.take(near), resolving_power, velocity)
        own = np.minimum(own_fit["evidence"], fit["screen"][near])
        log_odds[near] = self._log_odds(own - fit["evidence"][near])
        rejected = (other.flag_bits & sum(flag(name).mask for name in _REJECTED)) != 0
        taken = (log_odds[near] > 0) & ~rejected
        prediction = _merged(prediction, other.take(np.flatnonzero(taken)), near[taken])
        bits = np.zeros(len(prediction), dtype=np.int64)
        uncertain = (np.abs(log_odds[near]) < UNCERTAIN) & ~rejected
        bits[near] |= np.where(uncertain, flag("kind_uncertain").mask, 0)
        bits[near] |= np.where((log_odds[near] > _NEITHER) & rejected, flag("other_kind").mask, 0)
        sign = np.full(len(prediction), -1.0)
        sign[near[taken]] = 1.0
        return _with_odds(_flagged(prediction, bits), sign * log_odds), fit

    def _explained(self, error, spectra, resolving_power, radial_velocity):
        """The error of the model of stars, and whether that of white dwarfs takes the spectra."""
        second = self._both[1]
        try:
            second.evaluate(spectra, resolving_power, radial_velocity)
        except InputError:
            return error
        return InputError(f"{error}; if these are hydrogen white dwarfs, give "
                          f"model={second.name!r}, which takes them")

    def _log_odds(self, difference):
        """Decimal logarithm of the odds of a white dwarf from the difference of evidences."""
        calibrated = self._odds["slope"] * difference + self._odds["offset"]
        log_odds = (calibrated + self._prior) / np.log(10.0)
        return np.clip(log_odds, -_MOST_ODDS, _MOST_ODDS)


def _with_odds(prediction, log_odds):
    return replaced(prediction,
                    diagnostics=dict(prediction.diagnostics) | {"log_odds": log_odds})


def _flagged(prediction, bits):
    """More flags on some of the stars."""
    added = np.flatnonzero(bits)
    if not added.size:
        return prediction
    flags, limits = list(prediction.flags), {"teff": (0.0, 0.0)}
    for row, more in zip(added, sentences(bits[added], limits), strict=True):
        flags[row] = (*flags[row], *more)
    return replaced(prediction, flags=tuple(flags), flag_bits=prediction.flag_bits | bits)


def _merged(prediction, other, rows):
    """A prediction with some of the stars replaced by those of another model."""
    if not rows.size:
        return prediction
    size = len(prediction)
    rank = max(prediction.factor.shape[1], other.factor.shape[1])
    factor = np.zeros((size, rank, prediction.wavelength.size), prediction.factor.dtype)
    factor[:, : prediction.factor.shape[1]] = prediction.factor
    factor[rows] = 0.0
    factor[rows, : other.factor.shape[1]] = other.factor
    flags = list(prediction.flags)
    for row, own in zip(rows, other.flags, strict=True):
        flags[row] = own
    return replace(
        prediction, factor=factor, flags=tuple(flags),
        model=_placed(np.full(size, prediction.model), other.model, rows),
        sha256=_placed(np.full(size, prediction.sha256), other.sha256, rows),
        diagnostics=_joined(prediction.diagnostics, other.diagnostics, rows, size, np.nan),
        parts=_joined(prediction.parts, other.parts, rows, size, 0.0),
        **{name: _placed(getattr(prediction, name), getattr(other, name), rows)
           for name in ("flux", "diagonal", "flag_bits")},
        library_error=dict(prediction.library_error) | dict(other.library_error))


def _joined(first, second, rows, size, missing):
    """Arrays of all stars by name, with those of some of them replaced; some may be missing."""
    found = {}
    for name in dict.fromkeys([*first, *second]):
        shape = np.shape(first[name] if name in first else second[name])[1:]
        values = first[name] if name in first else np.full((size, *shape), missing)
        found[name] = _placed(values, second.get(name, missing), rows)
    return found


def _placed(values, own, rows):
    """A copy of an array with some of its rows replaced."""
    own = np.asarray(own)
    found = np.array(values, dtype=np.result_type(values, own))
    found[rows] = own
    return found
