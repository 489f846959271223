"""
Response curves: one throughput from many stars with uncertain SEDs.

``ln T`` is a cubic B-spline.  Every star's counts are compared with what its SED predicts
through the line-spread function (`sedflux.slitless`), by generalised least squares
with the star's photon noise and the covariance of its SED; the low rank of the
latter keeps the cost linear in pixels and stars (Woodbury).
"""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from scipy.interpolate import BSpline
from scipy.linalg import cho_factor, cho_solve

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.grids import interpolation_matrix, pixel_edges
from sedflux.resolution import FWHM_PER_SIGMA
from sedflux.slitless import count_model, photons_per_flux
from sedflux.spectrum import from_sed

__all__ = ["ResponseCurve", "fit_response"]

_RATES = (u.electron / u.s, u.ct / u.s, u.adu / u.s, u.photon / u.s)
_FLAM = u.Unit("erg / (s cm2 Angstrom)")
#: Relative noise of counts that come without uncertainty.
_NO_NOISE = 1e-4
#: Standard deviation of the second differences of ln T between knots, a weak prior.
_ROUGHNESS = 3.0


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
        Of ln(throughput).
    area : `~astropy.units.Quantity`
        Collecting area that the throughput refers to.
    chi2 : float
        Of the fit.
    degrees_of_freedom : int
    """

    wavelength: np.ndarray
    throughput: np.ndarray
    covariance: LowRankCovariance
    area: u.Quantity
    chi2: float
    degrees_of_freedom: int

    @property
    def sigma(self):
        """Standard deviation of the throughput, shape (n,)."""
        return self.throughput * self.covariance.sigma

    def to_synphot(self):
        """
        As a `synphot.SpectralElement`; its errors stay here.
        """
        from synphot import SpectralElement
        from synphot.models import Empirical1D

        return SpectralElement(Empirical1D, points=self.wavelength * u.AA,
                               lookup_table=self.throughput, fill_value=0.0)

    def calibrate(self, counts):
        """
        Turn count rates of another object into F_lambda.

        Parameters
        ----------
        counts : `~specutils.Spectrum`
            Electrons (or counts) a second and pixel.

        Returns
        -------
        spectrum : type of ``counts``
            In erg/s/cm2/Angstrom, with the errors of counts and response;
            ``meta["sedflux"]["covariance"]`` holds their covariance.

        Raises
        ------
        sedflux.exceptions.InputError
            If pixels lie outside the response: nothing is extrapolated.
        """
        from sedflux.spectrum import sed_to_spectrum

        pixels, rate, variance = _count_arrays(counts, 0)
        if pixels[0] < self.wavelength[0] - 1e-6 or pixels[-1] > self.wavelength[-1] + 1e-6:
            raise InputError(
                f"counts cover {pixels[0]:.0f}-{pixels[-1]:.0f} Angstrom, the response "
                f"{self.wavelength[0]:.0f}-{self.wavelength[-1]:.0f}: cut the counts to it"
            )
        inside = np.clip(pixels, self.wavelength[0], self.wavelength[-1])
        matrix = interpolation_matrix(self.wavelength, inside)
        throughput = np.exp(matrix @ np.log(self.throughput))
        width = np.diff(pixel_edges(pixels))
        scale = self.area.to_value(u.cm**2) * width * throughput * photons_per_flux(pixels)
        response = LowRankCovariance(np.zeros(len(pixels)),
                                     (matrix @ self.covariance.factor.T).T)
        flux = rate / scale
        covariance = LowRankCovariance(variance / scale**2, response.factor * flux)
        return sed_to_spectrum(type(counts), pixels * u.AA, flux, covariance.sigma,
                               meta={"covariance": covariance}, header={}, unit=_FLAM)


def _count_arrays(counts, number):
    """Pixels, count rates and variances of an extracted spectrum, ascending and good."""
    from specutils import Spectrum

    if not isinstance(counts, Spectrum) or counts.flux.ndim != 1:
        raise InputError(f"counts[{number}] must be a specutils.Spectrum of one dimension")
    if counts.flux.unit not in _RATES:
        raise InputError(
            f"counts[{number}] has the unit {counts.flux.unit.to_string()!r}; "
            "electron / s (or ct / s) a pixel is needed: divide by the exposure time"
        )
    pixels = counts.spectral_axis.to_value(u.AA, u.spectral())
    rate = counts.flux.value
    if counts.uncertainty is None:
        variance = np.full(rate.shape, (_NO_NOISE * np.nanmax(np.abs(rate))) ** 2)
    else:
        from astropy.nddata import VarianceUncertainty

        variance = counts.uncertainty.represent_as(VarianceUncertainty).array
    bad = ~np.isfinite(rate) | ~np.isfinite(variance) | (variance <= 0)
    if counts.mask is not None:
        bad |= np.asarray(counts.mask) != 0
    if (~bad).sum() < 5:
        raise InputError(
            f"counts[{number}] has {(~bad).sum()} good pixels with a positive, finite uncertainty; "
            "at least 5 are needed: check mask, NaN and uncertainty"
        )
    order = np.argsort(pixels)
    variance = np.where(bad, np.inf, variance)[order]
    return pixels[order], np.where(bad, 0.0, rate)[order], variance


def _knots(low, high, spacing):
    """Knots of a cubic spline from low to high, about ``spacing`` apart."""
    inner = np.linspace(low, high, max(int(np.ceil((high - low) / spacing)), 4) + 1)
    return np.r_[[inner[0]] * 3, inner, [inner[-1]] * 3]


class _Star:
    """One star: its data, its count model and the covariance of its SED."""

    def __init__(self, counts, sed, number, area, resolving_power):
        pixels, self.rate, self.variance = _count_arrays(counts, number)
        arrays = from_sed(sed)
        if not arrays.absolute:
            raise InputError(
                f"seds[{number}] is relative; put it on an absolute scale with sedflux.anchor"
            )
        self.model = count_model(pixels, arrays.wavelength, area=area,
                                 resolving_power=resolving_power)
        self.pixels = pixels
        self.photons = self.model.interpolate @ arrays.flux
        relative = arrays.relative_covariance
        spread = self.model.interpolate.multiply(arrays.flux)
        self.modes = np.asarray(spread @ relative.factor.T)
        self.own = np.asarray(spread.multiply(np.sqrt(relative.diagonal)).power(2).sum(axis=1))
        self.own = self.own.ravel()

    def normal(self, log_throughput, basis):
        """Contribution to the normal equations at the present ln T."""
        passed = np.exp(log_throughput)
        collect = self.model.collect
        expected = collect @ (passed * self.photons)
        design = np.asarray(collect @ (basis * (passed * self.photons)[:, None]))
        modes = np.asarray(collect @ (self.modes * passed[:, None]))
        # The independent part of the SED's variance: a small addition to the noise.
        own = collect.power(2) @ (self.own * passed**2)
        inverse = 1.0 / (self.variance + own)
        weighted = modes * inverse[:, None]
        core = cho_factor(np.eye(modes.shape[1]) + modes.T @ weighted)

        def solve(values):
            first = inverse[:, None] * values
            return first - weighted @ cho_solve(core, modes.T @ first)

        residual = (self.rate - expected)[:, None]
        solved = solve(np.hstack([design, residual]))
        return (design.T @ solved[:, :-1], design.T @ solved[:, -1],
                float(residual[:, 0] @ solved[:, -1]))


def fit_response(counts, seds, *, area, resolving_power=None, knot_spacing=None,
                 iterations=30):
    """
    Fit one response curve to the extracted spectra of one or many stars.

    Parameters
    ----------
    counts : sequence of `~specutils.Spectrum`
        Extracted spectra in electron/s a pixel, each on its own pixel grid; one star
        may be given without a list.
    seds : sequence of `~specutils.Spectrum`
        SEDs of the same stars in absolute flux (see `sedflux.anchor`), with their
        covariance; they must reach beyond the pixels.
    area : `~astropy.units.Quantity`
        Collecting area.
    resolving_power : float, optional
        lambda / FWHM of the line-spread function; none if not given.
    knot_spacing : `~astropy.units.Quantity`, optional
        Distance of the spline's knots; by default two pixels, or the FWHM of the
        line-spread function if that is more.
    iterations : int, optional
        Limit of Gauss-Newton steps.

    Returns
    -------
    response : `ResponseCurve`
        On the pixels of the first star that lie inside all of the fit, and between.

    Raises
    ------
    sedflux.exceptions.InputError
        If counts and SEDs do not pair up, a unit is wrong, an SED is relative, or too
        few good pixels are left.
    """
    counts = [counts] if not isinstance(counts, (list, tuple)) else counts
    seds = [seds] if not isinstance(seds, (list, tuple)) else seds
    if len(counts) != len(seds) or not counts:
        raise InputError(f"counts and seds have {len(counts)} and {len(seds)} entries; "
                         "one SED for every star is needed, and at least one star")
    if not isinstance(area, u.Quantity) or not area.unit.is_equivalent(u.cm**2) or not area > 0:
        raise InputError(f"area is {area!r}; give the collecting area, as 31416 * u.cm**2")
    stars = [_Star(c, s, i, area.to_value(u.cm**2), resolving_power)
             for i, (c, s) in enumerate(zip(counts, seds, strict=True))]
    low = min(star.model.fine[0] for star in stars)
    high = max(star.model.fine[-1] for star in stars)
    spacing = _default_spacing(stars, resolving_power)
    if knot_spacing is not None:
        spacing = u.Quantity(knot_spacing).to_value(u.AA)
    knots = _knots(low, high, spacing)
    bases = [BSpline.design_matrix(star.model.fine, knots, 3).toarray() for star in stars]
    second = np.diff(np.eye(len(knots) - 4), n=2, axis=0)
    prior = second.T @ second / _ROUGHNESS**2
    coefficients = _start(stars, bases, prior)
    for _ in range(iterations):
        parts = [star.normal(basis @ coefficients, basis)
                 for star, basis in zip(stars, bases, strict=True)]
        normal = prior + sum(part[0] for part in parts)
        right = sum(part[1] for part in parts) - prior @ coefficients
        step = np.linalg.lstsq(normal, right, rcond=1e-13)[0]
        coefficients = coefficients + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-8:
            break
    chi2 = sum(part[2] for part in parts)
    wavelength = np.unique(np.concatenate([star.pixels for star in stars]))
    return _curve(wavelength, knots, coefficients, normal, area, chi2,
                  sum(np.isfinite(star.variance).sum() for star in stars))


def _default_spacing(stars, resolving_power):
    """Two pixels, or the width of the line-spread function if that is more."""
    pixel = np.median(np.concatenate([np.diff(star.pixels) for star in stars]))
    if resolving_power is None:
        return 2.0 * pixel
    middle = np.median(stars[0].pixels)
    return max(2.0 * pixel, 0.5 * middle / resolving_power * FWHM_PER_SIGMA / 1.1775)


def _start(stars, bases, prior):
    """Coefficients of the naive ratio of counts and photons."""
    normal, right = 1e-2 * prior, 0.0
    for star, basis in zip(stars, bases, strict=True):
        expected = star.model.collect @ star.photons
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = star.rate / expected
        useful = np.isfinite(star.variance) & (ratio > 1e-3 * np.nanmax(ratio))
        index = np.clip(np.searchsorted(star.model.fine, star.pixels[useful]), 0,
                        star.model.fine.size - 1)
        part = basis[index]
        normal = normal + part.T @ part
        right = right + part.T @ np.log(ratio[useful])
    return np.linalg.lstsq(normal, right, rcond=1e-12)[0]


def _curve(wavelength, knots, coefficients, normal, area, chi2, pixels):
    """The response at the wavelengths, with the covariance of the spline."""
    basis = BSpline.design_matrix(
        np.clip(wavelength, knots[0], knots[-1]), knots, 3).toarray()
    values, vectors = np.linalg.eigh(normal)
    root = vectors / np.sqrt(np.maximum(values, 1e-13 * values.max()))
    covariance = LowRankCovariance(np.zeros(len(wavelength)), (basis @ root).T)
    effective = int(pixels) - len(coefficients)
    return ResponseCurve(wavelength, np.exp(basis @ coefficients), covariance, area,
                         float(chi2), max(effective, 1))
