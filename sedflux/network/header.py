"""What the header of a model file must hold: names, types, shapes and ranges of its entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sedflux.exceptions import ModelError, WeightsError
from sedflux.network.config import Config

__all__ = ["check_metadata", "require_entries", "require_sizes"]

#: Distributions of labels that a model can be trained with, see `sedflux.libraries.prior`.
_PRIORS = ("flat", "survey")
#: Terms of the discriminant of luminous stars, see `sedflux.predict.luminosity`.
_LUMINOUS_TERMS = 20


class _Wrong(ValueError):
    """An entry that cannot be used."""


def _numbers(value: Any, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """An array of finite numbers; None in ``shape`` stands for any size of one or more."""
    wanted = " x ".join("n" if size is None else str(size) for size in shape) or "one number"
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise _Wrong(f"{name} has rows of different lengths; {wanted} is needed") from error
    if array.dtype.kind not in "fiu":
        raise _Wrong(f"{name} is not numeric; {wanted} of finite numbers is needed")
    fits = array.ndim == len(shape) and array.size and all(
        size is None or size == found for size, found in zip(shape, array.shape, strict=True))
    if not fits:
        raise _Wrong(f"{name} has the shape {array.shape}; {wanted} is needed")
    if not np.isfinite(array).all():
        raise _Wrong(f"{name} has values that are not finite")
    return array


def _positive(value: Any, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    array = _numbers(value, name, shape)
    if not (array > 0).all():
        raise _Wrong(f"{name} has values of zero or less; they must be positive")
    return array


def _ascending(value: Any, name: str, size: int | None = None) -> np.ndarray:
    return _ascending_numbers(_positive(value, name, (size,)), name)


def _ascending_numbers(value: Any, name: str) -> np.ndarray:
    array = _numbers(value, name, (None,))
    if not (np.diff(array) > 0).all():
        raise _Wrong(f"{name} does not ascend")
    return array


def _entries(value: Any, name: str, needed: Sequence[str]) -> Mapping[str, Any]:
    """A table of entries that has all that are needed."""
    if not isinstance(value, Mapping):
        raise _Wrong(f"{name} is {type(value).__name__}; a table of entries is needed")
    missing = [key for key in needed if key not in value]
    if missing:
        raise _Wrong(f"{name} lacks {', '.join(missing)}")
    return value


def _check_text(value: Any, name: str, config: Config) -> None:
    if not isinstance(value, str):
        raise _Wrong(f"{name} is {type(value).__name__}; text is needed")


def _check_calibration(value: Any, name: str, config: Config) -> None:
    table = _entries(value, name, ("snr", "wavelength", "scale"))
    levels = _ascending(table["snr"], f"{name}.snr")
    bands = _ascending(table["wavelength"], f"{name}.wavelength")
    _positive(table["scale"], f"{name}.scale", (levels.size, bands.size))


def _check_domain(value: Any, name: str, config: Config) -> None:
    table = _entries(value, name, ("excess", "unusual", "teff"))
    # Models written before there were references have no limit of their distance.
    for key in ("excess", "unusual", "strange"):
        if key in table:
            _positive(table[key], f"{name}.{key}", ())
    _ascending(table["teff"], f"{name}.teff", 2)
    if "gravity" in table:
        # Models written before this edge was known have none.
        edge = _numbers(table["gravity"], f"{name}.gravity", (2, None))
        _ascending(edge[0], f"{name}.gravity")
    if "luminous" in table:
        _entries(table, name, ("gravity",))
        entry = _entries(table["luminous"], f"{name}.luminous", ("weights", "constant", "teff"))
        _numbers(entry["weights"], f"{name}.luminous.weights", (_LUMINOUS_TERMS,))
        _numbers(entry["constant"], f"{name}.luminous.constant", ())
        _ascending(entry["teff"], f"{name}.luminous.teff", 2)
    if "logg" in table:
        _ascending(table["logg"], f"{name}.logg", 2)
    if "peculiar" in table:
        for key, limit in _entries(table["peculiar"], f"{name}.peculiar", (
                "excess", "unusual", "strange")).items():
            _positive(limit, f"{name}.peculiar.{key}", ())
    if table.get("prior", "flat") not in _PRIORS:
        raise _Wrong(f"{name}.prior is {table['prior']!r}; one of {', '.join(_PRIORS)} is needed")


def _check_scatter(value: Any, name: str, config: Config) -> None:
    table = _entries(value, name, ("directions", "teff", "length"))
    directions = _numbers(table["directions"], f"{name}.directions", (None, config.samples))
    nodes = _ascending(table["teff"], f"{name}.teff")
    length = _numbers(table["length"], f"{name}.length", (nodes.size, len(directions)))
    if (length < 0).any():
        raise _Wrong(f"{name}.length has negative values")
    if "scale" in table or "wavelength" in table:
        table = _entries(table, name, ("wavelength", "scale"))
        centres = _ascending(table["wavelength"], f"{name}.wavelength")
        sizes = [nodes.size, centres.size]
        if "mh" in table:
            sizes.insert(1, _ascending_numbers(table["mh"], f"{name}.mh").size)
        elif np.ndim(table["scale"]) != 2:
            sizes = [centres.size]
        _positive(table["scale"], f"{name}.scale", tuple(sizes))


def _check_library_error(value: Any, name: str, config: Config) -> None:
    table = _entries(value, name, ("wavelength", "error"))
    places = _ascending(table["wavelength"], f"{name}.wavelength")
    if (_numbers(table["error"], f"{name}.error", (places.size,)) < 0).any():
        raise _Wrong(f"{name}.error has negative values")


def _check_kernels(value: Any, name: str, config: Config) -> None:
    _numbers(value, name, (None, None))


def _check_common(value: Any, name: str, config: Config) -> None:
    table = _entries(value, name, ("teff", "scores"))
    nodes = _ascending(table["teff"], f"{name}.teff")
    for part, scores in _entries(table["scores"], f"{name}.scores", ()).items():
        _numbers(scores, f"{name}.scores.{part}", (nodes.size, config.sed_components))


def _check_odds(value: Any, name: str, config: Config) -> None:
    table = _entries(value, name, ("slope", "offset"))
    _positive(table["slope"], f"{name}.slope", ())
    _numbers(table["offset"], f"{name}.offset", ())


def _check_grid_weight(value: Any, name: str, config: Config) -> None:
    table = _entries(value, name, ("fit", "weight", "snr", "scale"))
    nodes = _ascending(table["fit"], f"{name}.fit")
    levels = _ascending(table["snr"], f"{name}.snr")
    _positive(table["scale"], f"{name}.scale", (levels.size,))
    weight = _numbers(table["weight"], f"{name}.weight", (nodes.size,))
    if (weight < 0).any() or (weight > 1).any():
        raise _Wrong(f"{name}.weight has values beyond 0-1")


def _check_labels(value: Any, name: str, config: Config) -> None:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _Wrong(f"{name} is {value!r}; a list of names is needed")
    if len(value) != config.labels:
        raise _Wrong(f"{name} has {len(value)} names; the configuration has {config.labels}")


def _check_positive(value: Any, name: str, config: Config) -> None:
    _positive(value, name, ())


#: The check of each entry that the package uses; others are for people.
_CHECKS: dict[str, Callable[[Any, str, Config], None]] = {
    "name": _check_text,
    "caveat": _check_text,
    "calibration": _check_calibration,
    "domain": _check_domain,
    "scatter": _check_scatter,
    "kernels": _check_kernels,
    "library_error": _check_library_error,
    "labels": _check_labels,
    "common": _check_common,
    "odds": _check_odds,
    "grid_weight": _check_grid_weight,
    "least_resolving_power": _check_positive,
    "least_coverage": _check_positive,
}


def check_metadata(metadata: Any, config: Config, path: object) -> None:
    """
    Check the entries of a model's metadata that are there.

    Parameters
    ----------
    metadata : dict
        As read from the header.
    config : `~sedflux.network.config.Config`
        Configuration of the same file.
    path : path-like
        Of the file, for messages.

    Raises
    ------
    sedflux.exceptions.WeightsError
        If an entry has another type or shape, or numbers that are not finite.
    """
    try:
        for name in _entries(metadata, "metadata", ()):
            if name in _CHECKS:
                _CHECKS[name](metadata[name], name, config)
    except _Wrong as error:
        raise WeightsError(f"model file {str(path)!r} is damaged: {error}; fetch it again, or "
                           "train it again") from error


def require_entries(metadata: Mapping[str, Any], names: Sequence[str], path: object) -> None:
    """
    Check that a model's metadata has the entries that a use of it needs.

    Parameters
    ----------
    metadata : dict
        From `~sedflux.network.checkpoint.load_network`.
    names : sequence of str
    path : path-like
        Of the file, for messages.

    Raises
    ------
    sedflux.exceptions.WeightsError
        If an entry is missing.
    """
    missing = [name for name in names if name not in metadata]
    if missing:
        raise WeightsError(f"model file {str(path)!r} has no {', '.join(missing)} in its header; "
                           "it was not written by sedflux train: fetch or train it again")


def require_sizes(config: Config, path: object, **sizes: int) -> None:
    """
    Check that a model's configuration has the sizes that a use of it needs.

    Parameters
    ----------
    config : `~sedflux.network.config.Config`
    path : path-like
        Of the file, for messages.
    **sizes : int
        Sizes by the name of the entry.

    Raises
    ------
    sedflux.exceptions.ModelError
        If a size is another one.
    """
    for name, size in sizes.items():
        if getattr(config, name) != size:
            raise ModelError(f"model file {str(path)!r} has {name} = {getattr(config, name)}; "
                             f"this use needs {size}: choose another model")
