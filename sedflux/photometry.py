"""
Photometry through synphot, with the errors that synphot drops.

Band fluxes are linear in the SED, so each band is one row of numbers; with the
covariance of the SED they give errors and correlations between bands.  The means
are those of `synphot.Observation`, to rounding.  AB magnitudes and count rates only:
both work offline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u

from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.spectra.grids import interpolation_matrix
from sedflux.spectra.sed import RelativeErrors, flux_of, from_sed, notes_of
from sedflux.spectra.spectrum import sed_to_spectrum
from sedflux.units import FLAM, MAG_PER_LN, PHOTON_ENERGY, plain_number, positive_number

__all__ = ["SyntheticPhotometry", "anchor", "band_rows", "synthetic_photometry",
           "to_source_spectrum"]

#: Share of a band's throughput that may lie outside the SED.
_SHARE_OUTSIDE = 0.005
#: AB magnitudes that a source can have.
_BRIGHTEST, _FAINTEST = -50.0, 100.0
#: Largest error of a magnitude (mag): a factor of 10000 in flux.
MAX_MAGNITUDE_ERROR = 10.0
#: What a band may be, for messages.
_WANTED = "a throughput (sedflux.read_throughput reads files) or a synphot.SpectralElement"


@dataclass(frozen=True, eq=False)
class SyntheticPhotometry:
    """
    Photometry in m bands.

    Attributes
    ----------
    bands : tuple of str
    value : `~astropy.units.Quantity`, shape (m,)
        AB magnitudes, or counts per second.  Of a relative SED the AB colours, in mag: the
        magnitudes minus that of the first band.
    covariance : `~numpy.ndarray`, shape (m, m)
        In the square of the unit of ``value``.
    """

    bands: tuple[str, ...]
    value: u.Quantity
    covariance: np.ndarray

    @property
    def sigma(self) -> u.Quantity:
        """Standard deviations, in the unit of ``value``'s differences."""
        unit = u.mag if self.value.unit == u.ABmag else self.value.unit
        # Where a magnitude leaves no error, rounding leaves less.
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0)) * unit

    def color(self, first: str, second: str) -> tuple[u.Quantity, u.Quantity]:
        """
        Difference of two magnitudes and its error, with their correlation.

        Parameters
        ----------
        first, second : str
            Names of bands.

        Returns
        -------
        color, error : `~astropy.units.Quantity`

        Raises
        ------
        sedflux.exceptions.InputError
            If a band is unknown, or the values are counts.
        """
        for name in (first, second):
            if name not in self.bands:
                raise InputError(f"band {name!r} is unknown; choose from {', '.join(self.bands)}")
        if self.value.unit not in (u.ABmag, u.mag):
            raise InputError(f"value has the unit {self.value.unit}; colours need magnitudes")
        i, j = self.bands.index(first), self.bands.index(second)
        variance = self.covariance[i, i] + self.covariance[j, j] - 2.0 * self.covariance[i, j]
        difference = (self.value[i].value - self.value[j].value) * u.mag
        # Of two bands that err alike, rounding alone is left.
        return difference, np.sqrt(max(float(variance), 0.0)) * u.mag


def to_source_spectrum(sed: Any) -> Any:
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

    wavelength, flux, _ = flux_of(sed)
    order = np.argsort(wavelength)
    return SourceSpectrum(Empirical1D, points=wavelength[order] * u.AA,
                          lookup_table=flux[order] * FLAM)


def _named_bands(bandpasses):
    """Bands as a dictionary of name to SpectralElement."""
    from synphot import SpectralElement

    bandpasses = _element(bandpasses)
    if isinstance(bandpasses, SpectralElement):
        bandpasses = [bandpasses]
    if not isinstance(bandpasses, (Mapping, list, tuple)):
        raise InputError(f"bandpasses is {bandpasses!r}; give {_WANTED}, or a list or dictionary "
                         "of them")
    if not isinstance(bandpasses, Mapping):
        bandpasses = _by_name(bandpasses)
    bandpasses = {name: _element(band) for name, band in bandpasses.items()}
    for name, band in bandpasses.items():
        if not isinstance(band, SpectralElement) or band.waveset is None:
            raise InputError(f"bandpass {name!r} is a {type(band).__name__}; give {_WANTED} with a "
                             "defined range of wavelengths")
    if not bandpasses:
        raise InputError("bandpasses is empty; give at least one synphot.SpectralElement")
    return bandpasses


def _element(band):
    """A throughput of an instrument, or a response, as a `synphot.SpectralElement`."""
    return band.to_synphot() if hasattr(band, "to_synphot") else band


def _by_name(bandpasses):
    """Bands by the expression in their meta data, or by number where these are not unique."""
    numbers = [f"band {number}" for number in range(len(bandpasses))]
    names = [str(getattr(band, "meta", {}).get("expr", number))
             for number, band in zip(numbers, bandpasses, strict=True)]
    unique = len(set(names)) == len(names)
    return dict(zip(names if unique else numbers, bandpasses, strict=True))


def _band_samples(wavelength, band, name):
    """Wavelengths at which synphot integrates the band, and the throughput there."""
    from synphot.utils import merge_wavelengths

    own = band.waveset.to_value(u.AA)
    passed = band(own * u.AA).value
    outside = (own < wavelength[0]) | (own > wavelength[-1])
    total = np.trapezoid(passed, own)
    if not total > 0 or np.trapezoid(np.where(outside, passed, 0.0), own) > _SHARE_OUTSIDE * total:
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


def band_rows(wavelength: np.ndarray, bandpasses: Any
              ) -> tuple[tuple[str, ...], tuple[np.ndarray, np.ndarray]]:
    """
    Bands as rows that are multiplied with fluxes, for many SEDs on one grid.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`, shape (n,)
        Of the SEDs, in Angstrom, ascending.
    bandpasses : `synphot.SpectralElement`, sequence or dict of them

    Returns
    -------
    names : tuple of str
    rows : tuple of `~numpy.ndarray`, shapes (m, n) and (m,)
        ``-2.5 log10(rows @ flux) + zero_points`` are the AB magnitudes of F_lambda in
        erg/s/cm2/Angstrom.
    """
    bands = _named_bands(bandpasses)
    found = [_flux_row(wavelength, band, name) for name, band in bands.items()]
    pivots = np.array([pivot for _, pivot in found])
    zero_points = (1.0 * FLAM).to_value(u.ABmag, u.spectral_density(pivots * u.AA))
    return tuple(bands), (np.stack([row for row, _ in found]), zero_points)


def band_magnitudes(rows: np.ndarray, zero_points: np.ndarray, flux: np.ndarray
                    ) -> tuple[np.ndarray, np.ndarray]:
    """
    Magnitudes of one or many SEDs, and their derivatives.

    Parameters
    ----------
    rows : `~numpy.ndarray`, shape (m, n)
    zero_points : `~numpy.ndarray`, shape (m,)
        From `band_rows`.
    flux : `~numpy.ndarray`, shape (n,) or (N, n)

    Returns
    -------
    magnitudes : `~numpy.ndarray`, shape (m,) or (N, m)
    derivatives : `~numpy.ndarray`, shape (m, n) or (N, m, n)
        Of the magnitudes with respect to the flux.
    """
    mean = (rows @ flux.T).T
    return zero_points - 2.5 * np.log10(mean), rows * (-MAG_PER_LN / mean)[..., None]


def synthetic_photometry(sed: Any, bandpasses: Any, *, unit: u.UnitBase = u.ABmag,
                         area: u.Quantity | None = None) -> SyntheticPhotometry:
    """
    Magnitudes, colours or count rates of an SED, with errors and their correlations.

    Parameters
    ----------
    sed : `~specutils.Spectrum`
        With its covariance: from `sedflux.predict_sed`, `anchor`, a file of theirs, or
        `sedflux.with_covariance`.  A relative SED has colours alone: two bands or more.
    bandpasses : `synphot.SpectralElement`, sequence or dict of them
        Or `~sedflux.slitless.throughput.Throughput`, as `sedflux.read_throughput` gives it.
        Inside the range of the SED.  synphot carries the last value of a table on for
        ever, and so does this: a table must end at zero (see
        `synphot.SpectralElement.taper`), or it leaks.
    unit : `~astropy.units.Unit`, optional
        ``u.ABmag`` or ``u.ct`` (counts per second).
    area : `~astropy.units.Quantity`, optional
        Collecting area, for counts.

    Returns
    -------
    photometry : `SyntheticPhotometry`

    Raises
    ------
    sedflux.exceptions.InputError
        If a band leaves the SED, the unit or area cannot be used, the SED has no covariance
        that belongs to it, or is relative where an absolute flux is needed.

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
    if unit not in (u.ABmag, u.ct):
        raise InputError(f"unit is {unit}; u.ABmag and u.ct are allowed (the spectrum of Vega is "
                         "not at hand offline)")
    if unit == u.ct:
        if not isinstance(area, u.Quantity):
            raise InputError(f"area is {area!r}; count rates need a collecting area, as u.cm**2")
        size = positive_number(area, "area, the collecting area,", u.cm**2)
        rows = np.stack([_count_row(arrays.wavelength, band, name, size)
                         for name, band in bands.items()])
        value = rows @ arrays.flux * u.ct / u.s
    else:
        _, (rows, zero_points) = band_rows(arrays.wavelength, bands)
        magnitudes, rows = band_magnitudes(rows, zero_points, arrays.flux)
        value = magnitudes * u.ABmag
    if not arrays.absolute:
        if unit == u.ct or len(rows) < 2:
            raise InputError("sed is relative: it has colours, of two bands or more, but no "
                             "magnitudes or counts; put it on an absolute scale with "
                             "sedflux.anchor")
        # The scale of a relative SED is arbitrary; differences of magnitudes are not.
        value, rows = (value.value - value.value[0]) * u.mag, rows - rows[0]
    covariance = arrays.relative_covariance.scaled(arrays.flux)
    return SyntheticPhotometry(tuple(bands), value, covariance.times(rows) @ rows.T)


def _ab_magnitude(magnitude):
    """Number of an AB magnitude that a source can have."""
    value = np.asarray(getattr(magnitude, "value", np.nan))
    if getattr(magnitude, "unit", None) != u.ABmag or value.ndim or not (
            _BRIGHTEST <= value <= _FAINTEST):
        raise InputError(f"magnitude is {magnitude!r}; give an AB magnitude from {_BRIGHTEST:g} to "
                         f"{_FAINTEST:g}, as 12.3 * u.ABmag")
    return float(value)


def _anchored(covariance, share, variance):
    """(1 - 1 w^T) C (1 - w 1^T) + variance 1 1^T: of ln(flux) that is known in a band w."""
    factor, removed = (rows - (rows @ share)[:, None]
                       for rows in (covariance.factor, covariance.removed))
    # Of the independent part D: D - Dw 1^T - 1 (Dw)^T + (w^T D w + variance) 1 1^T.
    own = share * covariance.diagonal
    scale = share @ own + variance
    if scale > 0:
        factor = np.vstack([factor, np.sqrt(scale) * (1.0 - own / scale)])
        removed = np.vstack([removed, own / np.sqrt(scale)])
    return LowRankCovariance(covariance.diagonal, factor, removed)


def anchor(sed: Any, magnitude: u.Quantity, bandpass: Any, *,
           magnitude_error: u.Quantity = 0.0 * u.mag) -> Any:
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
    bandpass : `synphot.SpectralElement` or `~sedflux.slitless.throughput.Throughput`
    magnitude_error : `~astropy.units.Quantity`, optional
        In mag.

    Returns
    -------
    sed : type of ``sed``
        In erg/s/cm2/Angstrom.

    Raises
    ------
    sedflux.exceptions.InputError
        If the magnitude or its error cannot be used, the band leaves the SED, or the SED has
        no covariance that belongs to it.
    """
    arrays = from_sed(sed)
    brightness = _ab_magnitude(magnitude)
    error = plain_number(magnitude_error, "magnitude_error", u.mag)
    if not 0 <= error <= MAX_MAGNITUDE_ERROR:
        raise InputError(f"magnitude_error is {magnitude_error!r}; it must be 0 mag or more, and "
                         f"{MAX_MAGNITUDE_ERROR:g} mag at the most")
    bands = _named_bands(bandpass)
    if len(bands) != 1:
        raise InputError(f"bandpass holds {len(bands)} bands; one magnitude needs one")
    (name, band), = bands.items()
    row, pivot = _flux_row(arrays.wavelength, band, name)
    wanted = magnitude.to_value(FLAM, u.spectral_density(pivot * u.AA))
    flux = arrays.flux * (wanted / (row @ arrays.flux))
    share = row * arrays.flux / (row @ arrays.flux)
    relative = _anchored(arrays.relative_covariance, share, (error / MAG_PER_LN) ** 2)
    absolute = relative.scaled(flux)
    # What is known of the origin of errors, relative to the band that fixes the scale.
    parts = {name: direction - share @ direction for name, direction in arrays.parts.items()}
    parts["anchor"] = np.full(len(flux), error / MAG_PER_LN)
    notes, cards = notes_of(sed)
    meta = notes | {"errors": RelativeErrors(arrays.wavelength, relative, parts)}
    cards |= {
        "SEDNORM": ("magnitude", "the flux is absolute, by SEDMAG in SEDBAND"),
        "SEDMAG": (brightness, "[mag] AB magnitude that fixes the scale"),
        "SEDMAGER": (error, "[mag] its error"),
        "SEDBAND": (name[:60], "its band"),
        "SEDPIVOT": (pivot, "[Angstrom] pivot wavelength of the band")}
    return sed_to_spectrum(type(sed), arrays.wavelength * u.AA, flux, absolute.sigma,
                           meta=meta, header=cards, unit=FLAM)
