"""From a training run to a model file: averaged weights, domain and provenance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sedflux.emulator.principal import kernels_to_lists
from sedflux.network.checkpoint import save_network
from sedflux.training.covariance_stage import measure_calibration
from sedflux.training.pool import as_tensors
from sedflux.training.stars import GRAVITY_EDGE

if TYPE_CHECKING:
    from sedflux.training.examples import ExampleGenerator
    from sedflux.training.schedule import Schedule
    from sedflux.training.types import Network, PathLike

__all__ = ["export_model", "keep_references", "measure_domain"]

#: Share of simulated stars that lie inside the domain.
_INSIDE = 0.995
#: Least limit of the excess: lines of ordinary real stars differ from models by this rms.
_LEAST_EXCESS = 0.03
#: How far (K) the domain ends inside the library, at its cool and its hot end.
_MARGINS = (200.0, 250.0)
#: Surface gravity above the edge of the library below which stars are flagged: lines of
#: supergiants look like those of the most luminous models.
_GRAVITY_MARGIN = 0.4
#: S/N a pixel of the stars that are kept as references.
_QUIET = 60.0


def measure_domain(network: Network, engine: ExampleGenerator, *,
                   claim: tuple[float, float] | None = None, examples: int = 6144, seed: int = 5
                   ) -> dict[str, Any]:
    """
    Limits of the domain, from simulated stars.

    Parameters
    ----------
    network : `torch.nn.Module`
    engine : `~sedflux.training.examples.ExampleGenerator`
    claim : tuple of float, optional
        Temperatures (K) between which predictions are not flagged; those of the library, a
        little narrower, if not given.
    examples : int, optional
    seed : int, optional

    Returns
    -------
    domain : dict
        ``excess``, ``unusual``, ``strange``, ``teff``, ``gravity`` and ``prior``, as
        `sedflux.predict.flags` wants them.
    """
    batch = engine.examples(examples, np.random.default_rng([seed, 2**30]))
    found: dict[str, list[np.ndarray]] = {"excess": [], "unusual": [], "strange": []}
    with torch.inference_mode():
        for rows in np.array_split(np.arange(examples), max(examples // 256, 1)):
            part = batch.take(rows)
            output = network(*as_tensors(part)[:3])
            quiet = np.median(part.ivar, axis=1) > 30.0**2
            found["excess"].append(output.excess.numpy()[quiet])
            found["unusual"].append(output.unusual.numpy())
            found["strange"].append(output.strange.numpy())
    limit = {name: float(np.quantile(np.concatenate(values), _INSIDE))
             for name, values in found.items()}
    teff = engine.library.labels[:, 0]
    limits = (teff.min() + _MARGINS[0], teff.max() - _MARGINS[1]) if claim is None else claim
    # Real stars among the examples show by themselves how far their lines differ.
    least = _LEAST_EXCESS if engine.scatter is None else 0.0
    return {"excess": max(limit["excess"], least), "unusual": limit["unusual"],
            "strange": limit["strange"],
            "teff": [float(np.round(limit)) for limit in limits],
            "gravity": [list(map(float, GRAVITY_EDGE[0])),
                        [float(logg) + _GRAVITY_MARGIN for logg in GRAVITY_EDGE[1]]],
            "prior": engine.prior}


def keep_references(network: Network, engine: ExampleGenerator, *, count: int = 2048,
                    seed: int = 6) -> None:
    """
    Give a network ordinary stars, against which it measures how unusual a spectrum is.

    Parameters
    ----------
    network : `torch.nn.Module`
        Changed in place.
    engine : `~sedflux.training.examples.ExampleGenerator`
    count : int, optional
        Stars that are kept.
    seed : int, optional
    """
    rng = np.random.default_rng([seed, 2**30])
    found, total = [], 0
    with torch.inference_mode():
        while total < count:
            part = engine.examples(2 * count, rng)
            quiet = np.flatnonzero(np.median(part.ivar, axis=1) > _QUIET**2)
            # Of the noisy copies of one star, one is kept.
            quiet = quiet[np.unique(part.labels[quiet], axis=0, return_index=True)[1]]
            normalised, ivar, power, *_ = as_tensors(part.take(quiet))
            found.append(network.place(network.projection(normalised, ivar)[0], power))
            total += len(quiet)
    network.set_references(torch.cat(found)[:count].clone())


def export_model(path: PathLike, network: Network, engine: ExampleGenerator, *, name: str,
                 training: Mapping[str, Any], schedule: Schedule | None = None,
                 claim: tuple[float, float] | None = None) -> None:
    """
    Write a trained network as a model.

    Parameters
    ----------
    path : path-like
    network : `torch.nn.Module`
    engine : `~sedflux.training.examples.ExampleGenerator`
    name : str
        ``arch.tag``.
    training : dict
        Schedule, seed and last figures of the run.
    schedule : `~sedflux.training.schedule.Schedule`, optional
        Makes calibration and domain of a trial run smaller.
    claim : tuple of float, optional
        See `measure_domain`.
    """
    sized: Callable[[int], int] = int if schedule is None else schedule.sized
    keep_references(network, engine, count=sized(2048))
    library = engine.library
    stars = engine.scatter is not None
    metadata = {
        "name": name,
        "predicts": "intrinsic SED (no reddening), F_lambda relative to 4000-7000 Angstrom",
        "calibration": measure_calibration(network, engine, examples=sized(24576)),
        "caveat": "" if stars else "trained on models alone; real stars differ by more than "
                  "sigma says, above all below 4000 Angstrom",
        "domain": measure_domain(network, engine, claim=claim, examples=sized(6144)),
        "training": training,
        "data": {"sha256": library.sha256, "models": len(library),
                 "test": "models whose INDEX ends in 3 were never seen"},
        "kernels": kernels_to_lists(engine.emulator.kernels),
        "grids": {"input": "log10(wavelength) = 3.6021 + 1e-4 i, 2430 pixels, vacuum",
                  "sed": "575 samples from 2500 to 10500 Angstrom, equal in the logarithm"},
        "terms": "BSD-3-Clause",
    }
    save_network(path, network.eval(), metadata)
