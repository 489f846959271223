"""The last scale of sigma: calibration, scatter between trainings, spectra beyond the domain."""

import numpy as np

from sedflux.libraries.labels import unscale_labels

__all__ = ["calibrated", "inflate", "with_scatter"]

#: Directions of the prior that open when a star is unlike the training.
_PRIOR_ROWS = 4


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
        temperatures ``teff`` (m,), and a ``scale`` at ``wavelength`` (b,): one for all stars (b,),
        or one at every temperature (m, b).
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
    scale = _scale(scatter, place, nodes, wavelength)
    rows = length[:, :, None].astype(np.float32) * np.asarray(scatter["directions"], np.float32)
    factor = np.concatenate([values["factor"], rows], axis=1)
    return values["diagonal"] * scale**2, factor * scale[:, None]


def _scale(scatter, place, nodes, wavelength):
    """Scale of sigma of each star (N, n), linear in ln(T_eff) and ln(wavelength)."""
    table = np.atleast_2d(scatter.get("scale", [1.0]))
    if len(table) == 1:
        table = np.repeat(table, len(nodes), axis=0)
    bands = np.stack([np.interp(place, nodes, column) for column in table.T], axis=1)
    centres = np.log(scatter.get("wavelength", [1.0]))
    hats = np.stack([np.interp(np.log(wavelength), centres, unit)
                     for unit in np.eye(len(centres))])
    return (bands @ hats).astype(np.float32)


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
