"""SDSS and BOSS spectra, one star a file: ``spec-PLATE-MJD-FIBER.fits``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import InverseVariance

from sedflux.exceptions import InputError
from sedflux.io.reading import FITS_ERRORS, check_wavelengths, file_name, open_fits
from sedflux.spectra.resolution import FWHM_PER_SIGMA
from sedflux.units import LIGHT_KM_S

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["identify_sdss", "is_sdss", "read_sdss"]

#: Unit of the flux.
_UNIT = u.Unit("1e-17 erg / (s cm2 Angstrom)")
#: Step of the pixels in log10(wavelength), and how far rounding to single precision moves them.
_LOG_STEP, _ROUNDING = 1e-4, 1e-6
#: Resolving power where the file does not say it.
_RESOLVING_POWER = 2000.0


def identify_sdss(origin: Any, path: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether a file is an SDSS or BOSS spectrum, for the registry."""
    try:
        with open_fits(path, "SDSS") as hdus:
            return is_sdss(hdus)
    except FITS_ERRORS:
        return False


def is_sdss(hdus: fits.HDUList) -> bool:
    """Whether an open file is an SDSS or BOSS spectrum."""
    if not str(hdus[0].header.get("TELESCOP", "")).startswith("SDSS") or len(hdus) < 2:
        return False
    names = {name.lower() for name in _columns(hdus[1])}
    return {"flux", "loglam", "ivar"} <= names


def _columns(hdu):
    """Names of the columns of a table; none of other extensions."""
    return list(hdu.columns.names) if isinstance(hdu, fits.BinTableHDU) else []


def read_sdss(path: str | os.PathLike[str], **kwargs: Any) -> Spectrum:
    """
    Read an SDSS or BOSS spectrum.

    Parameters
    ----------
    path : path-like
        With the table of ``flux``, ``loglam`` and ``ivar``, and a second one of the object.

    Returns
    -------
    spectrum : `~specutils.Spectrum`
        F_lambda against vacuum wavelength, with pixels without inverse variance masked.  ``meta``
        has ``radial_velocity`` (of stars, from Z of the second table), ``resolving_power``
        (from ``wdisp``), ``object``, ``class`` and ``header``.

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is damaged or in another layout.
    """
    from specutils import Spectrum

    with open_fits(path, "SDSS") as hdus:
        if not is_sdss(hdus):
            raise InputError(f"{file_name(path)} is no SDSS spectrum: it has no table of flux, "
                             "loglam and ivar")
        table, header = hdus[1].data, hdus[0].header
        flux, log_wavelength, ivar = (np.asarray(table[name], dtype=float)
                                      for name in ("flux", "loglam", "ivar"))
        whole = _LOG_STEP * np.round(log_wavelength / _LOG_STEP)
        if np.abs(whole - log_wavelength).max(initial=0.0) < _ROUNDING:
            log_wavelength = whole
        with np.errstate(over="ignore"):
            wavelength = 10**log_wavelength
        check_wavelengths(wavelength, file_name(path))
        kind, velocity = _object(hdus)
        meta = {"header": header, "medium": "vacuum", "telescope": "SDSS", "class": kind,
                "object": f"{header.get('PLATEID', '')}-{header.get('MJD', '')}-"
                          f"{header.get('FIBERID', '')}",
                "radial_velocity": velocity * u.km / u.s,
                "resolving_power": _resolving_power(table, log_wavelength),
                "resolving_power_wavelength": wavelength}
    mask = ~(ivar > 0) | ~np.isfinite(flux)
    return Spectrum(spectral_axis=wavelength * u.AA, flux=flux * _UNIT,
                    uncertainty=InverseVariance(np.where(mask, 0.0, ivar) * _UNIT**-2), mask=mask,
                    meta=meta)


def _object(hdus):
    """Class, and radial velocity in km/s of a star; zero of other objects."""
    if len(hdus) < 3 or not {"Z", "CLASS"} <= set(_columns(hdus[2])):
        return "", 0.0
    row = hdus[2].data[0]
    kind, redshift = str(row["CLASS"]).strip(), float(row["Z"])
    star = kind == "STAR" and np.isfinite(redshift)
    return kind, LIGHT_KM_S * redshift if star else 0.0


def _resolving_power(table, log_wavelength):
    """lambda / FWHM from the dispersion of the lines in pixels of the logarithm, (n,)."""
    if "wdisp" not in {name.lower() for name in table.names}:
        return _RESOLVING_POWER
    dispersion = np.asarray(table["wdisp"], dtype=float)
    known = np.isfinite(dispersion) & (dispersion > 0)
    if not known.any():
        return _RESOLVING_POWER
    dispersion = np.interp(log_wavelength, log_wavelength[known], dispersion[known])
    return 1.0 / (FWHM_PER_SIGMA * dispersion * np.log(10.0) * np.gradient(log_wavelength))
