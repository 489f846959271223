"""Libraries of real and synthetic spectra: readers, and the emulator."""

from sedflux.libraries.labels import LABELS
from sedflux.libraries.library import SpectralLibrary, read_library, split_models

__all__ = ["LABELS", "SpectralLibrary", "read_library", "split_models"]
