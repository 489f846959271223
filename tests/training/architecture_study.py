"""
Three networks on the same examples for the same time: what do convolutions add?

``python -m tests.training.architecture_study synthetic.fits --seconds 110`` trains, in turns of a
few seconds, the projection alone (as the packaged models), projection and convolutions, and
convolutions over the pixels alone (as in Yang et al. 2024).  It wants a GPU and a dozen
processors; it prints errors on the held-out models in units of the Fisher bound, as JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import queue
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from sedflux.emulator.labelfit import LabelFit
from sedflux.emulator.principal import kernels_from_lists
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.libraries.library import read_library, split_models
from sedflux.network.architecture import UncertaintyAwareResidualAttention
from sedflux.network.config import Config
from sedflux.network.output import Summary
from sedflux.network.stored import read_weights
from sedflux.predict.checks import RESOLVING_POWER
from sedflux.predict.models import find_model
from sedflux.spectra.bands import BANDS, band_rows
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import input_grid, optical_mean, sed_grid
from sedflux.spectra.normalise import input_basis
from sedflux.training.examples import ExampleGenerator
from sedflux.training.pool import Batch
from sedflux.training.pretrain import _averaged, _loss, prepare_network
from sedflux.training.schedule import Schedule
from sedflux.validation.synthetic import noisy_copies, split_targets

_log = logging.getLogger(__name__)

BLOCK, BATCH, TURN = 4096, 512, 5.0
LEARNING_RATE = 1.5e-3
SNRS = (20.0, 40.0, 80.0)


class PixelNetwork(UncertaintyAwareResidualAttention):
    """Convolutions over the pixels alone: nothing of the projection enters."""

    def features(self, summary):
        return super().features(Summary(
            torch.zeros_like(summary.coefficients), torch.ones_like(summary.errors),
            summary.condition, summary.damped))


ARMS = {"projection": (UncertaintyAwareResidualAttention, ()),
        "both": (UncertaintyAwareResidualAttention, (16, 32, 48)),
        "convolutions": (PixelNetwork, (32, 48, 64))}


class Blocks(IterableDataset):
    """Blocks of examples without end, another series in every process."""

    def __init__(self, generator):
        self.generator = generator

    def __iter__(self):
        torch.set_num_threads(1)
        worker = torch.utils.data.get_worker_info()
        number = 0 if worker is None else worker.id
        while True:
            found = self.generator.examples(BLOCK, np.random.default_rng([5, number]))
            yield [torch.from_numpy(np.asarray(value, kind)) for value, kind in (
                (np.clip(found.normalised, -100.0, 100.0), np.float16),
                (np.minimum(np.sqrt(found.ivar), 6e4), np.float16),
                (found.resolving_power, np.float32), (found.log_sed, np.float32),
                (found.labels, np.float32))]
            number += 1000


class Ring:
    """Examples on the device, renewed as fast as processes make them."""

    def __init__(self, generator, device, *, blocks, workers):
        self.device, self.size = device, blocks
        self.fresh = queue.Queue(4)
        self.source = iter(DataLoader(Blocks(generator), batch_size=None, num_workers=workers,
                                      prefetch_factor=2))
        threading.Thread(target=self._read, daemon=True).start()
        first = self.fresh.get()
        self.values = [torch.empty((blocks, *value.shape), dtype=value.dtype, device=device)
                       for value in first]
        self.made = 0
        self._put(first)
        while self.made < blocks:
            self._put(self.fresh.get())

    def _read(self):
        for block in self.source:
            self.fresh.put(block)

    def _put(self, block):
        for ring, value in zip(self.values, block, strict=True):
            ring[self.made % self.size] = value.to(self.device)
        self.made += 1

    def batch(self):
        if not self.fresh.empty():
            self._put(self.fresh.get())
        rows = torch.randint(self.size * BLOCK, (BATCH,), device=self.device)
        normalised, root, power, log_sed, labels = (
            value.flatten(0, 1)[rows].float() for value in self.values)
        return normalised, root**2, power, log_sed, labels


@dataclass
class Arm:
    """One network in training."""

    name: str
    network: nn.Module
    seconds: float = 0.0
    steps: int = 0
    losses: list = field(default_factory=list)

    def __post_init__(self):
        self.average = _averaged(self.network, 0.999)
        fused = next(self.network.parameters()).is_cuda
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=LEARNING_RATE,
                                           weight_decay=1e-4, fused=fused)

    def turn(self, ring, budget):
        """Train for some seconds of the budget."""
        end = min(self.seconds + TURN, budget)
        start, before = time.perf_counter(), self.seconds
        recent = []
        while self.seconds < end:
            phase = min(self.seconds / budget, 1.0)
            rate = min(1.0, (self.steps + 1) / 500) * (
                0.01 + 0.99 * 0.5 * (1.0 + np.cos(np.pi * phase)))
            for group in self.optimizer.param_groups:
                group["lr"] = LEARNING_RATE * rate
            recent.append(self._step(ring.batch()))
            self.steps += 1
            if self.steps % 20 == 0 and recent[-1].is_cuda:
                torch.cuda.synchronize()
            self.seconds = before + time.perf_counter() - start
        self.losses.append(torch.stack(recent).mean().item())

    def _step(self, batch):
        normalised, ivar, power, log_sed, labels = batch
        network = self.network
        with torch.no_grad():
            projected = network.projection(normalised, ivar)
            summary = network.summarise(projected, normalised, ivar, power)
            examples = Batch(summary, network.scores_of(log_sed), labels)
        loss, _ = _loss(network, examples, Schedule())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        self.optimizer.step()
        self.average.update_parameters(network)
        return loss.detach()


def started(name, base, device):
    """A network with the templates of another one and weights of its own."""
    kind, channels = ARMS[name]
    torch.manual_seed(1)
    network = kind(Config(channels=channels))
    shared = ("projection.", "sed_", "log_variance_start")
    if name != "convolutions":
        shared += ("shortcut.",)
    own = network.state_dict()
    own.update({key: value for key, value in base.state_dict().items() if key.startswith(shared)})
    network.load_state_dict(own)
    if name == "convolutions":
        # The join begins at zero where the projection leads.
        nn.init.normal_(network.join.weight, std=0.02)
    return network.to(device)


def held_out(library, kernels):
    """Noisy spectra of held-out models by S/N, their SEDs, and Fisher bounds by S/N and band."""
    training, test = split_targets(library)
    clean = library_inputs(test, RESOLVING_POWER, input_grid())
    fitter = LabelFit(training, kernels)
    spectra, bounds = {}, {}
    for snr in SNRS:
        _, weight = remove_continuum(clean, (snr / clean) ** 2, input_basis())
        bound = np.stack([fitter.bound(labels, row)
                          for labels, row in zip(test.labels, weight, strict=True)])
        bounds[snr] = {band: float(np.sqrt(bound[:, inside].mean()))
                       for band, inside in band_rows(sed_grid(), BANDS).items()}
        noisy = noisy_copies(clean, snr, np.random.default_rng([7, int(snr)]), 4)
        spectra[snr] = remove_continuum(*noisy, input_basis())
    truth = np.tile(np.exp(library_seds(test)), (4, 1))
    return spectra, truth / (optical_mean(sed_grid()) @ truth.T).T, bounds


def scores(network, spectra, truth, bounds, device):
    """Errors over Fisher bounds by S/N and band."""
    found = {}
    for snr, values in spectra.items():
        parts = [torch.from_numpy(np.asarray(part, np.float32)).to(device) for part in values]
        with torch.no_grad():
            mean = torch.cat([
                network(*pair, torch.full((len(pair[0]),), RESOLVING_POWER, device=device)).mean
                for pair in zip(*(part.split(64) for part in parts), strict=True)])
        flux = np.exp(mean.cpu().numpy().astype(float))
        flux /= (optical_mean(sed_grid()) @ flux.T).T
        error = flux / truth - 1.0
        for band, inside in band_rows(sed_grid(), BANDS).items():
            ratio = np.sqrt((error[:, inside] ** 2).mean()) / bounds[snr][band]
            found.setdefault(f"{snr:g}", {})[band] = round(float(ratio), 3)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library")
    parser.add_argument("--seconds", type=float, default=110.0)
    parser.add_argument("--blocks", type=int, default=256, help="of 4096 examples, kept at a time")
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("-o", "--output", default="architectures.json")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_float32_matmul_precision("high")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    library = read_library(options.library)
    # The kernels of the packaged model save minutes.
    _, header, _ = read_weights(find_model("uara.synthetic3"))
    kernels = kernels_from_lists(header["kernels"])
    generator = ExampleGenerator(split_models(library)[0], kernels=kernels)
    ring = Ring(generator, device, blocks=options.blocks, workers=options.workers)
    _log.info("%d examples on %s", ring.size * BLOCK, device)
    base = prepare_network(generator, Config(), seed=1)
    arms = [Arm(name, started(name, base, device)) for name in options.arms]
    while any(arm.seconds < options.seconds for arm in arms):
        for arm in arms:
            arm.turn(ring, options.seconds)
        _log.info("%s; %d blocks", "; ".join(
            f"{arm.name} {arm.seconds:.0f} s {arm.steps} {arm.losses[-1]:.3f}" for arm in arms),
            ring.made)
    targets = held_out(library, kernels)
    results = [{"network": arm.name, "steps": arm.steps, "seconds": round(arm.seconds, 1),
                "parameters": sum(value.numel() for value in arm.network.parameters()),
                "losses": arm.losses,
                "ratios": scores(arm.average.module.eval(), *targets, device)} for arm in arms]
    with open(options.output, "w") as stream:
        json.dump({"blocks": ring.made, "results": results}, stream, indent=1)
    for result in results:
        _log.info("%s", {key: value for key, value in result.items() if key != "losses"})


if __name__ == "__main__":
    main()
