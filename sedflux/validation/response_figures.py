"""Figures of response curves against their truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.table import Table

from sedflux.plotting import (
    BAND_COLOR,
    INK,
    TRUTH_COLOR,
    WAVELENGTH_LABEL,
    save_figure,
    subplots,
)
from sedflux.validation.cells import INTERVAL
from sedflux.validation.figures import DPI

__all__ = ["plot_closure", "plot_fields", "plot_real_stars"]

#: Target of the relative error without noise.
_CLOSURE_TARGET = 1e-4
#: Target of the error per interval (percent).
_INTERVAL_TARGET = 0.5


def plot_closure(path: Path, curves: Mapping[str, tuple[np.ndarray, ...]]) -> None:
    """
    Draw the errors of the fit and of the naive ratio, without noise.

    Parameters
    ----------
    path : path-like
    curves : dict
        From `sedflux.validation.response_closure.closure`.
    """
    figure, axes = subplots(2, len(curves), figsize=(4.2 * len(curves), 5.2), sharex="col",
                            squeeze=False)
    for column, (name, (wavelength, truth, fit, naive)) in zip(axes.T, curves.items(), strict=True):
        column[0].plot(wavelength, truth, color=INK)
        column[0].set(title=name, ylim=(0, None))
        column[1].semilogy(wavelength, np.abs(naive), color=TRUTH_COLOR, lw=0.9,
                           label="counts / photons")
        column[1].semilogy(wavelength, np.abs(fit), color=INK, lw=0.9, label="fit")
        column[1].axhline(_CLOSURE_TARGET, color="0.6", lw=0.8, ls="--")
        column[1].set(ylim=(1e-7, 1.0), xlabel=WAVELENGTH_LABEL)
    axes[0, 0].set_ylabel("true throughput")
    axes[1, 0].set_ylabel("|error| of the response")
    axes[1, 0].legend(frameon=False, fontsize="small")
    save_figure(figure, path, dpi=DPI)


def plot_fields(path: Path, detail: Table) -> None:
    """
    Draw claimed and true errors of responses, and pulls, over simulated fields.

    Parameters
    ----------
    path : path-like
    detail : `~astropy.table.Table`
        From `sedflux.validation.response_fields.field_study`.
    """
    bands = list(dict.fromkeys(detail["band"]))
    figure, axes = subplots(2, len(bands), figsize=(4.2 * len(bands), 5.6), sharex="col",
                            squeeze=False)
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
        column[0].axhline(_INTERVAL_TARGET, color="0.6", lw=0.8, ls=":")
        column[0].set(title=band, ylim=(0, 2.0))
        column[1].set(xlabel=WAVELENGTH_LABEL, yscale="log", ylim=(0.5, 20))
    axes[0, 0].set_ylabel(f"error per {INTERVAL:.0f} Å (%)")
    axes[1, 0].set_ylabel("scatter of the pulls")
    axes[0, 0].legend(frameon=False, fontsize="small")
    save_figure(figure, path, dpi=DPI)


def plot_real_stars(path: Path, detail: Table) -> None:
    """
    Draw the error of responses from real stars with fitted E(B-V), and its claimed sigma.

    Parameters
    ----------
    path : path-like
    detail : `~astropy.table.Table`
        From `sedflux.validation.response_stars.real_star_study`.
    """
    detail = detail[(detail["dust"] == "fitted") & (detail["covariance"] == "full")]
    bands = list(dict.fromkeys(detail["band"]))
    figure, axes = subplots(1, len(bands), figsize=(3.8 * len(bands), 3.6), squeeze=False)
    for axis, band in zip(axes[0], bands, strict=True):
        for model, color in zip(dict.fromkeys(detail["model"]), (INK, TRUTH_COLOR), strict=False):
            part = detail[(detail["band"] == band) & (detail["model"] == model)]
            x, y = np.asarray(part["wavelength"]), 100 * np.asarray(part["error"])
            total = 100 * np.asarray(part["total"])
            axis.fill_between(x, y - total, y + total, color=color, alpha=0.2, lw=0)
            axis.plot(x, y, color=color, lw=1.2, label=model)
        axis.axhline(0.0, color="0.6", lw=0.8)
        axis.set(title=band, xlabel=WAVELENGTH_LABEL)
    axes[0, 0].set_ylabel("recovered / true response - 1 (%)")
    axes[0, 0].legend(frameon=False, fontsize="small")
    save_figure(figure, path, dpi=DPI)
