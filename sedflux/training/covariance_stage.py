"""
The second stage of training: the covariance alone, with the means held fixed.

During the first stage, the errors of the means shrink and change shape faster than the predicted
covariance follows.  The second stage computes the features of some ten thousand new examples
once, and trains the heads of the covariance on them to convergence by the full likelihood.
Finally, the scale of sigma by band and S/N is measured on examples that neither stage used.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from sedflux.spectra.bands import BANDS, band_rows
from sedflux.spectra.grids import sed_grid
from sedflux.training.loss import covariance_loss, label_loss, score_loss
from sedflux.training.pool import as_tensors

if TYPE_CHECKING:
    from sedflux.training.examples import Observer
    from sedflux.training.types import Network

__all__ = ["fit_covariance", "measure_calibration"]

#: Edges of the bins in S/N per pixel in which the scale of sigma is measured.
SNR_EDGES = (5.0, 8.0, 14.0, 28.0, 56.0, 110.0, 300.0)


def _compute(network, generator, examples, rng):
    """Features, truths and S/N of new examples, a few thousand at a time to save memory."""
    found, size = [], min(examples, 2048)
    with torch.no_grad():
        for _ in range(-(-examples // size)):
            part = generator.examples(size, rng)
            for rows in np.array_split(np.arange(size), 4):
                piece = part.take(rows)
                normalised, ivar, power, log_sed, labels = as_tensors(piece)
                projected = network.projection(normalised, ivar)
                summary = network.summarise(projected, normalised, ivar, power)
                features, bounded = network.features(summary)
                level = (ivar.sum(dim=1) / (ivar > 0).sum(dim=1).clamp(min=1)).sqrt()
                found.append((features, bounded, log_sed, labels, level))
    return [torch.cat(values) for values in zip(*found, strict=True)]


def fit_covariance(network: Network, generator: Observer, *, examples: int = 40960,
                   steps: int = 1800, batch: int = 512, learning_rate: float = 2e-3,
                   seed: int = 1) -> list[float]:
    """
    Train the heads of the covariance; the means stay as they are.

    Parameters
    ----------
    network : `torch.nn.Module`
        Changed in place.
    generator : `~sedflux.training.examples.Observer`
    examples, steps, batch : int, optional
    learning_rate : float, optional
    seed : int, optional

    Returns
    -------
    history : list of float
        Mean loss of every hundred steps.
    """
    rng = np.random.default_rng([seed, 2**31 + 1])
    network.eval()
    features, bounded, log_sed, labels, _ = _compute(network, generator, examples, rng)
    scores = network.scores_of(log_sed)
    network.reset_covariance()
    heads = [*network.factor_head.parameters(), *network.gain_head.parameters(),
             *network.variance_head.parameters(), network.shared]
    for parameter in heads:
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam(heads, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    history: list[float] = []
    recent: list[float] = []
    for step in range(steps):
        rows = torch.from_numpy(rng.integers(0, len(features), batch))
        output = network.output_of(features[rows], bounded[rows])
        loss = covariance_loss(network, output, log_sed[rows], scores[rows])
        # Without these two terms the variances of scores and labels would drift.
        loss = loss + score_loss(output, scores[rows]) + label_loss(output, labels[rows])
        loss = loss.mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(heads, 1.0)
        optimizer.step()
        schedule.step()
        recent.append(loss.item())
        if (step + 1) % 100 == 0:
            history.append(float(np.mean(recent)))
            recent = []
    return history


def measure_calibration(network: Network, generator: Observer, *, examples: int = 24576,
                        seed: int = 1) -> dict[str, list]:
    """
    Ratio of true to predicted errors, by S/N and band, on new examples.

    It is the rms of the pulls, or, of generators that are ``robust``, what holds 68.3 % of them.

    Parameters
    ----------
    network : `torch.nn.Module`
    generator : `~sedflux.training.examples.Observer`
    examples : int, optional
    seed : int, optional

    Returns
    -------
    calibration : dict
        ``snr`` (k,), ``wavelength`` (4,) and ``scale`` (k, 4), as
        `sedflux.predict.sigma.Widening` takes them.
    """
    rng = np.random.default_rng([seed, 2**31 + 2])
    features, bounded, log_sed, _, level = _compute(network, generator, examples, rng)
    bands = band_rows(sed_grid()).values()
    pulls = []
    with torch.no_grad():
        for rows in torch.arange(len(features)).split(1024):
            output = network.output_of(features[rows], bounded[rows])
            diagonal, factor = network.compact_covariance(output)
            variance = diagonal + (factor**2).sum(dim=1)
            pulls.append((((log_sed[rows] - output.mean) ** 2) / variance).numpy())
    square, level = np.concatenate(pulls), level.numpy()
    scale = []
    for low, high in pairwise(SNR_EDGES):
        inside = (level >= low) & (level < high)
        scale.append([_ratio(square[inside][:, band], generator.robust) for band in bands])
    return {"snr": [float(np.sqrt(a * b)) for a, b in pairwise(SNR_EDGES)],
            "wavelength": [float(np.sqrt(a * b)) for a, b in BANDS.values()], "scale": scale}


def _ratio(square, robust):
    """Rms of pulls from their squares, or their 68.3 % quantile."""
    return float(np.sqrt(np.quantile(square, 0.683) if robust else square.mean()))
