"""Errors and warnings.  Every error says what was wrong and what to do next."""

__all__ = [
    "InputError",
    "MissingExtraError",
    "ModelError",
    "SedfluxError",
    "SedfluxWarning",
    "WeightsError",
    "WriteError",
]


class SedfluxError(Exception):
    """
    Base of every error that sedflux raises on purpose.

    Examples
    --------
    >>> from sedflux import SedfluxError, get_instrument
    >>> try:
    ...     get_instrument("hubble")
    ... except SedfluxError as error:
    ...     print(type(error).__name__)
    InputError
    """


class InputError(SedfluxError, ValueError):
    """
    An argument that cannot be used: its name, its value, what is allowed.

    Examples
    --------
    >>> from sedflux import InputError, predict_sed
    >>> from sedflux.demo import demo_spectrum
    >>> try:
    ...     predict_sed(demo_spectrum(), resolving_power=-5)
    ... except InputError as error:
    ...     print("resolving_power" in str(error))
    True
    """


class MissingExtraError(SedfluxError, ImportError):
    """An optional package that is not installed."""


class ModelError(SedfluxError, ValueError):
    """
    A model that is unknown or does not fit what is asked of it.

    Examples
    --------
    >>> from sedflux import ModelError, Predictor
    >>> try:
    ...     Predictor("uara.none")
    ... except ModelError as error:
    ...     print("uara.stars2" in str(error))
    True
    """


class WeightsError(SedfluxError, OSError):
    """
    Weights that are missing, damaged, or cannot be fetched.

    Examples
    --------
    >>> from sedflux import Predictor, WeightsError
    >>> try:
    ...     Predictor("missing.safetensors")
    ... except WeightsError as error:
    ...     print("missing.safetensors" in str(error))
    True
    """


class WriteError(SedfluxError, OSError):
    """
    A file that cannot be written.

    Examples
    --------
    >>> from sedflux import WriteError
    >>> issubclass(WriteError, OSError)
    True
    """


class SedfluxWarning(UserWarning):
    """Something that a user would want to know but that stops nothing."""
