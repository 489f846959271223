"""The commands of ``sedflux validate``: tables on paper and on disk."""

from sedflux.libraries.library import read_library
from sedflux.libraries.principal import kernels_from_lists
from sedflux.predict import Predictor
from sedflux.validation.continuum_study import continuum_table
from sedflux.validation.stars import color_table, star_table
from sedflux.validation.synthetic import synthetic_table

__all__ = ["continuum", "stars", "synthetic"]


def _write(table, path, say):
    """Write a table as ECSV and say it, rounded."""
    for column in table.itercols():
        if column.dtype.kind == "f":
            column.info.format = ".4f"
    table.write(path, format="ascii.ecsv", overwrite=True)
    for line in table.pformat(max_lines=-1, max_width=-1):
        say(line)
    say(f"wrote {path}")


def synthetic(library, folder, *, model=None, realisations=4, baselines=True, say):
    """
    Table of the accuracy on held-out models, ``synthetic.ecsv``.

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
    predictor = Predictor(model)
    kernels = kernels_from_lists(predictor.metadata["kernels"])
    table = synthetic_table(read_library(library), predictor, kernels, realisations=realisations,
                            baselines=baselines, progress=say)
    _write(table, folder / "synthetic.ecsv", say)


def stars(stis, miles, folder, *, photometry=None, model=None, say):
    """
    Tables of the accuracy on real stars, ``stars.ecsv`` and ``each_star.ecsv``.

    Parameters
    ----------
    stis, miles : path-like
    folder : `~pathlib.Path`
    photometry : path-like, optional
        Adds ``colors.ecsv``.
    model : str, optional
    say : callable
    """
    predictor = Predictor(model)
    table, each = star_table(predictor, stis, miles)
    _write(each, folder / "each_star.ecsv", say)
    _write(table, folder / "stars.ecsv", say)
    if photometry:
        _write(color_table(predictor, photometry, miles), folder / "colors.ecsv", say)


def continuum(library, folder, *, say):
    """
    Table that compares forms of the continuum removal, ``continuum.ecsv``.

    Parameters
    ----------
    library : path-like
    folder : `~pathlib.Path`
    say : callable
    """
    _write(continuum_table(read_library(library)), folder / "continuum.ecsv", say)
