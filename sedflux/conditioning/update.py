"""
The update of SEDs by magnitudes, for many stars at once and at low rank.

ln(flux) of a star is ``prior + F^T z + d + s + E k + E q k'``: common errors ``z`` and ``q`` with
variances of one, independent errors ``d``, ln(scale) ``s``, whose prior is flat for relative SEDs,
and E(B-V).
At a fixed E(B-V) magnitudes are nearly linear in all of these: they are linearised at each node of
a grid of E(B-V), about the solution for that node.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sedflux.conditioning.bands import BandRows
from sedflux.conditioning.dust import Dust
from sedflux.units import MAG_PER_LN

__all__ = ["Directions", "Found", "Nodes", "Sample", "Solution", "Stars", "band_changes",
           "linearised", "search", "settle", "solve"]

#: Steps of the search for the most likely E(B-V), and those of stars that are not found by then.
_STEPS, _MOST_STEPS = 3, 8
#: Change in a step, in standard deviations, below which a star is found: the next change is a
#: hundred times smaller.
_FOUND = 1e-3
#: Range of E(B-V) while it is searched (mag).
_SEARCHED = (-2.0, 12.0)


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
    parts : `~numpy.ndarray`, shape (N, p, n)
        Directions of the covariance whose origin is known.
    """

    log_flux: np.ndarray
    diagonal: np.ndarray
    factor: np.ndarray
    relative: bool
    magnitudes: np.ndarray
    variance: np.ndarray
    known: np.ndarray
    parts: np.ndarray

    def take(self, rows):
        """Some of the stars."""
        return Stars(self.log_flux[rows], self.diagonal[rows], self.factor[rows], self.relative,
                     self.magnitudes[rows], self.variance[rows], self.known[rows],
                     self.parts[rows])


class _AtNodes:
    """Arrays (N, G, ...) at nodes of E(B-V)."""

    def nodes(self, some):
        """The same at some of the nodes; arrays (N, 1, ...) are those of all nodes."""
        return type(self)(*(part if part.shape[1] == 1 else part[:, some]
                            for part in vars(self).values()))


@dataclass(frozen=True)
class Nodes(_AtNodes):
    """E(B-V) of G nodes of each star (N, G), and the solution there."""

    ebv: np.ndarray
    common: np.ndarray      # z and q, (N, G, r + 1)
    own: np.ndarray         # weights of the rows of the independent errors, (N, G, b)
    scale: np.ndarray       # s, (N, G)

    @property
    def coordinates(self) -> np.ndarray:
        """Along the rows of `Directions`: z, E q, s, E and ``own``, (N, G, R)."""
        scale, ebv = self.scale[..., None], self.ebv[..., None]
        return np.concatenate([self.common[..., :-1], self.common[..., -1:] * ebv, scale, ebv,
                               self.own], axis=-1)


class Directions:
    """
    Directions in which ln(flux) of N stars changes.

    Parameters
    ----------
    stars : `Stars`
    dust : `~sedflux.conditioning.dust.Dust`

    Attributes
    ----------
    rows : `~numpy.ndarray`, shape (N, R, n)
        Of z, E q, s, E(B-V), and one of the independent errors for every band; the last are zero
        until they are renewed.
    spread : `~numpy.ndarray`, shape (N, b, b)
        Covariance that the independent errors give to the magnitudes.
    """

    def __init__(self, stars: Stars, dust: Dust) -> None:
        r, (count, bands) = stars.factor.shape[1], stars.magnitudes.shape
        self.rows = np.zeros((count, r + 3 + bands, stars.log_flux.shape[1]))
        self.rows[:, :r] = stars.factor
        self.rows[:, r:r + 3] = np.stack([dust.slope, np.ones_like(dust.curve), dust.curve])
        self.spread = np.zeros((count, bands, bands))

    def renew(self, stars: Stars, bands: BandRows, shares: list[np.ndarray]) -> None:
        """
        Replace the rows of independent errors by their parts that change the magnitudes.

        Parameters
        ----------
        stars, bands
        shares : list of `~numpy.ndarray`, shape (N, k)
            Of each wavelength in the flux of its band.
        """
        changes = np.zeros((*stars.known.shape, self.rows.shape[2]))
        for index, place in enumerate(bands.places):
            changes[:, index, place] = shares[index]
        changes *= -MAG_PER_LN * stars.known[..., None]
        own = self.rows[:, -len(bands):]
        np.multiply(changes, stars.diagonal[:, None], out=own)
        self.spread = own @ np.swapaxes(changes, 1, 2)


@dataclass(frozen=True)
class Sample(_AtNodes):
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
        Covariance of the independent errors of magnitudes and of single wavelengths.
    """

    residual: np.ndarray
    common: np.ndarray
    dust: np.ndarray
    grey: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class Solution(_AtNodes):
    """Gain, information and likelihood of linearised magnitudes, see `solve`."""

    information: np.ndarray  # M, (N, G, b, b)
    grey_gain: np.ndarray    # ds / d magnitude, (N, G, b)
    grey_variance: np.ndarray  # (N, G)
    innovation: np.ndarray   # M @ residual, (N, G, b)
    chi2: np.ndarray         # (N, G)
    log_likelihood: np.ndarray  # (N, G)


def light(bands: BandRows, log_flux: np.ndarray, rows: np.ndarray, grey: int
          ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """
    Magnitudes of SEDs, and how they change.

    Parameters
    ----------
    bands : `~sedflux.conditioning.bands.BandRows`
    log_flux : `~numpy.ndarray`, shape (N, G, n)
        Overwritten.
    rows : `~numpy.ndarray`, shape (N, R, n)
        Directions of ln(flux).
    grey : int
        Number of the row of ones.

    Returns
    -------
    magnitudes : `~numpy.ndarray`, shape (N, G, b)
    changes : `~numpy.ndarray`, shape (N, G, b, R)
        Of the magnitudes along the rows.
    shares : list of `~numpy.ndarray`, shape (N, k)
        Of each wavelength in the flux of its band, at the first node.
    """
    level = log_flux.max(axis=-1, keepdims=True)
    log_flux -= level
    flux = np.exp(log_flux, out=log_flux)
    changes, shares = np.empty((*flux.shape[:2], len(bands), rows.shape[1])), []
    for index, (place, weight) in enumerate(zip(bands.places, bands.weights, strict=True)):
        part = flux[..., place] * weight
        changes[..., index, :] = part @ np.swapaxes(rows[..., place], 1, 2)
        shares.append(part[:, 0] / changes[:, 0, index, grey, None])
    total = changes[..., grey].copy()
    changes *= (-MAG_PER_LN / total)[..., None]
    return bands.zero_points - MAG_PER_LN * (np.log(total) + level), changes, shares


def band_changes(bands: BandRows, log_flux: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """
    Changes of the magnitudes along directions of ln(flux), at the first node.

    Parameters
    ----------
    bands, log_flux, rows
        As for `light`, without a row of ones.

    Returns
    -------
    changes : `~numpy.ndarray`, shape (N, R, b)
    """
    grey = np.ones((len(rows), 1, rows.shape[2]), rows.dtype)
    changes = light(bands, log_flux, np.concatenate([grey, rows], axis=1), 0)[1]
    return np.swapaxes(changes[:, 0, :, 1:], 1, 2)


def linearised(stars: Stars, bands: BandRows, nodes: Nodes, directions: Directions, *,
               renew: bool = False) -> Sample:
    """
    Linearise the magnitudes about the SEDs of nodes.

    Parameters
    ----------
    stars, bands
    nodes : `Nodes`
    directions : `Directions`
        For which ``nodes.own`` was found.
    renew : bool, optional
        Compute its rows of independent errors again, at the first node.
    """
    r, coordinates = stars.factor.shape[1], nodes.coordinates
    log_flux = coordinates @ directions.rows
    log_flux += stars.log_flux[:, None]
    value, changes, shares = light(bands, log_flux, directions.rows, r + 1)
    if renew:
        directions.renew(stars, bands, shares)
    known = stars.known[:, None]
    dust = changes[..., r + 2] * known
    moved = (changes @ coordinates[..., None])[..., 0] - dust * nodes.ebv[..., None]
    common = changes[..., :r + 1] * known[..., None]
    common[..., r] *= nodes.ebv[..., None]
    residual = np.where(known, stars.magnitudes[:, None] - value + moved, 0.0)
    errors = np.where(stars.known, stars.variance, 1.0)
    noise = directions.spread + errors[..., None] * np.eye(len(bands))
    return Sample(residual, common, dust, -MAG_PER_LN * known, noise[:, None])


def solve(sample: Sample, *, relative: bool, column: np.ndarray | None = None) -> Solution:
    """
    Solve for all errors at given E(B-V), or with E(B-V) as one more common error.

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
        weighted = (inverse * sample.grey[..., None, :]).sum(axis=-1)
        variance = 1.0 / (weighted * sample.grey).sum(axis=-1)
        grey_gain = weighted * variance[..., None]
        inverse = inverse - weighted[..., :, None] * grey_gain[..., None, :]
        log_det = log_det - np.log(variance)
    innovation = (inverse * sample.residual[..., None, :]).sum(axis=-1)
    chi2 = (innovation * sample.residual).sum(axis=-1)
    return Solution(inverse, grey_gain, variance, innovation, chi2, -0.5 * (chi2 + log_det))


def _start(stars: Stars, ebv: np.ndarray) -> Nodes:
    """Nodes at the SED before the update."""
    shape = ebv.shape
    return Nodes(ebv, np.zeros((*shape, stars.factor.shape[1] + 1)),
                 np.zeros((*shape, stars.magnitudes.shape[1])), np.zeros(shape))


def _moved(sample: Sample, solution: Solution, ebv: np.ndarray, residual: np.ndarray) -> Nodes:
    """Nodes at the solution for residuals (N, G, b)."""
    innovation = (solution.information @ residual[..., None])[..., 0]
    return Nodes(ebv, (innovation[..., None, :] @ sample.common)[..., 0, :], innovation,
                 (solution.grey_gain * residual).sum(axis=-1))


@dataclass(frozen=True)
class Found:
    """
    The most likely E(B-V) of N stars, as if negative ones were allowed.

    Attributes
    ----------
    nodes : `Nodes`
        One a star.
    error : `~numpy.ndarray`, shape (N,)
        Of E(B-V).
    sample : `Sample`
        Linearised there; its residuals are those of the prior mean of E(B-V).
    directions : `Directions`
    last : `~numpy.ndarray`, shape (N,)
        Last change, in standard deviations.
    """

    nodes: Nodes
    error: np.ndarray
    sample: Sample
    directions: Directions
    last: np.ndarray


def search(stars: Stars, bands: BandRows, dust: Dust) -> Found:
    """
    Find the most likely E(B-V), as if negative ones were allowed.

    A star takes the steps that it needs, whatever other stars are beside it.
    """
    found = _search(stars, bands, dust, _STEPS)
    far = np.flatnonzero(found.last > _FOUND)
    if far.size:
        _put(found, far, _search(stars.take(far), bands, dust.take(far), _MOST_STEPS))
    return found


def _put(found, rows, part):
    """Replace arrays of some of the stars."""
    for name, value in vars(found).items():
        new = getattr(part, name)
        if isinstance(value, np.ndarray):
            value[rows] = new
        else:
            _put(value, rows, new)


def _search(stars, bands, dust, steps):
    """Steps of Newton's method in E(B-V) and all errors."""
    nodes = _start(stars, np.maximum(dust.mean, 0.0)[:, None])
    directions = Directions(stars, dust)
    for _ in range(steps):
        sample = linearised(stars, bands, nodes, directions, renew=True)
        away = (nodes.ebv - dust.mean[:, None])[..., None]
        residual = sample.residual + sample.dust * away
        column = sample.dust * dust.error[:, None, None]
        sample = replace(sample, residual=residual)
        solution = solve(sample, relative=stars.relative, column=column)
        shift = (column * solution.innovation).sum(axis=-1)
        ebv = np.clip(dust.mean[:, None] + dust.error[:, None] * shift, *_SEARCHED)
        before, nodes = nodes, _moved(sample, solution, ebv, residual - column * shift[..., None])
    column = column[:, 0]
    taken = (column * (solution.information[:, 0] @ column[..., None])[..., 0]).sum(axis=-1)
    error = dust.error * np.sqrt(np.clip(1.0 - taken, 0.0, None))
    change = np.abs(nodes.ebv - before.ebv)[:, 0] / np.where(error > 0, error, 1.0)
    last = np.maximum(change, np.abs(nodes.common - before.common).max(axis=(1, 2)))
    return Found(nodes, error, sample, directions, last)


def settle(stars: Stars, bands: BandRows, dust: Dust, ebv: np.ndarray, found: Found
           ) -> tuple[Nodes, Sample, Solution]:
    """
    Solve at given E(B-V), each node linearised at its own solution.

    Parameters
    ----------
    stars, bands, dust
    ebv : `~numpy.ndarray`, shape (N, G)
    found : `Found`
        Where the search ended.
    """
    # Solutions for the magnitudes as linearised there are nearly those at the nodes.
    there = solve(found.sample, relative=stars.relative)
    residual = found.sample.residual - found.sample.dust * (ebv - dust.mean[:, None])[..., None]
    start = _moved(found.sample, there, ebv, residual)
    sample = linearised(stars, bands, start, found.directions)
    solution = solve(sample, relative=stars.relative)
    return _moved(sample, solution, ebv, sample.residual), sample, solution
