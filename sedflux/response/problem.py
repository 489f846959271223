"""The linear problem at the solution of a response fit."""

from dataclasses import dataclass, replace

import numpy as np

from sedflux.response.options import Options
from sedflux.response.solve import Design, normal_equations

__all__ = ["LinearProblem"]


@dataclass(frozen=True)
class LinearProblem:
    """The linear problem at the solution, for budgets and tests of the fit."""

    name: np.ndarray
    parts: dict
    options: Options
    design: Design
    modes: np.ndarray
    weight: np.ndarray
    own: np.ndarray
    residual: np.ndarray
    inflation: np.ndarray
    inverse: np.ndarray

    def take(self, rows):
        """The same problem with some of the stars."""
        each = ("name", "modes", "weight", "own", "residual", "inflation")
        return replace(self, **{name: getattr(self, name)[rows] for name in each},
                       parts={name: value[rows] for name, value in self.parts.items()},
                       design=replace(self.design, field=self.design.field[rows]))

    def normal_equations(self):
        """Normal matrix and right side of these stars; see `normal_equations`."""
        return normal_equations(self.design, self.modes, self.weight, self.own, self.residual,
                                self.inflation)
