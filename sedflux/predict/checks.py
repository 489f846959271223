"""Which spectra are allowed, and what is wrong with others."""

import numpy as np

from sedflux.exceptions import InputError
from sedflux.spectra.spectrum import estimate_variance, require_light

__all__ = ["MIN_RESOLVING_POWER", "RESOLVING_POWER", "check_arrays", "check_coverage",
           "check_resolving_power", "check_velocity", "refuse_if_none", "unusable_reasons"]

#: Sharper spectra are degraded to this resolving power.
RESOLVING_POWER = 2000.0
#: Less sharp spectra than this are refused.
MIN_RESOLVING_POWER = 500.0
#: Share of the input grid that the wavelengths must cover.
MIN_COVERAGE = 0.85
#: Share of good input pixels below which a spectrum says too little.
MIN_GOOD = 0.5


def check_resolving_power(resolving_power, wavelength):
    """Resolving power at each wavelength, and the one to which all is degraded."""
    try:
        power = np.broadcast_to(np.asarray(resolving_power, dtype=float), wavelength.shape)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"resolving_power is {resolving_power!r}; give one number, or one for each of the "
            f"{wavelength.size} wavelengths"
        ) from error
    inside = (wavelength > 4000.0) & (wavelength < 7000.0)
    least = power[inside].min() if inside.any() else power.min()
    if not least >= MIN_RESOLVING_POWER:
        raise InputError(
            f"resolving_power is {least:g}; sedflux needs {MIN_RESOLVING_POWER:g} or more, "
            "because lines of coarser spectra say too little"
        )
    return power, float(min(least, RESOLVING_POWER))


def check_velocity(radial_velocity, size):
    """Velocities of all stars, shape (size,)."""
    velocity = np.asarray(radial_velocity, dtype=float)
    if velocity.shape not in ((), (1,), (size,)):
        raise InputError(
            f"radial_velocity has the shape {velocity.shape}; one for all or ({size},) is allowed"
        )
    if not np.isfinite(velocity).all() or np.abs(velocity).max(initial=0.0) > 3000.0:
        raise InputError(
            f"radial_velocity reaches {np.abs(velocity).max(initial=0.0):g} km/s; "
            "stars move by less than 3000 km/s: is the unit right?"
        )
    return np.broadcast_to(velocity, (size,))


def check_coverage(rest, grid):
    """Refuse wavelengths that leave too much of the input grid uncovered."""
    covered = (grid >= rest[0]) & (grid <= rest[-1])
    if covered.mean() >= MIN_COVERAGE:
        return
    missing = []
    if rest[0] > grid[0]:
        missing.append(f"{grid[0]:.0f}-{min(rest[0], grid[-1]):.0f}")
    if rest[-1] < grid[-1]:
        missing.append(f"{max(rest[-1], grid[0]):.0f}-{grid[-1]:.0f}")
    raise InputError(
        f"wavelength covers {rest[0]:.0f}-{rest[-1]:.0f} Angstrom in the rest frame; "
        f"{' and '.join(missing)} Angstrom are missing of the 4000-7000 that sedflux needs "
        f"(at least {100 * MIN_COVERAGE:.0f} % of them): is the unit right?"
    )


def check_arrays(wavelength, flux, ivar, mask):
    """Arrays of matching shapes, finite, scaled to order one; bad pixels at zero weight."""
    wavelength = np.asarray(wavelength, dtype=float)
    flux = np.asarray(flux)
    if flux.ndim not in (1, 2) or flux.shape[-1:] != wavelength.shape or flux.size == 0:
        raise InputError(
            f"wavelength and flux have the shapes {wavelength.shape} and {flux.shape}; "
            "(n,) and (n,) or (N, n) are allowed, and not empty"
        )
    if not np.isfinite(wavelength).all() or (np.diff(wavelength) <= 0).any():
        raise InputError("wavelength must be finite and ascend; sort it, and flux with it")
    single = flux.ndim == 1
    flux = np.atleast_2d(flux.astype(float))
    good = np.isfinite(flux)
    if mask is not None:
        mask = np.asarray(mask)
        if mask.shape not in (wavelength.shape, flux.shape):
            raise InputError(f"mask has the shape {mask.shape}, flux has {flux.shape}")
        good &= ~(mask != 0)
    if good.any():
        require_light(flux, good)
    if not good.all():
        flux = np.where(good, flux, 0.0)
    count = np.maximum(good.sum(axis=1), 1)
    size = np.abs(flux).sum(axis=1) / count
    size = np.where(size > 0, size, 1.0)[:, None]
    flux = flux / size
    if ivar is None:
        variance = estimate_variance(flux, good)
        return flux, np.divide(1.0, variance, out=np.zeros_like(flux), where=variance > 0), \
            single, ("noise estimated",)
    ivar = np.atleast_2d(np.asarray(ivar, dtype=float))
    if ivar.shape != flux.shape:
        raise InputError(f"ivar has the shape {ivar.shape}, flux has {flux.shape}")
    if (ivar < 0).any() or not np.isfinite(ivar[good]).any():
        raise InputError(f"ivar reaches down to {np.nanmin(ivar):g}; it must not be negative, "
                         "and finite somewhere (zero marks bad pixels)")
    ivar = np.where(good & np.isfinite(ivar), ivar, 0.0) * size**2
    return flux, ivar, single, ()


def unusable_reasons(flux, ivar):
    """Why each spectrum cannot be used; empty text if it can."""
    good = ivar > 0
    share = good.mean(axis=1)
    count = np.maximum(good.sum(axis=1), 1)
    mean = np.where(good, flux, 0.0).sum(axis=1) / count
    spread = np.where(good, np.abs(flux - mean[:, None]), 0.0).max(axis=1)
    return np.select(
        [share < MIN_GOOD, mean <= 0, spread <= 1e-10 * np.abs(mean)],
        ["few", "dark", "constant"], default="",
    )


def refuse_if_none(reasons):
    """Refuse spectra of which none can be used, and say why."""
    if (reasons != "").all():
        raise InputError({
            "few": "too few pixels in 4000-7000 Angstrom are good; "
                   f"{100 * MIN_GOOD:.0f} % are needed: check mask, NaN and uncertainty",
            "dark": "flux is zero or negative throughout 4000-7000 Angstrom: "
                    "there is no star to predict, or the sky is over-subtracted",
            "constant": "flux is constant over 4000-7000 Angstrom: there are no lines to read",
        }[str(reasons[0])])
