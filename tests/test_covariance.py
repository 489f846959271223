import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.stats import multivariate_normal

from sedflux import LowRankCovariance
from sedflux.exceptions import InputError


def make(seed, size=12, rank=3):
    rng = np.random.default_rng(seed)
    return LowRankCovariance(rng.uniform(0.1, 1.0, size), rng.standard_normal((rank, size)))


def make_measured(seed, size=12, rank=3):
    """What is left of a covariance after two measurements with errors."""
    before = make(seed, size, rank)
    matrix = np.random.default_rng(seed + 7).standard_normal((2, size))
    total = matrix @ before.to_dense() @ matrix.T + 0.1 * np.eye(2)
    removed = np.linalg.solve(np.linalg.cholesky(total), matrix @ before.to_dense())
    return LowRankCovariance(before.diagonal, before.factor, removed)


def test_removed_directions_are_exact_in_every_use(rng):
    covariance = make_measured(3)
    dense, matrix = covariance.to_dense(), rng.standard_normal((4, 12))
    assert np.linalg.eigvalsh(dense)[0] > 0
    residual, direction, scale = rng.standard_normal((3, 12))
    for found, expected in (
            (covariance.variance, np.diag(dense)),
            (covariance.times(matrix), matrix @ dense),
            (covariance.propagate(matrix).to_dense(), matrix @ dense @ matrix.T),
            (covariance.propagate(np.repeat(np.eye(6), 2, axis=1)).to_dense(),
             np.repeat(np.eye(6), 2, axis=1) @ dense @ np.repeat(np.eye(6), 2, axis=0)),
            (covariance.scaled(scale).to_dense(), dense * np.outer(scale, scale)),
            (covariance.take([3, 1]).to_dense(), dense[np.ix_([3, 1], [3, 1])]),
            (covariance.with_direction(direction).to_dense(),
             dense + np.outer(direction, direction)),
            (covariance.chi2(residual), residual @ np.linalg.inv(dense) @ residual),
            (covariance.log_prob(residual), multivariate_normal(np.zeros(12), dense).logpdf(
                residual))):
        assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("independent", [1.0, 0.0])
def test_samples_and_bounds_of_removed_directions(rng, independent):
    measured = make_measured(6, 5, 2)
    if not independent:
        measured = measured.propagate(rng.standard_normal((4, 5)))
    dense = measured.to_dense()
    assert_allclose(np.cov(measured.sample(200_000, rng).T), dense, atol=0.02 * dense.max())
    bound = measured.rounded_up()
    assert len(bound.removed) == 0
    assert np.linalg.eigvalsh(bound.to_dense() - measured.to_dense())[0] > -1e-12
    assert make(1).rounded_up().rank == 3


def test_conditioning_starts_from_what_is_left():
    measured = make_measured(2)
    matrix, noise = np.ones((1, 12)) / 12, [[0.01]]
    shift, after = measured.condition(matrix, [0.2], noise)
    gain = measured.to_dense() @ matrix.T / (matrix @ measured.to_dense() @ matrix.T + 0.01)
    assert_allclose(shift, 0.2 * gain[:, 0])
    exact = measured.to_dense() - gain @ matrix @ measured.to_dense()
    assert np.linalg.eigvalsh(after.to_dense() - exact)[0] > -1e-10


def test_what_is_no_covariance_is_not_inverted():
    gone = LowRankCovariance(np.ones(3), np.ones((1, 3)), 2.0 * np.ones((1, 3)))
    with pytest.raises(InputError, match="no error in some direction"):
        gone.chi2(np.ones(3))
    with pytest.raises(InputError, match="removed has the shape"):
        LowRankCovariance(np.ones(3), np.ones((1, 3)), np.ones((1, 4)))


@given(st.integers(0, 1000), st.integers(2, 15), st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_density_and_chi2_equal_the_dense_ones(seed, size, rank):
    covariance = make(seed, size, rank)
    residual = np.random.default_rng(seed + 1).standard_normal((4, size))
    dense = covariance.to_dense()
    assert_allclose(covariance.log_prob(residual),
                    multivariate_normal(np.zeros(size), dense).logpdf(residual), rtol=1e-8)
    expected = np.einsum("ni,ij,nj->n", residual, np.linalg.inv(dense), residual)
    assert_allclose(covariance.chi2(residual), expected, rtol=1e-7)
    assert_allclose(covariance.chi2(residual[0]), expected[0], rtol=1e-7)


@pytest.mark.parametrize("outputs", [3, 30])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_propagation_equals_the_dense_one(outputs, kind):
    covariance = make(2)
    matrix = np.random.default_rng(3).standard_normal((outputs, 12))
    result = covariance.propagate(kind(matrix))
    assert_allclose(result.to_dense(), matrix @ covariance.to_dense() @ matrix.T, atol=1e-10)


def test_disjoint_rows_keep_a_diagonal():
    result = make(4).propagate(np.kron(np.eye(4), np.ones((1, 3)) / 3))
    assert (result.diagonal > 0).all()
    assert result.rank == 3


def test_sigma_is_the_root_of_the_diagonal():
    covariance = make(5)
    assert_allclose(covariance.sigma**2, np.diag(covariance.to_dense()))


def test_samples_have_the_covariance(rng):
    covariance = make(6, 5, 2)
    samples = covariance.sample(200_000, rng)
    assert_allclose(np.cov(samples.T), covariance.to_dense(), atol=0.05)


def test_conditioning_follows_the_dense_update():
    covariance = LowRankCovariance(np.full(12, 1e-8), make(7).factor)
    matrix = np.random.default_rng(8).uniform(0.0, 1.0, (2, 12)) / 12
    noise, residual = np.diag([0.01, 0.02]), np.array([0.3, -0.2])
    dense = covariance.to_dense()
    gain = dense @ matrix.T @ np.linalg.inv(matrix @ dense @ matrix.T + noise)
    shift, posterior = covariance.condition(matrix, residual, noise)
    assert_allclose(shift, gain @ residual, rtol=1e-8)
    assert_allclose(posterior.to_dense(), dense - gain @ matrix @ dense, atol=1e-7)


def test_conditioning_never_underestimates():
    covariance = make(9)
    matrix, noise = np.full((1, 12), 1 / 12), [[1e-4]]
    dense = covariance.to_dense()
    exact = dense - dense @ matrix.T @ matrix @ dense / (matrix @ dense @ matrix.T + noise)
    posterior = covariance.condition(matrix, [0.0], noise)[1]
    assert (posterior.variance >= np.diag(exact) - 1e-12).all()
    assert matrix @ posterior.to_dense() @ matrix.T < matrix @ dense @ matrix.T


def test_scaled_and_with_direction():
    covariance, scale = make(10), np.linspace(1.0, 2.0, 12)
    assert_allclose(covariance.scaled(scale).to_dense(),
                    covariance.to_dense() * np.outer(scale, scale))
    column = np.linspace(-1.0, 1.0, 12)
    assert_allclose(covariance.with_direction(column).to_dense(),
                    covariance.to_dense() + np.outer(column, column))
    assert covariance.with_direction(np.zeros(12)) is covariance


def test_astropy_covariance_is_the_same():
    covariance = make(11, 4, 1)
    assert_allclose(covariance.to_astropy().to_dense(), covariance.to_dense())


def test_frozen():
    with pytest.raises(ValueError, match="read-only"):
        make(1).diagonal[0] = 2.0


@pytest.mark.parametrize(("diagonal", "factor", "message"), [
    ([1.0, 2.0], [[1.0]], "shapes"),
    ([1.0, -2.0], [[1.0, 1.0]], "negative variance -2"),
    ([1.0, np.nan], [[1.0, 1.0]], "finite"),
])
def test_bad_values_are_refused(diagonal, factor, message):
    with pytest.raises(InputError, match=message):
        LowRankCovariance(diagonal, factor)


def test_misuse_is_told():
    with pytest.raises(InputError, match="columns"):
        make(1).propagate(np.ones((1, 5)))
    with pytest.raises(InputError, match="direction"):
        make(1).with_direction(np.ones(3))
    with pytest.raises(InputError, match="cannot be inverted"):
        LowRankCovariance(np.zeros(2), np.ones((1, 2))).chi2(np.ones(2))


@pytest.mark.parametrize(("size", "rng", "message"), [
    (-1, np.random.default_rng(1), "size is -1"), (1.5, np.random.default_rng(1), "size is 1.5"),
    (True, np.random.default_rng(1), "size is True"), (3, None, "rng is None")])
def test_draws_need_a_number_and_a_generator(size, rng, message):
    with pytest.raises(InputError, match=message):
        make(1).sample(size, rng)


def test_many_narrow_pixels_need_no_square_matrix():
    """Half a million pixels of one value each would fill 2 TiB."""
    covariance = make(4)
    matrix = sparse.csr_matrix(np.ones((1, 12))[[0] * 3])
    many = sparse.vstack([matrix] * 170_000)
    result = covariance.propagate(many)
    assert_allclose(result.sigma, np.sqrt(covariance.to_dense().sum()))


@pytest.mark.parametrize(("change", "message"), [
    ({"diagonal": "x"}, "diagonal of a covariance"), ({"factor": [[1.0], [2.0, 3.0]]}, "factor"),
    ({"diagonal": 10**400}, "diagonal"), ({"factor": None}, "factor"),
    ({"diagonal": np.full(3, np.nan)}, "diagonal of a covariance must be finite"),
    ({"factor": np.full((1, 3), 1e200)}, "factor of a covariance must be finite, and below")])
def test_parts_are_arrays_of_numbers(change, message):
    with pytest.raises(InputError, match=message):
        LowRankCovariance(**({"diagonal": np.ones(3), "factor": np.ones((1, 3))} | change))


@pytest.mark.parametrize("matrix", [None, "x", [1, 2], np.ones(12), np.full((1, 12), np.nan),
                                    np.array(5.0), np.ones((2, 3, 12))])
def test_matrices_are_matrices(matrix):
    with pytest.raises(InputError, match="matrix"):
        make(1).propagate(matrix)


@pytest.mark.parametrize(("change", "message"), [
    ({"matrix": np.ones((1, 5))}, "matrix, residual and noise have the shapes"),
    ({"residual": None}, "residual"), ({"noise": "x"}, "noise"), ({"noise": [[-100.0]]}, "noise"),
    ({"noise": np.ones(3)}, "noise")])
def test_conditions_are_refused_by_name(change, message):
    arguments = {"matrix": np.ones((1, 12)), "residual": [0.1], "noise": [[0.01]]}
    with pytest.raises(InputError, match=message):
        make(1).condition(**(arguments | change))


def test_draws_are_bounded():
    with pytest.raises(InputError, match="draws of 12 values are allowed at once"):
        make(1).sample(2**31, np.random.default_rng(1))
