"""
What flags say of strangers
===========================

A survey's "stars" hold quasars, white dwarfs, emission-line stars, bad reductions.  The
model never saw them.  What does it say, and how much larger does sigma become?
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter1d

from sedflux import Predictor
from sedflux.demo import demo_arrays
from sedflux.predict.flags import FLAGS, flag_names

# %%
# A solar twin, and what can go wrong with it; then things that are no such star.

wavelength, star = demo_arrays()
star = star / np.median(star)
rng = np.random.default_rng(4)


def line(centre, width):
    """A Gaussian line of height one."""
    return np.exp(-0.5 * ((wavelength - centre) / width) ** 2)


BALMER = (4102.9, 4341.7, 4862.7, 6564.6)
white_dwarf = (wavelength / 5000) ** -3 * np.prod(
    [1 - depth * line(centre, 45) for centre, depth in zip(BALMER, (0.5, 0.5, 0.45, 0.35),
                                                           strict=True)], axis=0)
quasar = (wavelength / 5000) ** -1.5 * (1 + 0.9 * line(5010, 60) + 0.5 * line(4300, 50))
molecules = np.interp(wavelength, wavelength, star) * (
    1 - 0.6 * ((wavelength % 450) / 450) * (wavelength > 4600))
cases = {
    "solar twin": star,
    "S/N 5": star,
    "hydrogen in emission": star * (1 + sum(2.0 * line(centre, 3) for centre in BALMER)),
    "velocity wrong by 1500 km/s": np.interp(wavelength * 1.005, wavelength, star),
    "dip between two arms": star * (1 - 0.4 * line(5900, 60)),
    "lines as broad as in a galaxy": gaussian_filter1d(star, 3.0),
    "half of the pixels bad": star,
    "broad Balmer lines alone": white_dwarf,
    "quasar": quasar,
    "saw-tooth bands, as of an M star": molecules,
    "noise": np.ones(wavelength.size),
}
snr = np.where([name == "S/N 5" for name in cases], 5.0, 50.0)
flux = np.array([one * (1 + rng.standard_normal(wavelength.size) / ratio)
                 for one, ratio in zip(cases.values(), snr, strict=True)])
flux[-1] = 1 + 0.3 * rng.standard_normal(wavelength.size)
ivar = (snr[:, None] / np.array(list(cases.values()))) ** 2
ivar[list(cases).index("half of the pixels bad")] *= rng.random(wavelength.size) < 0.5

# %%
# All in one call.  Flags are bits with names; errors grow with the distance from the training.

prediction = Predictor().predict(wavelength, flux, ivar, resolving_power=1800)
flags = [flag_names(bits) for bits in prediction.flag_bits]
sigma = np.sqrt((prediction.sigma / prediction.flux)[:, prediction.wavelength < 4000] ** 2)
typical = 100 * np.median(sigma, axis=1)
for name, names, error in zip(cases, flags, typical, strict=True):
    print(f"{name:33s} sigma below 4000 Å {error:5.1f} %   {', '.join(names) or 'no flag'}")

# %%
# Dark squares are flags that were set.  A response leaves such stars out.  What is ``foreign``
# would be refused alone; among others its error says that nothing is known.  The dip between
# two arms needs no flag: its range is left out, and sigma grows a little.

columns = [one.name for one in FLAGS if any(one.name in names for names in flags)]
table = np.array([[name in names for name in columns] for names in flags])
figure, axes = plt.subplots(1, 2, figsize=(9, 4.6), sharey=True, width_ratios=(2, 1),
                            layout="constrained")
axes[0].imshow(table, cmap="Blues", vmin=0, vmax=1.2, aspect="auto")
axes[0].set_xticks(np.arange(len(columns)) + 0.5, minor=True)
axes[0].set_yticks(np.arange(len(cases)) + 0.5, minor=True)
axes[0].grid(which="minor", color="0.85", lw=0.8)
axes[0].tick_params(which="both", length=0)
axes[0].set_xticks(range(len(columns)), columns, rotation=40, ha="right")
axes[0].set_yticks(range(len(cases)), list(cases))
for row, column in zip(*np.nonzero(table), strict=True):
    axes[0].text(column, row, "flag", ha="center", va="center", color="white", fontsize="small")
axes[0].set_title("flags that were set")
axes[1].barh(range(len(cases)), typical, color="#d55e00")
axes[1].axvline(typical[0], color="0.3", lw=0.8, ls="--")
axes[1].set(xscale="log", xlabel="sigma below 4000 Å (%)")
plt.show()
