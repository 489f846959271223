"""Responses from stars, from white dwarfs and from both, in simulated fields."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from sedflux.response.fit import fit_response
from sedflux.simulate.field import SimulatedField
from sedflux.simulate.simulator import Simulator
from sedflux.validation.response_fields import fit_errors, study_fields

__all__ = ["F_STARS", "response_kinds"]

#: Temperatures (K) of F stars.
F_STARS = (6000.0, 7500.0)
#: Names of the groups in the tables, and the kinds of their stars.
_GROUPS = {"stars": ("star",), "white dwarfs": ("white dwarf",), "both": ("star", "white dwarf")}
#: Fields between two reports of progress.
_REPORT_EVERY = 10


def response_kinds(simulator: Simulator, *, size: int = 80, realisations: int = 100,
                   seed: int = 3000) -> tuple[Table, Table]:
    """
    Errors and pulls of responses from the stars of fields, from their white dwarfs, and from both.

    Parameters
    ----------
    simulator : `~sedflux.simulate.simulator.Simulator`
        With white dwarfs.
    size : int, optional
        Ordinary stars in a field.
    realisations : int, optional
        Number of fields.
    seed : int, optional
        Of the first field.

    Returns
    -------
    summary : `~astropy.table.Table`
        One row per band and group; see `~sedflux.validation.response_fields.field_study`.
    detail : `~astropy.table.Table`
        One row per band, group and interval.
    """
    options = fit_errors(simulator)

    def fits(field):
        for group, kinds in _GROUPS.items():
            part = _members(field, kinds)
            for name, band in part.bands.items():
                yield name, group, part, fit_response(part.counts[name], part.seds, band=band,
                                                      names=part.names, **options)

    return study_fields(simulator, fits, column="group", size=size, realisations=realisations,
                        seed=seed, report_every=_REPORT_EVERY)


def _members(field, kinds):
    """A field with the stars of some kinds alone."""
    rows = np.flatnonzero(np.isin(field.truth["kind"], kinds))
    counts = {name: [spectra[row] for row in rows] for name, spectra in field.counts.items()}
    return SimulatedField(field.bands, counts, [field.seds[row] for row in rows],
                          field.truth[rows], field.wavelength, field.flux[rows])
