"""Which model is chosen for stars, white dwarfs and other objects; whether odds are right."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from astropy.table import Table
from scipy.special import expit

from sedflux.exceptions import InputError
from sedflux.io.miles import MILES_FWHM
from sedflux.libraries.inputs import library_inputs
from sedflux.libraries.library import SpectralLibrary, split_models
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.predict.chooser import Chooser
from sedflux.predict.prediction import SEDPrediction
from sedflux.spectra.arrays import check_spectra
from sedflux.spectra.grids import input_grid
from sedflux.training.augment import noisy_inputs
from sedflux.training.odds import logistic_fit
from sedflux.training.stars import miles_inputs, stis_arrays
from sedflux.training.white_dwarfs import held_out
from sedflux.validation.foreign import kind_of
from sedflux.validation.peculiar import peculiar_spectra
from sedflux.validation.white_dwarf_stars import GroundSpectra, predict_ground

__all__ = ["kinds_table", "model_kinds", "odds_table", "peculiar_kinds", "star_kinds"]

#: S/N per pixel of spectra of models, and to which spectra of stars are degraded.
_MODEL_SNRS, _STAR_SNR = (5.0, 10.0, 20.0, 80.0), 20.0
#: The same of magnetic white dwarfs and those beside M dwarfs.
_PECULIAR_SNR = 40.0
#: Edges of the classes of probability.
_EDGES = (0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0)
#: Temperatures (K) of ordinary MILES stars and of hotter ones.
_ORDINARY, _HOT = (3900.0, 11000.0), 15000.0
#: What the model of stars, and that of white dwarfs, is right for.
_STAR, _WHITE_DWARF = "star", "DA"


def is_white_dwarf(prediction: SEDPrediction, chooser: Chooser) -> np.ndarray:
    """Whether the model of white dwarfs predicts each star, shape (N,)."""
    models = np.broadcast_to(np.asarray(prediction.model), len(prediction))
    return models == chooser.predictors[1].name


def kinds_table(samples: Iterator[tuple[str, float, np.ndarray, np.ndarray]]) -> Table:
    """
    Shares of each kind of object that are predicted by each model, and that are flagged.

    Parameters
    ----------
    samples : iterator of tuple
        Kind, S/N per pixel (NaN for that of the spectra), whether the model of white dwarfs
        predicts each object, and its flags.

    Returns
    -------
    table : `~astropy.table.Table`
        One row a sample.  ``right`` is the share by the right model, for kinds that have one.
    """
    rows = []
    for kind, snr, white_dwarf, bits in samples:
        share = float(np.mean(white_dwarf))
        right = {_STAR: 1.0 - share, _WHITE_DWARF: share}.get(kind.split(",")[0], np.nan)
        rows.append({"kind": kind, "snr": snr, "objects": len(bits), "by_white_dwarfs": share,
                     "right": right, "flagged": float(np.mean(np.asarray(bits) != 0))})
    return Table(rows)


def model_kinds(chooser: Chooser, stars: SpectralLibrary, white_dwarfs: SpectralLibrary, *,
                seed: int = 3) -> Iterator[tuple[str, float, np.ndarray, np.ndarray]]:
    """
    Samples of models that were held out of the training, for `kinds_table`.

    Parameters
    ----------
    chooser : `~sedflux.predict.chooser.Chooser`
    stars, white_dwarfs : `~sedflux.libraries.SpectralLibrary`
        Whole libraries; this function splits them.
    seed : int, optional
    """
    for kind, flux in _held_out(stars, white_dwarfs):
        for snr in _MODEL_SNRS:
            noisy, ivar = noisy_inputs(flux, snr, np.random.default_rng([seed, int(snr)]))
            found = chooser.predict(input_grid(), noisy, ivar)
            yield (f"{kind}, models", snr, is_white_dwarf(found, chooser),
                   np.asarray(found.flag_bits))


def peculiar_kinds(chooser: Chooser, white_dwarfs: SpectralLibrary, miles: SpectralLibrary, *,
                   seed: int = 6) -> Iterator[tuple[str, float, np.ndarray, np.ndarray]]:
    """
    Samples of white dwarfs that are no models, for `kinds_table`.

    Parameters
    ----------
    chooser : `~sedflux.predict.chooser.Chooser`
    white_dwarfs, miles : `~sedflux.libraries.SpectralLibrary`
        Whole libraries.
    seed : int, optional
    """
    rng = np.random.default_rng(seed)
    for kind, flux in peculiar_spectra(held_out(white_dwarfs)[1], miles):
        found = chooser.predict(input_grid(), *noisy_inputs(flux, _PECULIAR_SNR, rng))
        yield (f"{kind}, models", _PECULIAR_SNR, is_white_dwarf(found, chooser),
               np.asarray(found.flag_bits))


def _held_out(stars, white_dwarfs):
    """Kinds, and spectra of their held-out models."""
    for kind, library in ((_STAR, split_models(stars)[1]),
                          (_WHITE_DWARF, held_out(white_dwarfs)[1])):
        yield kind, library_inputs(library, RESOLVING_POWER, input_grid())


def star_kinds(chooser: Chooser, stis: SpectralLibrary, miles: SpectralLibrary,
               ground: GroundSpectra, *, seed: int = 4
               ) -> Iterator[tuple[str, float, np.ndarray, np.ndarray]]:
    """
    Samples of real objects, for `kinds_table`.

    Parameters
    ----------
    chooser : `~sedflux.predict.chooser.Chooser`
    stis, miles : `~sedflux.libraries.SpectralLibrary`
    ground : `~sedflux.validation.white_dwarf_stars.GroundSpectra`
    seed : int, optional
        Of the noise that is added.
    """
    for snr in (np.nan, _STAR_SNR):
        rng = np.random.default_rng(seed)
        found: dict[str, list[SEDPrediction]] = {}
        for row, sptype in enumerate(stis.table["SPTYPE"]):
            wavelength, flux, ivar, mask, power = stis_arrays(stis, row)
            flux, ivar = _degraded(flux, ivar, snr, rng)
            try:
                # Here nothing is refused for its flags.
                part = chooser.evaluate(check_spectra(wavelength, flux, ivar, mask=mask), power,
                                        0.0)[0][0]
            except InputError:
                continue
            found.setdefault(_stis_kind(str(sptype).strip()), []).append(part)
        for kind, parts in sorted(found.items()):
            yield (f"{kind}, STIS", snr, _one_by_one(parts, chooser),
                   np.array([part.flag_bits for part in parts]))
        for kind, rows in _miles_rows(miles).items():
            wavelength, flux, ivar = miles_inputs(miles, rows)
            flux, ivar = _degraded(flux, ivar, snr, rng)
            many = chooser.predict(wavelength, flux, ivar, resolving_power=wavelength / MILES_FWHM)
            yield (f"{kind}, MILES", snr, is_white_dwarf(many, chooser),
                   np.asarray(many.flag_bits))
    seen = predict_ground(chooser, ground).values()
    good = [part for part in seen if part.diagnostics["snr"] >= _STAR_SNR]
    yield (f"{_WHITE_DWARF}, ground", np.nan, _one_by_one(good, chooser),
           np.array([part.flag_bits for part in good]))


def _one_by_one(parts, chooser):
    return np.array([part.model == chooser.predictors[1].name for part in parts])


def _stis_kind(sptype):
    """Kind of a STIS object in the table."""
    kind = kind_of(sptype)
    if kind == "white dwarf":
        # DA with other letters, as DAZ, have lines of other elements.
        return _WHITE_DWARF if sptype[:2] == "DA" and not sptype[2:3].isalpha() else "other " + kind
    return _STAR if kind is None else kind


def _miles_rows(miles):
    teff = np.asarray(miles.table["TEFF"], float)
    return {_STAR: np.flatnonzero((teff >= _ORDINARY[0]) & (teff < _ORDINARY[1])),
            "B star": np.flatnonzero(teff >= _HOT)}


def _degraded(flux, ivar, snr, rng):
    """Spectra with noise added down to an S/N per pixel; unchanged for NaN."""
    if not np.isfinite(snr):
        return flux, ivar
    sigma = np.abs(flux) / snr
    noisy = flux + sigma * rng.standard_normal(flux.shape)
    good = (ivar > 0) & (sigma > 0)
    variance = np.where(good, sigma, 1.0) ** 2 + 1.0 / np.where(good, ivar, 1.0)
    return noisy, np.where(good, 1.0 / variance, 0.0)


def odds_table(ratios: Table) -> Table:
    """
    Odds against what is found, where as many spectra are of white dwarfs as of stars.

    The ratios of each half of the models are calibrated by those of the other half.

    Parameters
    ----------
    ratios : `~astropy.table.Table`
        From `sedflux.training.odds.draw_ratios`.

    Returns
    -------
    table : `~astropy.table.Table`
        By S/N and class of the probability that an object is a white dwarf: number of spectra,
        mean probability, and share that are white dwarfs.
    """
    ratio, truth, half = (np.asarray(ratios[name]) for name in ("ratio", "white_dwarf", "half"))
    chance = np.empty(ratio.size)
    for own in (0, 1):
        odds = logistic_fit(ratio[half != own], truth[half != own])
        calibrated = odds["slope"] * ratio[half == own] + odds["offset"]
        chance[half == own] = expit(calibrated)
    place = np.clip(np.searchsorted(_EDGES, chance, side="right") - 1, 0, len(_EDGES) - 2)
    rows = []
    for snr in np.unique(ratios["snr"]):
        for one in np.unique(place):
            inside = (place == one) & (ratios["snr"] == snr)
            if inside.any():
                rows.append({"snr": snr, "low": _EDGES[one], "high": _EDGES[one + 1],
                             "spectra": int(inside.sum()), "chance": float(chance[inside].mean()),
                             "found": float(truth[inside].mean())})
    return Table(rows)
