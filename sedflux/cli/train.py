"""The command ``sedflux train``."""



__all__ = ["add_train_parser", "run_train"]


def add_train_parser(train):
    """Options of ``sedflux train``."""
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


def run_train(arguments):
    """Run ``sedflux train``."""
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
