"""
From LAMOST to CSST magnitudes
==============================

A spectrum as LAMOST takes it, noisy and with a wrong shape, and one measured magnitude: how bright
is the star in three slitless bands like CSST's GU, GV and GI, and how well is that known?
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from specutils import Spectrum
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import anchor, get_instrument, predict_sed, synthetic_photometry
from sedflux.demo import demo_arrays

# %%
# The solar twin 16 Cyg B, as LAMOST might see it: S/N 30, and a fibre's wrong colours.  For a file
# of LAMOST, ``Spectrum.read`` after ``sedflux.register_readers()`` takes the place of this block.

wavelength, flux = demo_arrays()
pixels = 10 ** np.arange(3.594, 3.849, 1e-4)
flux = np.interp(pixels, wavelength, flux)
rng = np.random.default_rng(1)
seen = flux * (1 + 0.4 * np.sin((pixels - 4000) / 900))
spectrum = Spectrum(spectral_axis=pixels * u.AA,
                    flux=seen * (1 + rng.standard_normal(pixels.size) / 30) * u.ct,
                    uncertainty=StdDevUncertainty(seen / 30), meta={"resolving_power": 1600})

# %%
# The SED from the lines, behind dust that a map knows; one magnitude fixes the scale.

sed = predict_sed(spectrum, reddening=(0.05, 0.02))
r = SpectralElement(Box1D, amplitude=0.6, x_0=6200, width=1300)
absolute = anchor(sed, 15.0 * u.ABmag, r, magnitude_error=0.01 * u.mag)

# %%
# CSST's throughputs are files that you bring: ``get_instrument("csst").with_throughputs(...)``.
# A look-alike is packaged.

bands = {name: band.throughput for name, band in get_instrument("lookalike").bands.items()}
photometry = synthetic_photometry(absolute, bands)
for name, value, error in zip(photometry.bands, photometry.value, photometry.sigma, strict=True):
    print(f"{name}  {value.value:7.3f} +- {error.value:.3f} mag(AB)")
color, error = photometry.color("GU", "GI")
print(f"GU - GI = {color.value:.3f} +- {error.value:.3f}")

figure, axes = plt.subplots(2, 1, figsize=(8, 6), sharex=True, layout="constrained")
axes[0].plot(pixels, spectrum.flux.value, lw=0.5, color="0.4")
axes[0].set(ylabel="counts as observed", title="in: one spectrum, one magnitude")
grid, scale = absolute.spectral_axis.to_value(u.AA), 1e15
sigma = absolute.uncertainty.array
axes[1].fill_between(grid, scale * (absolute.flux.value - sigma),
                     scale * (absolute.flux.value + sigma), color="#9dc3e6", label="SED, 1 sigma")
axes[1].plot(grid, scale * absolute.flux.value, color="#1f4e79", lw=1)
for name, value, error, color, place in zip(
        photometry.bands, photometry.value.value, photometry.sigma.value,
        ("#0072b2", "#009e73", "#d55e00"), ("o", "s", "D"), strict=True):
    throughput = bands[name]
    pivot = np.average(throughput.wavelength, weights=throughput.value)
    level = (value * u.ABmag).to_value("erg / (s cm2 Angstrom)", u.spectral_density(pivot * u.AA))
    half = 0.5 * np.ptp(throughput.wavelength[throughput.value > 0.5 * throughput.value.max()])
    axes[1].errorbar(pivot, scale * level, xerr=half, yerr=scale * level * error * 0.921, fmt=place,
                     color=color, capsize=3, label=f"{name} = {value:.3f} $\\pm$ {error:.3f}")
axes[1].set(xlabel="wavelength (vacuum Å)", ylim=(0, None), title="out: magnitudes with errors",
            ylabel="F$_\\lambda$ (10$^{-15}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$)")
axes[1].legend(frameon=False)
plt.show()
