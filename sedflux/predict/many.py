"""Predict many spectra: those on one wavelength grid together, which is much faster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.predict.flags import flag
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor, velocity_of
from sedflux.spectra.arrays import SpectrumArrays
from sedflux.spectra.spectrum import from_spectrum

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["predict_many"]


@dataclass(frozen=True)
class _Star:
    """One spectrum as arrays."""

    arrays: SpectrumArrays
    power: Any
    velocity: float

    @property
    def grid(self) -> tuple[Any, ...]:
        """What spectra that are predicted together share."""
        return (self.arrays.wavelength.tobytes(), np.asarray(self.power, dtype=float).tobytes(),
                self.arrays.noise_estimated)


def predict_many(spectra: Sequence[Spectrum], predictor: Predictor, *,
                 radial_velocity: u.Quantity | None = None, **options: Any
                 ) -> list[SEDPrediction | InputError]:
    """
    Predict several spectra, each on a wavelength grid of its own.

    Parameters
    ----------
    spectra : sequence of `~specutils.Spectrum`
        Of one dimension.
    predictor : `~sedflux.Predictor`
    radial_velocity : `~astropy.units.Quantity`, optional
        Of all stars; see `Predictor.predict_spectrum`, as for the options.
    **options
        ``resolving_power`` and ``medium``.

    Returns
    -------
    results : list of `~sedflux.SEDPrediction` or `~sedflux.exceptions.InputError`
        For every spectrum its prediction, or why there is none.
    """
    results: list[Any] = [None] * len(spectra)
    groups: dict[tuple[Any, ...], list[tuple[int, _Star]]] = {}
    for index, spectrum in enumerate(spectra):
        try:
            star = _star(spectrum, radial_velocity, options)
        except InputError as error:
            results[index] = error
        else:
            groups.setdefault(star.grid, []).append((index, star))
    for members in groups.values():
        together = _together([star for _, star in members], predictor)
        for row, (index, _) in enumerate(members):
            results[index] = together[row]
            if results[index] is None:
                results[index] = _alone(spectra[index], predictor, radial_velocity, options)
    return results


def _star(spectrum: Spectrum, radial_velocity: u.Quantity | None, options: dict[str, Any]) -> _Star:
    arrays = from_spectrum(spectrum, **options)
    if len(arrays) != 1:
        raise InputError(f"spectrum holds {len(arrays)} stars; give one star a file")
    power = RESOLVING_POWER if arrays.resolving_power is None else arrays.resolving_power
    velocity = velocity_of(spectrum, arrays.meta, radial_velocity)
    return _Star(arrays, power, float(np.ravel(velocity)[0]))


def _together(stars: list[_Star], predictor: Predictor) -> list[SEDPrediction | None]:
    """Predictions of stars on one grid; None for those to be looked at alone."""
    first = stars[0]
    if len(stars) == 1:
        return [None]
    flux, ivar = (np.concatenate([getattr(star.arrays, name) for star in stars])
                  for name in ("flux", "ivar"))
    estimated = first.arrays.noise_estimated
    try:
        many = predictor.predict(
            first.arrays.wavelength, flux, None if estimated else ivar, mask=ivar == 0,
            resolving_power=first.power, radial_velocity=[star.velocity for star in stars])
    except InputError:
        return [None] * len(stars)
    # What is wrong with a spectrum is said when it is alone.
    unusable = (np.asarray(many.flag_bits) & flag("unusable").mask) != 0
    return [None if unusable[row] else many[row] for row in range(len(stars))]


def _alone(spectrum, predictor, radial_velocity, options):
    """The prediction of one spectrum, or why there is none."""
    try:
        found = predictor.predict_spectrum(spectrum, radial_velocity=radial_velocity, **options)
        return found if found.single else found[0]
    except InputError as error:
        return error
