"""Values that two rooms need, and neither may import from the other."""

from numpy.testing import assert_allclose

from sedflux import FieldTerms, get_instrument
from sedflux.cli.main import build_parser
from sedflux.cli.train import FOLDS as SHELL_FOLDS
from sedflux.libraries.prior import PRIORS
from sedflux.network import header
from sedflux.slitless.instrument import SED_RANGE
from sedflux.spectra.grids import sed_grid
from sedflux.training.stars import FOLDS


def test_fields_are_as_large_as_the_detectors_of_csst():
    sizes = {band.detector_size for band in get_instrument("csst").bands.values()}
    assert sizes == {FieldTerms().size}


def test_bands_know_how_far_predictions_reach():
    assert_allclose(SED_RANGE, sed_grid()[[0, -1]], rtol=1e-12)


def test_shell_and_headers_know_the_folds_and_priors_of_training():
    """Neither imports the room where they are defined: it is slow to load, or a higher one."""
    assert SHELL_FOLDS == FOLDS
    assert header._PRIORS == PRIORS
    words = ["train", "pretrain", "models.fits", "-o", "run", "--prior"]
    for prior in PRIORS:
        assert build_parser().parse_args([*words, prior]).prior == prior
