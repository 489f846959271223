"""
How many stars does a response need?
====================================

A survey can take R = 2000 spectra of some stars in its slitless fields.  How many, and which, for a
response of half a percent?  And when do more stars help no longer?
"""

import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, NullFormatter

from sedflux import get_instrument, plan_calibration

bands = get_instrument("lookalike").bands
plans = {name: plan_calibration(bands[name], precision=0.005, stars_per_exposure=80)
         for name in ("GU", "GI")}

# %%
# Which stars?  Bright ones with good spectra; in the near ultraviolet hot ones, because the lines
# of cool stars say little about it.

classes = plans["GU"].classes
classes["error"].info.format = ".3f"
print(classes)

# %%
# The number of stars that a statistical error of 0.5 % needs in every 50 Å, if they are average
# stars of the field and if they are chosen; and the error of one exposure of 80 stars beside the
# floor, the error that all stars share: the flux scale of the truth, the mean error of the model,
# zero points of dust and of magnitudes.
# Here the floor is the higher one everywhere: for an absolute response eighty stars are enough, and
# better truths are needed, not more stars.  For changes with position or time, which the floor
# cancels out of, more stars do help.

figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharex="col", sharey="row", layout="constrained")
for column, (name, plan) in zip(axes.T, plans.items(), strict=True):
    column[0].semilogy(plan.wavelength, plan.stars_needed, color="#0072b2", label="average stars")
    column[0].semilogy(plan.wavelength, plan.stars_needed_best, color="#d55e00", ls="--",
                       label="the best stars")
    column[0].axhline(80, color="0.5", lw=0.8, ls=":", label="one exposure")
    column[0].set(title=f"{name}: stars for 0.5 %")
    column[1].semilogy(plan.wavelength, 100 * plan.one_exposure, color="#0072b2",
                       label="one exposure of 80 stars")
    column[1].semilogy(plan.wavelength, 100 * plan.floor, color="#000000", ls="-.",
                       label="floor: shared by all stars")
    column[1].set(xlabel="wavelength (Å)")
axes[0, 0].set_ylabel("number of stars")
axes[1, 0].set_ylabel("error of the response (%)")
axes[1, 0].yaxis.set_major_locator(FixedLocator([0.2, 0.5, 1, 2, 5]))
axes[1, 0].yaxis.set_major_formatter("{x:g}")
axes[1, 0].yaxis.set_minor_formatter(NullFormatter())
for axis in axes[:, 1]:
    axis.legend(frameon=False, fontsize="small")
plt.show()
