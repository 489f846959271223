"""HST/STIS spectrophotometry: CALSPEC files, and NGSL, which has the same columns."""

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty

from sedflux.exceptions import InputError
from sedflux.units import FLAM

__all__ = ["identify_calspec", "identify_ngsl", "read_calspec", "read_ngsl"]

_COLUMNS = {"WAVELENGTH", "FLUX"}
#: Two STIS pixels, where a file does not tell: G430L and G750L.
_FWHM = ((5650.0, 5.5), (np.inf, 9.8))


def _column_names(path):
    """Names of the columns of the first extension, and the primary header; or nothing."""
    try:
        with fits.open(path) as hdus:
            names = set(getattr(getattr(hdus[1], "columns", None), "names", None) or ())
            return {name.upper() for name in names}, hdus[0].header
    except (OSError, ValueError, TypeError, IndexError):
        return set(), {}


def identify_calspec(origin, path, *args, **kwargs):
    """Whether a file is a CALSPEC table, for the registry."""
    names, header = _column_names(path)
    return _COLUMNS | {"STATERROR", "SYSERROR", "FWHM"} <= names and "TARGETID" in header


def identify_ngsl(origin, path, *args, **kwargs):
    """Whether a file is an NGSL table, for the registry."""
    names, _ = _column_names(path)
    return names == _COLUMNS | {"STATERROR"} or (
        names >= _COLUMNS and "SYSERROR" not in names and "ngsl" in str(path).lower())


def _read(path, source):
    from specutils import Spectrum

    with fits.open(path, memmap=False) as hdus:
        header, table = hdus[0].header, hdus[1].data
        names = {name.upper() for name in table.columns.names}
        if not names >= _COLUMNS:
            raise InputError(f"{path} has the columns {sorted(names)}; "
                             f"a {source} file has at least WAVELENGTH and FLUX")
        column = {name: np.asarray(table[name], dtype=float) for name in names
                  if np.issubdtype(table[name].dtype, np.number)}
    wavelength, flux = column["WAVELENGTH"], column["FLUX"]
    keep = (wavelength > 1100.0) & (wavelength < 11000.0)
    keep &= np.r_[True, np.diff(wavelength) > 0]
    fwhm = column.get("FWHM")
    if fwhm is None:
        fwhm = np.select([wavelength < edge for edge, _ in _FWHM], [width for _, width in _FWHM])
    statistical = column.get("STATERROR", np.zeros_like(flux))
    uncertainty = StdDevUncertainty(statistical[keep] * FLAM) if (statistical[keep] > 0).mean() \
        > 0.5 else None
    meta = {"header": header, "object": header.get("TARGETID", header.get("OBJECT", "")),
            "medium": "vacuum", "telescope": "HST", "source": source,
            "resolving_power": wavelength[keep] / fwhm[keep]}
    if "RADVEL" in header:
        meta["radial_velocity"] = header["RADVEL"] * u.km / u.s
    if "SYSERROR" in column:
        meta["systematic"] = column["SYSERROR"][keep] * FLAM
    return Spectrum(spectral_axis=wavelength[keep] * u.AA, flux=flux[keep] * FLAM,
                    uncertainty=uncertainty, mask=~np.isfinite(flux[keep]), meta=meta)


def read_calspec(path, **kwargs):
    """
    Read a CALSPEC file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    spectrum : `~specutils.Spectrum`
        1100-11000 Angstrom, vacuum, with the star's radial velocity still in it
        (``meta["radial_velocity"]`` if the header has RADVEL); statistical errors as
        uncertainty, systematic ones in ``meta["systematic"]``, the resolving power of
        every pixel in ``meta["resolving_power"]``.
    """
    return _read(path, "CALSPEC")


def read_ngsl(path, **kwargs):
    """
    Read an NGSL v2 file: as `read_calspec`, without systematic errors.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    spectrum : `~specutils.Spectrum`
    """
    return _read(path, "NGSL")
