"""
A field of stars as a slitless survey sees it, with its truth: to test and to plan.

Stars come from a library of spectra, or from the packaged model itself: its reference
stars have lines, which are predicted from noisy copies, and their true SEDs are drawn
from the predicted covariance.  From there all is as in a survey: R = 2000 spectrum,
predicted SED, dust, magnitude, counts through throughput and line-spread function, errors
of every step, outliers.
"""

from dataclasses import replace

import numpy as np
from astropy import constants
from astropy import units as u
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.photometry import anchor
from sedflux.predict.predictor import Predictor
from sedflux.simulate.detector import BandOperators, electrons, neighbour
from sedflux.simulate.field import SimulatedField
from sedflux.simulate.settings import OUTLIERS, FieldSettings
from sedflux.simulate.stars import LibraryStars, ModelStars
from sedflux.slitless.throughput import Throughput
from sedflux.spectra.grids import integral_matrix, pixel_edges
from sedflux.spectra.reddening import extinction_curve

__all__ = ["Simulator", "simulate_field"]

#: Band whose AB magnitude puts SEDs on a scale, in Angstrom.
_ANCHOR_BAND = (5600.0, 7000.0)


class Simulator:
    """
    Makes fields; what does not change from field to field is computed once.

    Parameters
    ----------
    bands : dict of str to `~sedflux.SlitlessBand`
        With throughputs.
    settings : `FieldSettings`, optional
    library : `~sedflux.libraries.SpectralLibrary`, optional
        Where stars come from; the packaged model's references if not given.
    model : str, path-like or `~sedflux.Predictor`, optional
        Predicts the SEDs.
    response : callable, optional
        ``response(wavelength, star)`` gives a change of ln(throughput) at wavelengths in
        Angstrom for a row of the truth table: field terms.
    """

    def __init__(self, bands, settings=None, *, library=None, model=None, response=None):
        self.settings = settings or FieldSettings()
        self.predictor = model if isinstance(model, Predictor) else Predictor(model)
        chosen = {"teff": self.settings.teff, "prior": self.settings.prior}
        self.source = (LibraryStars(library, **chosen) if library is not None
                       else ModelStars(self.predictor, **chosen))
        self.bands = dict(bands)
        self.response = response
        self._operators = {name: BandOperators(band, self.source)
                           for name, band in self.bands.items()}

    def draw(self, size, *, seed, detectors=("1",)):
        """
        A field of stars.

        Parameters
        ----------
        size : int
            Number of stars.
        seed : int
        detectors : sequence of str, optional
            Among which stars are spread.

        Returns
        -------
        field : `SimulatedField`
        """
        if size < 1:
            raise InputError(f"size is {size}; at least one star is needed")
        rng, settings = np.random.default_rng(seed), self.settings
        snr = np.exp(rng.uniform(*np.log(settings.snr), size))
        rows, prediction, flux = self.source.draw(size, snr, self.predictor, rng)
        truth = self._truth(rows, snr, rng, detectors)
        flux = self._absolute(flux, truth)
        seen = prediction.reddened(np.asarray(truth["known_ebv"]),
                                   reddening_error=settings.ebv_error)
        band = _anchor_band()
        seds = [self._anchored(seen[row], star, band, rng) for row, star in enumerate(truth)]
        counts = {name: self._counts(name, flux, truth, rng) for name in self.bands}
        return SimulatedField(self.bands, counts, seds, truth, self.source.wavelength, flux)

    def _truth(self, rows, snr, rng, detectors):
        """Table of the stars."""
        size, settings = len(rows), self.settings
        low, high = (10 ** (0.3 * value) for value in settings.magnitudes)
        kind = np.full(size, "", dtype="U16")
        bad = rng.permutation(size)[: round(settings.outliers * size)]
        kind[bad] = [OUTLIERS[i % len(OUTLIERS)] for i in range(len(bad))]
        labels = self.source.labels[rows]
        # Far enough from zero that errors need no cutting, which would bias.
        known = 3.0 * settings.ebv_error + settings.ebv_scale * rng.exponential(1.0, size)
        ebv = np.maximum(known + rng.normal(0.0, settings.ebv_error, size), 0.0)
        return Table({
            "name": [f"star{row:04d}" for row in range(size)], "model": rows,
            "teff": labels[:, 0], "logg": labels[:, 1], "mh": labels[:, 2], "snr": snr,
            "magnitude": np.log10(rng.uniform(low, high, size)) / 0.3,
            "ebv": ebv, "known_ebv": known,
            "x": rng.uniform(0.0, 9216.0, size), "y": rng.uniform(0.0, 9232.0, size),
            "detector": rng.choice(np.array(detectors, dtype=str), size),
            "epoch": rng.uniform(0.0, 1.0, size), "outlier": kind,
            "variable": np.where(kind == "variable", rng.choice([-1.0, 1.0], size)
                                 * rng.uniform(0.1, 0.5, size), 0.0),
            "hidden_ebv": np.where(kind == "wrong dust", rng.uniform(0.1, 0.3, size), 0.0)})

    def _absolute(self, flux, truth):
        """True fluxes behind dust, at their magnitudes."""
        wavelength = self.source.wavelength
        dust = np.asarray(truth["ebv"] + truth["hidden_ebv"])
        flux = flux * np.exp(np.multiply.outer(dust, extinction_curve(wavelength)))
        inside = (wavelength > _ANCHOR_BAND[0]) & (wavelength < _ANCHOR_BAND[1])
        x = wavelength[inside]
        # Mean F_nu by photons, which an AB magnitude measures.
        mean = np.trapezoid(flux[:, inside] * x, x) / np.trapezoid(1.0 / x, x)
        wanted = 10 ** (-0.4 * (np.asarray(truth["magnitude"]) + 48.6))
        wanted = wanted * constants.c.to_value(u.AA / u.s)
        return flux * (wanted / mean)[:, None]

    def _anchored(self, prediction, star, band, rng):
        """A predicted, reddened SED on the scale of a measured magnitude."""
        error = self.settings.magnitude_error
        magnitude = float(star["magnitude"] + rng.normal(0.0, error))
        return anchor(prediction.to_spectrum(), magnitude * u.ABmag, band,
                      magnitude_error=error * u.mag)

    def _counts(self, name, flux, truth, rng):
        """Extracted spectra of all stars in one band."""
        from astropy.nddata import StdDevUncertainty
        from specutils import Spectrum

        operators, band, settings = self._operators[name], self.bands[name], self.settings
        change = 1.0
        if self.response is not None:
            change = np.exp(np.stack([self.response(operators.fine, star) for star in truth]))
        density = operators.density(flux, change)
        size = len(truth)
        grey = np.exp(rng.normal(0.0, settings.grey_error, size) + truth["variable"])
        shift = rng.normal(0.0, settings.wavelength_error, size)
        truth[f"grey_{name}"], truth[f"shift_{name}"] = grey, shift
        spectra = []
        for row in range(size):
            pixels = band.wavelengths(shift=rng.uniform(-0.5, 0.5))
            edges = pixel_edges(pixels) + shift[row]
            collect = integral_matrix(operators.fine, edges[:-1], edges[1:])
            rate = grey[row] * (collect @ density[row])
            if truth["outlier"][row] == "contaminated":
                rate = rate + neighbour(pixels, collect @ density[rng.integers(size)], rate, rng)
            rate, sigma = electrons(rate, band, settings.exposure, rng)
            spectra.append(Spectrum(spectral_axis=pixels * u.AA, flux=rate * u.ct / u.s,
                                    uncertainty=StdDevUncertainty(sigma * u.ct / u.s)))
        return spectra


def _anchor_band():
    """The band of the magnitudes, flat, as a `synphot.SpectralElement`."""
    low, high = _ANCHOR_BAND
    points = np.r_[low - 1e-3, np.linspace(low, high, 141), high + 1e-3]
    return Throughput(points, np.r_[0.0, np.ones(141), 0.0]).to_synphot()


def simulate_field(bands, *, size, seed, settings=None, library=None, model=None, response=None,
                   detectors=("1",), **changes):
    """
    Simulate a field of stars in slitless bands.

    Parameters
    ----------
    bands : dict of str to `~sedflux.SlitlessBand`
        With throughputs.
    size : int
        Number of stars.
    seed : int
    settings : `FieldSettings`, optional
    library, model, response : optional
        See `Simulator`.
    detectors : sequence of str, optional
    **changes
        Single settings, such as ``outliers=0.0``.

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
    settings = replace(settings or FieldSettings(), **changes)
    return Simulator(bands, settings, library=library, model=model, response=response).draw(
        size, seed=seed, detectors=detectors)
