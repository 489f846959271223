"""SEDs as sedflux writes them: relative or absolute flux, with the whole covariance."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.table import QTable

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.spectra.sed import RelativeErrors, covariance_of, parts_of
from sedflux.spectra.spectrum import vacuum_angstrom
from sedflux.writing import write_whole

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["identify_sed", "read_sed", "write_sed"]


def identify_sed(origin: str, path: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether a file is an SED that sedflux predicted, for the registry."""
    try:
        with fits.open(path) as hdus:
            return "SEDMODEL" in hdus[0].header or "SEDMODEL" in hdus[1].header
    except (OSError, ValueError, TypeError, IndexError):
        return False


def write_sed(sed: Spectrum, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """
    Write an SED in the ``tabular-fits`` layout, and its covariance in more extensions.

    ``DIAGONAL`` and ``FACTOR`` give the covariance of the flux, ``DIAGONAL + FACTOR^T
    FACTOR``, as it is now; each ``PART`` is a direction of ln(flux) whose origin is known.  The
    file is written whole or not at all.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        Of one star, from `sedflux.predict_sed` or `sedflux.anchor`, or a calibrated
        spectrum.
    path : path-like
    overwrite : bool, optional

    Raises
    ------
    sedflux.exceptions.InputError
        If it is no single SED, its covariance no longer belongs to it, or the file exists.
    sedflux.exceptions.WriteError
        If the file cannot be written.
    """
    if getattr(getattr(sed, "flux", None), "ndim", 0) != 1:
        raise InputError("sed must be one specutils.Spectrum of one dimension; give one SED, and "
                         "write the rows of several one by one")
    notes = (sed.meta or {}).get("sedflux", {})
    extensions = []
    if "errors" in notes or "covariance" in notes:
        extensions = _covariance_extensions(sed, notes)

    def write(temporary):
        sed.write(temporary, format="tabular-fits")
        if extensions:
            with fits.open(temporary, mode="append") as hdus:
                hdus.extend(extensions)

    write_whole(path, write, overwrite=overwrite)


def _covariance_extensions(sed, notes):
    """Covariance, directions of known origin and resolving power as FITS extensions."""
    covariance = covariance_of(sed)
    extensions = [fits.ImageHDU(covariance.diagonal, name="DIAGONAL")]
    if covariance.rank:
        extensions.append(fits.ImageHDU(covariance.factor, name="FACTOR"))
    for name, direction in parts_of(sed).items():
        extensions.append(fits.ImageHDU(direction, name=f"PART {name}"))
    extensions[0].header["SEDRES"] = (notes.get("resolving_power") or 0.0,
                                      "lambda / FWHM of the SED, 0 if not known")
    return extensions


def read_sed(path: str | os.PathLike[str], **kwargs: Any) -> Spectrum:
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
    sed = Spectrum(spectral_axis=table[table.colnames[0]], flux=u.Quantity(flux, unit).T,
                   uncertainty=sigma, mask=None if mask is None else mask.T,
                   meta={"header": header} | ({"sedflux": meta} if meta else {}))
    if meta and (sed.flux.value > 0).all():
        meta["errors"] = RelativeErrors(
            vacuum_angstrom(sed, "vacuum"), meta["covariance"].scaled(1.0 / sed.flux.value),
            meta["parts"])
    return sed


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
