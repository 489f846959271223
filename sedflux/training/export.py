"""From a training run to a model file: averaged weights, domain and provenance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sedflux.network.checkpoint import save_network
from sedflux.training.covariance_stage import measure_calibration
from sedflux.training.pool import as_tensors

if TYPE_CHECKING:
    from sedflux.training.examples import Observer
    from sedflux.training.schedule import Schedule
    from sedflux.training.types import Network, PathLike

__all__ = ["export_model", "keep_references", "measure_domain"]

#: Share of simulated stars that lie inside the domain.
_DOMAIN_SHARE = 0.995
#: Least limit of the excess: lines of ordinary real stars differ from models by this rms.
_LEAST_EXCESS = 0.03
#: Distance (K) of the limits of the domain from those of the library: cool and hot end.
_MARGINS = (200.0, 250.0)
#: Least S/N per pixel of reference stars.
_REFERENCE_SNR = 60.0


def measure_domain(network: Network, generator: Observer, *,
                   claim: tuple[float, float] | None = None, examples: int = 6144, seed: int = 5,
                   share: float = _DOMAIN_SHARE, least_excess: float = _LEAST_EXCESS
                   ) -> dict[str, Any]:
    """
    Limits of the domain, from simulated stars.

    Parameters
    ----------
    network : `torch.nn.Module`
    generator : `~sedflux.training.examples.Observer`
    claim : tuple of float, optional
        Temperatures (K) between which predictions are not flagged; by default the range of the
        library without its margins.
    examples : int, optional
    seed : int, optional
    share : float, optional
        Of the examples that are within the limits.
    least_excess : float, optional
        Least limit of the excess.

    Returns
    -------
    domain : dict
        ``excess``, ``unusual``, ``strange``, ``teff``, ``prior`` and limits of gravity, as
        `sedflux.predict.flags` takes them.
    """
    batch = generator.examples(examples, np.random.default_rng([seed, 2**30]))
    found: dict[str, list[np.ndarray]] = {"excess": [], "unusual": [], "strange": []}
    with torch.inference_mode():
        for rows in np.array_split(np.arange(examples), max(examples // 256, 1)):
            part = batch.take(rows)
            output = network(*as_tensors(part)[:3])
            bright = np.median(part.ivar, axis=1) > 30.0**2
            found["excess"].append(output.excess.numpy()[bright])
            found["unusual"].append(output.unusual.numpy())
            found["strange"].append(output.strange.numpy())
    limit = {name: float(np.quantile(np.concatenate(values), share))
             for name, values in found.items()}
    teff = generator.library.labels[:, 0]
    limits = (teff.min() + _MARGINS[0], teff.max() - _MARGINS[1]) if claim is None else claim
    # Examples that include the scatter of real stars measure this limit themselves.
    least = least_excess if generator.scatter is None else 0.0
    return {"excess": max(limit["excess"], least), "unusual": limit["unusual"],
            "strange": limit["strange"],
            "teff": [float(np.round(limit)) for limit in limits],
            **generator.gravity_limits(), "prior": generator.prior}


def keep_references(network: Network, generator: Observer, *, count: int = 2048,
                    seed: int = 6) -> None:
    """
    Store reference stars in a network; the distance to the nearest one is ``strange``.

    Parameters
    ----------
    network : `torch.nn.Module`
        Changed in place.
    generator : `~sedflux.training.examples.Observer`
    count : int, optional
        Number of reference stars.
    seed : int, optional
    """
    rng = np.random.default_rng([seed, 2**30])
    found, total = [], 0
    with torch.inference_mode():
        while total < count:
            part = generator.examples(2 * count, rng)
            bright = np.flatnonzero(np.median(part.ivar, axis=1) > _REFERENCE_SNR**2)
            # Of the noisy copies of one star, one is kept.
            bright = bright[np.unique(part.labels[bright], axis=0, return_index=True)[1]]
            normalised, ivar, power, *_ = as_tensors(part.take(bright))
            found.append(network.coordinates(network.projection(normalised, ivar)[0], power))
            total += len(bright)
    network.set_references(torch.cat(found)[:count].clone())


def export_model(path: PathLike, network: Network, generator: Observer, *, name: str,
                 training: Mapping[str, Any], schedule: Schedule | None = None,
                 claim: tuple[float, float] | None = None) -> None:
    """
    Write a trained network as a model.

    Parameters
    ----------
    path : path-like
    network : `torch.nn.Module`
    generator : `~sedflux.training.examples.Observer`
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
    keep_references(network, generator, count=sized(2048))
    entries = generator.complete(network)
    library = generator.library
    stars = generator.scatter is not None
    metadata = {
        "name": name,
        "predicts": "intrinsic SED (no reddening), F_lambda relative to 4000-7000 Angstrom",
        "calibration": measure_calibration(network, generator, examples=sized(24576)),
        "caveat": "" if stars else "trained on models alone; real stars differ by more than "
                  "sigma says, above all below 4000 Angstrom",
        "domain": measure_domain(network, generator, claim=claim, examples=sized(6144)),
        "training": training,
        "data": {"sha256": library.sha256, "models": len(library),
                 "test": "models whose INDEX ends in 3 were never seen"},
        **entries,
        "grids": {"input": "log10(wavelength) = 3.6021 + 1e-4 i, 2430 pixels, vacuum",
                  "sed": "575 samples from 2500 to 10500 Angstrom, equal in the logarithm"},
        "terms": "BSD-3-Clause",
    }
    save_network(path, network.eval(), metadata)
