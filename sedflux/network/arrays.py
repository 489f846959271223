"""
The network as plain arrays: predictions without torch.

It holds the weights of `~sedflux.network.architecture.UncertaintyAwareResidualAttention` and
computes the same, for networks without convolutions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sedflux.network.config import Config
from sedflux.network.constants import POWER_SPREAD, TYPICAL_POWER, VARIANCE_FLOOR
from sedflux.network.dense import linear, normalised_features, residual_block
from sedflux.network.label_posterior import LabelPosterior, Solutions
from sedflux.network.least_squares import LeastSquares, Projected

__all__ = ["ArrayNetwork", "NetworkValues"]

#: Beginnings of the names of weights that are used in double precision.
_DOUBLE = ("mean_head.", "shortcut.", "variance_head.", "gain_head.", "shared", "sed_mean",
           "sed_templates", "log_variance_start")


class NetworkValues(NamedTuple):
    """
    What a network finds in N spectra.

    Attributes
    ----------
    output : dict of str to `~numpy.ndarray`
        By name, of `sedflux.network.output.Output`: ``mean`` (N, samples), ``label_mean`` (N,
        labels), ``misfit``, ``unusual``, ``excess``, ``strange`` and ``evidence`` (N,), in double
        precision; the covariance, ``diagonal`` (N, samples) and ``directions`` (N, rank,
        sed_components), and ``residual`` (N, pixels), in single precision.
    solutions : `~sedflux.network.label_posterior.Solutions` or None
        Of a model that holds a grid of labels.
    """

    output: dict[str, np.ndarray]
    solutions: Solutions | None


class ArrayNetwork:
    """
    A network of plain arrays.

    Parameters
    ----------
    config : `~sedflux.network.config.Config`
    weights : dict of str to `~numpy.ndarray`
        From `~sedflux.network.stored.read_weights`.

    Attributes
    ----------
    config : `~sedflux.network.config.Config`
    weights : dict of str to `~numpy.ndarray`
    projection : `~sedflux.network.least_squares.LeastSquares`
    unit_templates : `~numpy.ndarray`, shape (sed_components, samples)
        Principal components of ln(SED), each of unit length.
    posterior : `~sedflux.network.label_posterior.LabelPosterior` or None
        If the model holds a grid of labels.
    """

    #: Torch, if the network works with it.
    torch: Any = None

    def __init__(self, config: Config, weights: dict[str, np.ndarray]) -> None:
        self.config, self.weights = config, weights
        self.projection = LeastSquares(*(weights[f"projection.{name}"]
                                         for name in ("mean", "templates", "spread")))
        templates = weights["sed_templates"]
        self._lengths = np.sqrt((templates**2).sum(axis=1))
        self.unit_templates = templates / self._lengths[:, None]
        self.posterior = LabelPosterior(*(weights[f"grid.{name}"] for name in (
            "power", "teff", "logg", "points", "slopes", "scores"))) if config.grid else None
        # Small, and where sums of large numbers cancel: in double precision.
        self._heads = {name: value.astype(float) for name, value in weights.items()
                       if name.startswith(_DOUBLE)}
        self._knots = _interpolation(config.knots, config.samples)
        # Squares of the coordinates of reference stars, and these, (2 (components + 1), n).
        references = weights["references"].T.astype(float)
        self._references = np.concatenate([references**2, -2.0 * references])
        self._spacing = weights["spacing"].astype(float) ** 2
        first, second = np.triu_indices(len(templates))
        # Products off the diagonal count twice.
        self._pairs = (self.unit_templates[first] * self.unit_templates[second]
                       * np.where(first == second, 1.0, 2.0).astype(np.float32)[:, None])
        self._upper = first, second

    def reference_powers(self) -> np.ndarray:
        """Resolving powers of the references, (n,): see `coordinates` of the network of torch."""
        return TYPICAL_POWER * np.exp(
            POWER_SPREAD * self.weights["references"][:, -1].astype(float))

    def reference_spectra(self, rows: Any = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """
        Spectra of the references and their resolving powers.

        Parameters
        ----------
        rows : array_like of int or slice, optional
            All references by default.

        Returns
        -------
        normalised : `~numpy.ndarray`, shape (n, pixels)
            Flux over continuum on the input grid, in double precision.
        resolving_power : `~numpy.ndarray`, shape (n,)
            lambda / FWHM.
        """
        points = self.weights["references"][rows, :-1].astype(float)
        normalised = 1.0 + self.projection.mean + points @ self.projection.scaled
        return normalised, self.reference_powers()[rows]

    def project(self, normalised: np.ndarray, ivar: np.ndarray) -> Projected:
        """
        Project normalised spectra on the templates.

        Parameters
        ----------
        normalised, ivar : `~numpy.ndarray`, shape (N, pixels)
            From `sedflux.spectra.continuum.remove_continuum`.

        Returns
        -------
        projected : `~sedflux.network.least_squares.Projected`
        """
        # Weights of a damaged model may overflow; values that are not finite are flagged later.
        with np.errstate(over="ignore", invalid="ignore"):
            return self.projection(np.asfortranarray(normalised, dtype=np.float32),
                                   np.asfortranarray(ivar, dtype=np.float32))

    def values(self, normalised: np.ndarray, ivar: np.ndarray, power: float, *,
               projected: Projected | None = None) -> NetworkValues:
        """
        What the network finds in normalised spectra of one resolving power.

        Parameters
        ----------
        normalised, ivar : `~numpy.ndarray`, shape (N, pixels)
            From `sedflux.spectra.continuum.remove_continuum`.
        power : float
            lambda / FWHM.
        projected : `~sedflux.network.least_squares.Projected`, optional
            From `project`, if it is known.

        Returns
        -------
        values : `NetworkValues`
        """
        if projected is None:
            projected = self.project(normalised, ivar)
        with np.errstate(over="ignore", invalid="ignore"):
            return self._values(projected, (ivar > 0).astype(np.float32), power)

    def _values(self, projected, good, power):
        features, bounded = self._features(projected, good, power)
        output = {"strange": self._strangeness(projected, power), **_fit(projected, good)}
        output |= self._means(features, bounded)
        output = {name: value.astype(float, copy=False) for name, value in output.items()}
        solutions = None if self.posterior is None else self.posterior.solutions(
            projected.normal, projected.right, power)
        return NetworkValues(output | self._covariance(features) | {
            "residual": projected.residual}, solutions)

    def _features(self, projected, good, power):
        """Features of the trunk, (N, width), and the bounded coefficients."""
        weights, groups, active = self.weights, self.config.groups, self.config.shrink
        weight = projected.weight
        noise = np.log(np.maximum(weight.mean(axis=1, dtype=float), 1e-3)) / 4.0 - 1.5
        place = np.full(len(weight), np.log(power / TYPICAL_POWER), np.float32)
        condition = np.stack([noise.astype(np.float32), place, good.mean(axis=1)], axis=1)
        # Coefficients far outside the training would give any output.
        bounded = 6.0 * np.tanh(projected.coefficients / 6.0)
        hidden = linear(weights, "entry", np.concatenate(
            [bounded, np.log(projected.errors), condition], axis=1))
        for block in range(self.config.blocks):
            hidden = residual_block(weights, f"trunk.{block}", hidden, condition, groups=groups,
                                    active=active)
        return normalised_features(weights, "exit", hidden), bounded

    def _means(self, features, bounded):
        heads, scores = self._heads, self.config.sed_components
        means = linear(heads, "mean_head", features) + linear(heads, "shortcut", bounded)
        return {"mean": heads["sed_mean"] + means[:, :scores] @ heads["sed_templates"],
                "label_mean": means[:, scores:]}

    def _covariance(self, features):
        """
        The covariance as a diagonal and a factor of the configured rank.

        The directions that are dropped are the smallest; their variance joins the diagonal.
        """
        config, heads = self.config, self._heads
        size, rank = config.sed_components, config.rank
        variances = linear(heads, "variance_head", features)
        spread = np.exp(0.5 * np.clip(variances[:, config.knots + config.labels:], -16.0, 4.0))
        gain = np.exp(linear(heads, "gain_head", features))
        own = linear(self.weights, "factor_head", features).reshape(-1, rank, size)
        rows = np.concatenate([gain[..., None] * heads["shared"], own], axis=1)
        rows *= (spread * self._lengths)[:, None]
        # Other ways to the leading directions (pivots, then iterations of a subspace) take as long,
        # because the sizes of directions differ little where they are cut.
        values, vectors = np.linalg.eigh(rows.swapaxes(1, 2) @ rows)
        directions = (vectors * np.sqrt(np.maximum(values, 0.0))[:, None]).swapaxes(1, 2)
        small, large = directions[:, : size - rank], directions[:, size - rank:]
        first, second = self._upper
        dropped = (small.swapaxes(1, 2) @ small)[:, first, second].astype(np.float32) @ self._pairs
        log_variance = heads["log_variance_start"] + variances[:, : config.knots] @ self._knots
        diagonal = np.exp(np.clip(log_variance, -16.0, 4.0)) + VARIANCE_FLOOR
        diagonal += np.maximum(dropped, 0.0)
        return {"diagonal": diagonal.astype(np.float32),
                "directions": _signed(large.astype(np.float32))}

    def _strangeness(self, projected, power):
        """Distance of spectra from the nearest reference star, (N,)."""
        coefficients, errors = projected.coefficients, projected.errors
        count, size = coefficients.shape
        if not self.config.references:
            return np.zeros(count)
        # The square is multiplied out, which cancels: double precision.
        points = np.full((count, size + 1), np.log(power / TYPICAL_POWER) / POWER_SPREAD)
        points[:, :-1] = coefficients
        weight = np.tile(self._spacing, (count, 1))
        weight[:, :-1] += errors.astype(float) ** 2
        weight = 1.0 / weight
        weighted = weight * points
        far = np.concatenate([weight, weighted], axis=1) @ self._references
        nearest = (weighted * points).sum(axis=1) + far.min(axis=1)
        return np.maximum(nearest, 0.0) / points.shape[1]


def _interpolation(knots, samples):
    """Linear interpolation from equally spaced knots to samples, (knots, samples)."""
    place = np.linspace(0.0, knots - 1.0, samples)
    return np.stack([np.interp(place, np.arange(knots), unit)
                     for unit in np.eye(knots)])


def _signed(directions):
    """Directions whose largest component is positive: processors give them either sign."""
    largest = np.abs(directions).argmax(axis=-1, keepdims=True)
    return np.copysign(1.0, np.take_along_axis(directions, largest, axis=-1)) * directions


def _fit(projected, good):
    """How well the projection fits: part of the output."""
    coefficients, errors, residual, weight, *_ = projected
    count = np.maximum(good.sum(axis=1), 1.0)
    square = residual * residual
    # Bad pixels have no weight, and no noise that could be subtracted.
    square -= 1.0 / (weight + (1.0 - good))
    excess = np.einsum("ij,ij->i", square, good, dtype=float) / count
    return {"evidence": projected.evidence(), "misfit": projected.chi2 / count,
            "unusual": (coefficients**2 + errors**2).mean(axis=1),
            "excess": np.sqrt(np.maximum(excess, 0.0))}
