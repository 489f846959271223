"""Libraries of stars and models: labels, spectra on one grid, and their download."""

from sedflux.libraries.labels import LABELS
from sedflux.libraries.library import (
    SpectralLibrary,
    read_library,
    split_models,
    write_library,
)

__all__ = ["LABELS", "SpectralLibrary", "read_library", "split_models", "write_library"]
