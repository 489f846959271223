"""The style of all figures: colours, line styles, labels, and how figures are made and written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sedflux.exceptions import InputError, SedfluxError
from sedflux.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BAND_COLOR", "COLORS", "FLUX_LABEL", "INK", "STYLES", "TRUTH_COLOR",
           "WAVELENGTH_LABEL", "check_figure_name", "label_lines", "save_figure", "subplots"]

#: Predictions and fits, their errors, and what they are compared with: blue and orange, which
#: colour-blind readers tell apart.
INK, BAND_COLOR, TRUTH_COLOR = "#1f4e79", "#9dc3e6", "#c55a11"
#: Colours that colour-blind readers tell apart (Okabe & Ito 2008), without the light yellow.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
WAVELENGTH_LABEL = "wavelength (vacuum Å)"
FLUX_LABEL = "F$_\\lambda$ / mean(4000-7000 Å)"

#: Line styles in the order of their use, each with every colour.
STYLES = ("-", "--", "-.", ":")
#: Height that a label takes beside an axis, as a fraction of the axis.
_LABEL_HEIGHT = 0.075


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
        raise SedfluxError("figures need matplotlib: python -m pip install matplotlib") from error
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


def label_lines(axis: Axes) -> Axes:
    """
    Write the label of each line at its right end, instead of a legend.

    Parameters
    ----------
    axis : `matplotlib.axes.Axes`
        Of a figure with ``layout="constrained"``, which makes room.

    Returns
    -------
    axis : `matplotlib.axes.Axes`
    """
    lines = [line for line in axis.get_lines() if not str(line.get_label()).startswith("_")]
    to_axes = axis.transData + axis.transAxes.inverted()
    ends = [to_axes.transform(np.asarray(line.get_xydata())[-1]) for line in lines]
    wanted = np.nan_to_num([height for _, height in ends])
    for line, end, height in zip(lines, ends, _spread(wanted), strict=True):
        axis.annotate(str(line.get_label()), xy=np.clip(end, 0, 1), xytext=(1.04, height),
                      xycoords="axes fraction", textcoords="axes fraction", va="center",
                      fontsize="small", color=line.get_color(),
                      arrowprops={"arrowstyle": "-", "color": line.get_color(), "lw": 0.6,
                                  "ls": line.get_linestyle(), "shrinkA": 0, "shrinkB": 0})
    return axis


def _spread(heights: np.ndarray) -> np.ndarray:
    """Heights of labels that do not overlap, near those that are wanted."""
    order = np.argsort(heights)
    placed = np.clip(heights[order], 0.0, 1.0)
    steps = _LABEL_HEIGHT * np.arange(len(placed))
    # The running maximum of heights minus steps leaves labels at least one step apart.
    placed = np.maximum.accumulate(placed - steps) + steps
    excess = np.maximum(placed - (1.0 - (steps[-1] - steps) if len(steps) else 0.0), 0.0)
    result = np.empty(len(placed))
    result[order] = placed - excess
    return result
