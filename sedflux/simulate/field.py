"""A simulated field: counts, SEDs and the truth."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table

from sedflux.io.checked_fits import describe_columns, write_checked
from sedflux.slitless.instrument import SlitlessBand
from sedflux.units import FLAM
from sedflux.writing import make_folder, write_whole

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["SimulatedField"]

_COUNTS_LAYOUT, _FIELD_LAYOUT = "sedflux-counts-1", "sedflux-field-1"
#: Descriptions and UCDs of the columns of counts.
_COUNTS_COLUMNS = {
    "wavelength": ("wavelength in vacuum of pixel centres", "em.wl"),
    "flux": ("detected electrons per second and pixel", "phot.count"),
    "uncertainty": ("standard deviation of flux", "stat.error;phot.count"),
}
#: Units and descriptions of the true properties of the stars.
_TRUTH_COLUMNS = {
    "name": (None, "name of the star and its files"),
    "kind": (None, "star or white dwarf"),
    "model": (None, "row of the library"),
    "teff": ("K", "effective temperature"),
    "logg": (None, "log10 of the surface gravity in cm/s2"),
    "mh": (None, "log10 of the metallicity relative to the Sun"),
    "snr": (None, "S/N per pixel of the spectrum from which the SED is predicted"),
    "magnitude": ("mag(AB)", "true magnitude"),
    "ebv": ("mag", "true E(B-V)"),
    "known_ebv": ("mag", "E(B-V) that the SED is given"),
    "hidden_ebv": ("mag", "more E(B-V), of outliers"),
    "x": ("pix", "position on the detector"),
    "y": ("pix", "position on the detector"),
    "detector": (None, "detector"),
    "epoch": (None, "time of the exposure, from 0 to 1"),
    "outlier": (None, "kind of outlier, empty for none"),
    "variable": (None, "change of ln(flux) of variable stars"),
    "grey": (None, "factor on the counts in the band"),
    "shift": ("Angstrom", "shift of the wavelengths in the band"),
}


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedField:
    """
    A simulated field: counts, SEDs and the truth.

    Attributes
    ----------
    bands : dict of str to `~sedflux.SlitlessBand`
    counts : dict of str to list of `~specutils.Spectrum`
        Extracted spectra of each band, in counts (electrons) per second and pixel.
    seds : list of `~specutils.Spectrum`
        Predicted SEDs, reddened and scaled to a magnitude.
    truth : `~astropy.table.Table`
        One row a star: name, labels, S/N, magnitude, E(B-V), position, detector, epoch, kind
        of outlier, grey factors and wavelength shifts.
    wavelength : `~numpy.ndarray`, shape (n,)
        Of the true SEDs, in Angstrom.
    flux : `~numpy.ndarray`, shape (N, n)
        True SEDs in erg/s/cm2/Angstrom.

    Examples
    --------
    >>> from sedflux import get_instrument, simulate_field
    >>> field = simulate_field({"GV": get_instrument("lookalike").bands["GV"]}, size=3, seed=1)
    >>> len(field.seds), len(field.truth), field.flux.shape == (3, field.wavelength.size)
    (3, 3, True)
    """

    bands: dict[str, SlitlessBand]
    counts: dict[str, list[Spectrum]]
    seds: list[Spectrum]
    truth: Table
    wavelength: np.ndarray
    flux: np.ndarray

    def __repr__(self) -> str:
        return f"<SimulatedField of {len(self.seds)} stars in {', '.join(self.bands)}>"

    @property
    def names(self) -> list[str]:
        """Names of the stars."""
        return [str(name) for name in self.truth["name"]]

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """
        Write spectra that specutils reads, SEDs with their covariance, and the truth.

        The files are ``counts/BAND/NAME.fits``, ``seds/NAME.fits``,
        ``throughput_BAND.ecsv``, ``truth.ecsv`` and ``true_seds.fits``.  Files of these names
        are replaced.

        Parameters
        ----------
        folder : path-like
            Made if it does not exist.

        Returns
        -------
        folder : `~pathlib.Path`

        Raises
        ------
        sedflux.exceptions.WriteError
            If a folder cannot be made or a file cannot be written.
        """
        from sedflux.io.sed import write_sed

        folder = Path(folder)
        make_folder(folder / "seds")
        for name, sed in zip(self.names, self.seds, strict=True):
            write_sed(sed, folder / "seds" / f"{name}.fits", overwrite=True)
        for band, spectra in self.counts.items():
            make_folder(folder / "counts" / band)
            for name, spectrum in zip(self.names, spectra, strict=True):
                _write_counts(folder / "counts" / band / f"{name}.fits", spectrum, name, band)
            table = _throughput_table(self.bands[band])
            write_whole(folder / f"throughput_{band}.ecsv",
                        partial(table.write, format="ascii.ecsv"))
        write_whole(folder / "truth.ecsv",
                    partial(_with_units(self.truth).write, format="ascii.ecsv"))
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(self.wavelength, name="WAVELENGTH"),
                fits.ImageHDU(self.flux, name="FLUX")]
        hdus[1].header["BUNIT"] = "Angstrom"
        hdus[2].header["BUNIT"] = FLAM.to_string("fits")
        write_checked(folder / "true_seds.fits", hdus, layout=_FIELD_LAYOUT, overwrite=True)
        return folder


def _write_counts(path, spectrum, star, band):
    """An extracted spectrum in the columns of ``tabular-fits``, which specutils reads."""
    table = QTable({"wavelength": spectrum.spectral_axis.quantity, "flux": spectrum.flux,
                    "uncertainty": spectrum.uncertainty.quantity})
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(table, name="DATA")]
    describe_columns(hdus[1], _COUNTS_COLUMNS)
    hdus[0].header["OBJECT"] = (star, "star")
    hdus[0].header["FILTER"] = (band, "slitless band")
    hdus[0].header["AIRORVAC"] = ("vac", "wavelengths in vacuum")
    write_checked(path, hdus, layout=_COUNTS_LAYOUT, overwrite=True)


def _with_units(truth):
    """A copy of the table of stars with units and descriptions."""
    table = truth.copy()
    for name in table.colnames:
        # Bands have columns of their own, such as grey_GU.
        known = name if name in _TRUTH_COLUMNS else name.split("_")[0]
        table[name].unit, table[name].description = _TRUTH_COLUMNS.get(known, (None, None))
    return table


def _throughput_table(band):
    """The throughput of a band as `~sedflux.read_throughput` reads it."""
    return Table({"WAVELENGTH": band.throughput.wavelength * u.AA,
                  "THROUGHPUT": band.throughput.value})
