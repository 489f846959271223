"""
A first SED
===========

The lines of a star, with the shape of its spectrum thrown away, give its spectral energy
distribution from the ultraviolet to the infrared, with errors.  An easy star and a hard one.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u

from sedflux import covariance_of, predict_sed
from sedflux.demo import demo_spectrum
from sedflux.plotting import draw_sed
from sedflux.spectra.spectrum import from_spectrum
from sedflux.units import LIGHT_KM_S

# sphinx_gallery_thumbnail_number = -1

# %%
# 16 Cyg B is a twin of the Sun, observed by MILES at R = 2000.  The file has no errors, so that
# the noise is estimated, and a flag says so.

twin = demo_spectrum("16cygb_miles")
sed = predict_sed(twin)
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
# HST/STIS measured the flux of this star to one percent.  It is brought to R = 200 and the same
# scale.


def measured_flux(spectrum):
    """Flux of a spectrum at rest on the wavelengths of the SED, at R = 200."""
    arrays = from_spectrum(spectrum)
    velocity = spectrum.meta["radial_velocity"].to_value(u.km / u.s)
    rest = arrays.wavelength / (1 + velocity / LIGHT_KM_S)
    width = wavelength / 200 / 2.355
    weights = np.exp(-0.5 * ((rest - wavelength[:, None]) / width[:, None]) ** 2)
    weights *= np.gradient(rest) * (arrays.ivar[0] > 0)
    flux = weights @ np.nan_to_num(arrays.flux[0]) / np.maximum(weights.sum(axis=1), 1e-30)
    flux[(wavelength < rest[0]) | (wavelength > rest[-1])] = np.nan
    return flux / flux[(wavelength > 4000) & (wavelength < 7000)].mean()


# %%
# The solar twin is a typical star: of five with both spectra it has the median error in units of
# sigma.  (It was in the training of the packaged model: this is a demonstration, not a test.)
# BD+17 4708 is a hard case: a metal-poor F star, predicted from its HST/STIS spectrum of R = 550.
# Little is left of its lines, and the SED comes out too blue, by up to three sigma.  The page of
# the model says so among its known failures.

figure, axes = plt.subplots(2, 2, figsize=(10, 5.6), sharex=True, sharey="row",
                            height_ratios=(2, 1), layout="constrained")
hard = demo_spectrum("bd17_stis")
for column, title, spectrum, truth in zip(
        axes.T, ("16 Cyg B, from R = 2000", "BD+17 4708, from R = 550"), (twin, hard),
        (demo_spectrum("16cygb_stis"), hard), strict=True):
    predicted, measured = predict_sed(spectrum), measured_flux(truth)
    draw_sed(column[0], predicted, measured=measured).set(title=title, xlabel="")
    error = predicted.uncertainty.array / predicted.flux.value
    column[1].fill_between(wavelength, 1 - 2 * error, 1 + 2 * error, color="#dcebf8")
    column[1].fill_between(wavelength, 1 - error, 1 + error, color="#9dc3e6")
    column[1].plot(wavelength, measured / predicted.flux.value, color="#c55a11", lw=1)
    column[1].set(xlabel="wavelength (vacuum Å)", ylim=(0.8, 1.2))
axes[0, 0].set_ylim(0, 1.7)
axes[0, 1].set_ylabel("")
axes[1, 0].set_ylabel("measured / predicted")
plt.show()
