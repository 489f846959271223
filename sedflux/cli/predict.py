"""What ``sedflux predict`` says: a table of a star and its SED, and a figure."""

from pathlib import Path

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError, SedfluxError
from sedflux.io.registry import read_spectrum
from sedflux.io.sed import write_sed
from sedflux.photometry import anchor
from sedflux.predict.predictor import Predictor
from sedflux.predict.sed import predict_sed
from sedflux.slitless.throughput import read_throughput
from sedflux.spectra.continuum import remove_continuum, smooth_basis
from sedflux.spectra.grids import input_grid, optical_mean, rebin_spectra
from sedflux.spectra.reddening import continuum_shapes
from sedflux.spectra.resolution import broadening_sigma, lsf_matrix
from sedflux.spectra.spectrum import from_spectrum
from sedflux.units import LIGHT_KM_S

__all__ = ["measured_sed", "predict_files", "run_predict"]

#: Wavelengths of the printed SED, in Angstrom.
_SHOWN = (2600.0, 3000.0, 3500.0, 3800.0, 4500.0, 5500.0, 6500.0, 7500.0, 8500.0, 10000.0)


def measured_sed(spectrum, velocity, prediction):
    """
    Measured flux on the SED's grid, if the spectrum is spectrophotometry.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
        With a flux density as its unit; HST's alone are trusted.
    velocity : float
        Radial velocity in km/s that is taken out.
    prediction : `~sedflux.SEDPrediction`

    Returns
    -------
    flux, sigma : `~numpy.ndarray`, shape (575,)
        Relative to the mean over 4000-7000 Angstrom; NaN where nothing was
        measured.  None if the spectrum's shape cannot be trusted.
    """
    if spectrum.meta.get("telescope") != "HST":
        return None
    arrays = from_spectrum(spectrum)
    wavelength = arrays.wavelength / (1.0 + velocity / LIGHT_KM_S)
    power = np.interp(prediction.wavelength, wavelength,
                      np.broadcast_to(arrays.resolving_power, wavelength.shape))
    kernel = lsf_matrix(wavelength, broadening_sigma(prediction.wavelength, power, 200.0),
                        new_wavelength=prediction.wavelength)
    flux = kernel @ arrays.flux[0]
    flux = flux / (optical_mean(prediction.wavelength) @ flux)
    outside = (prediction.wavelength < wavelength[0]) | (prediction.wavelength > wavelength[-1])
    flux[outside] = np.nan
    return flux, 0.01 * flux


def _normalised(arrays, velocity):
    """Normalised input on the input grid, for the figure."""
    grid = input_grid()
    flux, ivar = rebin_spectra(arrays.wavelength / (1.0 + velocity / LIGHT_KM_S), arrays.flux,
                               arrays.ivar, grid)
    level = flux[ivar > 0].mean()
    basis = smooth_basis(grid.size, shapes=continuum_shapes(grid))
    normalised, weight = remove_continuum(flux / level, ivar * level**2, basis)
    return grid, np.where(weight[0] > 0, 1.0 + normalised[0], np.nan)


def predict_files(files, options):
    """
    Predict files one by one, and yield lines of text about each.

    Parameters
    ----------
    files : sequence of str
    options : `argparse.Namespace`
        Of ``sedflux predict``.
    """
    predictor = Predictor(options.model)
    for path in files:
        spectrum = read_spectrum(path)
        velocity = options.radial_velocity
        velocity = None if velocity is None else velocity * u.km / u.s
        asked = {"resolving_power": options.resolving_power, "radial_velocity": velocity,
                 "medium": options.medium}
        prediction = predictor.predict_spectrum(spectrum, **asked)
        if options.reddening is not None:
            prediction = prediction.reddened(options.reddening,
                                             reddening_error=options.reddening_error)
        sed = predict_sed(spectrum, model=predictor, reddening=_reddening(options), **asked)
        applied = sed.meta["header"]["SEDRV"]
        measured = measured_sed(spectrum, applied, prediction)
        name = spectrum.meta.get("object") or path
        yield from _table(name, spectrum, sed, prediction, measured,
                          predictor.metadata.get("caveat"))
        if options.output:
            place = Path(options.output)
            if len(files) > 1:
                place.mkdir(parents=True, exist_ok=True)
                place = place / f"{Path(path).name.split('.')[0]}.fits"
            write_sed(_anchored(sed, options), place, overwrite=True)
            yield f"wrote {place}"
        if options.plot:
            from sedflux.plotting import plot_prediction

            arrays = from_spectrum(spectrum, medium=options.medium,
                                   resolving_power=options.resolving_power)
            plot_prediction(options.plot, prediction, normalised=_normalised(arrays, applied),
                            measured=measured, title=f"{name}   model {prediction.model}")
            yield f"wrote {options.plot}"


def _reddening(options):
    """E(B-V) with its error, as `predict_sed` takes it."""
    if options.reddening is None or not options.reddening_error:
        return options.reddening
    return options.reddening, options.reddening_error


def _anchored(sed, options):
    """The SED on the scale of a magnitude, if one is given."""
    if options.magnitude is None:
        return sed
    if options.bandpass is None:
        raise InputError("--magnitude needs --bandpass FILE, a throughput with wavelengths")
    band = read_throughput(options.bandpass).to_synphot()
    return anchor(sed, options.magnitude * u.ABmag, band,
                  magnitude_error=options.magnitude_error * u.mag)


def _table(name, spectrum, sed, prediction, measured, caveat):
    """Lines about one star."""
    notes, header = prediction.diagnostics, sed.meta["header"]
    yield f"star      {name}  {spectrum.meta.get('class', '')}".rstrip()
    yield f"model     {prediction.model}  (SHA-256 {prediction.sha256[:12]})"
    yield (f"input     S/N {notes['snr']:.0f} a pixel, R = {header['SEDRPOW']:.0f}, "
           f"radial velocity {header['SEDRV']:+.1f} km/s taken out")
    yield (f"star is   Teff about {notes['teff']:.0f} K, log g {notes['logg']:.1f}, "
           f"[M/H] {notes['mh']:+.1f}; lines fit to {100 * notes['excess']:.1f} %")
    yield f"flags     {'; '.join(prediction.flags) or 'none'}"
    if caveat:
        yield f"caveat    {caveat}"
    yield "wavelength   SED     sigma" + ("   measured  difference  in sigma" if measured else "")
    for shown in _SHOWN:
        index = int(np.argmin(np.abs(prediction.wavelength - shown)))
        flux, sigma = prediction.flux[index], prediction.sigma[index]
        line = f"{prediction.wavelength[index]:8.0f}  {flux:8.4f}  {sigma:7.4f}"
        if measured:
            value, error = measured[0][index], measured[1][index]
            line += (f"  {value:8.4f}  {100 * (flux / value - 1):+8.1f} %"
                     f"  {(flux - value) / np.hypot(sigma, error):+8.1f}")
        yield line


def run_predict(arguments):
    """Run ``sedflux predict``."""
    files = list(arguments.spectra)
    if arguments.demo:
        from sedflux.demo import demo_path

        files.append(demo_path("bd17_stis"))
    if not files:
        raise SedfluxError("no spectrum is given: name a file, or use --demo")
    if len(files) > 1 and (arguments.plot or arguments.magnitude is not None):
        raise SedfluxError("--plot and --magnitude take one spectrum at a time")
    for line in predict_files(files, arguments):
        print(line)
