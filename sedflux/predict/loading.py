"""Models that are read once."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from sedflux.predict.models import AUTO, DEFAULT_MODEL, WHITE_DWARF_MODEL, find_model
from sedflux.predict.predictor import Predictor

__all__ = ["loaded_predictor"]

#: Number of models that `loaded_predictor` keeps.
_CACHED_MODELS = 4


def loaded_predictor(model: str | os.PathLike[str] | Predictor | None = None) -> Predictor:
    """
    A predictor for a model, read once: from a small cache if its file has not changed.

    Parameters
    ----------
    model : str, path-like or `~sedflux.Predictor`, optional
        The packaged default if not given, ``"auto"`` for a `~sedflux.predict.chooser.Chooser`
        among the packaged ones; a predictor is handed back.

    Returns
    -------
    predictor : `~sedflux.Predictor`

    Raises
    ------
    sedflux.exceptions.ModelError, sedflux.exceptions.WeightsError
        If the model is unknown, missing or damaged.

    Examples
    --------
    >>> from sedflux.predict.loading import loaded_predictor
    >>> loaded_predictor() is loaded_predictor("uara.stars2")
    True
    """
    if isinstance(model, Predictor):
        return model
    if isinstance(model, str) and model == AUTO:
        return _chooser(loaded_predictor(DEFAULT_MODEL), loaded_predictor(WHITE_DWARF_MODEL))
    path = find_model(model)
    state = path.stat()
    return _read_once(str(model or DEFAULT_MODEL), str(path), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=_CACHED_MODELS)
def _read_once(model: str, path: str, size: int, time: int) -> Predictor:
    """Read a model; another size or time of its file is another model."""
    return Predictor(model)


@lru_cache(maxsize=1)
def _chooser(star: Predictor, white_dwarf: Predictor) -> Any:
    """A chooser between two models that are read."""
    from sedflux.predict.chooser import Chooser

    return Chooser(star, white_dwarf)
