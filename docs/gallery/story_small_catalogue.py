"""
How much dust is before the stars of a catalogue?
=================================================

Sixty spectra with magnitudes in three bands, as surveys publish them, become a folder of SEDs.
Its table says how much dust is before each star, and which star is not what it seems.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import (
    SEDCatalog,
    anchor,
    covariance_of,
    predict_catalog,
    predict_sed,
    synthetic_photometry,
)
from sedflux.demo import demo_arrays, demo_spectrum

# %%
# The stars are the solar twin 16 Cyg B at sixty distances, behind dust that nobody told us of. Its
# SED gives their magnitudes; boxes stand for the survey's bands.

rng = np.random.default_rng(4)
count = 60
ebv = rng.uniform(0.0, 0.4, count)
magnitude = rng.uniform(13.0, 17.0, count)
bands = {name: SpectralElement(Box1D, x_0=centre, width=width)
         for name, centre, width in (("u", 3600, 600), ("g", 4750, 1400), ("r", 6200, 1300),
                                     ("i", 7650, 1500))}
star = demo_spectrum("16cygb_miles")
exact = np.empty((count, len(bands)))
for row in range(count):
    seen = anchor(predict_sed(star, reddening=ebv[row]), magnitude[row] * u.ABmag, bands["r"])
    exact[row] = synthetic_photometry(seen, bands).value.value

# %%
# Spectra of the S/N that such magnitudes allow, and magnitudes with errors of 0.02 mag. The star of
# row 7 has varied between its spectrum and its g magnitude, and three were too bright for r.

wavelength, flux = demo_arrays()
snr = 60 * 10 ** (-0.2 * (magnitude - 13.0))
spectra = flux * (1 + rng.standard_normal((count, flux.size)) / snr[:, None])
measured = exact + 0.02 * rng.standard_normal(exact.shape)
measured[7, 1] -= 0.3
columns = {"identifier": np.array([f"star-{row:02d}" for row in range(count)])}
for name in "gri":
    column = measured[:, list(bands).index(name)].copy()
    if name == "r":
        column[np.argsort(magnitude)[:3]] = np.nan
    columns |= {name: column, f"{name}_error": np.where(np.isfinite(column), 0.02, np.nan)}

folder = Path(tempfile.mkdtemp())
np.savez(folder / "stars.npz", wavelength=wavelength, flux=spectra,
         ivar=(snr[:, None] / flux) ** 2, **columns)

# %%
# One call predicts all of them, and conditions them on the columns; ``sedflux catalog stars.npz
# seds --photometry g r i --bandpasses u=... g=... r=... i=...`` does the same in the shell. A run
# that was interrupted goes on where it stopped.

summary = predict_catalog(folder / "stars.npz", folder / "seds", bands=bands,
                          photometry=("g", "r", "i"), workers=1)
print(summary)
catalog = SEDCatalog(folder / "seds")
print(catalog.columns("identifier", "teff", "snr", "posterior_reddening", "p_value")[:5])

# %%
# Work goes on without loops: a selection, its photometry in any band, and SEDs on an absolute
# scale, which `sedflux.fit_responses` takes as they are.

good = catalog.select(flags="none", p_value=(1e-3, None), snr=(20, None))
ultraviolet = {"UV": SpectralElement(Box1D, x_0=3000, width=800)}
print(good, good.photometry(ultraviolet)["UV", "UV_error"][:3], sep="\n")
sed = catalog["star-12"]
print(sed.flux.unit, f"error at 3000 Å: {covariance_of(sed).sigma[80] / sed.flux.value[80]:.3f}")

# %%
# Left, E(B-V) by lines and magnitudes beside the truth, with nothing known of the dust before: it
# follows the truth within its errors. Right, the u magnitude that nobody measured. The star that
# varied stands apart in both; its p-value names it.

table = catalog.table
odd = catalog.select(p_value=(None, 1e-3))
print("odd:", ", ".join(odd.table["identifier"]))
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
difference = np.asarray(table["mag_u"]) - exact[:, 0]
suspect = np.asarray(table["p_value"]) < 1e-3
for some, color, marker, label in ((~suspect, "#0072b2", "o", "p > 0.001"),
                                   (suspect, "#d55e00", "s", "p < 0.001: it varied")):
    axes[0].errorbar(ebv[some], table["posterior_reddening"][some], color=color, ms=4, lw=0.8,
                     yerr=table["posterior_reddening_error"][some], fmt=marker)
    axes[1].errorbar(magnitude[some], difference[some], yerr=table["mag_u_error"][some],
                     fmt=marker, color=color, ms=4, lw=0.8, label=label)
axes[0].plot([0, 0.4], [0, 0.4], color="0.6")
axes[0].set(xlabel="true E(B-V) (mag)", ylabel="E(B-V) by lines and g, r, i (mag)")
axes[1].axhline(0, color="0.6")
axes[1].set(xlabel="r (mag)", ylabel="u, predicted minus true (mag)")
axes[1].legend(frameon=False, loc="lower right")
plt.show()
