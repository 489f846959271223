"""Responses from real stars: SEDs predicted from MILES lines, counts simulated from STIS SEDs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from astropy import units as u
from astropy.table import Table

from sedflux.libraries.library import SpectralLibrary
from sedflux.predict.predictor import Predictor
from sedflux.response.fit import fit_response
from sedflux.simulate.detector import noisy_rates
from sedflux.simulate.settings import FieldSettings
from sedflux.slitless.forward import count_model
from sedflux.slitless.instrument import SlitlessBand
from sedflux.spectra.grids import SED_RESOLVING_POWER, sed_grid
from sedflux.training.left_out import TRUTH_ERROR, fit_reddening, predict_left_out
from sedflux.training.stars import RealStars
from sedflux.validation.cells import INTERVAL, TEFF_RANGE
from sedflux.validation.response_parts import count_spectrum, interval_errors, sed_spectrum

__all__ = ["real_star_study", "summarise_real_stars"]

#: Fewest known samples of a STIS SED, of the 575 of the SED grid.
_LEAST_SAMPLES = 300
#: Error of the fitted E(B-V), in mag.
_REDDENING_ERROR = 0.02
#: Relative error of the scale of each SED.
_SCALE_ERROR = 0.01
#: Ways to the response: where E(B-V) comes from, and what of the SEDs' covariance is used.
_WAYS = (("fitted", "full"), ("catalogue", "full"), ("catalogue", "diagonal"))
#: Relative margin in wavelength between pixels and the ends of the STIS SED: four resolution
#: elements at R = 200.
_MARGIN = 0.02


def real_star_study(sets: Mapping[str, Sequence[Predictor]], miles: SpectralLibrary,
                    stars: RealStars, bands: Mapping[str, SlitlessBand], *,
                    exposure: float = FieldSettings.exposure, level: float = 1e-14, seed: int = 5
                    ) -> Table:
    """
    Errors of responses that are fitted to real stars.

    All stars are used, also those whose SEDs a model predicts badly.  E(B-V) is fitted to the STIS
    SED, which no survey can do, or is that of the catalogue, for the stars that have one.

    Parameters
    ----------
    sets : dict of str to sequence of `~sedflux.Predictor`
        One model for all stars, or one for every fold, by their name in the table.
    miles : `~sedflux.libraries.SpectralLibrary`
    stars : `~sedflux.training.stars.RealStars`
    bands : dict of str to `~sedflux.SlitlessBand`
        With throughputs.
    exposure : float, optional
        Seconds.
    level : float, optional
        Mean F_lambda to which all stars are scaled (erg/s/cm2/Angstrom).
    seed : int, optional

    Returns
    -------
    detail : `~astropy.table.Table`
        One row per set, ``dust`` (fitted or catalogue), ``covariance`` of the SEDs (full or
        diagonal), band and interval: error of ln(response), its statistical and total sigma,
        number of stars.
    """
    teff = stars.labels[:, 0]
    known = np.isfinite(stars.stis_sed).sum(axis=1) > _LEAST_SAMPLES
    stars = stars.take((stars.source == "MILES") & known
                       & (teff > TEFF_RANGE[0]) & (teff < TEFF_RANGE[1]))
    rows = []
    for label, predictors in sets.items():
        left_out = predict_left_out(predictors, miles, stars)
        for dust in dict.fromkeys(dust for dust, _ in _WAYS):
            truths, predictions = _reddened(left_out, dust)
            if not predictions:
                continue
            seds = [_scaled(prediction, level) for prediction in predictions]
            for name, band in bands.items():
                counts = _simulated(band, truths, predictions, level, exposure,
                                    np.random.default_rng(seed))
                for way in (way for known_dust, way in _WAYS if known_dust == dust):
                    rows += [{"model": label, "dust": dust, "covariance": way, "band": name} | row
                             for row in _response_errors(counts, seds, band, way)]
    return Table(rows)


def _reddened(left_out, dust):
    """True SEDs and reddened predictions: all stars, or those with a catalogued E(B-V)."""
    if dust == "catalogue":
        left_out = left_out.take(np.isfinite(left_out.stars.ebv))
    truths = np.exp(left_out.stars.stis_sed)
    ebv = np.maximum(left_out.stars.ebv, 0.0)
    if dust == "fitted":
        ebv = [fit_reddening(part, flux, TRUTH_ERROR["NGSL"])
               for part, flux in zip(left_out.predictions, truths, strict=True)]
    return truths, [part.reddened(float(value), reddening_error=_REDDENING_ERROR)
                    for part, value in zip(left_out.predictions, ebv, strict=True)]


def _response_errors(counts, seds, band, covariance):
    """Errors and sigmas of a response in intervals."""
    response = fit_response(counts, seds, band=band, robust=False, covariance=covariance,
                            grey_error=0.0, wavelength_error=0.0)
    middle, error, sigma = interval_errors(response, band.throughput)
    total = np.interp(middle, response.wavelength, response.total_covariance.sigma)
    used = int(response.stars["used"].sum())
    return [{"wavelength": w, "error": e, "sigma": s, "total": t, "stars": used}
            for w, e, s, t in zip(middle, error, sigma, total, strict=True) if np.isfinite(e)]


def _scaled(prediction, level):
    """A prediction as an SED in absolute flux, with an error of its scale."""
    covariance = prediction.relative_covariance.with_direction(
        np.full(prediction.flux.size, _SCALE_ERROR))
    return sed_spectrum(level * prediction.flux, covariance.scaled(level * prediction.flux))


def _simulated(band, truths, predictions, level, exposure, rng):
    """Counts of the STIS SEDs in one band; pixels without STIS data are masked."""
    pixels, grid = band.wavelengths(), sed_grid()
    model = count_model(pixels, grid, area=band.area.to_value(u.cm**2),
                        line_spread=band.line_spread, sed_resolving_power=SED_RESOLVING_POWER)
    counts = []
    for truth, prediction in zip(truths, predictions, strict=True):
        known = np.isfinite(truth)
        flux = level * np.where(known, truth, prediction.flux)
        spectrum = count_spectrum(pixels, *noisy_rates(
            model.counts(band.throughput(model.fine), flux), band, exposure, rng))
        first, last = grid[known][[0, -1]]
        spectrum.mask = (pixels < (1.0 + _MARGIN) * first) | (pixels > (1.0 - _MARGIN) * last)
        counts.append(spectrum)
    return counts


def summarise_real_stars(detail: Table) -> Table:
    """
    Rms error of the response by model and band, and its claimed sigma.

    Parameters
    ----------
    detail : `~astropy.table.Table`
        From `real_star_study`.

    Returns
    -------
    table : `~astropy.table.Table`
    """
    rows = []
    keys = ("model", "dust", "covariance", "band")
    for values in dict.fromkeys(zip(*(detail[key] for key in keys), strict=True)):
        part = detail[np.all([detail[key] == value for key, value in
                              zip(keys, values, strict=True)], axis=0)]
        error, total = np.asarray(part["error"]), np.asarray(part["total"])
        rows.append(dict(zip(keys, values, strict=True)) | {
            "stars": int(part["stars"][0]),
            "begin": float(part["wavelength"][0]) - 0.5 * INTERVAL,
            "end": float(part["wavelength"][-1]) + 0.5 * INTERVAL,
            "mean": float(np.mean(error)), "rms": float(np.sqrt(np.mean(error**2))),
            "sigma": float(np.median(part["sigma"])), "total": float(np.median(total)),
            "pull": float(np.sqrt(np.mean((error / total) ** 2)))})
    return Table(rows)
