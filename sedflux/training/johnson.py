"""
Johnson U-B, B-V and R-I of real stars as truths: selection, errors and reddening.

Synthetic magnitudes are ``-2.5 log10(sum F T / sum T)``, energies relative to the width of the
passband.  Zero points bring their colours to the scale of the catalogue.  Stars that vary, have a
close companion or are peculiar are left out by rules, not by a list of names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from astropy.table import Table

from sedflux.spectra.grids import sed_grid
from sedflux.units import MAG_PER_LN

if TYPE_CHECKING:
    from sedflux.training.types import BandWeights, PathLike

__all__ = ["COLORS", "Johnson", "color_responses", "johnson_weights", "read_johnson",
           "zero_points"]

#: The colours, each of two bands.
COLORS = (("U", "B"), ("B", "V"), ("R", "I"))
#: Errors of the colours of a single constant star: rms against STIS SEDs, in mag.
_ERRORS = np.array([0.014, 0.014, 0.012])
#: Errors that a variable in a catalogue of variables, or a suspected one, adds (mag).
_VARIABLE_ERROR, _SUSPECTED_ERROR = 0.03, 0.01
#: Largest difference in magnitude and separation (arcsec) of a companion that is too close; one of
#: unknown brightness counts as bright.
_COMPANION = (3.0, 15.0)
#: SIMBAD types of objects whose spectrum or colours are those of no single, constant star:
#: long-period, pulsating and eclipsing variables, Be and Ap stars, carbon stars, post-AGB stars.
_LEFT_OUT = ("LP*", "LP?", "Mi*", "cC*", "RR*", "WV*", "Pu*", "bC*", "EB*", "Be*", "a2*", "Em*",
             "Er*", "C*", "C?*", "S*", "pA*", "Pe*", "Sy*", "AB*")
#: Distance (pc) up to which there is hardly any dust, and E(B-V) per pc beyond it; then the error
#: of E(B-V) up to that distance, and the relative error of the dust beyond it.
_DUST_FREE, _DUST_PER_PC = 80.0, 2e-4
_DUST_FREE_ERROR, _DUST_SHARE = 0.006, 0.6
#: Error of E(B-V) from the colour and the star's own spectrum.
_ESTIMATE_ERROR = 0.025
#: Distance (pc) of stars without a parallax.
_UNKNOWN_DISTANCE = 1e4
#: Fewest stars for a slope of a zero point, and median deviations beyond which one is left out.
_LEAST_STARS, _CLIP = 20, 4.0


@dataclass(frozen=True)
class Johnson:
    """
    Measured colours of N stars, as observed.

    Attributes
    ----------
    name : `~numpy.ndarray` of str, shape (N,)
        As in the library of R = 2000 spectra.
    colors, errors : `~numpy.ndarray`, shape (N, 3)
        U-B, B-V and R-I in mag; NaN where unknown.
    use : `~numpy.ndarray` of bool, shape (N,)
        Single, constant and ordinary.
    ebv, ebv_error : `~numpy.ndarray`, shape (N,)
        E(B-V) before the colours are seen, from parallax and spectrum, and its error.
    estimate : `~numpy.ndarray`, shape (N,)
        E(B-V) as the file has it, from the spectrum alone; NaN where unknown.
    zero : tuple of float
        Zero point of U-B and its slope with B-V.
    dust_free : `~numpy.ndarray` of bool, shape (N,)
        So near that there is hardly any dust in front of the star.
    """

    name: np.ndarray
    colors: np.ndarray
    errors: np.ndarray
    use: np.ndarray
    ebv: np.ndarray
    ebv_error: np.ndarray
    estimate: np.ndarray
    zero: tuple[float, float]
    dust_free: np.ndarray


def _column(table, name):
    return np.ma.filled(np.ma.asarray(table[name], float), np.nan)


def _texts(table, name):
    return np.array([str(value).strip() for value in table[name]])


def _distances(table):
    """Distances in pc."""
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = 1000.0 / _column(table, "PLX")
    return np.where(distance > 0, distance, _UNKNOWN_DISTANCE)


def _reddening(table, distance):
    """E(B-V) and its error from distance and estimate, weighted by their errors."""
    beyond = np.clip(distance - _DUST_FREE, 0.0, _UNKNOWN_DISTANCE)
    mean = _DUST_PER_PC * beyond
    precision = (_DUST_FREE_ERROR + _DUST_SHARE * mean) ** -2.0
    estimate = _column(table, "EBV_EST")
    known = np.where(np.isfinite(estimate), _ESTIMATE_ERROR**-2.0, 0.0)
    total = precision + known
    joint = (precision * mean + known * np.nan_to_num(estimate)) / total
    return np.clip(joint, 0.0, None), total**-0.5, estimate


def read_johnson(path: PathLike) -> Johnson:
    """
    Read measured colours, with the rules by which stars are used.

    Parameters
    ----------
    path : path-like
        FITS file with STARS and the passbands JOHNSON_U to JOHNSON_I.

    Returns
    -------
    johnson : `Johnson`
    """
    table = Table.read(path, hdu="STARS")
    header = fits.getheader(path, 0)
    colors = np.stack([_column(table, f"{first}_{second}") for first, second in COLORS], axis=1)
    variable = _texts(table, "VARID")
    named = np.array([any(letter.isalpha() for letter in value) for value in variable])
    listed = np.array([value not in ("", "--") for value in variable])
    extra = np.where(named, _VARIABLE_ERROR, np.where(listed, _SUSPECTED_ERROR, 0.0))
    with np.errstate(invalid="ignore"):
        close = (~(_column(table, "DMAG") >= _COMPANION[0])
                 & (_column(table, "SEP") < _COMPANION[1]))
    use = ~close & ~np.isin(_texts(table, "OTYPE"), _LEFT_OUT)
    # R-I of the Kron system is another colour.
    colors[:, 2] = np.where(_texts(table, "R_I_SYS") == "E", np.nan, colors[:, 2])
    distance = _distances(table)
    ebv, ebv_error, estimate = _reddening(table, distance)
    return Johnson(_texts(table, "NAME"), colors, np.hypot(_ERRORS, extra[:, None]), use, ebv,
                   ebv_error, estimate, (float(header.get("UBZERO", 0.0)),
                                         float(header.get("UBSLOPE", 0.0))),
                   distance < _DUST_FREE)


def johnson_weights(path: PathLike) -> BandWeights:
    """
    Weights on the SED grid whose product with F_lambda is the mean flux in each band.

    The red tail of I lies beyond the grid and is left out; the zero point takes up this offset.

    Returns
    -------
    weights : dict of str to `~numpy.ndarray`, shape (575,)
        By the letter of the band.
    """
    grid = sed_grid()
    found: dict[str, np.ndarray] = {}
    with fits.open(path) as hdus:
        for hdu in hdus:
            if hdu.name.startswith("JOHNSON_"):
                passed = np.interp(grid, np.asarray(hdu.data["WAVELENGTH"], float),
                                   np.asarray(hdu.data["THROUGHPUT"], float), left=0.0, right=0.0)
                weight = passed * np.gradient(grid)
                found[hdu.name[-1]] = weight / weight.sum()
    return found


def color_responses(log_sed: np.ndarray, weights: BandWeights) -> tuple[np.ndarray, np.ndarray]:
    """
    Synthetic colours of an SED, and their derivatives with respect to ln(SED).

    Parameters
    ----------
    log_sed : `~numpy.ndarray`, shape (..., 575)
    weights : dict
        From `johnson_weights`.

    Returns
    -------
    colors : `~numpy.ndarray`, shape (..., 3)
        In mag.
    responses : `~numpy.ndarray`, shape (..., 3, 575)
        Derivatives of the colours with respect to ln(SED), in mag.
    """
    flux, colors, responses = np.exp(log_sed), [], []
    for first, second in COLORS:
        light = [flux * weights[band] for band in (first, second)]
        total = [part.sum(axis=-1) for part in light]
        colors.append(-MAG_PER_LN * np.log(total[0] / total[1]))
        share = light[0] / total[0][..., None] - light[1] / total[1][..., None]
        responses.append(-MAG_PER_LN * share)
    return np.stack(colors, axis=-1), np.stack(responses, axis=-2)


def zero_points(colors: np.ndarray, start: tuple[float, float],
                residual: np.ndarray | None = None) -> np.ndarray:
    """
    Synthetic minus catalogue colours of ordinary stars (N, 3).

    The zero point of U-B is measured with STIS SEDs and given in the file.  That of B-V is the
    median over the stars.  That of R-I is linear in B-V, because the missing red tail of I
    depends on the colour.

    Parameters
    ----------
    colors : `~numpy.ndarray`, shape (N, 3)
        Of the catalogue.
    start : tuple of float
        Zero point of U-B and its slope with B-V.
    residual : `~numpy.ndarray`, shape (N, 3), optional
        Synthetic minus catalogue colours, NaN for stars that do not measure the zero points.

    Returns
    -------
    zero : `~numpy.ndarray`, shape (N, 3)
    """
    zero = np.zeros(colors.shape)
    zero[:, 0] = start[0] + start[1] * np.nan_to_num(colors[:, 1])
    if residual is None:
        return zero
    if np.isfinite(residual[:, 1]).any():
        zero[:, 1] = np.nanmedian(residual[:, 1])
    known = np.isfinite(residual[:, 2]) & np.isfinite(colors[:, 1])
    if known.sum() >= _LEAST_STARS:
        line = np.polyfit(colors[known, 1], residual[known, 2], 1)
        left = residual[:, 2] - np.polyval(line, colors[:, 1])
        near = known & (np.abs(left) < _CLIP * np.nanmedian(np.abs(left[known])))
        zero[:, 2] = np.polyval(np.polyfit(colors[near, 1], residual[near, 2], 1),
                                np.nan_to_num(colors[:, 1]))
    elif known.any():
        zero[:, 2] = np.median(residual[known, 2])
    return zero
