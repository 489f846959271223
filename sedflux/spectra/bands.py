"""Wavelength bands of the accuracy tables."""

from collections.abc import Mapping

import numpy as np

from sedflux.spectra.grids import OPTICAL_RANGE, SED_RANGE

__all__ = ["BANDS", "band_rows"]

#: Bands of the tables, in Angstrom.
BANDS = {
    "2500-3000": (SED_RANGE[0], 3000.0),
    "3000-4000": (3000.0, OPTICAL_RANGE[0]),
    "4000-7000": OPTICAL_RANGE,
    "7000-10500": (OPTICAL_RANGE[1], SED_RANGE[1]),
}


def band_rows(wavelength: np.ndarray, bands: Mapping[str, tuple[float, float]] = BANDS
              ) -> dict[str, np.ndarray]:
    """Which wavelengths each band holds: dict of name to bool array."""
    return {name: (wavelength >= low) & (wavelength < high) for name, (low, high) in bands.items()}
