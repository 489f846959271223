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
    """Base of every error that sedflux raises on purpose."""


class InputError(SedfluxError, ValueError):
    """An argument that cannot be used: its name, its value, what is allowed."""


class MissingExtraError(SedfluxError, ImportError):
    """An optional package that is not installed."""


class ModelError(SedfluxError, ValueError):
    """A model that is unknown or does not fit what is asked of it."""


class WeightsError(SedfluxError, OSError):
    """Weights that are missing, damaged, or cannot be fetched."""


class WriteError(SedfluxError, OSError):
    """A file that cannot be written."""


class SedfluxWarning(UserWarning):
    """Something that a user would want to know but that stops nothing."""
