"""Objects of other kinds than the training stars: how many are flagged, and how many are wrong."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from sedflux.io.miles import MILES_FWHM
from sedflux.libraries.library import SpectralLibrary
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor
from sedflux.spectra.bands import BANDS, band_rows
from sedflux.spectra.grids import sed_grid
from sedflux.training.left_out import TRUTH_ERROR
from sedflux.training.stars import miles_inputs, stis_arrays, stis_sed
from sedflux.validation.metrics import band_totals

__all__ = ["foreign_table", "kind_of"]

#: An SED is wrong if its mean over a band differs from the truth by more than this many sigma.
_WRONG_SIGMA = 5.0
#: Fewest known samples of a band for a mean.
_LEAST_SAMPLES = 5
#: Ranges of effective temperature (K) of MILES stars, by the name of the kind.
_MILES_KINDS = {"hotter than 15000 K (MILES)": (15000.0, np.inf),
                "11000-15000 K (MILES)": (11000.0, 15000.0),
                "cooler than 4000 K (MILES)": (0.0, 4000.0),
                "ordinary, 4700-5500 K (MILES)": (4700.0, 5500.0),
                "ordinary, 5500-9750 K (MILES)": (5500.0, 9750.0)}


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


def _is_wrong(part: SEDPrediction, truth: np.ndarray) -> bool:
    """Whether the mean of any band differs from the truth by more than five sigma."""
    for inside in band_rows(sed_grid(), BANDS).values():
        known = inside & np.isfinite(truth)
        if known.sum() < _LEAST_SAMPLES:
            continue
        total, error = band_totals(part.flux[None], part.diagonal[None], part.factor[None], known)
        sigma = np.hypot(error, TRUTH_ERROR["NGSL"])
        if abs(np.log(total / truth[known].sum())) > _WRONG_SIGMA * sigma:
            return True
    return False


def foreign_table(predictor: Predictor, stis: SpectralLibrary, miles: SpectralLibrary) -> Table:
    """
    Fraction of objects of every kind that are flagged.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`
    stis, miles : `~sedflux.libraries.SpectralLibrary`

    Returns
    -------
    table : `~astropy.table.Table`
        One row per kind; ``wrong`` counts objects without a flag whose flux in some band differs
        from HST by more than five sigma.
    """
    kinds = [kind_of(str(value).strip()) for value in stis.table["SPTYPE"]]
    found: dict[str, list[tuple[bool, bool]]] = {}
    for row in (row for row, kind in enumerate(kinds) if kind):
        wavelength, flux, ivar, mask, power = stis_arrays(stis, row)
        part = predictor.predict(wavelength, flux, ivar, mask=mask, resolving_power=power)
        wrong = not part.flags and _is_wrong(part, stis_sed(stis, row))
        found.setdefault(f"{kinds[row]} (STIS)", []).append((bool(part.flags), wrong))
    teff = np.asarray(miles.table["TEFF"], float)
    for kind, (low, high) in _MILES_KINDS.items():
        rows = np.flatnonzero((teff >= low) & (teff < high))
        if not rows.size:
            continue
        wavelength, flux, ivar = miles_inputs(miles, rows)
        parts = predictor.predict(wavelength, flux, ivar, resolving_power=wavelength / MILES_FWHM)
        found[kind] = [(bool(flags), False) for flags in parts.flags]
    return Table([{"kind": kind, "objects": len(values),
                   "flagged": float(np.mean([flag for flag, _ in values])),
                   "wrong": int(sum(wrong for _, wrong in values))}
                  for kind, values in sorted(found.items())])
