"""`condition`: SEDs from lines, updated by magnitudes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
from astropy import units as u

from sedflux.conditioning.bands import BandRows, find_bands
from sedflux.conditioning.dust import Dust, dust_prior
from sedflux.conditioning.magnitudes import Magnitudes, as_magnitudes, zero_point_errors
from sedflux.conditioning.posterior import Posterior, update
from sedflux.conditioning.result import DUST_CARDS, ConditionedSEDs
from sedflux.conditioning.update import Stars
from sedflux.exceptions import InputError
from sedflux.predict.prediction import SEDPrediction
from sedflux.spectra.library_error import library_error_of
from sedflux.spectra.reddening import LAW, R_V
from sedflux.spectra.relative_errors import zero_point_name
from sedflux.spectra.sed import SEDArrays, from_sed
from sedflux.spectra.spectrum import header_cards, header_value
from sedflux.units import whole_number

__all__ = ["condition", "condition_stars", "conditioned_spectrum", "star_arrays"]

#: Stars that are worked on at a time: few enough for the caches, enough for two threads.
_CHUNK = 64
#: Arrays of a posterior that make its covariance.
_COVARIANCE = ("factor", "removed")


def condition(sed: Any, photometry: Any, bandpasses: Any, *, reddening: Any = None,
              r_v: float = R_V, r_v_error: float = 0.0, law: str = LAW,
              zero_point_error: Any = None, system: str = "AB", vega: Any = None,
              area: u.Quantity | None = None, intrinsic: bool = False, workers: int = 1) -> Any:
    """
    Condition SEDs that lines predict on magnitudes: scale, dust and SED at once.

    Parameters
    ----------
    sed : `~specutils.Spectrum` or `~sedflux.SEDPrediction`
        One SED with its covariance, such as from `sedflux.predict_sed` without reddening; or
        predictions of N stars.  The scale of a relative SED is free, that of an absolute one is
        known by its covariance.
    photometry : mapping or `~astropy.table.Table`
        Band to a pair of magnitude and error, for N stars each an array (N,); or a table with
        columns such as ``g`` and ``g_error`` and one row a star.  Missing values are masked,
        None, or NaN in both.
    bandpasses : mapping
        Band to `synphot.SpectralElement`, `~sedflux.slitless.throughput.Throughput` or the path of
        a throughput (see `sedflux.read_throughput`).
    reddening : float, tuple, `~sedflux.ReddeningAtDistance` or None, optional
        What is known of E(B-V) before: a value, which is then taken as exact; a value and its
        error (a Gaussian that is cut at zero); the dust along the line of sight, and the star's
        distance; None if every E(B-V) >= 0 is as likely.  For N stars also arrays (N,).
    r_v, r_v_error, law : optional
        Extinction law, see `sedflux.spectra.reddening.extinction_curve`, and the error of R_V.
    zero_point_error : float or mapping of band to float, optional
        Errors in mag that all stars share.
    system : {'AB', 'ST', 'Vega'}, optional
        Of magnitudes whose unit does not say it (``u.ABmag``, ``u.STmag``, ``u.ct / u.s`` do).
    vega : `~specutils.Spectrum`, optional
        Flux of Vega, for Vega magnitudes.
    area : `~astropy.units.Quantity`, optional
        Collecting area, for count rates.
    intrinsic : bool, optional
        Give the SED without dust; by default it is the star as it is seen.
    workers : int, optional
        Threads, for many stars.

    Returns
    -------
    sed : type of ``sed``, or `~sedflux.ConditionedSEDs`
        In erg/s/cm2/Angstrom.  Of a spectrum, ``meta["sedflux"]["photometry"]`` is the
        `~sedflux.ConditionedSEDs`: E(B-V), chi2 and its p-value, and the pulls of the bands.

    Raises
    ------
    sedflux.exceptions.InputError
        If a magnitude, a band, the dust or the SED cannot be used; the message says what to do.

    Examples
    --------
    >>> from synphot import SpectralElement
    >>> from synphot.models import Box1D
    >>> from sedflux import condition, predict_sed
    >>> from sedflux.demo import demo_spectrum
    >>> bands = {"blue": SpectralElement(Box1D, x_0=4500, width=900),
    ...          "red": SpectralElement(Box1D, x_0=6500, width=900)}
    >>> sed = condition(predict_sed(demo_spectrum()), {"blue": (6.6, 0.02), "red": (6.0, 0.02)},
    ...                 bands, reddening=(0.02, 0.02))
    >>> result = sed.meta["sedflux"]["photometry"]
    >>> bool(result.reddening > 0), sed.flux.unit.to_string()
    (True, 'erg / (Angstrom s cm2)')
    """
    many = isinstance(sed, SEDPrediction)
    if not isinstance(intrinsic, (bool, np.bool_)):
        raise InputError(f"intrinsic is {intrinsic!r}; True or False is needed")
    wavelength, relative, count = _facts(sed)
    magnitudes = as_magnitudes(photometry, system=system, stars=count)
    bands = find_bands(wavelength, magnitudes.bands, magnitudes.systems, bandpasses, area=area,
                       vega=vega)
    dust = dust_prior(wavelength, count if many and not sed.single else None,
                      reddening=reddening, law=law, r_v=r_v, r_v_error=r_v_error)
    _check_information(magnitudes, dust, relative)
    _check_no_dust(sed, dust)
    result = replace(
        condition_stars(sed, magnitudes, bands, dust, intrinsic=bool(intrinsic),
                        zero=zero_point_errors(zero_point_error, bands.names),
                        workers=whole_number(workers, "workers", least=1),
                        # Many stars take the memory that their predictions take.
                        precision=np.result_type(sed.factor, np.float32) if many else float),
        intrinsic=bool(intrinsic), law=law, r_v=float(r_v))
    if many:
        return result[0] if sed.single else result
    return conditioned_spectrum(sed, result[0])


def condition_stars(sed: Any, magnitudes: Magnitudes, bands: BandRows, dust: Dust, *,
                    zero: np.ndarray | None = None, intrinsic: bool = False, workers: int = 1,
                    precision: Any = np.float64) -> ConditionedSEDs:
    """
    Condition SEDs on magnitudes: the part of `condition` after its checks.

    Parameters
    ----------
    sed : `~specutils.Spectrum` or `~sedflux.SEDPrediction`
    magnitudes : `~sedflux.conditioning.magnitudes.Magnitudes`
    bands : `~sedflux.conditioning.bands.BandRows`
    dust : `~sedflux.conditioning.dust.Dust`
    zero : `~numpy.ndarray`, shape (b,), optional
        Errors of zero points in mag; none by default.
    intrinsic, workers : optional
        See `condition`.
    precision : `~numpy.dtype`, optional
        Of the factor of the covariance and what is removed from it.

    Returns
    -------
    seds : `~sedflux.ConditionedSEDs`
        With an axis for stars.
    """
    zero = np.zeros(len(bands)) if zero is None else zero
    stars = star_arrays(sed, magnitudes, zero)
    found = _in_chunks(stars, bands, dust, zero, intrinsic, workers, precision)
    model, library_error = _model_of(sed)
    result = _result(_facts(sed)[0], stars, bands, found, zero, getattr(sed, "flag_bits", 0))
    left = dict(zip(_parts(sed), np.swapaxes(found.parts, 0, 1), strict=True))
    return replace(result, parts=left | dict(result.parts), model=model,
                   library_error=library_error)


def _parts(sed):
    """Errors of one SED or of N whose origin is known and that are not zero: by name, (N, n)."""
    parts = sed.parts if isinstance(sed, SEDPrediction) else from_sed(sed).parts
    return {name: np.atleast_2d(part) for name, part in parts.items() if np.any(part)}


def _model_of(sed):
    """Name of the model of an SED, or of each of many, and the errors that its SEDs share."""
    if isinstance(sed, SEDPrediction):
        return sed.model, sed.library_error
    model = str(header_value(sed, "SEDMODEL") or "")
    shared = library_error_of(sed)
    return model, {} if shared is None else {model: shared}


def _facts(sed) -> tuple[np.ndarray, bool, int]:
    """Wavelengths, whether the flux is relative, and the number of stars."""
    if isinstance(sed, SEDPrediction):
        return sed.wavelength, True, len(sed)
    arrays = from_sed(sed)
    return arrays.wavelength, not arrays.absolute, 1


def _check_information(magnitudes: Magnitudes, dust: Dust, relative: bool) -> None:
    least = 1 + (dust.flat and relative)
    few = np.isfinite(magnitudes.value).sum(axis=1) < least
    if few.any():
        raise InputError(f"photometry has one magnitude of the star of row {np.argmax(few)}, which "
                         "cannot tell scale from dust; give reddening, as a value or a value and "
                         "its error, or another band")


def _check_no_dust(sed: Any, dust: Dust) -> None:
    """Refuse to redden SEDs that are reddened already."""
    if dust.fixed and not dust.mean.any():
        return
    parts = sed.parts if isinstance(sed, SEDPrediction) else from_sed(sed).parts
    cards = {} if isinstance(sed, SEDPrediction) else header_cards(sed)
    if "reddening" in parts or cards.get("SEDEBV", (0.0, ""))[0]:
        raise InputError("sed is already behind dust, and would be reddened twice; predict it "
                         "without reddening, or give reddening=0")


def star_arrays(sed: Any, magnitudes: Magnitudes, zero: np.ndarray) -> Stars:
    """
    Arrays of stars with their magnitudes.

    Parameters
    ----------
    sed : `~specutils.Spectrum` or `~sedflux.SEDPrediction`
    magnitudes : `~sedflux.conditioning.magnitudes.Magnitudes`
    zero : `~numpy.ndarray`, shape (b,)
        Errors of zero points.
    """
    if isinstance(sed, SEDPrediction):
        axis = (lambda array: array[None]) if sed.single else (lambda array: array)
        flux, diagonal, factor = axis(sed.flux), axis(sed.diagonal), axis(sed.factor)
        relative = True
    else:
        arrays: SEDArrays = from_sed(sed)
        covariance = arrays.relative_covariance.rounded_up()
        flux, diagonal, factor = (arrays.flux[None], covariance.diagonal[None],
                                  covariance.factor[None])
        relative = not arrays.absolute
    known, parts = np.isfinite(magnitudes.value), list(_parts(sed).values())
    return Stars(np.log(np.asarray(flux, dtype=float)), diagonal, factor, relative,
                 np.where(known, magnitudes.value, 0.0),
                 np.where(known, magnitudes.error, 1.0) ** 2 + zero**2, known,
                 np.stack(parts, axis=1) if parts else np.zeros((len(flux), 0, flux.shape[-1])))


def _in_chunks(stars: Stars, bands: BandRows, dust: Dust, zero: np.ndarray, intrinsic: bool,
               workers: int, precision: Any) -> Posterior:
    """The posterior of all stars, in chunks on threads; gains of bands with errors ``zero``."""
    count, asked = len(stars.log_flux), np.flatnonzero(zero)
    chunks = [slice(begin, begin + _CHUNK) for begin in range(0, count, _CHUNK)]
    kinds = dict.fromkeys(_COVARIANCE, precision)

    def work(rows: slice) -> Posterior:
        return update(stars.take(rows), bands, dust.take(rows), intrinsic=intrinsic, asked=asked)

    first = work(chunks[0])
    whole = {name: np.zeros((count, *part.shape[1:]), kinds.get(name, part.dtype))
             for name, part in vars(first).items()}
    lock = Lock()

    def keep(rows: slice, found: Posterior) -> None:
        with lock:
            for name, part in vars(found).items():
                if name in _COVARIANCE:
                    # Some stars need more rows than others.
                    more = max(part.shape[1] - whole[name].shape[1], 0)
                    whole[name] = np.pad(whole[name], ((0, 0), (0, more), (0, 0))) if more \
                        else whole[name]
                    whole[name][rows, :part.shape[1]] = part
                else:
                    whole[name][rows] = part

    keep(chunks[0], first)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda rows: keep(rows, work(rows)), chunks[1:]))
    return Posterior(**whole)


def _result(wavelength, stars, bands, found, zero, flag_bits) -> ConditionedSEDs:
    parts = {"reddening": found.with_ebv} if found.with_ebv.any() else {}
    parts |= {zero_point_name(bands.names[band]): zero[band] * found.gains[:, place]
              for place, band in enumerate(np.flatnonzero(zero))}
    return ConditionedSEDs(
        wavelength, np.exp(found.log_flux), stars.diagonal, found.factor, bands.names, found.ebv,
        found.ebv_error, found.interval, found.chi2, found.p_value, found.dof, found.pulls, parts,
        np.array(np.broadcast_to(flag_bits, len(stars.log_flux))), removed=found.removed)


def conditioned_spectrum(sed: Any, result: ConditionedSEDs) -> Any:
    """
    One star as a spectrum, with the notes of the SED before the update.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
    result : `~sedflux.ConditionedSEDs`

    Returns
    -------
    sed : type of ``sed``
    """
    notes, cards = dict((sed.meta or {}).get("sedflux", {})), header_cards(sed)
    found = result.to_spectrum(type(sed), meta=notes, header=cards)
    if not result.reddening and not result.intrinsic:
        # An SED that was behind dust before stays so.
        found.meta["header"].update({name: cards[name] for name in DUST_CARDS if name in cards})
    return found
