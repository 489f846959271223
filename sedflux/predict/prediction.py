"""`SEDPrediction`: what is predicted, with its errors and what to know about it."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.utils.decorators import deprecated_renamed_argument

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.spectra.grids import SED_RESOLVING_POWER, average_matrix, optical_mean
from sedflux.spectra.reddening import extinction_curve
from sedflux.spectra.spectrum import sed_to_spectrum

__all__ = ["SEDPrediction"]


@dataclass(frozen=True)
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
        Common part of the covariance of ln(flux), ``factor.T @ factor``.
    flags : tuple of str, or tuple of those
        Reasons to be careful; empty for an ordinary star.
    model : str
        Name of the model.
    sha256 : str
        Hash of its file.
    diagnostics : dict of str to `~numpy.ndarray`
        Numbers behind the flags (S/N, misfit, estimated labels), each of shape () or
        (N,).
    parts : dict of str to `~numpy.ndarray`
        Rows of the factor whose origin is known, such as ``reddening``, shape of ``flux``.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    diagonal: np.ndarray
    factor: np.ndarray
    flags: tuple
    model: str = ""
    sha256: str = ""
    diagnostics: dict = field(default_factory=dict)
    parts: dict = field(default_factory=dict)

    @property
    def single(self):
        """Whether this is one star, without an axis for stars."""
        return self.flux.ndim == 1

    def __len__(self):
        return 1 if self.single else len(self.flux)

    def __getitem__(self, row):
        """One of the stars."""
        if self.single:
            raise InputError("this prediction is of one star and has no rows")
        return SEDPrediction(
            self.wavelength, self.flux[row], self.diagonal[row], self.factor[row],
            self.flags[row], self.model, self.sha256,
            {name: value[row] for name, value in self.diagnostics.items()},
            {name: value[row] for name, value in self.parts.items()},
        )

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
        return self.flux * np.sqrt(self.diagonal + (self.factor**2).sum(axis=-2))

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
        return np.stack([self[row].sample(size, rng) for row in range(len(self))])

    @deprecated_renamed_argument(("ebv", "ebv_error"), ("reddening", "reddening_error"),
                                 ("0.1", "0.1"), pending=(True, True))
    def reddened(self, reddening, *, reddening_error=0.0, law="G23", r_v=3.1):
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
        """
        curve = extinction_curve(self.wavelength, law=law, r_v=r_v)
        if self.single:
            return self._reddened(curve, reddening, reddening_error)
        try:
            ebv, ebv_error = (np.broadcast_to(np.asarray(value, dtype=float), len(self))
                              for value in (reddening, reddening_error))
        except ValueError as error:
            raise InputError(
                f"reddening and reddening_error have the shapes {np.shape(reddening)} and "
                f"{np.shape(reddening_error)}; one number or {len(self)} are needed") from error
        return _stack([self[row]._reddened(curve, ebv[row], ebv_error[row])
                       for row in range(len(self))])

    def _reddened(self, curve, ebv, ebv_error):
        """One star behind dust with a given extinction curve."""
        if not (np.isfinite(ebv) and np.isfinite(ebv_error) and ebv >= 0 and ebv_error >= 0):
            raise InputError(f"reddening E(B-V) = {ebv!r} +- {ebv_error!r} must be finite and not "
                             "negative")
        mean = optical_mean(self.wavelength)
        flux = self.flux * np.exp(ebv * curve)
        flux = flux / (mean @ flux)
        # Only the change relative to the optical mean moves a relative SED.
        direction = ebv_error * (curve - mean @ (flux * curve))
        covariance = self.relative_covariance.with_direction(direction)
        parts = self.parts | {"reddening": direction}
        return SEDPrediction(self.wavelength, flux, covariance.diagonal, covariance.factor,
                             self.flags, self.model, self.sha256, self.diagnostics, parts)

    def to_spectrum(self, kind=None, *, wavelengths=None, header=None):
        """
        As a spectrum, with `StdDevUncertainty` and the covariance in its meta.

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
        if kind is None:
            from specutils import Spectrum as kind
        flux, covariance, axis = self.flux, self.covariance, self.wavelength * u.AA
        if wavelengths is not None:
            flux, covariance, axis = self._averaged(wavelengths)
        sigma = covariance.sigma if self.single else np.stack([c.sigma for c in covariance])
        meta = {"model": self.model, "sha256": self.sha256, "flags": self.flags,
                "covariance": covariance, "diagnostics": self.diagnostics}
        if wavelengths is None:
            meta |= {"resolving_power": SED_RESOLVING_POWER, "parts": dict(self.parts)}
        cards = {"SEDMODEL": (self.model, "sedflux model"),
                 "SEDHASH": (self.sha256[:16], "SHA-256 of the model, first digits"),
                 "SEDNORM": ("mean 4000-7000 A", "flux is relative to this")}
        if self.single:
            cards["SEDFLAGS"] = ("; ".join(self.flags)[:60] or "none", "reasons to be careful")
        return sed_to_spectrum(kind, axis, flux, sigma, meta=meta, header=cards | (header or {}))

    def _averaged(self, wavelengths):
        """Flux and covariance averaged over the user's pixels, in the user's order."""
        centre = _output_wavelengths(wavelengths, self.wavelength)
        order = np.argsort(centre)
        inverse = np.argsort(order)
        matrix = average_matrix(self.wavelength, centre[order])[inverse]
        flux = (matrix @ np.atleast_2d(self.flux).T).T
        if self.single:
            return flux[0], self.covariance.propagate(matrix), wavelengths
        return flux, tuple(c.propagate(matrix) for c in self.covariance), wavelengths


def _output_wavelengths(wavelengths, grid):
    """Check the wavelengths that a user asks for; plain Angstrom."""
    if not isinstance(wavelengths, u.Quantity) or wavelengths.unit.physical_type != "length":
        raise InputError(
            f"wavelengths is {type(wavelengths).__name__} "
            f"{getattr(wavelengths, 'unit', 'without unit')!s}; "
            "give a Quantity of wavelengths, such as numpy.arange(3000, 9000) * u.AA"
        )
    centre = np.atleast_1d(wavelengths.to_value(u.AA))
    if centre.ndim != 1 or centre.size < 2 or np.unique(centre).size != centre.size:
        raise InputError("wavelengths must be two or more different pixel centres in one dimension")
    if not np.isfinite(centre).all() or centre.min() < grid[0] or centre.max() > grid[-1]:
        raise InputError(
            f"wavelengths reach from {centre.min():.1f} to {centre.max():.1f} Angstrom; "
            f"the SED covers {grid[0]:.0f} to {grid[-1]:.0f} and is not extrapolated"
        )
    return centre


def _stack(parts):
    """Predictions of single stars as one of many."""
    first = parts[0]
    return SEDPrediction(
        first.wavelength, np.stack([p.flux for p in parts]),
        np.stack([p.diagonal for p in parts]), np.stack([p.factor for p in parts]),
        tuple(p.flags for p in parts), first.model, first.sha256,
        {name: np.stack([p.diagnostics[name] for p in parts]) for name in first.diagnostics},
        {name: np.stack([p.parts[name] for p in parts]) for name in first.parts},
    )
