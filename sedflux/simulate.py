"""
A field of stars as a slitless survey sees it, with its truth: to test and to plan.

Stars come from a library of spectra, or from the packaged model itself: its reference
stars have lines, which are predicted from noisy copies, and their true SEDs are drawn
from the predicted covariance.  From there all is as in a survey: R = 2000 spectrum,
predicted SED, dust, magnitude, counts through throughput and line-spread function, errors
of every step, outliers.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from astropy import constants
from astropy import units as u
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.grids import input_grid, integral_matrix, pixel_edges
from sedflux.instrument import Throughput
from sedflux.libraries.prior import PRIORS, label_chances
from sedflux.photometry import anchor
from sedflux.predict import Predictor
from sedflux.prediction import SED_RESOLVING_POWER
from sedflux.reddening import extinction_curve
from sedflux.slitless import blur_operator, distinct_points, fine_grid, sed_operator

__all__ = ["FieldSettings", "LibraryStars", "ModelStars", "Simulator", "SimulatedField",
           "electrons", "simulate_field"]

_FLAM = u.Unit("erg / (s cm2 Angstrom)")
#: Kinds of outliers, in turn.
OUTLIERS = ("contaminated", "variable", "wrong dust")
#: Band whose AB magnitude puts SEDs on a scale, in Angstrom.
_ANCHOR_BAND = (5600.0, 7000.0)


@dataclass(frozen=True)
class FieldSettings:
    """
    What a simulated field is like.

    Attributes
    ----------
    magnitudes : tuple of float
        Brightest and faintest AB magnitude (5600-7000 A); counts grow as 10^(0.3 m).
    snr : tuple of float
        Range of S/N a pixel of the R = 2000 spectra, even in the logarithm.
    ebv_scale, ebv_error, magnitude_error : float
        Mean of the exponential distribution of E(B-V); errors of what is known of it and of
        the magnitudes, in mag.
    grey_error : float
        Scatter of aperture losses, relative.
    wavelength_error : float
        Scatter of the wavelengths' zero point in Angstrom.
    exposure : float
        Seconds.
    outliers : float
        Share of stars that are not what they seem.
    teff : tuple of float
        Range of effective temperature in K.
    prior : {'survey', 'flat'}
        Distribution of the labels: as a magnitude-limited survey sees them, or even.
    """

    magnitudes: tuple = (13.5, 16.5)
    snr: tuple = (20.0, 80.0)
    ebv_scale: float = 0.05
    ebv_error: float = 0.01
    magnitude_error: float = 0.01
    grey_error: float = 0.01
    wavelength_error: float = 0.5
    exposure: float = 150.0
    outliers: float = 0.1
    teff: tuple = (5000.0, 9750.0)
    prior: str = "survey"

    def __post_init__(self):
        if self.prior not in PRIORS:
            raise InputError(f"prior is {self.prior!r}; {' and '.join(PRIORS)} are allowed")
        for name in ("ebv_scale", "ebv_error", "magnitude_error", "grey_error",
                     "wavelength_error"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        if not (0 <= self.outliers < 1 and self.exposure > 0 and min(self.snr) > 0):
            raise InputError(f"outliers is {self.outliers}, exposure {self.exposure}, snr "
                             f"{self.snr}; a share below 1 and positive numbers are needed")


class LibraryStars:
    """
    Stars whose spectra and true SEDs a library holds.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        Models that the predicting model never saw, for honest results.
    teff : tuple of float
    prior : str
    """

    def __init__(self, library, *, teff, prior):
        from sedflux.training.examples import library_inputs

        labels = library.labels
        rows = np.flatnonzero((labels[:, 0] >= teff[0]) & (labels[:, 0] <= teff[1]))
        if rows.size < 2:
            raise InputError(f"the library has {rows.size} stars between {teff[0]:.0f} and "
                             f"{teff[1]:.0f} K; at least two are needed")
        chosen = library.select(rows)
        self.labels = labels[rows, :3]
        self.wavelength = chosen.wavelength
        self.resolving_power = None
        self._flux = np.asarray(chosen.sed_flux, dtype=float)
        self._lines = library_inputs(chosen, 2000.0, input_grid())
        self._chances = label_chances(self.labels, prior, floor=0.0)

    def draw(self, size, snr, predictor, rng):
        """Rows, predicted SEDs, and true fluxes (size, n)."""
        rows = rng.choice(len(self.labels), size, p=self._chances)
        return rows, _predict(predictor, self._lines[rows], snr, 2000.0, rng), self._flux[rows]


class ModelStars:
    """
    The reference stars of a packaged model: no library is needed.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`
    teff : tuple of float
    prior : str
    """

    def __init__(self, predictor, *, teff, prior):
        from sedflux.network.architecture import POWER_SPREAD

        network = predictor.network
        places = network.references.numpy().astype(float)
        if not len(places):
            raise InputError(f"model {predictor.name!r} holds no reference stars; give a library")
        power = 1500.0 * np.exp(POWER_SPREAD * places[:, -1])
        # Those of about the nominal resolving power serve for it.
        sharp = np.flatnonzero(power > np.quantile(power, 0.6))
        templates = (network.projection.templates * network.projection.spread[:, None]).numpy()
        self._lines = 1.0 + network.projection.mean.numpy() + places[sharp, :-1] @ templates
        self._power = float(np.median(power[sharp]))
        labels = predictor.predict(input_grid(), self._lines, np.full(self._lines.shape, 4e4),
                                   resolving_power=self._power).diagnostics
        self.labels = np.stack([labels[name] for name in ("teff", "logg", "mh")], axis=1)
        rows = (self.labels[:, 0] >= teff[0]) & (self.labels[:, 0] <= teff[1])
        self.labels, self._lines = self.labels[rows], self._lines[rows]
        self.wavelength, self.resolving_power = predictor.wavelength, SED_RESOLVING_POWER
        self._chances = label_chances(self.labels, prior, floor=0.0)

    def draw(self, size, snr, predictor, rng):
        """Rows, predicted SEDs, and true fluxes (size, n) from their covariance."""
        rows = rng.choice(len(self.labels), size, p=self._chances)
        prediction = _predict(predictor, self._lines[rows], snr, self._power, rng)
        # The independent part is noise of a sampled curve, which no true SED has.
        draw = rng.standard_normal((size, 1, prediction.factor.shape[1])) @ prediction.factor
        return rows, prediction, prediction.flux * np.exp(draw[:, 0])


def _predict(predictor, lines, snr, power, rng):
    """Predictions from noisy copies of spectra."""
    noise = rng.standard_normal(lines.shape) / snr[:, None]
    flux = lines * (1.0 + noise)
    return predictor.predict(input_grid(), flux, (snr[:, None] / lines) ** 2,
                             resolving_power=power)


@dataclass(frozen=True)
class SimulatedField:
    """
    A simulated field and its truth.

    Attributes
    ----------
    bands : dict of str to `~sedflux.SlitlessBand`
    counts : dict of str to list of `~specutils.Spectrum`
        Extracted spectra of each band, counts (electrons) a second and pixel.
    seds : list of `~specutils.Spectrum`
        Predicted, reddened, on an absolute scale.
    truth : `~astropy.table.Table`
        One row a star: name, labels, magnitude, E(B-V), S/N, position, detector, epoch,
        kind of outlier, grey factors and shifts.
    wavelength : `~numpy.ndarray`, shape (n,)
    flux : `~numpy.ndarray`, shape (N, n)
        True SEDs in erg/s/cm2/Angstrom.
    """

    bands: dict
    counts: dict
    seds: list
    truth: Table
    wavelength: np.ndarray = field(repr=False)
    flux: np.ndarray = field(repr=False)

    @property
    def names(self):
        """Names of the stars."""
        return [str(name) for name in self.truth["name"]]

    def write(self, folder):
        """
        Write spectra that specutils reads, SEDs with their covariance, and the truth.

        Parameters
        ----------
        folder : path-like
            Gets ``counts/BAND/NAME.fits``, ``seds/NAME.fits``, ``throughput_BAND.ecsv``,
            ``truth.ecsv`` and ``true_seds.fits``.

        Returns
        -------
        folder : `~pathlib.Path`
        """
        from astropy.io import fits

        from sedflux.libraries.sedfile import write_sed

        folder = Path(folder)
        (folder / "seds").mkdir(parents=True, exist_ok=True)
        for name, sed in zip(self.names, self.seds, strict=True):
            write_sed(sed, folder / "seds" / f"{name}.fits", overwrite=True)
        for band, spectra in self.counts.items():
            (folder / "counts" / band).mkdir(parents=True, exist_ok=True)
            for name, spectrum in zip(self.names, spectra, strict=True):
                spectrum.write(folder / "counts" / band / f"{name}.fits",
                               format="tabular-fits", overwrite=True)
            throughput = self.bands[band].throughput
            Table({"WAVELENGTH": throughput.wavelength * u.AA,
                   "THROUGHPUT": throughput.value}).write(
                folder / f"throughput_{band}.ecsv", overwrite=True)
        self.truth.write(folder / "truth.ecsv", overwrite=True)
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(self.wavelength, name="WAVELENGTH"),
                      fits.ImageHDU(self.flux, name="FLUX")]).writeto(
            folder / "true_seds.fits", overwrite=True)
        return folder


class _BandOperators:
    """Fine grid and line-spread operator of one band, made once."""

    def __init__(self, band, source):
        if band.throughput is None:
            raise InputError(f"band {band.name!r} has no throughput; give one with "
                             "band.with_throughput(path)")
        self.band = band
        pixels = band.wavelengths()
        margin = 3.0 * np.diff(pixels).max()
        low, high = pixels[0] - margin, pixels[-1] + margin
        points = np.concatenate([source.wavelength, band.throughput.wavelength])
        if band.line_spread is None:
            even = np.linspace(low, high, 6 * pixels.size)
            self.fine = distinct_points(np.r_[even, points], low, high)
            self.spread = None
        else:
            self.fine = fine_grid(low, high, band.line_spread, extra=points,
                                  limits=source.wavelength[[0, -1]])
            self.spread = blur_operator(self.fine, band.line_spread)
        self.photons = sed_operator(source.wavelength, self.fine,
                                    sed_resolving_power=source.resolving_power)
        self.passed = band.area.to_value(u.cm**2) * band.throughput(self.fine)

    def density(self, flux, change):
        """Electrons a second and Angstrom on the fine grid, (N, m)."""
        rate = self.passed * change * (self.photons @ flux.T).T
        return rate if self.spread is None else (self.spread @ rate.T).T


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
        self._operators = {name: _BandOperators(band, self.source)
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
        seen = prediction.reddened(np.asarray(truth["known_ebv"]), ebv_error=settings.ebv_error)
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
                rate = rate + _neighbour(pixels, collect @ density[rng.integers(size)], rate, rng)
            rate, sigma = electrons(rate, band, settings.exposure, rng)
            spectra.append(Spectrum(spectral_axis=pixels * u.AA, flux=rate * u.ct / u.s,
                                    uncertainty=StdDevUncertainty(sigma * u.ct / u.s)))
        return spectra


def _anchor_band():
    """The band of the magnitudes, flat, as a `synphot.SpectralElement`."""
    low, high = _ANCHOR_BAND
    points = np.r_[low - 1e-3, np.linspace(low, high, 141), high + 1e-3]
    return Throughput(points, np.r_[0.0, np.ones(141), 0.0]).to_synphot()


def _neighbour(pixels, other, rate, rng):
    """Light of another star that overlaps part of the spectrum."""
    begin = rng.uniform(pixels[0], pixels[-1] - 0.3 * np.ptp(pixels))
    inside = 1.0 / (1.0 + np.exp(-(pixels - begin) / (0.02 * np.ptp(pixels))))
    return inside * other * rng.uniform(0.1, 0.6) * rate.sum() / max(other.sum(), 1e-300)


def electrons(rate, band, exposure, rng):
    """
    Count rates with photon, background and read noise, and their errors as measured.

    Parameters
    ----------
    rate : `~numpy.ndarray`, shape (p,)
        True rates in electron/s a pixel.
    band : `~sedflux.SlitlessBand`
    exposure : float
        Seconds.
    rng : `numpy.random.Generator`

    Returns
    -------
    rate, sigma : `~numpy.ndarray`, shape (p,)
    """
    background = (band.sky + band.dark) * band.height * exposure + band.height * band.read_noise**2
    electrons = np.clip(rate, 0.0, None) * exposure
    noisy = electrons + rng.standard_normal(rate.size) * np.sqrt(electrons + background)
    # A pipeline knows the noisy counts alone.
    sigma = np.sqrt(np.clip(noisy, 0.0, None) + background + 1e-6)
    return noisy / exposure, sigma / exposure


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

