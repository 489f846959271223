"""A simulated field: counts, SEDs and the truth."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from sedflux.slitless.instrument import SlitlessBand
from sedflux.units import FLAM
from sedflux.writing import make_folder, write_whole

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["SimulatedField"]


@dataclass(frozen=True)
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
        One row per star: name, labels, S/N, magnitude, E(B-V), position, detector, epoch, kind
        of outlier, grey factors and wavelength shifts.
    wavelength : `~numpy.ndarray`, shape (n,)
        Of the true SEDs, in Angstrom.
    flux : `~numpy.ndarray`, shape (N, n)
        True SEDs in erg/s/cm2/Angstrom.
    """

    bands: dict[str, SlitlessBand]
    counts: dict[str, list[Spectrum]]
    seds: list[Spectrum]
    truth: Table
    wavelength: np.ndarray = field(repr=False)
    flux: np.ndarray = field(repr=False)

    @property
    def names(self) -> list[str]:
        """Names of the stars."""
        return [str(name) for name in self.truth["name"]]

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """
        Write the spectra for specutils, the SEDs with their covariance, and the truth.

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
                write_whole(folder / "counts" / band / f"{name}.fits",
                            partial(spectrum.write, format="tabular-fits"))
            table = _throughput_table(self.bands[band])
            write_whole(folder / f"throughput_{band}.ecsv",
                        partial(table.write, format="ascii.ecsv"))
        write_whole(folder / "truth.ecsv", partial(self.truth.write, format="ascii.ecsv"))
        hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(self.wavelength, name="WAVELENGTH"),
                             fits.ImageHDU(self.flux, name="FLUX")])
        hdus["WAVELENGTH"].header["BUNIT"] = "Angstrom"
        hdus["FLUX"].header["BUNIT"] = FLAM.to_string("fits")
        write_whole(folder / "true_seds.fits", hdus.writeto)
        return folder


def _throughput_table(band):
    """The throughput of a band as a table for `~sedflux.read_throughput`."""
    return Table({"WAVELENGTH": band.throughput.wavelength * u.AA,
                  "THROUGHPUT": band.throughput.value})



