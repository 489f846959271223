"""Responses from counts without noise: closure, and the effect of the SEDs' resolving power."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from sedflux.covariance import LowRankCovariance
from sedflux.libraries.inputs import library_seds
from sedflux.libraries.library import SpectralLibrary
from sedflux.predict.predictor import Predictor
from sedflux.response.common_errors import CommonErrors
from sedflux.response.fit import fit_response
from sedflux.slitless.forward import count_model
from sedflux.slitless.instrument import SlitlessBand
from sedflux.slitless.line_spread import LineSpread
from sedflux.spectra.grids import OPTICAL_RANGE, SED_RESOLVING_POWER, pixel_edges, sed_grid
from sedflux.units import photons_per_flux
from sedflux.validation.response_parts import count_spectrum, sed_spectrum

__all__ = ["closure", "resolution_study"]

#: Mean F_lambda of the star (erg/s/cm2/Angstrom); the result does not depend on it.
_LEVEL = 1e-14
#: Relative error of counts and SED, far below the errors to be measured.
_ERROR = 1e-7
#: Range of effective temperature (K) of the star: A stars have strong Balmer lines.
_TEFF_RANGE = (8000.0, 9500.0)

Curve = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def closure(predictor: Predictor, bands: Mapping[str, SlitlessBand], *,
            resolving_power: float = 200.0) -> tuple[Table, dict[str, Curve]]:
    """
    Fit responses to the noiseless counts of one star.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`
    bands : dict of str to `~sedflux.SlitlessBand`
        With throughputs.
    resolving_power : float, optional
        Of the line-spread function.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per band: largest error of the fit, and of the naive ratio of counts and
        photons, inside the band and at its edges.  Inside, the throughput is above half of
        its maximum and the ends are three resolution elements away.
    curves : dict of str to tuple of `~numpy.ndarray`
        Wavelength, true throughput, error of the fit, error of the naive ratio.
    """
    flux = _LEVEL * _star(predictor)
    spread = LineSpread.from_resolving_power(resolving_power)
    rows, curves = [], {}
    for name, band in bands.items():
        curve, inside, edge = _closure_of(band, flux, spread)
        _, _, fit, naive = curves[name] = curve
        rows.append({"band": name, "fit": np.abs(fit[inside]).max(),
                     "fit_edges": np.abs(fit[edge]).max(initial=0.0),
                     "naive": np.abs(naive[inside]).max(),
                     "naive_edges": np.abs(naive[edge]).max(initial=0.0)})
    return Table(rows), curves


def _star(predictor):
    """Predicted flux of one of the model's reference stars, shape (575,)."""
    from sedflux.simulate.stars import ModelStars

    source = ModelStars(predictor, teff=_TEFF_RANGE, prior="flat")
    _, prediction, _ = source.draw(1, np.array([80.0]), predictor, np.random.default_rng(1))
    return prediction.flux[0]


def _closure_of(band, flux, spread):
    """Errors in one band, and whether each wavelength is inside the band or at its edge."""
    wavelength, pixels = sed_grid(), band.wavelengths()
    area = band.area.to_value(u.cm**2)
    model = count_model(pixels, wavelength, area=area, line_spread=spread,
                        sed_resolving_power=SED_RESOLVING_POWER)
    rate = model.counts(band.throughput(model.fine), flux)
    sed = sed_spectrum(flux, LowRankCovariance((_ERROR * flux) ** 2, np.zeros((0, flux.size))))
    counts = count_spectrum(pixels, rate, _ERROR * rate.max() * np.ones(rate.size))
    response = fit_response([counts], [sed], area=band.area, line_spread=spread,
                            grey_error=0.0, wavelength_error=0.0, truth_scale=0.0,
                            library_error=(), common=CommonErrors.none(), robust=False)
    truth = band.throughput(response.wavelength)
    fit = np.where(response.good, response.throughput / truth - 1.0, np.nan)
    ratio = rate / (area * np.diff(pixel_edges(pixels)) * photons_per_flux(pixels)
                    * np.interp(pixels, wavelength, flux))
    naive = np.interp(response.wavelength, pixels, ratio) / truth - 1.0
    margin = 3.0 * spread.fwhm_at(pixels[[0, -1]])
    inside = (response.good & (truth > 0.5 * truth.max())
              & (response.wavelength > pixels[0] + margin[0])
              & (response.wavelength < pixels[-1] - margin[1]))
    return (response.wavelength, truth, fit, naive), inside, response.good & ~inside


def resolution_study(library: SpectralLibrary, bands: Mapping[str, SlitlessBand], *,
                     models: int = 30) -> Table:
    """
    Effect of the resolving power of predicted SEDs on expected counts.

    SEDs of R = 200 are convolved with the line-spread function of the instrument in two ways:
    interpolated linearly, or after their broadening is undone
    (`sedflux.spectra.resolution.recovery_matrix`).  Both are compared with counts from the
    models at full resolution.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
    bands : dict of str to `~sedflux.SlitlessBand`
        With throughputs.
    models : int, optional

    Returns
    -------
    table : `~astropy.table.Table`
        One row per band: rms and largest error of the mean over models, both ways.
    """
    chosen = library.take(np.linspace(0, len(library) - 1, models).astype(int))
    coarse, fine = np.exp(library_seds(chosen)), np.asarray(chosen.sed_flux, dtype=float)
    grid = sed_grid()
    low, high = OPTICAL_RANGE
    optical = (chosen.wavelength > low) & (chosen.wavelength < high)
    level = np.trapezoid(fine[:, optical], chosen.wavelength[optical], axis=1) / (high - low)
    rows = []
    for name, band in bands.items():
        pixels, rates = band.wavelengths(), []
        throughput: Any = band.throughput
        for wavelength, flux, power in ((chosen.wavelength, fine / level[:, None], None),
                                        (grid, coarse, None),
                                        (grid, coarse, SED_RESOLVING_POWER)):
            model = count_model(pixels, wavelength, area=1.0, line_spread=band.line_spread,
                                sed_resolving_power=power)
            rates.append(model.counts(throughput(model.fine), flux))
        good = throughput(pixels) > 0.2 * throughput.value.max()
        naive, recovered = ((rate / rates[0] - 1.0)[:, good].mean(axis=0) for rate in rates[1:])
        rows.append({"band": name, "naive_rms": np.sqrt((naive**2).mean()),
                     "naive_max": np.abs(naive).max(),
                     "recovered_rms": np.sqrt((recovered**2).mean()),
                     "recovered_max": np.abs(recovered).max()})
    return Table(rows)
