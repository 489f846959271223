"""The commands of ``sedflux validate --response``: responses against their truth."""

from sedflux.libraries.library import read_library, split_models
from sedflux.predict.predictor import Predictor
from sedflux.simulate.settings import FieldSettings
from sedflux.simulate.simulator import Simulator
from sedflux.slitless.instrument import get_instrument, named_bands
from sedflux.training.stars import read_stars
from sedflux.validation import response_figures as figures
from sedflux.validation.response import (
    closure,
    field_study,
    real_star_study,
    resolution_study,
    scaling,
)
from sedflux.validation.run import write_table

__all__ = ["bands_of", "closures", "fields", "real_stars", "speed"]


def bands_of(instrument, throughputs):
    """
    Bands of an instrument that have a throughput; those that are named, if any is.

    Parameters
    ----------
    instrument : str
    throughputs : sequence of str
        ``BAND=PATH``.
    """
    bands, named = named_bands(instrument, throughputs)
    return {name: bands[name] for name in named} or bands


def closures(bands, folder, *, library=None, model=None, say):
    """
    Noiseless closure, ``closure.ecsv`` and figure; with a library of models, also what the
    resolving power of SEDs does, ``resolution.ecsv``.
    """
    table, curves = closure(Predictor(model), bands)
    write_table(table, folder / "closure.ecsv", say, digits=6)
    figures.plot_closure(folder / "closure.png", curves)
    if library is not None:
        _, test = split_models(read_library(library))
        write_table(resolution_study(test, bands), folder / "resolution.ecsv", say)


def fields(bands, folder, *, library=None, model=None, realisations=200, size=80, say):
    """
    Errors and pulls over simulated fields: ``fields.ecsv``, ``field_intervals.ecsv``, a figure.

    Stars are held-out models of a library, each as often, or the model's own reference
    stars, as a survey sees them.
    """
    if library is not None:
        _, library = split_models(read_library(library))
    prior = "survey" if library is None else "flat"
    simulator = Simulator(bands, FieldSettings(prior=prior), library=library, model=model)
    summary, detail = field_study(simulator, size=size, realisations=realisations, say=say)
    write_table(summary, folder / "fields.ecsv", say)
    detail.write(folder / "field_intervals.ecsv", overwrite=True)
    figures.plot_fields(folder / "fields.png", detail)


def real_stars(stis, miles, photometry, bands, folder, *, models=(), compare=None, say):
    """
    Responses from real stars, ``real_response.ecsv`` and figure, by one or two models.
    """
    sets = {"left out" if len(models) > 1 else Predictor(next(iter(models), None)).name:
            [Predictor(model) for model in models] or [Predictor()]}
    if compare:
        sets[compare] = [Predictor(compare)]
    detail = real_star_study(sets, read_library(miles), read_stars(miles, stis, photometry), bands)
    detail.write(folder / "real_response.ecsv", overwrite=True)
    write_table(figures.summarise_real(detail), folder / "real_response_bands.ecsv", say)
    figures.plot_real(folder / "real_response.png", detail)


def speed(sizes, *, say):
    """Time and memory against the number of stars, on the imitation of CSST."""
    simulator = Simulator(get_instrument("lookalike").bands, FieldSettings())
    return scaling(simulator, sizes, say=say)
