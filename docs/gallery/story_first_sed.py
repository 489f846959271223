"""
A first SED
===========

BD+17 4708 is an F subdwarf that HST/STIS measured to one percent.  Its lines alone, with the
shape of the spectrum thrown away, give its spectral energy distribution.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u

from sedflux import covariance_of, predict_sed
from sedflux.demo import demo_spectrum
from sedflux.plotting import draw_sed

spectrum = demo_spectrum("bd17_stis")
sed = predict_sed(spectrum)
print("flags:", sed.meta["sedflux"]["flags"] or "none")

# %%
# Errors at different wavelengths are correlated: if the star is hotter than its lines say, the
# whole blue is wrong together.  The covariance knows.

wavelength = sed.spectral_axis.to_value(u.AA)
covariance = covariance_of(sed).to_dense()
sigma = np.sqrt(np.diag(covariance))
figure, axis = plt.subplots(figsize=(5.5, 4.4), layout="constrained")
image = axis.pcolormesh(wavelength[::4], wavelength[::4],
                        (covariance / np.outer(sigma, sigma))[::4, ::4], vmin=-1, vmax=1,
                        cmap="RdBu_r")
axis.set(xlabel="wavelength (Å)", ylabel="wavelength (Å)")
figure.colorbar(image, label="correlation of the errors")

# %%
# What HST measured, in the star's rest frame and with the same normalisation, shows how good it
# is.  This star is a hard one for the model, because its spectrum is coarse (R = 550): from
# 8500 Å on it comes out up to 8 % too faint, which is three sigma.

velocity = spectrum.meta["radial_velocity"].to_value(u.km / u.s)
rest = spectrum.spectral_axis.to_value(u.AA) / (1 + velocity / 299792.458)
measured = np.interp(wavelength, rest, spectrum.flux.value)
optical = (wavelength > 4000) & (wavelength < 7000)
measured /= measured[optical].mean()

figure, axes = plt.subplots(2, 1, figsize=(8, 5.4), sharex=True, height_ratios=(2, 1),
                            layout="constrained")
draw_sed(axes[0], sed, measured=measured).set(title="BD+17 4708", xlabel="")
ratio, error = measured / sed.flux.value, sed.uncertainty.array / sed.flux.value
axes[1].fill_between(wavelength, 1 - error, 1 + error, color="#9dc3e6")
axes[1].plot(wavelength, ratio, color="#c55a11", lw=0.8)
axes[1].set(xlabel="wavelength (vacuum Å)", ylabel="measured / predicted", ylim=(0.8, 1.2))
plt.show()
