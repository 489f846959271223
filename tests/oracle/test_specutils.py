"""specutils as oracle of the rebinning."""

import numpy as np
from astropy import units as u
from numpy.testing import assert_allclose
from specutils import Spectrum
from specutils.manipulation import FluxConservingResampler

from sedflux.spectra.grids import rebin_matrix


def test_flux_conserving_resampler(rng):
    wavelength = np.cumsum(rng.uniform(0.5, 1.5, 800)) + 4000.0
    new = np.linspace(4100.0, 4600.0, 300)
    flux = rng.uniform(0.5, 1.5, 800)
    spectrum = Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.ct)
    expected = FluxConservingResampler()(spectrum, new * u.AA)
    assert_allclose(rebin_matrix(wavelength, new) @ flux, expected.flux.value, rtol=1e-11)
