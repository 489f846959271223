"""The commands of ``sedflux validate``: tables on paper and on disk, and figures."""

import numpy as np
from astropy.table import vstack

from sedflux.emulator.principal import kernels_from_lists
from sedflux.libraries.library import read_library, split_models
from sedflux.predict.predictor import Predictor
from sedflux.training.left_out import fit_reddening, predict_left_out
from sedflux.training.stars import read_passbands, read_stars
from sedflux.validation import figures
from sedflux.validation.continuum_study import continuum_table
from sedflux.validation.foreign import foreign_table
from sedflux.validation.model_count import model_count_table
from sedflux.validation.star_count import star_count_table
from sedflux.validation.stars import (
    TEFF_CELLS,
    both_miles_tables,
    color_table,
    miles_table,
    star_table,
)
from sedflux.validation.synthetic import synthetic_cases, synthetic_cells, synthetic_table

__all__ = ["continuum", "foreign", "model_count", "star_count", "stars", "synthetic",
           "write_table"]

#: S/N to which noise is added for the cells of real stars.
_CELL_SNRS = (10.0, 20.0, 40.0, 80.0)
#: S/N of the map and the histograms.
_FIGURE_SNR = 20.0


def write_table(table, path, say, *, digits=4):
    """
    Write a table as ECSV and for documents, and say it, rounded.

    Parameters
    ----------
    table : `~astropy.table.Table`
    path : `~pathlib.Path`
        Ends in ``.ecsv``; the other file in ``.rst``.
    say : callable
        Gets lines of text.
    digits : int, optional
    """
    for column in table.itercols():
        if column.dtype.kind == "f":
            column.info.format = f".{digits}f"
    table.write(path, format="ascii.ecsv", overwrite=True)
    table.write(path.with_suffix(".rst"), format="ascii.rst", overwrite=True)
    for line in table.pformat(max_lines=-1, max_width=-1):
        say(line)
    say(f"wrote {path}")


def synthetic(library, folder, *, model=None, realisations=4, baselines=True, say):
    """
    Table of the accuracy on held-out models, ``synthetic.ecsv``, and its figures.

    Parameters
    ----------
    library : path-like
    folder : `~pathlib.Path`
    model : str, optional
    realisations : int, optional
    baselines : bool, optional
    say : callable
        Gets lines of text.
    """
    predictor, library = Predictor(model), read_library(library)
    kernels = kernels_from_lists(predictor.metadata["kernels"])
    table = synthetic_table(library, predictor, kernels, realisations=realisations,
                            baselines=baselines, progress=say)
    write_table(table, folder / "synthetic.ecsv", say)
    write_table(synthetic_cells(library, predictor, realisations=realisations),
                folder / "synthetic_cells.ecsv", say)
    cases = {snr: synthetic_cases(library, predictor, snr) for snr in (20.0, 40.0, 80.0)}
    teff, prediction, truth = cases[_FIGURE_SNR]
    order = [int(np.argmin(np.abs(teff - value))) for value in (5200.0, 6000.0, 8000.0)]
    figures.plot_examples(folder / "synthetic_examples.png", [
        (f"{teff[row]:.0f} K, S/N {snr:.0f}", part.flux[row], part.sigma[row], truth[row])
        for snr, (_, part, _) in cases.items() for row in order])
    errors = prediction.flux / truth - 1.0
    title = f"{predictor.name} on held-out models, S/N {_FIGURE_SNR:.0f}"
    figures.plot_error_map(folder / "synthetic_map.png", teff, errors, title=title)
    figures.plot_histograms(folder / "synthetic_histograms.png", errors,
                            (prediction.flux - truth) / prediction.sigma, title=title)


def _left_out_models(models):
    """Predictors and the name under which they appear."""
    predictors = [Predictor(model) for model in models] or [Predictor()]
    return predictors[0].name if len(predictors) == 1 else "left out", predictors


def stars(stis, miles, photometry, folder, *, models=(), compare=None, snr=None, say):
    """
    Tables and figures of the accuracy on real stars.

    Writes ``stars.ecsv``, ``each_star.ecsv``, ``colors.ecsv``, ``miles.ecsv``, ``star_cells.ecsv``,
    ``stars.png`` and ``miles.png``.

    Parameters
    ----------
    stis, miles, photometry : path-like
    folder : `~pathlib.Path`
    models : sequence of str, optional
        One model, or one for every fold of stars, trained without it.
    compare : str, optional
        A model to stand beside them, such as the pretrained one.
    snr : float, optional
        Add noise to the spectra for this S/N a pixel.
    say : callable
    """
    real, library = read_stars(miles, stis, photometry), read_library(miles)
    passbands = read_passbands(photometry)
    found = {"stars": [], "each_star": [], "colors": [], "miles": []}
    by_wavelength, by_cell = {}, {}
    sets = [_left_out_models(models)] + ([_left_out_models([compare])] if compare else [])
    for label, predictors in sets:
        left_out = predict_left_out(predictors, library, real, snr=snr)
        table, each = star_table(left_out)
        tables = (table, each, color_table(left_out, passbands), both_miles_tables(left_out))
        for parts, part in zip(found.values(), tables, strict=True):
            part.add_column([label] * len(part), name="model", index=0)
            parts.append(part)
        by_wavelength[label], by_cell[label] = _errors(left_out)
    for name, parts in found.items():
        write_table(vstack(parts), folder / f"{name}.ecsv", say)
    write_table(_star_cells(sets[0][1], library, real),
                folder / "star_cells.ecsv", say)
    figures.plot_stars(folder / "stars.png", by_wavelength)
    figures.plot_miles(folder / "miles.png", by_cell)


def _star_cells(predictors, library, real):
    """Pulls against MILES, dust fitted, by band, temperature and S/N of the spectra."""
    parts = []
    for snr in _CELL_SNRS:
        part = miles_table(predict_left_out(predictors, library, real, snr=snr), dereddened=False)
        part.add_column([snr] * len(part), name="snr", index=0)
        part.remove_column("dust")
        parts.append(part)
    return vstack(parts)


def _errors(left_out):
    """Errors against HST with dust fitted, and against MILES by temperature."""
    real = left_out.stars
    known = left_out.take(np.isfinite(real.stis_sed).any(axis=1))
    truth = np.exp(known.stars.stis_sed)
    errors = np.stack([part.reddened(fit_reddening(part, row, 0.02)).flux / row - 1.0
                       for part, row in zip(known.predictions, truth, strict=True)])
    every = left_out.stack("flux") / np.exp(real.miles_sed) - 1.0
    teff = real.labels[:, 0]
    return errors, {f"MILES, {low:.0f}-{high:.0f} K": every[(teff >= low) & (teff < high)]
                    for low, high in TEFF_CELLS[:-1]}


def foreign(stis, miles, folder, *, model=None, say):
    """
    Table of flags on objects of other kinds and on ordinary stars, ``foreign.ecsv``.

    Parameters
    ----------
    stis, miles : path-like
    folder : `~pathlib.Path`
    model : str, optional
    say : callable
    """
    predictor = Predictor(model)
    write_table(foreign_table(predictor, read_library(stis), read_library(miles)),
           folder / "foreign.ecsv", say)


def star_count(library, stis, miles, photometry, folder, *, model=None, say):
    """
    Table of errors against the number of real stars, ``star_count.ecsv``.

    Parameters
    ----------
    library, stis, miles, photometry : path-like
    folder : `~pathlib.Path`
    model : str, optional
        Whose kernels are used.
    say : callable
    """
    training, _ = split_models(read_library(library))
    table = star_count_table(
        training, kernels_from_lists(Predictor(model).metadata["kernels"]),
        read_stars(miles, stis, photometry), read_passbands(photometry), progress=say)
    write_table(table, folder / "star_count.ecsv", say)


def model_count(library, folder, *, model=None, say):
    """
    Table of errors against the number of models, ``model_count.ecsv``.

    Parameters
    ----------
    library : path-like
    folder : `~pathlib.Path`
    model : str, optional
        Whose kernels are used.
    say : callable
    """
    kernels = kernels_from_lists(Predictor(model).metadata["kernels"])
    write_table(model_count_table(read_library(library), kernels, progress=say),
           folder / "model_count.ecsv", say)


def continuum(library, folder, *, say):
    """
    Table that compares forms of the continuum removal, ``continuum.ecsv``.

    Parameters
    ----------
    library : path-like
    folder : `~pathlib.Path`
    say : callable
    """
    write_table(continuum_table(read_library(library)), folder / "continuum.ecsv", say)
