"""Types that annotations of the training share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from sedflux.emulator.gaussian_process import Kernel
from sedflux.network.architecture import UncertaintyAwareResidualAttention

__all__ = ["BandWeights", "Kernels", "Network", "Passbands", "PathLike"]

PathLike: TypeAlias = str | os.PathLike[str]
Network: TypeAlias = UncertaintyAwareResidualAttention
#: One kernel, or one for each leading component.
Kernels: TypeAlias = tuple[Kernel, ...]
#: Wavelength (Angstrom) and throughput by band.
Passbands: TypeAlias = Mapping[str, tuple[np.ndarray, np.ndarray]]
#: Weights of the samples of an SED by band.
BandWeights: TypeAlias = Mapping[str, np.ndarray]
