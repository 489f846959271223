"""Heat maps of the tables of accuracy: one square a cell, with its number."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

#: Folder of the tables.
_TABLES = Path(__file__).parents[1] / "accuracy"
#: Inches of a square, and of what stands about the squares of a panel.
_SQUARE, _MARGINS = (0.85, 0.42), (1.5, 1.15)
#: What columns of the tables are called beside the squares.
_LABELS = {"teff": "temperature (K)", "band": "band (Å)"}


def heat_map(name, *, value, rows, columns, panels=None, where=None, percent=False, title="",
             centre=None, reach=None, digits=None):
    """
    Draw a table as one panel of squares, or several side by side.

    Parameters
    ----------
    name : str
        Table in ``docs/accuracy``, without its ending.
    value, rows, columns : str
        Columns of the table: numbers in the squares, and what the squares stand for.  ``teff``
        stands for the range from ``teff`` to ``teff_end``.
    panels : str, optional
        Column of the table that has one value a panel.
    where : dict, optional
        Values that rows must have.
    percent : bool, optional
        Whether numbers are shown in percent.
    title : str, optional
    centre : float, optional
        Value that is white, with blue below and red above it; darker is larger otherwise.
    reach : float, optional
        Distance from the centre at which colours are darkest; the largest one by default.
    digits : int, optional
        Digits after the point.
    """
    table = Table.read(_TABLES / f"{name}.ecsv", format="ascii.ecsv")
    for column, wanted in (where or {}).items():
        table = table[table[column] == wanted]
    groups = [("", table)] if panels is None else [
        (f"{panels} {one:g}".replace("snr", "S/N"), table[table[panels] == one])
        for one in _values(table, panels)]
    down, across = _values(table, rows), _values(table, columns)
    width = len(groups) * (_SQUARE[0] * len(across) + 0.15) + _MARGINS[0]
    figure, axes = plt.subplots(
        1, len(groups), squeeze=False, sharey=True, layout="constrained",
        figsize=(width, _SQUARE[1] * len(down) + _MARGINS[1]))
    largest = 100.0 if percent else 1.0
    shown = largest * np.asarray(table[value], dtype=float)
    for axis, (label, group) in zip(axes[0], groups, strict=True):
        squares = _squares(group, value, rows, columns, down, across) * largest
        _draw(axis, squares, _limits(shown, centre, reach), 1 if digits is None else digits)
        axis.set_xticks(range(len(across)), [_name(table, columns, one) for one in across],
                        fontsize="small")
        axis.set_yticks(range(len(down)), [_name(table, rows, one) for one in down],
                        fontsize="small")
        axis.set_xlabel(_LABELS.get(columns, ""), fontsize="small")
        axis.set_title(label or title, fontsize="medium")
    axes[0, 0].set_ylabel(_LABELS.get(rows, ""), fontsize="small")
    if len(groups) > 1:
        figure.suptitle(title, fontsize="medium")


def _values(table, column):
    """Values of a column: numbers ascend, names stay in the order in which they come."""
    values = list(dict.fromkeys(table[column].tolist()))
    return sorted(values) if isinstance(values[0], float) else values


def _name(table, column, value):
    """What a row or a column of squares is called."""
    if f"{column}_end" in table.colnames:
        end = table[f"{column}_end"][table[column] == value][0]
        return f"{value:.0f}-{end:.0f}"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def _squares(table, value, rows, columns, down, across):
    """Numbers of a panel, NaN where the table has none; shape (rows, columns)."""
    squares = np.full((len(down), len(across)), np.nan)
    for one in table:
        squares[down.index(one[rows]), across.index(one[columns])] = one[value]
    return squares


def _limits(shown, centre, reach):
    """Lightest and darkest number, and the name of the colours."""
    if centre is None:
        return 0.0, np.nanpercentile(shown, 95), "Blues"
    reach = reach or max(np.nanmax(np.abs(shown - centre)), 1e-6)
    return centre - reach, centre + reach, "RdBu_r"


def _draw(axis, squares, limits, digits):
    """Colours and numbers of the squares."""
    low, high, colours = limits
    image = axis.imshow(squares, cmap=colours, vmin=low, vmax=high, aspect="auto")
    for (row, column), number in np.ndenumerate(squares):
        red, green, blue, _ = image.cmap(image.norm(number))
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        axis.text(column, row, "-" if np.isnan(number) else f"{number:.{digits}f}", ha="center",
                  va="center", fontsize="small", color="white" if dark else "black")
    axis.tick_params(length=0)
