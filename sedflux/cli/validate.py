"""The command ``sedflux validate``."""

from pathlib import Path

from sedflux.exceptions import SedfluxError

__all__ = ["add_validate_parser", "run_validate"]


def add_validate_parser(validate):
    """Options of ``sedflux validate``."""
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


def run_validate(arguments):
    """Run ``sedflux validate``."""
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
