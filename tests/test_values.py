"""Values that two rooms need, and neither may import from the other."""

from numpy.testing import assert_allclose

from sedflux import FieldTerms, get_instrument
from sedflux.slitless.instrument import SED_RANGE
from sedflux.spectra.grids import sed_grid


def test_fields_are_as_large_as_the_detectors_of_csst():
    sizes = {band.detector_size for band in get_instrument("csst").bands.values()}
    assert sizes == {FieldTerms().size}


def test_bands_know_how_far_predictions_reach():
    assert_allclose(SED_RANGE, sed_grid()[[0, -1]], rtol=1e-12)
