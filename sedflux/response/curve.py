"""`ResponseCurve`: throughput with its covariance, and the calibration of spectra."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.io.registry import (
    UnifiedIORegistry,
    UnifiedReadWrite,
    UnifiedReadWriteMethod,
)
from astropy.table import Table

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.response.field_terms import FieldTerms
from sedflux.response.problem import LinearProblem
from sedflux.response.splines import spline_basis
from sedflux.spectra.grids import interpolation_matrix
from sedflux.units import finite_array

__all__ = ["FILE_FORMATS", "ResponseCurve", "ResponseRead", "ResponseWrite", "spline_basis"]

#: Formats of response files; `sedflux.response.files` registers them.
FILE_FORMATS = UnifiedIORegistry()


class ResponseRead(UnifiedReadWrite):
    """
    Read a response that `ResponseCurve.write` wrote as ``fits`` or ``ecsv``.

    Parameters
    ----------
    path : path-like
    format : {'fits', 'ecsv'}, optional
        ``ecsv`` for a path that ends so, or else ``fits``.

    Returns
    -------
    response : `ResponseCurve`

    Raises
    ------
    sedflux.exceptions.InputError
        If the file is missing, damaged, or not a response of sedflux.
    """

    def __init__(self, instance: Any, cls: type) -> None:
        super().__init__(instance, cls, "read", registry=FILE_FORMATS)

    def __call__(self, path: str | os.PathLike[str], *, format: str | None = None) \
            -> ResponseCurve:
        """Read a file."""
        format = _checked_format("read", path, format)
        return self.registry.read(self._cls, Path(path), format=format)


class ResponseWrite(UnifiedReadWrite):
    """
    Write a response curve; if this fails, an existing file does not change.

    Parameters
    ----------
    path : path-like
    format : {'fits', 'ecsv', 'axe', 'synphot'}, optional
        ``ecsv`` for a path that ends so, or else ``fits``.
    overwrite : bool, optional
    published : path-like or `~sedflux.slitless.throughput.Throughput`, optional
        Known curve that ``axe`` files hold beyond the good range, scaled to meet the response.

    Raises
    ------
    sedflux.exceptions.InputError
        If the format is unknown, or the file exists and must not be overwritten.
    sedflux.exceptions.WriteError
        If the file cannot be written.
    """

    def __init__(self, instance: Any, cls: type) -> None:
        super().__init__(instance, cls, "write", registry=FILE_FORMATS)

    def __call__(self, path: str | os.PathLike[str], *, format: str | None = None,
                 overwrite: bool = False, published: Any = None) -> None:
        """Write a file."""
        format = _checked_format("write", path, format)
        self.registry.write(self._instance, path, format=format, overwrite=overwrite,
                            **({} if published is None else {"published": published}))


def _checked_format(mode, path, format):
    """The format of a file: the given one, or that of the file's ending."""
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"path is {path!r}; the name of a file is needed")
    if format is None:
        format = "ecsv" if Path(path).suffix == ".ecsv" else "fits"
    table = FILE_FORMATS.get_formats(ResponseCurve, mode.capitalize())
    known = [name for name in ("fits", "ecsv", "axe", "synphot") if name in set(table["Format"])]
    if not isinstance(format, str) or format not in known:
        raise InputError(f"format is {format!r}; {', '.join(known)} are allowed")
    return format


def _wavelengths(wavelength: npt.ArrayLike) -> np.ndarray:
    """Wavelengths in Angstrom as one axis."""
    found = np.atleast_1d(finite_array(wavelength, "wavelength", u.AA))
    if found.ndim != 1:
        raise InputError(f"wavelength has the shape {found.shape}; one axis is needed")
    return found


@dataclass(frozen=True, eq=False, repr=False)
class ResponseCurve:
    """
    Throughput of telescope and instrument, with its covariance.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Angstrom, vacuum.
    throughput : `~numpy.ndarray`, shape (n,)
        Detected electrons per photon on the collecting area.
    covariance : `~sedflux.LowRankCovariance`
        Statistical covariance of ln(throughput), which more stars reduce.
    area : `~astropy.units.Quantity`
        Collecting area that the throughput refers to.
    good : `~numpy.ndarray` of bool, shape (n,)
        Where there are enough photons and stars; elsewhere the curve is an interpolation.
    systematics : dict of str to `~sedflux.LowRankCovariance`
        Covariance of ln(throughput) from errors that all stars share: ``truth scale``,
        ``library``, those of `~sedflux.response.CommonErrors`, of white dwarfs ``models`` and
        ``convection``, and of SEDs from `sedflux.condition` ``zero point NAME``.
    chi2 : float
        Chi-square of the fit, summed over pixels and errors of SEDs.
    degrees_of_freedom : int
    effective_stars : `~numpy.ndarray`, shape (n,)
        Number of equally good stars that would give the same error.
    stars : `~astropy.table.Table`
        One row per star: whether it was used, kind and reason of its rejection, weight,
        chi-squares.
    residuals : `~numpy.ndarray`, shape (N, n)
        Counts over expected counts minus one for the usable stars; NaN without data.
    smoothness : float
        Standard deviation of the second differences of ln(throughput) from knot to knot.
    knots, coefficients : `~numpy.ndarray`
        Of the spline, and of the field terms after it.
    root : `~numpy.ndarray`
        Square root of the covariance of the coefficients: ``root @ root.T``.
    field : `~sedflux.FieldTerms`
        How the response changes with position, detector and time.
    grey_error, wavelength_error : float
        Errors of the extraction of each star that the fit was told: of its scale, relative, and of
        its wavelengths, in Angstrom.
    common : `~astropy.table.Table` or None
        Fitted parameters of the instrument, see `~sedflux.response.CommonErrors`: ``name``,
        ``unit``, error ``before`` the fit, ``value``, error ``after`` it.
    problem : `~sedflux.response.problem.LinearProblem` or None
        The linear problem at the solution; None for responses from files.
    """

    wavelength: np.ndarray
    throughput: np.ndarray
    covariance: LowRankCovariance
    area: u.Quantity
    good: np.ndarray
    systematics: Mapping[str, LowRankCovariance] = default(default_factory=dict)
    chi2: float = np.nan
    degrees_of_freedom: int = 0
    effective_stars: np.ndarray | None = None
    stars: Table | None = None
    residuals: np.ndarray | None = None
    smoothness: float = np.nan
    knots: np.ndarray | None = None
    coefficients: np.ndarray | None = None
    root: np.ndarray | None = None
    field: FieldTerms = default(default_factory=FieldTerms)
    grey_error: float = 0.0
    wavelength_error: float = 0.0
    common: Table | None = default(default=None, repr=False, compare=False)
    problem: LinearProblem | None = default(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        return (f"<ResponseCurve of {self.wavelength.size} wavelengths, "
                f"{self.wavelength[0]:.0f}-{self.wavelength[-1]:.0f} Angstrom>")

    @classmethod
    def from_throughput(cls, throughput: Any, *, area: u.Quantity) -> ResponseCurve:
        """
        A response from a known throughput, such as a published sensitivity.

        Parameters
        ----------
        throughput : path-like, `~sedflux.slitless.throughput.Throughput` or ``synphot`` element
            Its errors, if there are any, count as fully correlated between wavelengths.
        area : `~astropy.units.Quantity`
            Collecting area.

        Returns
        -------
        response : `ResponseCurve`
        """
        from sedflux.slitless.throughput import as_throughput, collecting_area

        collecting_area(area)
        known = as_throughput(throughput, area=area)
        good = known.value > 0
        value = np.where(good, known.value, known.value[good].min())
        error = np.zeros_like(value) if known.error is None else known.error
        covariance = LowRankCovariance(np.zeros(value.size), (error / value)[None] * good)
        return cls(known.wavelength, value, covariance, area, good)

    @property
    def sigma(self) -> np.ndarray:
        """Statistical standard deviation of the throughput, shape (n,)."""
        return self.throughput * self.covariance.sigma

    @property
    def total_covariance(self) -> LowRankCovariance:
        """Covariance of ln(throughput), with the errors common to all stars."""
        factor = np.vstack([self.covariance.factor,
                            *(part.factor for part in self.systematics.values())])
        return LowRankCovariance(self.covariance.diagonal, factor)

    @property
    def wavelength_range(self) -> tuple[float, float]:
        """First and last good wavelength in Angstrom."""
        if not self.good.any():
            raise InputError("the response is good nowhere; more photons or stars are needed")
        first, last = self.wavelength[np.flatnonzero(self.good)[[0, -1]]].tolist()
        return first, last

    def evaluate(self, wavelength: npt.ArrayLike, *, systematics: bool = True,
                 x: float | None = None, y: float | None = None, detector: str | None = None,
                 epoch: float | None = None) \
            -> tuple[np.ndarray, LowRankCovariance, np.ndarray]:
        """
        ln(throughput) and its covariance anywhere inside the band.

        Parameters
        ----------
        wavelength : array_like, shape (p,)
            Angstrom; a Quantity is converted.
        systematics : bool, optional
            Include the errors common to all stars.
        x, y, detector, epoch : optional
            Position, detector and time, for responses with field terms; by default the mean
            over the field.

        Returns
        -------
        log_throughput : `~numpy.ndarray`, shape (p,)
        covariance : `~sedflux.LowRankCovariance`
        good : `~numpy.ndarray` of bool, shape (p,)
        """
        wavelength = _wavelengths(wavelength)
        matrix = interpolation_matrix(self.wavelength,
                                      np.clip(wavelength, *self.wavelength[[0, -1]]))
        if self.knots is None:
            value = matrix @ np.log(self.throughput)
            factor = (matrix @ self.covariance.factor.T).T
        else:
            basis = self.basis(wavelength, x=x, y=y, detector=detector, epoch=epoch)
            value, factor = basis @ self.coefficients, (basis @ self.root).T
        if systematics:
            factor = np.vstack([factor, *((matrix @ part.factor.T).T
                                          for part in self.systematics.values())])
        good = (matrix @ self.good.astype(float)) > 0.999
        good &= (wavelength >= self.wavelength[0]) & (wavelength <= self.wavelength[-1])
        return value, LowRankCovariance(np.zeros(wavelength.size), factor), good

    def basis(self, wavelength: npt.ArrayLike, *, x: float | None = None,
              y: float | None = None, detector: str | None = None,
              epoch: float | None = None) -> np.ndarray:
        """
        Spline and field terms: ``basis @ coefficients`` is ln(throughput).

        Parameters
        ----------
        wavelength : array_like, shape (p,)
            Angstrom; a Quantity is converted.
        x, y, detector, epoch : optional
            See `evaluate`.

        Returns
        -------
        basis : `~numpy.ndarray`, shape (p, coefficients)

        Raises
        ------
        sedflux.exceptions.InputError
            If the response has no spline, as those from `from_throughput`, or the field terms
            need another position, detector or time.
        """
        if self.knots is None or self.coefficients is None:
            raise InputError("this response has no spline; only fitted responses have a basis")
        wavelength = _wavelengths(wavelength)
        spline = spline_basis(self.knots, wavelength)
        if self.coefficients.size == spline.shape[1]:
            return spline
        place = {name: value for name, value in (("x", x), ("y", y), ("detector", detector),
                                                 ("epoch", epoch)) if value is not None}
        if any(np.ndim(value) for value in place.values()):
            raise InputError(f"x, y, detector and epoch are {place}; one value each is allowed")
        terms = self.field.values(place)[0] if place else np.zeros(len(self.field.names))
        term_basis = self.field.basis(wavelength, (self.wavelength[0], self.wavelength[-1]))
        return np.hstack([spline, *(value * term_basis for value in terms)])

    def to_synphot(self) -> Any:
        """
        Convert to a `synphot.SpectralElement` over the good range, without errors.

        Returns
        -------
        element : `synphot.SpectralElement`
        """
        from sedflux.slitless.throughput import as_throughput

        if not self.good.any():
            raise InputError("the response is good nowhere; synphot cannot use it")
        return as_throughput(self, area=self.area).to_synphot()

    def calibrate(self, counts: Any, *, systematics: bool = True,
                  grey_error: float | None = None,
                  wavelength_error: u.Quantity | float | None = None, x: float | None = None,
                  y: float | None = None, detector: str | None = None,
                  epoch: float | None = None) -> Any:
        """
        Convert count rates of another object to F_lambda.

        Parameters
        ----------
        counts : `~specutils.Spectrum`
            Electrons (or counts) per second and pixel.
        systematics : bool, optional
            Include the errors that all stars of the fit share.
        grey_error : float, optional
            Relative error of the object's aperture loss; by default that of the fit's stars.
        wavelength_error : `~astropy.units.Quantity` or float, optional
            Error of the object's wavelength zero point, a number in Angstrom; by default that of
            the fit's stars.
        x, y, detector, epoch : optional
            Position, detector and time, for responses with field terms.

        Returns
        -------
        spectrum : type of ``counts``
            In erg/s/cm2/Angstrom, at the resolution of the counts, with the errors of counts,
            response and extraction; `sedflux.covariance_of` gives their covariance.  Pixels where
            the response is not good are masked.

        Raises
        ------
        sedflux.exceptions.InputError
            If no pixel lies inside the response, which is not extrapolated, or an error is
            negative.
        """
        from sedflux.response.calibration import calibrated

        return calibrated(self, counts, systematics=systematics, grey_error=grey_error,
                          wavelength_error=wavelength_error,
                          place={"x": x, "y": y, "detector": detector, "epoch": epoch})

    def diagnostics(self) -> Table:
        """Tests of the fit with likely causes: see `sedflux.response.diagnostics.fit_tests`."""
        from sedflux.response.diagnostics import fit_tests

        return fit_tests(self)

    #: Read and write files; see `sedflux.response.files`.
    read = UnifiedReadWriteMethod(ResponseRead)
    write = UnifiedReadWriteMethod(ResponseWrite)
