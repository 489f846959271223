"""`SEDPrediction`: what is predicted, with its errors and what to know about it."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from astropy import units as u
from astropy.utils.decorators import deprecated_renamed_argument

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.io.registry import register_readers
from sedflux.predict.checks import check_reddening
from sedflux.predict.factor import FactorField, FactorRows, factor_of
from sedflux.predict.flags import flag_names
from sedflux.spectra.grids import SED_RESOLVING_POWER, average_matrix, optical_mean
from sedflux.spectra.library_error import LIBRARY_CARD, library_error_text
from sedflux.spectra.reddening import LAW, R_V, extinction_curve
from sedflux.spectra.relative_errors import ErrorsOfStars, OfStars, RelativeErrors
from sedflux.spectra.spectrum import sed_to_spectrum

__all__ = ["SEDPrediction", "reddening_direction"]

#: Most pixels of an SED on the user's wavelengths: each takes a row of the covariance.
_MOST_PIXELS = 100_000
#: Numbers of each star, or of all of them.
_OF_STARS = ("radial_velocity", "reddening", "reddening_error")


@dataclass(frozen=True, eq=False, repr=False)
class SEDPrediction:
    """
    Predicted SEDs of N stars, or of one.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum wavelength in Angstrom.
    flux : `~numpy.ndarray`, shape (n,) or (N, n)
        F_lambda relative to its mean over 4000-7000 Angstrom.
    diagonal : `~numpy.ndarray`, shape (n,) or (N, n)
        Independent part of the variance of ln(flux).
    factor : `~numpy.ndarray`, shape (r, n) or (N, r, n)
        Common part of the covariance of ln(flux), ``factor.T @ factor``; large, so made if asked.
    flags : tuple of str, or tuple of those
        Reasons to be careful; empty for an ordinary star.
    model : str, or `~numpy.ndarray` of str, shape (N,)
        Name of the model; of each star if they have different ones.
    sha256 : str, or `~numpy.ndarray` of str, shape (N,)
        Hash of its file.
    diagnostics : dict of str to `~numpy.ndarray`
        Numbers behind the flags (S/N, misfit, estimated labels), each of shape () or (N,); and
        ``rejected_pixels`` of the input grid that were left out as outliers, (2430,) or (N, 2430).
    parts : dict of str to `~numpy.ndarray`
        Rows of the factor whose origin is known, such as ``reddening``, shape of ``flux``.
    flag_bits : int, or `~numpy.ndarray` of int, shape (N,)
        The flags as bit masks, see `sedflux.predict.flags`.
    radial_velocity : float, or `~numpy.ndarray`, shape (N,)
        Velocity in km/s that was taken out.
    reddening, reddening_error : float, or `~numpy.ndarray`, shape (N,)
        E(B-V) of the dust that is put on the SED and its error, in mag; zero for an intrinsic SED.
    law, r_v : str, float
        Extinction law of that dust, and its R_V.
    library_error : dict of str to tuple of pairs
        Wavelength (Angstrom) and relative error that all SEDs of a model share, by the name of the
        model; models that do not say it have none.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    diagonal: np.ndarray
    factor: np.ndarray
    flags: tuple[Any, ...]
    model: str | np.ndarray = ""
    sha256: str | np.ndarray = ""
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    flag_bits: int | np.ndarray = 0
    radial_velocity: float | np.ndarray = 0.0
    reddening: float | np.ndarray = 0.0
    reddening_error: float | np.ndarray = 0.0
    law: str = LAW
    r_v: float = R_V
    library_error: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)

    @property
    def single(self):
        """Whether this is one star, without an axis for stars."""
        return self.flux.ndim == 1

    def __len__(self):
        return 1 if self.single else len(self.flux)

    def __iter__(self):
        return iter((self,)) if self.single else (self[row] for row in range(len(self)))

    def __repr__(self):
        about = f"flags {', '.join(self._flag_names()) or 'none'}" if self.single else (
            f"{np.count_nonzero(self.flag_bits)} with flags")
        return (f"<SEDPrediction of {len(self)} star{'' if len(self) == 1 else 's'} at "
                f"{self.wavelength.size} wavelengths by {self._one_model()}: {about}>")

    def __getitem__(self, row):
        """One of the stars."""
        if self.single:
            raise InputError("this prediction is of one star and has no rows")
        try:
            row = operator.index(row)
            self.flux[row]
        except (TypeError, IndexError) as error:
            raise InputError(f"row is {row!r}; give the number of one of {len(self)} stars, or "
                             "several to take()") from error
        return replace(
            self, flux=self.flux[row], diagonal=self.diagonal[row], factor=factor_of(self)[row],
            flags=self.flags[row],
            diagnostics={name: value[row] for name, value in self.diagnostics.items()},
            parts={name: value[row] for name, value in self.parts.items()},
            flag_bits=int(np.broadcast_to(self.flag_bits, len(self))[row]),
            **{name: str(np.broadcast_to(getattr(self, name), len(self))[row])
               for name in ("model", "sha256")},
            **{name: float(np.broadcast_to(getattr(self, name), len(self))[row])
               for name in _OF_STARS})

    def take(self, rows):
        """
        Some of the stars.

        Parameters
        ----------
        rows : array_like of int

        Returns
        -------
        prediction : `SEDPrediction`
            With a first axis for stars.
        """
        if self.single:
            raise InputError("this prediction is of one star and has no rows")
        asked = rows
        try:
            rows = np.arange(len(self))[np.asarray(rows)]
            if rows.ndim != 1:
                raise IndexError(f"they have {rows.ndim} dimensions")
        except (IndexError, TypeError, ValueError) as error:
            raise InputError(f"rows of a prediction of {len(self)} stars cannot be "
                             f"{str(asked)[:60]!r} ({error}); give a list of numbers") from error
        return replace(
            self, flux=self.flux[rows], diagonal=self.diagonal[rows], factor=factor_of(self)[rows],
            flags=tuple(self.flags[row] for row in rows),
            diagnostics={name: value[rows] for name, value in self.diagnostics.items()},
            parts={name: value[rows] for name, value in self.parts.items()},
            flag_bits=np.broadcast_to(self.flag_bits, len(self))[rows],
            **{name: value if isinstance(value, str) else value[rows]
               for name, value in (("model", self.model), ("sha256", self.sha256))},
            **{name: np.broadcast_to(getattr(self, name), len(self))[rows] for name in _OF_STARS})

    @property
    def relative_covariance(self):
        """Covariance of ln(flux): a `LowRankCovariance`, or a tuple of N."""
        if self.single:
            return LowRankCovariance(self.diagonal, self.factor)
        return tuple(LowRankCovariance(d, f)
                     for d, f in zip(self.diagonal, self.factor, strict=True))

    @cached_property
    def covariance(self):
        """Covariance of the flux: a `LowRankCovariance`, or a tuple of N."""
        if self.single:
            return self.relative_covariance.scaled(self.flux)
        return tuple(LowRankCovariance(d * f**2, rows * f) for d, rows, f in
                     zip(self.diagonal, self.factor, self.flux, strict=True))

    @property
    def sigma(self):
        """Standard deviation of the flux, shape of ``flux``."""
        rows = factor_of(self)
        common = rows.variance() if isinstance(rows, FactorRows) else (rows**2).sum(axis=-2)
        return self.flux * np.sqrt(self.diagonal + common)

    def sample(self, size, rng):
        """
        Draw SEDs, log-normal about the prediction.

        Parameters
        ----------
        size : int
        rng : `numpy.random.Generator`

        Returns
        -------
        flux : `~numpy.ndarray`, shape (size, n) or (N, size, n)
        """
        if self.single:
            return self.flux * np.exp(self.relative_covariance.sample(size, rng))
        return np.stack([one.sample(size, rng) for one in self])

    @deprecated_renamed_argument(("ebv", "ebv_error"), ("reddening", "reddening_error"),
                                 ("0.1", "0.1"), pending=(True, True))
    def reddened(self, reddening, *, reddening_error=0.0, law=LAW, r_v=R_V):
        """
        The same stars behind dust, again relative to the mean over 4000-7000 A.

        Parameters
        ----------
        reddening, reddening_error : float or array_like, shape (N,)
            E(B-V) and its error in magnitudes, of all stars or of each.
        law, r_v : optional
            See `sedflux.spectra.reddening.extinction_curve`.

        Returns
        -------
        prediction : `SEDPrediction`
            With one more row in the factor, which ``parts["reddening"]`` holds too.

        Raises
        ------
        sedflux.exceptions.InputError
            If E(B-V) cannot be used, or the stars are behind dust already.
        """
        if np.any(self.reddening) or np.any(self.reddening_error):
            raise InputError("reddening is on this prediction already, with E(B-V) up to "
                             f"{np.max(self.reddening):g} mag; redden the one without dust")
        curve = extinction_curve(self.wavelength, law=law, r_v=r_v)
        ebv, ebv_error = (np.asarray(value)[..., None] for value in check_reddening(
            (reddening, reddening_error), None if self.single else len(self)))
        mean = optical_mean(self.wavelength)
        flux = self.flux * np.exp(ebv * curve)
        flux = flux / (mean @ flux.T).T
        factor = self.factor
        direction = reddening_direction(self.wavelength, flux, ebv_error[..., 0], law=law, r_v=r_v)
        direction = direction.astype(factor.dtype)
        if ebv_error.any():
            factor = np.concatenate([factor, direction[..., None, :]], axis=-2)
        shape = () if self.single else (len(self),)
        return replace(self, flux=flux, factor=factor,
                       parts=dict(self.parts) | {"reddening": direction},
                       reddening=np.broadcast_to(ebv[..., 0], shape)[()],
                       reddening_error=np.broadcast_to(ebv_error[..., 0], shape)[()],
                       law=law, r_v=r_v)

    def to_spectrum(self, kind=None, *, wavelengths=None, header=None):
        """
        As a spectrum, with `~astropy.nddata.StdDevUncertainty` and the covariance in its meta.

        Parameters
        ----------
        kind : type, optional
            `specutils.Spectrum` (default) or a subclass.
        wavelengths : `~astropy.units.Quantity`, optional
            Pixel centres to average the SED over; its own grid by default.
        header : dict, optional
            More cards for ``meta["header"]``.

        Returns
        -------
        spectrum : `~specutils.Spectrum`
        """
        from specutils import Spectrum

        kind = Spectrum if kind is None else kind
        if not isinstance(kind, type) or not issubclass(kind, Spectrum):
            raise InputError(f"kind is {str(kind)[:60]!r}; give specutils.Spectrum or a subclass")
        if not isinstance(header, (Mapping, type(None))):
            raise InputError(f"header is {str(header)[:60]!r}; give a dictionary of cards")
        flux, errors, axis = self.flux, self._errors(), self.wavelength * u.AA
        if wavelengths is not None:
            flux, errors, axis = self._averaged(wavelengths)
        # ``spectrum.write`` then writes the covariance, too.
        register_readers()
        rows = zip(np.atleast_2d(flux), errors, strict=True)
        sigma = np.stack([one.covariance.scaled(row).sigma for row, one in rows])
        if self.single:
            errors, sigma = errors[0], sigma[0]
        meta = {"model": self.model, "sha256": self.sha256, "flags": self.flags,
                "flag_bits": self.flag_bits, "flag_names": self._flag_names(), "errors": errors,
                # Pixels are those of the input: the SED, and files of it, have their number alone.
                "diagnostics": {name: value for name, value in self.diagnostics.items()
                                if name != "rejected_pixels"}}
        if wavelengths is None:
            meta |= {"resolving_power": SED_RESOLVING_POWER}
        cards = self._cards() | (header or {})
        if self.single:
            cards = self._star_cards() | cards
        else:
            # A row of the spectrum takes its own.
            meta |= {"cards": OfStars(one._star_cards() for one in self),
                     "flags": OfStars(self.flags), "flag_names": OfStars(self._flag_names())}
        return sed_to_spectrum(kind, axis, flux, sigma, meta=meta, header=cards)

    def _cards(self):
        """Cards for FITS headers of all stars: model, scale and frame."""
        # Stars of different models have a card of their own.
        model = {"SEDMODEL": (self.model, "sedflux model"), "SEDHASH": self.sha256}
        return (model if isinstance(self.model, str) else {}) | {
                "SEDNORM": ("mean 4000-7000 A", "the flux is relative to this"),
                "SPECSYS": ("SOURCE", "wavelengths in the rest frame of the star")}

    def _star_cards(self):
        """Cards for the FITS header of a single star: flags, dust, what was used."""
        cards = {"SEDFBITS": (int(self.flag_bits), "flags as a bit mask; 0 is none"),
                 "SEDFLAGS": ", ".join(self._flag_names()) or "none",
                 "SEDMODEL": (self.model, "sedflux model"), "SEDHASH": self.sha256,
                 "SEDRV": (float(self.radial_velocity), "[km/s] velocity taken out")}
        if shared := self.library_error.get(self.model):
            cards[LIBRARY_CARD] = library_error_text(shared)
        if "resolving_power" in self.diagnostics:
            cards["SEDRPOW"] = (float(self.diagnostics["resolving_power"]),
                                "resolving power of the input, as used")
        if "reddening" in self.parts or self.reddening or self.reddening_error:
            cards |= {"SEDEBV": (float(self.reddening), "[mag] E(B-V) put on the SED"),
                      "SEDEBVER": (float(self.reddening_error), "[mag] its error"),
                      "SEDLAW": (self.law, "extinction law"),
                      "SEDRVEXT": (float(self.r_v), "R_V of the law")}
        return cards

    def _one_model(self):
        """The models of all stars, in one text."""
        return self.model if isinstance(self.model, str) else ", ".join(np.unique(self.model))

    def _flag_names(self):
        """Names of the flags of each star."""
        if self.single:
            return flag_names(self.flag_bits)
        return tuple(flag_names(bits) for bits in self.flag_bits)

    def _errors(self):
        """Relative errors of each star."""
        if self.single:
            return (RelativeErrors(self.wavelength, self.relative_covariance, self.parts),)
        return ErrorsOfStars(self.wavelength, self.diagonal, self.factor, self.parts)

    def _averaged(self, wavelengths):
        """Flux and relative errors averaged over the user's pixels, in the user's order."""
        centre = _output_wavelengths(wavelengths, self.wavelength)
        order = np.argsort(centre)
        inverse = np.argsort(order)
        matrix = average_matrix(self.wavelength, centre[order])[inverse]
        flux = (matrix @ np.atleast_2d(self.flux).T).T
        # Relative errors are averaged with the flux as weight.
        errors = OfStars(
            RelativeErrors(centre, one.covariance.propagate(matrix).scaled(1.0 / row),
                           {name: matrix @ (part * one.flux) / row
                            for name, part in one.parts.items()})
            for one, row in zip(self, flux, strict=True))
        return flux[0] if self.single else flux, errors, wavelengths


# What makes the factor may stand for it until it is asked for.
SEDPrediction.factor = FactorField()  # type: ignore[assignment]


def reddening_direction(wavelength, flux, reddening_error, *, law=LAW, r_v=R_V):
    """
    What errors of E(B-V) do to ln(flux) of relative SEDs.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        In Angstrom.
    flux : `~numpy.ndarray`, shape (n,) or (N, n)
        Relative to its mean over 4000-7000 Angstrom.
    reddening_error : float or `~numpy.ndarray`, shape (N,)
    law, r_v : optional
        See `sedflux.spectra.reddening.extinction_curve`.

    Returns
    -------
    direction : `~numpy.ndarray`, like ``flux``
    """
    curve = extinction_curve(wavelength, law=law, r_v=r_v)
    # Only the change relative to the optical mean moves a relative SED.
    change = curve - (optical_mean(wavelength) @ (flux * curve).T).T
    return np.asarray(reddening_error)[..., None] * change


def _output_wavelengths(wavelengths, grid):
    """Check the wavelengths that a user asks for; plain Angstrom."""
    if not isinstance(wavelengths, u.Quantity) or wavelengths.unit.physical_type != "length":
        raise InputError(
            f"wavelengths is {type(wavelengths).__name__} "
            f"{getattr(wavelengths, 'unit', 'without unit')!s}; "
            "give a Quantity of wavelengths, such as numpy.arange(3000, 9000) * u.AA"
        )
    centre = np.atleast_1d(wavelengths.to_value(u.AA))
    if centre.size > _MOST_PIXELS:
        raise InputError(f"wavelengths holds {centre.size} pixel centres; at the most "
                         f"{_MOST_PIXELS} are allowed")
    if centre.ndim != 1 or centre.size < 2 or np.unique(centre).size != centre.size:
        raise InputError("wavelengths must be two or more different pixel centres in one dimension")
    if not np.isfinite(centre).all() or centre.min() < grid[0] or centre.max() > grid[-1]:
        raise InputError(
            f"wavelengths reach from {centre.min():.1f} to {centre.max():.1f} Angstrom; "
            f"the SED covers {grid[0]:.0f} to {grid[-1]:.0f} and is not extrapolated"
        )
    return centre
