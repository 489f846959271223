"""Fixtures that many tests share: small, seeded, and offline."""

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from astropy.table import Table

from sedflux.demo import demo_arrays
from sedflux.libraries.library import SpectralLibrary


@pytest.fixture
def rng():
    return np.random.default_rng(20240123)


@pytest.fixture(scope="session")
def predictor():
    from sedflux import Predictor

    return Predictor()


@pytest.fixture(scope="session")
def star():
    """Wavelength and flux of the solar twin 16 Cyg B, flux of order one."""
    wavelength, flux = demo_arrays()
    return wavelength, flux / flux.mean()


@pytest.fixture
def spectrum(star):
    """The same star as a Spectrum with S/N 100."""
    from specutils import Spectrum

    wavelength, flux = star
    return Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.Jy / u.Jy,
                    uncertainty=StdDevUncertainty(0.01 * flux))


@pytest.fixture(scope="session")
def sed(predictor):
    """SED of the demo star as predict_sed gives it."""
    from sedflux import predict_sed
    from sedflux.demo import demo_spectrum

    return predict_sed(demo_spectrum("16cygb_miles"), model=predictor)


def toy_flux(wavelength, labels):
    """Black bodies with lines whose strengths depend smoothly on all labels."""
    flux = []
    for teff, logg, mh, alpha, carbon, vmicro in labels:
        planck = wavelength**-5 / np.expm1(1.4388e8 / wavelength / teff)
        depth = np.zeros_like(wavelength)
        for centre in (4102.9, 4341.7, 4862.7, 6564.6):
            strength = 0.6 * np.exp(-(((teff - 9000.0) / 3000.0) ** 2))
            depth += strength / (1.0 + ((wavelength - centre) / (4.0 + logg)) ** 2)
        for index, centre in enumerate(np.linspace(4030.0, 6950.0, 60)):
            strength = 0.3 * np.exp(0.8 * mh - teff / 9000.0 + 0.05 * vmicro)
            strength *= np.exp((0.5 * alpha, 0.5 * carbon, 0.0)[index % 3])
            depth += strength * np.exp(-0.5 * ((wavelength - centre) / 1.5) ** 2)
        jump = np.where(wavelength < 3700.0, -0.1 * (5.5 - logg) * np.exp(-depth.max()), 0.0)
        flux.append(planck * np.exp(jump) * (1.0 - np.clip(depth, 0.0, 0.95)))
    flux = np.array(flux)
    return flux / flux.mean(axis=1, keepdims=True)


@pytest.fixture(scope="session")
def toy_library():
    """A library of 90 toy models in the layout of the synthetic one."""
    rng = np.random.default_rng(5)
    size = 90
    labels = rng.uniform([4500, 1.0, -2.0, 0.0, -0.3, 1.0], [10000, 5.0, 0.5, 0.4, 0.3, 3.0],
                         (size, 6))
    labels[::2, 3:] = (0.0, 0.0, 2.0)
    wavelength = np.exp(np.arange(np.log(2445.0), np.log(10595.0), 1e-4))
    table = Table(labels, names=("TEFF", "LOGG", "MH", "ALPHA", "CARBON", "VMICRO"))
    table["INDEX"] = np.arange(size)
    flux = toy_flux(wavelength, labels).astype(np.float32)
    return SpectralLibrary(wavelength, flux, table, 5000.0, None, "toy")
