"""Options of ``sedflux response`` and ``sedflux simulate``."""

from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.io.registry import read_spectrum
from sedflux.response.curve import ResponseCurve
from sedflux.response.field_terms import FieldTerms
from sedflux.response.fit import fit_response
from sedflux.response.options import Options
from sedflux.response.quality import error_budget
from sedflux.slitless.instrument import get_instrument, named_bands

__all__ = ["add_response_parser", "add_simulate_parser", "run_response", "run_simulate"]

_INSTRUMENTS = "one of sedflux.list_instruments(), such as csst or lookalike"
_SUFFIXES = (".fits", ".fit", ".fits.gz", ".ecsv", ".txt", ".csv")


def add_response_parser(commands):
    """Options of ``sedflux response``."""
    stages = commands.add_parser("response", help="response curves of slitless spectrographs") \
        .add_subparsers(dest="stage", required=True)
    fit = stages.add_parser("fit", help="one response from the spectra of many stars")
    fit.add_argument("--spectra", nargs="+", required=True, metavar="FILE",
                     help="extracted spectra (counts a second and pixel), or folders of them")
    fit.add_argument("--seds", nargs="+", required=True, metavar="FILE",
                     help="SEDs on an absolute scale, with the file names of the spectra")
    fit.add_argument("--instrument", metavar="NAME", help=_INSTRUMENTS)
    fit.add_argument("--band", help="of the instrument; gives area, range and line spread")
    fit.add_argument("--area", type=float, metavar="CM2", help="collecting area")
    fit.add_argument("--resolving-power", type=float, help="of the line-spread function")
    fit.add_argument("--grey-error", type=float, default=Options.grey_error,
                     help="scatter of aperture losses, relative (default: %(default)s)")
    fit.add_argument("--wavelength-error", type=float, default=Options.wavelength_error,
                     metavar="ANGSTROM",
                     help="scatter of the wavelength zero points (default: %(default)s)")
    fit.add_argument("--stars", metavar="TABLE",
                     help="table with name, x, y, detector, epoch of the stars")
    fit.add_argument("--position", type=int, default=0, metavar="DEGREE",
                     help="degree of the polynomial over the field")
    fit.add_argument("--detector-offsets", action="store_true")
    fit.add_argument("--time", action="store_true", help="a change linear in time")
    fit.add_argument("--not-robust", action="store_true")
    fit.add_argument("-o", "--output", required=True, metavar="FILE")
    fit.add_argument("--format", choices=("fits", "ecsv", "axe", "synphot"))
    fit.add_argument("--plot", nargs="?", const="", metavar="PNG",
                     help="draw the response and its error budget")
    apply = stages.add_parser("apply", help="calibrate spectra by a response")
    apply.add_argument("response", help="from sedflux response fit")
    apply.add_argument("spectra", nargs="+")
    apply.add_argument("-o", "--output", required=True, metavar="FOLDER")


def add_simulate_parser(commands):
    """Options of ``sedflux simulate``."""
    simulate = commands.add_parser("simulate", help="a field of stars in slitless bands")
    simulate.add_argument("--instrument", default="lookalike", help=_INSTRUMENTS)
    simulate.add_argument("--throughput", nargs="+", default=[], metavar="BAND=FILE")
    simulate.add_argument("--stars", type=int, default=80)
    simulate.add_argument("--seed", type=int, default=1)
    simulate.add_argument("--outliers", type=float, default=0.1, help="share of the stars")
    simulate.add_argument("--exposure", type=float, default=150.0, metavar="SECONDS")
    simulate.add_argument("--magnitudes", type=float, nargs=2, default=(13.5, 16.5))
    simulate.add_argument("--snr", type=float, nargs=2, default=(20.0, 80.0),
                          help="of the R = 2000 spectra")
    simulate.add_argument("--library", metavar="FITS", help="where stars come from")
    simulate.add_argument("--model")
    simulate.add_argument("-o", "--output", required=True, metavar="FOLDER")


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
        wavelength_error=arguments.wavelength_error, robust=not arguments.not_robust)
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
    from sedflux.io.sed import write_sed

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
    from sedflux.simulate.settings import FieldSettings
    from sedflux.simulate.simulator import Simulator

    bands, _ = named_bands(arguments.instrument, arguments.throughput)
    settings = FieldSettings(magnitudes=tuple(arguments.magnitudes), snr=tuple(arguments.snr),
                             exposure=arguments.exposure, outliers=arguments.outliers)
    library = read_library(arguments.library) if arguments.library else None
    field = Simulator(bands, settings, library=library, model=arguments.model).draw(
        arguments.stars, seed=arguments.seed)
    field.write(arguments.output)
    yield (f"wrote {len(field.seds)} stars in {', '.join(bands)} to {arguments.output}: counts/, "
           "seds/, truth.ecsv, true_seds.fits")
