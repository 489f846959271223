"""A simulated field and its responses, shared by the tests of what is done with them."""

import pytest
from astropy import units as u

from sedflux import fit_responses, get_instrument, simulate_field


@pytest.fixture(scope="session")
def bands():
    return get_instrument("lookalike").bands


@pytest.fixture(scope="session")
def sky(bands):
    """Forty stars in three bands, one in ten not what it seems."""
    return simulate_field(bands, size=40, seed=4, outliers=0.1)


@pytest.fixture(scope="session")
def responses(sky):
    return fit_responses(sky.counts, sky.seds, sky.bands, names=sky.names, grey_error=0.01,
                         wavelength_error=0.5 * u.AA)
