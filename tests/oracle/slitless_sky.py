"""
A second simulator of slitless fields, which shares no code with `sedflux.slitless.forward`.

Stars are continua with Gaussian lines.  The light of every wavelength falls on the pixels by error
functions: no grid of pixels is integrated, and nothing is convolved.  Dust comes from
dust_extinction.  `Wrong` says which inputs of the fit are wrong for all stars.
"""

from dataclasses import dataclass, field

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from dust_extinction.parameter_averages import G23
from scipy.special import erf
from specutils import Spectrum

from sedflux import LineSpread, LowRankCovariance, SlitlessBand
from sedflux.spectra.grids import sed_grid
from sedflux.spectra.sed import RelativeErrors

__all__ = ["BANDS", "Sky", "Wrong", "make_objects", "make_sky"]

#: erg cm, in erg Angstrom: h c.
_HC = 6.62607015e-27 * 2.99792458e18
_AREA = 3.0e4
#: Refractive index of air at 5000 Angstrom: vacuum wavelengths over those in air.
_AIR = 1.000279
_FINE = np.arange(2440.0, 10700.0, 2.0)
_FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
_BALMER = (3798.0, 3835.4, 3889.1, 3970.1, 4102.9, 4341.7, 4862.7, 6564.6)
_METALS = (3934.8, 3969.6, 4227.9, 4307.0, 5175.0, 5270.0, 5893.0, 8500.4, 8544.4, 8664.5)
#: First and last wavelength, FWHM, dispersion and its curvature (Angstrom), pixels, peak.
BANDS = {
    "blue": (2600.0, 4050.0, 15.0, (2560.0, 4.0, 1e-4), 370, 0.2),
    "green": (3950.0, 6350.0, 22.0, (3900.0, 6.0, 1e-4), 408, 0.4),
    "red": (6200.0, 10000.0, 35.0, (6150.0, 9.5, 1e-4), 405, 0.35),
    "g800l": (5500.0, 10400.0, 80.0, (5400.0, 39.8, 1e-3), 126, 0.3),
    "g102": (8000.0, 10400.0, 48.0, (7900.0, 24.5, 1e-3), 102, 0.3),
    "g280": (2560.0, 5900.0, 42.0, (2500.0, 12.0, 8e-3), 250, 0.2)}


@dataclass(frozen=True)
class Wrong:
    """
    What the inputs of a fit have wrong, for all stars; zero for nothing.

    Attributes
    ----------
    ebv_offset, ebv_scale : float
        E(B-V) is too large by so many mag, and by this fraction.
    dust_tail : float
        Share of stars whose E(B-V) has five times the error that it says.
    stretch, shift_pixels : float
        True minus given wavelengths: a fraction of the distance from the middle of the band, and
        pixels.
    line_spread : float
        The true line-spread function is wider by this fraction.
    background : float
        Electrons a second and pixel that are left in the counts.
    field_tilt, field_dispersion : float
        Change of the response (a fraction) and of the wavelengths (pixels) from the middle of the
        detector to its edge.
    field_line_spread : float
        Relative change of the width of the line-spread function over the same distance.
    magnitude_offset : float
        Magnitudes are too faint by so many mag.
    air : bool
        The wavelengths of the pixels are those in air.
    """

    ebv_offset: float = 0.0
    ebv_scale: float = 0.0
    dust_tail: float = 0.0
    stretch: float = 0.0
    shift_pixels: float = 0.0
    line_spread: float = 0.0
    background: float = 0.0
    field_tilt: float = 0.0
    field_dispersion: float = 0.0
    field_line_spread: float = 0.0
    magnitude_offset: float = 0.0
    air: bool = False


@dataclass
class Sky:
    """A field: counts, SEDs, the band as the fit is told, and the truth."""

    band: SlitlessBand
    counts: list = field(default_factory=list)
    seds: list = field(default_factory=list)
    x: np.ndarray = None
    y: np.ndarray = None
    outlier: np.ndarray = None

    def names(self):
        return [f"star{row}" for row in range(len(self.seds))]


def true_throughput(name, wavelength):
    """Throughput with two edges and a wave."""
    low, high, fwhm, _, _, peak = BANDS[name]
    place = (wavelength - low) / (high - low)
    edges = 0.25 * (1.0 + np.tanh((wavelength - low - 60.0) / (2.5 * fwhm))) * (
        1.0 + np.tanh((high - 60.0 - wavelength) / (2.5 * fwhm)))
    return peak * edges * (1.0 + 0.2 * place + 0.04 * np.sin(9.0 * place)) + 1e-4


def _curve(wavelength):
    """Change of ln(flux) for a unit of E(B-V)."""
    return -0.4 * np.log(10.0) * 3.1 * np.asarray(G23(Rv=3.1)(wavelength * u.AA))


def _star_shapes(temperature, metals, rng_lines):
    """Sharp relative fluxes on the fine grid, (N, n)."""
    x = 1.4388e8 / (np.outer(temperature, _FINE))
    flux = (_FINE / 5500.0) ** -5 / np.expm1(x)
    depth = np.zeros_like(flux)
    warm = np.clip((temperature - 4800.0) / 4500.0, 0.05, 1.0)
    for centre in _BALMER:
        depth += np.outer(0.6 * warm, np.exp(-0.5 * ((_FINE - centre) / 9.0) ** 2))
    for centre in _METALS:
        depth += np.outer(0.7 * metals * (1.1 - warm),
                          np.exp(-0.5 * ((_FINE - centre) / 6.0) ** 2))
    for centre, size in rng_lines:
        depth += np.outer(size * metals * (1.1 - warm),
                          np.exp(-0.5 * ((_FINE - centre) / 5.0) ** 2))
    jump = 1.0 - np.outer(0.45 * warm, 0.5 * (1.0 - np.tanh((_FINE - 3700.0) / 60.0)))
    return flux * jump * np.exp(-depth)


def _weak_lines():
    """Centres and depths of weak metal lines, the same in all skies; more in the blue."""
    rng = np.random.default_rng(99)
    centre = 2450.0 * np.exp(rng.exponential(0.45, 300))
    keep = centre < 10600.0
    return list(zip(centre[keep], rng.uniform(0.02, 0.4, 300)[keep], strict=True))


def _seen_at(power):
    """Broadening to a resolving power, from the fine grid to that of SEDs."""
    grid = sed_grid()
    sigma = grid / power / _FWHM_PER_SIGMA
    kernel = np.exp(-0.5 * ((_FINE - grid[:, None]) / sigma[:, None]) ** 2)
    return kernel / kernel.sum(axis=1, keepdims=True)


def _error_modes(grid):
    """Smooth modes of the errors of SEDs, (r, n)."""
    centres = np.array([2600.0, 3000.0, 3400.0, 3900.0, 4600.0, 5600.0, 7200.0, 9200.0])
    size = np.array([0.04, 0.035, 0.03, 0.015, 0.01, 0.008, 0.01, 0.012])
    return size[:, None] * np.exp(-0.5 * (np.log(grid / centres[:, None]) / 0.09) ** 2)


def _share(wavelength):
    """Weights of photons in the band of the magnitudes."""
    return np.where((wavelength > 5600.0) & (wavelength < 7000.0), wavelength, 0.0)


def _stars(size, wrong, rng, ebv_error, magnitude_error):
    """True fluxes on the fine grid, and SEDs with their errors as a survey knows them."""
    grid = sed_grid()
    shapes = _star_shapes(rng.uniform(4900.0, 9300.0, size), rng.uniform(0.3, 1.0, size),
                          _weak_lines())
    ebv = rng.uniform(0.0, 0.3, size)
    error = rng.normal(0.0, ebv_error, size)
    if wrong.dust_tail > 0:
        error = error * np.where(rng.random(size) < wrong.dust_tail, 5.0, 1.0)
    known = (ebv + error) * (1.0 + wrong.ebv_scale) + wrong.ebv_offset
    magnitude = rng.uniform(13.5, 16.5, size)
    told = magnitude + rng.normal(0.0, magnitude_error, size) + wrong.magnitude_offset
    modes_fine, modes = _error_modes(_FINE), _error_modes(grid)
    z = rng.standard_normal((size, len(modes)))
    seen = (_seen_at(200.0) @ shapes.T).T
    true = shapes * np.exp(z @ modes_fine + np.outer(ebv, _curve(_FINE)))
    share_fine, share = _share(_FINE), _share(grid)
    scale = 3.0e-9 * 10.0 ** (-0.4 * magnitude)
    true *= (scale * share_fine.sum() / (true @ share_fine))[:, None]
    seds = []
    for row in range(size):
        flux = seen[row] * np.exp(known[row] * _curve(grid))
        # Through the band of the true fluxes: sums over the grid of SEDs are off by 0.7 %.
        level = np.interp(_FINE, grid, flux) @ share_fine / share_fine.sum()
        flux = flux * 3.0e-9 * 10.0 ** (-0.4 * told[row]) / level
        weight = share * flux / (share @ flux)
        anchored = modes - (modes @ weight)[:, None]
        dust = ebv_error * (_curve(grid) - weight @ _curve(grid))
        level = np.full(grid.size, 0.4 * np.log(10.0) * magnitude_error)
        seds.append(_sed(grid, flux, np.vstack([anchored, dust, level]), known[row],
                         {"reddening": dust, "anchor": level}))
    return true, seds


def _sed(grid, flux, factor, ebv, parts):
    """An SED of R = 200 with errors."""
    relative = LowRankCovariance(np.full(grid.size, 1e-8), factor)
    unit = u.Unit("erg / (s cm2 Angstrom)")
    return Spectrum(
        spectral_axis=grid * u.AA, flux=flux * unit,
        uncertainty=StdDevUncertainty(relative.sigma * flux * unit),
        meta={"sedflux": {"errors": RelativeErrors(grid, relative, parts),
                          "resolving_power": 200.0},
              "header": fits.Header({"SEDEBV": float(ebv)})})


def make_sky(name, *, seed, size=80, wrong=None, outliers=0.1, grey_error=0.01,
             shift_pixels=0.1, exposure=150.0, sky=2.4, ebv_error=0.02, magnitude_error=0.02):
    """A field of stars in one band, with inputs that are wrong as `wrong` says."""
    wrong, rng = wrong or Wrong(), np.random.default_rng(seed)
    low, high, fwhm, dispersion, pixels, _ = BANDS[name]
    true, seds = _stars(size, wrong, rng, ebv_error, magnitude_error)
    area = _AREA * true_throughput(name, _FINE)
    photons = true * area * _FINE / _HC * np.diff(_FINE[:2])
    told = SlitlessBand(name, _AREA * u.cm**2, (low, high),
                        LineSpread.from_fwhm(fwhm / (1.0 + wrong.line_spread)), dispersion, pixels)
    x, y = rng.uniform(0.0, 4000.0, size), rng.uniform(0.0, 4000.0, size)
    outlier = np.zeros(size, dtype=bool)
    outlier[rng.permutation(size)[: round(outliers * size)]] = True
    counts = []
    for row in range(size):
        number = np.arange(pixels + 1) - 0.5 + rng.uniform(-0.5, 0.5)
        edges = np.polynomial.polynomial.polyval(number, dispersion)
        light = photons[row] * (1.0 + wrong.field_tilt * (x[row] / 2000.0 - 1.0))
        if outlier[row]:
            light = light * (1.0 + rng.uniform(0.15, 0.6) * (rng.uniform(low, high) < _FINE))
        # The true edges of pixels whose wavelengths are wrong.
        pixel_shift = (rng.normal(0.0, shift_pixels) + wrong.shift_pixels
                       + wrong.field_dispersion * (x[row] / 2000.0 - 1.0))
        moved = edges + pixel_shift * dispersion[1] + wrong.stretch * (edges - 0.5 * (low + high))
        moved = moved * (_AIR if wrong.air else 1.0)
        wide = fwhm * (1.0 + wrong.field_line_spread * (x[row] / 2000.0 - 1.0))
        rate = _on_pixels(light, moved, wide) * np.exp(rng.normal(0.0, grey_error))
        counts.append(_noisy(rate, edges, (low, high), exposure, sky, wrong.background, rng))
    return Sky(told, counts, seds, x, y, outlier)


def make_objects(name, number, *, seed, grey_error=0.01, shift_pixels=0.1, exposure=150.0,
                 sky=2.4):
    """
    Counts of quasars, galaxies and stars in turn, and their true F_lambda as the counts see it.

    The truth is the flux through the line-spread function, averaged over each pixel.
    """
    rng = np.random.default_rng(seed)
    low, high, fwhm, dispersion, pixels, _ = BANDS[name]
    found = []
    for row in range(number):
        flux = _object_shape(row % 3, rng) * 10.0 ** rng.uniform(-15.4, -14.6)
        photons = flux * _FINE / _HC * np.diff(_FINE[:2])
        edges = np.polynomial.polynomial.polyval(
            np.arange(pixels + 1) - 0.5 + rng.uniform(-0.5, 0.5), dispersion)
        middle = 0.5 * (edges[1:] + edges[:-1])
        inside = (middle > low) & (middle < high)
        truth = _on_pixels(photons, edges, fwhm) * _HC / middle / np.diff(edges)
        moved = edges + rng.normal(0.0, shift_pixels) * dispersion[1]
        rate = _on_pixels(photons * _AREA * true_throughput(name, _FINE), moved, fwhm)
        rate = rate * np.exp(rng.normal(0.0, grey_error))
        found.append((_noisy(rate, edges, (low, high), exposure, sky, 0.0, rng), truth[inside]))
    return found


def _object_shape(kind, rng):
    """Relative flux of a quasar, a galaxy or a star on the fine grid."""
    if kind == 2:
        shape = _star_shapes(rng.uniform(4900.0, 9300.0, 1), np.array([0.7]), _weak_lines())[0]
    else:
        shape = (_FINE / 5000.0) ** rng.uniform(-2.0, 0.5)
        lines, width = ((1216.0, 1549.0, 1909.0, 2799.0, 4863.0, 6565.0), 0.008) if kind == 0 else (
            (3728.0, 4863.0, 4960.0, 5008.0, 6565.0, 6720.0), 0.001)
        for line in lines:
            centre = line * (1.0 + rng.uniform(0.0, 1.5 if kind == 0 else 0.4))
            shape = shape * (1.0 + rng.uniform(0.3, 2.0) * np.exp(
                -0.5 * ((_FINE / centre - 1.0) / width) ** 2))
    return shape / shape.mean()


def _on_pixels(light, edges, fwhm):
    """Rates of the pixels: the share of each wavelength's light between the edges."""
    root = np.sqrt(2.0) * fwhm / _FWHM_PER_SIGMA
    width = int(np.ceil(12.0 * root / (_FINE[1] - _FINE[0])))
    # Light below the window of an edge lies left of it, and light above it right.
    first = np.clip(np.searchsorted(_FINE, edges) - width // 2, 0, _FINE.size - width)
    near = first[:, None] + np.arange(width)
    share = 0.5 * (1.0 + erf((edges[:, None] - _FINE[near]) / root))
    below = np.r_[0.0, np.cumsum(light)][first] + (share * light[near]).sum(axis=1)
    return np.diff(below)


def _noisy(rate, edges, limits, exposure, sky, background, rng):
    """A spectrum with Poisson noise, and a background that is not subtracted."""
    electrons = rng.poisson(np.clip(rate + sky, 0.0, None) * exposure)
    measured = electrons / exposure - sky + background
    sigma = np.sqrt(np.clip(electrons, 1.0, None)) / exposure
    middle = 0.5 * (edges[1:] + edges[:-1])
    inside = (middle > limits[0]) & (middle < limits[1])
    unit = u.electron / u.s
    return Spectrum(spectral_axis=middle[inside] * u.AA, flux=measured[inside] * unit,
                    uncertainty=StdDevUncertainty(sigma[inside] * unit))
