"""The study of white dwarfs of ``sedflux validate``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from sedflux.libraries.library import read_library
from sedflux.predict.predictor import Predictor
from sedflux.spectra.reddening import R_V
from sedflux.training.stars import read_passbands
from sedflux.validation.tables import write_tables
from sedflux.validation.white_dwarf_stars import (
    GroundSpectra,
    color_rows,
    color_scores,
    each_white_dwarf,
    names_with_seds,
    predict_ground,
    predict_stis,
    white_dwarf_scores,
)
from sedflux.validation.white_dwarfs import white_dwarf_table

__all__ = ["WHITE_DWARF_MODEL", "white_dwarfs"]

#: Model that is measured if none is named.
WHITE_DWARF_MODEL = "uara.da1"
#: Error of A_V in mag where the table has none: a round number, and the share of A_V that the
#: scatter of R_V among sight lines (0.18, Schlafly et al. 2016) makes of it.
_AV_ERROR, _AV_SHARE = 0.01, 0.18 / R_V

PathLike = str | os.PathLike[str]


def white_dwarfs(library: PathLike, stis: PathLike, spectra: PathLike, passbands: PathLike,
                 folder: Path, *, model: str | None = None, realisations: int = 4
                 ) -> dict[Path, Table]:
    """
    Accuracy on white dwarfs.

    Writes ``white_dwarfs.ecsv`` (held-out models), ``white_dwarf_stars.ecsv`` and
    ``each_white_dwarf.ecsv`` (STIS SEDs), and ``white_dwarf_colors.ecsv`` (HST magnitudes).

    Parameters
    ----------
    library : path-like
        Grid of models.
    stis : path-like
        STIS SEDs.
    spectra : path-like
        Ground-based spectra with HST magnitudes, A_V, and its error ``E_AV`` if it is known.
    passbands : path-like
        FITS file with a table of WAVELENGTH and THROUGHPUT for every band, the first in the third
        HDU.
    folder : `~pathlib.Path`
    model : str, optional
    realisations : int, optional
        Noise realisations of each model.

    Returns
    -------
    tables : dict of `~pathlib.Path` to `~astropy.table.Table`
    """
    predictor = Predictor(model or WHITE_DWARF_MODEL)
    seds, ground = read_library(stis), GroundSpectra(spectra)
    from_stis = predict_stis(predictor, seds)
    from_ground = predict_ground(predictor, ground)
    names = names_with_seds(ground, from_stis)
    studies = [each_white_dwarf(from_stis, {name: name for name in from_stis}, seds, "STIS"),
               each_white_dwarf(from_ground, names, seds, "ground")]
    return write_tables(folder, {
        "white_dwarfs": white_dwarf_table(read_library(library), predictor,
                                          realisations=realisations),
        "white_dwarf_stars": vstack([white_dwarf_scores(*one) for one in studies if one[1]]),
        "each_white_dwarf": vstack([one[0] for one in studies]),
        "white_dwarf_colors": _colors(ground, from_ground, read_passbands(passbands))})


def _colors(ground, predictions, passbands):
    """Scores of the colours of stars with known dust and magnitudes."""
    table, rows = ground.library.table, []
    for row, part in predictions.items():
        one = table[row]
        measured = {band: (float(one[band]), float(one[f"E_{band}"])) for band in passbands}
        av = float(one["AV"])
        if av >= 0.0:
            error = float(one["E_AV"]) if "E_AV" in table.colnames else np.hypot(
                _AV_ERROR, _AV_SHARE * av)
            rows += color_rows(part, av, measured, passbands, av_error=error)
    return color_scores(Table(rows))
