"""Options of ``sedflux response`` and ``sedflux simulate``."""

__all__ = ["add_response_parser", "add_simulate_parser"]

_INSTRUMENTS = "one of sedflux.list_instruments(), such as csst or lookalike"


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
    fit.add_argument("--grey-error", type=float, default=0.01,
                     help="scatter of aperture losses, relative")
    fit.add_argument("--wavelength-error", type=float, default=0.0, metavar="ANGSTROM",
                     help="scatter of the wavelengths' zero point")
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
