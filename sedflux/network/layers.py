"""Residual blocks with soft thresholds that attention learns."""

import torch
from torch import nn

__all__ = []


class SoftThreshold(nn.Module):
    """Shrink every channel by a threshold that attention learns from all of them."""

    def __init__(self, channels, conditions, *, active=True):
        super().__init__()
        self.active = active
        hidden = max(channels // 2, 8)
        first, last = nn.Linear(channels + conditions, hidden), nn.Linear(hidden, channels)
        nn.init.constant_(last.bias, -2.0)
        self.attention = nn.Sequential(first, nn.GELU(), last)

    def forward(self, features, condition):
        """``features`` (N, channels, length), ``condition`` (N, conditions)."""
        if not self.active:
            return features
        level = features.abs().mean(dim=-1)
        share = torch.sigmoid(self.attention(torch.cat([level, condition], dim=-1)))
        threshold = (level * share)[..., None]
        return torch.sign(features) * torch.relu(features.abs() - threshold)


class ConvolutionBlock(nn.Module):
    """Residual block over wavelength with soft thresholds; halves the length."""

    def __init__(self, channels_in, channels, conditions, *, stride, active):
        super().__init__()
        self.first = nn.Conv1d(channels_in, channels, 5, stride=stride, padding=2)
        self.second = nn.Conv1d(channels, channels, 5, padding=2)
        self.skip = nn.Conv1d(channels_in, channels, 1, stride=stride)
        self.norm = nn.GroupNorm(1, channels)
        self.shrink = SoftThreshold(channels, conditions, active=active)

    def forward(self, features, condition):
        """``features`` (N, channels_in, length)."""
        inner = self.second(nn.functional.gelu(self.norm(self.first(features))))
        return self.skip(features) + self.shrink(inner, condition)


class DenseBlock(nn.Module):
    """Residual block over features in groups, each with its own soft threshold."""

    def __init__(self, width, groups, conditions, *, active):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.shrink = SoftThreshold(groups, conditions, active=active)
        self.groups = groups

    def forward(self, features, condition):
        """``features`` (N, width)."""
        inner = self.second(nn.functional.gelu(self.first(self.norm(features))))
        inner = inner.unflatten(-1, (self.groups, -1))
        return features + self.shrink(inner, condition).flatten(-2)
