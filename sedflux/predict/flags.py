"""
Flags: reasons to be careful with a prediction, as data.

Every flag has a name, a bit, a sentence for people and an explanation.  The projection that
the network uses tells how well training spectra can represent a spectrum: the *excess* is the
rms of its residuals beyond the noise, *unusual* the distance of its coefficients from the mean
of the training, *strange* their distance from the nearest training star.  The limits come with
the model.  What is far beyond them is no star of the training at all, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sedflux.exceptions import InputError
from sedflux.libraries.labels import STARS, LabelSet
from sedflux.libraries.prior import survey_density
from sedflux.predict.galaxies import BROAD, NEBULAR
from sedflux.predict.luminosity import is_luminous

__all__ = ["FLAGS", "Flag", "domain_flags", "flag", "flag_names", "foreign_ratio",
           "severity_of"]

#: Below this S/N per pixel the prior constrains the answer more than the lines.
LOW_SNR = 8.0
#: A star that seems poorer in metals than this has hardly any lines but hydrogen's: it may
#: also be hot, a white dwarf or a subdwarf.
METAL_POOR = -2.05
#: Below this [M/H] no star with metal lines is seen; steps below it in which the severity grows by
#: itself, and the most steps: hot stars and subdwarfs look ever poorer in metals.
_LEAST_METALS, _METALS_STEP, _MOST_STEPS = -2.4, 0.1, 2.0
#: Distance (one at the limit of ordinary stars) beyond which a spectrum is that of no star of the
#: training, by [M/H]: where there are hardly any metal lines, other features are those of no star.
#: Ordinary stars reach 0.35 and 0.95, with the defects of surveys 0.63 and 1.1, with a dip of 25 %
#: between two arms 0.75 and 1.35.
_FOREIGN = ((METAL_POOR, -1.5), (0.65, 1.4))
#: Surface gravity that no main-sequence star exceeds, against effective temperature in K.
COMPACT = ((5000.0, 6300.0), (4.95, 4.7))
#: Density of a survey's stars, 1 / (K dex dex), below which lines and prior disagree.
RARE = 1e-7
#: Share of good pixels below which a spectrum is flagged.
FEW_GOOD = 0.8
#: Input pixels with emission or spikes that are still normal.
SPIKES = 3
#: Median S/N per pixel beyond which an inverse variance is in the wrong unit.
IMPLAUSIBLE_SNR = 1000.0
#: Severity of stars near or beyond a limit of temperature, of ones that are compact, metal-free or
#: luminous or have a limit of gravity, of what may be a galaxy, and of spectra that cannot be used.
_EDGE_SEVERITY, _NO_METALS_SEVERITY, _GALAXY_SEVERITY, _UNUSABLE_SEVERITY = 1.5, 3.0, 2.0, 25.0
#: Stars that are flagged and within this range (K) above the cool limit may have molecular bands
#: that the training lacks; the distance beyond which they have them, and the severity for each
#: unit of it.
_COOL_RANGE, _COOL_DISTANCE, _COOL_GROWTH = 700.0, 0.5, 6.0


@dataclass(frozen=True)
class Flag:
    """
    One reason to be careful.

    Attributes
    ----------
    name : str
        Identifier, for programs.
    bit : int
        Its place in a bit mask: a spectrum is flagged if ``bits & (1 << bit)``.
    sentence : str
        What people are told; ``{cool}`` and ``{hot}`` stand for the model's limits in K.
    explanation : str
        What it means and what to do.

    Examples
    --------
    >>> from sedflux.predict.flags import flag
    >>> one = flag("low_snr")
    >>> one.bit, one.mask, one.sentence
    (3, 8, 'low S/N')
    """

    name: str
    bit: int
    sentence: str
    explanation: str

    @property
    def mask(self) -> int:
        """The flag as a bit mask."""
        return 1 << self.bit


#: All flags, in the order in which people are told.  Bits are never used again.
FLAGS = (
    Flag("compact", 0, "gravity beyond the main sequence: a white dwarf or subdwarf?",
         "The lines fit a surface gravity that no main-sequence star has.  The training has "
         "neither white dwarfs nor subdwarfs: do not use the SED before the star is identified."),
    Flag("no_metals", 1, "hardly any metal lines: very metal-poor, or a hot star, subdwarf or "
         "white dwarf",
         "Hydrogen lines alone do not fix the temperature.  The error is widened; look at the "
         "star's colour."),
    Flag("unusable", 2, "too few good pixels: the prior alone",
         "The spectrum has no information, and the SED is the mean of the training with its "
         "whole spread as error."),
    Flag("low_snr", 3, "low S/N",
         f"S/N below {LOW_SNR:g} per pixel.  The answer is biased towards the mean of the "
         "training, and its error includes this."),
    Flag("unlike_training", 4, "unlike the training: other kind of object or bad data",
         "No mixture of training spectra fits the lines within the noise, or the star is far "
         "from all training stars.  The error grows with the distance."),
    Flag("cool_limit", 5, "near or beyond the cool limit of {cool:.0f} K",
         "The training ends here.  Predictions are biased towards warmer stars."),
    Flag("hot_limit", 6, "near or beyond the hot limit of {hot:.0f} K",
         "The training ends here.  Predictions are biased towards cooler stars."),
    Flag("emission", 7, "emission lines or spikes were left out",
         f"More than {SPIKES} pixels stand far above the continuum and were masked: an active "
         "star, a nebula, or cosmic rays."),
    Flag("bad_pixels", 8, "many bad pixels",
         f"Less than {100 * FEW_GOOD:.0f} % of the input pixels are good."),
    Flag("rare", 9, "rare among a survey's stars: prior and lines disagree",
         "The prior is that of the stars of a survey, and the lines fit a star that hardly "
         "occurs there."),
    Flag("noise_estimated", 10, "noise estimated",
         "The spectrum has no uncertainty; its noise is estimated from the scatter between "
         "neighbouring pixels."),
    Flag("implausible_snr", 11, "S/N too high to be true: is the uncertainty in the right unit?",
         f"The uncertainty claims an S/N above {IMPLAUSIBLE_SNR:.0f} per pixel.  It is limited to "
         "that of the best training spectra."),
    Flag("not_finite", 12, "no finite answer: the prior alone",
         "The network gave a number that is not finite.  The SED is the mean of the training with "
         "its whole spread as error."),
    Flag("supergiant", 13, "gravity near or below that of the most luminous training stars: a "
         "supergiant?",
         "The lines fit a gravity near or below the least of the training, or Balmer lines are as "
         "narrow as in supergiants.  Near 3650 Angstrom the SEDs of "
         "supergiants are wrong by up to a third; the error is widened."),
    Flag("gravity_limit", 14, "gravity near or beyond the limits of the white-dwarf models: a "
         "subdwarf or a star of the main sequence?",
         "The lines fit a surface gravity near the end of the models of white dwarfs.  Subdwarfs "
         "and B stars, whose gravity is lower, look so: do not use the SED before the star is "
         "identified."),
    Flag("two_solutions", 15, "two temperatures fit the lines, one below and one above that of the "
         "strongest Balmer lines",
         "Balmer lines grow to about 13,000 K and fade beyond.  The SED lies between two "
         "solutions, and its error covers both; the diagnostics hold both SEDs and the weight of "
         "the second.  A colour decides."),
    Flag("kind_uncertain", 16, "star or white dwarf: the lines do not tell",
         "With model='auto', the models of stars and of white dwarfs explain the lines about "
         "equally well: the odds are less than a hundred to one.  Name the model if you know the "
         "kind."),
    Flag("other_kind", 17, "neither star nor hydrogen white dwarf: wrong velocity, subdwarf, "
         "helium or magnetic white dwarf, binary?",
         "With model='auto', the model of white dwarfs explains the lines better than that of "
         "stars, but not well, or only at the edge of its temperatures and gravities.  So it is "
         "with a star whose velocity was not taken out, such as a fast halo star.  The SED is "
         "that of the model of stars: do not use it before the object is identified."),
    Flag("foreign", 18, "no star that the model knows: an M star, quasar, galaxy, wrong velocity "
         "or bad data?",
         "The spectrum is so far from all training stars that its SED means nothing.  Alone it is "
         "refused; among others it has this flag and a huge error."),
    Flag("peculiar", 19, "lines unlike those of a white dwarf alone and without a field: magnetic, "
         "a binary, or bad data?",
         "The model of white dwarfs can represent the lines, but only as it represents ripples and "
         "defects of spectra.  Lines that a magnetic field splits and light of an M dwarf look so, "
         "and so do bad data: look at the spectrum."),
    Flag("broad_lines", 20, "lines broader than the resolving power says: a galaxy, two stars, a "
         "very fast rotator, or a wrong resolving power?",
         f"The lines are as if velocities of {BROAD[1][0]:.0f} km/s or more broadened them, of "
         f"{BROAD[1][1]:.0f} km/s above {BROAD[0][1]:.0f} K, where stars rotate.  Galaxies "
         "look so: their lines fit a star, and their SEDs are wrong by up to a sixth.  It needs a "
         "resolving power of 1500.  The error is widened."),
    Flag("nebular", 21, "forbidden emission lines: a galaxy, or a nebula?",
         "Lines of [O III], [N II] and [S II] stand above the star's.  Galaxies that form stars or "
         "have an active nucleus show them, and so do stars in a nebula that was not taken out "
         "with the sky.  The error is widened."),
)
_BY_NAME = {one.name: one for one in FLAGS}


def flag(name: str) -> Flag:
    """
    A flag by its name.

    Examples
    --------
    >>> from sedflux.predict.flags import flag
    >>> flag("low_snr").bit, flag("low_snr").sentence
    (3, 'low S/N')
    """
    if name not in _BY_NAME:
        raise InputError(f"flag {name!r} is unknown; there are {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def flag_names(bits: int) -> tuple[str, ...]:
    """
    Names of the flags in a bit mask.

    Examples
    --------
    >>> from sedflux.predict.flags import flag_names
    >>> flag_names(8 + 64)
    ('low_snr', 'hot_limit')
    """
    return tuple(one.name for one in FLAGS if int(bits) & one.mask)


def sentences(bits: np.ndarray, limits: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """
    Sentences of the flags of each spectrum.

    Parameters
    ----------
    bits : `~numpy.ndarray` of int, shape (N,)
    limits : dict
        The model's domain.
    """
    cool, hot = limits["teff"]
    texts = [(one.mask, one.sentence.format(cool=cool, hot=hot)) for one in FLAGS]
    # Many spectra have the same flags.
    found = {value: tuple(text for mask, text in texts if value & mask)
             for value in np.unique(bits).tolist()}
    return tuple([found[value] for value in bits.tolist()])


def domain_flags(values: Mapping[str, np.ndarray], limits: Mapping[str, Any],
                 label_set: LabelSet = STARS) -> np.ndarray:
    """
    Flags of each spectrum, as bit masks.

    Parameters
    ----------
    values : dict of str to `~numpy.ndarray`, shape (N,)
        What the network and the pipeline return for N spectra.
    limits : dict
        The model's domain: ``excess``, ``unusual``, ``strange``, ``teff`` (two limits in
        K), the ``prior`` of its labels, and for models that know it the least ``gravity``: lists of
        temperatures (K) and of log g, and ``luminous``, see `sedflux.predict.luminosity`.  Models
        of white dwarfs have two limits of ``logg``, and ``peculiar``: the first three for spectra
        without defects.
    label_set : `~sedflux.libraries.labels.LabelSet`, optional
        Labels of the model.

    Returns
    -------
    bits : `~numpy.ndarray` of int64, shape (N,)
    """
    labels = label_set.unscale(values["label_mean"])
    teff, logg = labels[:, 0], labels[:, 1]
    usable = values["usable"]
    cool, hot = limits["teff"]
    found = {
        "unusable": ~usable,
        "low_snr": usable & (values["snr"] < LOW_SNR),
        "unlike_training": _distance(values, limits) > 1.0,
        "cool_limit": teff < cool,
        "hot_limit": teff > hot,
        "emission": values["spikes"] > SPIKES,
        "bad_pixels": usable & (values["good"] < FEW_GOOD),
        "implausible_snr": values["claimed_snr"] > IMPLAUSIBLE_SNR,
        "not_finite": ~values["finite"],
    }
    if label_set is STARS:
        found["compact"] = usable & (logg > np.interp(teff, *COMPACT))
        found["no_metals"] = usable & (labels[:, STARS.names.index("MH")] < METAL_POOR)
        found["foreign"] = usable & values["finite"] & (
            foreign_ratio(values, limits, labels[:, STARS.names.index("MH")]) > 1.0)
    for name, key, limit in (("broad_lines", "broadening", np.interp(teff, *BROAD)),
                             ("nebular", "nebular", NEBULAR)):
        if key in values:
            found[name] = usable & values["finite"] & (values[key] > limit)
    if "second_weight" in values:
        found["two_solutions"] = usable & (values["second_weight"] > 0)
    if "logg" in limits:
        low, high = limits["logg"]
        found["gravity_limit"] = usable & ((logg < low) | (logg > high))
    if "peculiar" in limits:
        found["peculiar"] = ~found["unlike_training"] & (
            _distance(values, limits["peculiar"]) > 1.0)
    if "gravity" in limits:
        found["supergiant"] = usable & (logg < np.interp(teff, *limits["gravity"]))
    if "luminous" in limits and "balmer" in values:
        found["supergiant"] |= usable & is_luminous(values, limits, teff, logg)
    if limits.get("prior") == "survey":
        found["rare"] = usable & (survey_density(labels) < RARE)
    bits = np.zeros(len(usable), dtype=np.int64)
    for name, rows in found.items():
        bits |= np.where(rows, flag(name).mask, 0)
    return bits


def _strangeness(values, limits):
    """Distance of the coefficients alone: 1 at the limit; shape (N,)."""
    unusual = np.sqrt(values["unusual"] / limits["unusual"])
    return np.maximum(unusual, np.sqrt(values["strange"] / limits.get("strange", np.inf)))


def foreign_ratio(values: Mapping[str, np.ndarray], limits: Mapping[str, Any],
                  mh: np.ndarray) -> np.ndarray:
    """
    How far spectra are from all training stars, relative to the distance at which they are refused.

    Parameters
    ----------
    values : dict of str to `~numpy.ndarray`, shape (N,)
        With ``unusual`` and ``strange``, such as diagnostics of a prediction.
    limits : dict
        The model's domain.
    mh : `~numpy.ndarray`, shape (N,)
        [M/H] that the lines seem to have.

    Returns
    -------
    ratio : `~numpy.ndarray`, shape (N,)
        Above one for spectra that are refused.
    """
    return _strangeness(values, limits) / np.interp(mh, *_FOREIGN)


def _distance(values, limits):
    """How far beyond its limits a spectrum is: 1 at the limit, growing; shape (N,)."""
    noise = 1.0 / np.maximum(values["snr"], 1.0)
    # At low S/N an excess is itself uncertain: 2430 pixels give it to a few percent of the noise.
    excess = values["excess"] / np.hypot(limits["excess"], 0.3 * noise)
    distance = np.maximum(excess, _strangeness(values, limits))
    return np.where(values["usable"] & values["finite"], distance, _UNUSABLE_SEVERITY)


def severity_of(bits: np.ndarray, values: Mapping[str, np.ndarray], limits: Mapping[str, Any],
                label_set: LabelSet = STARS) -> np.ndarray:
    """
    How much errors must grow: one inside the domain, more beyond it.

    Parameters
    ----------
    bits : `~numpy.ndarray` of int, shape (N,)
        From `domain_flags`.
    values, limits, label_set
        See `domain_flags`.

    Returns
    -------
    severity : `~numpy.ndarray`, shape (N,)
    """
    def any_of(*names: str) -> np.ndarray:
        return (bits & sum(flag(name).mask for name in names)) != 0

    distance = _distance(values, limits)
    # The larger of the severity so far and another one, for spectra with any of some flags.
    severity = np.where(any_of("cool_limit", "hot_limit"), np.maximum(distance, _EDGE_SEVERITY),
                        distance)
    foreign = any_of("compact", "no_metals", "supergiant", "gravity_limit")
    severity = np.where(foreign, np.maximum(severity, _NO_METALS_SEVERITY), severity)
    severity = np.where(any_of("broad_lines", "nebular"), np.maximum(severity, _GALAXY_SEVERITY),
                        severity)
    if label_set is not STARS:
        return severity
    labels = label_set.unscale(values["label_mean"])
    teff, mh = (labels[:, STARS.names.index(name)] for name in ("TEFF", "MH"))
    bands = _EDGE_SEVERITY + _COOL_GROWTH * np.maximum(distance - _COOL_DISTANCE, 0.0)
    cool = any_of("cool_limit", "unlike_training") & (teff < limits["teff"][0] + _COOL_RANGE)
    severity = np.where(cool, np.maximum(severity, bands), severity)
    steps = np.clip((_LEAST_METALS - mh) / _METALS_STEP, 0.0, _MOST_STEPS)
    severity = np.where(any_of("no_metals"),
                        np.maximum(severity, _NO_METALS_SEVERITY * (1.0 + steps)), severity)
    return np.where(any_of("foreign"), _UNUSABLE_SEVERITY, severity)
