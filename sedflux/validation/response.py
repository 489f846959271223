"""
Response curves against their truth: closure, simulated fields, real stars, scaling.
"""

import resource
import time
from itertools import pairwise

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from astropy.table import Table

from sedflux.covariance import LowRankCovariance
from sedflux.response.fit import fit_response, fit_responses
from sedflux.slitless.forward import count_model
from sedflux.slitless.line_spread import LineSpread
from sedflux.spectra.grids import SED_RESOLVING_POWER, pixel_edges, sed_grid
from sedflux.training.left_out import fit_reddening, predict_left_out
from sedflux.units import FLAM, photons_per_flux

__all__ = ["closure", "field_study", "real_star_study", "resolution_study", "scaling"]

#: Width of the intervals in which errors are given, in Angstrom.
INTERVAL = 50.0


def _spectrum(wavelength, flux, sigma=None, unit=FLAM, meta=None):
    from specutils import Spectrum

    uncertainty = None if sigma is None else StdDevUncertainty(sigma * unit)
    return Spectrum(spectral_axis=wavelength * u.AA, flux=flux * unit, uncertainty=uncertainty,
                    meta=meta or {})


def closure(predictor, bands, *, resolving_power=200.0):
    """
    Noiseless counts of one star through a line-spread function, and back.

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
        One row a band: largest error of the fit and of the naive ratio of counts and photons
        inside the band, where the throughput is above half of its maximum and the last
        pixels are three resolution elements away, and at its edges.
    curves : dict of str to tuple of `~numpy.ndarray`
        Wavelength, true throughput, errors of fit and of naive ratio.
    """
    from sedflux.simulate.stars import ModelStars

    source = ModelStars(predictor, teff=(8000.0, 9500.0), prior="flat")
    rng = np.random.default_rng(1)
    _, prediction, _ = source.draw(1, np.array([80.0]), predictor, rng)
    flux, wavelength = 1e-14 * prediction.flux[0], predictor.wavelength
    meta = {"sedflux": {"resolving_power": SED_RESOLVING_POWER, "covariance": LowRankCovariance(
        1e-14 * flux**2, np.zeros((0, flux.size)))}}
    sed, spread = _spectrum(wavelength, flux, meta=meta), LineSpread.from_resolving_power(
        resolving_power)
    rows, curves = [], {}
    for name, band in bands.items():
        pixels = band.wavelengths()
        area = band.area.to_value(u.cm**2)
        model = count_model(pixels, wavelength, area=area, line_spread=spread,
                            sed_resolving_power=SED_RESOLVING_POWER)
        rate = model.counts(band.throughput(model.fine), flux)
        counts = _spectrum(pixels, rate, 1e-7 * rate.max() * np.ones(rate.size), u.ct / u.s)
        response = fit_response([counts], [sed], area=band.area, line_spread=spread,
                                truth_scale=0.0, library_error=(), robust=False)
        truth = band.throughput(response.wavelength)
        fit = np.where(response.good, response.throughput / truth - 1.0, np.nan)
        ratio = rate / (area * np.diff(pixel_edges(pixels)) * photons_per_flux(pixels)
                        * np.interp(pixels, wavelength, flux))
        naive = np.interp(response.wavelength, pixels, ratio) / truth - 1.0
        margin = 3.0 * spread.fwhm_at(pixels[[0, -1]])
        inside = (response.good & (truth > 0.5 * truth.max())
                  & (response.wavelength > pixels[0] + margin[0])
                  & (response.wavelength < pixels[-1] - margin[1]))
        edge = response.good & ~inside
        rows.append({"band": name, "fit": np.abs(fit[inside]).max(),
                     "fit_edges": np.abs(fit[edge]).max(initial=0.0),
                     "naive": np.abs(naive[inside]).max(),
                     "naive_edges": np.abs(naive[edge]).max(initial=0.0)})
        curves[name] = (response.wavelength, truth, fit, naive)
    return Table(rows), curves


def _intervals(response, truth):
    """Means of error and sigma of ln(response) over intervals, NaN where not good."""
    low, high = truth.wavelength[truth.value > 0][[0, -1]]
    edges = np.arange(np.floor(low / INTERVAL) * INTERVAL, high + INTERVAL, INTERVAL)
    value = np.log(np.maximum(truth(response.wavelength), 1e-12))
    error, sigma = [], []
    for begin, end in pairwise(edges):
        rows = (response.wavelength >= begin) & (response.wavelength < end)
        if not rows.any() or not response.good[rows].all():
            error.append(np.nan)
            sigma.append(np.nan)
            continue
        mean = response.covariance.factor[:, rows].mean(axis=1)
        error.append((np.log(response.throughput[rows]) - value[rows]).mean())
        sigma.append(np.sqrt((mean**2).sum()))
    return 0.5 * (edges[:-1] + edges[1:]), np.array(error), np.array(sigma)


def field_study(simulator, *, size=80, realisations=200, seed=1000, say):
    """
    Errors and pulls of responses from many simulated fields.

    Parameters
    ----------
    simulator : `~sedflux.simulate.simulator.Simulator`
    size : int, optional
        Stars a field.
    realisations : int, optional
    seed : int, optional
        Of the first field.
    say : callable
        Gets lines of text.

    Returns
    -------
    summary : `~astropy.table.Table`
        One row a band and way to treat the covariance: largest and median sigma over
        intervals, scatter and mean of the pulls, largest bias in sigma, chi-square, outliers
        missed and good stars rejected a field.
    detail : `~astropy.table.Table`
        One row a band, way and interval.
    """
    settings = simulator.settings
    options = {"grey_error": settings.grey_error,
               "wavelength_error": settings.wavelength_error * u.AA}
    found, begin = {}, time.perf_counter()
    for number in range(realisations):
        field = simulator.draw(size, seed=seed + number)
        outliers = set(np.asarray(field.truth["name"])[np.asarray(field.truth["outlier"]) != ""])
        full = fit_responses(field.counts, field.seds, field.bands, names=field.names, **options)
        # The same stars, so that nothing but the covariance differs.
        diagonal = {name: fit_response(
            field.counts[name], field.seds, band=field.bands[name], names=field.names,
            covariance="diagonal", robust=False,
            exclude={row["name"]: "left out" for row in response.stars if not row["used"]},
            **options) for name, response in full.items()}
        for way, responses in (("full", full), ("diagonal", diagonal)):
            for name, response in responses.items():
                out = {row["name"] for row in response.stars if not row["used"]}
                place, error, sigma = _intervals(response, field.bands[name].throughput)
                found.setdefault((name, way), []).append(
                    (place, error, sigma, response.chi2 / response.degrees_of_freedom,
                     len(outliers - out), len(out - outliers)))
        if (number + 1) % 20 == 0:
            say(f"{number + 1} fields, {time.perf_counter() - begin:.0f} s")
    summary, detail = [], []
    for (name, way), values in found.items():
        place = values[0][0]
        error, sigma = (np.array([value[i] for value in values]) for i in (1, 2))
        known = np.isfinite(error).sum(axis=0) >= max(0.9 * realisations, 2)
        pull = error[:, known] / sigma[:, known]
        bias = np.nanmean(pull, axis=0)
        summary.append({
            "band": name, "covariance": way, "fields": realisations,
            "begin": place[known][0] - 25.0, "end": place[known][-1] + 25.0,
            "sigma": np.nanmedian(sigma[:, known]),
            "pull": np.nanstd(pull), "scatter": np.nanmean(np.nanstd(pull, axis=0)),
            "bias": np.abs(bias).max(), "mean_bias": bias.mean(),
            "chi2": np.mean([value[3] for value in values]),
            "missed": np.mean([value[4] for value in values]),
            "false": np.mean([value[5] for value in values])})
        for index, middle in enumerate(place[known]):
            detail.append({"band": name, "covariance": way, "wavelength": middle,
                           "sigma": np.nanmedian(sigma[:, known][:, index]),
                           "error": np.nanstd(error[:, known][:, index]),
                           "mean": np.nanmean(error[:, known][:, index]),
                           "pull": np.nanstd(pull[:, index]), "bias": bias[index]})
    return Table(summary), Table(detail)


def real_star_study(sets, miles, stars, bands, *, exposure=150.0, level=1e-14, seed=5):
    """
    Responses from real stars: SEDs from MILES lines, counts from the same stars' STIS SEDs.

    Parameters
    ----------
    sets : dict of str to sequence of `~sedflux.Predictor`
        One for all stars, or one a fold, by the name under which they appear.
    miles : `~sedflux.libraries.SpectralLibrary`
    stars : `~sedflux.training.stars.RealStars`
    bands : dict of str to `~sedflux.SlitlessBand`
        With throughputs.
    exposure : float, optional
        Seconds.
    level : float, optional
        F_lambda to which all stars are scaled.
    seed : int, optional

    Returns
    -------
    detail : `~astropy.table.Table`
        One row a set, band and interval: error of ln(response), its statistical and total
        sigma, number of stars.
    """
    from sedflux.simulate.detector import noisy_rates

    teff = stars.labels[:, 0]
    known = np.isfinite(stars.stis_sed).sum(axis=1) > 300
    stars = stars.take((stars.source == "MILES") & known & (teff > 5000.0) & (teff < 9750.0))
    rows = []
    for label, predictors in sets.items():
        left_out = predict_left_out(predictors, miles, stars)
        truths = np.exp(left_out.stars.stis_sed)
        reddened = [part.reddened(fit_reddening(part, truth, 0.02), reddening_error=0.02)
                    for part, truth in zip(left_out.predictions, truths, strict=True)]
        for name, band in bands.items():
            rng, counts, seds = np.random.default_rng(seed), [], []
            pixels = band.wavelengths()
            model = count_model(pixels, sed_grid(), area=band.area.to_value(u.cm**2),
                                line_spread=band.line_spread,
                                sed_resolving_power=SED_RESOLVING_POWER)
            for truth, sed in zip(truths, reddened, strict=True):
                whole = np.where(np.isfinite(truth), truth, sed.flux)
                rate, sigma = noisy_rates(model.counts(band.throughput(model.fine), level * whole),
                                          band, exposure, rng)
                # Pixels where STIS has no data are no data.
                reach = sed_grid()[np.isfinite(truth)][[0, -1]]
                bad = (pixels < 1.02 * reach[0]) | (pixels > 0.98 * reach[-1])
                spectrum = _spectrum(pixels, rate, sigma, u.ct / u.s)
                spectrum.mask = bad
                counts.append(spectrum)
                covariance = sed.relative_covariance.with_direction(np.full(truth.size, 0.01))
                seds.append(_spectrum(sed_grid(), level * sed.flux, meta={"sedflux": {
                    "resolving_power": SED_RESOLVING_POWER,
                    "covariance": covariance.scaled(level * sed.flux)}}))
            # All stars, also those whose SEDs a model has wrong: that is what is measured.
            response = fit_response(counts, seds, band=band, robust=False)
            place, error, sigma = _intervals(response, band.throughput)
            total = np.interp(place, response.wavelength, response.total_covariance.sigma)
            used = int(response.stars["used"].sum())
            rows += [{"model": label, "band": name, "wavelength": one, "error": e, "sigma": s,
                      "total": t, "stars": used}
                     for one, e, s, t in zip(place, error, sigma, total, strict=True)
                     if np.isfinite(e)]
    return Table(rows)


def resolution_study(library, bands, *, models=30):
    """
    What a predicted SED's own resolving power does to expected counts.

    SEDs of R = 200 go through the instrument's line-spread function as they are, joined by
    straight lines, or with their own broadening put back
    (`sedflux.spectra.resolution.recovery_matrix`), and are compared with the models' full
    resolution.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
    bands : dict of str to `~sedflux.SlitlessBand`
        With throughputs.
    models : int, optional

    Returns
    -------
    table : `~astropy.table.Table`
        One row a band: rms and largest error of the mean over models, both ways.
    """
    from sedflux.libraries.inputs import library_seds

    chosen = library.take(np.linspace(0, len(library) - 1, models).astype(int))
    coarse, fine = np.exp(library_seds(chosen)), np.asarray(chosen.sed_flux, dtype=float)
    grid = sed_grid()
    optical = (chosen.wavelength > 4000.0) & (chosen.wavelength < 7000.0)
    level = np.trapezoid(fine[:, optical], chosen.wavelength[optical], axis=1) / 3000.0
    rows = []
    for name, band in bands.items():
        pixels = band.wavelengths()
        rates = []
        for wavelength, flux, power in ((chosen.wavelength, fine / level[:, None], None),
                                        (grid, coarse, None),
                                        (grid, coarse, SED_RESOLVING_POWER)):
            model = count_model(pixels, wavelength, area=1.0, line_spread=band.line_spread,
                                sed_resolving_power=power)
            rates.append(model.counts(band.throughput(model.fine), flux))
        good = band.throughput(pixels) > 0.2 * band.throughput.value.max()
        naive, recovered = ((rate / rates[0] - 1.0)[:, good].mean(axis=0) for rate in rates[1:])
        rows.append({"band": name, "naive_rms": np.sqrt((naive**2).mean()),
                     "naive_max": np.abs(naive).max(),
                     "recovered_rms": np.sqrt((recovered**2).mean()),
                     "recovered_max": np.abs(recovered).max()})
    return Table(rows)


def scaling(simulator, sizes, *, seed=1, say):
    """
    Time and memory of fits against the number of stars.

    Beyond a thousand stars, simulated spectra are used again under other names.

    Parameters
    ----------
    simulator : `~sedflux.simulate.simulator.Simulator`
    sizes : sequence of int
    seed : int, optional
    say : callable
        Gets lines of text.

    Returns
    -------
    table : `~astropy.table.Table`
        One row a number of stars: seconds for all bands, and the most memory in GB that
        the process has held (it holds the spectra as well).
    """
    from concurrent.futures import ThreadPoolExecutor

    settings = simulator.settings
    field = simulator.draw(min(max(sizes), 1000), seed=seed)
    rows = []
    for size in sizes:
        index = np.arange(size) % len(field.seds)
        seds = [field.seds[i] for i in index]
        counts = {name: [values[i] for i in index] for name, values in field.counts.items()}

        def fit(name, counts=counts, seds=seds):
            return fit_response(counts[name], seds, band=field.bands[name],
                                grey_error=settings.grey_error,
                                wavelength_error=settings.wavelength_error * u.AA)

        begin = time.perf_counter()
        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(fit, field.bands))
        seconds = time.perf_counter() - begin
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        say(f"{size:6d} stars, {len(field.bands)} bands: {seconds:7.2f} s, {memory:.2f} GB")
        rows.append({"stars": size, "seconds": seconds, "memory": memory})
    return Table(rows)
