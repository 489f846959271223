"""The basis of the continuum on the input grid."""

from sedflux.spectra.continuum import smooth_basis
from sedflux.spectra.grids import input_grid
from sedflux.spectra.reddening import continuum_shapes

__all__ = ["input_basis"]


def input_basis():
    """Basis of the continuum on the input grid: polynomials and extinction curves."""
    grid = input_grid()
    return smooth_basis(grid.size, shapes=continuum_shapes(grid))
