"""
The network: from a normalised spectrum to ln(SED), a diagonal and a low-rank factor.

Two kinds of features of the spectrum enter one residual trunk.

* The *projection* is generalised least squares on principal components of training
  spectra: with templates ``B`` (k x n) of prior variance ``L``, mean ``m`` and pixel
  weights ``w``, the coefficients are ``(B w B^T + L^-1)^-1 B w (y - m)``.  It weighs
  every pixel by its noise, knows gaps, and turns 2430 pixels into k numbers with
  nearly all their information.
* The *convolutions*, if there are any, see the spectrum itself, damped where it is
  noise, and can find what no linear projection does.

Both, and the trunk, are residual blocks with soft thresholds learned per channel,
``sign(x) max(|x| - tau, 0)`` with ``tau = mean|x| sigmoid(attention)``: the deep
residual shrinkage idea (Zhao et al. 2020) of UaRA-net (Yang et al. 2024).
"""

from dataclasses import replace

import torch
from torch import nn

from sedflux.exceptions import ModelError
from sedflux.network.constants import POWER_SPREAD, TYPICAL_POWER, VARIANCE_FLOOR
from sedflux.network.derived import Derived
from sedflux.network.label_grid import LabelGrid
from sedflux.network.layers import ConvolutionBlock, DenseBlock
from sedflux.network.output import Output, Summary
from sedflux.network.projection import Projection
from sedflux.network.shapes import PATCH
from sedflux.network.stored import ARCHITECTURE
from sedflux.network.threads import use_one_thread_after_fork

__all__ = ["ARCHITECTURES", "UncertaintyAwareResidualAttention", "build"]

#: Spread of lines, which sets where the convolutions damp noise.
LINE_SPREAD = 0.1


class UncertaintyAwareResidualAttention(nn.Module):
    """
    The network ``uara``: projection and convolutions, a residual trunk, and heads.

    Parameters
    ----------
    config : `Config`
    """

    sed_mean: torch.Tensor
    sed_templates: torch.Tensor
    log_variance_start: torch.Tensor
    references: torch.Tensor
    spacing: torch.Tensor

    def __init__(self, config):
        super().__init__()
        self.config = config
        size, width, conditions = config.components, config.width, 3
        self.projection = Projection(size, config.pixels)
        self.entry = nn.Linear(2 * size + conditions, width)
        self.convolutions = nn.ModuleList()
        if config.channels:
            first = config.channels[0]
            self.stem = nn.Conv1d(2, first, 2 * PATCH, stride=PATCH)
            length = (config.pixels - 2 * PATCH) // PATCH + 1
            before = first
            for index, channels in enumerate(config.channels):
                stride = 1 if index == 0 else 2
                self.convolutions.append(ConvolutionBlock(
                    before, channels, conditions, stride=stride, active=config.shrink))
                length, before = (length - 1) // stride + 1, channels
            self.join = nn.Linear(before * length, width)
            nn.init.zeros_(self.join.weight)
            nn.init.zeros_(self.join.bias)
        self.trunk = nn.ModuleList(
            DenseBlock(width, config.groups, conditions, active=config.shrink)
            for _ in range(config.blocks)
        )
        self.exit = nn.LayerNorm(width)
        self.shortcut = nn.Linear(size, config.sed_components + config.labels)
        self.mean_head = nn.Linear(width, config.sed_components + config.labels)
        self.variance_head = nn.Linear(
            width, config.knots + config.labels + config.sed_components)
        self.factor_head = nn.Linear(width, config.rank * config.sed_components)
        for head in (self.shortcut, self.mean_head, self.variance_head):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.gain_head = nn.Linear(width, config.sed_components)
        self.shared = nn.Parameter(torch.eye(config.sed_components))
        self.reset_covariance()
        self.register_buffer("sed_mean", torch.zeros(config.samples))
        self.register_buffer("sed_templates", torch.zeros(config.sed_components, config.samples))
        self.register_buffer("log_variance_start", torch.full((config.samples,), -5.0))
        self.register_buffer("references", torch.zeros(config.references, size + 1))
        self.register_buffer("spacing", torch.ones(size + 1))
        self._derived = Derived()
        self.grid = LabelGrid(config.grid, size, config.sed_components) if config.grid else None

    def reset_covariance(self):
        """Begin with independent errors of the components, at their own variances."""
        nn.init.zeros_(self.gain_head.weight)
        nn.init.zeros_(self.gain_head.bias)
        nn.init.normal_(self.factor_head.weight, std=1e-3)
        nn.init.zeros_(self.factor_head.bias)
        with torch.no_grad():
            self.shared.copy_(torch.eye(self.config.sed_components))

    def coordinates(self, coefficients, resolving_power):
        """Coordinates of spectra among the references, (N, components + 1): components, ln(R)."""
        power = torch.log(resolving_power / TYPICAL_POWER) / POWER_SPREAD
        return torch.cat([coefficients, power[:, None]], dim=1)

    def set_references(self, points):
        """
        Store reference stars, and their typical distances from one another.

        Parameters
        ----------
        points : `torch.Tensor`, shape (n, components + 1)
            From `coordinates`.
        """
        self.config = replace(self.config, references=len(points))
        self.references = points
        distance = torch.cdist(points, points)
        distance.fill_diagonal_(torch.inf)
        step = points - points[distance.argmin(dim=1)]
        self.spacing = (step**2).mean(dim=0).sqrt().clamp(min=1e-3)

    def set_grid(self, grid):
        """Store a `LabelGrid`, filled with models."""
        shape = (len(grid.power), len(grid.teff), len(grid.logg))
        self.config, self.grid = replace(self.config, grid=shape), grid

    def strangeness(self, projected, resolving_power):
        """
        Distance of spectra from the nearest reference star, (N,).

        Mean square over the coordinates, in units of the noise and of the distances between
        reference stars: about one for ordinary stars.

        Parameters
        ----------
        projected : tuple of `torch.Tensor`
            From `projection`.
        resolving_power : `torch.Tensor`, shape (N,)
        """
        coefficients, errors, *_ = projected
        if not len(self.references):
            return coefficients.new_zeros(len(coefficients))
        # The square is multiplied out, which cancels: double precision.
        points = self.coordinates(coefficients, resolving_power).double()
        errors = torch.cat([errors, torch.zeros_like(errors[:, :1])], dim=1)
        weight = 1.0 / (errors.double() ** 2 + self.spacing.double() ** 2)
        known = self._derived.get("references", self.references,
                                  lambda: self.references.double().T.contiguous())
        square = self._derived.get("squares", self.references,
                                   lambda: self.references.double().T.contiguous() ** 2)
        far = (weight * points**2).sum(dim=1, keepdim=True)
        far = far - 2.0 * (weight * points) @ known + weight @ square
        return (far.min(dim=1).values.clamp(min=0.0) / points.shape[1]).float()

    def scores_of(self, log_sed):
        """Components of ln(SED) in units of their spread, (N, sed_components)."""
        size = (self.sed_templates**2).sum(dim=1)
        return (log_sed - self.sed_mean) @ (self.sed_templates / size[:, None]).T

    def forward(self, normalised, ivar, resolving_power):
        """
        Predict from normalised spectra.

        Parameters
        ----------
        normalised, ivar : `torch.Tensor`, shape (N, pixels)
            From `sedflux.spectra.continuum.remove_continuum`.
        resolving_power : `torch.Tensor`, shape (N,)

        Returns
        -------
        output : `Output`
        """
        projected = self.projection(normalised, ivar)
        summary = self.summarise(projected, normalised, ivar, resolving_power)
        return Output(**self.heads(*self.features(summary)), **self.fit_of(projected, ivar),
                      strange=self.strangeness(projected, resolving_power))

    def output_of(self, features, bounded):
        """The output without the projection's diagnostics, which training does not need."""
        zero = features.new_zeros(len(features))
        return Output(**self.heads(features, bounded), misfit=zero, unusual=zero, excess=zero,
                      strange=zero, evidence=zero, residual=zero)

    def summarise(self, projected, normalised, ivar, resolving_power):
        """
        What the trunk needs of spectra.

        Parameters
        ----------
        projected : tuple of `torch.Tensor`
            From `projection`.
        normalised, ivar, resolving_power : `torch.Tensor`

        Returns
        -------
        summary : `Summary`
        """
        coefficients, errors, _, weight, _ = projected
        seen = (ivar > 0).float().mean(dim=1)
        noise = torch.log(weight.mean(dim=1).clamp(min=1e-3)) / 4.0 - 1.5
        condition = torch.stack([noise, torch.log(resolving_power / TYPICAL_POWER), seen], dim=1)
        damped = weight.new_empty(len(weight), 0)
        if self.convolutions:
            gain = weight / (weight + LINE_SPREAD**-2)
            damped = torch.stack([normalised * gain / LINE_SPREAD, gain], dim=1)
        return Summary(coefficients, errors, condition, damped)

    def features(self, summary):
        """
        Features of spectra from the trunk.

        Parameters
        ----------
        summary : `Summary`

        Returns
        -------
        features : (N, width)
        bounded : (N, components)
            Coefficients of the projection, clipped to about 6 standard deviations.
        """
        # Coefficients far outside the training would give any output.
        bounded = 6.0 * torch.tanh(summary.coefficients / 6.0)
        condition = summary.condition
        hidden = self.entry(torch.cat([bounded, torch.log(summary.errors), condition], dim=1))
        if self.convolutions:
            damped = self.stem(summary.damped)
            for block in self.convolutions:
                damped = block(damped, condition)
            hidden = hidden + self.join(damped.flatten(1))
        for block in self.trunk:
            hidden = block(hidden, condition)
        return self.exit(hidden), bounded

    def heads(self, features, bounded):
        """Means, variances and factor from the trunk's features: a dict for `Output`."""
        config = self.config
        means = self.mean_head(features) + self.shortcut(bounded)
        variances = self.variance_head(features)
        knots = nn.functional.interpolate(
            variances[:, None, : config.knots], size=config.samples, mode="linear",
            align_corners=True,
        )[:, 0]
        labels, scores = variances[:, config.knots :].split(
            [config.labels, config.sed_components], dim=1)
        scores = scores.clamp(-16.0, 4.0)
        # Rows of order one, times the errors of the components: a linear head alone would
        # not learn the scale of errors over a hundredfold range of noise.
        # Directions shared by all stars, stronger or weaker in each, span every
        # component: with fewer rows than components, the likelihood inflates those
        # that there are (sigma came out three times too large with ten).
        own = self.factor_head(features).unflatten(-1, (config.rank, config.sed_components))
        shared = torch.exp(self.gain_head(features))[..., None] * self.shared
        score_factor = torch.cat([shared, own], dim=1) * torch.exp(0.5 * scores)[:, None]
        return {
            "mean": self.sed_mean + means[:, : config.sed_components] @ self.sed_templates,
            "log_variance": (self.log_variance_start + knots).clamp(-16.0, 4.0),
            "score_factor": score_factor,
            "scores": means[:, : config.sed_components],
            "score_log_variance": scores,
            "label_mean": means[:, config.sed_components :],
            "label_log_variance": labels.clamp(-14.0, 4.0),
        }

    def compact_covariance(self, output):
        """
        Covariance of ln(SED) as a diagonal and a factor of the configured rank.

        The directions that are dropped are the smallest; their variance joins the
        diagonal, so that every sigma stays what it was.

        Returns
        -------
        diagonal : (N, samples)
        factor : (N, rank, samples)
        """
        diagonal, directions = self.compact_directions(output)
        return diagonal, directions @ self.unit_templates()

    def unit_templates(self):
        """Principal components of ln(SED), each of unit length, (sed_components, samples)."""
        return self.sed_templates / self.sed_templates.norm(dim=1, keepdim=True)

    def compact_directions(self, output):
        """
        The covariance of `compact_covariance`, its factor in terms of `unit_templates`.

        Returns
        -------
        diagonal : (N, samples)
        directions : (N, rank, sed_components)
        """
        rank, size = self.config.rank, len(self.sed_templates)
        rows = output.score_factor * self.sed_templates.norm(dim=1)
        values, vectors = torch.linalg.eigh((rows.mT @ rows).double())
        directions = (vectors * values.clamp(min=0.0).sqrt()[:, None]).mT
        small, large = directions.split([size - rank, rank], dim=1)
        first, second = torch.triu_indices(size, size, device=rows.device)
        pairs = self._derived.get("pairs", self.sed_templates, self.template_pairs)
        variance = (small.mT @ small)[:, first, second].float() @ pairs
        diagonal = output.log_variance.exp() + VARIANCE_FLOOR + variance.clamp(min=0.0)
        return diagonal, large.float()

    def template_pairs(self):
        """Products of pairs of `unit_templates`, off the diagonal twice: (pairs, samples)."""
        unit = self.unit_templates()
        first, second = torch.triu_indices(len(unit), len(unit), device=unit.device)
        return unit[first] * unit[second] * (2.0 - (first == second).float())[:, None]

    @staticmethod
    def fit_of(projected, ivar):
        """How well the projection fits: a dict for `Output`."""
        coefficients, errors, residual, weight, _ = projected
        good = (ivar > 0).float()
        count = good.sum(dim=1).clamp(min=1.0)
        square = residual * residual
        noise = 1.0 / (weight + (1.0 - good))
        excess = (good * (square - noise)).sum(dim=1) / count
        chi2 = chi2_of(projected)
        return {
            "evidence": evidence_of(projected, chi2),
            "misfit": chi2 / count,
            "unusual": (coefficients**2 + errors**2).mean(dim=1),
            "excess": excess.clamp(min=0.0).sqrt(),
            "residual": residual,
        }


def chi2_of(projected):
    """Chi-square of the residuals of a projection, (N,)."""
    _, _, residual, weight, _ = projected
    return (residual * residual * weight).sum(dim=1)


def evidence_of(projected, chi2):
    """
    Logarithm of the likelihood of spectra, see `sedflux.network.output.Output`.

    Parameters
    ----------
    projected : tuple of `torch.Tensor`
        From the projection.
    chi2 : `torch.Tensor`, shape (N,)
        From `chi2_of`.

    Returns
    -------
    evidence : `torch.Tensor`, shape (N,)
    """
    coefficients, *_, log_volume = projected
    # Templates with normal coefficients are a Gaussian process, whose likelihood this is, but
    # for the noise of the pixels, which is the same for all templates.
    prior = (coefficients.double()**2).sum(dim=1)
    return -0.5 * (chi2.double() + prior) - log_volume


#: Architectures by name.
ARCHITECTURES = {ARCHITECTURE: UncertaintyAwareResidualAttention}


def build(config):
    """
    Build a network from its configuration, with random weights.

    Parameters
    ----------
    config : `Config`

    Raises
    ------
    sedflux.exceptions.ModelError
        If the architecture is unknown.
    """
    if config.arch not in ARCHITECTURES:
        raise ModelError(
            f"architecture {config.arch!r} is unknown; sedflux has {sorted(ARCHITECTURES)}"
        )
    # A forked process may go on with the network.
    use_one_thread_after_fork()
    return ARCHITECTURES[config.arch](config)
