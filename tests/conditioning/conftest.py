"""Toy SEDs on 60 wavelengths, five bands, and photometry that is drawn from them."""

from dataclasses import dataclass

import numpy as np
import pytest
from astropy import units as u
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux.predict.prediction import SEDPrediction
from sedflux.spectra.reddening import extinction_curve

WAVELENGTH = np.geomspace(2500.0, 10500.0, 60)


@pytest.fixture(scope="session")
def bandpasses():
    """Five boxes between 3200 and 9500 Angstrom."""
    return {name: SpectralElement(Box1D, x_0=centre, width=width)
            for name, centre, width in (("u", 3600, 700), ("g", 4700, 1300), ("r", 6200, 1300),
                                        ("i", 7600, 1300), ("z", 8900, 1200))}


def toy_factor():
    """Three smooth directions of ln(flux): errors of 12 % in the blue, 2 % in the red."""
    x = np.log(WAVELENGTH / 5500.0)
    steep = np.exp(-(WAVELENGTH - 2500.0) / 900.0)
    return np.stack([0.10 * steep, 0.03 * x, 0.02 * np.sin(6.0 * x)])


def toy_flux(stars):
    """Black bodies of N stars."""
    teff = np.linspace(5000.0, 9000.0, stars)[:, None]
    flux = WAVELENGTH**-5 / np.expm1(1.4388e8 / WAVELENGTH / teff)
    return flux / flux.mean(axis=1, keepdims=True)


@dataclass
class Drawn:
    """Predictions, true ln(flux) as seen (N, n), E(B-V), and exact magnitudes (N, b)."""

    prediction: SEDPrediction
    truth: np.ndarray
    ebv: np.ndarray
    magnitudes: np.ndarray


def toy_prediction(stars, diagonal=2e-5):
    """Predictions of N toy stars."""
    shape = (stars, WAVELENGTH.size)
    return SEDPrediction(WAVELENGTH, toy_flux(stars), np.full(shape, diagonal),
                         np.broadcast_to(toy_factor(), (stars, 3, WAVELENGTH.size)).copy(),
                         ((),) * stars)


@pytest.fixture
def draw(bandpasses):
    """Draw N stars from their predictions, behind dust and on some scale."""
    from sedflux.photometry import band_rows

    def drawn(stars, ebv, seed=1, diagonal=2e-5):
        rng = np.random.default_rng(seed)
        prediction = toy_prediction(stars, diagonal)
        ebv = np.broadcast_to(ebv, (stars,))
        truth = np.log(prediction.flux) + rng.uniform(-32.0, -30.0, stars)[:, None]
        truth = truth + rng.standard_normal((stars, 3)) @ toy_factor()
        truth = truth + rng.standard_normal(truth.shape) * diagonal**0.5
        truth = truth + ebv[:, None] * extinction_curve(WAVELENGTH)
        _, (rows, zero) = band_rows(WAVELENGTH, bandpasses)
        return Drawn(prediction, truth, ebv, zero - 2.5 * np.log10(np.exp(truth) @ rows.T))

    return drawn


@pytest.fixture
def photometry(bandpasses):
    """Noisy photometry (N stars) as a mapping."""

    def measured(magnitudes, error, seed=2):
        rng = np.random.default_rng(seed)
        noisy = magnitudes + error * rng.standard_normal(magnitudes.shape)
        return {name: (noisy[:, index], np.full(len(noisy), error))
                for index, name in enumerate(bandpasses)}

    return measured


@pytest.fixture
def toy_sed():
    """One toy SED as a spectrum."""
    return toy_prediction(3)[1].to_spectrum()


@pytest.fixture
def star_photometry(draw, photometry):
    """Magnitudes that go with it, behind dust."""
    measured = photometry(draw(3, 0.25).magnitudes, 0.02)
    return {name: (float(value[1]), 0.02) for name, (value, _) in measured.items()}


@pytest.fixture
def vega():
    """A black body of 9600 K in the place of Vega."""
    from specutils import Spectrum

    wavelength = np.arange(2000.0, 11000.0, 5.0)
    flux = wavelength**-5 / np.expm1(1.4388e8 / wavelength / 9600.0)
    flux = flux / np.interp(5556.0, wavelength, flux) * 3.44e-9
    return Spectrum(spectral_axis=wavelength * u.AA,
                    flux=flux * u.Unit("erg / (s cm2 Angstrom)"))
