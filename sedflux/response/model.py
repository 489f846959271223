"""The model of ln(response): a cubic B-spline, and field terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sedflux.exceptions import InputError
from sedflux.response.evidence import SmoothnessPrior
from sedflux.response.field_terms import FieldTerms
from sedflux.response.solve import Design
from sedflux.response.splines import spline_basis
from sedflux.response.star_arrays import StarArrays
from sedflux.spectra.grids import interpolation_matrix

__all__ = ["ResponseModel", "response_model", "spline_knots"]

#: Largest numbers of knots of a spline (a fit takes minutes) and of values of its basis on the
#: fine grid (1.6 GB), many times those for any slitless spectrograph.
_MAX_KNOTS, _MAX_BASIS_VALUES = 3000, 200_000_000
#: Fewest intervals between knots.
_MIN_INTERVALS = 4
#: Inverse prior variance of each spline coefficient, so that coefficients without data are
#: determined too.
_WEAK_PRIOR = 1e-6
#: Range to which ln(response) is clipped while the fit iterates.
_LOG_RANGE = (-40.0, 5.0)


@dataclass(frozen=True)
class ResponseModel:
    """
    Linear model of ln(response) with ``k`` spline coefficients, and those of field terms.

    Attributes
    ----------
    knots : `~numpy.ndarray`
    field : `~sedflux.FieldTerms`
    spline : `~numpy.ndarray`, shape (g, k)
        Spline basis at the nodes.
    fine_spline : `~numpy.ndarray`, shape (m, k)
        Spline basis on the fine grid.
    fine_term_basis : `~numpy.ndarray`, shape (m, j)
        Functions of wavelength of the field terms, on the fine grid.
    design : `~sedflux.response.solve.Design`
        What the counts constrain: ln T after convolution with the line-spread function.
    inside : `~numpy.ndarray` of bool, shape (g,)
        Nodes further than a resolution element from the first and last pixel.
    """

    knots: np.ndarray
    field: FieldTerms
    spline: np.ndarray
    fine_spline: np.ndarray
    fine_term_basis: np.ndarray
    design: Design
    inside: np.ndarray

    @property
    def k(self) -> int:
        """Number of spline coefficients."""
        return self.spline.shape[1]

    def throughput(self, coefficients: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        """
        Throughput on the fine grid.

        Parameters
        ----------
        coefficients : `~numpy.ndarray`, shape (n,)
        rows : slice, optional
            Of stars; all by default.

        Returns
        -------
        throughput : `~numpy.ndarray`, shape (m,), or (N, m) with field terms
        """
        base = self.fine_spline @ coefficients[: self.k]
        terms = self.design.terms[rows]
        if terms.shape[1]:
            shape = coefficients[self.k:].reshape(terms.shape[1], -1)
            base = base + terms @ (shape @ self.fine_term_basis.T)
        return np.exp(np.clip(base, *_LOG_RANGE))

    def second_differences(self) -> np.ndarray:
        """Operator of the second differences of the spline coefficients, shape (k - 2, k)."""
        return np.diff(np.eye(self.k), n=2, axis=0)

    def prior(self, roughness_weight: np.ndarray) -> SmoothnessPrior:
        """
        Prior of the second differences of the spline, and of the field terms about zero.

        Parameters
        ----------
        roughness_weight : `~numpy.ndarray`, shape (k - 2,)
            Factor on the inverse variance of each second difference.

        Returns
        -------
        prior : `~sedflux.response.evidence.SmoothnessPrior`
        """
        size = self.design.size
        second = np.zeros((self.k - 2, size))
        second[:, : self.k] = self.second_differences()
        rough = second.T @ (roughness_weight[:, None] * second)
        fixed = np.zeros((size, size))
        rest = np.arange(self.k, size)
        fixed[rest, rest] = self.field.scatter**-2
        fixed[np.arange(self.k), np.arange(self.k)] += _WEAK_PRIOR
        return SmoothnessPrior(rough, fixed, self.k - 2)


def response_model(stars: StarArrays, *, knot_spacing: float | None = None,
                   field: FieldTerms | None = None, terms: np.ndarray | None = None,
                   fwhm: Callable[[np.ndarray], np.ndarray] | None = None,
                   knots: np.ndarray | None = None) -> ResponseModel:
    """
    The model of ln(response) for some stars.

    Parameters
    ----------
    stars : `~sedflux.response.star_arrays.StarArrays`
    knot_spacing : float, optional
        Angstrom; by default two nodes, or one without a line-spread function.
    field : `~sedflux.FieldTerms`, optional
    terms : `~numpy.ndarray`, shape (N, q), optional
        Values of the field terms.
    fwhm : callable, optional
        FWHM of the line-spread function at wavelengths in Angstrom.
    knots : `~numpy.ndarray`, optional
        Those of another model, instead of ``knot_spacing``.

    Returns
    -------
    model : `ResponseModel`
    """
    field = field or FieldTerms()
    low, high = stars.nodes[[0, -1]]
    if knots is None:
        if knot_spacing is None:
            knot_spacing = np.diff(stars.nodes)[0] * (1.0 if fwhm is None else 2.0)
        knots = spline_knots(stars.nodes, stars.fine, knot_spacing)
    terms = np.zeros((len(stars), 0)) if terms is None else terms
    spline = spline_basis(knots, stars.nodes)
    fine_spline = spline_basis(knots, stars.fine)
    blurred = spline if stars.blur is None else interpolation_matrix(
        stars.fine, np.clip(stars.nodes, *stars.fine[[0, -1]])) @ (stars.blur @ fine_spline)
    # Counts within a resolution element of the last pixels depend on the response beyond them.
    margin = np.zeros(2) if fwhm is None else fwhm(np.array([low, high]))
    inside = (stars.nodes >= low + margin[0]) & (stars.nodes <= high - margin[1])
    return ResponseModel(knots, field, spline, fine_spline, field.basis(stars.fine, (low, high)),
                         Design(blurred, field.basis(stars.nodes, (low, high)), terms), inside)


def spline_knots(nodes: np.ndarray, fine: np.ndarray, spacing: float) -> np.ndarray:
    """
    Knots of the cubic spline of ln(response).

    Parameters
    ----------
    nodes : `~numpy.ndarray`, shape (g,)
        Ascending wavelengths in Angstrom, from the first pixel to the last.
    fine : `~numpy.ndarray`, shape (m,)
        Wavelengths of the fine grid, which may reach further.
    spacing : float
        Largest distance of the knots in Angstrom.

    Returns
    -------
    knots : `~numpy.ndarray`
        Evenly spaced; the first and the last occur four times.

    Raises
    ------
    sedflux.exceptions.InputError
        If there are too many.
    """
    low, high = nodes[[0, -1]]
    # The line-spread function spreads light from beyond the last pixels into them.
    beyond = max(low - fine[0], 0.0), max(fine[-1] - high, 0.0)
    length = high - low + sum(beyond)
    most = min(_MAX_KNOTS, _MAX_BASIS_VALUES // fine.size)
    if length / spacing > most:
        raise InputError(
            f"knot_spacing is {spacing:.3g} Angstrom, which makes more than {most} knots at "
            f"{low:.0f}-{high:.0f} Angstrom; give {length / most:.2g} Angstrom or more (steps "
            "below a resolution element gain nothing)")
    intervals = max(int(np.ceil((high - low) / spacing)), _MIN_INTERVALS)
    spacing = (high - low) / intervals
    before, after = (int(np.ceil(part / spacing)) for part in beyond)
    inner = low + spacing * np.arange(-before, intervals + after + 1)
    return np.r_[[inner[0]] * 3, inner, [inner[-1]] * 3]
