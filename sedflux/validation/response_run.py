"""The studies of ``sedflux validate --response`` and ``sedflux benchmark --response``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from astropy.table import Table

from sedflux.libraries.library import read_library, split_models
from sedflux.predict.predictor import Predictor
from sedflux.simulate.settings import FieldSettings
from sedflux.simulate.simulator import Simulator
from sedflux.simulate.white_dwarfs import WhiteDwarfs
from sedflux.slitless.instrument import SlitlessBand, get_instrument
from sedflux.slitless.instrument_files import bands_with_throughput
from sedflux.training.stars import read_stars
from sedflux.validation import response_figures as figures
from sedflux.validation.response_closure import closure, resolution_study
from sedflux.validation.response_fields import field_study, scaling
from sedflux.validation.response_kinds import F_STARS, response_kinds
from sedflux.validation.response_stars import real_star_study, summarise_real_stars
from sedflux.validation.tables import write_table, write_tables
from sedflux.validation.white_dwarfs import held_out

__all__ = ["bands_of", "closures", "fields", "kinds", "measure_scaling", "real_stars"]

PathLike = str | os.PathLike[str]
Bands = Mapping[str, SlitlessBand]


def bands_of(instrument: str, throughputs: Mapping[str, PathLike]) -> dict[str, SlitlessBand]:
    """
    Bands of an instrument: those with a given throughput, or all if none is given.

    Parameters
    ----------
    instrument : str
    throughputs : mapping of str to path-like
        Files of throughputs by band.
    """
    bands = bands_with_throughput(instrument, throughputs)
    return {name: bands[name] for name in throughputs} or bands


def closures(bands: Bands, folder: Path, *, library: PathLike | None = None,
             model: str | None = None) -> dict[Path, Table]:
    """
    Write the closure without noise: ``closure.ecsv`` and a figure.

    With a library of models, write the effect of the resolving power too: ``resolution.ecsv``.
    """
    table, curves = closure(Predictor(model), bands)
    figures.plot_closure(folder / "closure.png", curves)
    written = write_tables(folder, {"closure": table}, digits=6)
    if library is not None:
        _, test = split_models(read_library(library))
        written |= write_tables(folder, {"resolution": resolution_study(test, bands)})
    return written


def fields(bands: Bands, folder: Path, *, library: PathLike | None = None,
           model: str | None = None, realisations: int = 200, size: int = 80
           ) -> dict[Path, Table]:
    """
    Write errors and pulls in simulated fields: ``fields.ecsv``, ``field_intervals.ecsv``, a figure.

    Stars are held-out models of a library with a flat prior, or the reference stars of the model
    with the prior of a survey.
    """
    models = None
    if library is not None:
        _, models = split_models(read_library(library))
    prior = "survey" if models is None else "flat"
    simulator = Simulator(bands, FieldSettings(prior=prior), library=models, model=model)
    summary, detail = field_study(simulator, size=size, realisations=realisations)
    write_table(detail, folder / "field_intervals.ecsv")
    figures.plot_fields(folder / "fields.png", detail)
    return write_tables(folder, {"fields": summary})


def kinds(bands: Bands, folder: Path, *, library: PathLike, white_dwarfs: PathLike,
          model: str | None = None, realisations: int = 100, size: int = 80, number: int = 5
          ) -> dict[Path, Table]:
    """
    Write responses from F stars, from white dwarfs and from both: ``response_kinds.ecsv``.

    Both are held-out models, whose SEDs are predicted from noisy spectra; there are no outliers.
    The errors of every interval are in ``response_kinds_intervals.ecsv``.

    Parameters
    ----------
    bands : mapping of str to `~sedflux.SlitlessBand`
    folder : `~pathlib.Path`
    library, white_dwarfs : path-like
        Synthetic stars, and models of white dwarfs.
    model : str, optional
        Of stars.
    realisations : int, optional
        Number of fields.
    size, number : int, optional
        Stars and white dwarfs in a field.
    """
    _, stars = split_models(read_library(library))
    dwarfs = WhiteDwarfs(number=number, library=held_out(read_library(white_dwarfs))[1])
    simulator = Simulator(bands, FieldSettings(prior="flat", teff=F_STARS, outliers=0.0),
                          library=stars, model=model, white_dwarfs=dwarfs)
    summary, detail = response_kinds(simulator, size=size, realisations=realisations)
    return write_tables(folder, {"response_kinds": summary, "response_kinds_intervals": detail})


def real_stars(stis: PathLike, miles: PathLike, photometry: PathLike, bands: Bands, folder: Path,
               *, models: Sequence[str] = (), compare: str | None = None) -> dict[Path, Table]:
    """
    Write responses from real stars by one model, or by two for comparison.

    The files are ``real_response.ecsv``, ``real_response_bands.ecsv`` and a figure.
    """
    sets = {"left out" if len(models) > 1 else Predictor(next(iter(models), None)).name:
            [Predictor(model) for model in models] or [Predictor()]}
    if compare:
        sets[compare] = [Predictor(compare)]
    detail = real_star_study(sets, read_library(miles), read_stars(miles, stis, photometry), bands)
    write_table(detail, folder / "real_response.ecsv")
    figures.plot_real_stars(folder / "real_response.png", detail)
    return write_tables(folder, {"real_response_bands": summarise_real_stars(detail)})


def measure_scaling(sizes: Sequence[int]) -> Table:
    """Time and memory against the number of stars, for the bands of ``lookalike``."""
    return scaling(Simulator(get_instrument("lookalike").bands, FieldSettings()), sizes)
