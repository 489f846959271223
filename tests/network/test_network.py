from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from sedflux import ModelError, WeightsError
from sedflux.network.architecture import build
from sedflux.network.checkpoint import load_network, read_metadata, save_network
from sedflux.network.config import Config
from sedflux.network.layers import SoftThreshold
from sedflux.training.loss import VARIANCE_FLOOR, covariance_loss, diagonal_loss, gaussian_loss

SMALL = Config(pixels=600, samples=40, components=8, sed_components=6, width=32, blocks=2,
               groups=8, channels=(4, 6), rank=3, knots=5)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = build(SMALL)
    network.projection.templates.copy_(torch.linalg.qr(torch.randn(600, 8))[0].T)
    network.sed_templates.copy_(torch.linalg.qr(torch.randn(40, 6))[0].T)
    return network.eval()


def spectra(size, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (0.1 * torch.randn(size, 600, generator=generator), torch.full((size, 600), 400.0),
            torch.full((size,), 1800.0))


def test_soft_threshold_shrinks_and_keeps_signs():
    torch.manual_seed(1)
    layer = SoftThreshold(8, 3)
    features, condition = torch.randn(5, 8, 30), torch.randn(5, 3)
    result = layer(features, condition)
    assert (result.abs() <= features.abs()).all()
    assert ((result == 0) | (torch.sign(result) == torch.sign(features))).all()
    assert (result == 0).any()
    assert SoftThreshold(8, 3, active=False)(features, condition) is features


def test_soft_threshold_follows_its_formula():
    """sgn(M) (|M| - tau) above tau, zero below, tau the attention's share of mean |M|."""
    torch.manual_seed(2)
    layer = SoftThreshold(4, 1)
    features, condition = torch.randn(2, 4, 16), torch.zeros(2, 1)
    level = features.abs().mean(dim=-1)
    share = torch.sigmoid(layer.attention(torch.cat([level, condition], dim=-1)))
    tau = (level * share)[..., None]
    expected = torch.where(features.abs() > tau, torch.sign(features) * (features.abs() - tau),
                           torch.zeros(()))
    assert_allclose(layer(features, condition).detach(), expected.detach(), atol=1e-7)


def test_projection_is_generalised_least_squares(network):
    normalised, ivar, _ = spectra(3)
    ivar[1, 100:300] = 0.0
    coefficients, errors, residual, weight, _ = network.projection(normalised, ivar)
    templates = network.projection.templates.numpy().astype(float)
    for row in range(3):
        w = weight[row].numpy().astype(float)
        covariance = np.linalg.inv((templates * w) @ templates.T + np.eye(8))
        expected = covariance @ ((templates * w) @ normalised[row].numpy())
        assert_allclose(coefficients[row], expected, rtol=2e-4, atol=2e-5)
        assert_allclose(errors[row], np.sqrt(np.diag(covariance)), rtol=1e-4)
        assert_allclose(residual[row], normalised[row].numpy() - expected @ templates, atol=1e-4)


def test_masked_pixels_do_not_count(network):
    normalised, ivar, power = spectra(2)
    ivar[:, 50:90] = 0.0
    normalised[:, 50:90] = 0.0
    with torch.no_grad():
        first = network(normalised, ivar, power)
        normalised[:, 50:90] = 99.0
        second = network.projection(normalised, ivar)[0]
    assert_allclose(network.projection(normalised * (ivar > 0), ivar)[0], second, atol=1e-6)
    assert torch.isfinite(first.mean).all()


@pytest.mark.parametrize("rank", [1, 6])
def test_woodbury_equals_the_dense_likelihood(rank):
    torch.manual_seed(rank)
    residual, log_variance = torch.randn(4, 20), torch.randn(4, 20)
    factor = torch.randn(4, rank, 20)
    loss = gaussian_loss(residual, log_variance, factor)
    for row in range(4):
        dense = np.diag(np.exp(log_variance[row].numpy().astype(float)) + VARIANCE_FLOOR)
        dense += factor[row].numpy().T @ factor[row].numpy()
        expected = -multivariate_normal(np.zeros(20), dense).logpdf(residual[row]) / 20
        assert_allclose(loss[row] + 0.5 * np.log(2 * np.pi), expected, rtol=1e-5)


def test_diagonal_loss_is_the_papers():
    residual, log_variance = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 1.0]])
    sigma = np.exp([0.0, 0.5])
    expected = np.mean([1 / (2 * sigma[0] ** 2) + np.log(sigma[0]),
                        4 / (2 * sigma[1] ** 2) + np.log(sigma[1])])
    assert_allclose(diagonal_loss(residual, log_variance)[0], expected, rtol=1e-6)


def test_compact_covariance_keeps_every_sigma(network):
    with torch.no_grad():
        output = network(*spectra(5))
        diagonal, factor = network.compact_covariance(output)
    full = output.score_factor @ network.sed_templates
    expected = output.log_variance.exp() + VARIANCE_FLOOR + (full**2).sum(dim=1)
    assert factor.shape == (5, 3, 40)
    assert_allclose(diagonal + (factor**2).sum(dim=1), expected, rtol=1e-4)


def test_covariance_loss_is_least_at_the_true_covariance(network):
    """Residuals drawn from the factor of the scores: scaling it up or down costs likelihood."""
    torch.manual_seed(4)
    with torch.no_grad():
        output = network(*spectra(400))
        output.log_variance[:] = -9.0
        rows = output.score_factor.shape[1]
        drawn = (torch.randn(400, 1, rows) @ output.score_factor)[:, 0]
        log_sed = output.mean + drawn @ network.sed_templates
        log_sed += np.exp(-4.5) * torch.randn(400, 40)
        scores = network.scores_of(log_sed)
        factor = output.score_factor
        losses = [covariance_loss(network, replace(output, score_factor=scale * factor), log_sed,
                                  scores).mean() for scale in (1.0, 2.0, 0.5)]
        full = [gaussian_loss(log_sed - output.mean, output.log_variance,
                              scale * output.score_factor @ network.sed_templates).mean()
                for scale in (1.0, 2.0, 0.5)]
    assert losses[0] < min(losses[1:])
    assert full[0] < min(full[1:])


def test_saving_and_loading(network, tmp_path):
    path = tmp_path / "net.safetensors"
    save_network(path, network, {"name": "uara.test"})
    again, metadata = load_network(path)
    assert metadata == {"name": "uara.test"}
    assert read_metadata(path)[0] == SMALL
    with torch.no_grad():
        assert_allclose(again(*spectra(2)).mean, network(*spectra(2)).mean)


def test_weights_that_are_not_finite_are_refused(network, tmp_path):
    with torch.no_grad():
        network.entry.weight[0, 0] = float("nan")
    save_network(tmp_path / "bad.safetensors", network, {})
    with pytest.raises(WeightsError, match="not finite"):
        load_network(tmp_path / "bad.safetensors")


def test_configuration_is_checked():
    with pytest.raises(ModelError, match="'nonsense'"):
        Config.from_dict({"nonsense": 1})
    with pytest.raises(ModelError, match="'other' is unknown"):
        build(Config(arch="other"))
    assert Config.from_dict(Config().to_dict()) == Config()


def test_strange_spectra_are_far_from_all_references(network):
    normalised, ivar, power = spectra(200)
    with torch.no_grad():
        assert (network(normalised, ivar, power).strange == 0).all()
        places = network.coordinates(network.projection(normalised, ivar)[0], power)
        network.set_references(places[:150])
        assert network.config.references == 150
        ordinary = network(normalised[150:], ivar[150:], power[150:]).strange
        other = network(normalised[150:] + 3.0 * network.projection.templates[0], ivar[150:],
                        power[150:]).strange
    assert ordinary.median() < 2.0
    assert (other > 3.0 * ordinary).all()


def test_strangeness_is_the_smallest_weighted_distance(network):
    normalised, ivar, power = spectra(20)
    with torch.no_grad():
        projected = network.projection(normalised, ivar)
        places = network.coordinates(projected[0], power)
        network.set_references(places[:10].clone())
        found = network.strangeness(projected, power).numpy()
    errors = np.c_[projected[1].numpy(), np.zeros(20)]
    weight = 1.0 / (errors**2 + network.spacing.numpy() ** 2)
    steps = places.numpy()[:, None] - network.references.numpy()[None]
    direct = (weight[:, None] * steps**2).sum(axis=-1).min(axis=1) / places.shape[1]
    assert_allclose(found, direct, rtol=1e-3, atol=1e-4)


def test_models_keep_their_references(network, tmp_path):
    normalised, ivar, power = spectra(30)
    network.set_references(network.coordinates(network.projection(normalised, ivar)[0], power))
    path = tmp_path / "with.safetensors"
    save_network(path, network, {})
    again, _ = load_network(path)
    assert again.config.references == 30
    assert_allclose(again.references, network.references, atol=2e-2)


def test_what_is_made_from_templates_follows_them(network):
    """Products of templates are kept, and made again when the templates change."""
    with torch.no_grad():
        output = network(*spectra(5))
        first, _ = network.compact_covariance(output)
        network.sed_templates.mul_(2.0)
        second, factor = network.compact_covariance(output)
    full = output.score_factor @ network.sed_templates
    expected = output.log_variance.exp() + VARIANCE_FLOOR + (full**2).sum(dim=1)
    assert_allclose(second + (factor**2).sum(dim=1), expected, rtol=1e-4)
    assert (second >= first).all()
    assert (second > first).any()


def test_few_spectra_are_solved_as_many_are(network):
    """Normal matrices of few spectra are made one by one; rows without weight stay empty."""
    normalised, ivar, _ = spectra(12)
    with torch.no_grad():
        many = network.projection(normalised, ivar)
        ivar[2:4] = 0.0
        few = network.projection(normalised[:4], ivar[:4])
    for one, other in zip(few, many, strict=True):
        assert_allclose(one[:2], other[:2], rtol=1e-4, atol=1e-5)
    assert (few[0][2:] == 0.0).all()
    assert (few[1][2:] == 1.0).all()
