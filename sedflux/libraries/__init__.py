"""Libraries of stars and models: labels, spectra on one grid, and their download."""

from importlib import import_module

# A prediction needs the labels alone: files are read by whoever asks for them (PEP 562).
_HOMES = {
    "LABELS": "labels",
    "SpectralLibrary": "library",
    "read_library": "library",
    "split_models": "library",
    "write_library": "library",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(f"sedflux.libraries.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sedflux.libraries' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
