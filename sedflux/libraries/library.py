"""`SpectralLibrary`: spectra of known stars or models on one wavelength grid."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.io.download import file_hash
from sedflux.io.reading import FITS_ERRORS, strict_fits
from sedflux.libraries.labels import STARS, WHITE_DWARFS, LabelSet
from sedflux.units import positive_number
from sedflux.writing import write_whole

__all__ = ["SpectralLibrary", "read_library", "split_models", "write_library"]

#: Models whose INDEX ends in this digit are kept out of every training.
TEST_DIGIT = 3
#: Resolving power of libraries whose header has no RPOWER: that of the input grid.
_RESOLVING_POWER = 2000.0
#: The same for models of white dwarfs, which are samples of spectra that nothing has broadened.
_UNBROADENED = 20000.0


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
        One row for each spectrum.
    resolving_power : float
        Resolving power of the spectra.
    sed_factor : `~numpy.ndarray`, shape (N, n), optional
        Smooth factor that corrects ``flux`` for line blanketing that synthetic spectra
        lack; None if there is none.
    sha256 : str
        Hash of the file, for provenance.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from sedflux.libraries.library import SpectralLibrary
    >>> library = SpectralLibrary(wavelength=np.linspace(4000, 7000, 50), flux=np.ones((2, 50)),
    ...                           table=Table({"TEFF": [5000.0, 6000.0]}), resolving_power=2000.0)
    >>> library.flux.shape
    (2, 50)
    """

    wavelength: np.ndarray
    flux: np.ndarray
    table: Table
    resolving_power: float
    sed_factor: np.ndarray | None = None
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.table)

    @property
    def label_set(self) -> LabelSet:
        """Which labels the models have: those of white dwarfs if TEFF and LOGG are all."""
        return _label_set(self.table)

    @property
    def labels(self) -> np.ndarray:
        """Labels of every model, float64, shape (N, k), in the order of ``label_set.names``."""
        names = self.label_set.names
        _require_columns(self.table, names, "the library")
        return np.stack([np.asarray(self.table[name], float) for name in names], axis=1)

    @property
    def sed_flux(self) -> np.ndarray:
        """Flux corrected for missing line blanketing: the training target of SEDs."""
        return self.flux if self.sed_factor is None else self.flux * self.sed_factor

    def take(self, rows: Any) -> SpectralLibrary:
        """A library of some of the rows: a mask, a slice or indices."""
        factor = None if self.sed_factor is None else self.sed_factor[rows]
        return replace(self, flux=self.flux[rows], table=self.table[rows], sed_factor=factor)


def read_library(path: str | os.PathLike[str], *, resolving_power: float | None = None
                 ) -> SpectralLibrary:
    """
    Read a library file: a table, a WAVELENGTH and a FLUX extension.

    Parameters
    ----------
    path : path-like
        FITS file with the extensions MODELS or STARS, WAVELENGTH and FLUX, and
        optionally BLANKWAVE and BLANKETING.
    resolving_power : float, optional
        Overrides the header's RPOWER; where neither says, 2000, and 20000 for white dwarfs.

    Returns
    -------
    library : `SpectralLibrary`

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is missing, damaged or no library.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> import tempfile
    >>> from sedflux.libraries.library import SpectralLibrary, read_library, write_library
    >>> labels = Table({"TEFF": [9000.0, 20000.0], "LOGG": [8.0, 7.9]})      # white dwarfs
    >>> library = SpectralLibrary(wavelength=np.linspace(4000, 7000, 50), flux=np.ones((2, 50)),
    ...                           table=labels, resolving_power=2000.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_library(f"{folder}/library.fits", library)
    ...     print(read_library(f"{folder}/library.fits").table["TEFF"].tolist())
    [9000.0, 20000.0]
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"library path {str(path)!r} is not a file; give a FITS library")
    try:
        with strict_fits(), open(path, "rb") as stream, fits.open(stream, memmap=False) as hdus:
            table, wavelength, flux, blanketing = _read_extensions(hdus, path)
            white_dwarfs = "MODELS" in hdus and _label_set(table) is WHITE_DWARFS
            power = hdus[0].header.get(
                "RPOWER", _UNBROADENED if white_dwarfs else _RESOLVING_POWER)
    except InputError:
        raise
    except FITS_ERRORS as error:
        raise InputError(f"{path.name} is damaged or no FITS file ({type(error).__name__}); fetch "
                         "or make it again") from error
    _check_arrays(path.name, table, wavelength, flux)
    if white_dwarfs and "INDEX" not in table.colnames:
        # Grids of models are not numbered: the row decides which models are held out.
        table["INDEX"] = np.arange(len(table))
    factor = None if blanketing is None else _sed_factor(path.name, blanketing, wavelength, flux)
    if resolving_power is None:
        power = positive_number(power, f"RPOWER of {path.name}")
    else:
        power = positive_number(resolving_power, "resolving_power")
    return SpectralLibrary(wavelength, flux, table, power, factor, file_hash(path))


def _read_extensions(hdus, path):
    """Table, wavelengths, flux, and wavelengths and factors of the blanketing or None."""
    names = {hdu.name for hdu in hdus}
    if {"WAVELENGTH", "FLUX"} - names or not names & {"MODELS", "STARS"}:
        raise InputError(
            f"{path.name} is not a library: needs the extensions MODELS or STARS, "
            f"WAVELENGTH and FLUX, has {sorted(names)}"
        )
    kind = "MODELS" if "MODELS" in names else "STARS"
    table = Table(hdus[kind].data)
    if "TEFF" not in table.colnames:
        raise InputError(f"table of {path.name} has no column TEFF; it has "
                         f"{', '.join(table.colnames)}")
    if kind == "MODELS":
        _require_columns(table, _label_set(table).names, path.name)
    blanketing = None
    if "BLANKETING" in names:
        blanketing = (np.asarray(hdus["BLANKWAVE"].data, dtype=float),
                      np.asarray(hdus["BLANKETING"].data))
    return (table, np.asarray(hdus["WAVELENGTH"].data, dtype=float),
            np.asarray(hdus["FLUX"].data, dtype=np.float32), blanketing)


def _label_set(table):
    """Labels of stars, or of white dwarfs if a table has no other labels than theirs."""
    found = [name for name in STARS.names if name in table.colnames]
    return WHITE_DWARFS if tuple(found) == WHITE_DWARFS.names else STARS


def _require_columns(table, names, where):
    """Columns of finite numbers, by name."""
    missing = [name for name in names if name not in table.colnames]
    if missing:
        raise InputError(f"table of {where} lacks the columns {', '.join(missing)}; it has "
                         f"{', '.join(table.colnames)}")
    bad = [name for name in names if not np.issubdtype(table[name].dtype, np.number)
           or not np.isfinite(np.asarray(table[name], float)).all()]
    if bad:
        raise InputError(f"table of {where} has values in {', '.join(bad)} that are no finite "
                         "numbers")


def _check_arrays(name, table, wavelength, flux):
    """Check that the shapes agree and that the wavelengths can be a grid."""
    if not len(table):
        raise InputError(f"{name} has no spectra")
    if flux.shape != (len(table), *wavelength.shape) or wavelength.ndim != 1:
        raise InputError(f"{name} has a table of {len(table)} rows, WAVELENGTH of shape "
                         f"{wavelength.shape} and FLUX of shape {flux.shape}; (n,) and (rows, n) "
                         "are needed")
    _check_grid(name, "WAVELENGTH", wavelength)


def _check_grid(name, extension, wavelength):
    """Check that wavelengths are finite, positive and ascending."""
    if wavelength.ndim != 1 or wavelength.size < 2 or not np.isfinite(wavelength).all() \
            or wavelength[0] <= 0 or (np.diff(wavelength) <= 0).any():
        raise InputError(f"{name} has a {extension} extension that is no ascending list of two or "
                         "more positive, finite wavelengths")


def _sed_factor(name, blanketing, wavelength, flux):
    """Blanketing factors interpolated to the wavelengths, 1 outside their grid."""
    grid, values = blanketing
    _check_grid(name, "BLANKWAVE", grid)
    if values.shape != (len(flux), grid.size) or not np.isfinite(values).all():
        raise InputError(f"{name} has BLANKETING of shape {values.shape}; finite factors of shape "
                         f"{(len(flux), grid.size)} are needed")
    factor = np.ones(flux.shape, dtype=np.float32)
    inside = (wavelength >= grid[0]) & (wavelength <= grid[-1])
    for row, own in zip(factor, values, strict=True):
        row[inside] = np.interp(wavelength[inside], grid, own)
    return factor


def write_library(path: str | os.PathLike[str], library: SpectralLibrary, *,
                  overwrite: bool = True) -> None:
    """
    Write a library in the layout that `read_library` takes.

    Parameters
    ----------
    path : path-like
    library : `SpectralLibrary`
    overwrite : bool, optional
        Whether an existing file is replaced.

    Raises
    ------
    sedflux.exceptions.InputError, sedflux.exceptions.WriteError
        If the file exists and must not be replaced, or cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> import tempfile
    >>> from sedflux.libraries.library import SpectralLibrary, read_library, write_library
    >>> labels = Table({"TEFF": [9000.0, 20000.0], "LOGG": [8.0, 7.9]})      # white dwarfs
    >>> library = SpectralLibrary(wavelength=np.linspace(4000, 7000, 50), flux=np.ones((2, 50)),
    ...                           table=labels, resolving_power=2000.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_library(f"{folder}/library.fits", library)
    ...     print(read_library(f"{folder}/library.fits").table["TEFF"].tolist())
    [9000.0, 20000.0]
    """
    hdus = fits.HDUList([
        fits.PrimaryHDU(), fits.BinTableHDU(library.table, name="MODELS"),
        fits.ImageHDU(library.wavelength, name="WAVELENGTH"),
        fits.ImageHDU(library.flux, name="FLUX"),
    ])
    hdus[0].header["RPOWER"] = library.resolving_power
    if library.sed_factor is not None:
        hdus.append(fits.ImageHDU(library.wavelength, name="BLANKWAVE"))
        hdus.append(fits.ImageHDU(library.sed_factor, name="BLANKETING"))
    # The temporary file has the same ending, so that FITS files named .gz are packed.
    write_whole(path, lambda temporary: hdus.writeto(temporary), overwrite=overwrite)


def split_models(library: SpectralLibrary) -> tuple[SpectralLibrary, SpectralLibrary]:
    """
    Split a synthetic library into training and test models, by INDEX alone.

    Parameters
    ----------
    library : `SpectralLibrary`
        With the column INDEX.

    Returns
    -------
    training, test : `SpectralLibrary`
        The test part holds the models whose INDEX ends in 3; training, the emulator and
        the choice of settings must never see them.
    """
    _require_columns(library.table, ("INDEX",), "the library")
    test = np.asarray(library.table["INDEX"]) % 10 == TEST_DIGIT
    return library.take(~test), library.take(test)
