"""Ranges of temperature and wavelength in which the accuracy is given."""

from __future__ import annotations

__all__ = ["INTERVAL", "JOHNSON_TEFF_CELLS", "MILES_BANDS", "TEFF_CELLS", "TEFF_EDGES",
           "TEFF_RANGE"]

#: Effective temperatures (K) to which the targets refer, 500 K inside the limits of the models.
TEFF_RANGE = (5000.0, 9750.0)
#: Ranges of effective temperature (K) in which real stars are scored; the last one is all.
TEFF_CELLS = ((4550.0, 5000.0), (5000.0, 5500.0), (5500.0, 6500.0), (6500.0, 8000.0),
              (8000.0, 9750.0), TEFF_RANGE)
#: Kinds of stars and ranges of effective temperature (K) in which Johnson colours are scored.
JOHNSON_TEFF_CELLS = (("all", 4000.0, 4500.0), *(
    (kind, low, high) for kind in ("giants", "dwarfs")
    for low, high in ((4500.0, 5000.0), (5000.0, 5500.0), (5500.0, 6500.0), (6500.0, 7500.0),
                      (7500.0, 8500.0), (8500.0, 10250.0))), ("all", 10250.0, 15000.0))
#: Edges (K) of the cells in which held-out models are scored; models end at 10250 K.
TEFF_EDGES = (4500.0, 5500.0, 6500.0, 8000.0, 10250.0)
#: Bands (Angstrom) in which MILES fluxes are scored, within 3540-7410 Angstrom, which MILES
#: observed; the first two lie on both sides of the Balmer jump.
MILES_BANDS = {"3600-3750": (3600.0, 3750.0), "3750-4000": (3750.0, 4000.0),
               "4000-4500": (4000.0, 4500.0), "4500-5500": (4500.0, 5500.0),
               "6500-7300": (6500.0, 7300.0)}
#: Width (Angstrom) of the intervals in which errors of responses are given.
INTERVAL = 50.0
