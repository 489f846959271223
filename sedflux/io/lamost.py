"""LAMOST low-resolution spectra, in the layouts of all data releases."""

import numpy as np
from astropy import units as u
from astropy.constants import c
from astropy.io import fits
from astropy.nddata import InverseVariance

from sedflux.exceptions import InputError

__all__ = ["identify_lamost", "read_lamost"]

#: Resolving power of the low-resolution spectrographs behind the 2/3 slit.
_RESOLVING_POWER = 1800.0
#: LAMOST does not correct telluric absorption: the B band of oxygen.
_TELLURIC = (6860.0, 6965.0)


def identify_lamost(origin, path, *args, **kwargs):
    """Whether a file is a LAMOST low-resolution spectrum, for the registry."""
    try:
        with fits.open(path) as hdus:
            header = hdus[0].header
            return "LAMOST" in str(header.get("ORIGIN", "")).upper() and "COEFF0" in header
    except (OSError, ValueError, TypeError):
        return False


def _columns(hdus, path):
    """Wavelength, flux, inverse variance and masks, from either layout."""
    if len(hdus) > 1 and hdus[1].name == "COADD":
        row = hdus[1].data[0]
        return tuple(np.asarray(row[name], dtype=float)
                     for name in ("WAVELENGTH", "FLUX", "IVAR", "ANDMASK", "ORMASK"))
    data = hdus[0].data
    if data is None or data.ndim != 2 or len(data) < 5:
        raise InputError(f"{path} is no LAMOST low-resolution spectrum: it has neither a COADD "
                         "table nor an image of five rows")
    flux, ivar, wavelength, and_mask, or_mask = np.asarray(data[:5], dtype=float)
    return wavelength, flux, ivar, and_mask, or_mask


def read_lamost(path, **kwargs):
    """
    Read a LAMOST low-resolution spectrum.

    Parameters
    ----------
    path : path-like
        ``.fits`` or ``.fits.gz``; the image of five rows (to DR7) or the COADD table.

    Returns
    -------
    spectrum : `~specutils.Spectrum`
        Relative F_lambda against vacuum wavelength; pixels that every exposure masked,
        and the telluric B band, are masked.  ``meta`` has ``radial_velocity`` (from
        the header's Z), ``resolving_power``, ``object``, ``class`` and ``header``.
    """
    from specutils import Spectrum

    with fits.open(path, memmap=False) as hdus:
        header = hdus[0].header
        wavelength, flux, ivar, and_mask, _ = _columns(hdus, path)
    # The wavelengths of the table are in single precision; the header's are exact.
    exact = 10 ** (header["COEFF0"] + header["COEFF1"] * np.arange(wavelength.size))
    if np.abs(exact - wavelength).max() < 0.5:
        wavelength = exact
    redshift = float(header.get("Z", 0.0))
    is_star = header.get("CLASS", "STAR") == "STAR" and redshift > -0.01
    telluric = (wavelength > _TELLURIC[0]) & (wavelength < _TELLURIC[1])
    mask = (ivar <= 0) | (and_mask != 0) | telluric
    meta = {
        "header": header, "object": header.get("DESIG", ""), "medium": "vacuum",
        "class": f"{header.get('CLASS', '')} {header.get('SUBCLASS', '')}".strip(),
        "resolving_power": _RESOLVING_POWER,
        "radial_velocity": (c * redshift if is_star else 0.0 * c).to(u.km / u.s),
        "telescope": "LAMOST",
    }
    return Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.dimensionless_unscaled,
                    uncertainty=InverseVariance(ivar), mask=mask, meta=meta)
