"""
The domain of a model: flags for inputs unlike its training, and errors that grow.

The projection on which the network stands tells how well a spectrum is made of
training spectra (the *excess*: rms of what is left beyond the noise) and how far its
coefficients lie from theirs (*unusual*).  The limits come with the model.
"""

import numpy as np

from sedflux.libraries.emulator import unscale_labels
from sedflux.libraries.prior import survey_density

__all__ = ["calibrated", "flag_rows", "inflate", "with_scatter"]

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
#: Directions of the prior that open when a star is unlike the training.
_PRIOR_ROWS = 4
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


def calibrated(values, calibration, wavelength):
    """
    Covariance with the last scale of sigma, measured by S/N and band.

    Parameters
    ----------
    values : dict of str to `~numpy.ndarray`
        With ``snr`` (N,), ``diagonal`` (N, n) and ``factor`` (N, r, n).
    calibration : dict
        From `sedflux.training.refine.measure_calibration`.
    wavelength : `~numpy.ndarray`, shape (n,)

    Returns
    -------
    diagonal : `~numpy.ndarray`, shape (N, n)
    factor : `~numpy.ndarray`, shape (N, r, n)
    """
    table = np.asarray(calibration["scale"])
    level = np.log(np.maximum(values["snr"], 1.0))
    nodes = np.log(calibration["snr"])
    bands = np.stack([np.interp(level, nodes, column) for column in table.T], axis=1)
    place = np.log(wavelength)
    centres = np.log(calibration["wavelength"])
    hats = np.stack([np.interp(place, centres, unit) for unit in np.eye(len(centres))])
    scale = (bands @ hats).astype(np.float32)
    return values["diagonal"] * scale**2, values["factor"] * scale[:, None]


def with_scatter(values, scatter, wavelength):
    """
    Covariance with the scatter between trainings, and scaled to stars left out.

    Parameters
    ----------
    values : dict of str to `~numpy.ndarray`
        With ``label_mean`` (N, 6), ``diagonal`` (N, n) and ``factor`` (N, r, n).
    scatter : dict
        From `sedflux.training.calibrate`: ``directions`` (k, n), their ``length`` (m, k) at
        temperatures ``teff`` (m,), and a ``scale`` at ``wavelength``.
    wavelength : `~numpy.ndarray`, shape (n,)

    Returns
    -------
    diagonal : `~numpy.ndarray`, shape (N, n)
    factor : `~numpy.ndarray`, shape (N, r + k, n)
    """
    place = np.log(unscale_labels(values["label_mean"])[:, 0])
    nodes = np.log(scatter["teff"])
    length = np.stack([np.interp(place, nodes, column)
                       for column in np.transpose(scatter["length"])], axis=1)
    scale = np.interp(np.log(wavelength), np.log(scatter.get("wavelength", [1.0])),
                      scatter.get("scale", [1.0])).astype(np.float32)
    rows = length[:, :, None].astype(np.float32) * np.asarray(scatter["directions"], np.float32)
    factor = np.concatenate([values["factor"], rows], axis=1)
    return values["diagonal"] * scale**2, factor * scale


def inflate(values, severity, templates):
    """
    Covariance of ln(flux), widened for spectra beyond the domain.

    Beyond the limit the predicted sigma grows with the severity, and the leading
    directions in which training SEDs differ open towards the prior.

    Parameters
    ----------
    values : dict of str to `~numpy.ndarray`
        With ``diagonal`` (N, n) and ``factor`` (N, r, n).
    severity : `~numpy.ndarray`, shape (N,)
    templates : `~numpy.ndarray`, shape (k, n)
        Principal components of ln(SED), each as long as its spread.

    Returns
    -------
    diagonal : `~numpy.ndarray`, shape (N, n)
    factor : `~numpy.ndarray`, shape (N, r, n), or (N, r + 4, n) if any row is beyond
    """
    growth = np.maximum(severity, 1.0).astype(np.float32)
    diagonal = values["diagonal"] * growth[:, None] ** 2
    if not (growth > 1.0).any():
        return diagonal, values["factor"]
    prior = templates[:_PRIOR_ROWS]
    opening = np.clip((growth - 1.0) / 3.0, 0.0, 1.0)
    rows = opening[:, None, None] * prior
    return diagonal, np.concatenate([values["factor"] * growth[:, None, None], rows], axis=1)
