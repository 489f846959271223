"""Magnitudes for ``sedflux predict --photometry``: a table, and the throughputs of its bands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedflux.cli.options import files_by_band, star_name
from sedflux.exceptions import InputError

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["PhotometryTable", "read_photometry"]

#: Column with the names of the files of spectra, without their endings.
_STAR = "star"


class PhotometryTable:
    """
    Magnitudes of stars by name.

    Parameters
    ----------
    table : `~astropy.table.Table`
        With columns such as ``g`` and ``g_error``, and ``star`` if there are several rows.
    throughputs : sequence of str
        ``BAND=FILE``.
    """

    def __init__(self, table: Table, throughputs: Sequence[str]) -> None:
        from sedflux.slitless.throughput import read_throughput

        self._table = table
        self._bandpasses = {band: read_throughput(file) for band, file in
                            files_by_band(throughputs, "--bandpasses").items()}

    def condition(self, sed: Any, file: str, reddening: tuple[float, float] | None) -> Any:
        """
        Condition the SED of a star on its magnitudes.

        Parameters
        ----------
        sed : `~specutils.Spectrum`
            Without dust.
        file : str
            Of its spectrum.
        reddening : tuple of float or None
            Prior of E(B-V), and its error.

        Returns
        -------
        sed : `~specutils.Spectrum`
        """
        from sedflux.conditioning.condition import condition

        return condition(sed, self._row(star_name(file)), self._bandpasses, reddening=reddening)

    def _row(self, name: str) -> Table:
        """The row of a star, as a table."""
        if _STAR not in self._table.colnames:
            if len(self._table) == 1:
                return self._table
            raise InputError(f"--photometry has {len(self._table)} rows and no column {_STAR!r}; "
                             "give it the names of the spectra, without their endings")
        rows = [row for row, star in enumerate(self._table[_STAR]) if str(star).strip() == name]
        if len(rows) != 1:
            raise InputError(f"--photometry has {len(rows)} rows of the star {name!r}; one is "
                             "needed")
        return self._table[rows]


def read_photometry(path: str, throughputs: Sequence[str]) -> PhotometryTable:
    """
    Read a table of magnitudes.

    Parameters
    ----------
    path : str
        ECSV, CSV or FITS.
    throughputs : sequence of str
        ``BAND=FILE``.

    Returns
    -------
    photometry : `PhotometryTable`

    Raises
    ------
    sedflux.exceptions.InputError
        If it cannot be read.
    """
    from astropy.table import Table

    from sedflux.io.reading import FITS_ERRORS, first_line

    if not Path(path).is_file():
        raise InputError(f"--photometry is {path!r}; there is no such file")
    try:
        kinds = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits"}
        table = Table.read(path, format=kinds.get(Path(path).suffix.lower(), "ascii"))
    except FITS_ERRORS as error:
        raise InputError(f"--photometry {path!r} cannot be read as a table "
                         f"({first_line(error)})") from error
    return PhotometryTable(table, throughputs)
