"""
Can I believe the error bars?
=============================

An error bar of one sigma should hold the truth in 68 of 100 cases, not in 40 and not in 95.
Two hundred simulated stars whose truth is known put this to the test, at single wavelengths and
for the mean flux of a band.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from scipy.special import erf

from sedflux import covariance_of, get_instrument, simulate_field
from sedflux.simulate.settings import FieldSettings

# %%
# Each star has an R = 2000 spectrum of S/N 20 to 80, E(B-V) known to 0.01 mag and a magnitude
# known to 0.01 mag.  Its SED is predicted from a noisy spectrum, reddened and scaled.  The true
# SED is drawn from what the model holds possible.  That stars in the sky are like this is another
# question: the validation pages answer it, with stars that the model never saw.

bands = {"GU": get_instrument("lookalike").bands["GU"]}
field = simulate_field(bands, size=200, seed=3, settings=FieldSettings(outliers=0.0))
wavelength = field.seds[0].spectral_axis.to_value(u.AA)
inside = (wavelength > 2600) & (wavelength < 4000)

single, band, naive = [], [], []
for sed, truth in zip(field.seds, field.flux, strict=True):
    log_ratio = np.log(np.interp(wavelength, field.wavelength, truth) / sed.flux.value)
    covariance = covariance_of(sed)
    relative = covariance.sigma / sed.flux.value
    single.append(log_ratio[inside][::40] / relative[inside][::40])
    weights = np.where(inside, sed.flux.value, 0.0) / sed.flux.value[inside].sum()
    error = weights @ log_ratio
    band.append(error / np.sqrt(weights / sed.flux.value @ covariance.to_dense()
                                @ (weights / sed.flux.value)))
    naive.append(error / np.sqrt(np.sum((weights * relative) ** 2)))

# %%
# Sorted by size, pulls show every coverage at once: how many truths are within 0.5, 1, 2 sigma.
# The errors of a band are right with the covariance.  Without it, a mean over many wavelengths
# seems far better known than it is, because its errors do not average.

figure, axis = plt.subplots(figsize=(6, 5), layout="constrained")
sizes = np.linspace(0, 3, 200)
claimed = erf(sizes / np.sqrt(2))
axis.plot(100 * claimed, 100 * claimed, color="0.5", lw=1, label="as claimed")
for pulls, color, style, label in (
        (single, "#0072b2", "-", "single wavelengths"),
        (band, "#009e73", "--", "mean of 2600-4000 Å, with covariance"),
        (naive, "#d55e00", "-.", "the same, errors taken as independent")):
    pulls = np.abs(np.ravel(pulls))
    held = (pulls[:, None] < sizes).mean(axis=0)
    axis.plot(100 * claimed, 100 * held, color=color, ls=style, lw=1.8, label=label)
    print(f"{label}: {np.mean(pulls < 1):.0%} within one sigma, {np.mean(pulls < 2):.0%} in two")
axis.axvline(68.3, color="0.7", lw=0.8, ls=":")
axis.set(xlabel="claimed coverage (%)", ylabel="truths inside (%)", xlim=(0, 100), ylim=(0, 100),
         aspect="equal", title="200 stars, near ultraviolet")
axis.legend(frameon=False, loc="upper left", fontsize="small")
plt.show()
