"""Shapes of a network's tensors, without building the network."""

from __future__ import annotations

import math

from sedflux.network.config import Config

__all__ = ["OPTIONAL_TENSORS", "PATCH", "tensor_shapes"]

#: Pixels between the positions at which the convolutions begin.
PATCH = 24
#: Numbers that describe a spectrum as a whole: noise, resolving power, share of good pixels.
_CONDITIONS = 3
#: Tensors that models written before there were references lack.
OPTIONAL_TENSORS = ("references", "spacing")

Shapes = dict[str, list[int]]


def tensor_shapes(config: Config) -> Shapes:
    """
    Shapes of all tensors of a network.

    Parameters
    ----------
    config : `~sedflux.network.config.Config`

    Returns
    -------
    shapes : dict of str to list of int
        First the tensors that fix every size of the configuration.
    """
    size, width, scores = config.components, config.width, config.sed_components
    shapes: Shapes = {"projection.templates": [size, config.pixels],
                      "sed_templates": [scores, config.samples], "entry.bias": [width]}
    shapes |= _linear("mean_head", width, scores + config.labels)
    shapes |= _linear("variance_head", width, config.knots + config.labels + scores)
    shapes |= _linear("factor_head", width, config.rank * scores)
    shapes |= {"references": [config.references, size + 1], "spacing": [size + 1]}
    if config.grid:
        shapes |= _grid(config)
    for index in range(config.blocks):
        shapes |= _dense_block(f"trunk.{index}", config)
    if config.channels:
        shapes |= _convolutions(config)
    shapes |= {"projection.mean": [config.pixels], "projection.spread": [size],
               "sed_mean": [config.samples], "log_variance_start": [config.samples],
               "shared": [scores, scores]}
    shapes |= _norm("exit", width) | _linear("gain_head", width, scores)
    return shapes | (_linear("shortcut", size, scores + config.labels)
                     | _linear("entry", 2 * size + _CONDITIONS, width))


def _linear(name: str, before: int, after: int) -> Shapes:
    return {f"{name}.weight": [after, before], f"{name}.bias": [after]}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": [width], f"{name}.bias": [width]}


def _threshold(name: str, channels: int) -> Shapes:
    """Attention of a soft threshold."""
    hidden = max(channels // 2, 8)
    return (_linear(f"{name}.attention.0", channels + _CONDITIONS, hidden)
            | _linear(f"{name}.attention.2", hidden, channels))


def _dense_block(name: str, config: Config) -> Shapes:
    width = config.width
    return (_linear(f"{name}.first", width, width) | _linear(f"{name}.second", width, width)
            | _norm(f"{name}.norm", width) | _threshold(f"{name}.shrink", config.groups))


def _grid(config: Config) -> Shapes:
    nodes, (power, teff, logg) = math.prod(config.grid), config.grid
    return {"grid.points": [nodes, config.components], "grid.slopes": [nodes, config.components],
            "grid.scores": [teff * logg, config.sed_components],
            "grid.power": [power], "grid.teff": [teff], "grid.logg": [logg]}


def _convolutions(config: Config) -> Shapes:
    shapes: Shapes = {}
    before, length = config.channels[0], (config.pixels - 2 * PATCH) // PATCH + 1
    for index, channels in enumerate(config.channels):
        name, stride = f"convolutions.{index}", 1 if index == 0 else 2
        shapes |= {f"{name}.first.bias": [channels], f"{name}.first.weight": [channels, before, 5],
                   f"{name}.second.bias": [channels],
                   f"{name}.second.weight": [channels, channels, 5],
                   f"{name}.skip.bias": [channels], f"{name}.skip.weight": [channels, before, 1]}
        shapes |= _norm(f"{name}.norm", channels) | _threshold(f"{name}.shrink", channels)
        length, before = (length - 1) // stride + 1, channels
    first = config.channels[0]
    return shapes | {"stem.bias": [first], "stem.weight": [first, 2, 2 * PATCH],
                     **_linear("join", before * length, config.width)}
