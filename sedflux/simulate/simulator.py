"""
Simulated fields of stars in a slitless survey.

Stars come from a library of spectra or from the references of a model.  The SEDs of the
references are predicted from noisy copies of their spectra, and their true SEDs are drawn
from the predicted covariance.  Each star then gets an R = 2000 spectrum, a predicted SED, dust, a
magnitude, and counts through throughput and line-spread function.  Every step has its errors,
and some stars are outliers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from astropy import constants
from astropy import units as u
from astropy.table import Table, vstack

from sedflux.exceptions import InputError
from sedflux.photometry import anchor
from sedflux.simulate.detector import BandOperators, contaminating_light, noisy_rates
from sedflux.simulate.field import SimulatedField
from sedflux.simulate.settings import OUTLIER_KINDS, FieldSettings
from sedflux.simulate.stars import LibraryStars, ModelStars, single_predictor
from sedflux.simulate.white_dwarfs import WhiteDwarfs, WhiteDwarfStars, checked_white_dwarfs
from sedflux.slitless.instrument import SlitlessBand
from sedflux.slitless.throughput import Throughput
from sedflux.spectra.grids import pixel_edges
from sedflux.spectra.reddening import extinction_curve
from sedflux.units import whole_number

__all__ = ["Simulator", "simulate_field"]

#: Limits (Angstrom) of the band of the AB magnitudes, a flat band near r.
_ANCHOR_BAND = (5600.0, 7000.0)
#: Samples of that band, one every 10 Angstrom, and the width of its edges in Angstrom.
_ANCHOR_SAMPLES, _ANCHOR_EDGE = 141, 1e-3
#: Zero point of AB magnitudes for F_nu in erg/s/cm2/Hz (Oke & Gunn 1983).
_AB_ZERO_POINT = 48.6
#: Star counts grow with magnitude m as 10^(0.3 m): a round number, half of the slope for a uniform
#: density in space, because the density of the disc decreases with distance.
_COUNTS_SLOPE = 0.3
#: Largest change of ln(throughput) over a field, far beyond useful values.
_LARGEST_CHANGE = 20.0
#: Known E(B-V) is at least this many standard errors, so that true values below zero are rare.
_LEAST_EBV = 3.0
#: Ranges for outliers, in round numbers: change of ln(flux) of variable stars, and additional
#: E(B-V) of stars with wrong dust.
_VARIABILITY, _HIDDEN_EBV = (0.1, 0.5), (0.1, 0.3)


class Simulator:
    """
    Simulator of fields with the same bands, settings and model.

    Operators of the bands and spectra of the stars are computed once for all fields.

    Parameters
    ----------
    bands : mapping of str to `~sedflux.SlitlessBand`
        With throughputs, of one instrument.
    settings : `FieldSettings`, optional
    library : `~sedflux.libraries.SpectralLibrary`, optional
        Source of the stars; by default, the references of the model.
    model : str, path-like or `~sedflux.Predictor`, optional
        For the predicted SEDs; by default, the packaged model.
    response : callable, optional
        Change of the throughput over the field.  ``response(wavelength, star)`` returns the
        change of ln(throughput) at wavelengths in Angstrom, shape (m,), for a row of the
        truth table.
    white_dwarfs : `~sedflux.simulate.white_dwarfs.WhiteDwarfs` or int, optional
        Hydrogen white dwarfs beside the ordinary stars, or how many; none if not given.

    Examples
    --------
    >>> from sedflux import get_instrument
    >>> from sedflux.simulate.settings import FieldSettings
    >>> from sedflux.simulate.simulator import Simulator
    >>> band = get_instrument("lookalike").bands["GV"]
    >>> simulator = Simulator({"GV": band}, FieldSettings(outliers=0.0))
    >>> fields = [simulator.draw(3, seed=seed) for seed in range(2)]
    >>> [len(field.seds) for field in fields]
    [3, 3]
    """

    def __init__(self, bands: Mapping[str, SlitlessBand], settings: FieldSettings | None = None, *,
                 library: Any = None, model: Any = None,
                 response: Callable[[np.ndarray, Any], np.ndarray] | None = None,
                 white_dwarfs: WhiteDwarfs | int | None = None) -> None:
        self.bands = _checked_bands(bands)
        if response is not None and not callable(response):
            raise InputError(f"response is a {type(response).__name__}; a function of wavelength "
                             "and star is needed")
        self.settings = _checked_settings(settings)
        self.predictor = single_predictor(model)
        teff, prior = self.settings.teff, self.settings.prior
        self.source: LibraryStars | ModelStars
        if library is None:
            self.source = ModelStars(self.predictor, teff=teff, prior=prior)
        else:
            self.source = LibraryStars(library, teff=teff, prior=prior)
        self.white_dwarfs = checked_white_dwarfs(white_dwarfs)
        self._dwarfs = None if self.white_dwarfs is None else WhiteDwarfStars(
            self.white_dwarfs, self.source.wavelength, self.source.resolving_power)
        self._log_throughput_change = response
        self._operators = {name: BandOperators(band, self.source)
                           for name, band in self.bands.items()}

    def draw(self, size: int, *, seed: int, detectors: Sequence[str] = ("1",)) -> SimulatedField:
        """
        Simulate a field of stars.

        Parameters
        ----------
        size : int
            Number of stars.
        seed : int
            Of the random numbers, 0 or more.
        detectors : sequence of str, optional
            Names of the detectors, among which stars are distributed at random.

        Returns
        -------
        field : `SimulatedField`
        """
        size = whole_number(size, "size", least=1)
        if isinstance(detectors, (str, bytes)) or np.ndim(detectors) != 1 or not isinstance(
                detectors, (Sequence, np.ndarray)) or not len(detectors):
            raise InputError(f"detectors is {detectors!r}; a sequence of names is needed, such as "
                             "('1', '2')")
        rng = np.random.default_rng(whole_number(seed, "seed"))
        groups = [self._ordinary(size, rng, detectors)]
        number = 0 if self.white_dwarfs is None else self.white_dwarfs.draw_number(rng)
        if number:
            groups.append(self._white(number, rng, detectors))
        truths, fluxes, predictions = zip(*groups, strict=True)
        truth, flux = vstack(truths), np.concatenate(fluxes)
        band = _anchor_band()
        seds = [self._anchored(prediction[row], star, band, rng)
                for prediction, part in zip(predictions, truths, strict=True)
                for row, star in enumerate(part)]
        counts = {name: self._counts(name, flux, truth, rng) for name in self.bands}
        return SimulatedField(self.bands, counts, seds, truth, self.source.wavelength, flux)

    def _snr(self, size, rng):
        """S/N per pixel of the input spectra."""
        low, high = np.log(self.settings.snr)
        return np.exp(rng.uniform(low, high, size))

    def _ordinary(self, size, rng, detectors):
        """Truth, absolute true SEDs, and reddened predictions of the ordinary stars."""
        snr = self._snr(size, rng)
        rows, prediction, flux = self.source.draw(size, snr, self.predictor, rng)
        truth = self._truth(self.source.labels, rows, snr, rng, detectors)
        return truth, self._absolute(flux, truth), self._reddened(prediction, truth)

    def _white(self, size, rng, detectors):
        """The same of white dwarfs."""
        snr = self._snr(size, rng)
        rows, magnitude, prediction, flux = self._dwarfs.draw(size, snr, rng)
        truth = self._truth(self._dwarfs.labels, rows, snr, rng, detectors)
        truth["magnitude"] = magnitude
        truth["name"] = [f"dwarf{row:04d}" for row in range(size)]
        truth["kind"] = "white dwarf"
        return truth, self._absolute(flux, truth), self._reddened(prediction, truth)

    def _reddened(self, prediction, truth):
        """Predictions behind the dust that is known."""
        return prediction.reddened(np.asarray(truth["known_ebv"]),
                                   reddening_error=self.settings.ebv_error)

    def _truth(self, labels, rows, snr, rng, detectors):
        """Table of the true properties of the stars."""
        size, settings = len(rows), self.settings
        low, high = (10 ** (_COUNTS_SLOPE * value) for value in settings.magnitudes)
        outlier = np.full(size, "", dtype="U16")
        chosen = rng.permutation(size)[: round(settings.outliers * size)]
        outlier[chosen] = [OUTLIER_KINDS[i % len(OUTLIER_KINDS)] for i in range(len(chosen))]
        labels = labels[rows]
        width, height = next(iter(self.bands.values())).detector_size
        # The known E(B-V) is so far from zero that few true values are clipped at zero.
        known = _LEAST_EBV * settings.ebv_error + settings.ebv_scale * rng.exponential(1.0, size)
        ebv = np.maximum(known + rng.normal(0.0, settings.ebv_error, size), 0.0)
        return Table({
            "name": [f"star{row:04d}" for row in range(size)],
            "kind": np.full(size, "star", dtype="U11"), "model": rows,
            "teff": labels[:, 0], "logg": labels[:, 1], "mh": labels[:, 2], "snr": snr,
            "magnitude": np.log10(rng.uniform(low, high, size)) / _COUNTS_SLOPE,
            "ebv": ebv, "known_ebv": known,
            "x": rng.uniform(0.0, width, size), "y": rng.uniform(0.0, height, size),
            "detector": rng.choice(np.array(detectors, dtype=str), size),
            "epoch": rng.uniform(0.0, 1.0, size), "outlier": outlier,
            "variable": np.where(outlier == "variable", rng.choice([-1.0, 1.0], size)
                                 * rng.uniform(*_VARIABILITY, size), 0.0),
            "hidden_ebv": np.where(outlier == "wrong dust", rng.uniform(*_HIDDEN_EBV, size),
                                   0.0)})

    def _absolute(self, flux, truth):
        """True SEDs, reddened and scaled to their magnitudes."""
        wavelength = self.source.wavelength
        dust = np.asarray(truth["ebv"] + truth["hidden_ebv"])
        flux = flux * np.exp(np.multiply.outer(dust, extinction_curve(wavelength)))
        inside = (wavelength > _ANCHOR_BAND[0]) & (wavelength < _ANCHOR_BAND[1])
        x = wavelength[inside]
        # AB magnitudes measure the photon-weighted mean of F_nu.  `anchor` cannot be used here,
        # because it needs a covariance, which true SEDs do not have.
        mean = np.trapezoid(flux[:, inside] * x, x) / np.trapezoid(1.0 / x, x)
        wanted = 10 ** (-0.4 * (np.asarray(truth["magnitude"]) + _AB_ZERO_POINT))
        wanted = wanted * constants.c.to_value(u.AA / u.s)
        return flux * (wanted / mean)[:, None]

    def _anchored(self, prediction, star, band, rng):
        """A predicted, reddened SED scaled to a measured magnitude."""
        error = self.settings.magnitude_error
        magnitude = float(star["magnitude"] + rng.normal(0.0, error))
        return anchor(prediction.to_spectrum(), magnitude * u.ABmag, band,
                      magnitude_error=error * u.mag)

    def _throughput_factor(self, fine, truth):
        """Throughput divided by that of the band: 1, or an array of shape (N, m)."""
        if self._log_throughput_change is None:
            return 1.0
        try:
            change = np.stack([np.broadcast_to(np.asarray(
                self._log_throughput_change(fine, star), dtype=float), fine.shape)
                for star in truth])
        except (TypeError, ValueError) as error:
            raise InputError("response must return an array of the shape of its wavelengths, "
                             f"{fine.shape} ({error})") from error
        if not np.all(np.abs(change) <= _LARGEST_CHANGE):
            raise InputError("response returns changes of ln(throughput) that are not finite, or "
                             f"larger than {_LARGEST_CHANGE:g}; return smaller ones")
        return np.exp(change)

    def _counts(self, name, flux, truth, rng):
        """Extracted spectra of all stars in one band: list of `~specutils.Spectrum`."""
        from astropy.nddata import StdDevUncertainty
        from specutils import Spectrum

        operators, band, settings = self._operators[name], self.bands[name], self.settings
        density = operators.rate_density(flux, self._throughput_factor(operators.fine, truth))
        size = len(truth)
        grey = np.exp(rng.normal(0.0, settings.grey_error, size) + truth["variable"])
        shift = rng.normal(0.0, settings.wavelength_error, size)
        truth[f"grey_{name}"], truth[f"shift_{name}"] = grey, shift
        spectra = []
        for row in range(size):
            pixels = band.wavelengths(shift=rng.uniform(-0.5, 0.5))
            edges = pixel_edges(pixels) + shift[row]
            collect = operators.pixel_integrals(edges)
            rate = grey[row] * (collect @ density[row])
            if truth["outlier"][row] == "contaminated":
                other = collect @ density[rng.integers(size)]
                rate = rate + contaminating_light(pixels, other, rate, rng)
            rate, sigma = noisy_rates(rate, band, settings.exposure, rng)
            spectra.append(Spectrum(spectral_axis=pixels * u.AA, flux=rate * u.ct / u.s,
                                    uncertainty=StdDevUncertainty(sigma * u.ct / u.s)))
        return spectra


def _anchor_band():
    """The flat band of the magnitudes as a `synphot.SpectralElement`."""
    low, high = _ANCHOR_BAND
    inside = np.linspace(low, high, _ANCHOR_SAMPLES)
    points = np.r_[low - _ANCHOR_EDGE, inside, high + _ANCHOR_EDGE]
    return Throughput(points, np.r_[0.0, np.ones(_ANCHOR_SAMPLES), 0.0]).to_synphot()


def _checked_bands(bands):
    """The bands, checked, as a dict."""
    if not isinstance(bands, Mapping) or not bands or not all(
            isinstance(band, SlitlessBand) for band in bands.values()):
        raise InputError(f"bands is {type(bands).__name__} {bands!r:.60}; a dict of names and "
                         "sedflux.SlitlessBand is needed")
    sizes = {band.detector_size for band in bands.values()}
    if len(sizes) > 1:
        raise InputError(f"bands have the detector sizes {sorted(sizes)}; give bands of one "
                         "instrument")
    return dict(bands)


def _checked_settings(settings):
    """The settings, checked; the defaults for None."""
    if settings is None:
        return FieldSettings()
    if not isinstance(settings, FieldSettings):
        raise InputError(f"settings is a {type(settings).__name__}; FieldSettings is needed")
    return settings


def simulate_field(bands: Mapping[str, SlitlessBand], *, size: int, seed: int,
                   settings: FieldSettings | None = None, library: Any = None, model: Any = None,
                   response: Callable[[np.ndarray, Any], np.ndarray] | None = None,
                   white_dwarfs: WhiteDwarfs | int | None = None,
                   detectors: Sequence[str] = ("1",), **changes: Any) -> SimulatedField:
    """
    Simulate a field of stars in slitless bands.

    Parameters
    ----------
    bands : mapping of str to `~sedflux.SlitlessBand`
        With throughputs, of one instrument.
    size : int
        Number of ordinary stars.
    seed : int
        Of the random numbers, 0 or more.
    settings : `FieldSettings`, optional
    library, model, response, white_dwarfs : optional
        See `Simulator`.
    detectors : sequence of str, optional
        Names of the detectors, among which stars are distributed at random.
    **changes
        Fields of `FieldSettings`, such as ``outliers=0.0``; they override ``settings``.

    Returns
    -------
    field : `SimulatedField`

    Examples
    --------
    >>> from sedflux import get_instrument, simulate_field
    >>> bands = get_instrument("lookalike").bands
    >>> field = simulate_field({"GU": bands["GU"]}, size=3, seed=1, outliers=0.0)
    >>> len(field.counts["GU"]), field.counts["GU"][0].flux.unit.to_string()
    (3, 'ct / s')
    """
    known = [one.name for one in fields(FieldSettings)]
    for name in changes:
        if name not in known:
            raise InputError(f"{name!r} is no setting; {', '.join(known)} are allowed")
    settings = replace(_checked_settings(settings), **changes)
    return Simulator(bands, settings, library=library, model=model, response=response,
                     white_dwarfs=white_dwarfs).draw(size, seed=seed, detectors=detectors)
