"""
How a response changes over field, detectors and time.

``ln T(wavelength, x, y, detector, epoch) = base(wavelength) + sum_q f_q(star) g_q(wavelength)``
with f: products of Legendre polynomials of the position, offsets of detectors that sum to
zero, and time; and g smooth in wavelength.  The base is the mean over the field.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from sedflux.exceptions import InputError

__all__ = ["FieldTerms"]


@dataclass(frozen=True)
class FieldTerms:
    """
    Which terms a response has beside its base.

    Parameters
    ----------
    position : int, optional
        Total degree of the polynomial in x and y; 0 for none.
    detectors : sequence, optional
        Names of the detectors; offsets are fitted between them if there are two or more.
    epoch : bool, optional
        Fit a change linear in time.
    size : tuple of float, optional
        x and y run from 0 to these numbers.
    epochs : tuple of float, optional
        Range of times, with the middle as the time of the base.
    degree : int, optional
        Degree in wavelength of every term: 0 is grey, 1 adds a slope.
    scatter : float, optional
        Prior standard deviation of each coefficient of ln(response).

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
    detectors: tuple = ()
    epoch: bool = False
    size: tuple = (9216.0, 9232.0)
    epochs: tuple = (0.0, 1.0)
    degree: int = 1
    scatter: float = 0.05

    def __post_init__(self):
        object.__setattr__(self, "detectors", tuple(str(name) for name in self.detectors))
        if not (0 <= self.position <= 4 and 0 <= self.degree <= 6 and self.scatter > 0):
            raise InputError(
                f"position is {self.position}, degree {self.degree}, scatter {self.scatter}; "
                "0-4, 0-6 and a positive number are allowed"
            )
        if not (self.epochs[1] > self.epochs[0] and min(self.size) > 0):
            raise InputError(f"epochs is {self.epochs}, size {self.size}; epochs must ascend and "
                             "sizes be positive")

    @property
    def _powers(self):
        """Powers of x and y."""
        return [(i, total - i) for total in range(1, self.position + 1)
                for i in range(total, -1, -1)]

    @property
    def names(self):
        """Name of each term."""
        found = [("x" + str(i) if i else "") + ("y" + str(j) if j else "")
                 for i, j in self._powers]
        found += [f"detector {name}" for name in self.detectors[:-1]]
        return tuple(found + ["epoch"] * self.epoch)

    def values(self, stars):
        """
        The terms' values for each star, shape (N, q).

        Parameters
        ----------
        stars : mapping
            Arrays ``x``, ``y``, ``detector``, ``epoch``, as far as the terms need them.

        Raises
        ------
        sedflux.exceptions.InputError
            If something is missing, not finite, or a detector is unknown.
        """
        columns = []
        if self.position:
            x, y = (2.0 * self._column(stars, name) / size - 1.0
                    for name, size in zip("xy", self.size, strict=True))
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
            columns.append(2.0 * (self._column(stars, "epoch") - low) / (high - low) - 1.0)
        if not columns:
            return np.zeros((len(np.atleast_1d(next(iter(stars.values())))) if stars else 1, 0))
        return np.stack(columns, axis=1)

    @staticmethod
    def _column(stars, name):
        value = np.atleast_1d(np.asarray(_get(stars, name), dtype=float))
        if not np.isfinite(value).all():
            raise InputError(f"{name} of the stars must be finite")
        return value

    def basis(self, wavelength, band):
        """
        Functions of wavelength, shape (n, degree + 1): Legendre polynomials over the band.
        """
        low, high = band
        place = np.clip(2.0 * (np.asarray(wavelength) - low) / (high - low) - 1.0, -1.0, 1.0)
        return legendre.legvander(place, self.degree)


def _get(stars, name):
    try:
        return stars[name]
    except (KeyError, TypeError) as error:
        raise InputError(f"the field terms need {name!r} of every star; give it in stars") \
            from error
