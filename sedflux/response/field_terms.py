"""
Changes of a response with position, detector and time.

``ln T(wavelength, x, y, detector, epoch) = base(wavelength) + sum_q f_q(star) g_q(wavelength)``.
The terms f are products of Legendre polynomials of the position, offsets of detectors that sum
to zero, and time; the functions g are polynomials of wavelength.  The base is the mean over the
field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import units as u
from numpy.polynomial import legendre

from sedflux.exceptions import InputError
from sedflux.response.splines import spline_basis
from sedflux.units import finite_array, positive_number, whole_number

__all__ = ["FieldTerms"]

#: Highest degrees of the polynomials of the position and of the wavelength.
_MAX_POSITION, _MAX_DEGREE = 4, 6
#: Most inner knots of the spline in time.
_MAX_EPOCH_KNOTS = 50


@dataclass(frozen=True)
class FieldTerms:
    """
    Terms by which a response differs from its mean over the field.

    Parameters
    ----------
    position : int, optional
        Total degree of the polynomial in x and y; 0 for none.
    detectors : sequence of str, optional
        Names of the detectors; two or more have offsets, which are fitted.
    epoch : bool, optional
        Fit a change linear in time.
    size : tuple of float, optional
        Largest x and y; both begin at 0.  By default the pixels of one CSST detector.
    epochs : tuple of float, optional
        First and last time; the time term is zero in the middle.
    epoch_knots : int, optional
        With one or more, the change in time is a cubic spline with so many inner knots, evenly
        spaced between the epochs, whose mean over time is zero; ``epoch`` must be true.
    degree : int, optional
        Degree in wavelength of every term: 0 is grey, 1 adds a slope.
    scatter : float, optional
        Prior standard deviation of each coefficient of ln(response).

    Raises
    ------
    sedflux.exceptions.InputError
        If a value is of another type or out of range.

    Examples
    --------
    >>> from sedflux import FieldTerms
    >>> terms = FieldTerms(position=1, detectors=("a", "b"))
    >>> terms.names
    ('x1', 'y1', 'detector a')
    >>> terms.values({"x": [0.0, 9216.0], "y": [0.0, 0.0], "detector": ["a", "b"]}).tolist()
    [[-1.0, -1.0, 1.0], [1.0, -1.0, -1.0]]
    """

    position: int = 0
    detectors: Sequence[str] = ()
    epoch: bool = False
    size: tuple[float, float] = (9216.0, 9232.0)
    epochs: tuple[float, float] = (0.0, 1.0)
    epoch_knots: int = 0
    degree: int = 1
    scatter: float = 0.05

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {"detectors": self._names_of_detectors()}
        for name, most in (("position", _MAX_POSITION), ("degree", _MAX_DEGREE),
                           ("epoch_knots", _MAX_EPOCH_KNOTS)):
            checked[name] = whole_number(getattr(self, name), name)
            if checked[name] > most:
                raise InputError(f"{name} is {checked[name]}; 0 to {most} is allowed")
        checked["scatter"] = positive_number(self.scatter, "scatter")
        if not isinstance(self.epoch, (bool, np.bool_)):
            raise InputError(f"epoch is {self.epoch!r}; True and False are allowed")
        if checked["epoch_knots"] and not self.epoch:
            raise InputError(f"epoch_knots is {self.epoch_knots} and epoch is False; give "
                             "epoch=True, too")
        for name in ("size", "epochs"):
            values = finite_array(getattr(self, name), name, u.pix if name == "size" else None)
            if values.shape != (2,):
                raise InputError(f"{name} is {getattr(self, name)!r}; two numbers are needed")
            checked[name] = tuple(values.tolist())
        if not (checked["epochs"][1] > checked["epochs"][0] and min(checked["size"]) > 0):
            raise InputError(f"epochs is {self.epochs}, size {self.size}; epochs must ascend and "
                             "sizes be positive")
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def _names_of_detectors(self):
        """Names of the detectors as a tuple, each once."""
        try:
            if isinstance(self.detectors, (str, bytes)):
                raise TypeError
            found = tuple(str(name) for name in self.detectors)
        except TypeError as error:
            raise InputError(f"detectors is {self.detectors!r}; a sequence of names is "
                             "needed") from error
        if len(set(found)) != len(found):
            raise InputError(f"detectors is {self.detectors!r}; give every name once")
        return found

    @property
    def _powers(self):
        """Powers of x and y."""
        return [(i, total - i) for total in range(1, self.position + 1)
                for i in range(total, -1, -1)]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each term."""
        found = [("x" + str(i) if i else "") + ("y" + str(j) if j else "")
                 for i, j in self._powers]
        found += [f"detector {name}" for name in self.detectors[:-1]]
        if self.epoch_knots:
            return tuple(found + [f"epoch {number}" for number in range(1, self.epoch_knots + 4)])
        return tuple(found + ["epoch"] * self.epoch)

    def values(self, stars: Mapping[str, Any] | None) -> np.ndarray:
        """
        Values of the terms for each star.

        Parameters
        ----------
        stars : mapping
            Arrays ``x``, ``y``, ``detector`` and ``epoch``; those that the terms need.

        Returns
        -------
        values : `~numpy.ndarray`, shape (N, q)

        Raises
        ------
        sedflux.exceptions.InputError
            If an array is missing, not finite or of another length, or a detector is unknown.
        """
        columns = []
        if self.position:
            x, y = (2.0 * self._column(stars, name, u.pix) / size - 1.0
                    for name, size in zip("xy", self.size, strict=True))
            self._check_length(stars, x, y)
            for i, j in self._powers:
                columns.append(legendre.legval(x, [0.0] * i + [1.0])
                               * legendre.legval(y, [0.0] * j + [1.0]))
        if len(self.detectors) > 1:
            name = np.atleast_1d(_get(stars, "detector")).astype(str)
            unknown = sorted(set(name) - set(self.detectors))
            if unknown:
                raise InputError(f"detector {str(unknown[0])!r} is unknown; the field terms have "
                                 f"{', '.join(self.detectors)}")
            last = name == self.detectors[-1]
            columns += [(name == one).astype(float) - last for one in self.detectors[:-1]]
        if self.epoch:
            low, high = self.epochs
            place = (self._column(stars, "epoch") - low) / (high - low)
            columns += self._splines(place) if self.epoch_knots else [2.0 * place - 1.0]
        if not columns:
            return np.zeros((len(np.atleast_1d(next(iter(stars.values())))) if stars else 1, 0))
        self._check_length(stars, *columns)
        return np.stack(columns, axis=1)

    def _splines(self, place):
        """Cubic B-splines in time (0 to 1) less their means; the last follows from the others."""
        inner = np.linspace(0.0, 1.0, self.epoch_knots + 2)
        knots = np.r_[[0.0] * 3, inner, [1.0] * 3]
        basis = spline_basis(knots, np.clip(place, 0.0, 1.0))
        mean = (knots[4:] - knots[:-4]) / 4.0
        return list((basis - mean).T[:-1])

    @staticmethod
    def _column(stars, name, unit=None):
        return np.atleast_1d(finite_array(_get(stars, name), f"{name} of the stars", unit))

    @staticmethod
    def _check_length(stars, *columns):
        """Refuse arrays of several lengths."""
        if len({column.shape for column in columns}) > 1 or columns[0].ndim != 1:
            lengths = ", ".join(f"{np.size(value)} {name}" for name, value in stars.items())
            raise InputError(f"stars has {lengths}; every array needs one value per star")

    def basis(self, wavelength: npt.ArrayLike, band: tuple[float, float]) -> np.ndarray:
        """
        Functions of wavelength: Legendre polynomials over the band.

        Parameters
        ----------
        wavelength : array_like, shape (n,)
            Angstrom.
        band : tuple of float
            First and last wavelength of the band in Angstrom.

        Returns
        -------
        basis : `~numpy.ndarray`, shape (n, degree + 1)
        """
        low, high = band
        place = np.clip(2.0 * (np.asarray(wavelength) - low) / (high - low) - 1.0, -1.0, 1.0)
        return legendre.legvander(place, self.degree)


def _get(stars, name):
    try:
        return stars[name]
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"the field terms need {name!r} of every star; give it in stars") \
            from error
