"""Figures of the accuracy of SEDs, for ``sedflux validate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table

from sedflux.plotting import (
    BAND_COLOR,
    COLORS,
    FLUX_LABEL,
    INK,
    TRUTH_COLOR,
    WAVELENGTH_LABEL,
    save_figure,
    subplots,
)
from sedflux.spectra.bands import BANDS, band_rows
from sedflux.spectra.grids import sed_grid

__all__ = ["plot_error_map", "plot_examples", "plot_histograms", "plot_johnson", "plot_miles",
           "plot_stars"]

#: Dots per inch of the figures in the documentation.
DPI = 110
#: Fewest stars for which a median and a range are drawn.
_LEAST_STARS = 3


def plot_examples(path: Path, cases: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]]
                  ) -> None:
    """
    Draw predicted and true SEDs of some stars at several S/N.

    Parameters
    ----------
    path : path-like
    cases : sequence of tuple
        Title, predicted flux (575,), sigma (575,) and truth (575,).
    """
    rows = -(-len(cases) // 3)
    figure, axes = subplots(rows, 3, figsize=(12, 2.9 * rows), sharex=True, squeeze=False)
    grid = sed_grid()
    for axis, (title, flux, sigma, truth) in zip(axes.flat, cases, strict=False):
        axis.fill_between(grid, flux - 2 * sigma, flux + 2 * sigma, color=BAND_COLOR, lw=0,
                          label="predicted, 2 sigma")
        axis.plot(grid, flux, color=INK, lw=1.0, label="predicted")
        axis.plot(grid, truth, color=TRUTH_COLOR, lw=0.8, ls="--", label="true")
        axis.set_title(title, fontsize="small")
        axis.set_ylim(0, None)
    for axis in axes.flat[len(cases):]:
        axis.axis("off")
    axes[0, 0].legend(frameon=False, fontsize="small")
    for axis in axes[-1]:
        axis.set_xlabel(WAVELENGTH_LABEL)
    for axis in axes[:, 0]:
        axis.set_ylabel(FLUX_LABEL, fontsize="small")
    save_figure(figure, path, dpi=DPI)


def plot_error_map(path: Path, teff: np.ndarray, errors: np.ndarray, *, title: str) -> None:
    """
    Draw the rms error against effective temperature and wavelength.

    Parameters
    ----------
    path : path-like
    teff : `~numpy.ndarray`, shape (N,)
    errors : `~numpy.ndarray`, shape (N, 575)
        Predicted / true - 1.
    title : str
    """
    from matplotlib.colors import LogNorm

    edges = np.arange(np.floor(teff.min() / 500.0) * 500.0, teff.max() + 500.0, 500.0)
    grid = sed_grid()
    table = np.full((len(edges) - 1, grid.size), np.nan)
    for index in range(len(edges) - 1):
        inside = (teff >= edges[index]) & (teff < edges[index + 1])
        if inside.any():
            table[index] = np.sqrt(np.nanmean(errors[inside] ** 2, axis=0))
    figure, axis = subplots(figsize=(9, 4))
    mesh = axis.pcolormesh(grid, 0.5 * (edges[1:] + edges[:-1]), 100 * np.maximum(table, 1e-4),
                           norm=LogNorm(0.2, 30.0), cmap="viridis", shading="nearest")
    figure.colorbar(mesh, ax=axis, label="rms error (%)")
    axis.set(xlabel=WAVELENGTH_LABEL, ylabel="effective temperature (K)", title=title)
    save_figure(figure, path, dpi=DPI)


def plot_histograms(path: Path, errors: np.ndarray, pulls: np.ndarray, *, title: str) -> None:
    """
    Draw histograms of errors and pulls in every band, with the standard normal distribution.

    Parameters
    ----------
    path : path-like
    errors, pulls : `~numpy.ndarray`, shape (N, 575)
    title : str
    """
    figure, axes = subplots(2, len(BANDS), figsize=(12, 5))
    x = np.linspace(-4.0, 4.0, 200)
    for column, (band, inside) in enumerate(band_rows(sed_grid(), BANDS).items()):
        values, standard = errors[:, inside], pulls[:, inside]
        values, standard = values[np.isfinite(values)], standard[np.isfinite(standard)]
        limit = 4.0 * mad_std(values)
        axes[0, column].hist(100 * values, bins=np.linspace(-100 * limit, 100 * limit, 41),
                             color=BAND_COLOR, density=True)
        axes[0, column].set(title=f"{band} Å", xlabel="error (%)")
        axes[1, column].hist(standard, bins=np.linspace(-4, 4, 41), color=BAND_COLOR, density=True)
        axes[1, column].plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color=TRUTH_COLOR)
        axes[1, column].set(xlabel="pull")
    for axis in axes.flat:
        axis.set_yticks([])
    figure.suptitle(title)
    save_figure(figure, path, dpi=DPI)


def _running(axis, values, label, color):
    """Draw median and 16-84 % range of errors (N, 575) against wavelength, in percent."""
    grid = sed_grid()
    known = np.isfinite(values).sum(axis=0) >= _LEAST_STARS
    if not known.any():
        return
    low, middle, high = np.nanpercentile(100 * values[:, known], [16, 50, 84], axis=0)
    axis.fill_between(grid[known], low, high, color=color, alpha=0.25, lw=0)
    axis.plot(grid[known], middle, color=color, lw=1.3, label=label)


def plot_stars(path: Path, cases: Mapping[str, np.ndarray]) -> None:
    """
    Draw the errors on HST/STIS stars against wavelength, for one or more models.

    Parameters
    ----------
    path : path-like
    cases : dict of str to `~numpy.ndarray`, shape (N, 575)
        Predicted / measured - 1 of each star, by model.
    """
    figure, axis = subplots(figsize=(9, 4))
    for (label, values), color in zip(cases.items(), COLORS, strict=False):
        _running(axis, values, label, color)
    axis.axhline(0.0, color="0.4", lw=0.8)
    axis.set(xlabel=WAVELENGTH_LABEL, ylabel="predicted / HST - 1 (%)", ylim=(-30, 40),
             title="median and 16-84 % of HST/STIS stars, E(B-V) fitted")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False)
    save_figure(figure, path, dpi=DPI)


def plot_miles(path: Path, cases: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """
    Draw the errors against MILES fluxes by temperature, for one or more models.

    Parameters
    ----------
    path : path-like
    cases : dict of str to dict
        Errors (N, 575) by model and cell.
    """
    cells = list(next(iter(cases.values())))
    figure, axes = subplots(len(cells), 1, figsize=(9, 2.3 * len(cells)), sharex=True,
                            squeeze=False)
    for axis, cell in zip(axes[:, 0], cells, strict=True):
        for (label, values), color in zip(cases.items(), COLORS, strict=False):
            _running(axis, values[cell], label, color)
        axis.axhline(0.0, color="0.4", lw=0.8)
        axis.set(xlim=(3600, 7340), ylim=(-20, 20), ylabel="error (%)")
        axis.set_title(cell, fontsize="small")
    labelled = [axis for axis in axes[:, 0] if axis.get_legend_handles_labels()[0]]
    if labelled:
        labelled[0].legend(frameon=False)
    axes[-1, 0].set_xlabel(WAVELENGTH_LABEL)
    save_figure(figure, path, dpi=DPI)


def plot_johnson(path: Path, cases: Mapping[str, Table]) -> None:
    """
    Draw U-B residuals against effective temperature, coloured by gravity, for one or more models.

    Parameters
    ----------
    path : path-like
    cases : dict of str to `~astropy.table.Table`
        From `sedflux.validation.johnson.predict_johnson`, by model.
    """
    figure, axes = subplots(len(cases), 1, figsize=(9, 3.2 * len(cases)), sharex=True,
                            squeeze=False)
    for axis, (label, table) in zip(axes[:, 0], cases.items(), strict=True):
        part = table[table["use"] & table["dust_known"]]
        flagged = np.asarray(part["flags"]) != 0
        for rows, marker in ((~flagged, "o"), (flagged, "x")):
            dots = axis.scatter(part["teff"][rows], part["U-B"][rows], c=part["logg"][rows], s=14,
                                marker=marker, vmin=0.5, vmax=5.0, cmap="viridis", lw=0.9)
        figure.colorbar(dots, ax=axis, label="log g")
        axis.axhline(0.0, color="0.4", lw=0.8)
        axis.set(xscale="log", xlim=(15000, 3900), ylim=(-0.4, 0.4), ylabel="U-B residual (mag)")
        axis.set_title(f"{label}: predicted - measured; crosses are flagged", fontsize="small")
        axis.set_xticks([4000, 5000, 6000, 7000, 8000, 10000, 14000],
                        labels=["4000", "5000", "6000", "7000", "8000", "10000", "14000"])
        axis.minorticks_off()
    axes[-1, 0].set_xlabel("effective temperature (K)")
    save_figure(figure, path, dpi=DPI)
