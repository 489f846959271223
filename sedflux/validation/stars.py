"""
Accuracy on real stars: MILES spectra against HST/STIS SEDs, colours and MILES's own fluxes.

A fine-tuned model has seen stars, so each star is predicted by the model that was
trained without its fold (`sedflux.training.stars.fold_of`).
"""

import numpy as np
from astropy.table import Table, vstack

from sedflux.spectra.bands import BANDS, SLITLESS_BANDS, band_rows
from sedflux.spectra.grids import optical_mean, sed_grid
from sedflux.spectra.reddening import extinction_curve
from sedflux.training.left_out import TRUTH_ERROR, fit_reddening, stis_error
from sedflux.validation.metrics import score

__all__ = ["TEFF_CELLS", "color_table", "miles_table", "star_table"]

#: Ranges of effective temperature (K) in which stars are scored.
TEFF_CELLS = ((4550.0, 5000.0), (5000.0, 5500.0), (5500.0, 6500.0), (6500.0, 8000.0),
              (8000.0, 9750.0), (5000.0, 9750.0))
#: Bands in which MILES fluxes are scored, in Angstrom.
MILES_BANDS = {"3600-3750": (3600.0, 3750.0), "3750-4000": (3750.0, 4000.0),
               "4000-4500": (4000.0, 4500.0), "4500-5500": (4500.0, 5500.0),
               "6500-7300": (6500.0, 7300.0)}


def _scores(left_out, flux, truth, error, bands):
    """Scores in every band; the truth's own error is added to sigma."""
    diagonal = left_out.stack("diagonal") + np.reshape(error, (-1, 1)) ** 2
    factor = left_out.stack("factor")
    return [{"band": band} | vars(score(flux, diagonal, factor, truth, inside))
            for band, inside in bands.items() if np.isfinite(truth[:, inside]).any()]


def star_table(left_out, *, teff=(5000.0, 9750.0)):
    """
    Score predictions from R = 2000 spectra against STIS SEDs, with and without dust.

    Parameters
    ----------
    left_out : `LeftOut`
    teff : tuple of float, optional
        Range of the MILES temperatures that is scored.

    Returns
    -------
    table : `~astropy.table.Table`
        One row a treatment of dust and band.
    each : `~astropy.table.Table`
        One row a star: errors of the bands, E(B-V), flags.
    """
    temperature = left_out.stars.labels[:, 0]
    known = np.isfinite(left_out.stars.stis_sed).any(axis=1)
    left_out = left_out.take(known & (temperature > teff[0]) & (temperature < teff[1]))
    stars, bands = left_out.stars, band_rows(sed_grid(), BANDS | SLITLESS_BANDS)
    truth = np.exp(stars.stis_sed)
    errors = np.array([stis_error(row) for row in truth])
    ebv = [fit_reddening(part, row, error) for part, row, error in
           zip(left_out.predictions, truth, errors, strict=True)]
    fitted = np.stack([part.reddened(value).flux
                       for part, value in zip(left_out.predictions, ebv, strict=True)])
    rows = [{"E(B-V)": label} | row
            for label, flux in (("none", left_out.stack("flux")), ("fitted", fitted))
            for row in _scores(left_out, flux, truth, errors, bands)]
    each = [{"star": str(stars.name[index]), "teff": stars.labels[index, 0],
             "teff_predicted": float(part.diagnostics["teff"]),
             "excess": float(part.diagnostics["excess"]), "ebv": ebv[index]}
            | {band: float(np.nanmean(fitted[index, inside] / truth[index, inside] - 1.0))
               if np.isfinite(truth[index, inside]).any() else np.nan
               for band, inside in bands.items()}
            | {"flags": "; ".join(part.flags)}
            for index, part in enumerate(left_out.predictions)]
    return Table(rows), Table(each)


def color_table(left_out, passbands, *, reference="SDSS_R", teff=(5000.0, 9750.0)):
    """
    Predicted minus measured colours of MILES stars with HST/STIS photometry.

    Stars with a known E(B-V) alone are used, and reddened by it.

    Parameters
    ----------
    left_out : `LeftOut`
    passbands : dict
        From `sedflux.training.stars.read_passbands`, in the order of the magnitudes.
    reference : str, optional
        Band against which colours are taken.
    teff : tuple of float, optional

    Returns
    -------
    table : `~astropy.table.Table`
        One row a colour: median, scatter, mean predicted sigma, scatter of the pulls.
    """
    from astropy import units as u
    from synphot import SpectralElement
    from synphot.models import Empirical1D

    from sedflux.photometry import synthetic_photometry

    stars, temperature = left_out.stars, left_out.stars.labels[:, 0]
    use = np.isfinite(stars.ebv) & (temperature > teff[0]) & (temperature < teff[1])
    names = list(passbands)
    # Tables that do not end at zero would be carried on by synphot: CSP u leaks 0.09 mag of red.
    bands = {name: SpectralElement(
        Empirical1D, points=np.r_[wavelength[0] - 1.0, wavelength, wavelength[-1] + 1.0] * u.AA,
        lookup_table=np.r_[0.0, np.clip(passed, 0.0, None), 0.0])
        for name, (wavelength, passed) in passbands.items()}
    difference, sigma = {name: [] for name in names}, {name: [] for name in names}
    for index in np.flatnonzero(use):
        sed = left_out.predictions[index].reddened(max(float(stars.ebv[index]), 0.0),
                                                   reddening_error=0.025)
        result = synthetic_photometry(sed.to_spectrum(), bands)
        measured = dict(zip(names, stars.magnitudes[index], strict=True))
        for name in names:
            color, error = result.color(name, reference)
            difference[name].append(color.value - (measured[name] - measured[reference]))
            sigma[name].append(error.value)
    lines = []
    for name in names:
        if name == reference:
            continue
        values, errors = np.array(difference[name]), np.array(sigma[name])
        middle = np.nanmedian(values)
        # NGSL fluxes are good to 2 %, so are their colours.
        pulls = values / np.hypot(errors, 0.02)
        lines.append({"color": f"{name} - {reference}", "stars": int(np.isfinite(values).sum()),
                      "median": middle, "scatter": _mad(values), "sigma": float(errors.mean()),
                      "pull": float(np.sqrt(np.nanmean(pulls**2)))})
    return Table(lines)


def _mad(values):
    middle = np.nanmedian(values)
    return float(1.4826 * np.nanmedian(np.abs(values - middle)))


def miles_table(left_out, *, dereddened=True):
    """
    Score predictions against MILES's own fluxes, by temperature and band.

    Parameters
    ----------
    left_out : `LeftOut`
    dereddened : bool, optional
        Take MILES as free of dust, as it appears to be; else fit what E(B-V) is left.

    Returns
    -------
    table : `~astropy.table.Table`
        Bias and scatter (1.4826 MAD) of predicted / measured - 1, and the scatter of the
        pulls with 2 % error of the truth, in every cell of 3 stars or more.
    """
    stars = left_out.stars
    temperature, truth = stars.labels[:, 0], np.exp(stars.miles_sed)
    flux, error = left_out.stack("flux"), TRUTH_ERROR["MILES"]
    if not dereddened:
        curve = extinction_curve(sed_grid())
        mean = optical_mean(sed_grid())
        ebv = [fit_reddening(part, row, error, curve=curve, lowest=-0.3)
               for part, row in zip(left_out.predictions, truth, strict=True)]
        flux = flux * np.exp(np.multiply.outer(ebv, curve))
        flux /= (mean @ flux.T).T
    sigma = np.sqrt(left_out.stack("diagonal") + (left_out.stack("factor") ** 2).sum(axis=1))
    rows = []
    for low, high in TEFF_CELLS:
        cell = (temperature >= low) & (temperature < high)
        if cell.sum() < 3:
            continue
        for band, inside in band_rows(sed_grid(), MILES_BANDS).items():
            values = flux[cell][:, inside] / truth[cell][:, inside] - 1.0
            pulls = values / np.hypot(sigma[cell][:, inside], error)
            rows.append({"dust": "removed" if dereddened else "fitted", "teff": low,
                         "teff_end": high, "band": band, "stars": int(cell.sum()),
                         "bias": float(np.nanmedian(values)), "scatter": _mad(values),
                         "error": float(np.sqrt(np.nanmean(values**2))), "pull": _mad(pulls)})
    return Table(rows)


def both_miles_tables(left_out):
    """`miles_table` with dust as removed, and with what is left of it fitted."""
    return vstack([miles_table(left_out, dereddened=flag) for flag in (True, False)])
