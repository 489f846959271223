"""
Five white dwarfs or eighty F stars: which calibrates the ultraviolet?
======================================================================

F stars are everywhere, but below 3500 Å they are faint, and models of their SEDs err by a few
percent, all in the same way.  Hot hydrogen white dwarfs are rare and faint, but bright in the
ultraviolet, and two numbers fix their SEDs.  Which of them makes the better response?
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FixedLocator, NullFormatter

from sedflux import fit_response, get_instrument, simulate_field
from sedflux.simulate.white_dwarfs import WhiteDwarfs, white_dwarf_counts

# %%
# How rare?  There is one hot white dwarf brighter than 18 mag in six square degrees, where there
# are thousands of F stars.

for magnitude in (16, 17, 18, 19):
    area = 1.0 / float(white_dwarf_counts(magnitude))
    print(f"one brighter than {magnitude} mag in {area:.1f} square degrees")

# %%
# A field of eighty F stars and five white dwarfs, in the near-ultraviolet band of an instrument
# like that of CSST.  Each SED is predicted from a noisy spectrum, by the model of its kind.

band = get_instrument("lookalike").bands["GU"]
field = simulate_field({"GU": band}, size=80, seed=2, outliers=0.0, teff=(6000, 7500),
                       white_dwarfs=WhiteDwarfs(number=5, magnitudes=(14, 18)))
kind = np.asarray(field.truth["kind"])
print(field.truth["name", "teff", "magnitude", "snr"][kind == "white dwarf"])

# %%
# A response from each kind, and from both.  Errors that all stars share, and that more stars do not
# reduce, stand in ``systematics``: among them the measured error of the models of F stars
# (``library``), and what models of white dwarfs differ by (``models``).  All have the error of the
# flux scale, 1 %, which white dwarfs define.

groups = {"80 F stars": kind == "star", "5 white dwarfs": kind == "white dwarf",
          "both": kind != ""}
curves = {}
for name, some in groups.items():
    rows = np.flatnonzero(some)
    curves[name] = fit_response([field.counts["GU"][row] for row in rows],
                                [field.seds[row] for row in rows], band=band, grey_error=0.01,
                                wavelength_error=0.5)
    dust = sum(curves[name].systematics[part].variance
               for part in ("reddening zero point", "reddening law"))
    print(f"{name}: {100 * np.sqrt(np.interp(2700, curves[name].wavelength, dust)):.1f} % by dust")

# %%
# Left: in what more stars reduce, eighty F stars are several times better than five faint white
# dwarfs.  Right: with what all stars share it is the other way round in the ultraviolet, for there
# the models of F stars err by 4 %.  Both kinds together have the smallest errors of the first kind,
# but the error of the F stars' models.  So the F stars tell how the response changes with time and
# place, and the white dwarfs tell the response itself.
#
# The bad news is dust, which the right panel leaves out.  An error of the zero point of E(B-V), and
# of the law, moves all stars of a field together, by the per cents printed above: more than
# everything else.  White dwarfs in a field without dust are worth more than five behind it.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
styles = {"80 F stars": ("#0072b2", "-"), "5 white dwarfs": ("#d55e00", "--"),
          "both": ("#000000", ":")}
for name, curve in curves.items():
    low, high = curve.wavelength_range
    inside = (curve.wavelength >= low) & (curve.wavelength <= high)
    color, line = styles[name]
    total = np.sqrt(curve.covariance.variance + sum(
        part.variance for source, part in curve.systematics.items()
        if not source.startswith("reddening")))
    for axis, sigma in ((axes[0], curve.covariance.sigma), (axes[1], total)):
        axis.semilogy(curve.wavelength[inside], 100 * sigma[inside], color=color, ls=line,
                      label=name)
axes[0].set(title="what more stars reduce", ylabel="error of the response (%)",
            xlabel="wavelength (Å)")
axes[1].set(title="with what all stars share, but dust", xlabel="wavelength (Å)")
axes[0].legend(frameon=False)
axes[0].yaxis.set_major_locator(FixedLocator([0.2, 0.5, 1, 2, 5]))
axes[0].yaxis.set_major_formatter("{x:g}")
axes[0].yaxis.set_minor_formatter(NullFormatter())
plt.show()
