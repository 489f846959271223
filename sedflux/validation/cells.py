"""Ranges of temperature and wavelength in which the accuracy is given."""

from __future__ import annotations

from sedflux.libraries.labels import TEFF_RANGE
from sedflux.simulate.planning import INTERVAL
from sedflux.slitless.instrument import get_instrument
from sedflux.spectra.bands import BANDS

__all__ = ["INTERVAL", "JOHNSON_TEFF_CELLS", "MILES_BANDS", "TEFF_CELLS", "TEFF_RANGE",
           "table_bands"]

#: Ranges of effective temperature (K) in which real stars are scored; the last covers the others.
TEFF_CELLS = ((4550.0, 5000.0), (5000.0, 5500.0), (5500.0, 6500.0), (6500.0, 8000.0),
              (8000.0, 9750.0), TEFF_RANGE)
#: Kinds of stars and ranges of effective temperature (K) in which Johnson colours are scored.
JOHNSON_TEFF_CELLS = (("all", 4000.0, 4500.0), *(
    (kind, low, high) for kind in ("giants", "dwarfs")
    for low, high in ((4500.0, 5000.0), (5000.0, 5500.0), (5500.0, 6500.0), (6500.0, 7500.0),
                      (7500.0, 8500.0), (8500.0, 10250.0))), ("all", 10250.0, 15000.0))
#: Bands (Angstrom) in which MILES fluxes are scored, within 3540-7410 Angstrom, which MILES
#: observed; the first two lie on both sides of the Balmer jump.
MILES_BANDS = {"3600-3750": (3600.0, 3750.0), "3750-4000": (3750.0, 4000.0),
               "4000-4500": (4000.0, 4500.0), "4500-5500": (4500.0, 5500.0),
               "6500-7300": (6500.0, 7300.0)}



def table_bands() -> dict[str, tuple[float, float]]:
    """Bands (Angstrom) of the tables of accuracy, CSST's gratings among them."""
    return BANDS | {name: band.wavelength_range
                    for name, band in get_instrument("csst").bands.items()}
