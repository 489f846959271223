"""Studies of ``sedflux validate``: each writes tables and figures, and returns the tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from sedflux.emulator.principal import kernels_from_lists
from sedflux.libraries.library import read_library, split_models
from sedflux.predict.chooser import Chooser
from sedflux.predict.predictor import Predictor
from sedflux.training.johnson import johnson_weights, read_johnson
from sedflux.training.left_out import predict_left_out
from sedflux.training.library_error import library_error_table
from sedflux.training.odds import draw_ratios
from sedflux.training.stars import read_passbands, read_stars
from sedflux.validation import figures
from sedflux.validation.conditioned import conditioned_stis_table, conditioned_table
from sedflux.validation.conditioned_drawn import conditioned_drawn_table
from sedflux.validation.conditioned_johnson import conditioned_johnson_table
from sedflux.validation.continuum_study import continuum_table
from sedflux.validation.differences import difference_table
from sedflux.validation.effects import effects_table
from sedflux.validation.foreign import foreign_table
from sedflux.validation.johnson import johnson_table, predict_johnson, predict_stars
from sedflux.validation.kinds import (
    kinds_table,
    model_kinds,
    odds_table,
    peculiar_kinds,
    star_kinds,
)
from sedflux.validation.model_count import model_count_table
from sedflux.validation.star_count import star_count_table
from sedflux.validation.stars import (
    both_miles_tables,
    color_table,
    miles_errors,
    miles_table,
    star_table,
    stis_errors,
)
from sedflux.validation.synthetic import (
    TABLE_SNRS,
    synthetic_cases,
    synthetic_cells,
    synthetic_edges,
    synthetic_table,
)
from sedflux.validation.tables import write_tables
from sedflux.validation.white_dwarf_stars import GroundSpectra

__all__ = ["continuum", "effects", "foreign", "kinds", "model_count", "star_count", "stars",
           "synthetic"]

#: S/N per pixel of the spectra of examples in the figure, and their temperatures (K).
_EXAMPLE_SNRS, _EXAMPLE_TEFFS = (20.0, 40.0, 80.0), (5200.0, 6000.0, 8000.0)
#: S/N per pixel in the map and the histograms, one of those of the examples.
_FIGURE_SNR = 20.0
#: S/N per pixel of the spectra whose predictions are drawn from.
_DRAWN_SNR = 50.0

PathLike = str | os.PathLike[str]


def _kernels(model):
    """Kernels of the emulator with which a model was trained."""
    return kernels_from_lists(Predictor(model).metadata["kernels"])


def synthetic(library: PathLike, folder: Path, *, model: str | None = None, realisations: int = 4,
              baselines: bool = True) -> dict[Path, Table]:
    """
    Accuracy on held-out models.

    Writes ``synthetic.ecsv``, ``synthetic_cells.ecsv``, ``synthetic_edges.ecsv`` for the ends of
    the range of temperature if the library has models there, and figures.

    Parameters
    ----------
    library : path-like
    folder : `~pathlib.Path`
    model : str, optional
    realisations : int, optional
        Noise realisations of each model.
    baselines : bool, optional
        Score the baselines too.

    Returns
    -------
    tables : dict of `~pathlib.Path` to `~astropy.table.Table`
    """
    predictor, models = Predictor(model), read_library(library)
    kernels = kernels_from_lists(predictor.metadata["kernels"])
    tables = {
        "synthetic": synthetic_table(models, predictor, kernels, realisations=realisations,
                                     baselines=baselines),
        "synthetic_cells": synthetic_cells(models, predictor, realisations=realisations),
        "synthetic_edges": synthetic_edges(models, predictor, kernels, realisations=realisations)}
    written = write_tables(folder, {name: table for name, table in tables.items() if len(table)})
    cases = {snr: synthetic_cases(models, predictor, snr) for snr in _EXAMPLE_SNRS}
    teff, prediction, truth = cases[_FIGURE_SNR]
    order = [int(np.argmin(np.abs(teff - value))) for value in _EXAMPLE_TEFFS]
    figures.plot_examples(folder / "synthetic_examples.png", [
        (f"{teff[row]:.0f} K, S/N {snr:.0f}", part.flux[row], part.sigma[row], truth[row])
        for snr, (_, part, _) in cases.items() for row in order])
    errors = prediction.flux / truth - 1.0
    title = f"{predictor.name} on held-out models, S/N {_FIGURE_SNR:.0f}"
    figures.plot_error_map(folder / "synthetic_map.png", teff, errors, title=title)
    figures.plot_histograms(folder / "synthetic_histograms.png", errors,
                            (prediction.flux - truth) / prediction.sigma, title=title)
    return written


def _left_out_models(models):
    """Name in the tables, and predictors."""
    predictors = [Predictor(model) for model in models] or [Predictor()]
    return predictors[0].name if len(predictors) == 1 else "left out", predictors


def stars(stis: PathLike, miles: PathLike, photometry: PathLike, folder: Path, *,
          models: Sequence[str] = (), compare: str | None = None, snr: float | None = None,
          johnson: PathLike | None = None, conditioned: bool = False) -> dict[Path, Table]:
    """
    Accuracy on real stars.

    Writes ``stars.ecsv``, ``each_star.ecsv``, ``colors.ecsv``, ``miles.ecsv``,
    ``star_cells.ecsv``, ``stars.png`` and ``miles.png``; with stars of catalogued E(B-V)
    ``library_error.ecsv``, for `sedflux.fit_response`, and ``differences.ecsv``; with Johnson
    colours ``johnson.ecsv``, ``each_johnson.ecsv`` and ``johnson.png`` too.

    Parameters
    ----------
    stis, miles, photometry : path-like
    folder : `~pathlib.Path`
    models : sequence of str, optional
        One model, or one for every fold of stars, trained without it.
    compare : str, optional
        Another model in the same tables, such as the pretrained one.
    snr : float, optional
        S/N per pixel down to which noise is added; None adds none.
    johnson : path-like, optional
        Johnson colours of the stars.
    conditioned : bool, optional
        Also condition on magnitudes: ``conditioned.ecsv`` and ``conditioned_stis.ecsv``, stars
        that are drawn from predictions at S/N 50: ``conditioned_drawn.ecsv``, and on Johnson
        colours if there are any: ``conditioned_johnson.ecsv``.

    Returns
    -------
    tables : dict of `~pathlib.Path` to `~astropy.table.Table`
    """
    real, library = read_stars(miles, stis, photometry, johnson), read_library(miles)
    passbands = read_passbands(photometry)
    found: dict[str, list[Table]] = {"stars": [], "each_star": [], "colors": [], "miles": []}
    by_wavelength, by_cell = {}, {}
    sets = [_left_out_models(models)] + ([_left_out_models([compare])] if compare else [])
    for label, predictors in sets:
        left_out = predict_left_out(predictors, library, real, snr=snr)
        table, each = star_table(left_out)
        tables = (table, each, color_table(left_out, passbands), both_miles_tables(left_out))
        for parts, part in zip(list(found.values())[:len(tables)], tables, strict=True):
            part.add_column([label] * len(part), name="model", index=0)
            parts.append(part)
        for name, part in _error_tables(left_out, passbands).items():
            part.add_column([label] * len(part), name="model", index=0)
            found.setdefault(name, []).append(part)
        by_wavelength[label], by_cell[label] = stis_errors(left_out), miles_errors(left_out)
    figures.plot_stars(folder / "stars.png", by_wavelength)
    figures.plot_miles(folder / "miles.png", by_cell)
    more = {} if johnson is None else _johnson(sets, library, johnson, folder, snr)
    if conditioned and johnson is not None:
        colors = read_johnson(johnson)
        labels, predictions = predict_stars(sets[0][1], library, colors, snr=snr)
        more["conditioned_johnson"] = conditioned_johnson_table(labels, predictions, colors,
                                                                johnson_weights(johnson))
    if conditioned:
        left_out = predict_left_out(sets[0][1], library, real, snr=snr)
        more |= {"conditioned": conditioned_table(left_out, passbands),
                 "conditioned_stis": conditioned_stis_table(left_out, passbands),
                 "conditioned_drawn": conditioned_drawn_table(predict_left_out(
                     sets[0][1], library, real, snr=_DRAWN_SNR).predictions)}
    return write_tables(folder, {name: vstack(parts) for name, parts in found.items()}
                        | {"star_cells": _star_cells(sets[0][1], library, real)} | more)


def _error_tables(left_out, passbands):
    """What stars with a catalogued E(B-V) tell of the errors of SEDs, as far as there are some."""
    tables = {"library_error": library_error_table(left_out, passbands),
              "differences": difference_table(left_out, passbands)}
    return {name: table for name, table in tables.items() if len(table)}


def _johnson(sets, library, path, folder, snr):
    """Tables of Johnson colours by cell and by star, and their figure."""
    colors, weights = read_johnson(path), johnson_weights(path)
    each = {label: predict_johnson(predictors, library, colors, weights, snr=snr)
            for label, predictors in sets}
    figures.plot_johnson(folder / "johnson.png", each)
    for label, table in each.items():
        table.add_column([label] * len(table), name="model", index=0)
    return {"johnson": vstack([johnson_table(table, model=label)
                               for label, table in each.items()]),
            "each_johnson": vstack(list(each.values()))}


def _star_cells(predictors, library, real):
    """Pulls against MILES, with dust fitted, by band, temperature and S/N of the spectra."""
    parts = []
    for snr in TABLE_SNRS:
        part = miles_table(predict_left_out(predictors, library, real, snr=snr), dereddened=False)
        part.add_column([snr] * len(part), name="snr", index=0)
        part.remove_column("dust")
        parts.append(part)
    return vstack(parts)


def foreign(stis: PathLike, miles: PathLike, folder: Path, *, model: str | None = None
            ) -> dict[Path, Table]:
    """
    Flags on objects of other kinds and on ordinary stars: ``foreign.ecsv``.

    Parameters
    ----------
    stis, miles : path-like
    folder : `~pathlib.Path`
    model : str, optional

    Returns
    -------
    tables : dict of `~pathlib.Path` to `~astropy.table.Table`
    """
    return write_tables(folder, {"foreign": foreign_table(
        Predictor(model), read_library(stis), read_library(miles))})


def kinds(stis: PathLike, miles: PathLike, spectra: PathLike, library: PathLike,
          white_dwarfs: PathLike, folder: Path, *, models: Sequence[str] = ()
          ) -> dict[Path, Table]:
    """
    Choice between stars and white dwarfs: ``kinds.ecsv``, and its odds: ``odds.ecsv``.

    Parameters
    ----------
    stis, miles, spectra : path-like
        Real objects: STIS SEDs, MILES, and ground-based spectra of white dwarfs.
    library, white_dwarfs : path-like
        Synthetic stars, and models of white dwarfs.
    folder : `~pathlib.Path`
    models : sequence of str, optional
        Models of stars and of white dwarfs; the packaged ones by default.

    Returns
    -------
    tables : dict of `~pathlib.Path` to `~astropy.table.Table`
    """
    chooser = Chooser(*models)
    star, white_dwarf = chooser.predictors
    synthetic_stars, grid = read_library(library), read_library(white_dwarfs)
    real = read_library(miles)
    samples = chain(model_kinds(chooser, synthetic_stars, grid),
                    peculiar_kinds(chooser, grid, real),
                    star_kinds(chooser, read_library(stis), real, GroundSpectra(spectra)))
    return write_tables(folder, {"kinds": kinds_table(samples),
                                 "odds": odds_table(draw_ratios(
                                     star, white_dwarf, synthetic_stars, grid))})


def effects(miles: PathLike, folder: Path, *, models: Sequence[str] = (), snr: float = 50.0
            ) -> dict[Path, Table]:
    """
    Shifts of SEDs by effects of surveys on spectra: ``effects.ecsv``.

    Parameters
    ----------
    miles : path-like
    folder : `~pathlib.Path`
    models : sequence of str, optional
        One model, or one for every fold of stars, trained without it.
    snr : float, optional
        S/N per pixel.

    Returns
    -------
    tables : dict of `~pathlib.Path` to `~astropy.table.Table`
    """
    _, predictors = _left_out_models(models)
    return write_tables(folder, {"effects": effects_table(predictors, read_library(miles),
                                                          snr=snr)}, digits=2)


def star_count(library: PathLike, stis: PathLike, miles: PathLike, photometry: PathLike,
               folder: Path, *, model: str | None = None) -> dict[Path, Table]:
    """
    Errors against the number of real stars: ``star_count.ecsv``.

    Parameters
    ----------
    library, stis, miles, photometry : path-like
    folder : `~pathlib.Path`
    model : str, optional
        Whose emulator kernels are used.

    Returns
    -------
    tables : dict of `~pathlib.Path` to `~astropy.table.Table`
    """
    training, _ = split_models(read_library(library))
    return write_tables(folder, {"star_count": star_count_table(
        training, _kernels(model), read_stars(miles, stis, photometry),
        read_passbands(photometry))})


def model_count(library: PathLike, folder: Path, *, model: str | None = None) -> dict[Path, Table]:
    """
    Errors against the number of models: ``model_count.ecsv``.

    Parameters
    ----------
    library : path-like
    folder : `~pathlib.Path`
    model : str, optional
        Whose emulator kernels are used.

    Returns
    -------
    tables : dict of `~pathlib.Path` to `~astropy.table.Table`
    """
    return write_tables(folder, {"model_count": model_count_table(
        read_library(library), _kernels(model))})


def continuum(library: PathLike, folder: Path) -> dict[Path, Table]:
    """
    Comparison of two methods of continuum removal: ``continuum.ecsv``.

    Parameters
    ----------
    library : path-like
    folder : `~pathlib.Path`

    Returns
    -------
    tables : dict of `~pathlib.Path` to `~astropy.table.Table`
    """
    return write_tables(folder, {"continuum": continuum_table(read_library(library))})
