"""A simulated field with its truth."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import Table

__all__ = ["SimulatedField"]


@dataclass(frozen=True)
class SimulatedField:
    """
    A simulated field and its truth.

    Attributes
    ----------
    bands : dict of str to `~sedflux.SlitlessBand`
    counts : dict of str to list of `~specutils.Spectrum`
        Extracted spectra of each band, counts (electrons) a second and pixel.
    seds : list of `~specutils.Spectrum`
        Predicted, reddened, on an absolute scale.
    truth : `~astropy.table.Table`
        One row a star: name, labels, magnitude, E(B-V), S/N, position, detector, epoch,
        kind of outlier, grey factors and shifts.
    wavelength : `~numpy.ndarray`, shape (n,)
    flux : `~numpy.ndarray`, shape (N, n)
        True SEDs in erg/s/cm2/Angstrom.
    """

    bands: dict
    counts: dict
    seds: list
    truth: Table
    wavelength: np.ndarray = field(repr=False)
    flux: np.ndarray = field(repr=False)

    @property
    def names(self):
        """Names of the stars."""
        return [str(name) for name in self.truth["name"]]

    def write(self, folder):
        """
        Write spectra that specutils reads, SEDs with their covariance, and the truth.

        Parameters
        ----------
        folder : path-like
            Gets ``counts/BAND/NAME.fits``, ``seds/NAME.fits``, ``throughput_BAND.ecsv``,
            ``truth.ecsv`` and ``true_seds.fits``.

        Returns
        -------
        folder : `~pathlib.Path`
        """
        from astropy.io import fits

        from sedflux.io.sed import write_sed

        folder = Path(folder)
        (folder / "seds").mkdir(parents=True, exist_ok=True)
        for name, sed in zip(self.names, self.seds, strict=True):
            write_sed(sed, folder / "seds" / f"{name}.fits", overwrite=True)
        for band, spectra in self.counts.items():
            (folder / "counts" / band).mkdir(parents=True, exist_ok=True)
            for name, spectrum in zip(self.names, spectra, strict=True):
                spectrum.write(folder / "counts" / band / f"{name}.fits",
                               format="tabular-fits", overwrite=True)
            throughput = self.bands[band].throughput
            Table({"WAVELENGTH": throughput.wavelength * u.AA,
                   "THROUGHPUT": throughput.value}).write(
                folder / f"throughput_{band}.ecsv", overwrite=True)
        self.truth.write(folder / "truth.ecsv", overwrite=True)
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(self.wavelength, name="WAVELENGTH"),
                      fits.ImageHDU(self.flux, name="FLUX")]).writeto(
            folder / "true_seds.fits", overwrite=True)
        return folder
