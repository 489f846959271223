"""Sequences of ordinary operations on an SED, against the dense calculation of its errors."""

import copy
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from specutils import SpectralRegion, Spectrum
from specutils.manipulation import (
    FluxConservingResampler,
    LinearInterpolatedResampler,
    box_smooth,
    extract_region,
)
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import (
    InputError,
    anchor,
    covariance_of,
    predict_sed,
    synthetic_photometry,
    with_covariance,
)
from sedflux.photometry import _flux_row
from sedflux.spectra.reddening import extinction_curve
from sedflux.spectra.reddening import redden as reddened
from sedflux.spectra.sed import from_sed
from sedflux.units import FLAM, MAG_PER_LN

from .arrays import base
from .judge import Violation

__all__ = ["CHANGES", "MOST", "run"]

#: Operations in a sequence.
MOST = 10
BANDS = {"blue": SpectralElement(Box1D, amplitude=1.0, x_0=4600, width=400),
         "green": SpectralElement(Box1D, amplitude=0.7, x_0=5200, width=300),
         "red": SpectralElement(Box1D, amplitude=1.0, x_0=5900, width=600)}


class Dense:
    """Wavelength, ln(flux) and its dense covariance: the plain calculation beside sedflux's."""

    def __init__(self, wavelength, log_flux, covariance):
        self.wavelength, self.log_flux, self.covariance = wavelength, log_flux, covariance
        self.broken = False

    def take(self, rows):
        if self.broken:
            return
        self.wavelength, self.log_flux = self.wavelength[rows], self.log_flux[rows]
        self.covariance = self.covariance[np.ix_(rows, rows)]

    def change(self, log_factor):
        if self.broken:
            return
        self.log_flux = self.log_flux + log_factor

    def widen(self, direction):
        if not self.broken:
            self.covariance = self.covariance + np.outer(direction, direction)

    def anchor(self, error):
        if self.broken:
            return
        row, _ = _flux_row(self.wavelength, BANDS["green"], "green")
        flux = np.exp(self.log_flux)
        matrix = np.eye(flux.size) - row * flux / (row @ flux)
        self.covariance = matrix @ self.covariance @ matrix.T + (error / MAG_PER_LN) ** 2

    def errors(self):
        """Covariance of the magnitudes."""
        flux = np.exp(self.log_flux)
        rows = np.stack([_flux_row(self.wavelength, band, name)[0]
                         for name, band in BANDS.items()])
        shares = MAG_PER_LN * rows * flux / (rows @ flux)[:, None]
        return shares @ self.covariance @ shares.T


def scale(sed, dense, number):
    dense.change(np.log(number))
    return number * sed


def divided(sed, dense, number):
    dense.change(-np.log(number))
    return sed / (number * u.dimensionless_unscaled)


def curve(sed, dense, number):
    shape = 1.0 + 0.1 * number * np.linspace(0.0, 1.0, sed.flux.size)
    # Arithmetic follows the order of the spectral axis, as ``dense`` in ascending order does not.
    dense.change(np.log(shape if ascending(sed) else shape[::-1]))
    return sed * shape


def ascending(sed):
    wavelength = sed.spectral_axis.to_value(u.AA, u.spectral())
    return wavelength[0] < wavelength[-1]


def cut(sed, dense, number):
    ends = 4000.0 + 50.0 * number, 7000.0 - 50.0 * number
    dense.take(np.flatnonzero((dense.wavelength > ends[0]) & (dense.wavelength < ends[1])))
    wavelength = sed.spectral_axis.to_value(u.AA, u.spectral())
    rows = np.flatnonzero((wavelength > ends[0]) & (wavelength < ends[1]))
    return sed[int(rows[0]):int(rows[-1]) + 1]


def region(sed, dense, number):
    ends = (3990.0 + number) * u.AA, (7050.0 - number) * u.AA
    if sed.spectral_axis.unit != u.AA:
        return sed
    dense.take(np.flatnonzero((dense.wavelength >= ends[0].value)
                              & (dense.wavelength <= ends[1].value)))
    return extract_region(sed, SpectralRegion(*ends))


def flux_unit(sed, dense, number):
    return sed if sed.flux.unit == u.dimensionless_unscaled else sed.with_flux_unit(
        (u.Jy, FLAM, u.W / u.m**2 / u.um)[int(number) % 3])


def axis_unit(sed, dense, number):
    return sed.with_spectral_axis_unit((u.AA, u.um, u.THz)[int(number) % 3])


def absolute(sed, dense, number):
    return sed if sed.flux.unit != u.dimensionless_unscaled else sed * (1e-15 * FLAM)


def turned(sed, dense, number):
    """In the other order; specutils does not slice with a step."""
    sigma = sed.uncertainty and StdDevUncertainty(sed.uncertainty.array[::-1])
    return Spectrum(spectral_axis=sed.spectral_axis[::-1], flux=sed.flux[::-1], uncertainty=sigma,
                    mask=None if sed.mask is None else sed.mask[::-1], meta=sed.meta)


def copied(sed, dense, number):
    return copy.deepcopy(sed)


def masked(sed, dense, number):
    """A mask says what not to use; it changes no value and no error."""
    sed = copy.deepcopy(sed)
    sed.mask = np.arange(sed.flux.size) % 3 == int(number) % 3
    return sed


def single(sed, dense, number):
    """Numbers in single precision, as some programs write them."""
    if sed.uncertainty is None:
        return sed
    return Spectrum(spectral_axis=sed.spectral_axis, flux=sed.flux.astype(np.float32),
                    uncertainty=StdDevUncertainty(sed.uncertainty.array.astype(np.float32)),
                    mask=sed.mask, meta=sed.meta)


def written(sed, dense, number):
    if "sedflux" not in sed.meta:
        # Resampling drops what makes it an SED; specutils writes it, without unit or covariance.
        return sed
    with tempfile.TemporaryDirectory() as folder:
        sed.write(Path(folder) / "sed.fits")
        return Spectrum.read(Path(folder) / "sed.fits")


def redden(sed, dense, number):
    wavelength = sed.spectral_axis.to_value(u.AA, u.spectral())
    dense.change(0.1 * number * extinction_curve(dense.wavelength))
    return sed * np.exp(0.1 * number * extinction_curve(wavelength))


def uncertain_dust(sed, dense, number):
    """E(B-V) with an error: one more direction, which `with_covariance` attaches."""
    arrays = from_sed(sed)
    log_flux, covariance = reddened(arrays.wavelength, np.log(arrays.flux),
                                    arrays.relative_covariance, 0.1 * number, reddening_error=0.02)
    curve = extinction_curve(arrays.wavelength)
    dense.change(0.1 * number * curve)
    dense.widen(0.02 * curve)
    flux = np.exp(log_flux) * (FLAM if arrays.absolute else u.dimensionless_unscaled)
    plain = Spectrum(spectral_axis=arrays.wavelength * u.AA, flux=flux, meta=sed.meta)
    return with_covariance(plain, covariance.scaled(flux.value))


def anchored(sed, dense, number):
    result = anchor(sed, 15.0 * u.ABmag, BANDS["green"], magnitude_error=0.01 * number * u.mag)
    dense.anchor(0.01 * number)
    return result


def resampled(sed, dense, number):
    dense.broken = True
    sed = sed.with_spectral_axis_unit(u.AA)
    resample = (FluxConservingResampler, LinearInterpolatedResampler)[int(number) % 2]()
    return resample(sed, np.linspace(4100.0, 6900.0, 200) * u.AA)


def smoothed(sed, dense, number):
    dense.broken = True
    return box_smooth(sed, 3)


def added(sed, dense, number):
    dense.broken = True
    return sed + sed


#: Operations by name.
CHANGES = {one.__name__: one for one in (
    scale, divided, curve, cut, region, turned, copied, masked, single, flux_unit, axis_unit,
    absolute, written, redden, uncertain_dust, anchored, resampled, smoothed, added)}


@cache
def whole():
    """An SED of the demo star, and the dense covariance of ln(flux) beside it."""
    wavelength, flux = base()[:2]
    spectrum = Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.ct)
    sed = predict_sed(spectrum, model=base()[3])
    return sed, sed.meta["sedflux"]["errors"].covariance.to_dense()


def run(case):
    """Do all that the case names, and compare the errors of the photometry; the outcome."""
    rng = np.random.default_rng(case.seed)
    sed, covariance = whole()
    dense = Dense(sed.spectral_axis.value, np.log(sed.flux.value), covariance)
    for name in case.changes:
        try:
            sed = CHANGES[name](sed, dense, rng.uniform(0.5, 3.0))
        except InputError as error:
            if not dense.broken:
                raise Violation(f"{name} is refused", error) from error
            _check_reason(error)
            return "refused"
    if dense.broken:
        _check_refused(sed)
        return "refused"
    found, expected = synthetic_photometry(sed, BANDS), dense.errors()
    if sed.flux.unit == u.dimensionless_unscaled:
        matrix = np.eye(3) - np.eye(3)[0]
        expected = matrix @ expected @ matrix.T
    limit = 1e-6 * (np.abs(expected) + expected.max())
    if not (np.abs(found.covariance - expected) <= limit).all():
        raise Violation("errors differ from the dense ones",
                        f"{np.abs(found.covariance - expected).max() / expected.max():.1e}")
    return "predicted"


def _check_refused(sed):
    """No function of sedflux takes an SED whose covariance is lost."""
    for use in (lambda: synthetic_photometry(sed, BANDS), lambda: covariance_of(sed),
                lambda: anchor(sed, 15.0 * u.ABmag, BANDS["green"], magnitude_error=0.0 * u.mag)):
        try:
            use()
        except InputError as error:
            _check_reason(error)
        else:
            raise Violation("a lost covariance is used", use)


def _check_reason(error):
    """Why an SED without its covariance is refused; beyond its ends a resampled one is NaN."""
    if "covariance" not in str(error) and "finite flux" not in str(error):
        raise Violation("refused for another reason", error) from error
