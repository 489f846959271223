"""The command ``sedflux``: predict, response, simulate, models, train, validate, benchmark."""

import argparse
import sys

from sedflux import __version__
from sedflux.cli.fetch import run_fetch
from sedflux.cli.predict import run_predict
from sedflux.cli.response import add_response_parser, add_simulate_parser
from sedflux.cli.train import add_train_parser, run_train
from sedflux.cli.validate import add_validate_parser, run_validate
from sedflux.exceptions import SedfluxError

__all__ = ["main"]


def _parser():
    parser = argparse.ArgumentParser(
        prog="sedflux", description="Spectral energy distributions of stars from their lines.")
    parser.add_argument("--version", action="version", version=f"sedflux {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    predict = commands.add_parser("predict", help="predict the SED of one or more spectra")
    predict.add_argument("spectra", nargs="*", help="LAMOST, CALSPEC, NGSL, MILES or any "
                         "file that specutils reads")
    predict.add_argument("--demo", action="store_true", help="predict the packaged demo star")
    predict.add_argument("--model", help="name or path of a model")
    predict.add_argument("--resolving-power", type=float)
    predict.add_argument("--radial-velocity", type=float, metavar="KM/S")
    predict.add_argument("--reddening", type=float, metavar="E(B-V)")
    predict.add_argument("--medium", choices=("vacuum", "air"))
    predict.add_argument("--reddening-error", type=float, default=0.0, metavar="E(B-V)")
    predict.add_argument("--magnitude", type=float, metavar="AB",
                         help="put the written SED on the scale of a magnitude")
    predict.add_argument("--magnitude-error", type=float, default=0.0, metavar="MAG")
    predict.add_argument("--bandpass", metavar="FILE", help="throughput of the magnitude's band")
    predict.add_argument("--output", metavar="FITS",
                         help="write the SED with its covariance; a folder for several spectra")
    predict.add_argument("--plot", metavar="PNG", help="write a figure (one spectrum)")

    commands.add_parser("models", help="list the models")

    fetch = commands.add_parser("fetch-library", help="fetch spectra from the public archive")
    fetch.add_argument("name", help="bosz2017, bosz2024, calspec or ngsl")
    fetch.add_argument("files", nargs="*", help="names of CALSPEC or NGSL files")
    fetch.add_argument("--select", nargs="+", default=[], metavar="LABEL=LOW:HIGH",
                       help="BOSZ models, by TEFF, LOGG, MH, ALPHA, CARBON, VMICRO")
    fetch.add_argument("--resolving-power", type=int, default=5000, help="of BOSZ files")
    fetch.add_argument("--folder", required=True, help="files go here; those there are kept")
    fetch.add_argument("--output", metavar="FITS", help="write BOSZ models as one library")
    fetch.add_argument("--workers", type=int, default=4)
    fetch.add_argument("--base-url", help="address of a mirror")

    add_train_parser(commands.add_parser("train", help="train a network"))
    add_validate_parser(commands.add_parser("validate", help="measure the accuracy"))

    add_response_parser(commands)
    add_simulate_parser(commands)

    benchmark = commands.add_parser("benchmark", help="measure the speed")
    benchmark.add_argument("--model")
    benchmark.add_argument("--response", type=int, nargs="+", metavar="STARS",
                           help="time of response fits to so many stars instead")
    benchmark.add_argument("--batches", type=int, nargs="+", default=[1, 64, 4096])
    return parser


def _models(arguments):
    from sedflux.predict.models import list_models

    for entry in list_models():
        place = "packaged" if entry.packaged else "fetched"
        print(f"{entry.name:24s} {place:9s} {entry.sha256[:12]}  {entry.description}")


def _response(arguments):
    from sedflux.cli.response import run_response

    for line in run_response(arguments):
        print(line)


def _simulate(arguments):
    from sedflux.cli.response import run_simulate

    for line in run_simulate(arguments):
        print(line)


def _benchmark(arguments):
    if arguments.response:
        from sedflux.validation.response_run import speed

        speed(arguments.response, say=print)
        return
    from sedflux.validation.speed import benchmark

    for line in benchmark(arguments.model, arguments.batches):
        print(line)


def main(argv=None):
    """
    Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        `sys.argv` without the program by default.

    Returns
    -------
    status : int
        0, or 2 after an error that is told in one line.
    """
    arguments = _parser().parse_args(argv)
    run = {"predict": run_predict, "models": _models, "train": run_train, "validate": run_validate,
           "benchmark": _benchmark, "fetch-library": run_fetch,
           "response": _response, "simulate": _simulate}[arguments.command]
    try:
        run(arguments)
    except SedfluxError as error:
        print(f"sedflux {arguments.command}: {error}", file=sys.stderr)
        return 2
    return 0
