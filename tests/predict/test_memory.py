"""Many spectra take the memory of what is predicted, and little more."""

import tracemalloc

import numpy as np
import pytest

from sedflux.network.threads import thread_count, use_threads
from sedflux.predict.pieces import PIECE_SIZE


def peak(predictor, star, size):
    """Most bytes that a prediction of so many spectra takes, and those that it leaves."""
    wavelength, flux = star
    spectra = np.full((size, flux.size), flux, dtype=np.float32)
    ivar = np.full(spectra.shape, 400.0, dtype=np.float32)
    tracemalloc.start()
    try:
        found = predictor.predict(wavelength, spectra, ivar)
        left, most = tracemalloc.get_traced_memory()
        assert len(found) == size
        return most, left
    finally:
        tracemalloc.stop()


@pytest.fixture
def one_thread():
    """Pieces one after the other: several at once take turns that nobody knows."""
    before = thread_count()
    use_threads(1)
    yield
    use_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_memory_of_a_star_is_that_of_its_result(predictor, star):
    few, many = (peak(predictor, star, pieces * PIECE_SIZE) for pieces in (2, 4))
    beyond = (many[0] - many[1] - few[0] + few[1]) / (2 * PIECE_SIZE)
    # A copy of a spectrum in double precision alone takes 8 bytes for every pixel.
    assert beyond < 4.0 * star[0].size
    # SED, its variances, components of the factor, pixels that are left out, diagnostics; the rows
    # of the factor would take 40 kB.
    assert (many[1] - few[1]) / (2 * PIECE_SIZE) < 14_000


def test_seds_of_many_stars_take_no_second_copy(predictor, star):
    """A spectrum of many SEDs holds the covariances as they were predicted."""
    wavelength, flux = star
    found = predictor.predict(wavelength, np.tile(flux, (200, 1)), np.full((200, flux.size), 400.0))
    found.to_spectrum()
    tracemalloc.start()
    try:
        seds = found.to_spectrum()
        held = tracemalloc.get_traced_memory()[0] / 200
    finally:
        tracemalloc.stop()
    # Flux, sigma, flags and cards; a covariance in double precision takes 100 kB.
    assert held < 20_000
    assert seds.meta["sedflux"]["errors"][7].covariance.rank == found.factor.shape[1]
