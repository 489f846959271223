"""The commands ``sedflux response fit`` and ``sedflux response apply``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sedflux.cli.console import one_line
from sedflux.cli.options import (
    add_command,
    add_overwrite,
    check_new_files,
    given,
    make_folder,
    number,
    positive_number,
    refuse_unused,
    say,
    spectrum_files,
    star_name,
    whole_number,
)
from sedflux.exceptions import InputError, SedfluxError

__all__ = ["INSTRUMENT_HELP", "add_parser", "run_apply", "run_fit"]

INSTRUMENT_HELP = "one of sedflux.list_instruments(), such as csst or lookalike"
#: Columns of the table of stars for the field terms.
_COLUMNS = ("x", "y", "detector", "epoch")
#: Endings of response files in the layouts of sedflux.
_RESPONSE_ENDINGS = (".fits", ".fit", ".ecsv", "")

_log = logging.getLogger(__name__)


def add_parser(commands: Any) -> None:
    """Add ``sedflux response`` with its two stages."""
    stages = commands.add_parser(
        "response", help="fit and apply response curves of slitless spectrographs") \
        .add_subparsers(dest="stage", metavar="STAGE", required=True)
    _add_fit(stages)
    apply = add_command(stages, "apply", run_apply, "calibrate spectra with a response",
                        example="sedflux response apply gv.fits counts/GV -o calibrated")
    source = apply.add_argument_group("input")
    source.add_argument("response", metavar="RESPONSE", help="from sedflux response fit")
    source.add_argument("spectra", nargs="+", metavar="FILE",
                        help="extracted spectra, or folders of them")
    output = apply.add_argument_group("output")
    output.add_argument("-o", "--output", required=True, metavar="FOLDER")
    add_overwrite(output)


def _add_fit(stages):
    fit = add_command(
        stages, "fit", run_fit, "fit one response to the spectra of many stars",
        example="sedflux response fit --spectra field/counts/GV --seds field/seds "
        "--instrument lookalike --band GV -o gv.fits")
    source = fit.add_argument_group("input")
    source.add_argument("--spectra", nargs="+", required=True, metavar="FILE",
                        help="extracted spectra (counts per second and pixel), or folders of them")
    source.add_argument("--seds", nargs="+", required=True, metavar="FILE",
                        help="SEDs in absolute flux, with the file names of the spectra")
    source.add_argument("--stars", metavar="TABLE",
                        help="table with name, x, y, detector, epoch of the stars")
    band = fit.add_argument_group("instrument")
    band.add_argument("--instrument", metavar="NAME", help=INSTRUMENT_HELP)
    band.add_argument("--band", metavar="NAME", help="of the instrument; gives collecting area, "
                      "wavelength range and line-spread function")
    band.add_argument("--area", type=positive_number, metavar="CM2", help="collecting area")
    band.add_argument("--resolving-power", type=positive_number, metavar="R",
                      help="of the line-spread function")
    model = fit.add_argument_group("model of the response")
    model.add_argument("--grey-error", type=number, metavar="FRACTION", help="relative scatter of "
                       "the aperture losses (default: {response.options:GREY_ERROR})")
    model.add_argument("--wavelength-error", type=number, metavar="ANGSTROM",
                       help="scatter of the wavelength zero points (default: "
                       "{response.options:WAVELENGTH_ERROR_PIXELS} pix)")
    model.add_argument("--common", nargs="+", default=[], metavar="NAME=ERROR",
                       help="errors that all stars share, of sedflux.response.CommonErrors, "
                       "such as reddening_zero_point=0.01, background=0.3 or fitted=shift,stretch")
    model.add_argument("--position", type=whole_number(0), default=0, metavar="DEGREE",
                       help="degree of the polynomial in the position on the detector "
                       "(default: %(default)s)")
    model.add_argument("--detector-offsets", action="store_true", help="one offset per detector")
    model.add_argument("--time", action="store_true", help="a change linear in time")
    model.add_argument("--not-robust", action="store_true", help="do not reject outliers")
    output = fit.add_argument_group("output")
    output.add_argument("-o", "--output", required=True, metavar="FILE")
    output.add_argument("--format", choices=("fits", "ecsv", "axe", "synphot"),
                        help="(default: by the ending of --output)")
    output.add_argument("--plot", nargs="?", const="", metavar="PNG",
                        help="draw the response and its error budget (default: beside --output)")
    add_overwrite(output)


def _files(paths: Sequence[str]) -> dict[str, Path]:
    """Files of spectra by the name of the star, those in folders included."""
    found: dict[str, Path] = {}
    for file in spectrum_files(paths):
        if not file.exists():
            raise InputError(f"{str(file)!r} does not exist")
        name = star_name(file)
        if name in found:
            raise InputError(f"two files are called {name!r}: {found[name]} and {file}")
        found[name] = file
    return found


def run_fit(arguments: argparse.Namespace) -> None:
    """Fit a response, write it and its figure, and print its errors."""
    _check_options(arguments)
    from sedflux.response.fit import fit_response
    from sedflux.response.quality import error_budget

    spectra, seds = _files(arguments.spectra), _files(arguments.seds)
    names = [name for name in spectra if name in seds]
    if not names:
        first = next(iter(spectra), "NAME")
        raise InputError(f"none of the {len(spectra)} spectra has an SED of the same name among "
                         f"{len(seds)} files; the SED of {first!r} must be called {first}.fits")
    figure = _check_outputs(arguments, [*spectra.values(), *seds.values()])
    say([f"{len(names)} stars with spectrum and SED, {len(spectra) - len(names)} without SED"])
    options = _fit_options(arguments, names)
    _log.info("reading %d spectra and SEDs", len(names))
    counts, absolute = ([_read(files[name]) for name in names] for files in (spectra, seds))
    response = fit_response(counts, absolute, names=names, **options)
    response.write(arguments.output, format=arguments.format, overwrite=True)
    say(_report(response))
    say([f"wrote {arguments.output}"])
    if figure is not None:
        from sedflux.plotting import plot_response

        plot_response(figure, response, budget=error_budget(response),
                      title=arguments.band or Path(arguments.output).stem)
        say([f"wrote {figure}"])


def _read(path):
    from sedflux.io.registry import read_spectrum

    return read_spectrum(path)


def _check_options(arguments):
    """Refuse options that contradict each other or have no effect."""
    refuse_unused(arguments, {"band": ("instrument",)})
    terms = arguments.position or arguments.detector_offsets or arguments.time
    if terms and arguments.stars is None:
        raise InputError("--position, --detector-offsets and --time need --stars TABLE")
    if arguments.stars is not None and not terms:
        raise InputError("--stars has no effect without --position, --detector-offsets or --time; "
                         "add one, or leave --stars out")


def _check_outputs(arguments, inputs):
    """Check the names of the output files; return the path of the figure, or None."""
    from sedflux.writing import refuse_existing

    output, figure = Path(arguments.output), None
    if arguments.format is None and output.suffix.lower() not in _RESPONSE_ENDINGS:
        raise InputError(f"--output is {arguments.output!r}; its name must end in "
                         f"{' or '.join(_RESPONSE_ENDINGS[:-1])}, or give --format")
    if arguments.plot is not None:
        from sedflux.plotting import check_figure_name

        figure = Path(arguments.plot) if arguments.plot else output.with_suffix(".png")
        check_figure_name(figure)
    written = [path for path in (output, figure) if path is not None]
    check_new_files(written, overwrite=arguments.overwrite,
                    inputs=[*inputs, *([arguments.stars] if arguments.stars else [])])
    for path in written:
        refuse_existing(path, overwrite=True)
    return figure


def _fit_options(arguments, names):
    """Options of `fit_response` that the user gave."""
    from astropy import units as u

    band, area = _band(arguments), given(arguments, ["area"])
    field, stars = _field(arguments, names)
    units = {"area": u.cm**2, "wavelength_error": u.AA}
    numbers = area | given(arguments, ["grey_error", "wavelength_error", "resolving_power"])
    return {name: value * units.get(name, 1) for name, value in numbers.items()} | {
        "common": _common(arguments.common), "band": band, "field": field, "stars": stars,
        "robust": not arguments.not_robust}


def _common(texts):
    """Common errors from ``NAME=ERROR``; those that are not given keep their defaults."""
    from dataclasses import fields

    from sedflux.response.common_errors import CommonErrors

    known = [one.name for one in fields(CommonErrors)]
    found: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name == "fitted":
            found[name] = value.split(",")
            continue
        if name not in known:
            raise InputError(f"--common is {text!r}; NAME=ERROR is needed, with one of "
                             f"{', '.join(known)}")
        try:
            found[name] = float(value)
        except ValueError as error:
            raise InputError(f"--common is {text!r}; {value!r} is no number") from error
    return CommonErrors(**found)


def _band(arguments):
    """The band of --band; None if no instrument is given."""
    from sedflux.slitless.instrument import get_instrument

    if arguments.instrument is None:
        return None
    bands = get_instrument(arguments.instrument).bands
    if arguments.band not in bands:
        raise InputError(f"--band is {arguments.band!r}; {arguments.instrument} has "
                         f"{', '.join(bands)}")
    return bands[arguments.band]


def _field(arguments, names):
    """Field terms, and the columns of the table of stars for them."""
    if not (arguments.position or arguments.detector_offsets or arguments.time):
        return None, None
    import numpy as np

    from sedflux.response.field_terms import FieldTerms

    table = _star_table(arguments.stars, names)
    stars = {name: np.asarray(table[name]) for name in _COLUMNS if name in table.colnames}
    detectors = ()
    if arguments.detector_offsets:
        detectors = tuple(sorted(set(map(str, stars.get("detector", ())))))
    span = {}
    if arguments.time and "epoch" in stars and np.ptp(stars["epoch"]) > 0:
        span["epochs"] = (float(stars["epoch"].min()), float(stars["epoch"].max()))
    if arguments.position and "x" in stars and "y" in stars:
        span["size"] = (float(stars["x"].max()), float(stars["y"].max()))
    return FieldTerms(position=arguments.position, detectors=detectors, epoch=arguments.time,
                      **span), stars


def _star_table(path, names):
    """Rows of the table of stars in the order of the names."""
    from astropy.table import Table

    try:
        table = Table.read(path)
    except Exception as error:  # readers of astropy raise errors of any type
        reason = "it does not exist" if not Path(path).exists() else one_line(error)
        raise InputError(f"--stars is {path!r}, which cannot be read ({reason}); give an ECSV "
                         "or FITS table") from error
    if "name" not in table.colnames:
        raise InputError(f"{path} has no column 'name'; it has {', '.join(table.colnames)}")
    rows = {str(name): row for row, name in enumerate(table["name"])}
    missing = [name for name in names if name not in rows]
    if missing:
        raise InputError(f"{path} has no star {missing[0]!r}")
    return table[[rows[name] for name in names]]


def _report(response: Any) -> Iterator[str]:
    """Lines about a response: wavelengths, stars, chi-square, errors, rejected stars."""
    from dataclasses import asdict

    import numpy as np

    used, inside = response.stars["used"], response.good
    low, high = response.wavelength_range
    yield (f"response good over {low:.0f}-{high:.0f} Angstrom, {int(used.sum())} stars used, "
           f"chi2 {response.chi2:.0f} for {response.degrees_of_freedom} degrees of freedom")
    yield (f"error of ln(response), median: {np.median(response.covariance.sigma[inside]):.4f} "
           f"statistical, {np.median(response.total_covariance.sigma[inside]):.4f} total")
    options = response.problem.options
    taken = {"grey_error": options.grey_error, "wavelength_error": options.wavelength_error}
    taken |= {name: value for name, value in asdict(options.common).items() if name != "fitted"}
    yield "errors taken for granted: " + ", ".join(
        f"{name} {value:.3g}" for name, value in taken.items())
    for row in [] if response.common is None else response.common:
        value = f"{row['value']:.3g} +- {row['after']:.2g} {row['unit']}"
        yield f"fitted {row['name']}: {value.strip()}"
    for row in response.stars[~used]:
        yield f"left out {row['name']}: {row['reason']}"


def run_apply(arguments: argparse.Namespace) -> int:
    """Calibrate spectra with a response and write them; return 1 if some of several fail."""
    from sedflux.io.sed import write_sed
    from sedflux.response.curve import ResponseCurve

    response = ResponseCurve.read(arguments.response)
    files = _files(arguments.spectra)
    check_new_files([Path(arguments.output) / f"{name}.fits" for name in files],
                    overwrite=arguments.overwrite, inputs=[*files.values(), arguments.response])
    folder, failed = make_folder(arguments.output), 0
    for name, path in files.items():
        target = folder / f"{name}.fits"
        try:
            write_sed(response.calibrate(_read(path)), target, overwrite=True)
        except (SedfluxError, OSError) as error:
            if len(files) == 1:
                raise
            _log.error("%s: %s", path, one_line(error))
            failed += 1
        else:
            say([f"wrote {target}"])
    if failed:
        _log.error("%d of %d spectra failed", failed, len(files))
    return int(failed > 0)
