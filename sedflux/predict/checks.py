"""Checks of spectra and options before a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.predict.flags import flag, foreign_ratio
from sedflux.spectra.arrays import real_array
from sedflux.spectra.gaps import usual_step
from sedflux.spectra.grids import OPTICAL_RANGE
from sedflux.units import as_quantity

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["MAX_REDDENING", "MIN_RESOLVING_POWER", "RESOLVING_POWER", "check_coverage",
           "check_reddening", "check_resolving_power", "check_velocity", "refuse_if_foreign",
           "refuse_if_none", "unusable_reasons", "velocity_of"]

#: Spectra of a higher resolving power are degraded to this one.
RESOLVING_POWER = 2000.0
#: Spectra of a lower resolving power are refused, if the model does not say another limit.
MIN_RESOLVING_POWER = 500.0
#: Share of the input grid that the wavelengths must cover, if the model does not say another.
MIN_COVERAGE = 0.85
#: Least share of good input pixels.
MIN_GOOD = 0.5
#: Largest radial velocity of a star (km/s).
_MAX_VELOCITY = 3000.0
#: Largest E(B-V) (mag): beyond it there is no light left in the ultraviolet.
MAX_REDDENING = 10.0
_REDDENING_ADVICE = ("give E(B-V), or E(B-V) and its error, finite, not negative and not above "
                     f"{MAX_REDDENING:g} mag")
#: Relative spread of a constant flux from rounding.
CONSTANT_SPREAD = 1e-10
#: One pixel of so many is looked at first.
_STEP = 100
#: Fewest pixels per FWHM that sample a line-spread function.
_LEAST_SAMPLING = 1.5
#: FWHM of a Gaussian with the variance of a pixel, in pixels: 2.355 / sqrt(12).
_PIXEL_FWHM = 0.68


def check_resolving_power(resolving_power: Any, wavelength: np.ndarray, *,
                          lowest: float = MIN_RESOLVING_POWER) -> tuple[np.ndarray, float]:
    """
    Resolving power at each wavelength, and the one to which the spectrum is degraded.

    Pixels that are wide for the resolving power broaden the spectrum themselves: its FWHM
    is at least `_LEAST_SAMPLING` pixels.

    Parameters
    ----------
    resolving_power : float or array_like, shape (n,)
        lambda / FWHM, as it is claimed.
    wavelength : `~numpy.ndarray`, shape (n,)
        Ascending, in Angstrom.
    lowest : float, optional
        What the model needs.

    Returns
    -------
    power : `~numpy.ndarray`, shape (n,)
        Before the degradation.
    least : float
        After it.

    Raises
    ------
    sedflux.exceptions.InputError
        If it has a unit or another shape, or is below what the model needs.
    """
    try:
        if isinstance(resolving_power, u.Quantity):
            resolving_power = resolving_power.to_value(u.dimensionless_unscaled)
        power = np.broadcast_to(real_array(resolving_power, "resolving_power"), wavelength.shape)
    except (TypeError, ValueError, u.UnitConversionError) as error:
        raise InputError(
            f"resolving_power is {resolving_power!r}; give one number, or one for each of the "
            f"{wavelength.size} wavelengths"
        ) from error
    inside = (wavelength > OPTICAL_RANGE[0]) & (wavelength < OPTICAL_RANGE[1])
    inside = inside if inside.any() else np.ones(wavelength.shape, dtype=bool)
    _refuse_coarse(power[inside].min(), "resolving_power is {:g}", lowest)
    # Inside a gap nothing is sampled: the usual step counts, not the gap.
    step = usual_step(wavelength)
    step = np.r_[step[:1], np.maximum(step[1:], step[:-1]), step[-1:]]
    sampled = wavelength / (_LEAST_SAMPLING * step)
    coarse = sampled < power
    if not coarse[inside].any():
        return power, float(min(power[inside].min(), RESOLVING_POWER))
    width = np.hypot(wavelength / power, _PIXEL_FWHM * step)
    power = np.where(coarse, wavelength / width, power)
    least = float(min(power[inside].min(), sampled[inside].min(), RESOLVING_POWER))
    _refuse_coarse(least, "pixels are so wide that the resolving power is {:.0f} at the most",
                   lowest)
    return power, least


def _refuse_coarse(least: float, text: str, lowest: float) -> None:
    if not least >= lowest:
        raise InputError(
            f"{text.format(least)}; sedflux needs {lowest:g} or more, "
            "because lines of coarser spectra do not constrain the star"
        )


def check_velocity(radial_velocity: Any, size: int) -> np.ndarray:
    """
    Velocities of all stars in km/s, shape (size,).

    Parameters
    ----------
    radial_velocity : float, array_like or `~astropy.units.Quantity`
        One for all, or one for each star; numbers without a unit are km/s.
    size : int
        Number of stars.

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no velocity, of another shape, or faster than any star.
    """
    try:
        radial_velocity = as_quantity(radial_velocity)
        if isinstance(radial_velocity, u.Quantity):
            radial_velocity = radial_velocity.to_value(u.km / u.s)
    except (TypeError, u.UnitConversionError) as error:
        raise InputError(
            f"radial_velocity is {radial_velocity!r}; give a Quantity in km/s, such as "
            "-20 * u.km / u.s"
        ) from error
    velocity = real_array(radial_velocity, "radial_velocity")
    if velocity.shape not in ((), (1,), (size,)):
        raise InputError(
            f"radial_velocity has the shape {velocity.shape}; one for all or ({size},) is allowed"
        )
    fastest = np.abs(velocity).max(initial=0.0)
    if not fastest <= _MAX_VELOCITY:
        raise InputError(
            f"radial_velocity reaches {fastest:g} km/s; "
            f"stars move by less than {_MAX_VELOCITY:.0f} km/s: is the unit right?"
        )
    return np.broadcast_to(velocity, (size,))


def velocity_of(spectrum: Spectrum, meta: dict[str, Any], radial_velocity: Any) -> float:
    """Velocity in km/s from the argument, the meta or the spectrum itself."""
    candidates = (radial_velocity, meta.get("radial_velocity"),
                  getattr(spectrum, "radial_velocity", None), 0.0 * u.km / u.s)
    value = next(value for value in candidates if value is not None)
    try:
        return u.Quantity(value).to_value(u.km / u.s)
    except (u.UnitConversionError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"radial_velocity is {value!r}; give a Quantity in km/s, such as -20 * u.km / u.s"
        ) from error


def check_reddening(reddening: Any, stars: int | None = None) -> tuple[Any, Any]:
    """
    E(B-V) and its error from a number, a pair, or numbers of many stars.

    Parameters
    ----------
    reddening : float, tuple, array_like or `~astropy.units.Quantity`
        E(B-V), or a tuple of E(B-V) and its error, of all stars or, as arrays (N,), of each.  A
        list or array of two numbers is a pair for one star alone.
    stars : int, optional
        Number of stars N; None for a single spectrum.

    Returns
    -------
    reddening, error : float, or `~numpy.ndarray`, shape (N,)

    Raises
    ------
    sedflux.exceptions.InputError
        If it is none of these, has a unit that is not mag, is negative, not finite, or beyond
        10 mag.
    """
    pair = reddening if isinstance(reddening, tuple) else (reddening, 0.0)
    if stars is None and isinstance(reddening, (list, np.ndarray)) and \
            getattr(reddening, "ndim", 1) == 1:
        pair = tuple(reddening) if len(reddening) != 1 else (reddening[0], 0.0)
    if len(pair) != 2:
        raise InputError(f"reddening is {reddening!r}; {_REDDENING_ADVICE}")
    value, error = (_extinction(part, reddening, stars) for part in pair)
    return value, error


def _extinction(part, reddening, stars):
    """E(B-V), or its error, in mag: one number, or one for each star."""
    # Columns of tables may have no unit.
    unit = getattr(part, "unit", None) or u.mag
    value = real_array(getattr(part, "value", part), "reddening")
    allowed = [()] if stars is None else [(), (stars,)]
    if (unit not in (u.mag, u.dimensionless_unscaled) or value.shape not in allowed
            or not ((value >= 0) & (value <= MAX_REDDENING)).all()):
        several = "" if stars is None else f"; of {stars} stars, one number or {stars}"
        raise InputError(f"reddening is {reddening!r}; {_REDDENING_ADVICE}{several}")
    return float(value) if stars is None else np.broadcast_to(value, (stars,))


def check_coverage(rest: np.ndarray, grid: np.ndarray, *, least: float = MIN_COVERAGE) -> None:
    """
    Refuse wavelengths that leave too much of the input grid uncovered.

    Parameters
    ----------
    rest : `~numpy.ndarray`, shape (n,)
        Ascending, in the star's rest frame.
    grid : `~numpy.ndarray`, shape (m,)
        Of the network's input.
    least : float, optional
        Share that must be covered.
    """
    covered = (grid >= rest[0]) & (grid <= rest[-1])
    if covered.mean() >= least:
        return
    missing = []
    if rest[0] > grid[0]:
        missing.append(f"{grid[0]:.0f}-{min(rest[0], grid[-1]):.0f}")
    if rest[-1] < grid[-1]:
        missing.append(f"{max(rest[-1], grid[0]):.0f}-{grid[-1]:.0f}")
    raise InputError(
        f"wavelength covers {rest[0]:.0f}-{rest[-1]:.0f} Angstrom in the rest frame; "
        f"{' and '.join(missing)} Angstrom are missing of the 4000-7000 that sedflux needs "
        f"(at least {100 * least:.0f} % of them): is the unit right?"
    )


def unusable_reasons(flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """
    Why each spectrum on the input grid cannot be used; empty text if it can.

    Parameters
    ----------
    flux, ivar : `~numpy.ndarray`, shape (N, m)

    Returns
    -------
    reasons : `~numpy.ndarray` of str, shape (N,)
        ``few``, ``dark``, ``constant`` or empty.
    """
    good = ivar > 0
    share = good.mean(axis=1)
    count = np.maximum(good.sum(axis=1), 1)
    mean = (flux * good).sum(axis=1) / count
    least = CONSTANT_SPREAD * np.abs(mean)
    # A few pixels tell that most spectra are not constant.
    few = slice(None, None, _STEP)
    constant = _spread(flux[:, few], good[:, few], mean) <= least
    rows = np.flatnonzero(constant)
    constant[rows] = _spread(flux[rows], good[rows], mean[rows]) <= least[rows]
    return np.select(
        [share < MIN_GOOD, mean <= 0, constant],
        ["few", "dark", "constant"], default="",
    )


def _spread(flux, good, mean):
    """Largest deviation of good pixels from the mean, (N,)."""
    return (np.abs(flux - mean[:, None]) * good).max(axis=1)


def refuse_if_none(reasons: np.ndarray) -> None:
    """Refuse spectra of which none can be used, and say why."""
    if (reasons != "").all():
        raise InputError({
            "few": "too few pixels in 4000-7000 Angstrom are good; "
                   f"{100 * MIN_GOOD:.0f} % are needed: check mask, NaN and uncertainty",
            "dark": "flux is zero or negative throughout 4000-7000 Angstrom: "
                    "there is no star to predict, or the sky is over-subtracted",
            "constant": "flux is constant over 4000-7000 Angstrom: there are no lines to read",
        }[str(reasons[0])])


def refuse_if_foreign(bits: np.ndarray, diagnostics: Mapping[str, np.ndarray],
                      limits: Mapping[str, Any]) -> None:
    """
    Refuse spectra of which none is that of a star as the model knows them.

    Parameters
    ----------
    bits : `~numpy.ndarray` of int, shape (N,)
        Flags.
    diagnostics : dict of str to `~numpy.ndarray`, shape (N,)
        Of the prediction.
    limits : dict
        The domain of the model of stars.
    """
    if not (bits & flag("foreign").mask).all():
        return
    ratio = foreign_ratio(diagnostics, limits, diagnostics["mh"])
    raise InputError(
        f"flux is {ratio.min():.2f} times as far from all stars of the training as is allowed: "
        "there is no SED for M stars, quasars, most galaxies, and stars whose velocity or data are "
        "wrong; look at the spectrum, check radial_velocity, or leave it out")
