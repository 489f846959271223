"""
A first SED
===========

BD+17 4708 is an F subdwarf that HST/STIS measured to one percent.  Its lines alone, with the
shape of the spectrum thrown away, give its spectral energy distribution.
"""

import matplotlib.pyplot as plt
import numpy as np

from sedflux import covariance_of, predict_sed
from sedflux.demo import demo_spectrum

spectrum = demo_spectrum("bd17_stis")
sed = predict_sed(spectrum)
print("flags:", sed.meta["sedflux"]["flags"])

# %%
# The measured flux, in the star's rest frame and with the same normalisation.

wavelength, flux = sed.spectral_axis.value, sed.flux.value
rest = spectrum.spectral_axis.value / (1 + spectrum.meta["radial_velocity"].value / 299792.458)
measured = np.interp(wavelength, rest, spectrum.flux.value)
optical = (wavelength > 4000) & (wavelength < 7000)
measured *= flux[optical].mean() / measured[optical].mean()

figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
sigma = sed.uncertainty.array
axis.fill_between(wavelength, flux - sigma, flux + sigma, alpha=0.4, label="1 sigma")
axis.plot(wavelength, flux, label="predicted from the lines")
axis.plot(wavelength, measured, lw=0.8, label="measured by HST/STIS")
axis.set(xlabel="wavelength (vacuum Å)", ylabel="F$_\\lambda$ / mean(4000-7000 Å)")
axis.legend()

# %%
# Errors at different wavelengths are correlated; the covariance says how.

covariance = covariance_of(sed).to_dense()
correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
figure, axis = plt.subplots(figsize=(5, 4), layout="constrained")
image = axis.pcolormesh(wavelength[::4], wavelength[::4], correlation[::4, ::4], vmin=-1, vmax=1,
                        cmap="RdBu_r")
axis.set(xlabel="wavelength (Å)", ylabel="wavelength (Å)")
figure.colorbar(image, label="correlation")
