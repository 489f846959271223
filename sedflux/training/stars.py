"""
Real stars for training: their spectra, and measurements of their SEDs.

There are three sources, each with its own errors (`sedflux.training.sed_truths`).  MILES has
R = 2000 spectra with published labels; its fluxes (3600-7300 Angstrom) are dereddened.  HST/STIS
has complete SEDs, reddened as observed; where MILES has no spectrum of a star, its STIS spectrum
at R = 500 is the input.  The third source is photometry of NGSL spectra.  Stars are identified by
name, and the name alone decides in which fold a star is left out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from sedflux.io.calspec import stis_fwhm
from sedflux.io.miles import MILES_FWHM
from sedflux.libraries.library import read_library
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import (
    SED_RESOLVING_POWER,
    input_grid,
    optical_mean,
    rebin_spectra,
    sed_grid,
)
from sedflux.spectra.normalise import input_basis
from sedflux.spectra.resolution import broadening_sigma, degrade_spectra, lsf_matrix
from sedflux.training.johnson import read_johnson

if TYPE_CHECKING:
    from sedflux.libraries.library import SpectralLibrary
    from sedflux.training.types import Passbands, PathLike

__all__ = ["FOLDS", "GRAVITY_EDGE", "RealStars", "beyond_gravity_edge", "fold_of",
           "inner_fold", "miles_inputs", "miles_seds", "read_passbands", "read_stars",
           "stis_arrays", "stis_sed"]

#: Folds of stars; each is left out of one training.
FOLDS = 4
_FOLD_SEED, _INNER_SEED = "sedflux folds 1", "sedflux inner folds 1"
#: S/N per pixel assumed for MILES and STIS spectra.
MILES_SNR = 150.0
#: Resolving power to which MILES and STIS spectra are degraded as inputs.
MILES_POWER, STIS_POWER = 1600.0, 500.0
#: Wavelengths (Angstrom) of MILES fluxes that count as truths.
_MILES_RANGE = (3600.0, 7340.0)
#: Errors of published labels: TEFF (K), LOGG, MH, ALPHA, CARBON, VMICRO (km/s).
LABEL_ERRORS = np.array([100.0, 0.25, 0.12, 0.1, 0.1, 0.4])
#: Temperatures (K) by spectral type, for stars without published labels, and errors of such labels.
_TYPE_TEFF = {"B7": 12700.0, "B8": 11500.0,
              "B9": 10000.0, "A0": 9700.0, "A1": 9300.0, "A2": 8900.0, "A3": 8600.0,
              "A4": 8300.0, "A5": 8100.0, "A6": 7900.0, "A7": 7700.0, "A8": 7500.0, "A": 8300.0,
              "F": 6500.0, "G": 5700.0, "K": 4900.0}
_TYPE_ERRORS = np.array([300.0, 0.4, 0.5, 0.15, 0.15, 0.5])
#: Surface gravity at the edge of the synthetic library, by temperature (K).
GRAVITY_EDGE = ([3900, 4500, 5000, 6000, 7000, 8000, 9000, 10000, 15000],
                [0.5, 0.6, 0.8, 1.25, 1.9, 2.6, 2.9, 3.2, 3.2])


@dataclass(frozen=True)
class RealStars:
    """
    N stars with lines and truths.

    Attributes
    ----------
    name : `~numpy.ndarray` of str, shape (N,)
    source : `~numpy.ndarray` of str, shape (N,)
        Where the input comes from: MILES, CALSPEC or NGSL.
    labels, label_errors : `~numpy.ndarray`, shape (N, 6)
        Published, or from the spectral type with large errors.
    normalised, ivar : `~numpy.ndarray`, shape (N, 2430)
    resolving_power : `~numpy.ndarray`, shape (N,)
    miles_sed, stis_sed : `~numpy.ndarray`, shape (N, 575)
        ln(SED), NaN where unknown; STIS SEDs are reddened as observed.
    magnitudes : `~numpy.ndarray`, shape (N, k)
        AB magnitudes in the bands of the photometry, NaN where unknown.
    ebv : `~numpy.ndarray`, shape (N,)
        Known E(B-V), else NaN.
    johnson, johnson_error : `~numpy.ndarray`, shape (N, 3)
        U-B, B-V and R-I in mag, NaN where unknown or not to be used.
    dust : `~numpy.ndarray`, shape (N, 2)
        E(B-V) of these colours and its error, before the colours are used.
    johnson_zero : tuple of float
        Zero point of U-B and its slope with B-V.
    """

    name: np.ndarray
    source: np.ndarray
    labels: np.ndarray
    label_errors: np.ndarray
    normalised: np.ndarray
    ivar: np.ndarray
    resolving_power: np.ndarray
    miles_sed: np.ndarray
    stis_sed: np.ndarray
    magnitudes: np.ndarray
    ebv: np.ndarray
    johnson: np.ndarray
    johnson_error: np.ndarray
    dust: np.ndarray
    johnson_zero: tuple[float, float] = (0.0, 0.0)

    def __len__(self) -> int:
        return len(self.name)

    def take(self, rows: Any) -> RealStars:
        """Some of the stars: a mask or indices."""
        arrays = {name: getattr(self, name)[rows] for name in self.__dataclass_fields__
                  if name != "johnson_zero"}
        return RealStars(**arrays, johnson_zero=self.johnson_zero)

    @property
    def fold(self) -> np.ndarray:
        """Fold of each star, shape (N,)."""
        return np.array([fold_of(name) for name in self.name])


def fold_of(name: str) -> int:
    """
    Fold in which a star is left out, from its name alone.

    Parameters
    ----------
    name : str

    Returns
    -------
    fold : int
        0 to 3.

    Examples
    --------
    >>> from sedflux.training.stars import fold_of
    >>> fold_of("HD19445") == fold_of(" HD19445 ")
    True
    """
    return _hashed(_FOLD_SEED, name)


def inner_fold(name: str) -> int:
    """
    Fold of a star, 0 to 3, for choices within a training; independent of `fold_of`.
    """
    return _hashed(_INNER_SEED, name)


def _hashed(seed, name):
    digest = hashlib.sha256(f"{seed} {name.strip()}".encode()).hexdigest()
    return int(digest, 16) % FOLDS


def miles_inputs(miles: SpectralLibrary, rows: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Arrays of MILES spectra, in the rest frame and vacuum.

    Returns
    -------
    wavelength : `~numpy.ndarray`, shape (n,)
    flux, ivar : `~numpy.ndarray`, shape (N, n)
    """
    keep = (miles.wavelength > 3900.0) & (miles.wavelength < 7100.0)
    flux = miles.flux[rows][:, keep].astype(float)
    good = np.isfinite(flux) & (flux > 0)
    level = np.nanmean(np.where(good, flux, np.nan), axis=1, keepdims=True)
    flux = np.where(good, flux / level, 0.0)
    ivar = np.where(good, (MILES_SNR / np.where(good, flux, 1.0)) ** 2, 0.0)
    return miles.wavelength[keep], flux, ivar


def stis_sed(stis: SpectralLibrary, row: int) -> np.ndarray:
    """STIS flux of one star at R = 200, relative to 4000-7000 Angstrom; NaN where unknown."""
    grid = sed_grid()
    flux = stis.flux[row].astype(float)
    good = np.isfinite(flux) & (flux > 0)
    wavelength, flux = stis.wavelength[good], flux[good]
    sigma = broadening_sigma(grid, grid / stis_fwhm(grid), SED_RESOLVING_POWER)
    kernel = lsf_matrix(wavelength, sigma, new_wavelength=grid)
    smooth = kernel @ flux
    near = np.searchsorted(wavelength, grid)
    gap = np.diff(np.r_[-np.inf, wavelength, np.inf])[np.clip(near, 0, wavelength.size)]
    smooth = smooth / (optical_mean(grid) @ smooth)
    known = (grid > wavelength[0]) & (grid < wavelength[-1]) & (gap < 30.0)
    return np.where(known, smooth, np.nan)


def read_passbands(path: PathLike) -> Passbands:
    """Throughputs of a photometry file: wavelength (Angstrom) and value, by band."""
    with fits.open(path) as hdus:
        return {hdu.name: (np.asarray(hdu.data["WAVELENGTH"], float),
                           np.asarray(hdu.data["THROUGHPUT"], float))
                for hdu in hdus[2:]}


def _names(column):
    return [str(value).strip() for value in column]


def miles_seds(miles: SpectralLibrary, rows: Any) -> np.ndarray:
    """ln(SED) of MILES stars on the SED grid, shape (N, 575); NaN beyond their range."""
    grid = sed_grid()
    inside = (grid > _MILES_RANGE[0]) & (grid < _MILES_RANGE[1])
    sigma = broadening_sigma(grid[inside], grid[inside] / MILES_FWHM, SED_RESOLVING_POWER)
    kernel = lsf_matrix(miles.wavelength, sigma, new_wavelength=grid[inside])
    flux = miles.flux[rows].astype(float)
    good = np.isfinite(flux) & (flux > 0)
    seen = kernel @ good.T.astype(float)
    smooth = (kernel @ np.where(good, flux, 0.0).T) / np.where(seen > 0.5, seen, np.nan)
    whole = np.full((len(rows), grid.size), np.nan)
    whole[:, inside] = smooth.T
    mean = optical_mean(grid) @ np.nan_to_num(whole).T
    return np.log(whole / mean.T)


def beyond_gravity_edge(teff: np.ndarray, logg: np.ndarray) -> np.ndarray:
    """Which stars have a surface gravity below the edge of the synthetic library."""
    return logg <= np.interp(teff, *GRAVITY_EDGE)


def _usable(labels):
    """Which stars have labels within the synthetic library."""
    teff, logg, mh = labels.T
    with np.errstate(invalid="ignore"):
        return ((teff > 3950.0) & (teff < 14500.0) & (mh > -2.5) & (mh < 0.5) & (logg < 5.0)
                & ~beyond_gravity_edge(teff, logg))


def _six_labels(three):
    """Six labels from TEFF, LOGG and MH, with abundances typical of the Galaxy."""
    alpha = np.clip(-0.4 * three[:, 2], 0.0, 0.4)
    return np.column_stack([three, alpha, np.zeros(len(three)), np.full(len(three), 2.0)])


def _normalise(wavelength, flux, ivar, power, new_power):
    """Spectra as the network takes them."""
    flux, ivar = degrade_spectra(wavelength, flux, ivar, power, new_power)
    flux, ivar = rebin_spectra(wavelength, flux, ivar, input_grid())
    return remove_continuum(flux, ivar, input_basis(), tolerance=1e-7)


def _guess(sptype):
    """TEFF, LOGG, MH from a spectral type; NaN if it is no ordinary star."""
    known = next((teff for kind, teff in _TYPE_TEFF.items() if sptype.startswith(kind)), np.nan)
    return np.array([known, 3.3 if "III" in sptype else 4.1, -0.2])


def _stis_only(stis):
    """Rows, labels and errors of ordinary STIS stars that MILES did not observe."""
    rows, labels, errors = [], [], []
    table = stis.table
    columns = (_names(table[name]) for name in ("SPTYPE", "MILES", "QUALITY"))
    for row, (kind, partner, quality) in enumerate(zip(*columns, strict=True)):
        published = np.array([float(table[name][row]) for name in ("TEFF", "LOGG", "FEH")])
        three = published if np.isfinite(published).all() else _guess(kind)
        if partner not in ("", "--") or quality == "suspect" or not _usable(three[None])[0]:
            continue
        if "e" in kind or "p" in kind.replace("wp", ""):
            continue
        rows.append(row)
        labels.append(three)
        errors.append(LABEL_ERRORS if three is published else _TYPE_ERRORS)
    return rows, np.array(labels), np.array(errors)


def stis_arrays(stis: SpectralLibrary, rows: Any) -> tuple[np.ndarray, ...]:
    """Wavelength, flux, ivar, mask and resolving power of STIS spectra, for predictions."""
    keep = (stis.wavelength > 3900.0) & (stis.wavelength < 7150.0)
    flux = stis.flux[rows][..., keep].astype(float)
    good = np.isfinite(flux) & (flux > 0)
    ivar = (MILES_SNR / np.where(good, flux, 1.0)) ** 2
    wavelength = stis.wavelength[keep]
    return wavelength, np.where(good, flux, 0.0), ivar, ~good, wavelength / stis_fwhm(wavelength)


def _stis_inputs(stis, rows):
    wavelength, flux, ivar, mask, power = stis_arrays(stis, rows)
    return _normalise(wavelength, flux, np.where(mask, 0.0, ivar), power, STIS_POWER)


def _johnson_arrays(path, names):
    """Colours, errors and dust of named stars, and the zero point of U-B."""
    johnson = read_johnson(path)
    place = {name: row for row, name in enumerate(johnson.name) if johnson.use[row]}
    rows = np.array([place.get(name, -1) for name in names])
    known = (rows >= 0)[:, None]
    dust = np.stack([johnson.ebv, johnson.ebv_error], axis=1)
    return (np.where(known, johnson.colors[rows], np.nan),
            np.where(known, johnson.errors[rows], np.nan), dust[rows], johnson.zero)


def read_stars(miles: PathLike, stis: PathLike, photometry: PathLike,
               johnson: PathLike | None = None) -> RealStars:
    """
    Read all real stars within the range of the synthetic library.

    Parameters
    ----------
    miles, stis, photometry : path-like
        FITS libraries of R = 2000 spectra, of STIS SEDs, and of magnitudes.
    johnson : path-like, optional
        FITS file of Johnson colours, see `~sedflux.training.johnson.read_johnson`.

    Returns
    -------
    stars : `RealStars`
    """
    spectra, seds = read_library(miles), read_library(stis)
    bands = read_passbands(photometry)
    colours = Table.read(photometry, hdu=1)
    three = np.column_stack([np.asarray(spectra.table[name], float)
                             for name in ("TEFF", "LOGG", "FEH")])
    rows = np.flatnonzero(_usable(three))
    names = np.array(_names(spectra.table["NAME"]))[rows]
    wavelength, flux, ivar = miles_inputs(spectra, rows)
    first = _normalise(wavelength, flux, ivar, wavelength / MILES_FWHM, MILES_POWER)
    empty = np.full((len(rows), sed_grid().size), np.nan)
    magnitudes, ebv = np.full((len(rows), len(bands)), np.nan), np.full(len(rows), np.nan)
    measured = empty.copy()
    place = {name: index for index, name in enumerate(names)}
    for row, partner in enumerate(_names(seds.table["MILES"])):
        suspect = str(seds.table["QUALITY"][row]).strip() == "suspect"
        if partner in place and not suspect:
            measured[place[partner]] = np.log(stis_sed(seds, row))
    for entry in colours:
        index = place.get(str(entry["NAME"]).strip())
        if index is not None:
            magnitudes[index] = [entry[band] for band in bands]
            ebv[index] = np.ma.filled(entry["EBV"], np.nan)
    more, labels, errors = _stis_only(seds)
    second = _stis_inputs(seds, more)
    count = len(more)
    sources = _names(seds.table["SOURCE"])
    titles = [hd if hd.startswith("HD") else own for hd, own in
              zip(_names(seds.table["HD"]), _names(seds.table["NAME"]), strict=True)]
    every = np.r_[names, [titles[row] for row in more]]
    blank = np.full((len(every), 3), np.nan)
    colors, color_errors, dust, zero = ((blank, blank, blank[:, :2], (0.0, 0.0))
                                        if johnson is None else
                                        _johnson_arrays(johnson, every))
    return RealStars(
        name=every,
        source=np.r_[np.full(len(rows), "MILES", dtype="U8"), [sources[row] for row in more]],
        labels=_six_labels(np.vstack([three[rows], labels])),
        label_errors=np.vstack([np.tile(LABEL_ERRORS, (len(rows), 1)), errors]),
        normalised=np.vstack([first[0], second[0]]), ivar=np.vstack([first[1], second[1]]),
        resolving_power=np.r_[np.full(len(rows), MILES_POWER), np.full(count, STIS_POWER)],
        miles_sed=np.vstack([miles_seds(spectra, rows), empty[:1].repeat(count, axis=0)]),
        stis_sed=np.vstack([measured, [np.log(stis_sed(seds, row)) for row in more]]),
        magnitudes=np.vstack([magnitudes, np.full((count, len(bands)), np.nan)]),
        ebv=np.r_[ebv, np.full(count, np.nan)],
        johnson=colors, johnson_error=color_errors, dust=dust, johnson_zero=zero,
    )
