"""Training on simulated stars: reproducible, resumable, logged."""

from __future__ import annotations

import csv
import io
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from sedflux.exceptions import WeightsError
from sedflux.network.architecture import build
from sedflux.network.config import Config
from sedflux.training.loss import mean_loss
from sedflux.training.pool import Batch, Pool, summarise_examples
from sedflux.training.schedule import Schedule
from sedflux.writing import make_folder, write_whole

if TYPE_CHECKING:
    from sedflux.training.examples import Observer
    from sedflux.training.types import Network, PathLike

__all__ = ["Schedule", "prepare_network", "pretrain"]

#: Steps between checkpoints; the validation loss is measured at each.
SAVE_EVERY = 500
#: Examples for validation, which no step uses.
_VALIDATION = 8192
#: Stars from which the templates of input and SED are made.
_TEMPLATE_EXAMPLES = 12288


def prepare_network(generator: Observer, config: Config, *, seed: int,
                    examples: int = _TEMPLATE_EXAMPLES) -> Network:
    """
    A network whose templates are the principal components of simulated stars.

    Parameters
    ----------
    generator : `~sedflux.training.examples.Observer`
    config : `~sedflux.network.config.Config`
    seed : int
    examples : int, optional

    Returns
    -------
    network : `torch.nn.Module`
    """
    torch.manual_seed(seed)
    network = build(config)
    rng = np.random.default_rng([seed, 2**31])
    drawn = generator.examples(examples, rng)
    # From noisy spectra, noise would enter the templates.
    bright = np.median(drawn.ivar, axis=1) > 40.0**2
    values = np.where(drawn.ivar > 0, drawn.normalised, 0.0)[bright].astype(np.float64)
    mean = values.mean(axis=0)
    covariance = (values - mean).T @ (values - mean) / len(values)
    noise = np.median((1.0 / np.maximum(drawn.ivar[bright], 1.0)).mean(axis=1))
    power, vectors = np.linalg.eigh(covariance)
    power, vectors = power[::-1][: config.components], vectors[:, ::-1][:, : config.components]
    projection = network.projection
    projection.mean.copy_(torch.from_numpy(mean))
    projection.templates.copy_(torch.from_numpy(vectors.T.copy()))
    spread = np.sqrt(np.maximum(power - noise, 0.02 * power))
    projection.spread.copy_(torch.from_numpy(spread))
    log_sed = drawn.log_sed.astype(np.float64)
    network.sed_mean.copy_(torch.from_numpy(log_sed.mean(axis=0)))
    _, singular, vectors = np.linalg.svd(log_sed - log_sed.mean(axis=0), full_matrices=False)
    size = singular[: config.sed_components] / np.sqrt(len(log_sed))
    templates = vectors[: config.sed_components] * size[:, None]
    network.sed_templates.copy_(torch.from_numpy(templates))
    _start_linear(network, drawn)
    return network


def _start_linear(network, examples):
    """Start the shortcut with ridge regression on the projection; the trunk learns the rest."""
    with torch.no_grad():
        coefficients = torch.cat([
            network.projection(torch.from_numpy(examples.normalised[rows]),
                               torch.from_numpy(examples.ivar[rows].astype(np.float32)))[0]
            for rows in np.array_split(np.arange(len(examples.ivar)), 24)
        ]).numpy()
    design = np.column_stack([6.0 * np.tanh(coefficients / 6.0), np.ones(len(coefficients))])
    templates = network.sed_templates.numpy().astype(float)
    deviation = examples.log_sed - network.sed_mean.numpy()
    scores = network.scores_of(torch.from_numpy(examples.log_sed.astype(np.float32))).numpy()
    target = np.column_stack([scores, examples.labels])
    normal = design.T @ design + 10.0 * np.eye(design.shape[1])
    solution = np.linalg.solve(normal, design.T @ target)
    with torch.no_grad():
        network.shortcut.weight.copy_(torch.from_numpy(solution[:-1].T))
        network.shortcut.bias.copy_(torch.from_numpy(solution[-1]))
    size = network.config.sed_components
    left = deviation - (design @ solution)[:, :size] @ templates
    network.log_variance_start.copy_(torch.from_numpy(np.log(left.var(axis=0)) - 1.0))


def _rate(step, schedule):
    """Share of the peak learning rate: linear warm-up, then a cosine down to one percent."""
    warm = min(1.0, (step + 1) / 500)
    phase = min(step / schedule.steps, 1.0)
    return warm * (0.01 + 0.99 * 0.5 * (1.0 + np.cos(np.pi * phase)))


def _scheduler(optimizer, schedule, step):
    """Learning rates from a step on."""
    return LambdaLR(optimizer, lambda index: _rate(index, schedule), last_epoch=step - 1)


def _averaged(network, decay):
    """
    A copy of a network with an exponential average of its weights.

    The initial weights count as one step.  The decay grows with the number n of steps as
    n / (n + 9), from 0.1 up to ``decay``, so that their share soon becomes small.
    """
    def follow(averages, weights, count):
        share = 1.0 - min(decay, int(count) / (int(count) + 9))
        for slow, fast in zip(averages, weights, strict=True):
            slow.lerp_(fast, share)

    average = AveragedModel(network, multi_avg_fn=follow)
    average.update_parameters(network)
    return average


def _save(path, step, network, average, optimizer):
    """Write everything that a resumed run needs; tensors only, never pickled."""
    from safetensors.torch import save

    tensors = {}
    for prefix, module in (("network.", network), ("average.", average)):
        tensors.update({prefix + name: value.contiguous()
                        for name, value in module.state_dict().items()})
    for index, state in optimizer.state_dict()["state"].items():
        for name in ("step", "exp_avg", "exp_avg_sq"):
            tensors[f"optimizer.{index}.{name}"] = state[name].contiguous()
    # Python writes the bytes, because write_whole recognises its error for a full disk.
    content = save(tensors, metadata={"step": str(step)})
    write_whole(path, lambda temporary: temporary.write_bytes(content))


def _resume(path, network, average, optimizer):
    """Load a checkpoint into network, average and optimiser; return its step."""
    from safetensors import SafetensorError

    try:
        return _read_checkpoint(path, network, average, optimizer)
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(f"checkpoint {str(path)!r} is damaged, or of another configuration "
                           f"({reason[0][:200]}); delete it to begin again") from error


def _read_checkpoint(path, network, average, optimizer):
    """Read tensors and step of a checkpoint."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stream:
        step = int(stream.metadata()["step"])
        tensors = {name: stream.get_tensor(name) for name in list(stream.keys())}
    if step < 0 or not all(torch.isfinite(value).all() for value in tensors.values()):
        raise ValueError("a number is not finite, or the step is negative")
    for prefix, module in (("network.", network), ("average.", average)):
        module.load_state_dict({name.removeprefix(prefix): value
                                for name, value in tensors.items() if name.startswith(prefix)})
    state = optimizer.state_dict()
    count = sum(len(group["params"]) for group in state["param_groups"])
    state["state"] = {
        index: {name: tensors[f"optimizer.{index}.{name}"]
                for name in ("step", "exp_avg", "exp_avg_sq")}
        for index in range(count) if f"optimizer.{index}.step" in tensors
    }
    optimizer.load_state_dict(state)
    return step


def _loss(network, batch, schedule):
    """Loss of a batch, and the network's output for it."""
    output = network.output_of(*network.features(batch.summary))
    truth = network.sed_mean + batch.scores @ network.sed_templates
    loss = mean_loss(output, truth, batch.scores, batch.labels, diagonal=schedule.diagonal)
    return loss.mean(), output


def _validate(network, batch, schedule):
    """Loss and errors of ln(SED) on examples that no step uses."""
    with torch.no_grad():
        loss, output = _loss(network, batch, schedule)
        error = (output.scores - batch.scores) @ network.sed_templates
    return {"validation": loss.item(), "rms": error.square().mean().sqrt().item(),
            "median": error.abs().median().item()}


def _device():
    """A GPU with TF32 arithmetic if there is one, else the CPU."""
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")
        return torch.device("cuda")
    return torch.device("cpu")


def _move(batch, device):
    return Batch.from_tensors([value.to(device) for value in batch.tensors()])


def pretrain(generator: Observer, schedule: Schedule, folder: PathLike, *,
             config: Config | None = None, start: Network | None = None, workers: int = 1,
             progress: bool = True) -> tuple[Network, list[dict[str, float]]]:
    """
    Train a network on simulated stars.

    Parameters
    ----------
    generator : `~sedflux.training.examples.Observer`
        Makes the examples.
    schedule : `Schedule`
    folder : path-like
        For ``checkpoint.safetensors``, from which an interrupted run continues, and ``log.csv``.
    config : `~sedflux.network.config.Config`, optional
    start : `torch.nn.Module`, optional
        Continue from this network, with its templates, instead of a new one.
    workers : int, optional
        Processes that make examples; 0 makes them in the main process.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    network : `torch.nn.Module`
        With the averaged weights.
    history : list of dict
        One entry every 500 steps.
    """
    from tqdm import tqdm

    folder = make_folder(folder)
    if start is None:
        start = prepare_network(generator, config or Config(), seed=schedule.seed,
                                examples=schedule.sized(_TEMPLATE_EXAMPLES))
    device = _device()
    network = build(start.config).to(device)
    network.load_state_dict(start.state_dict())
    average = _averaged(network, schedule.average)
    weights = {"params": list(network.parameters()), "initial_lr": schedule.learning_rate}
    optimizer = torch.optim.AdamW([weights], lr=schedule.learning_rate, weight_decay=1e-4)
    checkpoint = folder / "checkpoint.safetensors"
    first = _resume(checkpoint, network, average, optimizer) if checkpoint.exists() else 0
    # Other processes make the examples, on the CPU.
    validation = _move(summarise_examples(start, generator.examples(
        schedule.sized(_VALIDATION), np.random.default_rng([schedule.seed, 2**31 + 7]))), device)
    scheduler = _scheduler(optimizer, schedule, first)
    pool = Pool(generator, start, schedule, step=first, workers=workers)
    history: list[dict[str, float]] = []
    recent: list[float] = []
    begin = time.monotonic()
    bar = tqdm(total=schedule.steps, initial=first, disable=None if progress else True, unit="step")
    for step in range(first, schedule.steps):
        loss, _ = _loss(network, _move(pool.batch(step), device), schedule)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        average.update_parameters(network)
        recent.append(loss.item())
        bar.update()
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == schedule.steps:
            entry = {"step": step + 1, "loss": float(np.mean(recent))}
            entry |= _validate(average.module, validation, schedule)
            entry["seconds"] = round(time.monotonic() - begin, 1)
            history.append(entry)
            _append(folder / "log.csv", entry)
            bar.set_postfix(loss=f"{entry['validation']:.4f}")
            recent = []
            _save(checkpoint, step + 1, network, average, optimizer)
            if _stale([row["validation"] for row in history], schedule.patience):
                break
    bar.close()
    return average.module.cpu(), history


def _stale(losses, patience):
    """Whether none of the last ``patience`` losses is lower than all before them."""
    return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])


def _append(path, entry):
    """Add a line to the log, which is written whole; lines of this and later steps are dropped."""
    rows = []
    if path.exists():
        with open(path, newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if int(row["step"]) < entry["step"]]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(entry))
    writer.writeheader()
    writer.writerows([*rows, entry])
    write_whole(path, lambda temporary: temporary.write_bytes(text.getvalue().encode()))
