"""The command ``sedflux``: predict, response, simulate, models, train, validate, benchmark."""

import argparse
import sys
from pathlib import Path

from sedflux import __version__
from sedflux.cli_response import add_response_parser, add_simulate_parser
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

    _train_parser(commands.add_parser("train", help="train a network"))
    _validate_parser(commands.add_parser("validate", help="measure the accuracy"))

    add_response_parser(commands)
    add_simulate_parser(commands)

    benchmark = commands.add_parser("benchmark", help="measure the speed")
    benchmark.add_argument("--model")
    benchmark.add_argument("--response", type=int, nargs="+", metavar="STARS",
                           help="time of response fits to so many stars instead")
    benchmark.add_argument("--batches", type=int, nargs="+", default=[1, 64, 4096])
    return parser


def _train_parser(train):
    stages = train.add_subparsers(dest="stage", required=True)
    first = stages.add_parser("pretrain", help="on a synthetic library alone")
    first.add_argument("library", help="FITS library with MODELS, WAVELENGTH and FLUX")
    first.add_argument("--convolutions", action="store_true")
    first.add_argument("--no-shrinkage", action="store_true")
    first.add_argument("--diagonal-loss", action="store_true")
    second = stages.add_parser("finetune", help="on a library that real stars correct")
    second.add_argument("library", help="the library of the pretraining")
    second.add_argument("miles", help="R = 2000 spectra of stars")
    second.add_argument("stis", help="HST/STIS SEDs of stars")
    second.add_argument("photometry", help="magnitudes of stars")
    second.add_argument("--start", required=True, metavar="MODEL", help="the pretrained model")
    second.add_argument("--leave-out", type=int, metavar="FOLD", help="stars not to be used, 0-3")
    second.add_argument("--share", type=float, default=1.0, help="share of the stars to use")
    second.add_argument("--cold", action="store_true", help="begin with new weights")
    third = stages.add_parser("calibrate", help="sigma, on stars left out")
    third.add_argument("miles", help="R = 2000 spectra of stars")
    third.add_argument("stis", help="HST/STIS SEDs of stars")
    third.add_argument("photometry", help="magnitudes of stars")
    third.add_argument("--model", required=True, help="trained on all stars")
    third.add_argument("--folds", nargs=4, required=True, metavar="MODEL",
                       help="models trained without fold 0, 1, 2, 3 of the stars")
    third.add_argument("--output", required=True, metavar="FOLDER", help="models go here")
    for stage, steps, rate in ((first, 20000, 1.5e-3), (second, 6000, 1.5e-3)):
        stage.add_argument("--output", required=True, metavar="FOLDER",
                           help="checkpoint, log, figure and model go here; a run is resumed")
        stage.add_argument("--name", default="uara.custom", help="name of the model, arch.tag")
        stage.add_argument("--steps", type=int, default=steps)
        stage.add_argument("--seed", type=int, default=1)
        stage.add_argument("--workers", type=int, default=1)
        stage.add_argument("--learning-rate", type=float, default=rate)
        stage.add_argument("--prior", choices=("flat", "survey"), default="flat",
                           help="distribution of the stars' labels")


def _validate_parser(validate):
    validate.add_argument("--synthetic", metavar="FITS", help="synthetic library")
    validate.add_argument("--stars", nargs=3, metavar=("STIS", "MILES", "PHOTOMETRY"),
                          help="real stars")
    validate.add_argument("--folds", nargs=4, metavar="MODEL", default=[],
                          help="models trained without fold 0, 1, 2, 3 of the stars")
    validate.add_argument("--compare", metavar="MODEL", help="another model on the same stars")
    validate.add_argument("--snr", type=float, help="add noise to the stars' spectra")
    validate.add_argument("--foreign", nargs=2, metavar=("STIS", "MILES"),
                          help="objects of other kinds: how many are flagged")
    validate.add_argument("--star-count", action="store_true",
                          help="errors against the number of stars; needs --synthetic and --stars")
    validate.add_argument("--model-count", metavar="FITS",
                          help="errors against the number of models of a library")
    validate.add_argument("--continuum", metavar="FITS",
                          help="compare forms of the continuum removal on a library")
    validate.add_argument("--response", metavar="INSTRUMENT",
                          help="response curves against their truth: simulated fields of an "
                          "instrument's bands, of held-out models if --synthetic is given, or of "
                          "real stars if --stars is")
    validate.add_argument("--throughput", nargs="+", default=[], metavar="BAND=FILE",
                          help="throughputs of the instrument")
    validate.add_argument("--closure", action="store_true",
                          help="with --response: without noise")
    validate.add_argument("--field-size", type=int, default=80, help="stars of a simulated field")
    validate.add_argument("--model")
    validate.add_argument("--realisations", type=int)
    validate.add_argument("--no-baselines", action="store_true")
    validate.add_argument("--output", default="validation", metavar="FOLDER")


def _predict(arguments):
    from sedflux.report import predict_files

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


def _models(arguments):
    from sedflux.weights import list_models

    for entry in list_models():
        place = "packaged" if entry.packaged else "fetched"
        print(f"{entry.name:24s} {place:9s} {entry.sha256[:12]}  {entry.description}")


def _train(arguments):
    if arguments.stage == "calibrate":
        from sedflux.training.calibrate import calibrate_models

        for path in calibrate_models(arguments.miles, arguments.stis, arguments.photometry,
                                     arguments.output, model=arguments.model,
                                     folds=arguments.folds):
            print(f"wrote {path}")
        return
    common = {name: getattr(arguments, name)
              for name in ("name", "steps", "seed", "workers", "learning_rate", "prior")}
    if arguments.stage == "pretrain":
        from sedflux.training.run import train_on_library

        path = train_on_library(
            arguments.library, arguments.output, convolutions=arguments.convolutions,
            shrink=not arguments.no_shrinkage, diagonal=arguments.diagonal_loss, **common)
    else:
        from sedflux.training.finetune import finetune

        path = finetune(
            arguments.library, arguments.miles, arguments.stis, arguments.photometry,
            arguments.output, start=arguments.start, leave_out=arguments.leave_out,
            share=arguments.share, warm=not arguments.cold, **common)
    print(f"wrote {path}")


def _validate(arguments):
    from sedflux.validation import run

    if not any((arguments.synthetic, arguments.stars, arguments.foreign, arguments.continuum,
                arguments.model_count, arguments.response)):
        raise SedfluxError("nothing to validate on: give --synthetic, --stars, --foreign, "
                           "--model-count, --continuum or --response")
    folder = Path(arguments.output)
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.response:
        _validate_response(arguments, folder)
        return
    if arguments.star_count:
        if not (arguments.synthetic and arguments.stars):
            raise SedfluxError("--star-count needs --synthetic and --stars")
        run.star_count(arguments.synthetic, *arguments.stars, folder, model=arguments.model,
                       say=print)
        return
    if arguments.model_count:
        run.model_count(arguments.model_count, folder, model=arguments.model, say=print)
    if arguments.continuum:
        run.continuum(arguments.continuum, folder, say=print)
    if arguments.synthetic:
        run.synthetic(arguments.synthetic, folder, model=arguments.model,
                      realisations=arguments.realisations or 4,
                      baselines=not arguments.no_baselines, say=print)
    if arguments.stars:
        models = arguments.folds or ([arguments.model] if arguments.model else [])
        run.stars(*arguments.stars, folder, models=models, compare=arguments.compare,
                  snr=arguments.snr, say=print)
    if arguments.foreign:
        run.foreign(*arguments.foreign, folder, model=arguments.model, say=print)


def _validate_response(arguments, folder):
    from sedflux.validation import response_run as run

    bands = run.bands_of(arguments.response, arguments.throughput)
    if arguments.closure:
        run.closures(bands, folder, library=arguments.synthetic, model=arguments.model, say=print)
    elif arguments.stars:
        models = arguments.folds or ([arguments.model] if arguments.model else [])
        run.real_stars(*arguments.stars, bands, folder, models=models, compare=arguments.compare,
                       say=print)
    else:
        run.fields(bands, folder, library=arguments.synthetic, model=arguments.model,
                   realisations=arguments.realisations or 200, size=arguments.field_size,
                   say=print)


def _fetch_library(arguments):
    from sedflux.libraries.archive import list_files
    from sedflux.libraries.fetch import fetch_files, read_bosz, write_library

    files = list_files(arguments.name, select=arguments.select, files=arguments.files,
                       resolving_power=arguments.resolving_power)
    present = fetch_files(arguments.name, files, arguments.folder, base_url=arguments.base_url,
                          workers=arguments.workers)
    print(f"{len(present)} of {len(files)} files of {arguments.name} are in {arguments.folder}")
    if arguments.output:
        if not arguments.name.startswith("bosz"):
            raise SedfluxError("--output makes one library of BOSZ models alone; leave it out")
        library = read_bosz(arguments.name, present, arguments.folder,
                            resolving_power=arguments.resolving_power)
        write_library(arguments.output, library)
        print(f"wrote {arguments.output}, {len(library)} models")


def _response(arguments):
    from sedflux.response.commands import run_response

    for line in run_response(arguments):
        print(line)


def _simulate(arguments):
    from sedflux.response.commands import run_simulate

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
    run = {"predict": _predict, "models": _models, "train": _train, "validate": _validate,
           "benchmark": _benchmark, "fetch-library": _fetch_library,
           "response": _response, "simulate": _simulate}[arguments.command]
    try:
        run(arguments)
    except SedfluxError as error:
        print(f"sedflux {arguments.command}: {error}", file=sys.stderr)
        return 2
    return 0
