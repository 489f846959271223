"""
Extrapolation of steps that converge slowly.

Each step of a fit is linear in the response behind the line-spread function, as if the light of the
stars were flat within it.  At the steep ends of a band, steps therefore shrink by a constant factor
only, which may be near one.  A few of them tell where they end (Anderson 1965).
"""

from __future__ import annotations

import numpy as np

__all__ = ["Extrapolation"]

#: Most former steps that are used.
_MOST_STEPS = 4
#: An extrapolation moves by no more than this multiple of the step itself.
_LONGEST = 30.0


class Extrapolation:
    """Points and steps so far, of steps that depend on the point alone."""

    def __init__(self) -> None:
        self._points: list[np.ndarray] = []
        self._steps: list[np.ndarray] = []

    def next_point(self, point: np.ndarray, step: np.ndarray, inverse: np.ndarray) -> np.ndarray:
        """
        Where the steps lead.

        Parameters
        ----------
        point, step : `~numpy.ndarray`, shape (n,)
            Present coefficients, and the step from them.
        inverse : `~numpy.ndarray`, shape (n, n)
            Inverse covariance of the coefficients, in whose units steps are small.

        Returns
        -------
        point : `~numpy.ndarray`, shape (n,)
            That with the smallest step, if steps are linear in the point; ``point + step`` if it is
            the first one, or if they are not linear.
        """
        self._points, self._steps = ([*former[-_MOST_STEPS:], one] for former, one in
                                     ((self._points, point), (self._steps, step)))
        if len(self._steps) == 1:
            return point + step
        moves, changes = (np.diff(np.stack(found), axis=0).T
                          for found in (self._points, self._steps))
        root = np.linalg.cholesky(inverse).T
        share = np.linalg.lstsq(root @ changes, root @ step, rcond=1e-10)[0]
        move = step - (moves + changes) @ share
        if not np.linalg.norm(root @ move) < _LONGEST * np.linalg.norm(root @ step):
            self._points, self._steps = [point], [step]
            return point + step
        return point + move
