"""Which model predicted each star of a catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sedflux.predict.flags import sentences
from sedflux.predict.predictor import Predictor
from sedflux.predict.sigma import factor_rows, part_rows

__all__ = ["are_models", "known_models", "largest_rank", "model_facts", "of_models",
           "parts_of_models", "shared_errors"]

#: Entry of a model with the rows of the factor that its SEDs share, by name.
_PARTS = "parts"


def model_facts(predictor: Predictor) -> dict[str, Any]:
    """
    What ``catalog.json`` says of the model, and of those among which it chooses.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`

    Returns
    -------
    facts : dict
        ``model`` and ``sha256``, limits of ``teff``, and ``models``: hash, limits, shared error,
        and rows of the factor that all SEDs of the model share, by name.
    """
    models = {one.name: {"sha256": one.sha256, "teff": list(one.metadata["domain"]["teff"]),
                         "library_error": [list(pair) for pair in one.library_error],
                         _PARTS: part_rows(one.metadata, one.arrays.config.rank)}
              for one in predictor.predictors}
    return {"model": predictor.name, "sha256": predictor.sha256,
            "teff": list(predictor.metadata["domain"]["teff"]), "models": models}


def shared_errors(facts: Mapping[str, Any]) -> dict[str, tuple[tuple[float, float], ...]]:
    """The errors that all SEDs of a model share, by the name of the model; see `model_facts`."""
    return {name: tuple((float(wavelength), float(error)) for wavelength, error in
                        one.get("library_error", ()))
            for name, one in (facts.get("models") or {}).items()}


def largest_rank(predictor: Predictor) -> int:
    """Largest number of rows of a prediction's factor."""
    return max(factor_rows(one.metadata, one.arrays.config.rank) for one in predictor.predictors)


def are_models(value: Any) -> bool:
    """Whether an entry of ``catalog.json`` describes models."""
    return isinstance(value, dict) and all(
        isinstance(one, dict) and isinstance(one.get("sha256"), str)
        and np.shape(one.get("teff", ())) == (2,) and np.isfinite(one["teff"]).all()
        and isinstance(one.get(_PARTS, {}), dict)
        and all(type(row) is int and row >= 0 for row in one.get(_PARTS, {}).values())
        for one in value.values())


def known_models(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Models of a catalogue; those of former versions have one and no entry of it."""
    return facts["models"] or {facts["model"]: {name: facts[name] for name in ("sha256", "teff")}}


def parts_of_models(names: np.ndarray, factor: np.ndarray, facts: Mapping[str, Any]
                    ) -> dict[str, np.ndarray]:
    """
    Directions that SEDs of a model share, from the rows of the factor that hold them.

    Parameters
    ----------
    names : `~numpy.ndarray` of str, shape (N,)
        Models of the stars.
    factor : `~numpy.ndarray`, shape (N, r, n)
    facts : dict
        Entries of ``catalog.json``.

    Returns
    -------
    parts : dict of str to `~numpy.ndarray`, shape (N, n)
        Zero for stars of models without such errors; empty if all are.
    """
    parts: dict[str, np.ndarray] = {}
    for name, one in known_models(facts).items():
        rows = np.flatnonzero(names == name)
        for part, place in one.get(_PARTS, {}).items() if rows.size else ():
            if place >= factor.shape[1]:
                raise ValueError(f"its model {name} has {part} in row {place} of {factor.shape[1]}")
            values = parts.setdefault(part, np.zeros_like(factor[:, 0]))
            values[rows] = factor[rows, place]
    return parts


def of_models(names: np.ndarray, bits: np.ndarray, facts: Mapping[str, Any]
              ) -> tuple[tuple[tuple[str, ...], ...], Any, Any]:
    """
    Sentences of flags, models and hashes of some stars.

    Parameters
    ----------
    names : `~numpy.ndarray` of str, shape (N,)
        Models of the stars; empty for stars without a prediction.
    bits : `~numpy.ndarray` of int, shape (N,)
        Flags.
    facts : dict
        Entries of ``catalog.json``.

    Returns
    -------
    flags : tuple of tuple of str
    model, sha256 : str, or `~numpy.ndarray` of str, shape (N,)
        One text if all stars have the same.
    """
    models = known_models(facts)
    unknown = set(names) - set(models) - {""}
    if unknown:
        raise ValueError(f"its models have no {min(unknown)!r}")
    flags = np.empty(len(names), dtype=object)
    for name in set(names):
        rows = np.flatnonzero(names == name)
        limits = models.get(name, {"teff": facts["teff"]})
        flags[rows] = np.fromiter(sentences(bits[rows], limits), dtype=object, count=rows.size)
    found = sorted(set(names) - {""})
    if len(found) <= 1:
        name = found[0] if found else facts["model"]
        return tuple(flags), name, models[name]["sha256"] if found else facts["sha256"]
    hashes = np.array([models[name]["sha256"] if name else "" for name in names])
    return tuple(flags), names, hashes
