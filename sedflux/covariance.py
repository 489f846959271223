"""
`LowRankCovariance`: a diagonal plus a few directions, never a dense matrix.

``C = diag(d) + U^T U`` with ``d`` (n,) and ``U`` (r, n).  Everything costs ``n r^2`` by the
Woodbury identity.  A measurement lowers the covariance by ``R^T R``, which is kept apart: an
anchored SED needs one row of ``R``, or as many more rows of ``U`` as its band has samples.

Inside sedflux it describes ln(flux), which is relative flux; `scaled` turns it into the
covariance of an absolute flux.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from sedflux.exceptions import InputError

__all__ = ["LowRankCovariance", "positive_part"]


#: Numbers beyond this have no square.
_LARGEST = 1e150


def _numbers(values, name):
    """An array of finite, real numbers without a unit."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiu" or hasattr(values, "unit") or np.ma.is_masked(values):
            raise TypeError(f"its type is {type(values).__name__} of {array.dtype}")
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} of a covariance is no array of real numbers ({error}); give "
                         "plain numbers") from error
    array = array.astype(float)
    if not (np.abs(array) < _LARGEST).all():
        raise InputError(f"{name} of a covariance must be finite, and below {_LARGEST:g}, whose "
                         "square is no number")
    return array


def positive_part(rows, core):
    """
    Factor of the positive part of ``rows.T @ core @ rows``.

    Parameters
    ----------
    rows : `~numpy.ndarray`, shape (k, n)
    core : `~numpy.ndarray`, shape (k, k)
        Symmetric; may be indefinite.

    Returns
    -------
    factor : `~numpy.ndarray`, shape (r, n)
        ``factor.T @ factor`` is the product without its negative eigenvalues: equal
        where there are none, larger (in the sense of matrices) where there are.
    """
    basis, triangle = np.linalg.qr(rows.T)
    values, vectors = np.linalg.eigh(triangle @ core @ triangle.T)
    keep = values > 0
    return (basis @ (vectors[:, keep] * np.sqrt(values[keep]))).T


#: Numbers that are drawn at once: 4 GiB.
_MOST_DRAWN = 2**29


@dataclass(frozen=True, eq=False, repr=False)
class LowRankCovariance:
    """
    Covariance of n values: ``diag(diagonal) + factor.T @ factor - removed.T @ removed``.

    Parameters
    ----------
    diagonal : array_like, shape (n,)
        Variances that are independent from value to value; not negative.
    factor : array_like, shape (r, n)
        Directions in which all values move together, one per row; r may be zero.
    removed : array_like, shape (s, n), optional
        Directions that are taken away; none by default.  Without them the covariance is too
        large, never too small.

    Raises
    ------
    sedflux.exceptions.InputError
        If shapes disagree, or a value is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from sedflux.covariance import LowRankCovariance
    >>> covariance = LowRankCovariance(np.full(3, 0.01), np.full((1, 3), 0.2))
    >>> covariance.sigma.round(3)
    array([0.224, 0.224, 0.224])

    The mean of the three is hardly better known than each, for they err together:

    >>> covariance.propagate(np.full((1, 3), 1 / 3)).sigma.round(3)
    array([0.208])
    """

    diagonal: np.ndarray
    factor: np.ndarray
    removed: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def __post_init__(self):
        diagonal, factor = _numbers(self.diagonal, "diagonal"), _numbers(self.factor, "factor")
        removed = _numbers(self.removed, "removed")
        if not removed.size:
            removed = np.zeros((0, diagonal.size))
        if removed.shape[1:] != diagonal.shape:
            raise InputError(f"removed has the shape {removed.shape}; a covariance of "
                             f"{diagonal.size} values needs (s, {diagonal.size})")
        if diagonal.ndim != 1 or factor.ndim != 2 or factor.shape[1] != diagonal.size:
            raise InputError(
                f"diagonal and factor have the shapes {diagonal.shape} and {factor.shape}; "
                "a covariance of n values needs (n,) and (r, n)")
        if diagonal.size and diagonal.min() < 0:
            raise InputError(f"diagonal has the negative variance {diagonal.min():.3g}; none may "
                             "be below zero")
        for name, array in (("diagonal", diagonal), ("factor", factor), ("removed", removed)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self):
        return self.diagonal.size

    def __repr__(self):
        return f"<LowRankCovariance of {len(self)} values: {self.rank} directions>"

    def __eq__(self, other):
        return isinstance(other, LowRankCovariance) and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("diagonal", "factor", "removed"))

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.to_dense(), dtype)

    @property
    def rank(self):
        """Number of rows of the factor."""
        return len(self.factor)

    @property
    def variance(self):
        """Diagonal of the covariance, shape (n,)."""
        gross = self.diagonal + (self.factor**2).sum(axis=0)
        # Rounding leaves less than nothing where a measurement leaves nothing.
        return np.maximum(gross - (self.removed**2).sum(axis=0), 0.0)

    @property
    def sigma(self):
        """Standard deviations, shape (n,)."""
        return np.sqrt(self.variance)

    def to_dense(self):
        """The matrix itself, shape (n, n)."""
        return (np.diag(self.diagonal) + self.factor.T @ self.factor
                - self.removed.T @ self.removed)

    def rounded_up(self):
        """
        A covariance without removed directions, as small as its rank allows.

        Returns
        -------
        covariance : `LowRankCovariance`
            The same if nothing is removed, else larger in the sense of matrices.
        """
        if not len(self.removed):
            return self
        core = np.diag(np.r_[np.ones(self.rank), -np.ones(len(self.removed))])
        return LowRankCovariance(self.diagonal,
                                 positive_part(np.vstack([self.factor, self.removed]), core))

    def to_astropy(self):
        """
        The same as `astropy.nddata.Covariance`.

        Returns
        -------
        covariance : `~astropy.nddata.Covariance`
        """
        from astropy.nddata import Covariance

        return Covariance(array=self.to_dense())

    def with_direction(self, direction):
        """
        Add one more common direction, such as the error of a reddening.

        Parameters
        ----------
        direction : array_like, shape (n,)
            One standard deviation along it.
        """
        direction = _numbers(direction, "direction")
        if direction.shape != self.diagonal.shape:
            raise InputError(f"direction has the shape {direction.shape}, the covariance has "
                             f"{len(self)} values")
        if not np.any(direction):
            return self
        return LowRankCovariance(self.diagonal, np.vstack([self.factor, direction]), self.removed)

    #: The former name of `with_direction`.
    with_column = with_direction

    def scaled(self, scale):
        """
        Covariance of the values multiplied by ``scale``, shape (n,) or a number.

        With a flux as scale it turns relative into absolute covariance.
        """
        scale = np.broadcast_to(np.asarray(scale, dtype=float), self.diagonal.shape)
        return LowRankCovariance(self.diagonal * scale**2, self.factor * scale,
                                 self.removed * scale)

    def take(self, rows):
        """
        Covariance of some of the values, in any order.

        Parameters
        ----------
        rows : array_like of int or bool, or slice
        """
        return LowRankCovariance(self.diagonal[rows], self.factor[:, rows], self.removed[:, rows])

    def propagate(self, matrix):
        """
        Covariance of ``matrix @ values``.

        Rows that share values become correlated through the diagonal part, which
        is then handed on exactly, as further rows of the factor: at most
        ``min(m, n)`` of them.

        Parameters
        ----------
        matrix : array_like or sparse matrix, shape (m, n)

        Returns
        -------
        covariance : `LowRankCovariance`
            Of m values; equal to ``matrix @ C @ matrix.T``.
        """
        matrix = matrix if sparse.issparse(matrix) else _numbers(matrix, "matrix")
        if matrix.ndim != 2 or matrix.shape[1] != len(self):
            raise InputError(f"matrix has the shape {matrix.shape}, the covariance has "
                             f"{len(self)} values; as many columns are needed")
        matrix = sparse.csr_matrix(matrix)
        factor, removed = (np.asarray((matrix @ rows.T).T) for rows in (self.factor, self.removed))
        weighted = matrix @ sparse.diags_array(np.sqrt(self.diagonal))
        # Values without a column in common stay independent.
        if (np.diff(sparse.csc_array(weighted != 0).indptr) <= 1).all():
            return LowRankCovariance(np.ravel(weighted.multiply(weighted).sum(axis=1)), factor,
                                     removed)
        rest, diagonal = weighted.toarray().T, np.zeros(weighted.shape[0])
        if len(diagonal) < len(self):
            values, vectors = np.linalg.eigh((weighted @ weighted.T).toarray())
            rest = (vectors * np.sqrt(np.clip(values, 0.0, None))).T
        return LowRankCovariance(diagonal, np.vstack([factor, rest]), removed)

    def sample(self, size, rng):
        """
        Draw deviations from the mean.

        Parameters
        ----------
        size : int
            Number of draws.
        rng : `numpy.random.Generator`

        Returns
        -------
        deviations : `~numpy.ndarray`, shape (size, n)

        Raises
        ------
        sedflux.exceptions.InputError
            If ``size`` is no whole number of 0 or more, or ``rng`` no generator.
        """
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0:
            raise InputError(f"size is {size!r}; a whole number of 0 or more is needed")
        most = _MOST_DRAWN // (len(self) + self.rank)
        if size > most:
            raise InputError(f"size is {size}; {most} draws of {len(self)} values are allowed "
                             "at once")
        if not isinstance(rng, np.random.Generator):
            raise InputError(f"rng is {rng!r}; give a generator, as numpy.random.default_rng(1)")
        if len(self.removed) and np.any(self.diagonal <= 0):
            return self.rounded_up().sample(size, rng)
        common = rng.standard_normal((size, self.rank)) @ self.factor
        drawn = common + rng.standard_normal((size, len(self))) * np.sqrt(self.diagonal)
        return drawn - self._surplus(drawn)

    def _surplus(self, drawn):
        """What draws of the covariance without `removed`, A, have too much of."""
        if not len(self.removed):
            return np.zeros(self.diagonal.shape)
        # T = 1 - R^T B R A^-1 makes T A T^T = A - R^T R, where 2 B - B (R A^-1 R^T) B = 1.
        inverse = LowRankCovariance(self.diagonal, self.factor)._solve(self.removed)
        values, vectors = np.linalg.eigh(self.removed @ inverse.T)
        rows = vectors.T @ self.removed
        gain = 1.0 / (1.0 + np.sqrt(np.clip(1.0 - values, 0.0, None)))
        return (drawn @ (vectors.T @ inverse).T * gain) @ rows

    def _woodbury(self):
        """Inverse standard deviations, whitened directions and their core."""
        if np.any(self.diagonal <= 0):
            raise InputError(
                "this covariance has a vanishing diagonal and cannot be inverted; "
                "add the noise of the measurement first"
            )
        inverse_sigma = 1.0 / np.sqrt(self.diagonal)
        white = np.vstack([self.factor, self.removed]) * inverse_sigma
        signs = np.r_[np.ones(self.rank), -np.ones(len(self.removed))]
        core = np.diag(signs) + white @ white.T
        sign, log_det = np.linalg.slogdet(core)
        if sign * signs.prod() <= 0:
            raise InputError("this covariance leaves no error in some direction and cannot be "
                             "inverted; add the noise of the measurement first")
        return inverse_sigma, white, core, log_det

    def _solve(self, rows):
        """``rows @ C^-1``, shape (N, n)."""
        inverse_sigma, white, core, _ = self._woodbury()
        scaled = rows * inverse_sigma
        return (scaled - np.linalg.solve(core, white @ scaled.T).T @ white) * inverse_sigma

    def chi2(self, residual):
        """
        ``residual^T C^-1 residual`` for residuals of shape (n,) or (N, n).
        """
        rows = np.atleast_2d(np.asarray(residual, dtype=float))
        square = (rows * self._solve(rows)).sum(axis=1)
        return square if np.ndim(residual) > 1 else float(square[0])

    def log_prob(self, residual):
        """
        Gaussian log density of residuals, shape (n,) or (N, n).
        """
        log_det = np.log(self.diagonal).sum() + self._woodbury()[3]
        return -0.5 * (self.chi2(residual) + log_det + len(self) * np.log(2.0 * np.pi))

    def condition(self, matrix, residual, noise):
        """
        Condition on measurements of linear combinations (Kalman's update).

        Parameters
        ----------
        matrix : array_like, shape (m, n)
            ``matrix @ values`` is what was measured; m is small.
        residual : array_like, shape (m,)
            Measured minus expected.
        noise : array_like, shape (m, m)
            Covariance of the measurement errors.

        Returns
        -------
        shift : `~numpy.ndarray`, shape (n,)
            What to add to the values.
        covariance : `LowRankCovariance`
            What uncertainty is left.  The independent part, which a broad
            measurement averages away, keeps its variance, on the side of caution:
            the result is never below the exact one.
        """
        matrix = np.atleast_2d(_numbers(matrix, "matrix"))
        residual = np.atleast_1d(_numbers(residual, "residual"))
        noise = np.atleast_2d(_numbers(noise, "noise"))
        size = len(matrix)
        if (matrix.shape, residual.shape, noise.shape) != (
                (size, len(self)), (size,), (size, size)):
            raise InputError(
                f"matrix, residual and noise have the shapes {matrix.shape}, {residual.shape} and "
                f"{noise.shape}; (m, {len(self)}), (m,) and (m, m) are needed")
        across = self.times(matrix)
        try:
            total = cho_factor(across @ matrix.T + noise, lower=True)
        except np.linalg.LinAlgError as error:
            raise InputError("noise is no covariance: it must be symmetric and "
                             "positive") from error
        shift = across.T @ cho_solve(total, residual)
        known = solve_triangular(total[0], across, lower=True)
        return shift, LowRankCovariance(
            self.diagonal, self.factor, np.vstack([self.removed, known])).rounded_up()

    def times(self, rows):
        """
        ``rows @ C``.

        Parameters
        ----------
        rows : `~numpy.ndarray`, shape (m, n)

        Returns
        -------
        product : `~numpy.ndarray`, shape (m, n)
        """
        return (rows * self.diagonal + (rows @ self.factor.T) @ self.factor
                - (rows @ self.removed.T) @ self.removed)
