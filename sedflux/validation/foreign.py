"""
Objects of other kinds than the training stars: how many are flagged or refused, how wrong they are.

Kinds of MILES stars follow published labels alone, those of STIS objects spectral types alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from sedflux.io.miles import MILES_FWHM
from sedflux.libraries.library import SpectralLibrary
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.predict.flags import flag
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor
from sedflux.spectra.arrays import check_spectra
from sedflux.spectra.bands import BANDS, band_rows
from sedflux.training.left_out import TRUTH_ERROR, ivar_with_noise
from sedflux.training.stars import (
    beyond_gravity_edge,
    miles_inputs,
    miles_seds,
    stis_arrays,
    stis_sed,
)
from sedflux.validation.extragalactic import galaxies, quasars
from sedflux.validation.metrics import band_totals

__all__ = ["foreign_table", "kind_of", "kind_of_labels"]

#: An SED is wrong if its mean over a band differs from the truth by more than this many sigma.
_WRONG_SIGMA = 5.0
#: Fewest known samples of a band for a mean.
_LEAST_SAMPLES = 5
#: Bands (Angstrom) in which SEDs are compared with truths.
_BANDS = {name: BANDS[name] for name in ("2500-3000", "3000-4000")} | {
    "4000-4500": (4000.0, 4500.0), "4500-5500": (4500.0, 5500.0), "6000-7000": (6000.0, 7000.0),
    "7000-8500": (7000.0, 8500.0), "8500-10500": (8500.0, 10500.0)}
#: S/N per pixel to which spectra are degraded; NaN leaves them as they are, which for spectra that
#: are made is the last.
_SNRS, _MADE_SNR = (np.nan, 20.0), 50.0
#: Temperatures (K): ordinary stars, where they are split, and where cool and hot ones begin.
_ORDINARY, _WARM, _COOL, _HOT = (4500.0, 10250.0), 5500.0, 4000.0, (11000.0, 15000.0)
#: [M/H] below which a star is no ordinary one, and log g above which a cool star is a dwarf.
_METAL_POOR, _DWARF = -2.0, 3.5
#: Beginnings of kinds of cool stars, whose MILES fluxes count as truths.
_COOL_KIND = "cooler than 4000 K"


@dataclass(frozen=True)
class _Sample:
    """Objects with their kinds, predictions, and true SEDs: NaN where they are not known."""

    kinds: np.ndarray
    prediction: SEDPrediction
    truth: np.ndarray


def kind_of(sptype: str) -> str | None:
    """
    Kind of an object from its spectral type; None for ordinary stars.

    Parameters
    ----------
    sptype : str

    Returns
    -------
    kind : str or None

    Examples
    --------
    >>> from sedflux.validation.foreign import kind_of
    >>> kind_of("DA1.2"), kind_of("sdB"), kind_of("O9V"), kind_of("G2V")
    ('white dwarf', 'hot subdwarf', 'O or B star', None)
    """
    if sptype.startswith("D"):
        return "white dwarf"
    if sptype.startswith(("sdO", "sdB")):
        return "hot subdwarf"
    if sptype.startswith(("O", "B")) and not sptype.startswith("B9"):
        return "O or B star"
    if sptype.startswith("M"):
        return "M star"
    return None


def kind_of_labels(teff: float, logg: float, mh: float) -> str | None:
    """
    Kind of a star from its published labels; None if it is between kinds, or labels are missing.

    Parameters
    ----------
    teff, logg, mh : float
        T_eff in K, log g in dex, [M/H].

    Returns
    -------
    kind : str or None

    Examples
    --------
    >>> from sedflux.validation.foreign import kind_of_labels
    >>> kind_of_labels(5777.0, 4.44, 0.0), kind_of_labels(6600.0, 0.6, -0.3)
    ('ordinary, 5500-10250 K', 'supergiant below the edge')
    """
    if not np.isfinite([teff, logg]).all():
        return None
    if teff < _COOL:
        return f"{_COOL_KIND}, {'dwarf' if logg > _DWARF else 'giant'}"
    if teff >= _HOT[0]:
        return "11000-15000 K" if teff < _HOT[1] else "hotter than 15000 K"
    if not _ORDINARY[0] <= teff < _ORDINARY[1]:
        return None
    if beyond_gravity_edge(np.array([teff]), np.array([logg]))[0]:
        return "supergiant below the edge"
    if mh < _METAL_POOR:
        return "[M/H] below -2"
    return "ordinary, 4500-5500 K" if teff < _WARM else "ordinary, 5500-10250 K"


def _predict(predictor, wavelength, flux, ivar, mask, power, snr, rng):
    """Predictions of spectra, with noise, of which none is refused."""
    if np.isfinite(snr):
        ivar = ivar_with_noise(flux, ivar, snr)
        flux = flux * (1.0 + rng.standard_normal(flux.shape) / snr)
    checked = check_spectra(wavelength, flux, ivar, mask=mask)
    return predictor.evaluate(checked, power, 0.0)[0]


def _samples(predictor: Predictor, stis: SpectralLibrary, miles: SpectralLibrary, snr: float
             ) -> Iterator[_Sample]:
    """All objects at one S/N."""
    rng = np.random.default_rng(11)
    types = [str(value).strip() for value in stis.table["SPTYPE"]]
    kinds = np.array([kind_of(text) or ("A to K star" if text[:1] in tuple("AFGK") else "")
                      for text in types])
    rows = np.flatnonzero(kinds != "")
    wavelength, flux, ivar, mask, power = stis_arrays(stis, rows)
    found = _predict(predictor, wavelength, flux, ivar, mask, power, snr, rng)
    yield _Sample(np.char.add(kinds[rows], " (STIS)"), found,
                  np.array([stis_sed(stis, int(row)) for row in rows]))
    labels: np.ndarray = np.stack(
        [np.ma.filled(np.ma.asarray(miles.table[name], float), np.nan)
         for name in ("TEFF", "LOGG", "FEH")], axis=1)
    kinds = np.array([kind_of_labels(*three) or "" for three in labels])
    rows = np.flatnonzero(kinds != "")
    wavelength, flux, ivar = miles_inputs(miles, rows)
    found = _predict(predictor, wavelength, flux, ivar, None, wavelength / MILES_FWHM, snr, rng)
    # Warmer stars with unknown dust say nothing of predicted SEDs.
    cool = np.char.startswith(kinds[rows], _COOL_KIND)
    truth = np.where(cool[:, None], np.exp(miles_seds(miles, rows)), np.nan)
    yield _Sample(np.char.add(kinds[rows], " (MILES)"), found, truth)
    for kind, (wavelength, flux, truth) in (quasars() | galaxies(miles, labels)).items():
        noise = _MADE_SNR if np.isnan(snr) else snr
        found = _predict(predictor, wavelength, flux, np.full(flux.shape, np.inf), None,
                         RESOLVING_POWER, noise, rng)
        yield _Sample(np.full(len(flux), f"{kind} (made)"), found, truth)


def _pulls(sample: _Sample) -> np.ndarray:
    """Predicted minus true mean of every object in every band, in units of sigma, (N, m)."""
    part, found = sample.prediction, []
    for inside in band_rows(part.wavelength, _BANDS).values():
        pulls = np.full(len(part), np.nan)
        for row, truth in enumerate(sample.truth):
            known = inside & np.isfinite(truth)
            if known.sum() >= _LEAST_SAMPLES:
                total, error = band_totals(part.flux[row][None], part.diagonal[row][None],
                                           part.factor[row][None], known)
                pulls[row] = np.log(total / truth[known].sum())[0] / np.hypot(
                    error, TRUTH_ERROR["NGSL"])[0]
        found.append(pulls)
    return np.stack(found, axis=1)


def _row(kind, snr, bits, pulls):
    """Scores of one kind of objects."""
    refused = (bits & (flag("foreign").mask | flag("unusable").mask)) != 0
    left = pulls[(bits != 0) & ~refused]
    known = np.isfinite(left).any()
    return {"kind": kind, "snr": snr, "objects": len(bits), "flagged": float(np.mean(bits != 0)),
            "refused": float(np.mean(refused)),
            "wrong": int((np.abs(pulls[bits == 0]) > _WRONG_SIGMA).any(axis=1).sum()),
            "pull": float(np.sqrt(np.nanmean(left**2))) if known else np.nan,
            "worst": float(np.nanmax(np.abs(left))) if known else np.nan}


def foreign_table(predictor: Predictor, stis: SpectralLibrary, miles: SpectralLibrary) -> Table:
    """
    Fraction of objects of every kind that are flagged and refused, and how wrong the others are.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`
    stis, miles : `~sedflux.libraries.SpectralLibrary`

    Returns
    -------
    table : `~astropy.table.Table`
        One row per kind and S/N (NaN: as observed).  ``flagged`` counts refused objects, too.
        ``wrong`` counts objects without a flag whose flux in some band differs from the truth
        by more than five sigma; ``pull`` and ``worst`` are the rms and the largest pull of
        flagged objects that are not refused.
    """
    rows = []
    for snr in _SNRS:
        found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for sample in _samples(predictor, stis, miles, snr):
            bits, pulls = np.asarray(sample.prediction.flag_bits), _pulls(sample)
            for kind in np.unique(sample.kinds):
                inside = sample.kinds == kind
                found.setdefault(str(kind), []).append((bits[inside], pulls[inside]))
        rows += [_row(kind, snr, *map(np.concatenate, zip(*parts, strict=True)))
                 for kind, parts in sorted(found.items())]
    return Table(rows)
