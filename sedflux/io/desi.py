"""DESI coadds: many stars in one file, each in three arms that share one grid of pixels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sedflux.exceptions import InputError
from sedflux.io.reading import check_wavelengths, open_fits
from sedflux.spectra.resolution import FWHM_PER_SIGMA
from sedflux.units import LIGHT_KM_S

__all__ = ["DESICoadd", "desi_targets", "is_coadd_name", "read_desi"]

_ARMS = ("B", "R", "Z")
#: How far the pixels of two arms may lie apart, in pixels, and still be one.
_SAME_PIXEL = 0.01


@dataclass(frozen=True)
class DESICoadd:
    """
    Some spectra of a coadd, with their arms combined.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum wavelength in Angstrom.
    flux, ivar : `~numpy.ndarray`, shape (N, n)
        F_lambda in 1e-17 erg/s/cm2/Angstrom, and its inverse variance; zero in bad pixels.
    resolving_power : `~numpy.ndarray`, shape (n,)
        lambda / FWHM, the median of the fibres.
    position : `~numpy.ndarray`, shape (N, 2)
        Right ascension and declination in degrees.
    radial_velocity : `~numpy.ndarray`, shape (N,)
        In km/s, from the redrock file beside the coadd; zero without one, and for what is no star.
    target : `~numpy.ndarray` of bool, shape (N,)
        False for fibres on the sky.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    resolving_power: np.ndarray
    position: np.ndarray
    radial_velocity: np.ndarray
    target: np.ndarray


def is_coadd_name(path: str | os.PathLike[str]) -> bool:
    """Whether a file is called as DESI calls its coadds, ``coadd-*.fits``."""
    name = os.path.basename(path)
    return name.startswith("coadd-") and name.endswith((".fits", ".fits.gz"))


def desi_targets(path: str | os.PathLike[str]) -> np.ndarray:
    """
    Numbers of the targets of a coadd, one per spectrum.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    targets : `~numpy.ndarray` of int, shape (N,)

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is damaged, or no coadd.
    """
    with open_fits(path, "DESI coadd") as hdus:
        return np.asarray(hdus["FIBERMAP"].data["TARGETID"], dtype=np.int64)


def read_desi(path: str | os.PathLike[str], rows: npt.ArrayLike) -> DESICoadd:
    """
    Read some spectra of a DESI coadd.

    Parameters
    ----------
    path : path-like
        ``coadd-*.fits`` of a spectroscopic production, with the arms B, R and Z.
    rows : array_like of int, shape (N,)
        Which spectra.

    Returns
    -------
    coadd : `DESICoadd`

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is damaged or in another layout, or does not have these rows.
    """
    rows = np.asarray(rows, dtype=int)
    with open_fits(path, "DESI coadd") as hdus:
        fibers = hdus["FIBERMAP"].data
        if ((rows < 0) | (rows >= len(fibers))).any():
            raise InputError(f"{path} has {len(fibers)} spectra; rows {rows.min()} to "
                             f"{rows.max()} were asked for")
        arms = [_arm(hdus, name, rows) for name in _ARMS if f"{name}_FLUX" in hdus]
        if not arms:
            raise InputError(f"{path} has no arm B, R or Z; the file is damaged or no coadd")
        position = np.stack([np.asarray(fibers[name], dtype=float)[rows]
                             for name in ("TARGET_RA", "TARGET_DEC")], axis=1)
        kind = np.asarray(fibers["OBJTYPE"]).astype(str)[rows]
        targets = np.asarray(fibers["TARGETID"], dtype=np.int64)[rows]
    wavelength, flux, ivar, power = _combined(arms, path)
    return DESICoadd(wavelength, flux, ivar, power, position, _velocities(path, targets),
                     np.char.strip(kind) == "TGT")


def _arm(hdus, name, rows):
    """Wavelength, flux, inverse variance without bad pixels, and FWHM in Angstrom, of an arm."""
    wavelength = np.asarray(hdus[f"{name}_WAVELENGTH"].data, dtype=float)
    flux, ivar = (np.asarray(hdus[f"{name}_{what}"].data[rows], dtype=float)
                  for what in ("FLUX", "IVAR"))
    bad = ~np.isfinite(flux) | ~(ivar > 0)
    if f"{name}_MASK" in hdus:
        bad |= np.asarray(hdus[f"{name}_MASK"].data[rows]) != 0
    step = np.gradient(wavelength)
    return (wavelength, np.where(bad, 0.0, flux), np.where(bad, 0.0, ivar),
            step * FWHM_PER_SIGMA * _widths(hdus[f"{name}_RESOLUTION"].data[rows]))


def _widths(profiles):
    """Standard deviation of the line-spread function in pixels, the median of the fibres, (n,)."""
    profiles = np.clip(np.asarray(profiles, dtype=float), 0.0, None)
    place = np.arange(profiles.shape[1]) - 0.5 * (profiles.shape[1] - 1)
    total = profiles.sum(axis=1)
    known = total > 0
    weight = np.where(known, total, 1.0)
    mean = np.einsum("k,nkw->nw", place, profiles) / weight
    square = np.einsum("k,nkw->nw", place**2, profiles) / weight
    widths = np.where(known, np.sqrt(np.maximum(square - mean**2, 0.0)), np.nan)
    if not known.any():
        raise InputError("its resolution matrices are empty")
    known_columns = known.any(axis=0)
    middle = np.full(known_columns.size, np.nan)
    middle[known_columns] = np.nanmedian(widths[:, known_columns], axis=0)
    pixels = np.arange(middle.size)
    return np.interp(pixels, pixels[known_columns], middle[known_columns])


def _combined(arms, path):
    """The arms on one grid: means weighted by inverse variance where two of them overlap."""
    every = np.sort(np.concatenate([arm[0] for arm in arms]))
    step = float(np.median(np.diff(arms[0][0])))
    wavelength = every[np.r_[True, np.diff(every) > _SAME_PIXEL * step]]
    check_wavelengths(wavelength, path)
    if np.diff(wavelength).min() < 0.5 * step:
        raise InputError(f"{path} has arms whose pixels do not coincide; coadds of DESI have one "
                         f"grid of {step:g} Angstrom")
    shape = (len(arms[0][1]), wavelength.size)
    weighted, ivar, fwhm = np.zeros(shape), np.zeros(shape), np.zeros(wavelength.size)
    for own, flux, weight, width in arms:
        place = np.abs(wavelength[:, None] - own[[0, -1]]).argmin(axis=0)
        here = slice(place[0], place[1] + 1)
        weighted[:, here] += weight * flux
        ivar[:, here] += weight
        # Where arms overlap the broader one counts: spectra are never sharpened.
        fwhm[here] = np.maximum(fwhm[here], width)
    flux = np.divide(weighted, ivar, out=np.zeros(shape), where=ivar > 0)
    return wavelength, flux, ivar, wavelength / fwhm


def _velocities(path, targets):
    """Radial velocities in km/s of stars that the redrock file beside a coadd lists."""
    velocity = np.zeros(targets.size)
    redrock = Path(path).with_name(Path(path).name.replace("coadd-", "redrock-", 1))
    if not redrock.is_file():
        return velocity
    with open_fits(redrock, "redrock") as hdus:
        table = hdus["REDSHIFTS"].data
        star = np.char.strip(np.asarray(table["SPECTYPE"]).astype(str)) == "STAR"
        known: dict[int, Any] = dict(zip(
            np.asarray(table["TARGETID"], dtype=np.int64)[star].tolist(),
            (np.asarray(table["Z"], dtype=float)[star] * LIGHT_KM_S).tolist(),
            strict=True))
    return np.array([known.get(target, 0.0) for target in targets.tolist()])
