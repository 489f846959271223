"""
What if the covariance were ignored?
====================================

A file of fluxes and sigmas looks like hundreds of independent errors.  The errors of a predicted
SED are not independent: if a star is hotter than its lines say, all of its blue is wrong at
once.  Here one response is fitted to the same stars with and without that knowledge.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u

from sedflux import fit_response, get_instrument
from sedflux.exceptions import SedfluxWarning
from sedflux.plotting import draw_response_error
from sedflux.simulate.settings import FieldSettings
from sedflux.simulate.simulator import Simulator

# %%
# Six fields of 80 stars each, without outliers, in the near-ultraviolet band, where the errors of
# SEDs are largest.  The fit notices that something is wrong with independent errors, and warns.

band = get_instrument("lookalike").bands["GU"]
simulator = Simulator({"GU": band}, FieldSettings(outliers=0.0))
fits, warned = {"full": [], "diagonal": []}, {"full": 0, "diagonal": 0}
for seed in range(6):
    field = simulator.draw(80, seed=seed)
    for covariance, responses in fits.items():
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", SedfluxWarning)
            responses.append(fit_response(
                field.counts["GU"], field.seds, band=band, names=field.names,
                grey_error=0.01, wavelength_error=0.5 * u.AA, covariance=covariance))
        warned[covariance] += any(one.category is SedfluxWarning for one in told)

# %%
# Errors in units of what each fit claims, at every 50 Å of the band, of all fields.


def pulls(response):
    """Error over sigma every 50 Å."""
    places = np.arange(2700.0, 3950.0, 50.0)
    error = np.log(response.throughput / band.throughput(response.wavelength))
    return np.interp(places, response.wavelength, error / response.covariance.sigma)


for covariance, responses in fits.items():
    found = np.concatenate([pulls(one) for one in responses])
    claimed = np.median([np.median(one.covariance.sigma[one.good]) for one in responses])
    print(f"{covariance:9s} claims {claimed:.2%}, errs by {np.sqrt(np.mean(found**2)):.1f} times "
          f"that; {warned[covariance]} of 6 fits warned")

# %%
# With the covariance, the errors are what they are claimed to be.  Without it the claims are half
# as large, the errors are not, and curves leave the coloured bands.  The errors of one field are
# correlated over the whole band: six fields are six independent cases, not hundreds.

figure, axes = plt.subplots(2, 2, figsize=(9, 5.6), sharex="col", sharey="col",
                            width_ratios=(2, 1), layout="constrained")
for row, (covariance, color, title) in zip(
        axes, (("full", "#0072b2", "with the covariance of the SEDs"),
               ("diagonal", "#d55e00", "errors taken as independent")), strict=True):
    first, *others = fits[covariance]
    draw_response_error(row[0], first, band.throughput(first.wavelength), color=color)
    for response in others:
        error = np.log(response.throughput / band.throughput(response.wavelength))
        row[0].plot(response.wavelength[response.good], 100 * error[response.good], color=color,
                    lw=1)
    row[0].set(title=title, ylim=(-3, 3), xlabel="")
    row[1].hist(np.concatenate([pulls(one) for one in fits[covariance]]), np.arange(-6, 6.1, 0.5),
                density=True, color=color, alpha=0.6)
    x = np.linspace(-6, 6, 200)
    row[1].plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color="k", lw=1, ls="--")
    row[1].set(ylabel="density", title="error / claimed error")
axes[1, 0].set_xlabel("wavelength (Å)")
axes[1, 1].set_xlabel("pull; dashed: as it should be")
plt.show()
