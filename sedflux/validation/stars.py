"""Accuracy on real stars: MILES spectra against HST/STIS SEDs and colours."""

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy.optimize import minimize_scalar

from sedflux.covariance import LowRankCovariance
from sedflux.grids import sed_grid
from sedflux.libraries.library import read_library
from sedflux.prediction import optical_mean
from sedflux.reddening import extinction_curve
from sedflux.resolution import broadening_sigma, lsf_matrix
from sedflux.validation.metrics import BANDS, SLITLESS_BANDS, band_rows, score

__all__ = ["color_table", "fit_reddening", "star_table"]

#: FWHM of MILES in Angstrom, and the S/N a pixel that its spectra are taken to have.
_MILES_FWHM, _MILES_SNR = 2.5, 150.0
#: Error of the truth: relative, in the shape of STIS fluxes (CALSPEC, NGSL).
_TRUTH_ERROR = {"CALSPEC": 0.01, "NGSL": 0.02}
_STIS_RESOLVING_POWER = ((5700.0, 700.0), (np.inf, 550.0))


def _miles_predictions(predictor, miles, rows):
    """Predictions from MILES spectra; they are in the rest frame and vacuum."""
    keep = (miles.wavelength > 3900.0) & (miles.wavelength < 7100.0)
    flux = miles.flux[rows][:, keep].astype(float)
    good = np.isfinite(flux) & (flux > 0)
    level = np.nanmean(np.where(good, flux, np.nan), axis=1, keepdims=True)
    flux = np.where(good, flux / level, 0.0)
    ivar = np.where(good, (_MILES_SNR / np.where(good, flux, 1.0)) ** 2, 0.0)
    wavelength = miles.wavelength[keep]
    return predictor.predict(wavelength, flux, ivar, resolving_power=wavelength / _MILES_FWHM)


def _stis_truth(stis, row, grid):
    """STIS flux of one star at R = 200 relative to 4000-7000 A; NaN where it has none."""
    flux = stis.flux[row].astype(float)
    good = np.isfinite(flux) & (flux > 0)
    wavelength, flux = stis.wavelength[good], flux[good]
    power = np.select([grid < edge for edge, _ in _STIS_RESOLVING_POWER],
                      [value for _, value in _STIS_RESOLVING_POWER])
    kernel = lsf_matrix(wavelength, broadening_sigma(grid, power, 200.0), new_wavelength=grid)
    smooth = kernel @ flux
    near = np.searchsorted(wavelength, grid)
    gap = np.diff(np.r_[-np.inf, wavelength, np.inf])[np.clip(near, 0, wavelength.size)]
    smooth = smooth / (optical_mean(grid) @ smooth)
    return np.where((grid > wavelength[0]) & (grid < wavelength[-1]) & (gap < 30.0), smooth, np.nan)


def fit_reddening(prediction, truth, error):
    """
    E(B-V), not negative, that brings a prediction closest to a measured SED.

    Parameters
    ----------
    prediction : `~sedflux.SEDPrediction`
        Of one star.
    truth : `~numpy.ndarray`, shape (n,)
        Measured flux, NaN where unknown.
    error : float
        Its relative error.

    Returns
    -------
    ebv : float
    """
    mean = optical_mean(prediction.wavelength)
    curve = extinction_curve(prediction.wavelength)
    good = np.isfinite(truth)
    covariance = prediction.relative_covariance
    part = LowRankCovariance(covariance.diagonal[good] + error**2, covariance.factor[:, good])

    def chi2(ebv):
        flux = prediction.flux * np.exp(ebv * curve)
        flux = flux / (mean @ flux)
        return part.chi2(np.log(truth[good] / flux[good])) + (ebv / 0.3) ** 2

    return float(minimize_scalar(chi2, bounds=(0.0, 1.0), method="bounded").x)


def star_table(predictor, stis, miles, *, teff=(5000.0, 9750.0)):
    """
    Score predictions from R = 2000 spectra against STIS SEDs, with and without dust.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`
    stis, miles : path-like
        Libraries; the column MILES of the first names rows of the second.
    teff : tuple of float, optional
        Range of the MILES temperatures that is scored.

    Returns
    -------
    table : `~astropy.table.Table`
        One row a treatment of dust and band.
    each : `~astropy.table.Table`
        One row a star: errors of the bands, E(B-V), flags.
    """
    stis, miles = read_library(stis), read_library(miles)
    names = [str(name).strip() for name in miles.table["NAME"]]
    partner = [str(name).strip() for name in stis.table["MILES"]]
    quality = [str(value).strip() for value in stis.table["QUALITY"]]
    pairs = [(row, names.index(name)) for row, name in enumerate(partner)
             if name in names and quality[row] != "suspect"]
    temperature = np.asarray(miles.table["TEFF"], float)
    pairs = [(s, m) for s, m in pairs if teff[0] < temperature[m] < teff[1]]
    predictions = _miles_predictions(predictor, miles, [m for _, m in pairs])
    grid, bands = sed_grid(), band_rows(sed_grid(), BANDS | SLITLESS_BANDS)
    truths, errors, fitted, each = [], [], [], []
    for index, (s, m) in enumerate(pairs):
        truth = _stis_truth(stis, s, grid)
        error = _TRUTH_ERROR.get(str(stis.table["SOURCE"][s]).strip(), 0.02)
        ebv = fit_reddening(predictions[index], truth, error)
        truths.append(truth)
        errors.append(error)
        fitted.append(predictions[index].reddened(ebv))
        each.append({"star": names[m], "teff": temperature[m],
                     "teff_predicted": float(predictions.diagnostics["teff"][index]),
                     "excess": float(predictions.diagnostics["excess"][index]), "ebv": ebv}
                    | {band: float(np.nanmean(fitted[-1].flux[inside] / truth[inside] - 1.0))
                       if np.isfinite(truth[inside]).any() else np.nan
                       for band, inside in bands.items()}
                    | {"flags": "; ".join(predictions.flags[index])})
    truths, errors = np.stack(truths), np.array(errors)
    rows = []
    for label, parts in (("none", [predictions[i] for i in range(len(pairs))]),
                         ("fitted", fitted)):
        flux = np.stack([part.flux for part in parts])
        diagonal = np.stack([part.diagonal for part in parts]) + errors[:, None] ** 2
        factor = np.stack([part.factor for part in parts])
        for band, inside in bands.items():
            rows.append({"E(B-V)": label, "band": band}
                        | vars(score(flux, diagonal, factor, truths, inside)))
    return Table(rows), Table(each)


def _passbands(path):
    """Throughputs of the photometry file by the name of their extension."""
    with fits.open(path) as hdus:
        return {hdu.name: (np.asarray(hdu.data["WAVELENGTH"], float),
                           np.asarray(hdu.data["THROUGHPUT"], float))
                for hdu in hdus[2:]}


def color_table(predictor, photometry, miles, *, teff=(5000.0, 9750.0)):
    """
    Predicted minus measured colours of MILES stars with HST/STIS photometry.

    Stars with a known E(B-V) alone are used, and reddened by it.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`
    photometry, miles : path-like
    teff : tuple of float, optional

    Returns
    -------
    table : `~astropy.table.Table`
        One row a colour (against the r band): median, scatter, mean predicted sigma.
    """
    from astropy import units as u
    from synphot import SpectralElement
    from synphot.models import Empirical1D

    from sedflux.photometry import synthetic_photometry

    table, library = Table.read(photometry, hdu=1), read_library(miles)
    names = [str(name).strip() for name in library.table["NAME"]]
    use = [row for row in table if np.isfinite(row["EBV"]) and teff[0] < row["TEFF"] < teff[1]
           and str(row["NAME"]).strip() in names]
    rows = [names.index(str(row["NAME"]).strip()) for row in use]
    predictions = _miles_predictions(predictor, library, rows)
    bands = {}
    for name, (wavelength, passed) in _passbands(photometry).items():
        bands[name] = SpectralElement(Empirical1D, points=wavelength * u.AA,
                                      lookup_table=np.clip(passed, 0.0, None))
    difference = {name: [] for name in bands}
    sigma = {name: [] for name in bands}
    for index, row in enumerate(use):
        sed = predictions[index].reddened(max(float(row["EBV"]), 0.0), ebv_error=0.02)
        result = synthetic_photometry(sed.to_spectrum(), bands)
        for name in bands:
            color, error = result.color(name, "SDSS_R")
            difference[name].append(color.value - (row[name] - row["SDSS_R"]))
            sigma[name].append(error.value)
    lines = []
    for name in bands:
        if name == "SDSS_R":
            continue
        values = np.array(difference[name])
        middle = np.nanmedian(values)
        lines.append({"color": f"{name} - SDSS_R", "stars": int(np.isfinite(values).sum()),
                      "median": middle,
                      "scatter": 1.4826 * np.nanmedian(np.abs(values - middle)),
                      "sigma": float(np.mean(sigma[name]))})
    return Table(lines)
