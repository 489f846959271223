"""`ConditionedSEDs`: SEDs on an absolute scale, with E(B-V) and tests of the magnitudes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.spectra.library_error import LIBRARY_CARD, library_error_text
from sedflux.spectra.reddening import LAW, R_V
from sedflux.spectra.sed import RelativeErrors
from sedflux.spectra.spectrum import sed_to_spectrum
from sedflux.units import FLAM

__all__ = ["DUST_CARDS", "ConditionedSEDs"]

#: Cards that say what dust an SED is behind.
DUST_CARDS = ("SEDEBV", "SEDEBVER", "SEDLAW", "SEDRVEXT")


@dataclass(frozen=True, eq=False, repr=False)
class ConditionedSEDs:
    """
    SEDs of N stars, or of one, given their lines and their magnitudes.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Vacuum wavelength in Angstrom.
    flux : `~numpy.ndarray`, shape (n,) or (N, n)
        F_lambda in erg/s/cm2/Angstrom: exp of the posterior mean of ln(flux).
    diagonal : `~numpy.ndarray`, shape (n,) or (N, n)
        Independent part of the variance of ln(flux).
    factor : `~numpy.ndarray`, shape (r, n) or (N, r, n)
        Common part of the covariance of ln(flux), the scale included; in the precision of the
        prediction.
    bands : tuple of str, length b
    reddening, reddening_error : float, or `~numpy.ndarray`, shape (N,)
        Posterior mean and standard deviation of E(B-V), in mag.
    reddening_interval : `~numpy.ndarray`, shape (2,) or (N, 2)
        16th and 84th percentile of E(B-V).
    chi2, p_value : float, or `~numpy.ndarray`, shape (N,)
        Of the magnitudes, given the lines; NaN without degrees of freedom.
    dof : int, or `~numpy.ndarray`, shape (N,)
        Degrees of freedom.
    pulls : `~numpy.ndarray`, shape (b,) or (N, b)
        Of each magnitude against lines and the other magnitudes: measured minus predicted, over
        the error of that.
    parts : dict of str to `~numpy.ndarray`, shape of ``flux``
        ``reddening``: covariance of ln(flux) with E(B-V), over the standard deviation of E(B-V).
        ``zero point NAME``: change of ln(flux) with one standard deviation of the zero point of
        a band; all stars share it.  Those of the SED before, such as ``models`` and
        ``convection`` of white dwarfs: what the magnitudes leave of them.
    flag_bits : int, or `~numpy.ndarray` of int, shape (N,)
        Of the predictions.
    intrinsic : bool
        Whether the flux is that without dust.
    law, r_v
        Extinction law, see `sedflux.spectra.reddening.extinction_curve`.
    removed : `~numpy.ndarray`, shape (s, n) or (N, s, n)
        Directions that magnitudes remove from the covariance, as in `~sedflux.LowRankCovariance`.
    model : str, or `~numpy.ndarray` of str, shape (N,)
        Name of the model that predicted the SEDs; empty where it is not known.
    library_error : dict of str to tuple of pairs
        Wavelength (Angstrom) and relative error that all SEDs of a model share, by the name of the
        model; models that do not say it have none.

    Examples
    --------
    >>> from synphot import SpectralElement
    >>> from synphot.models import Box1D
    >>> from sedflux import Predictor, condition
    >>> from sedflux.demo import demo_spectrum
    >>> bands = {"blue": SpectralElement(Box1D, x_0=4500, width=900),
    ...          "red": SpectralElement(Box1D, x_0=6500, width=900)}
    >>> prediction = Predictor().predict_spectrum(demo_spectrum())
    >>> seds = condition(prediction, {"blue": (6.6, 0.02), "red": (6.0, 0.02)}, bands,
    ...                  reddening=(0.02, 0.02))
    >>> seds.flux.shape, bool(0 < seds.p_value < 1)
    ((575,), True)
    """

    wavelength: np.ndarray
    flux: np.ndarray
    diagonal: np.ndarray
    factor: np.ndarray
    bands: tuple[str, ...]
    reddening: float | np.ndarray
    reddening_error: float | np.ndarray
    reddening_interval: np.ndarray
    chi2: float | np.ndarray
    p_value: float | np.ndarray
    dof: int | np.ndarray
    pulls: np.ndarray
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    flag_bits: int | np.ndarray = 0
    intrinsic: bool = False
    law: str = LAW
    r_v: float = R_V
    removed: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    model: str | np.ndarray = ""
    library_error: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)

    @property
    def single(self) -> bool:
        """Whether this is one star, without an axis for stars."""
        return self.flux.ndim == 1

    def __len__(self) -> int:
        return 1 if self.single else len(self.flux)

    def __iter__(self) -> Iterator[ConditionedSEDs]:
        return iter((self,)) if self.single else (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        return (f"<ConditionedSEDs of {len(self)} star{'' if len(self) == 1 else 's'} at "
                f"{self.wavelength.size} wavelengths, in {', '.join(self.bands)}>")

    def __getitem__(self, row: int) -> ConditionedSEDs:
        """One of the stars."""
        if self.single:
            raise InputError("this is one star and has no rows")
        if not -len(self) <= row < len(self):
            raise InputError(f"row is {row!r}; there are {len(self)} stars")
        whole = ("wavelength", "bands", "parts", "intrinsic", "law", "r_v", "model",
                 "library_error")
        changed = {one.name: getattr(self, one.name)[row] for one in fields(self)
                   if one.name not in whole}
        for name in ("factor", "removed"):
            changed[name] = changed[name][np.any(changed[name], axis=1)]
        return replace(self, **changed, model=str(np.broadcast_to(self.model, len(self))[row]),
                       parts={name: value[row] for name, value in self.parts.items()})

    @property
    def relative_covariance(self) -> Any:
        """Covariance of ln(flux): a `~sedflux.LowRankCovariance`, or a tuple of N."""
        if self.single:
            return LowRankCovariance(self.diagonal, self.factor, self.removed)
        return tuple(one.relative_covariance for one in self)

    @property
    def sigma(self) -> np.ndarray:
        """Standard deviation of the flux, shape of ``flux``."""
        def sums(rows):
            return np.einsum("...rn,...rn->...n", rows, rows, dtype=float)

        gross = self.diagonal + sums(self.factor)
        if self.removed.size:
            gross -= sums(self.removed)
        # Rounding may make a variance of zero negative.
        return self.flux * np.sqrt(np.maximum(gross, 0.0))

    def table(self) -> QTable:
        """
        One row a star: E(B-V), chi2 and pulls.

        Returns
        -------
        table : `~astropy.table.QTable`
        """
        columns = {"reddening": np.atleast_1d(self.reddening) * u.mag,
                   "reddening_error": np.atleast_1d(self.reddening_error) * u.mag,
                   "chi2": np.atleast_1d(self.chi2), "dof": np.atleast_1d(self.dof),
                   "p_value": np.atleast_1d(self.p_value)}
        pulls = np.atleast_2d(self.pulls)
        return QTable(columns | {f"pull_{name}": pulls[:, index]
                                 for index, name in enumerate(self.bands)})

    def to_spectrum(self, kind: type | None = None, *, meta: Mapping[str, Any] | None = None,
                    header: Mapping[str, Any] | None = None) -> Any:
        """
        One star as a spectrum with its covariance, as `sedflux.anchor` gives it.

        Parameters
        ----------
        kind : type, optional
            `~specutils.Spectrum` (default) or a subclass.
        meta, header : dict, optional
            More for ``meta["sedflux"]`` and ``meta["header"]``.

        Returns
        -------
        sed : `~specutils.Spectrum`
            ``meta["sedflux"]["photometry"]`` is this object.
        """
        if not self.single:
            raise InputError("several stars are no single spectrum; take them one by one, as "
                             "seds[0].to_spectrum()")
        errors = RelativeErrors(self.wavelength, self.relative_covariance, self.parts)
        return sed_to_spectrum(
            kind, self.wavelength * u.AA, self.flux, errors.covariance.scaled(self.flux).sigma,
            meta=dict(meta or {}) | {"errors": errors, "photometry": self},
            header=dict(header or {}) | self._cards(), unit=FLAM)

    def _cards(self) -> dict[str, tuple[Any, str]]:
        """Cards for FITS headers."""
        cards: dict[str, Any] = {
            "SEDNORM": ("photometry", "the flux is absolute, by magnitudes"),
            "SEDBANDS": (", ".join(self.bands)[:60], "bands of the magnitudes"),
            "SEDDUST": (float(self.reddening), "[mag] E(B-V) by lines and magnitudes"),
            "SEDDUSTE": (float(self.reddening_error), "[mag] its standard deviation"),
            "SEDCHI2": (float(self.chi2), "chi2 of the magnitudes, given the lines"),
            "SEDDOF": (int(self.dof), "its degrees of freedom")}
        if not self.intrinsic:
            cards |= {"SEDEBV": (float(self.reddening), "[mag] E(B-V) of the SED"),
                      "SEDEBVER": (float(self.reddening_error), "[mag] its error"),
                      "SEDLAW": (self.law, "extinction law"),
                      "SEDRVEXT": (float(self.r_v), "R_V of the law")}
        if np.isfinite(self.p_value):
            cards["SEDPVAL"] = (float(self.p_value), "its p-value")
        if self.model:
            cards["SEDMODEL"] = (str(self.model), "sedflux model")
        if shared := self.library_error.get(str(self.model)):
            cards[LIBRARY_CARD] = library_error_text(shared)
        return cards
