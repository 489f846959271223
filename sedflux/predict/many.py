"""Predict many spectra: those on one wavelength grid together, which is much faster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.predict.checks import RESOLVING_POWER, velocity_of
from sedflux.predict.flags import flag
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor
from sedflux.spectra.arrays import SpectrumArrays
from sedflux.spectra.spectrum import from_spectrum

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["Star", "predict_groups", "predict_many", "star_of"]

#: Step in log10(wavelength) of the pixels of LAMOST and SDSS, and how far from whole steps a
#: wavelength may be: rounding moves it by less.
_LOG_STEP, _STEP_TOLERANCE = 1e-4, 1e-3
#: Pixels that a prediction can use, in Angstrom: the input range with room for velocities.
_READ_RANGE = (3800.0, 7300.0)


@dataclass(frozen=True)
class Star:
    """
    One spectrum that was read.

    Attributes
    ----------
    spectrum : `~sedflux.spectra.arrays.SpectrumArrays`
        Of one star.
    resolving_power : float or `~numpy.ndarray`, shape (n,)
    radial_velocity : float
        In km/s.
    """

    spectrum: SpectrumArrays
    resolving_power: Any
    radial_velocity: float


def predict_groups(stars: Sequence[Star], predictor: Predictor
                   ) -> Iterator[tuple[list[int], SEDPrediction | InputError]]:
    """
    Predict stars; those on one grid and with one resolving power are predicted together.

    Spectra with pixels of 0.0001 dex count as on one grid wherever they begin below the range
    of the input.

    Parameters
    ----------
    stars : sequence of `Star`
    predictor : `~sedflux.Predictor`

    Yields
    ------
    numbers : list of int
        Which of the stars.
    result : `~sedflux.SEDPrediction` or `~sedflux.exceptions.InputError`
        The prediction of all of them, with a first axis for stars; or why there is none for the
        single star.
    """
    groups: dict[Any, list[tuple[int, Star]]] = {}
    for number, star in enumerate(stars):
        near = _near(star)
        groups.setdefault(_grid_of(near), []).append((number, near))
    for members in groups.values():
        numbers, together = [number for number, _ in members], [star for _, star in members]
        found = _together(together, predictor)
        alone = list(range(len(members)))
        if found is not None:
            # The error of a spectrum that is refused comes from its prediction alone.
            refused = flag("unusable").mask | flag("foreign").mask
            unusable = (np.asarray(found.flag_bits) & refused) > 0
            alone, good = np.flatnonzero(unusable).tolist(), np.flatnonzero(~unusable)
            if good.size:
                yield [numbers[row] for row in good], found.take(good)
        for row in alone:
            yield [numbers[row]], _alone(together[row], predictor)


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
    stars, places = [], []
    for place, spectrum in enumerate(spectra):
        try:
            stars.append(star_of(spectrum, radial_velocity=radial_velocity, **options))
            places.append(place)
        except InputError as error:
            results[place] = error
    for numbers, found in predict_groups(stars, predictor):
        for row, number in enumerate(numbers):
            results[places[number]] = found if isinstance(found, InputError) else found[row]
    return results


def star_of(spectrum: Spectrum, *, radial_velocity: u.Quantity | None = None, **options: Any
            ) -> Star:
    """
    One star as `predict_groups` takes it.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
    radial_velocity, **options
        See `predict_many`.

    Returns
    -------
    star : `Star`

    Raises
    ------
    sedflux.exceptions.InputError
        If the spectrum cannot be used, or holds several stars.
    """
    arrays = from_spectrum(spectrum, **options)
    if len(arrays) != 1:
        raise InputError(f"spectrum holds {len(arrays)} stars; give one star a file")
    power = RESOLVING_POWER if arrays.resolving_power is None else arrays.resolving_power
    velocity = velocity_of(spectrum, arrays.meta, radial_velocity)
    return Star(arrays, power, float(np.ravel(velocity)[0]))


def _near(star):
    """A star with the pixels alone that a prediction can use."""
    power = star.resolving_power
    near = SpectrumArrays(star.spectrum.wavelength, star.spectrum.flux, star.spectrum.ivar, True,
                          star.spectrum.noise_estimated,
                          power if np.ndim(power) else None).near(*_READ_RANGE)
    return Star(near, near.resolving_power if np.ndim(power) else power, star.radial_velocity)


def _grid_of(star):
    """What stars that are predicted together share."""
    wavelength = star.spectrum.wavelength
    place = np.log10(wavelength) / _LOG_STEP
    whole = np.round(place)
    regular = (np.abs(place - whole) < _STEP_TOLERANCE).all() and (np.diff(whole) == 1).all()
    grid = (whole[0], whole.size) if regular else wavelength.tobytes()
    return (grid, np.asarray(star.resolving_power, dtype=float).tobytes(),
            star.spectrum.noise_estimated)


def _predict(stars, predictor):
    first = stars[0]
    flux, ivar = (np.concatenate([getattr(star.spectrum, name) for star in stars])
                  for name in ("flux", "ivar"))
    return predictor.predict(
        first.spectrum.wavelength, flux, None if first.spectrum.noise_estimated else ivar,
        mask=ivar == 0, resolving_power=first.resolving_power,
        radial_velocity=[star.radial_velocity for star in stars])


def _together(stars: list[Star], predictor: Predictor) -> SEDPrediction | None:
    """The prediction of stars on one grid; None if each is to be predicted alone."""
    if len(stars) == 1:
        return None
    try:
        return _predict(stars, predictor)
    except InputError:
        return None


def _alone(star, predictor):
    """The prediction of one star, or why there is none."""
    try:
        return _predict([star], predictor)
    except InputError as error:
        return error
