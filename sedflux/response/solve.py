"""
Generalised least squares for ln(response), linear in the number of stars.

At the nodes star s says ``y_s = Phi_s beta + M_s^T z_s + noise``: y is counts over expected
counts minus one, M the common errors of its SED with ``z ~ N(0, 1)``.  By Woodbury its
inverse covariance is ``W - W M^T (1 + M W M^T)^-1 M W``, of rank r beside a diagonal.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.optimize import minimize_scalar

__all__ = ["Design", "SmoothnessPrior", "StarStatistics", "normal_equations", "root_of_inverse",
           "solve", "star_information", "star_statistics"]

_CHUNK = 256
#: Range of the standard deviation of ln T's second differences that evidence may choose.
_SMOOTHNESS = (1e-4, 3.0)


@dataclass(frozen=True)
class Design:
    """
    Linear model of ln(response) at the nodes.

    Attributes
    ----------
    base : `~numpy.ndarray`, shape (g, k)
        Spline basis at the nodes.
    smooth : `~numpy.ndarray`, shape (g, j)
        Functions of wavelength of the field terms.
    field : `~numpy.ndarray`, shape (N, q)
        Field terms of each star; q may be zero.
    """

    base: np.ndarray
    smooth: np.ndarray
    field: np.ndarray

    @property
    def size(self):
        """Number of coefficients."""
        return self.base.shape[1] + self.field.shape[1] * self.smooth.shape[1]

    def log_response(self, coefficients):
        """ln(response) of each star at the nodes, (N, g), or (1, g) without field terms."""
        k, j = self.base.shape[1], self.smooth.shape[1]
        base = (self.base @ coefficients[:k])[None]
        if not self.field.shape[1]:
            return base
        return base + self.field @ (coefficients[k:].reshape(-1, j) @ self.smooth.T)

    def blocks(self, rows):
        """Pairs of terms (N,) and bases (g, n), for some of the stars."""
        ones = np.ones(len(self.field[rows]))
        return [(ones, self.base)] + [(column, self.smooth) for column in self.field[rows].T]


@dataclass(frozen=True)
class SmoothnessPrior:
    """
    Gaussian prior of the coefficients, about zero.

    Attributes
    ----------
    roughness : `~numpy.ndarray`, shape (n, n)
        Inverse covariance for a smoothness of one.
    fixed : `~numpy.ndarray`, shape (n, n)
        Inverse covariance that no smoothness changes.
    rank : int
        Of the roughness.
    """

    roughness: np.ndarray
    fixed: np.ndarray
    rank: int


def _whitened(stars_modes, weight, own):
    """Weights with the independent part of the SED, and modes times weights, (C, r, g)."""
    weight = weight / (1.0 + weight * own)
    modes = np.asarray(stars_modes, dtype=float)
    return weight, modes, modes * weight[:, None, :]


def normal_equations(design, modes, weight, own, residual, inflation):
    """
    Normal matrix and right side of all stars together.

    Parameters
    ----------
    design : `Design`
    modes : `~numpy.ndarray`, shape (N, r, g)
    weight : `~numpy.ndarray`, shape (N, g)
        Inverse variance of the noise at the nodes.
    own : `~numpy.ndarray`, shape (N, g)
        Further variance that is independent from node to node.
    residual : `~numpy.ndarray`, shape (N, g)
    inflation : `~numpy.ndarray`, shape (N,)
        Factor on the variance of each star's modes; infinite leaves the star out.

    Returns
    -------
    normal : `~numpy.ndarray`, shape (n, n)
    right : `~numpy.ndarray`, shape (n,)
    """
    normal, right = np.zeros((design.size, design.size)), np.zeros(design.size)
    for begin in range(0, len(weight), _CHUNK):
        rows = np.arange(begin, min(begin + _CHUNK, len(weight)))
        rows = rows[np.isfinite(inflation[rows])]
        part, scaled, weighted = _whitened(
            modes[rows] * np.sqrt(inflation[rows, None, None]), weight[rows], own[rows])
        core = np.eye(scaled.shape[1]) + weighted @ scaled.transpose(0, 2, 1)
        triangle = np.linalg.cholesky(core)
        blocks = design.blocks(rows)
        columns = np.concatenate(
            [term[:, None, None] * (weighted @ basis) for term, basis in blocks], axis=2)
        data = part * residual[rows]
        aside = (weighted @ residual[rows][:, :, None])
        white = np.linalg.solve(triangle, np.concatenate([columns, aside], axis=2))
        white = white.reshape(-1, design.size + 1)
        gram = white.T @ white
        normal -= gram[:-1, :-1]
        right -= gram[:-1, -1]
        _add_diagonal(normal, right, blocks, part, data)
    return normal, right


def _add_diagonal(normal, right, blocks, weight, data):
    """What the noise alone contributes."""
    place = np.concatenate([[0], np.cumsum([basis.shape[1] for _, basis in blocks])])
    for i, (first, left) in enumerate(blocks):
        here = slice(place[i], place[i + 1])
        right[here] += left.T @ (first @ data)
        for j, (second, other) in enumerate(blocks[: i + 1]):
            there = slice(place[j], place[j + 1])
            piece = left.T @ (((first * second) @ weight)[:, None] * other)
            normal[here, there] += piece
            if i != j:
                normal[there, here] += piece.T


@dataclass(frozen=True)
class StarStatistics:
    """
    How well each star fits.

    Attributes
    ----------
    mode_chi2, mode_number : `~numpy.ndarray`, shape (N,)
        Chi-square of what a star's SED errors would have to explain, and its mean.
    largest : `~numpy.ndarray`, shape (N,)
        Largest single deviation among them, in sigma.
    amplitude : `~numpy.ndarray`, shape (N, r)
        Estimated amplitudes z of the modes.
    residual : `~numpy.ndarray`, shape (N, g)
        What is left at the nodes after them.
    """

    mode_chi2: np.ndarray
    mode_number: np.ndarray
    largest: np.ndarray
    amplitude: np.ndarray
    residual: np.ndarray


def star_statistics(modes, weight, own, residual):
    """
    Compare each star's residuals with what its SED's covariance allows.

    ``c = M W y`` has the covariance ``S (1 + S)``, S = M W M^T, if the star is what its SED
    says.
    """
    found = []
    for begin in range(0, len(weight), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        _, scaled, weighted = _whitened(modes[rows], weight[rows], own[rows])
        value, vector = np.linalg.eigh(weighted @ scaled.transpose(0, 2, 1))
        value = np.clip(value, 0.0, None)
        along = (vector.transpose(0, 2, 1) @ (weighted @ residual[rows][:, :, None]))[..., 0]
        # Skip directions dominated by noise.
        spoken = value > 1e-3
        square = np.where(spoken, along**2 / np.where(spoken, value * (1.0 + value), 1.0), 0.0)
        amplitude = (vector @ (along / (1.0 + value))[:, :, None])[..., 0]
        left = residual[rows] - (amplitude[:, None, :] @ scaled)[:, 0]
        found.append((square.sum(axis=1), spoken.sum(axis=1),
                      np.sqrt(square.max(axis=1, initial=0.0)), amplitude, left))
    return StarStatistics(*(np.concatenate(values) for values in zip(*found, strict=True)))


def star_information(modes, weight, own, inflation):
    """Inverse variance of ln(response) that each star gives at each node, (N, g)."""
    noise = np.divide(1.0, weight, out=np.full_like(weight, np.inf), where=weight > 0) + own
    common = np.square(modes, dtype=float).sum(axis=1) * inflation[:, None]
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(inflation)[:, None] & (weight > 0), 1.0 / (noise + common), 0.0)


def solve(normal, right, present, prior, smoothness=None):
    """
    Coefficients, and the smoothness that the data prefer (evidence, MacKay 1992).

    Parameters
    ----------
    normal : `~numpy.ndarray`, shape (n, n)
    right : `~numpy.ndarray`, shape (n,)
        Of the residuals at the present coefficients.
    present : `~numpy.ndarray`, shape (n,)
        Where the problem was linearised.
    prior : `SmoothnessPrior`
    smoothness : float, optional
        Standard deviation of ln T's second differences; chosen if not given.

    Returns
    -------
    coefficients : `~numpy.ndarray`, shape (n,)
    inverse : `~numpy.ndarray`, shape (n, n)
        Posterior inverse covariance.
    smoothness : float
    """
    whole = right + normal @ present
    jitter = 1e-13 * np.trace(normal) / len(normal) * np.eye(len(normal))

    def cost(log_size):
        total = normal + prior.fixed + prior.roughness * np.exp(-2.0 * log_size)
        triangle = cho_factor(total + jitter, lower=True)
        gain = whole @ cho_solve(triangle, whole)
        return 2.0 * np.log(np.diag(triangle[0])).sum() + 2.0 * prior.rank * log_size - gain

    if smoothness is None:
        low, high = np.log(_SMOOTHNESS)
        smoothness = float(np.exp(minimize_scalar(cost, bounds=(low, high), method="bounded",
                                                  options={"xatol": 0.02}).x))
    belief = prior.fixed + prior.roughness / smoothness**2
    inverse = normal + belief
    # Counted from the present, what keeps the matrix regular moves nothing.
    step = cho_solve(cho_factor(inverse + jitter, lower=True), right - belief @ present)
    return present + step, inverse, smoothness


def root_of_inverse(matrix):
    """Square root R of the inverse, ``R @ R.T == inv(matrix)``, of a positive matrix."""
    values, vectors = eigh(matrix)
    return vectors / np.sqrt(np.maximum(values, 1e-13 * values.max()))
