"""`SpectralLibrary`: spectra of known stars or models on one wavelength grid."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.io.download import file_hash
from sedflux.libraries.labels import LABELS

__all__ = ["SpectralLibrary", "read_library", "split_models"]

#: Models whose INDEX ends in this digit are kept out of every training.
TEST_DIGIT = 3


@dataclass(frozen=True)
class SpectralLibrary:
    """
    Spectra on one grid, with a table of what is known of each.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum wavelength in Angstrom, ascending.
    flux : `~numpy.ndarray`, shape (N, n)
        F_lambda in arbitrary units, NaN where there is no data.
    table : `~astropy.table.Table`
        One row a spectrum.
    resolving_power : float
        Resolving power of the spectra.
    sed_factor : `~numpy.ndarray`, shape (N, n), optional
        Smooth factor that turns ``flux`` into the better SED (line blanketing
        of synthetic spectra); None where there is none.
    sha256 : str
        Hash of the file, for provenance.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    table: Table
    resolving_power: float
    sed_factor: np.ndarray | None = None
    sha256: str = ""

    def __len__(self):
        return len(self.table)

    @property
    def labels(self):
        """Labels of every model, float64, shape (N, 6), in the order of `LABELS`."""
        return np.stack([np.asarray(self.table[name], float) for name in LABELS], axis=1)

    @property
    def sed_flux(self):
        """Flux with the blanketing correction: the training target of SEDs."""
        return self.flux if self.sed_factor is None else self.flux * self.sed_factor

    def select(self, rows):
        """A library of some of the rows: a mask, a slice or indices."""
        factor = None if self.sed_factor is None else self.sed_factor[rows]
        return replace(self, flux=self.flux[rows], table=self.table[rows], sed_factor=factor)


def _blanketing(hdus, wavelength, shape):
    """The BLANKETING extension interpolated to the wavelengths, 1 outside its grid."""
    if "BLANKETING" not in hdus:
        return None
    grid = np.asarray(hdus["BLANKWAVE"].data, float)
    factor = np.ones(shape, dtype=np.float32)
    inside = (wavelength >= grid[0]) & (wavelength <= grid[-1])
    for row, values in zip(factor, hdus["BLANKETING"].data, strict=True):
        row[inside] = np.interp(wavelength[inside], grid, values)
    return factor


def read_library(path, *, resolving_power=None):
    """
    Read a library file: a table, a WAVELENGTH and a FLUX extension.

    Parameters
    ----------
    path : str or path-like
        FITS file with the extensions MODELS or STARS, WAVELENGTH and FLUX, and
        optionally BLANKWAVE and BLANKETING.
    resolving_power : float, optional
        Overrides the header's RPOWER; 2000 where neither says.

    Returns
    -------
    library : `SpectralLibrary`

    Raises
    ------
    sedflux.exceptions.InputError
        If an extension is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"library path {str(path)!r} is not a file; give a FITS library")
    with fits.open(path, memmap=False) as hdus:
        names = {hdu.name for hdu in hdus}
        missing = {"WAVELENGTH", "FLUX"} - names
        if missing or not names & {"MODELS", "STARS"}:
            raise InputError(
                f"{path.name} is not a library: needs the extensions MODELS or STARS, "
                f"WAVELENGTH and FLUX, has {sorted(names)}"
            )
        table = Table(hdus["MODELS" if "MODELS" in names else "STARS"].data)
        wavelength = np.asarray(hdus["WAVELENGTH"].data, dtype=float)
        flux = np.asarray(hdus["FLUX"].data, dtype=np.float32)
        factor = _blanketing(hdus, wavelength, flux.shape)
        power = resolving_power or float(hdus[0].header.get("RPOWER", 2000.0))
    return SpectralLibrary(wavelength, flux, table, power, factor, file_hash(path))


def split_models(library):
    """
    Split a synthetic library into training and test models, by INDEX alone.

    Parameters
    ----------
    library : `SpectralLibrary`
        With the column INDEX.

    Returns
    -------
    training, test : `SpectralLibrary`
        The test part holds the models whose INDEX ends in 3; no training,
        no emulator and no choice may see them.
    """
    test = np.asarray(library.table["INDEX"]) % 10 == TEST_DIGIT
    return library.select(~test), library.select(test)
