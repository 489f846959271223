"""
One response from 80 stars
==========================

Eighty stars with R = 2000 spectra lie in one exposure of a slitless spectrograph like
CSST's. Their predicted SEDs, dust and magnitudes foretell the counts; one response curve
is fitted to all of them, and its error bars are put to the test.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u

from sedflux import error_budget, fit_responses, get_instrument, simulate_field
from sedflux.plotting import draw_budget, draw_response, draw_response_error

# sphinx_gallery_thumbnail_number = -1

# %%
# A simulated field: magnitudes of 13.5 to 16.5, S/N of 20 to 80 in the R = 2000 spectra, 1 % errors
# of aperture losses, 0.01 mag in E(B-V) and magnitude. One star in ten is not what it
# seems: variable, overlapped by a neighbour, or behind more dust than is known.

bands = get_instrument("lookalike").bands
field = simulate_field(bands, size=80, seed=8)
figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
for axis, name in zip(axes, bands, strict=True):
    for spectrum in field.counts[name][:12]:
        axis.semilogy(spectrum.spectral_axis.value, spectrum.flux.value, lw=0.6,
                      color="#0072b2", alpha=0.5)
    axis.set(title=name, xlabel="wavelength (Å)", ylim=(1, None))
axes[0].set_ylabel("electrons a second and pixel")

# %%
# Each star on its own pixels, with photon noise, the covariance of its SED, a grey factor and
# a shift of its wavelengths as unknowns. What one band finds of a star serves the others.

responses = fit_responses(field.counts, field.seds, bands, names=field.names, grey_error=0.01,
                          wavelength_error=0.5 * u.AA)
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
for axis, (name, response) in zip(axes, responses.items(), strict=True):
    draw_response(axis, response, truth=bands[name].throughput(response.wavelength))
    axis.set(title=name, xlabel="wavelength (Å)")

stars = responses["GV"].stars
for star in stars[~stars["used"]]:
    truth = field.truth[field.names.index(star["name"])]
    print(f"{star['name']} ({truth['outlier'] or 'ordinary'}): {star['reason']}")

# %%
# Any other spectrum of the same instrument is calibrated with the errors of both.

result = responses["GV"].calibrate(field.counts["GV"][5])
good = ~result.mask
print(f"{result.flux[good].mean():.3g}, median error "
      f"{np.median(result.uncertainty.array[good] / result.flux.value[good]):.1%}")

# %%
# Where the error comes from.  More stars lower all of it but the terms that all stars share, such
# as the scale of the truth, the library and the zero point of the dust.

figure, axes = plt.subplots(2, 1, figsize=(8, 7), sharex=True, layout="constrained")
draw_response_error(axes[0], responses["GU"], bands["GU"].throughput(responses["GU"].wavelength))
axes[0].set(title="GU: error of the response, and its origins", xlabel="", ylim=(-3, 3))
draw_budget(axes[1], error_budget(responses["GU"]))
plt.show()
