"""Numbers that the network has as tensors and as arrays."""

__all__ = ["PIXEL_FLOOR", "POWER_SPREAD", "TYPICAL_POWER", "VARIANCE_FLOOR"]

#: Relative noise that the projection adds to every pixel: errors of any template.
PIXEL_FLOOR = 0.003
#: Variance of ln(SED) that no prediction goes below: (0.03 %)^2.
VARIANCE_FLOOR = 1e-7
#: Resolving power in whose units others are given, and the difference in ln(resolving power) that
#: counts as much as one spread of a coefficient.
TYPICAL_POWER, POWER_SPREAD = 1500.0, 0.25
