"""The commands ``sedflux response fit``, ``sedflux response apply`` and ``sedflux simulate``."""

from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.instrument import get_instrument, named_bands
from sedflux.libraries.connect import read_spectrum
from sedflux.response.curve import ResponseCurve
from sedflux.response.field import FieldTerms
from sedflux.response.fit import fit_response
from sedflux.response.quality import error_budget

__all__ = ["run_response", "run_simulate"]

_SUFFIXES = (".fits", ".fit", ".fits.gz", ".ecsv", ".txt", ".csv")


def _files(paths):
    """Files by their stems; folders give all spectra in them."""
    found = {}
    for path in map(Path, paths):
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in inside:
            if not file.exists():
                raise InputError(f"{str(file)!r} does not exist")
            if file.name.lower().endswith(_SUFFIXES):
                stem = file.name.split(".")[0]
                if stem in found:
                    raise InputError(f"two files are called {stem!r}: {found[stem]} and {file}")
                found[stem] = file
    return found


def run_response(arguments):
    """
    Run ``sedflux response fit`` or ``apply``; lines of text.
    """
    return (_fit if arguments.stage == "fit" else _apply)(arguments)


def _fit(arguments):
    spectra, seds = _files(arguments.spectra), _files(arguments.seds)
    names = [name for name in spectra if name in seds]
    if not names:
        raise InputError(f"none of the {len(spectra)} spectra has an SED of the same name among "
                         f"{len(seds)}; {next(iter(spectra), '-')!r} wants "
                         f"{next(iter(spectra), '-')}.fits")
    yield f"{len(names)} stars with spectrum and SED, {len(spectra) - len(names)} without SED"
    band, area = _band(arguments)
    field, stars = _field(arguments, names)
    response = fit_response(
        [read_spectrum(spectra[name]) for name in names],
        [read_spectrum(seds[name]) for name in names],
        area=area, band=band, resolving_power=arguments.resolving_power, names=names, field=field,
        stars=stars, grey_error=arguments.grey_error,
        wavelength_error=arguments.wavelength_error * u.AA, robust=not arguments.not_robust)
    response.write(arguments.output, format=arguments.format, overwrite=True)
    yield from _report(response)
    yield f"wrote {arguments.output}"
    if arguments.plot is not None:
        from sedflux.plotting import plot_response

        path = arguments.plot or str(Path(arguments.output).with_suffix(".png"))
        plot_response(path, response, budget=error_budget(response))
        yield f"wrote {path}"


def _band(arguments):
    """Band and collecting area that the user asks for."""
    area = None if arguments.area is None else arguments.area * u.cm**2
    if arguments.instrument is None:
        return None, area
    instrument = get_instrument(arguments.instrument)
    if arguments.band not in instrument.bands:
        raise InputError(f"--band is {arguments.band!r}; {arguments.instrument} has "
                         f"{', '.join(instrument.bands)}")
    return instrument.bands[arguments.band], area


def _field(arguments, names):
    """Field terms and what they need to know of the stars."""
    if not (arguments.position or arguments.detector_offsets or arguments.time):
        return None, None
    if arguments.stars is None:
        raise InputError("--position, --detector-offsets and --time need --stars TABLE")
    table = Table.read(arguments.stars)
    place = {str(name): row for row, name in enumerate(table["name"])}
    missing = [name for name in names if name not in place]
    if missing:
        raise InputError(f"{arguments.stars} has no star {missing[0]!r}")
    table = table[[place[name] for name in names]]
    stars = {name: np.asarray(table[name]) for name in ("x", "y", "detector", "epoch")
             if name in table.colnames}
    detectors = tuple(sorted(set(map(str, stars.get("detector", ()))))) \
        if arguments.detector_offsets else ()
    span = {}
    if arguments.time and "epoch" in stars and np.ptp(stars["epoch"]) > 0:
        span["epochs"] = (float(stars["epoch"].min()), float(stars["epoch"].max()))
    if arguments.position and "x" in stars and "y" in stars:
        span["size"] = (float(stars["x"].max()), float(stars["y"].max()))
    return FieldTerms(position=arguments.position, detectors=detectors, epoch=arguments.time,
                      **span), stars


def _report(response):
    """What a user wants to know at once."""
    used = response.stars["used"]
    low, high = response.wavelength_range
    inside = response.good
    yield (f"response good over {low:.0f}-{high:.0f} Angstrom, {int(used.sum())} stars used, "
           f"chi2 {response.chi2:.0f} for {response.degrees_of_freedom}")
    yield (f"error of ln(response), median: {np.median(response.covariance.sigma[inside]):.4f} "
           f"statistical, {np.median(response.total_covariance.sigma[inside]):.4f} in all")
    for row in response.stars[~used]:
        yield f"left out {row['name']}: {row['reason']}"


def _apply(arguments):
    from sedflux.libraries.sedfile import write_sed

    response = ResponseCurve.read(arguments.response)
    folder = Path(arguments.output)
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in _files(arguments.spectra).items():
        calibrated = response.calibrate(read_spectrum(path))
        write_sed(calibrated, folder / f"{name}.fits", overwrite=True)
        yield f"wrote {folder / f'{name}.fits'}"


def run_simulate(arguments):
    """
    Run ``sedflux simulate``; lines of text.
    """
    from sedflux.libraries.library import read_library
    from sedflux.simulate import FieldSettings, Simulator

    bands, _ = named_bands(arguments.instrument, arguments.throughput)
    settings = FieldSettings(magnitudes=tuple(arguments.magnitudes), snr=tuple(arguments.snr),
                             exposure=arguments.exposure, outliers=arguments.outliers)
    library = read_library(arguments.library) if arguments.library else None
    field = Simulator(bands, settings, library=library, model=arguments.model).draw(
        arguments.stars, seed=arguments.seed)
    field.write(arguments.output)
    yield (f"wrote {len(field.seds)} stars in {', '.join(bands)} to {arguments.output}: counts/, "
           "seds/, truth.ecsv, true_seds.fits")
