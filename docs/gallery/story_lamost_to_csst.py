"""
From a LAMOST-like spectrum to CSST-like magnitudes
===================================================

A spectrum on LAMOST's pixels, noisy and with a wrong shape, becomes an SED, an absolute
flux, and magnitudes in bands like those of a space survey, with the errors' correlations.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from specutils import Spectrum
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import anchor, predict_sed, synthetic_photometry
from sedflux.demo import demo_arrays

# %%
# The solar twin 16 Cyg B, as LAMOST might see it: S/N 30, and a fibre's wrong colours.

wavelength, flux = demo_arrays()
pixels = 10 ** np.arange(3.594, 3.849, 1e-4)
flux = np.interp(pixels, wavelength, flux)
rng = np.random.default_rng(1)
tilt = 1 + 0.4 * np.sin((pixels - 4000) / 900)
noisy = flux * tilt * (1 + rng.standard_normal(pixels.size) / 30)
spectrum = Spectrum(spectral_axis=pixels * u.AA, flux=noisy * u.ct,
                    uncertainty=StdDevUncertainty(flux * tilt / 30),
                    meta={"resolving_power": 1600})

sed = predict_sed(spectrum, reddening=(0.05, 0.02))

figure, axes = plt.subplots(2, 1, figsize=(8, 6), layout="constrained")
axes[0].plot(pixels, noisy, lw=0.5)
axes[0].set(ylabel="counts as observed", xlabel="wavelength (Å)")
sigma = sed.uncertainty.array
axes[1].fill_between(sed.spectral_axis.value, sed.flux.value - sigma, sed.flux.value + sigma,
                     alpha=0.4)
axes[1].plot(sed.spectral_axis.value, sed.flux.value)
axes[1].set(ylabel="predicted SED", xlabel="wavelength (Å)")

# %%
# Boxes stand for the survey's bands; one measured magnitude fixes the scale.

bands = {name: SpectralElement(Box1D, amplitude=0.6, x_0=centre, width=width)
         for name, centre, width in (("NUV", 2900, 600), ("u", 3600, 600), ("g", 4750, 1400),
                                     ("r", 6200, 1300), ("i", 7650, 1500), ("z", 9000, 1600))}
absolute = anchor(sed, 15.0 * u.ABmag, bands["r"], magnitude_error=0.01 * u.mag)
photometry = synthetic_photometry(absolute, bands)
for name, value, error in zip(photometry.bands, photometry.value, photometry.sigma, strict=True):
    print(f"{name:4s} {value.value:7.3f} +- {error.value:.3f}")

color, error = photometry.color("g", "i")
print(f"g - i = {color.value:.3f} +- {error.value:.3f}")
