"""Figures of predictions, responses and training runs; matplotlib is imported to draw one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sedflux.figure_style import (
    BAND_COLOR,
    COLORS,
    FLUX_LABEL,
    INK,
    STYLES,
    TRUTH_COLOR,
    WAVELENGTH_LABEL,
    check_figure_name,
    label_lines,
    save_figure,
    subplots,
)

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes

__all__ = ["BAND_COLOR", "COLORS", "INK", "TRUTH_COLOR", "check_figure_name", "draw_budget",
           "draw_normalised", "draw_pulls", "draw_response", "draw_response_error", "draw_sed",
           "plot_prediction", "plot_response", "plot_training", "save_figure", "subplots"]

#: Colour and line style of the terms of an error budget; others get what is free.
_BUDGET_STYLES = {
    "photons": (COLORS[0], "-"), "sed": (COLORS[1], "-"), "reddening": (COLORS[4], "--"),
    "anchor": (COLORS[3], "-."), "extraction": (COLORS[2], ":"), "smoothness": ("0.6", "-"),
    "statistical": (COLORS[5], "-"), "library": (COLORS[2], "--"), "truth scale": ("0.6", ":"),
    "total": (COLORS[6], "-"), "reddening zero point": (COLORS[4], ":"),
    "reddening law": (COLORS[4], "-."), "magnitude zero point": (COLORS[3], ":"),
    "wavelength scale": (COLORS[0], "--"), "line spread": (COLORS[0], ":"),
    "background": (COLORS[5], "--"), "models": (COLORS[2], "-."), "convection": ("0.6", "--")}
#: Percentiles of the normalised input between which its panel extends: deep lines are few
#: pixels, and what rises above the continuum is noise.
_SHOWN_PERCENTILES = (0.2, 99.0)
#: Percentile of |pull| that a panel of pulls shows, and the least and largest limit in sigma.
_SHOWN_PULLS, _PULL_LIMITS = 98.0, (4.0, 30.0)


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
        rejected = getattr(sed, "diagnostics", {}).get("rejected_pixels")
        draw_normalised(panels.pop(0), *normalised, rejected=rejected)
    draw_sed(panels[0], sed, measured=None if measured is None else measured[0])
    if measured is not None:
        draw_pulls(panels[1], sed, *measured)
    panels[-1].set_xlabel(WAVELENGTH_LABEL)
    save_figure(figure, path)


def draw_normalised(axis: Axes, wavelength: np.ndarray, flux: np.ndarray, *,
                    rejected: np.ndarray | None = None) -> Axes:
    """
    Draw a normalised input; noise and spikes do not set the limits.

    Parameters
    ----------
    axis : `matplotlib.axes.Axes`
    wavelength : `~numpy.ndarray`, shape (n,)
        Angstrom.
    flux : `~numpy.ndarray`, shape (n,)
        Over the continuum; NaN in bad pixels.
    rejected : `~numpy.ndarray` of bool, shape (n,), optional
        Pixels that were left out, marked beneath the spectrum.

    Returns
    -------
    axis : `matplotlib.axes.Axes`

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import numpy as np
    >>> from sedflux.plotting import draw_normalised
    >>> axis = draw_normalised(Figure().subplots(), np.linspace(4000, 7000, 100), np.ones(100))
    >>> axis.get_xlabel()
    'wavelength (vacuum Å)'
    """
    axis.plot(wavelength, flux, color=INK, lw=0.6)
    axis.set(ylabel="input / continuum", xlabel=WAVELENGTH_LABEL, xlim=(4000, 7000))
    if np.isfinite(flux).any():
        low, high = np.nanpercentile(flux, _SHOWN_PERCENTILES)
        margin = max(0.15 * (high - low), 0.01)
        axis.set_ylim(low - margin, high + margin)
    if rejected is not None and rejected.any():
        axis.plot(wavelength[rejected], np.full(rejected.sum(), 0.04), "|", color=COLORS[1],
                  transform=axis.get_xaxis_transform(), label=f"{rejected.sum()} pixels left out")
        axis.legend(loc="lower right", fontsize="small")
    return axis


def draw_sed(axis: Axes, sed: Any, *, measured: np.ndarray | None = None) -> Axes:
    """
    Draw an SED with one and two sigma, and the measured one.

    Parameters
    ----------
    axis : `matplotlib.axes.Axes`
    sed : `~sedflux.SEDPrediction` or `~specutils.Spectrum`
        Of one star, as `sedflux.predict_sed` gives it.
    measured : `~numpy.ndarray`, shape (n,), optional
        Flux of the same star at the same wavelengths.

    Returns
    -------
    axis : `matplotlib.axes.Axes`

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sedflux import predict_sed
    >>> from sedflux.demo import demo_spectrum
    >>> from sedflux.plotting import draw_sed
    >>> axis = draw_sed(Figure().subplots(), predict_sed(demo_spectrum()))
    >>> axis.get_xlabel()
    'wavelength (vacuum Å)'
    """
    wavelength, flux, sigma, label = _sed_arrays(sed)
    for width, alpha in ((2, 0.35), (1, 0.7)):
        axis.fill_between(wavelength, flux - width * sigma, flux + width * sigma,
                          color=BAND_COLOR, alpha=alpha, lw=0, label=f"{width} sigma")
    axis.plot(wavelength, flux, color=INK, lw=1.2, label="predicted from the lines")
    if measured is not None:
        axis.plot(wavelength, measured, color=TRUTH_COLOR, lw=1.0, ls="--", label="measured")
    axis.set(ylabel=label, xlabel=WAVELENGTH_LABEL, xlim=wavelength[[0, -1]],
             ylim=(0, 1.25 * np.nanmax(flux)))
    axis.legend(frameon=False, fontsize="small")
    return axis


def _sed_arrays(sed):
    """Wavelength, flux, sigma and label of the flux, of a prediction or a spectrum."""
    if hasattr(sed, "spectral_axis"):
        unit = f"F$_\\lambda$ ({sed.flux.unit})" if str(sed.flux.unit) else FLUX_LABEL
        return (np.asarray(sed.spectral_axis.to_value("Angstrom")), np.asarray(sed.flux.value),
                np.asarray(sed.uncertainty.array), unit)
    return sed.wavelength, np.ravel(sed.flux), np.ravel(sed.sigma), FLUX_LABEL


def draw_pulls(axis: Axes, sed: Any, measured: np.ndarray, measured_sigma: np.ndarray) -> Axes:
    """
    Draw predicted minus measured in units of the total sigma; spikes do not set the limits.

    Parameters
    ----------
    axis : `matplotlib.axes.Axes`
    sed : `~sedflux.SEDPrediction` or `~specutils.Spectrum`
        Of one star.
    measured, measured_sigma : `~numpy.ndarray`, shape (n,)
        Flux of the same star at the same wavelengths, and its sigma.

    Returns
    -------
    axis : `matplotlib.axes.Axes`

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sedflux import predict_sed
    >>> from sedflux.demo import demo_spectrum
    >>> from sedflux.plotting import draw_pulls
    >>> sed = predict_sed(demo_spectrum())
    >>> measured = 1.01 * sed.flux.value
    >>> axis = draw_pulls(Figure().subplots(), sed, measured, 0.01 * measured)
    >>> axis.get_xlabel()
    'wavelength (vacuum Å)'
    """
    wavelength, flux, sigma, _ = _sed_arrays(sed)
    pulls = (flux - measured) / np.hypot(sigma, measured_sigma)
    known = np.abs(pulls[np.isfinite(pulls)])
    largest = 1.2 * np.percentile(known, _SHOWN_PULLS) if known.size else 0.0
    limit = np.clip(largest, *_PULL_LIMITS)
    axis.axhspan(-1, 1, color=BAND_COLOR, alpha=0.5, lw=0)
    axis.axhline(0, color="0.4", lw=0.8)
    axis.plot(wavelength, pulls, color=TRUTH_COLOR, lw=0.9)
    axis.set(ylabel="(predicted - measured)\n/ sigma", xlabel=WAVELENGTH_LABEL,
             ylim=(-limit, limit), xlim=wavelength[[0, -1]])
    return axis


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
    heights = [1.4, *[1.0] * (truth is not None), *[1.0] * (budget is not None)]
    figure, axes = subplots(len(heights), 1, figsize=(9, 2.8 * sum(heights)), squeeze=False,
                            sharex=True, height_ratios=heights)
    panels = list(axes[:, 0])
    draw_response(panels[0], response, truth=truth)
    stars = "" if response.stars is None else f"{int(np.sum(response.stars['used']))} stars"
    panels[0].set_title(", ".join(filter(None, (title, stars))))
    if truth is not None:
        draw_response_error(panels[1], response, truth)
    if budget is not None:
        draw_budget(panels[-1], budget)
    for panel in panels[:-1]:
        panel.set_xlabel("")
    save_figure(figure, path)


def draw_response(axis: Axes, response: Any, *, truth: np.ndarray | None = None) -> Axes:
    """
    Draw the throughput with its statistical and total sigma.

    Parameters
    ----------
    axis : `matplotlib.axes.Axes`
    response : `~sedflux.ResponseCurve`
    truth : `~numpy.ndarray`, optional
        Throughput at the same wavelengths.

    Returns
    -------
    axis : `matplotlib.axes.Axes`

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sedflux import ResponseCurve, get_instrument
    >>> from sedflux.plotting import draw_response
    >>> band = get_instrument("lookalike").bands["GV"]
    >>> curve = ResponseCurve.from_throughput(band.throughput, area=band.area)
    >>> draw_response(Figure().subplots(), curve).get_ylabel()
    'throughput'
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
        axis.plot(response.wavelength, truth * good, color=TRUTH_COLOR, lw=1, ls="--", label="true")
    axis.set(ylabel="throughput", xlabel=WAVELENGTH_LABEL, ylim=(0, None))
    # Below the curve the axes are empty.
    axis.legend(frameon=False, fontsize="small", loc="lower center")
    return axis


def draw_response_error(axis: Axes, response: Any, truth: np.ndarray, *, color: str = INK,
                        label: str = "") -> Axes:
    """
    Draw the error of a response in percent, and its statistical sigma.

    Parameters
    ----------
    axis : `matplotlib.axes.Axes`
    response : `~sedflux.ResponseCurve`
    truth : `~numpy.ndarray`
        Throughput at the same wavelengths.
    color : str, optional
    label : str, optional

    Returns
    -------
    axis : `matplotlib.axes.Axes`

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sedflux import ResponseCurve, get_instrument
    >>> from sedflux.plotting import draw_response_error
    >>> band = get_instrument("lookalike").bands["GV"]
    >>> curve = ResponseCurve.from_throughput(band.throughput, area=band.area)
    >>> draw_response_error(Figure().subplots(), curve, 1.01 * curve.throughput).get_ylabel()
    'fitted / true - 1 (%)'
    """
    good = response.good & (truth > 0)
    error = 100 * np.log(response.throughput[good] / truth[good])
    sigma = 100 * response.covariance.sigma[good]
    axis.fill_between(response.wavelength[good], -sigma, sigma, color=color, alpha=0.25, lw=0)
    axis.plot(response.wavelength[good], error, color=color, lw=1.0, label=label or None)
    axis.axhline(0, color="0.4", lw=0.8)
    axis.set(ylabel="fitted / true - 1 (%)", xlabel=WAVELENGTH_LABEL)
    return axis


def draw_budget(axis: Axes, budget: Table) -> Axes:
    """
    Draw the error budget of a response, in percent, with the names beside the lines.

    Parameters
    ----------
    axis : `matplotlib.axes.Axes`
        Of a figure with ``layout="constrained"``, which makes room for the names.
    budget : `~astropy.table.Table`
        From `sedflux.error_budget`.

    Returns
    -------
    axis : `matplotlib.axes.Axes`

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from sedflux.plotting import draw_budget
    >>> wavelength = np.linspace(4000, 6200, 50)
    >>> budget = Table({"wavelength": wavelength, "photons": np.full(50, 0.002),
    ...                 "sed": np.full(50, 0.004), "total": np.full(50, 0.0045),
    ...                 "good": np.ones(50, dtype=bool)})
    >>> axis = draw_budget(Figure(layout="constrained").subplots(), budget)
    >>> axis.get_xlabel()
    'wavelength (vacuum Å)'
    """
    rows = np.asarray(budget["good"], dtype=bool)
    names = [name for name in budget.colnames if name not in ("wavelength", "good")]
    styles = _styles(names)
    for name in names:
        color, style = styles[name]
        strong = name in ("statistical", "total")
        axis.plot(np.asarray(budget["wavelength"])[rows], 100 * np.asarray(budget[name])[rows],
                  color=color, ls=style, lw=2.0 if strong else 1.2, label=name)
    axis.set(ylabel="error of ln(response) (%)", xlabel=WAVELENGTH_LABEL, yscale="log",
             ylim=(0.02, None))
    return label_lines(axis)


def _styles(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and line style of each term; no two terms share both."""
    free = [(color, style) for style in STYLES for color in COLORS
            if (color, style) not in _BUDGET_STYLES.values()]
    new = [name for name in names if name not in _BUDGET_STYLES]
    return _BUDGET_STYLES | dict(zip(new, free, strict=False))


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
