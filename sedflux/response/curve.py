"""`ResponseCurve`: throughput with its covariance, and spectra calibrated by it."""

from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io.registry import (
    UnifiedIORegistry,
    UnifiedReadWrite,
    UnifiedReadWriteMethod,
)
from astropy.table import Table
from scipy.interpolate import BSpline

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.response.counts import count_arrays
from sedflux.response.field import FieldTerms
from sedflux.response.problem import LinearProblem
from sedflux.spectra.grids import interpolation_matrix, pixel_edges
from sedflux.spectra.spectrum import sed_to_spectrum
from sedflux.units import FLAM, photons_per_flux

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
        If the file is missing, damaged or no such response.
    """

    def __init__(self, instance, cls):
        super().__init__(instance, cls, "read", registry=FILE_FORMATS)

    def __call__(self, path, *, format=None):
        """Read a file."""
        format = _checked_format("read", path, format)
        return self.registry.read(self._cls, Path(path), format=format)


class ResponseWrite(UnifiedReadWrite):
    """
    Write a response curve, whole or not at all.

    Parameters
    ----------
    path : path-like
    format : {'fits', 'ecsv', 'axe', 'synphot'}, optional
        ``ecsv`` for a path that ends so, or else ``fits``.
    overwrite : bool, optional

    Raises
    ------
    sedflux.exceptions.InputError
        If the format is unknown, or the file exists and must not be overwritten.
    sedflux.exceptions.WriteError
        If the file cannot be written.
    """

    def __init__(self, instance, cls):
        super().__init__(instance, cls, "write", registry=FILE_FORMATS)

    def __call__(self, path, *, format=None, overwrite=False):
        """Write a file."""
        format = _checked_format("write", path, format)
        self.registry.write(self._instance, path, format=format, overwrite=overwrite)


def _checked_format(mode, path, format):
    """The format that is meant, if it is known."""
    if format is None:
        format = "ecsv" if Path(path).suffix == ".ecsv" else "fits"
    table = FILE_FORMATS.get_formats(ResponseCurve, mode.capitalize())
    known = [name for name in ("fits", "ecsv", "axe", "synphot") if name in set(table["Format"])]
    if format not in known:
        raise InputError(f"format is {format!r}; {', '.join(known)} are allowed")
    return format


def spline_basis(knots, wavelength):
    """Cubic B-splines at wavelengths inside the knots, held beyond them, (n, k)."""
    inside = np.clip(wavelength, knots[0], knots[-1])
    return BSpline.design_matrix(inside, knots, 3).toarray()


@dataclass(frozen=True)
class ResponseCurve:
    """
    Throughput of telescope and instrument, with its covariance.

    Attributes
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Angstrom, vacuum.
    throughput : `~numpy.ndarray`, shape (n,)
        Share of the photons on the collecting area that are counted.
    covariance : `~sedflux.LowRankCovariance`
        Statistical, of ln(throughput): it shrinks with more stars.
    area : `~astropy.units.Quantity`
        Collecting area that the throughput refers to.
    good : `~numpy.ndarray` of bool, shape (n,)
        Where enough photons and stars reach; elsewhere the curve is no measurement.
    systematics : dict of str to `~sedflux.LowRankCovariance`
        Of ln(throughput), common to all stars: ``truth scale`` and ``library``.
    chi2 : float
        Of the fit, over pixels and errors of SEDs.
    degrees_of_freedom : int
    effective_stars : `~numpy.ndarray`, shape (n,)
        Number of equally good stars that would give the same error.
    stars : `~astropy.table.Table`
        One row a star: whether it was used, why not, weight, chi-squares.
    residuals : `~numpy.ndarray`, shape (N, n)
        Counts over expected counts minus one for the usable stars; NaN where unknown.
    smoothness : float
        Standard deviation of the second differences of ln(throughput) between knots.
    knots, coefficients, root : `~numpy.ndarray`
        Of the spline (and the field terms), and a root of their covariance.
    field : `~sedflux.FieldTerms`
        How the response changes over field, detectors and time.
    """

    wavelength: np.ndarray
    throughput: np.ndarray
    covariance: LowRankCovariance
    area: u.Quantity
    good: np.ndarray
    systematics: dict = default(default_factory=dict)
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
    problem: LinearProblem | None = default(default=None, repr=False, compare=False)

    @classmethod
    def from_throughput(cls, throughput, *, area):
        """
        A response from a known throughput, such as a published sensitivity.

        Parameters
        ----------
        throughput : path-like, `~sedflux.slitless.throughput.Throughput` or `synphot` element
            Its errors, if there are any, are taken as common to all wavelengths.
        area : `~astropy.units.Quantity`
            Collecting area.

        Returns
        -------
        response : `ResponseCurve`
        """
        from sedflux.slitless.throughput import as_throughput

        known = as_throughput(throughput, area=area)
        good = known.value > 0
        value = np.where(good, known.value, known.value[good].min())
        error = np.zeros_like(value) if known.error is None else known.error
        covariance = LowRankCovariance(np.zeros(value.size), (error / value)[None] * good)
        return cls(known.wavelength, value, covariance, area, good)

    @property
    def sigma(self):
        """Statistical standard deviation of the throughput, shape (n,)."""
        return self.throughput * self.covariance.sigma

    @property
    def total_covariance(self):
        """Of ln(throughput), with what all stars have in common."""
        factor = np.vstack([self.covariance.factor,
                            *(part.factor for part in self.systematics.values())])
        return LowRankCovariance(self.covariance.diagonal, factor)

    @property
    def wavelength_range(self):
        """First and last good wavelength in Angstrom."""
        if not self.good.any():
            raise InputError("the response is good nowhere; too few photons or stars reach it")
        return tuple(self.wavelength[np.flatnonzero(self.good)[[0, -1]]].tolist())

    def evaluate(self, wavelength, *, systematics=True, **place):
        """
        ln(throughput) and its covariance anywhere inside the band.

        Parameters
        ----------
        wavelength : `~numpy.ndarray`, shape (p,)
            Angstrom.
        systematics : bool, optional
            Include what all stars have in common.
        x, y, detector, epoch : optional
            Where and when, for responses with field terms; the mean of the field if none
            is given.

        Returns
        -------
        log_throughput : `~numpy.ndarray`, shape (p,)
        covariance : `~sedflux.LowRankCovariance`
        good : `~numpy.ndarray` of bool, shape (p,)
        """
        wavelength = np.atleast_1d(np.asarray(wavelength, dtype=float))
        matrix = interpolation_matrix(self.wavelength,
                                      np.clip(wavelength, *self.wavelength[[0, -1]]))
        if self.knots is None:
            value = matrix @ np.log(self.throughput)
            factor = (matrix @ self.covariance.factor.T).T
        else:
            basis = self.basis(wavelength, **place)
            value, factor = basis @ self.coefficients, (basis @ self.root).T
        if systematics:
            factor = np.vstack([factor, *((matrix @ part.factor.T).T
                                          for part in self.systematics.values())])
        good = (matrix @ self.good.astype(float)) > 0.999
        good &= (wavelength >= self.wavelength[0]) & (wavelength <= self.wavelength[-1])
        return value, LowRankCovariance(np.zeros(wavelength.size), factor), good

    def basis(self, wavelength, **place):
        """
        Spline and field terms at wavelengths and a place: what multiplies the coefficients.

        Parameters
        ----------
        wavelength : `~numpy.ndarray`, shape (p,)
            Angstrom.
        x, y, detector, epoch : optional
            See `evaluate`.

        Returns
        -------
        basis : `~numpy.ndarray`, shape (p, coefficients)
        """
        base = spline_basis(self.knots, wavelength)
        rest = self.coefficients.size - base.shape[1]
        if not rest:
            return base
        if place:
            term = self.field.values({name: np.atleast_1d(value)
                                      for name, value in place.items()})[0]
        else:
            term = np.zeros(len(self.field.names))
        smooth = self.field.basis(wavelength, tuple(self.wavelength[[0, -1]]))
        return np.hstack([base, *(value * smooth for value in term)])

    def to_synphot(self):
        """
        As a `synphot.SpectralElement` over the good range; its errors stay here.
        """
        from sedflux.slitless.throughput import as_throughput

        if not self.good.any():
            raise InputError("the response is good nowhere; nothing can be handed to synphot")
        return as_throughput(self, area=self.area).to_synphot()

    def calibrate(self, counts, *, systematics=True, **place):
        """
        Turn count rates of another object into F_lambda.

        Parameters
        ----------
        counts : `~specutils.Spectrum`
            Electrons (or counts) a second and pixel.
        systematics : bool, optional
            Include what all stars of the fit have in common in the errors.
        x, y, detector, epoch : optional
            Where and when, for responses with field terms.

        Returns
        -------
        spectrum : type of ``counts``
            In erg/s/cm2/Angstrom, with the errors of counts and response;
            ``meta["sedflux"]["covariance"]`` holds their covariance.  Pixels where the
            response is not good are masked.  The flux is as blurred as the counts are.

        Raises
        ------
        sedflux.exceptions.InputError
            If no pixel lies inside the response: nothing is extrapolated.
        """
        pixels, rate, variance = count_arrays(counts, "counts")
        value, response, good = self.evaluate(pixels, systematics=systematics, **place)
        if not good.any():
            raise InputError(
                f"counts cover {pixels[0]:.0f}-{pixels[-1]:.0f} Angstrom, the response "
                f"{self.wavelength[0]:.0f}-{self.wavelength[-1]:.0f}: cut the counts to it"
            )
        scale = (self.area.to_value(u.cm**2) * np.diff(pixel_edges(pixels)) * np.exp(value)
                 * photons_per_flux(pixels))
        usable = good & np.isfinite(variance)
        flux = np.where(usable, rate / scale, 0.0)
        own = np.where(usable, variance / scale**2, np.max(variance[usable] / scale[usable] ** 2,
                                                          initial=0.0))
        covariance = LowRankCovariance(own, response.factor * flux)
        result = sed_to_spectrum(type(counts), pixels * u.AA, flux, covariance.sigma,
                                 meta={"covariance": covariance}, header={}, unit=FLAM)
        result.mask = ~usable
        return result

    #: Read and write files; see `sedflux.response.files`.
    read = UnifiedReadWriteMethod(ResponseRead)
    write = UnifiedReadWriteMethod(ResponseWrite)
