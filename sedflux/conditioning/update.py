"""
The update of SEDs by magnitudes, for many stars at once and at low rank.

ln(flux) of a star is ``prior + F^T z + d + s + E k + E q k'``: common errors ``z`` and ``q`` with
variances of one, independent errors ``d``, ln(scale) ``s``, whose prior is flat for relative SEDs,
and E(B-V).
At a fixed E(B-V) magnitudes are linear in all of these, nearly: each node of a grid of E(B-V) is
linearised where its own solution is.  Weights of the nodes are their marginal likelihoods times
the prior; moments of the mixture are those of the posterior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sedflux.conditioning.bands import BandRows
from sedflux.conditioning.dust import MOST_REDDENING, Dust
from sedflux.units import MAG_PER_LN

__all__ = ["Nodes", "Sample", "Solution", "Stars", "linearised", "percentiles", "quadrature",
           "search", "settle", "solve"]

#: Steps of Newton's method: to the most likely E(B-V), and at each node.
_SEARCHES, _SETTLES = 6, 2
#: Range of E(B-V) while it is searched (mag).
_SEARCHED = (-2.0, 12.0)
#: Standard deviations of E(B-V) that the nodes reach to either side.
_REACH = 7.0
#: Points between which percentiles are interpolated.
_POINTS = 513


@dataclass(frozen=True)
class Stars:
    """
    N stars before the update.

    Attributes
    ----------
    log_flux, diagonal : `~numpy.ndarray`, shape (N, n)
        ln(flux) without dust, and the independent part of its variance.
    factor : `~numpy.ndarray`, shape (N, r, n)
    relative : bool
        Whether the scale of the flux is arbitrary.
    magnitudes, variance : `~numpy.ndarray`, shape (N, b)
        Magnitudes and the variance of their errors, zero points included; where unknown, any
        number.
    known : `~numpy.ndarray` of bool, shape (N, b)
    """

    log_flux: np.ndarray
    diagonal: np.ndarray
    factor: np.ndarray
    relative: bool
    magnitudes: np.ndarray
    variance: np.ndarray
    known: np.ndarray

    def take(self, rows):
        """Some of the stars."""
        return Stars(self.log_flux[rows], self.diagonal[rows], self.factor[rows], self.relative,
                     self.magnitudes[rows], self.variance[rows], self.known[rows])


@dataclass(frozen=True)
class Nodes:
    """E(B-V) of G nodes of each star (N, G), and what the update says there."""

    ebv: np.ndarray
    common: np.ndarray      # z and q, (N, G, r + 1)
    own: np.ndarray         # weights of the rows of the independent errors, (N, G, b)
    scale: np.ndarray       # s, (N, G)


@dataclass(frozen=True)
class Sample:
    """
    Magnitudes linearised at nodes.

    Attributes
    ----------
    residual : `~numpy.ndarray`, shape (N, G, b)
        Measured magnitudes minus those of the prior at the E(B-V) of the node.
    common : `~numpy.ndarray`, shape (N, G, b, r + 1)
        Changes of the magnitudes with ``z`` and ``q``.
    dust : `~numpy.ndarray`, shape (N, G, b)
        Changes with E(B-V).
    grey : `~numpy.ndarray`, shape (N, 1, b)
        Changes with ``s``; zero for magnitudes that are unknown.
    noise : `~numpy.ndarray`, shape (N, 1, b, b)
        Covariance of what is independent: errors of magnitudes and of single wavelengths.
    """

    residual: np.ndarray
    common: np.ndarray
    dust: np.ndarray
    grey: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class Solution:
    """Gain, information and likelihood of linearised magnitudes, see `solve`."""

    information: np.ndarray  # M, (N, G, b, b)
    grey_gain: np.ndarray    # ds / d magnitude, (N, G, b)
    grey_variance: np.ndarray  # (N, G)
    innovation: np.ndarray   # M @ residual, (N, G, b)
    chi2: np.ndarray         # (N, G)
    log_likelihood: np.ndarray  # (N, G)


def light(stars: Stars, bands: BandRows, log_flux: np.ndarray) -> tuple[np.ndarray, list]:
    """Magnitudes of SEDs (N, G, n), and of each band the change of its magnitude (N, G, k)."""
    level = log_flux.max(axis=-1, keepdims=True)
    flux = np.exp(log_flux - level)
    values, changes = [], []
    for place, weight in zip(bands.places, bands.weights, strict=True):
        part = flux[..., place] * weight
        total = part.sum(axis=-1, keepdims=True)
        values.append((np.log(total) + level)[..., 0])
        changes.append(part * (-MAG_PER_LN / total))
    return bands.zero_points - MAG_PER_LN * np.stack(values, axis=-1), changes


def independent(stars: Stars, bands: BandRows, changes: list) -> np.ndarray:
    """Changes of the magnitudes with the independent errors at the first node, (N, b, n)."""
    rows = np.zeros((len(stars.log_flux), len(bands), stars.log_flux.shape[1]))
    for index, place in enumerate(bands.places):
        rows[:, index, place] = changes[index][:, 0]
    return rows * stars.known[..., None]


def linearised(stars: Stars, bands: BandRows, dust: Dust, nodes: Nodes,
               own_rows: np.ndarray, *, renew: bool = False) -> tuple[Sample, np.ndarray]:
    """
    Linearise the magnitudes at what nodes say of the SED.

    Parameters
    ----------
    stars, bands, dust, nodes
    own_rows : `~numpy.ndarray`, shape (N, b, n)
        Changes of the magnitudes with independent errors, for which ``nodes.own`` was found.
    renew : bool, optional
        Take these changes anew, at the first node.

    Returns
    -------
    sample : `Sample`
    own_rows : `~numpy.ndarray`, shape (N, b, n)
    """
    r = stars.factor.shape[1]
    own = nodes.own @ (own_rows * stars.diagonal[:, None])
    strength = nodes.common[..., r:] * nodes.ebv[..., None]
    log_flux = (stars.log_flux[:, None] + nodes.ebv[..., None] * dust.curve
                + nodes.common[..., :r] @ stars.factor + strength * dust.slope
                + nodes.scale[..., None] + own)
    value, changes = light(stars, bands, log_flux)
    if renew:
        own_rows = independent(stars, bands, changes)
    known = stars.known[:, None]
    common = np.empty((*value.shape, r + 1))
    along, moved = np.empty(value.shape), np.empty(value.shape)
    for index, place in enumerate(bands.places):
        common[..., index, :r] = changes[index] @ np.swapaxes(stars.factor[..., place], 1, 2)
        common[..., index, r] = (changes[index] @ dust.slope[place]) * nodes.ebv
        along[..., index] = changes[index] @ dust.curve[place]
        moved[..., index] = (changes[index] * own[..., place]).sum(axis=-1)
    common, along = common * known[..., None], along * known
    spread = (own_rows * stars.diagonal[:, None]) @ np.swapaxes(own_rows, 1, 2)
    grey = -MAG_PER_LN * known
    moved += (common @ nodes.common[..., None])[..., 0] + grey * nodes.scale[..., None]
    residual = np.where(known, stars.magnitudes[:, None] - value + moved, 0.0)
    errors = np.where(stars.known, stars.variance, 1.0)
    noise = spread + errors[..., None] * np.eye(len(bands))
    return Sample(residual, common, along, grey, noise[:, None]), own_rows


def solve(sample: Sample, *, relative: bool, column: np.ndarray | None = None) -> Solution:
    """
    Solve for everything at given E(B-V), or with E(B-V) as one more common error.

    Parameters
    ----------
    sample : `Sample`
    relative : bool
        Whether ``s`` is free.
    column : `~numpy.ndarray`, shape (N, G, b), optional
        Change of the magnitudes with one standard deviation of E(B-V).

    Returns
    -------
    solution : `Solution`
        ``information`` is the inverse covariance of the residuals, ``s`` projected out.
    """
    total = sample.common @ np.swapaxes(sample.common, -1, -2) + sample.noise
    if column is not None:
        total = total + column[..., :, None] * column[..., None, :]
    inverse = np.linalg.inv(total)
    log_det = np.linalg.slogdet(total)[1]
    shape = sample.residual.shape
    grey_gain, variance = np.zeros(shape), np.zeros(shape[:-1])
    if relative:
        weighted = (inverse @ sample.grey[..., None])[..., 0]
        variance = 1.0 / (weighted * sample.grey).sum(axis=-1)
        grey_gain = weighted * variance[..., None]
        inverse = inverse - weighted[..., :, None] * grey_gain[..., None, :]
        log_det = log_det - np.log(variance)
    innovation = (inverse @ sample.residual[..., None])[..., 0]
    chi2 = (innovation * sample.residual).sum(axis=-1)
    return Solution(inverse, grey_gain, variance, innovation, chi2, -0.5 * (chi2 + log_det))


def _start(stars: Stars, dust: Dust, ebv: np.ndarray) -> Nodes:
    """Nodes that know nothing of the magnitudes."""
    shape = ebv.shape
    return Nodes(ebv, np.zeros((*shape, stars.factor.shape[1] + 1)),
                 np.zeros((*shape, stars.magnitudes.shape[1])), np.zeros(shape))


def _moved(nodes: Nodes, sample: Sample, solution: Solution, ebv: np.ndarray,
           residual: np.ndarray | None = None) -> Nodes:
    """Nodes where the solution is."""
    innovation, residual = solution.innovation, sample.residual if residual is None else residual
    return Nodes(ebv, (np.swapaxes(sample.common, -1, -2) @ innovation[..., None])[..., 0],
                 innovation, (solution.grey_gain * residual).sum(axis=-1))


def search(stars: Stars, bands: BandRows, dust: Dust
           ) -> tuple[Nodes, np.ndarray, Sample, np.ndarray]:
    """
    The most likely E(B-V), as if negative ones were allowed.

    Returns
    -------
    nodes : `Nodes`
        One a star.
    error : `~numpy.ndarray`, shape (N,)
        Of E(B-V).
    sample : `Sample`
        Linearised there; its residuals are those of the prior mean of E(B-V).
    own_rows : `~numpy.ndarray`, shape (N, b, n)
    """
    nodes = _start(stars, dust, np.maximum(dust.mean, 0.0)[:, None])
    own_rows = np.zeros((*stars.magnitudes.shape, stars.log_flux.shape[1]))
    for step in range(_SEARCHES):
        sample, own_rows = linearised(stars, bands, dust, nodes, own_rows, renew=True)
        away = (nodes.ebv - dust.mean[:, None])[..., None]
        residual = sample.residual + sample.dust * away
        column = sample.dust * dust.error[:, None, None]
        sample = Sample(residual, sample.common, sample.dust, sample.grey, sample.noise)
        solution = solve(sample, relative=stars.relative, column=column)
        shift = (column * solution.innovation).sum(axis=-1)
        ebv = np.clip(dust.mean[:, None] + dust.error[:, None] * shift, *_SEARCHED)
        if step < _SEARCHES - 1:
            left = residual - column * shift[..., None]
            nodes = _moved(nodes, sample, solution, ebv, left)
    column = column[:, 0]
    taken = (column * (solution.information[:, 0] @ column[..., None])[..., 0]).sum(axis=-1)
    error = dust.error * np.sqrt(np.clip(1.0 - taken, 0.0, None))
    return nodes, error, sample, own_rows


def settle(stars: Stars, bands: BandRows, dust: Dust, ebv: np.ndarray, nodes: Nodes,
           own_rows: np.ndarray) -> tuple[Nodes, Sample, Solution]:
    """
    Solve at given E(B-V), each node linearised at its own solution.

    Parameters
    ----------
    stars, bands, dust
    ebv : `~numpy.ndarray`, shape (N, G)
    nodes : `Nodes`
        Where the search ended: the start of all nodes.
    own_rows : `~numpy.ndarray`, shape (N, b, n)
    """
    size = ebv.shape[1]
    start = Nodes(ebv, np.repeat(nodes.common, size, axis=1), np.repeat(nodes.own, size, axis=1),
                  np.repeat(nodes.scale, size, axis=1))
    for _ in range(_SETTLES):
        sample, _ = linearised(stars, bands, dust, start, own_rows)
        solution = solve(sample, relative=stars.relative)
        start = _moved(start, sample, solution, ebv)
    return start, sample, solution


def quadrature(mean: np.ndarray, error: np.ndarray, count: int
               ) -> tuple[np.ndarray, np.ndarray]:
    """
    Nodes of E(B-V) >= 0 and their weights, about Gaussians that zero may cut.

    Parameters
    ----------
    mean, error : `~numpy.ndarray`, shape (N,)
    count : int

    Returns
    -------
    ebv, weights : `~numpy.ndarray`, shape (N, count)
    """
    reach = _REACH * error
    high = mean + np.where(mean > 0, reach, np.hypot(mean, reach))
    low, high = np.clip(mean - reach, 0.0, MOST_REDDENING), np.clip(high, 1e-9, MOST_REDDENING)
    low = np.minimum(low, 0.9 * high)
    place, weight = np.polynomial.legendre.leggauss(count)
    half = 0.5 * (high - low)[:, None]
    return 0.5 * (high + low)[:, None] + half * place, half * weight


def percentiles(ebv: np.ndarray, weights: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """
    Percentiles of a density at the nodes of `quadrature`, whose polynomial is integrated.

    Parameters
    ----------
    ebv, weights : `~numpy.ndarray`, shape (N, count)
        Nodes, and density times their weights, with a sum of one.
    shares : tuple of float, length m

    Returns
    -------
    ebv : `~numpy.ndarray`, shape (N, m)
    """
    count = ebv.shape[1]
    if count == 1:
        return np.repeat(ebv, len(shares), axis=1)
    place, _ = np.polynomial.legendre.leggauss(count)
    half = (ebv[:, -1] - ebv[:, 0]) / (place[-1] - place[0])
    middle = 0.5 * (ebv[:, 0] + ebv[:, -1])
    points = np.linspace(-1.0, 1.0, _POINTS)
    legendre = np.polynomial.legendre.legvander
    # The integral of P_m from -1 is (P_m+1 - P_m-1) / (2 m + 1).
    above = legendre(points, count)
    integral = np.column_stack([points + 1.0, 0.5 * (above[:, 2:] - above[:, :-2])])
    shape = legendre(place, count - 1)
    scale = np.r_[0.5, np.ones(count - 1)]
    total = weights @ (shape * scale) @ integral.T
    total = np.maximum.accumulate(total, axis=1)
    found = np.array([np.interp(shares, row, points) for row in total])
    return middle[:, None] + half[:, None] * found
