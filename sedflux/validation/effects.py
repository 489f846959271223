"""
Effects of surveys on spectra: shifts of predicted SEDs, and the share of spectra that are flagged.

Each effect is added, alone and in a known strength, to spectra of real stars with noise.  The SED
is compared with that of the same spectrum and noise without the effect.  The strengths are fixed
here; training may draw others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from astropy.table import Table

from sedflux.libraries.labels import TEFF_EDGES
from sedflux.libraries.library import SpectralLibrary
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor
from sedflux.spectra.bands import BANDS, band_rows
from sedflux.training.effects import (
    add_emission,
    add_light,
    add_sky,
    dim_by_dust,
    dip,
    ripple,
    step,
)
from sedflux.training.left_out import ivar_with_noise, predict_folds
from sedflux.training.stars import miles_inputs
from sedflux.validation.metrics import band_totals

__all__ = ["EFFECTS", "mixture", "effects_table"]

Effect = Callable[[np.ndarray, np.ndarray, float, np.random.Generator], np.ndarray]

#: Bands (Angstrom) in which the shift is given.
_BANDS = {name: BANDS[name] for name in ("2500-3000", "3000-4000", "4000-7000")} \
    | {"8500-10000": (8500.0, 10000.0)}
#: Range of temperature (K) of the stars: that of the synthetic library.
_TEFF_RANGE = (TEFF_EDGES[0], TEFF_EDGES[-1])
#: Sky lines (vacuum, Angstrom) and equivalent widths (Angstrom) of their residuals relative to the
#: mean flux; at R = 2000 their peaks are half of the mean flux.
_SKY = {4359.6: 1.2, 5578.9: 1.5, 5891.6: 1.6, 6302.0: -1.7}
#: Cosmic rays of a spectrum, their most pixels, and their height relative to the flux.
_RAYS, _RAY_PIXELS, _RAY_HEIGHT = 8, 3, (0.3, 2.0)


def _cosmic_rays(wavelength, flux, power, rng):
    """Rays of one to three pixels anywhere."""
    flux = np.array(flux)
    for begin in rng.integers(0, flux.size - _RAY_PIXELS, _RAYS):
        flux[begin : begin + rng.integers(1, _RAY_PIXELS + 1)] *= 1.0 + rng.uniform(*_RAY_HEIGHT)
    return flux


EFFECTS: dict[str, Effect] = {
    "dust bands and Na D, E(B-V) = 1": lambda w, f, p, rng: dim_by_dust(w, f, p, ebv=1.0),
    "dust bands and Na D, E(B-V) = 0.3": lambda w, f, p, rng: dim_by_dust(w, f, p, ebv=0.3),
    "dip of 25 %, 5860-6080 A": lambda w, f, p, rng: dip(w, f, centre=5970.0, depth=0.25,
                                                         width=110.0),
    "step of 10 % at 5900 A": lambda w, f, p, rng: step(w, f, centre=5900.0, height=0.1,
                                                        width=5.0),
    "waves of 3 %, 100 A": lambda w, f, p, rng: ripple(w, f, period=100.0, height=0.03,
                                                       phase=rng.random()),
    "waves of 3 %, 200 A": lambda w, f, p, rng: ripple(w, f, period=200.0, height=0.03,
                                                       phase=rng.random()),
    "waves of 3 %, 300 A": lambda w, f, p, rng: ripple(w, f, period=300.0, height=0.03,
                                                       phase=rng.random()),
    "sky over-subtracted by 5 %": lambda w, f, p, rng: add_light(w, f, share=-0.05),
    "scattered light of 10 %": lambda w, f, p, rng: add_light(w, f, share=0.10),
    "H alpha emission of 1 A": lambda w, f, p, rng: add_emission(w, f, p, width=1.0),
    "sky lines of half the flux": lambda w, f, p, rng: add_sky(w, f, p, levels=_SKY),
    "eight cosmic rays": _cosmic_rays,
}


def mixture(wavelength: np.ndarray, flux: np.ndarray, power: float, rng: np.random.Generator
            ) -> np.ndarray:
    """
    Add several weak effects at once, as in the spectrum of a survey.

    Dust bands of E(B-V) = 0.05-0.5, stray light of -2 to +4 %, waves of 0.5-1.5 %, in a third of
    the spectra a step of 3 % between the arms, and in a third residuals of sky lines.

    Parameters
    ----------
    wavelength, flux : `~numpy.ndarray`, shape (n,)
        In Angstrom and any unit.
    power : float
        Resolving power.
    rng : `numpy.random.Generator`

    Returns
    -------
    flux : `~numpy.ndarray`, shape (n,)
    """
    flux = dim_by_dust(wavelength, flux, power, ebv=rng.uniform(0.05, 0.5))
    flux = add_light(wavelength, flux, share=rng.uniform(-0.02, 0.04))
    flux = ripple(wavelength, flux, period=rng.uniform(100.0, 300.0), phase=rng.random(),
                  height=rng.uniform(0.005, 0.015))
    if rng.random() < 1.0 / 3.0:
        flux = step(wavelength, flux, centre=5900.0, height=rng.choice([-0.03, 0.03]), width=10.0)
    if rng.random() < 1.0 / 3.0:
        levels = {centre: 0.3 * level for centre, level in _SKY.items()}
        flux = add_sky(wavelength, flux, power, levels=levels)
    return flux


def _log_bands(prediction: SEDPrediction) -> tuple[np.ndarray, np.ndarray]:
    """ln of the mean flux of each star in each band, and its error, (N, m)."""
    found = [band_totals(prediction.flux, prediction.diagonal, prediction.factor, inside)
             for inside in band_rows(prediction.wavelength, _BANDS).values()]
    totals, errors = (np.stack(values, axis=1) for values in zip(*found, strict=True))
    return np.log(totals), errors


def effects_table(predictors: Sequence[Predictor], miles: SpectralLibrary, *, snr: float = 50.0,
                 seed: int = 8) -> Table:
    """
    Shifts of predicted SEDs by the effects of surveys, in units of sigma.

    Parameters
    ----------
    predictors : sequence of `~sedflux.Predictor`
        One for all stars, or one for every fold in order.
    miles : `~sedflux.libraries.SpectralLibrary`
        Spectra of real stars.
    snr : float, optional
        S/N per pixel of the noise.
    seed : int, optional
        Of noise and effects.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per effect: number of stars without flags before, the share of them that is
        flagged with the effect, and for the others in every band the median and the 95th
        percentile of \\|shift\\| / sigma.
    """
    teff = np.asarray(miles.table["TEFF"], float)
    rows = np.flatnonzero((teff > _TEFF_RANGE[0]) & (teff < _TEFF_RANGE[1]))
    wavelength, flux, ivar = miles_inputs(miles, rows)
    names = [str(name).strip() for name in miles.table["NAME"][rows]]
    noise = np.random.default_rng([seed, 1]).standard_normal(flux.shape) / snr
    # The noise is the same with and without the effect.
    ivar = ivar_with_noise(flux, ivar, snr)

    def predicted(spectra):
        values, errors = (np.empty((len(rows), len(_BANDS))) for _ in range(2))
        flagged = np.empty(len(rows), dtype=bool)
        for inside, part in predict_folds(predictors, names, wavelength, spectra * (1.0 + noise),
                                          ivar):
            values[inside], errors[inside] = _log_bands(part)
            flagged[inside] = np.asarray(part.flag_bits) != 0
        return values, errors, flagged

    clean, sigma, known = predicted(flux)
    found = []
    for number, (name, effect) in enumerate((EFFECTS | {"mixture": mixture}).items()):
        rng = np.random.default_rng([seed, 2, number])
        changed = np.stack([effect(wavelength, spectrum, RESOLVING_POWER, rng)
                            for spectrum in flux])
        values, _, flagged = predicted(changed)
        good = ~known & ~flagged
        shift = np.abs(values - clean)[good] / sigma[good]
        row = {"effect": name, "stars": int((~known).sum()),
               "flagged": float(flagged[~known].mean())}
        for place, band in enumerate(_BANDS):
            values = np.quantile(shift[:, place], (0.5, 0.95)) if good.any() else (np.nan, np.nan)
            row[f"median {band}"], row[f"95 % {band}"] = values
        found.append(row)
    return Table(found)
