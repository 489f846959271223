"""The command ``sedflux predict``: options, checks before the work, and the work."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedflux.cli.console import one_line
from sedflux.cli.options import add_command, check_new_file, make_folder, positive_number, say
from sedflux.exceptions import InputError, SedfluxError

__all__ = ["add_parser", "run"]

#: Options that mean nothing without another one, and the value that the other takes.
_PARTNERS = (("magnitude", "bandpass", "FILE"), ("magnitude", "output", "FITS"),
             ("bandpass", "magnitude", "AB"), ("magnitude_error", "magnitude", "AB"),
             ("reddening_error", "reddening", "E(B-V)"))
#: Endings of SED files.
_SED_ENDINGS = (".fits", ".fit")
#: Endings that no folder has: with several spectra, --output and --plot are folders.
_FILE_ENDINGS = (*_SED_ENDINGS, ".gz", ".png", ".pdf", ".svg", ".jpg", ".jpeg")

_log = logging.getLogger(__name__)


def add_parser(commands: Any) -> None:
    """Add ``sedflux predict``."""
    parser = add_command(commands, "predict", run, "predict the SEDs of one or more spectra")
    parser.add_argument("spectra", nargs="*", help="LAMOST, CALSPEC, NGSL, MILES or any "
                        "file that specutils reads")
    parser.add_argument("--demo", action="store_true", help="predict the packaged demo star")
    parser.add_argument("--model", help="name or path of a model")
    parser.add_argument("--resolving-power", type=positive_number, help="of the spectra")
    parser.add_argument("--radial-velocity", type=float, metavar="KM/S",
                        help="velocity to take out")
    parser.add_argument("--medium", choices=("vacuum", "air"), help="of the wavelengths")
    parser.add_argument("--reddening", type=float, metavar="E(B-V)",
                        help="put dust on the SEDs")
    parser.add_argument("--reddening-error", type=float, metavar="E(B-V)")
    parser.add_argument("--magnitude", type=float, metavar="AB",
                        help="scale the written SED to this magnitude")
    parser.add_argument("--magnitude-error", type=float, metavar="MAG")
    parser.add_argument("--bandpass", metavar="FILE", help="throughput of the magnitude's band")
    parser.add_argument("-o", "--output", metavar="FITS",
                        help="write the SED with its covariance; a folder for several spectra")
    parser.add_argument("--plot", metavar="PNG",
                        help="write a figure; a folder for several spectra")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


@dataclass(frozen=True)
class _Job:
    """A spectrum, and the files that its SED and its figure are written to."""

    spectrum: str
    sed: Path | None
    figure: Path | None


def run(arguments: argparse.Namespace) -> int:
    """Predict every spectrum, and print a table for each; 1 if some of several fail."""
    from sedflux.demo import demo_path
    from sedflux.predict.predictor import Predictor

    files = [*arguments.spectra, *([demo_path("bd17_stis")] if arguments.demo else [])]
    _check_options(files, arguments)
    jobs = _plan(files, arguments)
    band = _bandpass(arguments)
    predictor = Predictor(arguments.model)
    failed = 0
    for job in jobs:
        try:
            lines = list(_predict(job, predictor, band, arguments))
        except (SedfluxError, OSError) as error:
            if len(jobs) == 1:
                raise
            _log.error("%s: %s", job.spectrum, one_line(error))
            failed += 1
        else:
            say(lines)
    if failed:
        _log.error("%d of %d spectra failed", failed, len(jobs))
    return int(failed > 0)


def _check_options(files, arguments):
    """Refuse options that contradict each other or mean nothing."""
    if not files:
        raise InputError("no spectrum is given: name a file, or use --demo")
    for option, partner, value in _PARTNERS:
        if getattr(arguments, option) is not None and getattr(arguments, partner) is None:
            raise InputError(f"--{option.replace('_', '-')} needs --{partner} {value}")
    if len(files) > 1 and arguments.magnitude is not None:
        raise InputError(f"--magnitude belongs to one star, {len(files)} spectra are given; run "
                         "them one by one")


def _plan(files: Sequence[str], arguments: argparse.Namespace) -> list[_Job]:
    """Decide which files are written, and check all of them before any work is done."""
    seds = _destinations(files, arguments.output, "output", ".fits")
    figures = _destinations(files, arguments.plot, "plot", ".png")
    inputs = {name: Path(name) for name in files}
    for sed, figure in zip(seds, figures, strict=True):
        if sed is not None:
            if sed.suffix.lower() not in _SED_ENDINGS:
                raise InputError(f"--output is {str(sed)!r}; its name must end in .fits")
            check_new_file(sed, overwrite=arguments.overwrite, inputs=inputs)
        if figure is not None:
            from sedflux.plotting import check_figure_name

            check_figure_name(figure)
            check_new_file(figure, overwrite=arguments.overwrite, inputs=inputs)
    for path in (arguments.output, arguments.plot):
        if path is not None and len(files) > 1:
            make_folder(path)
    return [_Job(*job) for job in zip(files, seds, figures, strict=True)]


def _destinations(files, given, option, ending):
    """One output file for each input: the one that is given, or files in a folder."""
    if given is None:
        return [None] * len(files)
    place = Path(given)
    if len(files) == 1 and not place.is_dir():
        return [place]
    if place.suffix.lower() in _FILE_ENDINGS and not place.is_dir():
        raise InputError(f"--{option} is {given!r}; give a folder for {len(files)} spectra")
    taken = {}
    for file in files:
        name = Path(file).name.split(".")[0]
        if name in taken:
            raise InputError(f"two spectra are called {name!r}: {taken[name]} and {file}; write "
                             "them to different folders")
        taken[name] = file
    return [place / f"{name}{ending}" for name in taken]


def _bandpass(arguments):
    """Bandpass of the magnitude for synphot, None without a magnitude."""
    if arguments.bandpass is None:
        return None
    from sedflux.slitless.throughput import read_throughput

    return read_throughput(arguments.bandpass).to_synphot()


def _predict(job, predictor, band, arguments):
    """Predict one star, write its files, and yield the lines of its table."""
    from astropy import units as u

    from sedflux.cli.report import measured_sed, normalised_input, report
    from sedflux.io.registry import read_spectrum

    spectrum = read_spectrum(job.spectrum)
    if "SEDMODEL" in spectrum.meta.get("header", {}):
        raise InputError(f"{job.spectrum!r} is an SED that sedflux predicted; give the spectrum "
                         "of a star")
    velocity = arguments.radial_velocity
    asked = {"resolving_power": arguments.resolving_power, "medium": arguments.medium,
             "radial_velocity": None if velocity is None else velocity * u.km / u.s}
    prediction = predictor.predict_spectrum(spectrum, **asked)
    if arguments.reddening is not None:
        prediction = prediction.reddened(arguments.reddening,
                                         reddening_error=arguments.reddening_error or 0.0)
    measured = measured_sed(spectrum, prediction)
    name = spectrum.meta.get("object") or job.spectrum
    yield from report(name, spectrum.meta.get("class", ""), prediction, measured,
                      predictor.metadata.get("caveat"))
    if job.sed is not None:
        _write_sed(job.sed, spectrum, predictor, band, asked, arguments)
        yield f"wrote {job.sed}"
    if job.figure is not None:
        from sedflux.plotting import plot_prediction

        plot_prediction(job.figure, prediction, measured=measured,
                        normalised=normalised_input(spectrum, prediction, arguments),
                        title=f"{name}   model {prediction.model}")
        yield f"wrote {job.figure}"


def _write_sed(path, spectrum, predictor, band, asked, arguments):
    """Write the SED with its covariance, scaled to a magnitude if one is given."""
    from astropy import units as u

    from sedflux.io.sed import write_sed
    from sedflux.photometry import anchor
    from sedflux.predict.sed import predict_sed

    reddening = arguments.reddening
    if reddening is not None:
        reddening = (reddening, arguments.reddening_error or 0.0)
    sed = predict_sed(spectrum, model=predictor, reddening=reddening, **asked)
    if band is not None:
        sed = anchor(sed, arguments.magnitude * u.ABmag, band,
                     magnitude_error=(arguments.magnitude_error or 0.0) * u.mag)
    write_sed(sed, path, overwrite=True)
