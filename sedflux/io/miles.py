"""MILES spectra as distributed: one image for each star, in air, at rest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.io.reading import FITS_ERRORS, check_wavelengths, file_name, header_number, open_fits
from sedflux.units import positive_number

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["MILES_FWHM", "identify_miles", "read_miles"]

#: FWHM of the library in Angstrom, the same at all wavelengths (Falcon-Barroso et al. 2011).
MILES_FWHM = 2.5
#: Samples of a MILES spectrum: 4300 from 3540 to 7410 Angstrom, with room for cut ones.
_SAMPLES = (4000, 5000)


def identify_miles(origin: Any, path: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether a file is a MILES star, for the registry."""
    try:
        with open_fits(path, "MILES") as hdus:
            header = hdus[0].header
            cards = " ".join(str(header.get(key, "")) for key in ("TPLLIB", "ORIGIN", "COMMENT"))
            named = "MILES" in cards.upper() or "miles" in str(path).lower()
            size = header.get("NAXIS1", 0)
            return bool(named and "CDELT1" in header and _SAMPLES[0] <= size <= _SAMPLES[1])
    except FITS_ERRORS:
        return False


def read_miles(path: str | os.PathLike[str], **kwargs: Any) -> Spectrum:
    """
    Read a star of the MILES library.

    Parameters
    ----------
    path : path-like
        An image of one row with a linear wavelength scale in air.

    Returns
    -------
    spectrum : `~specutils.Spectrum`
        ``meta["medium"]`` is ``"air"``; the velocity is zero and the resolving power
        that of a constant FWHM of 2.5 Angstrom.

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is damaged or no row with a linear wavelength scale.
    """
    from specutils import Spectrum

    with open_fits(path, "MILES") as hdus:
        path, header = file_name(path), hdus[0].header
        flux = np.squeeze(np.asarray(hdus[0].data, dtype=float))
        if flux.ndim != 1:
            raise InputError(f"{path} has the shape {flux.shape}; a MILES star is one row")
        start, step = (header_number(header, key, path) for key in ("CRVAL1", "CDELT1"))
        index = np.arange(flux.size) + 1.0 - header_number(header, "CRPIX1", path, 1.0)
        fwhm = positive_number(header_number(header, "FWHM", path, MILES_FWHM), f"FWHM of {path}")
        name = header.get("OBJECT", "")
    wavelength = start + step * index
    check_wavelengths(wavelength, path)
    meta = {"header": header, "object": name, "medium": "air",
            "resolving_power": wavelength / fwhm, "resolving_power_wavelength": wavelength,
            "radial_velocity": 0.0 * u.km / u.s, "source": "MILES"}
    return Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.dimensionless_unscaled,
                    mask=~np.isfinite(flux) | (flux <= 0), meta=meta)
