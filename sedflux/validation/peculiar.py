"""White dwarfs that are no models: with a magnetic field, and beside an M dwarf."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sedflux.libraries.inputs import library_inputs
from sedflux.libraries.library import SpectralLibrary
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.spectra.grids import input_grid
from sedflux.training.stars import miles_inputs

__all__ = ["beside_m_dwarfs", "peculiar_spectra", "split_by_field"]

#: Fields (gauss), and light of the M dwarf over that of the white dwarf at 6500-7000 Angstrom.
_FIELDS, _SHARES = (1e6, 2e6, 5e6, 1e7, 2e7), (0.1, 0.3, 1.0, 3.0)
#: Splitting of a normal Zeeman triplet in 1/cm for a gauss: e / (4 pi m_e c^2).
_ZEEMAN = 4.6686e-5
#: Range (Angstrom) in which the light of both stars is compared.
_RED = (6500.0, 7000.0)
#: Labels of M dwarfs in MILES: TEFF (K) below, LOGG above.
_M_DWARF = (3900.0, 4.0)
#: Least temperature (K) of the white dwarfs: cooler ones are fainter than most M dwarfs.
_HOT = 10000.0


def split_by_field(library: SpectralLibrary, field: float) -> SpectralLibrary:
    """
    Models whose lines are linear Zeeman triplets of a uniform field.

    All lines are split by the same difference of wavenumbers.  The three components are equal, as
    on average over the directions of the field, and the continuum, which is smooth, moves along.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
    field : float
        In gauss.

    Returns
    -------
    library : `~sedflux.libraries.SpectralLibrary`
    """
    wavenumber = 1e8 / library.wavelength
    parts = [np.stack([np.interp(1e8 / (wavenumber + move), library.wavelength, row)
                       for row in library.flux])
             for move in (-_ZEEMAN * field, 0.0, _ZEEMAN * field)]
    return replace(library, flux=np.mean(parts, axis=0))


def beside_m_dwarfs(flux: np.ndarray, m_dwarfs: np.ndarray, share: float) -> np.ndarray:
    """
    Sums of the light of white dwarfs and of M dwarfs, one after the other.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (N, 2430)
        White dwarfs on the input grid.
    m_dwarfs : `~numpy.ndarray`, shape (m, 2430)
    share : float
        Light of the M dwarf over that of the white dwarf at 6500-7000 Angstrom.

    Returns
    -------
    flux : `~numpy.ndarray`, shape (N, 2430)
        Of a mean of one.
    """
    grid = input_grid()
    red = (grid > _RED[0]) & (grid < _RED[1])
    cool = m_dwarfs[np.arange(len(flux)) % len(m_dwarfs)]
    both = (flux / flux[:, red].mean(axis=1, keepdims=True)
            + share * cool / cool[:, red].mean(axis=1, keepdims=True))
    return both / both.mean(axis=1, keepdims=True)


def peculiar_spectra(white_dwarfs: SpectralLibrary, miles: SpectralLibrary
                     ) -> Iterator[tuple[str, np.ndarray]]:
    """
    Spectra without noise that neither model was made for.

    Parameters
    ----------
    white_dwarfs : `~sedflux.libraries.SpectralLibrary`
        Models that were held out of the training.
    miles : `~sedflux.libraries.SpectralLibrary`
        With M dwarfs.

    Yields
    ------
    kind : str
    flux : `~numpy.ndarray`, shape (N, 2430)
        On the input grid.
    """
    grid = input_grid()
    for field in _FIELDS:
        yield (f"magnetic DA {1e-6 * field:g} MG",
               library_inputs(split_by_field(white_dwarfs, field), RESOLVING_POWER, grid))
    labels = miles.table
    rows = np.flatnonzero((np.asarray(labels["TEFF"], float) < _M_DWARF[0])
                          & (np.asarray(labels["LOGG"], float) > _M_DWARF[1]))
    if not rows.size:
        return
    wavelength, flux, _ = miles_inputs(miles, rows)
    cool = np.stack([np.interp(grid, wavelength, row) for row in flux])
    hot = library_inputs(white_dwarfs.take(white_dwarfs.labels[:, 0] > _HOT), RESOLVING_POWER,
                         grid)
    for share in _SHARES:
        yield f"DA + M {share:g}", beside_m_dwarfs(hot, cool, share)
