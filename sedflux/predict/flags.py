"""
The domain of a model: flags for inputs unlike its training, and errors that grow.

The projection on which the network stands tells how well a spectrum is made of
training spectra (the *excess*: rms of what is left beyond the noise) and how far its
coefficients lie from theirs (*unusual*).  The limits come with the model.
"""

import numpy as np

from sedflux.libraries.labels import unscale_labels
from sedflux.libraries.prior import survey_density

__all__ = ["flag_rows"]

#: Below this S/N a pixel the prior speaks louder than the lines.
LOW_SNR = 8.0
#: A star that seems poorer in metals than this has hardly any lines beside hydrogen's: it may
#: as well be hot, a white dwarf or a subdwarf.
METAL_POOR = -2.05
#: Surface gravity that no main-sequence star exceeds, against effective temperature in K.
COMPACT = ((5000.0, 6300.0), (4.95, 4.7))
_NO_METALS = 3.0
#: Density of a survey's stars, 1 / (K dex dex), below which the lines speak against the prior.
RARE = 1e-7
_RARE_FLAG = "rare among a survey's stars: prior and lines disagree"
_UNUSABLE = 25.0


def _severity(values, limits):
    """How far beyond its limits a spectrum is: 1 at the limit, growing; shape (N,)."""
    noise = 1.0 / np.maximum(values["snr"], 1.0)
    # At low S/N an excess is itself uncertain: 2430 pixels give it to a few percent of the noise.
    excess = values["excess"] / np.hypot(limits["excess"], 0.3 * noise)
    unusual = np.sqrt(values["unusual"] / limits["unusual"])
    strange = np.sqrt(values["strange"] / limits.get("strange", np.inf))
    severity = np.maximum.reduce([excess, unusual, strange])
    return np.where(values["usable"], severity, _UNUSABLE)


def flag_rows(values, limits):
    """
    Flags of each spectrum, and how severe they are.

    Parameters
    ----------
    values : dict of str to `~numpy.ndarray`
        What the network and the pipeline say of N spectra; the estimated labels are
        added to it as ``teff``, ``logg`` and ``mh``.
    limits : dict
        The model's domain: ``excess``, ``unusual``, ``strange``, ``teff`` (two limits in
        K), and the ``prior`` of its labels.

    Returns
    -------
    flags : tuple of tuple of str
    severity : `~numpy.ndarray`, shape (N,)
        One at the limit of the domain.
    """
    labels = unscale_labels(values["label_mean"])
    values["teff"], values["logg"], values["mh"] = labels[:, 0], labels[:, 1], labels[:, 2]
    severity = _severity(values, limits)
    cool, hot = limits["teff"]
    bare = values["usable"] & (values["mh"] < METAL_POOR)
    compact = values["usable"] & (values["logg"] > np.interp(values["teff"], *COMPACT))
    tests = [
        (compact, "gravity beyond the main sequence: a white dwarf or subdwarf?"),
        (bare, "hardly any metal lines: very metal-poor, or a hot star, subdwarf or white dwarf"),
        (~values["usable"], "too few good pixels: the prior alone"),
        (values["usable"] & (values["snr"] < LOW_SNR), "low S/N"),
        (severity > 1.0, "unlike the training: other kind of object or bad data"),
        (values["teff"] < cool, f"near or beyond the cool limit of {cool:.0f} K"),
        (values["teff"] > hot, f"near or beyond the hot limit of {hot:.0f} K"),
        (values["spikes"] > 3, "emission lines or spikes were left out"),
        (values["usable"] & (values["good"] < 0.8), "many bad pixels"),
    ]
    flags = tuple(tuple(text for test, text in tests if test[row])
                  for row in range(len(severity)))
    if limits.get("prior") == "survey":
        rare = survey_density(labels) < RARE
        flags = tuple((*row, _RARE_FLAG) if odd else row
                      for row, odd in zip(flags, rare & values["usable"], strict=True))
    edge = (values["teff"] < cool) | (values["teff"] > hot)
    severity = np.where(edge, np.maximum(severity, 1.5), severity)
    return flags, np.where(bare | compact, np.maximum(severity, _NO_METALS), severity)
