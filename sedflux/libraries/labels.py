"""Labels of stars and models, and the coordinates of order one that emulators use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sedflux.exceptions import InputError

__all__ = ["LABELS", "LABEL_SETS", "STARS", "TEFF_EDGES", "TEFF_RANGE", "WHITE_DWARFS", "LabelSet",
           "find_label_set", "is_solar_scaled", "scale_labels", "unscale_labels"]

#: Labels of the synthetic library, in the order of every label array.
LABELS = ("TEFF", "LOGG", "MH", "ALPHA", "CARBON", "VMICRO")
#: Edges (K) of the classes in which models are scored and stars are counted; the synthetic library
#: ends at the outer ones.
TEFF_EDGES = (4500.0, 5500.0, 6500.0, 8000.0, 10250.0)
#: Range of effective temperature (K) whose accuracy is stated: 500 K inside the library.
TEFF_RANGE = (TEFF_EDGES[0] + 500.0, TEFF_EDGES[-1] - 500.0)
#: theta = 5040 K / TEFF, the reciprocal temperature of stellar spectroscopy.
_THETA = 5040.0
#: Least theta that is turned into a temperature.
_LEAST_THETA = 1e-2
#: Greatest scaled temperature of a white dwarf that is turned into a temperature: 10^8 K.
_GREATEST = 15.0


@dataclass(frozen=True)
class LabelSet:
    """
    Labels of one kind of star, the temperature first, and their coordinates of order one.

    Attributes
    ----------
    kind : str
        Name of the kind of star.
    names : tuple of str
        Of the labels, in the order of every label array.
    centre, width : tuple of float
        Round numbers near the mean and standard deviation of the labels in the library, with
        the coordinate of the temperature in place of TEFF.
    logarithmic : bool
        The coordinate of the temperature is ln(TEFF), not 5040 K / TEFF.
    """

    kind: str
    names: tuple[str, ...]
    centre: tuple[float, ...]
    width: tuple[float, ...]
    logarithmic: bool = False

    def scale(self, labels: npt.ArrayLike) -> np.ndarray:
        """
        Scale labels to coordinates of order one.

        Parameters
        ----------
        labels : array_like, shape (N, k)

        Returns
        -------
        scaled : `~numpy.ndarray`, shape (N, k)

        Raises
        ------
        sedflux.exceptions.InputError
            If there is another number of labels.
        """
        scaled = np.array(np.atleast_2d(labels), dtype=float)
        if scaled.ndim != 2 or scaled.shape[1] != len(self.names):
            raise InputError(f"labels have the shape {np.shape(labels)}; (N, {len(self.names)}) is "
                             f"needed: {', '.join(self.names)}")
        scaled[:, 0] = np.log(scaled[:, 0]) if self.logarithmic else _THETA / scaled[:, 0]
        return (scaled - self.centre) / self.width

    def unscale(self, scaled: npt.ArrayLike) -> np.ndarray:
        """The inverse of `scale`."""
        scaled = np.atleast_2d(scaled)
        labels = scaled * self.width + np.asarray(self.centre)
        if self.logarithmic:
            highest = self.centre[0] + _GREATEST * self.width[0]
            labels[:, 0] = np.exp(np.minimum(labels[:, 0], highest))
        else:
            labels[:, 0] = _THETA / np.maximum(labels[:, 0], _LEAST_THETA)
        return labels


#: Labels of ordinary stars.
STARS = LabelSet("star", LABELS, (0.75, 3.3, -0.85, 0.1, 0.0, 2.0), (0.2, 1.1, 0.9, 0.15, 0.2, 0.6))
#: Labels of white dwarfs with hydrogen atmospheres.
WHITE_DWARFS = LabelSet("white dwarf", ("TEFF", "LOGG"), (9.9, 8.2), (0.7, 0.7), logarithmic=True)
#: All sets of labels that models can have.
LABEL_SETS = (STARS, WHITE_DWARFS)


def find_label_set(names: Iterable[str]) -> LabelSet:
    """
    The set of labels with these names.

    Parameters
    ----------
    names : iterable of str

    Raises
    ------
    sedflux.exceptions.InputError
        If no set has these names, in this order.

    Examples
    --------
    >>> from sedflux.libraries.labels import find_label_set
    >>> find_label_set(["TEFF", "LOGG"]).kind
    'white dwarf'
    """
    names = tuple(names)
    for one in LABEL_SETS:
        if one.names == names:
            return one
    known = "; ".join(", ".join(one.names) for one in LABEL_SETS)
    raise InputError(f"labels are {', '.join(map(str, names))}; models can have {known}")


def scale_labels(labels: npt.ArrayLike) -> np.ndarray:
    """
    Scale labels of ordinary stars to the emulator's coordinates of order one.

    Parameters
    ----------
    labels : array_like, shape (N, 6)
        TEFF (K), LOGG, MH, ALPHA, CARBON, VMICRO (km/s).

    Returns
    -------
    scaled : `~numpy.ndarray`, shape (N, 6)
        With 5040 K / TEFF for the temperature.

    Raises
    ------
    sedflux.exceptions.InputError
        If there are not six labels.
    """
    return STARS.scale(labels)


def unscale_labels(scaled: npt.ArrayLike) -> np.ndarray:
    """The inverse of `scale_labels`."""
    return STARS.unscale(scaled)


def is_solar_scaled(labels: np.ndarray) -> np.ndarray:
    """Which models (N, 6) have solar-scaled abundances: ALPHA and CARBON of zero."""
    columns = [LABELS.index("ALPHA"), LABELS.index("CARBON")]
    return (labels[:, columns] == 0).all(axis=1)
