"""
Photometry through synphot, with the errors that synphot drops.

Band fluxes are linear in the SED, so each band is one row of numbers; with the
covariance of the SED they give errors and correlations between bands.  The means
are those of `synphot.Observation`, to rounding.  AB magnitudes and count rates only:
both work offline.
"""

from dataclasses import dataclass

import numpy as np
from astropy import units as u

from sedflux.covariance import LowRankCovariance, positive_part
from sedflux.exceptions import InputError
from sedflux.spectra.grids import interpolation_matrix
from sedflux.spectra.sed import RelativeErrors, from_sed
from sedflux.spectra.spectrum import sed_to_spectrum
from sedflux.units import FLAM, PHOTON_ENERGY, plain_number, positive_number

__all__ = ["SyntheticPhotometry", "anchor", "synthetic_photometry", "to_source_spectrum"]

_MAG_PER_LN = 2.5 / np.log(10.0)
#: Share of a band's throughput that may lie outside the SED.
_OUTSIDE = 0.005
#: AB magnitudes that a source can have, and errors that still say something.
_BRIGHTEST, _FAINTEST, _LARGEST_ERROR = -50.0, 100.0, 10.0


@dataclass(frozen=True)
class SyntheticPhotometry:
    """
    Photometry in m bands.

    Attributes
    ----------
    bands : tuple of str
    value : `~astropy.units.Quantity`, shape (m,)
        AB magnitudes, or counts a second.
    covariance : `~numpy.ndarray`, shape (m, m)
        In the square of the unit of ``value``.
    """

    bands: tuple[str, ...]
    value: u.Quantity
    covariance: np.ndarray

    @property
    def sigma(self):
        """Standard deviations, in the unit of ``value``'s differences."""
        unit = u.mag if self.value.unit == u.ABmag else self.value.unit
        return np.sqrt(np.diag(self.covariance)) * unit

    def color(self, first, second):
        """
        Difference of two magnitudes and its error, with their correlation.

        Returns
        -------
        color, error : `~astropy.units.Quantity`
        """
        i, j = self.bands.index(first), self.bands.index(second)
        variance = self.covariance[i, i] + self.covariance[j, j] - 2.0 * self.covariance[i, j]
        difference = (self.value[i].value - self.value[j].value) * u.mag
        # Of two bands that err alike, rounding alone is left.
        return difference, np.sqrt(max(float(variance), 0.0)) * u.mag


def to_source_spectrum(sed):
    """
    Turn an SED into a synphot source.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        A relative flux counts as erg/s/cm2/Angstrom.

    Returns
    -------
    source : `synphot.SourceSpectrum`
    """
    from synphot import SourceSpectrum
    from synphot.models import Empirical1D

    arrays = from_sed(sed)
    return SourceSpectrum(Empirical1D, points=arrays.wavelength * u.AA,
                          lookup_table=arrays.flux * FLAM)


def _named_bands(bandpasses):
    """Bands as a dictionary of name to SpectralElement."""
    from synphot import SpectralElement

    if isinstance(bandpasses, SpectralElement):
        bandpasses = [bandpasses]
    if not isinstance(bandpasses, (dict, list, tuple)):
        raise InputError(f"bandpasses is {bandpasses!r}; give a synphot.SpectralElement, or a list "
                         "or dictionary of them")
    if not isinstance(bandpasses, dict):
        bandpasses = {str(band.meta.get("expr", f"band {i}")) if hasattr(band, "meta")
                      else f"band {i}": band for i, band in enumerate(bandpasses)}
    for name, band in bandpasses.items():
        if not isinstance(band, SpectralElement) or band.waveset is None:
            raise InputError(
                f"bandpass {name!r} is a {type(band).__name__}; give synphot.SpectralElement "
                "with a defined range of wavelengths"
            )
    if not bandpasses:
        raise InputError("bandpasses is empty; give at least one synphot.SpectralElement")
    return bandpasses


def _band_samples(wavelength, band, name):
    """Wavelengths at which synphot integrates the band, and the throughput there."""
    from synphot.utils import merge_wavelengths

    own = band.waveset.to_value(u.AA)
    passed = band(own * u.AA).value
    outside = (own < wavelength[0]) | (own > wavelength[-1])
    total = np.trapezoid(passed, own)
    if not total > 0 or np.trapezoid(np.where(outside, passed, 0.0), own) > _OUTSIDE * total:
        open_at = own[passed > 0] if (passed > 0).any() else own
        raise InputError(
            f"bandpass {name!r} covers {open_at.min():.0f}-{open_at.max():.0f} Angstrom, the SED "
            f"{wavelength[0]:.0f}-{wavelength[-1]:.0f}: the band must lie inside"
        )
    x = merge_wavelengths(wavelength, own)
    return x, band(x * u.AA).value, own, passed


def _trapezoid_weights(x):
    step = np.diff(x)
    return 0.5 * (np.r_[step, 0.0] + np.r_[0.0, step])


def _flux_row(wavelength, band, name):
    """Row of the mean F_lambda in the band, weighted by photons, and the pivot wavelength."""
    x, passed, own, own_passed = _band_samples(wavelength, band, name)
    # synphot interpolates photons, lambda F_lambda, between the samples of the SED.
    photons = interpolation_matrix(wavelength, x)
    row = ((_trapezoid_weights(x) * passed) @ photons) * wavelength
    return row / np.trapezoid(own * own_passed, own), band.pivot().to_value(u.AA)


def _count_row(wavelength, band, name, area):
    """Row of the count rate for a collecting area in cm2."""
    from synphot.binning import calculate_bin_edges, calculate_bin_widths

    x, passed, *_ = _band_samples(wavelength, band, name)
    width = calculate_bin_widths(calculate_bin_edges(x * u.AA)).to_value(u.AA)
    row = (width * passed) @ interpolation_matrix(wavelength, x)
    return area * row * wavelength / PHOTON_ENERGY


def synthetic_photometry(sed, bandpasses, *, unit=u.ABmag, area=None):
    """
    Magnitudes or count rates of an SED, with errors and their correlations.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        From `sedflux.predict_sed` or `anchor`; the magnitudes of a relative SED have
        an arbitrary zero point, its colours do not.
    bandpasses : `synphot.SpectralElement`, sequence or dict of them
        Inside the range of the SED.  synphot carries the last value of a table on for
        ever, and so does this: a table must end at zero (see
        `synphot.SpectralElement.taper`), or it leaks.
    unit : `~astropy.units.Unit`, optional
        ``u.ABmag`` or ``u.ct`` (counts a second).
    area : `~astropy.units.Quantity`, optional
        Collecting area, for counts.

    Returns
    -------
    photometry : `SyntheticPhotometry`

    Raises
    ------
    sedflux.exceptions.InputError
        If a band leaves the SED, or the unit or area cannot be used.

    Examples
    --------
    >>> from synphot import SpectralElement
    >>> from synphot.models import Box1D
    >>> from sedflux import predict_sed, synthetic_photometry
    >>> from sedflux.demo import demo_spectrum
    >>> bands = {"blue": SpectralElement(Box1D, x_0=4500, width=500),
    ...          "red": SpectralElement(Box1D, x_0=6500, width=500)}
    >>> color, error = synthetic_photometry(predict_sed(demo_spectrum()), bands).color(
    ...     "blue", "red")
    >>> bool(0.0 < color.value < 0.6), bool(error.value < 0.1)
    (True, True)
    """
    if not isinstance(unit, (u.UnitBase, u.function.FunctionUnitBase)):
        unit = str(unit)
    arrays = from_sed(sed)
    bands = _named_bands(bandpasses)
    covariance = arrays.relative_covariance.scaled(arrays.flux)
    if unit == u.ABmag:
        rows, pivots = zip(*(_flux_row(arrays.wavelength, band, name)
                             for name, band in bands.items()), strict=True)
        rows, pivots = np.stack(rows), np.array(pivots)
        value = rows @ arrays.flux
        magnitude = (value * FLAM).to(u.ABmag, u.spectral_density(pivots * u.AA))
        scale = _MAG_PER_LN / value
    elif unit == u.ct:
        if not isinstance(area, u.Quantity):
            raise InputError(f"area is {area!r}; count rates need a collecting area, as u.cm**2")
        size = positive_number(area, "area, the collecting area,", u.cm**2)
        rows = np.stack([_count_row(arrays.wavelength, band, name, size)
                         for name, band in bands.items()])
        magnitude = rows @ arrays.flux * u.ct / u.s
        scale = np.ones(len(rows))
    else:
        raise InputError(f"unit is {unit}; u.ABmag and u.ct are allowed (the spectrum of Vega is "
                         "not at hand offline)")
    factor = rows @ covariance.factor.T
    dense = factor @ factor.T + (rows * covariance.diagonal) @ rows.T
    return SyntheticPhotometry(tuple(bands), magnitude, dense * np.outer(scale, scale))


def _ab_magnitude(magnitude):
    """Number of an AB magnitude that a source can have."""
    value = np.asarray(getattr(magnitude, "value", np.nan))
    if getattr(magnitude, "unit", None) != u.ABmag or value.ndim or not (
            _BRIGHTEST <= value <= _FAINTEST):
        raise InputError(f"magnitude is {magnitude!r}; give an AB magnitude from {_BRIGHTEST:g} to "
                         f"{_FAINTEST:g}, as 12.3 * u.ABmag")
    return float(value)


def anchor(sed, magnitude, bandpass, *, magnitude_error=0.0 * u.mag):
    """
    Put an SED on an absolute scale by one AB magnitude.

    The covariance becomes that of a flux which is known in the band: errors of the
    SED that the magnitude removes are taken out, and the magnitude's own error is
    common to all wavelengths.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        From `sedflux.predict_sed`.
    magnitude : `~astropy.units.Quantity`
        AB magnitude, such as ``12.3 * u.ABmag``.
    bandpass : `synphot.SpectralElement`
    magnitude_error : `~astropy.units.Quantity`, optional
        In mag.

    Returns
    -------
    sed : type of ``sed``
        In erg/s/cm2/Angstrom.
    """
    arrays = from_sed(sed)
    brightness = _ab_magnitude(magnitude)
    error = plain_number(magnitude_error, "magnitude_error", u.mag)
    if not 0 <= error <= _LARGEST_ERROR:
        raise InputError(f"magnitude_error is {magnitude_error!r}; it must be 0 mag or more, and "
                         f"{_LARGEST_ERROR:g} mag at the most")
    bands = _named_bands(bandpass)
    if len(bands) != 1:
        raise InputError(f"bandpass holds {len(bands)} bands; one magnitude needs one")
    (name, band), = bands.items()
    row, pivot = _flux_row(arrays.wavelength, band, name)
    wanted = magnitude.to_value(FLAM, u.spectral_density(pivot * u.AA))
    flux = arrays.flux * (wanted / (row @ arrays.flux))
    share = row * arrays.flux / (row @ arrays.flux)
    covariance = arrays.relative_covariance
    factor = covariance.factor - (covariance.factor @ share)[:, None]
    # The independent part D minus its mean in the band: D - Dw 1' - 1 (Dw)' + (w'Dw) 1 1'.
    own = share * covariance.diagonal
    rank = len(factor)
    core = np.eye(rank + 2)
    core[rank:, rank:] = [[0.0, -1.0], [-1.0, share @ own + (error / _MAG_PER_LN) ** 2]]
    rows = np.vstack([factor, own, np.ones_like(own)])
    relative = LowRankCovariance(covariance.diagonal, positive_part(rows, core))
    absolute = relative.scaled(flux)
    # What is known of the origin of errors, relative to the band that fixes the scale.
    parts = {name: direction - share @ direction for name, direction in arrays.parts.items()}
    parts["anchor"] = np.full(len(flux), error / _MAG_PER_LN)
    meta = dict((sed.meta or {}).get("sedflux", {})) | {
        "errors": RelativeErrors(arrays.wavelength, relative, parts), "covariance": absolute,
        "parts": parts}
    cards = {card.keyword: (card.value, card.comment)
             for card in getattr(sed.meta.get("header"), "cards", [])}
    cards |= {"SEDNORM": (f"AB {brightness:.4f}", "magnitude that fixes the scale"),
              "SEDMAGER": (error, "[mag] its error")}
    return sed_to_spectrum(type(sed), arrays.wavelength * u.AA, flux, absolute.sigma,
                           meta=meta, header=cards, unit=FLAM)
