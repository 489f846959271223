"""Training on a toy library: it runs, learns, resumes, and its sigma is honest."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sedflux import InputError, Predictor, WeightsError
from sedflux.emulator.gaussian_process import Kernel
from sedflux.libraries.inputs import library_inputs, library_seds
from sedflux.network.config import Config
from sedflux.spectra.grids import input_grid, sed_grid
from sedflux.training.augment import (
    FINE_RESOLVING_POWER,
    Observing,
    draw_observing,
    fine_grid,
    observe,
    random_curves,
    random_noise,
)
from sedflux.training.covariance_stage import fit_covariance, measure_calibration
from sedflux.training.examples import ExampleGenerator
from sedflux.training.export import export_model
from sedflux.training.pretrain import Schedule, pretrain

SMALL = Config(components=16, sed_components=8, width=32, blocks=1, groups=8, channels=(4,),
               rank=4, knots=6)


@pytest.fixture(scope="module")
def generator(toy_library):
    from sedflux.libraries import split_models

    return ExampleGenerator(split_models(toy_library)[0], kernels=(Kernel.initial(),))


def as_observing(power, velocity=0.0, rotation=0.0):
    return Observing(*(np.array([value]) for value in (power, velocity, rotation)))


def test_fine_grid_halves_the_input_pixels():
    inner = fine_grid()[70:-70].reshape(-1, 2)
    assert_allclose(np.sqrt(inner.prod(axis=1)), input_grid(), rtol=1e-9)


def test_broadening_equals_the_direct_one(toy_library):
    fine = library_inputs(toy_library.take(slice(0, 2)), FINE_RESOLVING_POWER, fine_grid())
    direct = library_inputs(toy_library.take(slice(0, 2)), 1000.0, input_grid())
    power = np.full(2, 1000.0)
    result = observe(fine, Observing(power, np.zeros(2), np.zeros(2)))
    ratio = result / direct
    assert_allclose(ratio / ratio.mean(axis=1, keepdims=True), 1.0, atol=2e-3)


def test_velocity_moves_lines():
    fine = fine_grid()
    line = 1.0 - 0.5 * np.exp(-0.5 * ((fine - 5500.0) / 3.0) ** 2)[None]
    moved = observe(line, as_observing(2500.0, velocity=150.0))[0]
    grid = input_grid()
    centre = (grid * (1 - moved)).sum() / (1 - moved).sum()
    assert_allclose(centre, 5500.0 * (1 + 150.0 / 299792.458), atol=0.05)


def test_rotation_broadens_by_its_profile_and_keeps_the_strength():
    fine = fine_grid()
    line = 1.0 - 0.5 * np.exp(-0.5 * ((fine - 5500.0) / 1.5) ** 2)[None]
    still, spinning = (observe(line, as_observing(2500.0, rotation=v))[0] for v in (0.0, 200.0))
    assert_allclose((1 - spinning).sum(), (1 - still).sum(), rtol=1e-3)
    grid = input_grid()

    def width(flux):
        depth = np.where(np.abs(grid - 5500.0) < 15.0, 1 - flux, 0.0)
        mean = (grid * depth).sum() / depth.sum()
        return ((grid - mean) ** 2 * depth).sum() / depth.sum()

    # Variance of Gray's profile with limb darkening e: (1/4 - 7 e / 60) / (1 - e / 3) v^2.
    reach = 5500.0 * 200.0 / 299792.458
    expected = (0.25 - 7.0 * 0.6 / 60.0) / (1.0 - 0.6 / 3.0) * reach**2
    assert_allclose(width(spinning) - width(still), expected, rtol=0.05)


def test_only_hot_stars_rotate(rng):
    teff = np.r_[np.full(500, 5500.0), np.full(500, 8000.0)]
    drawn = draw_observing(teff, rng)
    assert (drawn.rotation[:500] == 0).all()
    assert (drawn.rotation[500:] > 0).mean() > 0.5
    assert drawn.resolving_power.min() >= 500.0
    assert drawn.resolving_power.max() <= 2500.0


def test_noise_covers_the_asked_range(rng):
    sigma, good = random_noise(2000, rng)
    level = 1.0 / np.median(sigma, axis=1)
    assert level.min() < 8.0
    assert level.max() > 200.0
    assert 0.9 < good.mean() < 1.0
    assert (good.mean(axis=1) > 0.5).all()


def test_curves_are_positive_and_large(rng):
    curves = random_curves(50, rng, np.linspace(-4.0, -2.5, 2430))
    assert (curves > 0).all()
    assert np.std(np.log(curves)) > 0.2


def test_examples_depend_on_the_seed_alone(generator):
    first = generator.examples(64, np.random.default_rng(1))
    again = generator.examples(64, np.random.default_rng(1))
    assert_allclose(first.normalised, again.normalised)
    assert first.normalised.shape == (64, 2430)
    assert np.isfinite(first.log_sed).all()
    assert (first.ivar >= 0).all()


def test_seds_are_normalised(toy_library):
    log_sed = library_seds(toy_library)
    grid = sed_grid()
    inside = (grid > 4000) & (grid < 7000)
    mean = np.trapezoid(np.exp(log_sed)[:, inside], grid[inside], axis=1) / np.ptp(grid[inside])
    assert_allclose(mean, 1.0, atol=0.01)


@pytest.fixture(scope="module")
def trained(generator, tmp_path_factory):
    from sedflux.training import pretrain as module

    folder = tmp_path_factory.mktemp("run")
    schedule = Schedule(steps=160, batch=128, block=512, pool=6, reuse=8, learning_rate=3e-3)
    with pytest.MonkeyPatch.context() as patch:
        # A toy library needs few examples for its templates.
        patch.setattr(module, "_TEMPLATE_EXAMPLES", 1536)
        patch.setattr(module, "_VALIDATION", 512)
        network, history = pretrain(generator, schedule, folder, config=SMALL, workers=0,
                                    progress=False)
    losses = fit_covariance(network, generator, examples=2048, steps=400, batch=256)
    return network, history, losses, folder


def test_training_learns(trained, generator):
    network, _, losses, _ = trained
    assert losses[-1] < losses[0]
    batch = generator.examples(512, np.random.default_rng(99))
    with torch.no_grad():
        output = network(*(torch.from_numpy(np.asarray(values, dtype=np.float32)) for values in
                           (batch.normalised, batch.ivar, batch.resolving_power)))
    error = output.mean.numpy() - batch.log_sed
    prior = batch.log_sed - batch.log_sed.mean(axis=0)
    assert np.median(np.abs(error)) < 0.35 * np.median(np.abs(prior))


def test_sigma_is_honest_on_fresh_stars(trained, generator):
    calibration = measure_calibration(trained[0], generator, examples=2048, seed=8)
    assert np.all(np.abs(np.log(calibration["scale"])) < 0.5)


def test_the_log_has_one_line_for_a_step(tmp_path):
    """A run that stopped before its checkpoint does steps again."""
    from sedflux.training.pretrain import _append

    for step, loss in ((500, 3.0), (1000, 2.0), (1500, 1.0), (1000, 2.5)):
        _append(tmp_path / "log.csv", {"step": step, "loss": loss})
    assert (tmp_path / "log.csv").read_text().split() == ["step,loss", "500,3.0", "1000,2.5"]


def test_interrupted_training_resumes_from_its_checkpoint(trained, generator, tmp_path,
                                                          monkeypatch):
    """A run that stops after a checkpoint, and is started again, is the whole run."""
    from sedflux.training import pretrain as module

    monkeypatch.setattr(module, "SAVE_EVERY", 4)
    options = {"start": trained[0], "workers": 0, "progress": False}
    schedule = Schedule(steps=8, batch=64, block=256)
    whole, _ = pretrain(generator, schedule, tmp_path / "whole", **options)

    class Stop(Exception):
        pass

    real_save, real_resume, steps = module._save, module._resume, []

    def save_and_die(path, step, *modules):
        real_save(path, step, *modules)
        raise Stop

    def resume(*arguments):
        steps.append(real_resume(*arguments))
        return steps[-1]

    monkeypatch.setattr(module, "_save", save_and_die)
    with pytest.raises(Stop):
        pretrain(generator, schedule, tmp_path / "cut", **options)
    monkeypatch.setattr(module, "_save", real_save)
    monkeypatch.setattr(module, "_resume", resume)
    resumed, history = pretrain(generator, schedule, tmp_path / "cut", **options)
    assert steps == [4]
    assert [entry["step"] for entry in history] == [8]
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert_allclose(one.detach(), other.detach(), atol=1e-6)


def test_the_average_follows_the_weights_with_a_growing_memory():
    """Step n keeps n / (n + 9) of the average, up to the decay; the first weights are step 0."""
    from sedflux.training.pretrain import _averaged

    network = torch.nn.Linear(1, 1, bias=False)
    values = np.random.default_rng(4).normal(size=60)
    expected = network.weight.item()
    average = _averaged(network, 0.8)
    for step, value in enumerate(values, start=1):
        with torch.no_grad():
            network.weight.fill_(value)
        average.update_parameters(network)
        kept = min(0.8, step / (step + 9))
        expected = kept * expected + (1.0 - kept) * value
        assert_allclose(average.module.weight.item(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("first", [0, 300, 700])
def test_learning_rates_go_on_where_a_run_stopped(first):
    """Linear over 500 steps, and a cosine from 1 to 0.01 of the peak."""
    from sedflux.training.pretrain import _scheduler

    schedule = Schedule(steps=1000, learning_rate=2e-3)
    weights = {"params": [torch.nn.Parameter(torch.zeros(1))], "initial_lr": 2e-3}
    optimizer = torch.optim.AdamW([weights], lr=2e-3)
    scheduler, rates = _scheduler(optimizer, schedule, first), []
    for _ in range(first, schedule.steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    steps = np.arange(first, schedule.steps)
    cosine = 0.01 + 0.99 * np.cos(0.5 * np.pi * steps / schedule.steps) ** 2
    assert_allclose(rates, 2e-3 * cosine * np.minimum(1.0, (steps + 1) / 500), rtol=1e-10)


@pytest.fixture(scope="module")
def stopped(trained, generator, tmp_path_factory):
    """Options of a run that stopped after two steps, and its checkpoint."""
    folder = tmp_path_factory.mktemp("stopped")
    options = {"start": trained[0], "workers": 0, "progress": False}
    pretrain(generator, Schedule(steps=2, batch=64, block=256), folder, **options)
    return options, folder / "checkpoint.safetensors"


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "nan", "older layout"])
def test_damaged_checkpoints_are_told(stopped, generator, tmp_path, damage):
    from safetensors.torch import load_file, save_file

    options, checkpoint = stopped
    path = tmp_path / checkpoint.name
    content, tensors = checkpoint.read_bytes(), load_file(checkpoint)
    if damage == "nan":
        tensors["network.sed_mean"] = tensors["network.sed_mean"] * np.nan
        save_file(tensors, path, metadata={"step": "2"})
    elif damage == "older layout":
        tensors = {name.replace("average.module.", "average."): value
                   for name, value in tensors.items() if name != "average.n_averaged"}
        save_file(tensors, path, metadata={"step": "2"})
    elif damage == "other":
        tensors.pop("network.sed_mean")
        save_file(tensors, path, metadata={"step": "2"})
    else:
        path.write_bytes(content[:len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(WeightsError, match=r"checkpoint .* delete it to begin again"):
        pretrain(generator, Schedule(steps=4, batch=64, block=256), tmp_path, **options)


def test_damaged_kernels_are_told(tmp_path):
    from sedflux.training.run import _stored_kernels

    for content in ("", "{}", "[[1, 2]]", "[[NaN]]", '"x"', "null"):
        (tmp_path / "kernels.json").write_text(content)
        with pytest.raises(InputError, match=r"kernels\.json' are damaged"):
            _stored_kernels(tmp_path / "kernels.json")


def test_exported_model_predicts(trained, generator, tmp_path, star):
    path = tmp_path / "uara.toy.safetensors"
    export_model(path, trained[0], generator, name="uara.toy", training={"seed": 1},
                 schedule=Schedule(steps=16))
    predictor = Predictor(path)
    assert predictor.name == "uara.toy"
    assert predictor.metadata["data"]["models"] == len(generator.library)
    # A real star is far from all toy stars, and alone it might be refused.
    wavelength, flux = star
    toy = np.interp(wavelength, generator.library.wavelength, generator.library.flux[0])
    spectra = np.stack([flux / flux.mean(), toy / toy.mean()])
    prediction = predictor.predict(wavelength, spectra, np.full(spectra.shape, 1e4))
    assert np.isfinite(prediction.flux).all()


def test_training_stops_when_validation_stands_still():
    from sedflux.training.pretrain import _stale

    falling = [1.0 / (n + 1) for n in range(20)]
    assert not _stale(falling, 12)
    assert _stale(falling + [0.5] * 12, 12)
    assert not _stale([0.5] * 5, 12)


def test_every_example_is_used_as_often_as_the_schedule_says(generator):
    """Renewals bring each block in after it was made, and none is skipped."""
    from sedflux.training.pool import Pool
    from sedflux.training.pretrain import prepare_network

    network = prepare_network(generator, SMALL, seed=1, examples=512)
    schedule = Schedule(steps=12, batch=128, block=256, pool=2, reuse=2)
    assert schedule.steps_per_block == 4
    pool = Pool(generator, network, schedule, step=0, workers=0)
    seen = [pool.batch(step).labels[:, 0] for step in range(12)]
    later = Pool(generator, network, schedule, step=8, workers=0)
    for step in (8, 9, 10, 11):
        assert_allclose(later.batch(step).labels[:, 0], seen[step])
    first, last = (set(np.round(np.concatenate(part), 5).tolist()) for part in
                   (seen[:4], seen[8:]))
    assert not first & last
