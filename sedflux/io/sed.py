"""SEDs as sedflux writes them: relative or absolute flux, with the whole covariance."""

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.table import QTable

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError

__all__ = ["identify_sed", "read_sed", "write_sed"]


def identify_sed(origin, path, *args, **kwargs):
    """Whether a file is an SED that sedflux predicted, for the registry."""
    try:
        with fits.open(path) as hdus:
            return "SEDMODEL" in hdus[0].header or "SEDMODEL" in hdus[1].header
    except (OSError, ValueError, TypeError, IndexError):
        return False


def write_sed(sed, path, *, overwrite=False):
    """
    Write an SED in the ``tabular-fits`` layout, and its covariance in two more extensions.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        Of one star, from `sedflux.predict_sed` or `sedflux.anchor`.
    path : path-like
    overwrite : bool, optional

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no single SED, or the file exists.
    """
    try:
        sed.write(path, format="tabular-fits", overwrite=overwrite)
    except (OSError, AttributeError) as error:
        raise InputError(f"{str(path)!r} cannot be written ({error}); give one SED and "
                         "overwrite=True to replace a file") from error
    meta = (sed.meta or {}).get("sedflux", {})
    covariance = meta.get("covariance")
    if not isinstance(covariance, LowRankCovariance):
        return
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.ImageHDU(covariance.diagonal, name="DIAGONAL"))
        if covariance.rank:
            hdus.append(fits.ImageHDU(covariance.factor, name="FACTOR"))
        for name, direction in meta.get("parts", {}).items():
            hdus.append(fits.ImageHDU(np.asarray(direction, float), name=f"PART {name}"))
        hdus["DIAGONAL"].header["SEDRES"] = (meta.get("resolving_power") or 0.0,
                                             "lambda / FWHM of the SED, 0 if not known")


def read_sed(path, **kwargs):
    """
    Read an SED that `write_sed` wrote, or ``sed.write(path, format="tabular-fits")``.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    sed : `~specutils.Spectrum`
        Flux, sigma, mask and ``meta["header"]`` as they were written, and the covariance
        if the file holds it.
    """
    from specutils import Spectrum

    with fits.open(path, memmap=False) as hdus:
        header = hdus[0].header if "SEDMODEL" in hdus[0].header else hdus[1].header
        table = QTable.read(hdus[1])
        meta = _covariance_meta(hdus)
    flux = table["flux"]
    unit = getattr(flux, "unit", None) or u.dimensionless_unscaled
    names = [name for name in table.colnames if "uncertainty" in name]
    sigma = table[names[0]] if names else None
    mask = table["mask"] if "mask" in table.colnames else None
    # Many stars are written with the spectral axis first.
    sigma = None if sigma is None else StdDevUncertainty(u.Quantity(sigma, unit).T)
    return Spectrum(spectral_axis=table[table.colnames[0]], flux=u.Quantity(flux, unit).T,
                    uncertainty=sigma, mask=None if mask is None else mask.T,
                    meta={"header": header} | ({"sedflux": meta} if meta else {}))


def _covariance_meta(hdus):
    """Covariance, its known parts and the resolving power, if the file holds them."""
    if "DIAGONAL" not in hdus:
        return {}
    diagonal = np.asarray(hdus["DIAGONAL"].data, dtype=float)
    factor = (np.asarray(hdus["FACTOR"].data, dtype=float) if "FACTOR" in hdus
              else np.zeros((0, diagonal.size)))
    meta = {"covariance": LowRankCovariance(diagonal, factor),
            "parts": {hdu.name[5:].lower(): np.asarray(hdu.data, dtype=float)
                      for hdu in hdus if hdu.name.startswith("PART ")}}
    power = hdus["DIAGONAL"].header.get("SEDRES", 0.0)
    return meta | ({"resolving_power": power} if power else {})
