"""
What surveys do to spectra: how far it moves predicted SEDs, and how much of it is flagged.

Each effect is put, alone and in a known strength, on spectra of real stars with noise; the SED is
compared with that of the same spectrum and noise without the effect.  The strengths are fixed
here, and are no draws of what training may have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from astropy.table import Table

from sedflux.libraries.library import SpectralLibrary
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor
from sedflux.spectra.bands import band_rows
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

__all__ = ["EFFECTS", "mixture", "effects_table"]

Effect = Callable[[np.ndarray, np.ndarray, float, np.random.Generator], np.ndarray]

#: Bands (Angstrom) in which the shift is given.
_BANDS = {"2500-3000": (2500.0, 3000.0), "3000-4000": (3000.0, 4000.0),
          "4000-7000": (4000.0, 7000.0), "8500-10000": (8500.0, 10000.0)}
#: Resolving power of the spectra, for the width of narrow lines.
_POWER = 2000.0
#: Temperatures (K) of the stars.
_TEFF = (4500.0, 10250.0)
#: Sky lines (vacuum, Angstrom) and their residuals in Angstrom of the mean flux: half of it at
#: the peak at R = 2000.
_SKY = {4359.6: 1.2, 5578.9: 1.5, 5891.6: 1.6, 6302.0: -1.7}

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
}


def mixture(wavelength: np.ndarray, flux: np.ndarray, power: float, rng: np.random.Generator
            ) -> np.ndarray:
    """
    Several weak effects at once, as in a survey's spectrum.

    Dust of E(B-V) = 0.05-0.5, light of -2 to +4 %, waves of 0.5-1.5 %, in a third of the spectra a
    step of 3 % between the arms, in a third residuals of sky lines.

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
    values, errors = [], []
    for inside in band_rows(prediction.wavelength, _BANDS).values():
        weight = np.where(inside, prediction.flux, 0.0)
        total = weight.sum(axis=1)
        weight /= total[:, None]
        along = np.einsum("nki,ni->nk", prediction.factor, weight)
        values.append(np.log(total))
        errors.append(np.sqrt((weight**2 * prediction.diagonal).sum(axis=1)
                              + (along**2).sum(axis=1)))
    return np.stack(values, axis=1), np.stack(errors, axis=1)


def effects_table(predictors: Sequence[Predictor], miles: SpectralLibrary, *, snr: float = 50.0,
                 seed: int = 8) -> Table:
    """
    Shifts of predicted SEDs by effects of surveys, in units of sigma.

    Parameters
    ----------
    predictors : sequence of `~sedflux.Predictor`
        One for all stars, or one for every fold in order.
    miles : `~sedflux.libraries.SpectralLibrary`
        Spectra of real stars.
    snr : float, optional
        S/N a pixel of the noise.
    seed : int, optional
        Of noise and effects.

    Returns
    -------
    table : `~astropy.table.Table`
        One row an effect: number of stars, share that it adds to the flagged ones, and of the
        unflagged ones in every band the median and the 95th percentile of \\|shift\\| / sigma.
    """
    teff = np.asarray(miles.table["TEFF"], float)
    rows = np.flatnonzero((teff > _TEFF[0]) & (teff < _TEFF[1]))
    wavelength, flux, ivar = miles_inputs(miles, rows)
    names = [str(name).strip() for name in miles.table["NAME"][rows]]
    noise = np.random.default_rng([seed, 1]).standard_normal(flux.shape) / snr
    # The same noise with and without the effect.
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
        spoilt = np.stack([effect(wavelength, spectrum, _POWER, rng) for spectrum in flux])
        values, _, flagged = predicted(spoilt)
        good = ~known & ~flagged
        shift = np.abs(values - clean)[good] / sigma[good]
        row = {"effect": name, "stars": int((~known).sum()),
               "flagged": float(flagged[~known].mean())}
        for place, band in enumerate(_BANDS):
            values = np.quantile(shift[:, place], (0.5, 0.95)) if good.any() else (np.nan, np.nan)
            row[f"median {band}"], row[f"95 % {band}"] = values
        found.append(row)
    return Table(found)
