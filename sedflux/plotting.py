"""Figures of predictions, responses and training runs; matplotlib is imported to draw one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sedflux.exceptions import InputError, SedfluxError
from sedflux.writing import write_whole

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["check_figure_name", "draw_budget", "draw_response", "plot_prediction",
           "plot_response", "plot_training", "save_figure", "subplots"]

#: Predictions and fits, their errors, and what they are compared with: blue and orange, which
#: colour-blind readers tell apart.
INK, BAND_COLOR, TRUTH_COLOR = "#1f4e79", "#9dc3e6", "#c55a11"
#: Colours that colour-blind readers tell apart (Okabe & Ito 2008), without the light yellow.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
WAVELENGTH_LABEL = "wavelength (vacuum Å)"
FLUX_LABEL = "F$_\\lambda$ / mean(4000-7000 Å)"

#: Colour and line style of the terms of an error budget.
_BUDGET_STYLES = {
    "photons": (COLORS[0], "-"), "sed": (COLORS[1], "-"), "reddening": (COLORS[4], "--"),
    "anchor": (COLORS[3], "-."), "extraction": (COLORS[2], ":"), "smoothness": ("0.6", "-"),
    "statistical": (COLORS[5], "-"), "library": (COLORS[2], "--"), "truth scale": ("0.6", ":"),
    "total": (COLORS[6], "-"), "reddening zero point": (COLORS[4], ":"),
    "reddening law": (COLORS[4], "-."), "magnitude zero point": (COLORS[3], ":"),
    "wavelength scale": (COLORS[0], "--"), "line spread": (COLORS[0], ":"),
    "background": (COLORS[5], "--")}
#: Percentiles of the normalised input between which its panel extends: deep lines are few
#: pixels, and what rises above the continuum is noise.
_SHOWN_PERCENTILES = (0.2, 99.0)


def subplots(*shape: int, figsize: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """
    A figure with axes, made without pyplot: figures and backend of the user stay as they are.

    Parameters
    ----------
    *shape : int
        Rows and columns of axes.
    figsize : tuple of float
        Inches.
    **options
        Of `matplotlib.figure.Figure.subplots`.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    axes : `matplotlib.axes.Axes` or array of them
    """
    figure = _figure_class()(figsize=figsize, layout="constrained")
    return figure, figure.subplots(*shape, **options)


def _figure_class():
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SedfluxError("figures need matplotlib: pip install 'sedflux[plot]'") from error
    return Figure


def check_figure_name(path: str | os.PathLike[str]) -> None:
    """
    Check the name of a figure before it is drawn.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    sedflux.exceptions.InputError
        If matplotlib does not know the ending.
    sedflux.exceptions.SedfluxError
        If matplotlib is not installed.
    """
    known = _figure_class()().canvas.get_supported_filetypes()
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in known:
        raise InputError(f"{str(path)!r} is no name of a figure; it must end in one of "
                         f"{', '.join('.' + name for name in sorted(known))}")


def save_figure(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 120) -> None:
    """
    Write a figure to a file, whole or not at all.

    Parameters
    ----------
    figure : `matplotlib.figure.Figure`
    path : path-like
        The ending gives the format.
    dpi : int, optional

    Raises
    ------
    sedflux.exceptions.InputError
        If matplotlib does not know the ending.
    sedflux.exceptions.WriteError
        If the file cannot be written.
    """
    check_figure_name(path)
    write_whole(path, lambda temporary: figure.savefig(temporary, dpi=dpi))


def plot_prediction(path: str | os.PathLike[str], sed: Any, *,
                    normalised: tuple[np.ndarray, np.ndarray] | None = None,
                    measured: tuple[np.ndarray, np.ndarray] | None = None, title: str = ""
                    ) -> None:
    """
    Draw the normalised input, the predicted and measured SED, and predicted minus measured.

    Parameters
    ----------
    path : path-like
        Where the figure is written.
    sed : `~sedflux.SEDPrediction`
        Of one star.
    normalised : tuple of `~numpy.ndarray`, optional
        Wavelength and normalised flux of the input.
    measured : tuple of `~numpy.ndarray`, optional
        Flux of the same star on the SED's grid, and its sigma.
    title : str, optional
    """
    heights = [1.0] * (normalised is not None) + [2.0] + [0.8] * (measured is not None)
    figure, axes = subplots(len(heights), 1, figsize=(9, 2.4 * sum(heights)), squeeze=False,
                            height_ratios=heights)
    panels = list(axes[:, 0])
    panels[0].set_title(title)
    if normalised is not None:
        _draw_normalised(panels.pop(0), *normalised)
    _draw_sed(panels[0], sed, measured)
    if measured is not None:
        _draw_pulls(panels[1], sed, measured)
    panels[-1].set_xlabel(WAVELENGTH_LABEL)
    save_figure(figure, path)


def _draw_normalised(axis, wavelength, flux):
    """The normalised input; noise and spikes do not set the limits."""
    axis.plot(wavelength, flux, color=INK, lw=0.6)
    axis.set(ylabel="input / continuum", xlabel=WAVELENGTH_LABEL, xlim=(4000, 7000))
    if np.isfinite(flux).any():
        low, high = np.nanpercentile(flux, _SHOWN_PERCENTILES)
        margin = max(0.15 * (high - low), 0.01)
        axis.set_ylim(low - margin, high + margin)


def _draw_sed(axis, sed, measured):
    """Predicted SED with one and two sigma, and the measured one."""
    for width, alpha in ((2, 0.35), (1, 0.7)):
        axis.fill_between(sed.wavelength, sed.flux - width * sed.sigma,
                          sed.flux + width * sed.sigma, color=BAND_COLOR, alpha=alpha, lw=0,
                          label=f"predicted, {width} sigma")
    axis.plot(sed.wavelength, sed.flux, color=INK, lw=1.2, label="predicted from the lines")
    if measured is not None:
        axis.plot(sed.wavelength, measured[0], color=TRUTH_COLOR, lw=1.0, label="measured")
    axis.set(ylabel=FLUX_LABEL, xlim=sed.wavelength[[0, -1]], ylim=(0, 1.25 * np.nanmax(sed.flux)))
    axis.legend(frameon=False, fontsize="small")


def _draw_pulls(axis, sed, measured):
    """Predicted minus measured in units of the total sigma."""
    pulls = (sed.flux - measured[0]) / np.hypot(sed.sigma, measured[1])
    limit = max(4.0, 1.1 * np.nanmax(np.abs(pulls), initial=0.0))
    axis.axhspan(-1, 1, color=BAND_COLOR, alpha=0.5, lw=0)
    axis.axhline(0, color="0.4", lw=0.8)
    axis.plot(sed.wavelength, pulls, color=TRUTH_COLOR, lw=0.9)
    axis.set(ylabel="(predicted - measured)\n/ sigma", ylim=(-limit, limit),
             xlim=sed.wavelength[[0, -1]])


def plot_response(path: str | os.PathLike[str], response: Any, *,
                  truth: np.ndarray | None = None, budget: Table | None = None, title: str = ""
                  ) -> None:
    """
    Draw a response curve with its errors, and the origins of the errors.

    Parameters
    ----------
    path : path-like
    response : `~sedflux.ResponseCurve`
    truth : `~numpy.ndarray`, optional
        Throughput at the same wavelengths.
    budget : `~astropy.table.Table`, optional
        From `sedflux.error_budget`.
    title : str, optional
        Such as the name of the band; the number of stars is added.
    """
    rows = 2 if budget is not None else 1
    figure, axes = subplots(rows, 1, figsize=(9, 3.6 * rows), squeeze=False, sharex=True)
    draw_response(axes[0, 0], response, truth=truth)
    stars = "" if response.stars is None else f"{int(np.sum(response.stars['used']))} stars"
    axes[0, 0].set_title(", ".join(filter(None, (title, stars))))
    if budget is not None:
        draw_budget(axes[1, 0], budget)
    axes[-1, 0].set_xlabel(WAVELENGTH_LABEL)
    save_figure(figure, path)


def draw_response(axis: Axes, response: Any, *, truth: np.ndarray | None = None) -> None:
    """
    Draw the throughput with its statistical and total sigma.

    Parameters
    ----------
    axis : `matplotlib.axes.Axes`
    response : `~sedflux.ResponseCurve`
    truth : `~numpy.ndarray`, optional
        Throughput at the same wavelengths.
    """
    good = np.where(response.good, 1.0, np.nan)
    value = response.throughput * good
    for sigma, alpha, label in (
            (response.throughput * response.total_covariance.sigma, 0.45, "1 sigma, total"),
            (response.sigma, 1.0, "1 sigma, statistical")):
        axis.fill_between(response.wavelength, value - sigma, value + sigma, color=BAND_COLOR,
                          alpha=alpha, lw=0, label=label)
    axis.plot(response.wavelength, value, color=INK, lw=1.2, label="fitted")
    if truth is not None:
        axis.plot(response.wavelength, truth, color=TRUTH_COLOR, lw=1, ls="--", label="true")
    axis.set(ylabel="throughput", ylim=(0, None))
    axis.legend(frameon=False, fontsize="small")


def draw_budget(axis: Axes, budget: Table) -> None:
    """
    Draw the error budget of a response, in percent, with the legend beside the axes.

    Parameters
    ----------
    axis : `matplotlib.axes.Axes`
        Of a figure with ``layout="constrained"``, which makes room for the legend.
    budget : `~astropy.table.Table`
        From `sedflux.error_budget`.
    """
    rows = np.asarray(budget["good"], dtype=bool)
    names = [name for name in budget.colnames if name not in ("wavelength", "good")]
    for name in names:
        color, style = _BUDGET_STYLES.get(name, ("0.3", "--"))
        strong = name in ("statistical", "total")
        axis.plot(np.asarray(budget["wavelength"])[rows], 100 * np.asarray(budget[name])[rows],
                  color=color, ls=style, lw=2.0 if strong else 1.2, label=name)
    axis.set(ylabel="error of ln(response) (%)", yscale="log", ylim=(0.02, None))
    axis.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))


def plot_training(path: str | os.PathLike[str], history: Sequence[Mapping[str, float]]) -> None:
    """
    Draw loss and error of a training run against its steps.

    Parameters
    ----------
    path : path-like
    history : sequence of dict
        Rows of the training log, with ``step``, ``loss``, ``median`` and, if known,
        ``validation``.
    """
    figure, axes = subplots(1, 2, figsize=(9, 3.5))
    steps = [entry["step"] for entry in history]
    axes[0].plot(steps, [entry["loss"] for entry in history], color=INK, label="training")
    if all("validation" in entry for entry in history):
        axes[0].plot(steps, [entry["validation"] for entry in history], color=TRUTH_COLOR,
                     label="validation (averaged weights)")
    axes[0].set(xlabel="step", ylabel="loss")
    axes[0].legend(frameon=False, fontsize="small")
    axes[1].semilogy(steps, [entry["median"] for entry in history], color=INK)
    axes[1].set(xlabel="step", ylabel="median |error of ln SED|")
    save_figure(figure, path)
