"""Figures for people; matplotlib is imported when one is drawn."""

from pathlib import Path

import numpy as np

from sedflux.exceptions import InputError, SedfluxError
from sedflux.writing import write_whole

__all__ = ["draw_budget", "draw_response", "plot_prediction", "plot_response",
           "plot_training", "save_figure", "subplots"]

INK, BAND_COLOR, TRUTH_COLOR = "#1f4e79", "#9dc3e6", "#c55a11"


def subplots(*shape, figsize, layout="constrained", **options):
    """
    A figure with axes, made without pyplot: the user's own figures and backend stay as they are.

    Parameters
    ----------
    *shape : int
        Rows and columns of axes.
    figsize : tuple of float
        Inches.
    layout : str, optional
    **options
        Of `matplotlib.figure.Figure.subplots`.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    axes : `matplotlib.axes.Axes` or array of them
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SedfluxError("figures need matplotlib: pip install 'sedflux[plot]'") from error
    figure = Figure(figsize=figsize, layout=layout)
    return figure, figure.subplots(*shape, **options)


def save_figure(figure, path, *, dpi=120):
    """
    Write a figure to a file, whole.

    Raises
    ------
    sedflux.exceptions.InputError
        If the ending of the file is no format of figures.
    """
    known = figure.canvas.get_supported_filetypes()
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in known:
        raise InputError(f"{str(path)!r} is no name of a figure; it must end in one of "
                         f"{', '.join('.' + name for name in sorted(known))}")
    write_whole(path, lambda temporary: figure.savefig(temporary, dpi=dpi))


def plot_prediction(path, sed, *, normalised=None, measured=None, title=""):
    """
    The normalised input, the predicted SED, the measured one, and their difference.

    Parameters
    ----------
    path : path-like
        Where the figure goes.
    sed : `~sedflux.SEDPrediction`
        Of one star.
    normalised : tuple of `~numpy.ndarray`, optional
        Wavelength and normalised flux of the input.
    measured : tuple of `~numpy.ndarray`, optional
        Flux of the same star on the SED's grid, and its sigma.
    title : str, optional
    """
    heights = [1.0, 2.0] + ([0.8] if measured else [])
    figure, axes = subplots(len(heights), 1, figsize=(9, 2.4 * sum(heights)),
                                   height_ratios=heights, layout="constrained")
    if normalised is not None:
        axes[0].plot(*normalised, color=INK, lw=0.6)
    axes[0].set(ylabel="input / continuum", title=title, xlim=(4000, 7000),
                xlabel="wavelength (vacuum Å)")
    axis = axes[1]
    for width, alpha in ((2, 0.35), (1, 0.7)):
        axis.fill_between(sed.wavelength, sed.flux - width * sed.sigma,
                          sed.flux + width * sed.sigma, color=BAND_COLOR, alpha=alpha, lw=0,
                          label=f"predicted, {width} sigma")
    axis.plot(sed.wavelength, sed.flux, color=INK, lw=1.2, label="predicted from the lines")
    if measured:
        axis.plot(sed.wavelength, measured[0], color=TRUTH_COLOR, lw=1.0, label="measured")
    axis.set(ylabel="F$_\\lambda$ / mean(4000-7000 Å)", xlim=sed.wavelength[[0, -1]],
             ylim=(0, 1.25 * np.nanmax(sed.flux)))
    axis.legend(frameon=False, fontsize="small")
    if measured:
        total = np.hypot(sed.sigma, measured[1])
        axes[2].axhspan(-1, 1, color=BAND_COLOR, alpha=0.5, lw=0)
        axes[2].axhline(0, color="0.4", lw=0.8)
        pulls = (measured[0] - sed.flux) / total
        limit = max(4.0, 1.1 * np.nanmax(np.abs(pulls)))
        axes[2].plot(sed.wavelength, pulls, color=TRUTH_COLOR, lw=0.9)
        axes[2].set(ylabel="(measured - predicted)\n/ sigma", ylim=(-limit, limit),
                    xlim=axis.get_xlim(), xlabel="wavelength (vacuum Å)")
    else:
        axis.set_xlabel("wavelength (vacuum Å)")
    save_figure(figure, path)


def plot_response(path, response, *, truth=None, budget=None):
    """
    A response curve with its errors, the stars behind it, and where its errors come from.

    Parameters
    ----------
    path : path-like
    response : `~sedflux.ResponseCurve`
    truth : `~numpy.ndarray`, optional
        Throughput at the same wavelengths.
    budget : `~astropy.table.Table`, optional
        From `sedflux.error_budget`.
    """
    rows = 2 if budget is not None else 1
    figure, axes = subplots(rows, 1, figsize=(8, 3.6 * rows), squeeze=False, sharex=True,
                                   layout="constrained")
    draw_response(axes[0, 0], response, truth=truth)
    if budget is not None:
        draw_budget(axes[1, 0], budget)
    axes[-1, 0].set_xlabel("wavelength (vacuum Å)")
    save_figure(figure, path)


def draw_response(axis, response, *, truth=None):
    """
    Throughput with one sigma, statistical and total, on an axis; see `plot_response`.
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


def draw_budget(axis, budget):
    """
    Error budget of a response on an axis, in percent; see `sedflux.error_budget`.
    """
    colors = ("#548235", TRUTH_COLOR, "#bf9000", "#7f6000", "#7030a0", "#a6a6a6", INK, "#c00000",
              "#ff7c80", "0.1")
    rows = np.asarray(budget["good"], dtype=bool)
    names = [name for name in budget.colnames if name not in ("wavelength", "good")]
    for name, color in zip(names, colors, strict=False):
        strong = name in ("statistical", "total")
        axis.plot(np.asarray(budget["wavelength"])[rows], 100 * np.asarray(budget[name])[rows],
                  color=color, lw=1.8 if strong else 1.0, label=name)
    axis.set(ylabel="error of ln(response) (%)", yscale="log", ylim=(0.02, None))
    axis.legend(frameon=False, fontsize="x-small", ncols=3)


def plot_training(path, history):
    """
    Loss and error of a training run against its steps.

    Parameters
    ----------
    path : path-like
    history : sequence of dict
        Rows of the training log, with ``step``, ``loss``, ``median`` and, if known,
        ``validation``.
    """
    figure, axes = subplots(1, 2, figsize=(9, 3.5), layout="constrained")
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
