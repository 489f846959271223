"""MILES spectra as distributed: one image a star, in air, at rest."""

import numpy as np
from astropy import units as u
from astropy.io import fits

from sedflux.exceptions import InputError

__all__ = ["identify_miles", "read_miles"]

#: FWHM in Angstrom (Falcon-Barroso et al. 2011).
_FWHM = 2.5


def identify_miles(origin, path, *args, **kwargs):
    """Whether a file is a MILES star, for the registry."""
    try:
        with fits.open(path) as hdus:
            header = hdus[0].header
            cards = " ".join(str(header.get(key, "")) for key in ("TPLLIB", "ORIGIN", "COMMENT"))
            named = "MILES" in cards.upper() or "miles" in str(path).lower()
            size = header.get("NAXIS1", 0)
            return bool(named and "CDELT1" in header and 4000 <= size <= 5000)
    except (OSError, ValueError, TypeError):
        return False


def read_miles(path, **kwargs):
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
    """
    from specutils import Spectrum

    with fits.open(path, memmap=False) as hdus:
        header = hdus[0].header
        flux = np.squeeze(np.asarray(hdus[0].data, dtype=float))
    if flux.ndim != 1:
        raise InputError(f"{path} has the shape {flux.shape}; a MILES star is one row")
    index = np.arange(flux.size) + 1.0 - header.get("CRPIX1", 1.0)
    wavelength = header["CRVAL1"] + header["CDELT1"] * index
    meta = {"header": header, "object": header.get("OBJECT", ""), "medium": "air",
            "resolving_power": wavelength / float(header.get("FWHM", _FWHM)),
            "radial_velocity": 0.0 * u.km / u.s, "source": "MILES"}
    return Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.dimensionless_unscaled,
                    mask=~np.isfinite(flux) | (flux <= 0), meta=meta)
