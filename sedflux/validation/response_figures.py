"""Figures of response curves against their truth."""

import numpy as np
from astropy.table import Table

from sedflux.plotting import BAND_COLOR, INK, TRUTH_COLOR, save_figure, subplots

__all__ = ["plot_closure", "plot_fields", "plot_real", "summarise_real"]


def plot_closure(path, curves):
    """
    Errors of the fit and of the naive ratio, without noise.

    Parameters
    ----------
    path : path-like
    curves : dict
        From `sedflux.validation.response.closure`.
    """
    figure, axes = subplots(2, len(curves), figsize=(4.2 * len(curves), 5.2), sharex="col",
                                   squeeze=False, layout="constrained")
    for column, (name, (wavelength, truth, fit, naive)) in zip(axes.T, curves.items(), strict=True):
        column[0].plot(wavelength, truth, color=INK)
        column[0].set(title=name, ylim=(0, None))
        column[1].semilogy(wavelength, np.abs(naive), color=TRUTH_COLOR, lw=0.9,
                           label="counts / photons")
        column[1].semilogy(wavelength, np.abs(fit), color=INK, lw=0.9, label="fit")
        column[1].axhline(1e-4, color="0.6", lw=0.8, ls="--")
        column[1].set(ylim=(1e-7, 1.0), xlabel="wavelength (vacuum Å)")
    axes[0, 0].set_ylabel("true throughput")
    axes[1, 0].set_ylabel("|error| of the response")
    axes[1, 0].legend(frameon=False, fontsize="small")
    save_figure(figure, path, dpi=110)


def plot_fields(path, detail):
    """
    Claimed and true errors of responses, and pulls, over simulated fields.

    Parameters
    ----------
    path : path-like
    detail : `~astropy.table.Table`
        From `sedflux.validation.response.field_study`.
    """
    bands = list(dict.fromkeys(detail["band"]))
    figure, axes = subplots(2, len(bands), figsize=(4.2 * len(bands), 5.6), sharex="col",
                                   squeeze=False, layout="constrained")
    for column, band in zip(axes.T, bands, strict=True):
        for way, color in (("full", INK), ("diagonal", TRUTH_COLOR)):
            part = detail[(detail["band"] == band) & (detail["covariance"] == way)]
            label = "covariance" if way == "full" else "diagonal sigmas"
            column[0].plot(part["wavelength"], 100 * part["sigma"], color=color, lw=1.2,
                           label=f"{label}: claimed")
            column[0].plot(part["wavelength"], 100 * part["error"], color=color, lw=1.0, ls="--",
                           label=f"{label}: true")
            column[1].plot(part["wavelength"], part["pull"], color=color, lw=1.2, label=label)
        column[1].axhspan(0.9, 1.1, color=BAND_COLOR, alpha=0.5, lw=0)
        column[0].axhline(0.5, color="0.6", lw=0.8, ls=":")
        column[0].set(title=band, ylim=(0, 2.0))
        column[1].set(xlabel="wavelength (vacuum Å)", yscale="log", ylim=(0.5, 20))
    axes[0, 0].set_ylabel("error a 50 Å (%)")
    axes[1, 0].set_ylabel("scatter of the pulls")
    axes[0, 0].legend(frameon=False, fontsize="small")
    save_figure(figure, path, dpi=110)


def summarise_real(detail):
    """
    Rms error of the response by model and band, with the sigma that is claimed.

    Parameters
    ----------
    detail : `~astropy.table.Table`
        From `sedflux.validation.response.real_star_study`.

    Returns
    -------
    table : `~astropy.table.Table`
    """
    rows = []
    for model in dict.fromkeys(detail["model"]):
        for band in dict.fromkeys(detail["band"]):
            part = detail[(detail["model"] == model) & (detail["band"] == band)]
            if not len(part):
                continue
            rows.append({"model": model, "band": band, "stars": int(part["stars"][0]),
                         "begin": float(part["wavelength"][0]) - 25.0,
                         "end": float(part["wavelength"][-1]) + 25.0,
                         "mean": float(np.mean(part["error"])),
                         "rms": float(np.sqrt(np.mean(np.asarray(part["error"]) ** 2))),
                         "sigma": float(np.median(part["sigma"])),
                         "total": float(np.median(part["total"])),
                         "pull": float(np.sqrt(np.mean(
                             (np.asarray(part["error"]) / np.asarray(part["total"])) ** 2)))})
    return Table(rows)


def plot_real(path, detail):
    """
    Error of the response from real stars, with its claimed sigma.

    Parameters
    ----------
    path : path-like
    detail : `~astropy.table.Table`
        From `sedflux.validation.response.real_star_study`.
    """
    bands = list(dict.fromkeys(detail["band"]))
    figure, axes = subplots(1, len(bands), figsize=(3.8 * len(bands), 3.6), squeeze=False,
                                   layout="constrained")
    for axis, band in zip(axes[0], bands, strict=True):
        for model, color in zip(dict.fromkeys(detail["model"]), (INK, TRUTH_COLOR), strict=False):
            part = detail[(detail["band"] == band) & (detail["model"] == model)]
            x, y = np.asarray(part["wavelength"]), 100 * np.asarray(part["error"])
            total = 100 * np.asarray(part["total"])
            axis.fill_between(x, y - total, y + total, color=color, alpha=0.2, lw=0)
            axis.plot(x, y, color=color, lw=1.2, label=model)
        axis.axhline(0.0, color="0.6", lw=0.8)
        axis.set(title=band, xlabel="wavelength (vacuum Å)")
    axes[0, 0].set_ylabel("recovered / true response - 1 (%)")
    axes[0, 0].legend(frameon=False, fontsize="small")
    save_figure(figure, path, dpi=110)
