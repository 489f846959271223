"""
Lines and photometry together
=============================

A spectrum like LAMOST's and four magnitudes give the SED as the star is seen: its scale, its dust,
and the near ultraviolet that a slitless survey (CSST GU, 2550-4000 Å) observes.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from specutils import Spectrum
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import (
    anchor,
    condition,
    covariance_of,
    predict_sed,
    synthetic_photometry,
    with_covariance,
)
from sedflux.demo import demo_spectrum
from sedflux.spectra.reddening import extinction_curve

# %%
# HST/STIS measured BD+17 4708 from the ultraviolet to the infrared: its flux is the truth, here
# behind dust of E(B-V) = 0.1. Boxes stand for the bands of a survey.

measured = demo_spectrum("bd17_stis")
velocity = measured.meta["radial_velocity"].to_value(u.km / u.s)
wavelength = measured.spectral_axis.to_value(u.AA) / (1 + velocity / 299792.458)
bands = {name: SpectralElement(Box1D, x_0=centre, width=width)
         for name, centre, width in (("u", 3600, 600), ("g", 4750, 1400), ("r", 6200, 1300),
                                     ("i", 7650, 1500), ("z", 9000, 1600))}
EBV = 0.1

# %%
# The spectrum that a fibre sees: noisy, its shape wrong. Only lines count.

rng = np.random.default_rng(1)
flux = np.asarray(measured.flux.value, dtype=float)
inside = (wavelength > 3900) & (wavelength < 7100) & (flux > 0)
seen = flux[inside] * (1 + 0.3 * np.sin(wavelength[inside] / 900))
noise = seen / 60
spectrum = Spectrum(spectral_axis=wavelength[inside] * u.AA,
                    flux=(seen + noise * rng.standard_normal(seen.size)) * u.ct,
                    uncertainty=StdDevUncertainty(noise),
                    meta={"resolving_power": np.asarray(measured.meta["resolving_power"])[inside]})
sed = predict_sed(spectrum)

# %%
# What STIS saw, on the wavelengths of the SED and with dust, gives the magnitudes.

grid = sed.spectral_axis.to_value(u.AA)
truth = np.interp(grid, wavelength, flux) * np.exp(EBV * extinction_curve(grid))
known = (grid > wavelength[0]) & (grid < wavelength[-1]) & (truth > 0)
truth = np.where(known, truth, 1e-3 * truth.max())
source = 1e-13 * truth / np.median(truth)
star = Spectrum(spectral_axis=grid * u.AA, flux=source * u.Unit("erg / (s cm2 Angstrom)"))

exact = synthetic_photometry(with_covariance(star), bands)
magnitudes = {name: (value + 0.01 * rng.standard_normal(), 0.01)
              for name, value in zip(exact.bands, exact.value.value, strict=True)}

# %%
# The update, with four bands and with nothing known of the dust; and what one magnitude gives.

griz = {name: magnitudes[name] for name in "griz"}
both = condition(sed, griz, bands)
lines = anchor(sed, magnitudes["r"][0] * u.ABmag, bands["r"], magnitude_error=0.01 * u.mag)
found = both.meta["sedflux"]["photometry"]
print(f"E(B-V) = {found.reddening:.3f} +- {found.reddening_error:.3f}, p = {found.p_value:.2f}")

# %%
# The ultraviolet, by what is known: error of the mean flux over 2550-3500 Å.

ultraviolet = {"UV": SpectralElement(Box1D, x_0=3025, width=900)}
for title, chosen in (("r alone", "r"), ("griz", "griz"), ("ugriz", "ugriz")):
    one = condition(sed, {name: magnitudes[name] for name in chosen}, bands,
                    reddening=(0.1, 0.03))
    print(f"{title:8s} {synthetic_photometry(one, ultraviolet).sigma[0]:.3f}")

# %%
# What lines alone say, what both say together, and what HST measured, all relative to the answer.
# Filled points are the magnitudes that were used; u was left out, and lies within its error.  The
# E(B-V) that was found is larger than the true 0.1, by three of its errors: lines predict this hard
# star too blue (see "A first SED"), and the fit takes that for dust.  The SED as seen is right,
# because magnitudes fix it; what is dust and what is star is known less well.

figure, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
scale = both.flux.value
for one, color, label in ((lines, "0.8", "lines, scaled to r, no dust"),
                          (both, "#0072b2", "lines and griz")):
    ratio, sigma = one.flux.value / scale, covariance_of(one).sigma / scale
    axis.fill_between(grid, ratio - sigma, ratio + sigma, color=color, alpha=0.6, label=label)
axis.plot(grid[known], (source / scale)[known], color="#c55a11", lw=0.8, label="HST/STIS")
for name, (value, error) in magnitudes.items():
    band = synthetic_photometry(both, {name: bands[name]})
    ratio = 10 ** (-0.4 * (value - band.value[0].value))
    axis.errorbar(bands[name].pivot().value, ratio, yerr=ratio * error, fmt="o", color="k",
                  mfc="k" if name in griz else "w",
                  label={"g": "magnitudes", "u": "u, left out"}.get(name))
axis.set(xlabel="wavelength (vacuum Å)", ylabel="flux / flux of lines and griz", ylim=(0.7, 1.5))
axis.legend(frameon=False, loc="upper right")
plt.show()
