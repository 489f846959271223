"""The command ``sedflux predict``: its options, and predictions of many files."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sedflux.cli.console import one_line, progress
from sedflux.cli.options import (
    SPECTRUM_ENDINGS,
    add_command,
    add_model,
    add_overwrite,
    number,
    positive_number,
    refuse_unused,
    say,
    spectrum_files,
)
from sedflux.cli.places import Job, plan
from sedflux.exceptions import InputError, SedfluxError

if TYPE_CHECKING:
    from sedflux.predict.prediction import SEDPrediction
    from sedflux.predict.predictor import Predictor

__all__ = ["add_parser", "run"]

#: Options that have no effect without another one.
_PARTNERS = {"magnitude": ("output",), "bandpass": ("magnitude",),
             "magnitude_error": ("magnitude",), "reddening_error": ("reddening",),
             "photometry": ("output",), "bandpasses": ("photometry",),
             "overwrite": ("output", "plot", "table")}
#: Spectra per batch, which are in memory at once.
_BATCH = 16

_log = logging.getLogger(__name__)


def add_parser(commands: Any) -> None:
    """Add ``sedflux predict``."""
    parser = add_command(commands, "predict", run, "predict the SEDs of one or more spectra",
                         example="sedflux predict spectra/ -o seds --table stars.ecsv")
    source = parser.add_argument_group("input")
    source.add_argument("spectra", nargs="*", metavar="FILE", help="files of LAMOST, CALSPEC, "
                        "NGSL, MILES or any other survey that specutils reads, or folders of them")
    source.add_argument("--demo", action="store_true",
                        help="predict the packaged demo star, and compare it with HST")
    source.add_argument("--measured", metavar="FILE", help="compare the SED of one star with this "
                        "measured one, a file of CALSPEC or NGSL")
    source.add_argument("--resolving-power", type=positive_number, metavar="R",
                        help="lambda / FWHM of the spectra (default: that of the file, or "
                        "{predict.checks:RESOLVING_POWER})")
    source.add_argument("--medium", choices=("vacuum", "air"),
                        help="of the wavelengths (default: that of the file, or vacuum)")
    star = parser.add_argument_group("star")
    star.add_argument("--radial-velocity", type=number, metavar="KM/S",
                      help="velocity of the star (default: that of the file, or 0)")
    star.add_argument("--reddening", type=number, metavar="E(B-V)",
                      help="redden the SEDs by this E(B-V) (default: none)")
    star.add_argument("--reddening-error", type=number, metavar="E(B-V)", help="(default: 0)")
    star.add_argument("--magnitude", type=number, metavar="AB",
                      help="scale the written SED of one star to this magnitude")
    star.add_argument("--magnitude-error", type=number, metavar="MAG", help="(default: 0)")
    star.add_argument("--bandpass", metavar="FILE", help="throughput of the magnitude's band")
    star.add_argument("--photometry", metavar="TABLE",
                      help="condition the written SEDs on the AB magnitudes of this table (columns "
                      "star, g, g_error ...); --reddening is then the prior of E(B-V)")
    star.add_argument("--bandpasses", nargs="+", metavar="BAND=FILE",
                      help="throughputs of its bands")
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="PLACE", help="write the SED with its "
                        "covariance to a file NAME.fits; several SEDs to a folder")
    output.add_argument("--plot", metavar="PLACE",
                        help="write a figure to a file NAME.png; several to a folder")
    output.add_argument("--table", metavar="ECSV", help="write a table with one row per star")
    output.add_argument("--json", action="store_true",
                        help="print one JSON document instead of tables")
    add_overwrite(output)
    add_model(parser.add_argument_group("model"), auto=True)


def run(arguments: argparse.Namespace) -> int:
    """Predict every spectrum, and write and print the results; return 1 if some of several fail."""
    if not arguments.spectra and not arguments.demo:
        raise InputError("no spectrum is given: name files or folders, or use --demo")
    refuse_unused(arguments, _PARTNERS)
    if arguments.magnitude is not None and arguments.bandpass is None:
        raise InputError("--magnitude needs --bandpass FILE, the throughput of its band")
    if arguments.photometry is not None:
        if arguments.bandpasses is None:
            raise InputError("--photometry needs --bandpasses BAND=FILE, throughputs of its bands")
        if arguments.magnitude is not None:
            raise InputError("--magnitude and --photometry both set the scale; give one of them")
    files = _files(arguments)
    for name in ("magnitude", "measured"):
        if len(files) > 1 and getattr(arguments, name) is not None:
            raise InputError(f"--{name} belongs to one star, {len(files)} spectra are given; run "
                             "them one by one")
    return _predict_all(plan(files, arguments), arguments)


def _files(arguments):
    """Names of all spectra."""
    files = [str(path) for path in spectrum_files(arguments.spectra)]
    if arguments.demo:
        from sedflux.demo import demo_path

        files.append(demo_path("16cygb_miles"))
        if len(files) == 1 and arguments.measured is None:
            arguments.measured = demo_path("16cygb_stis")
    if not files:
        raise InputError(f"{', '.join(arguments.spectra)} has no spectrum; files that end in "
                         f"{', '.join(SPECTRUM_ENDINGS)} are read")
    return files


def _predict_all(jobs: Sequence[Job], arguments: argparse.Namespace) -> int:
    """Predict all spectra with one model; return the exit status."""
    from sedflux.cli.outcome import Writer
    from sedflux.predict.loading import loaded_predictor
    from sedflux.predict.models import AUTO

    writer = Writer(arguments, loaded_predictor(arguments.model or AUTO))
    records: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    many = len(jobs) > 1
    if many and not arguments.json:
        say([writer.heading()])
    try:
        with progress(len(jobs), arguments.verbosity) as step:
            for job, result in _predictions(jobs, writer.predictor, arguments):
                try:
                    record = writer.write(job, *_checked(result))
                except (SedfluxError, OSError) as error:
                    if not many:
                        raise
                    failed[job.spectrum] = one_line(error)
                    step([])
                else:
                    records.append(record)
                    step([] if arguments.json else writer.lines(record, short=many))
    except KeyboardInterrupt:
        _log.error("%d of %d spectra were predicted", len(records), len(jobs))
        raise
    finally:
        for file, reason in failed.items():
            _log.error("%s: %s", file, reason)
    if arguments.table is not None:
        writer.write_table(records)
    if arguments.json:
        say([writer.json(records, failed)])
    flagged = sum(record["flags"] != 0 for record in records)
    _summarise(len(records), flagged, len(failed), many=many)
    return int(bool(failed))


def _summarise(predicted, flagged, failed, *, many):
    """Log how many of several spectra were predicted, flagged, and failed."""
    if many:
        _log.log(logging.ERROR if failed else logging.INFO,
                 "%d predicted, %d of them flagged; %d failed", predicted, flagged, failed)


def _checked(result):
    """Return a spectrum and its prediction, or raise the error that replaces them."""
    if isinstance(result, Exception):
        raise result
    return result


def _predictions(jobs: Sequence[Job], predictor: Predictor, arguments: argparse.Namespace
                 ) -> Iterator[tuple[Job, tuple[Any, SEDPrediction] | Exception]]:
    """Every spectrum with its prediction or its error, batch by batch."""
    from sedflux.cli.outcome import input_options, read_star
    from sedflux.predict.many import predict_many

    options = input_options(arguments)
    for begin in range(0, len(jobs), _BATCH):
        batch = jobs[begin:begin + _BATCH]
        results: list[Any] = [_attempt(read_star, job.spectrum) for job in batch]
        rows = [row for row, result in enumerate(results) if not isinstance(result, Exception)]
        found: Iterable[Any] = predict_many([results[row] for row in rows], predictor, **options)
        for row, prediction in zip(rows, found, strict=True):
            results[row] = (prediction if isinstance(prediction, Exception)
                            else (results[row], prediction))
        yield from zip(batch, results, strict=True)


def _attempt(work: Callable[[str], Any], file: str) -> Any:
    try:
        return work(file)
    except (SedfluxError, OSError) as error:
        return error
