"""The network as arrays gives the numbers of the network on torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import erf

from sedflux.network.architecture import build
from sedflux.network.arrays import ArrayNetwork
from sedflux.network.checkpoint import network_of, save_network
from sedflux.network.config import Config
from sedflux.network.dense import error_function
from sedflux.network.shapes import tensor_shapes
from sedflux.network.stored import read_weights
from sedflux.network.tensors import TensorNetwork
from sedflux.network.triangles import inverse_of_triangles
from sedflux.predict.models import find_model

SMALL = Config(pixels=200, samples=40, components=10, sed_components=6, width=32, blocks=2,
               groups=8, rank=3, knots=5)
CPU = torch.device("cpu")


@pytest.mark.parametrize("config", [
    SMALL, replace(SMALL, channels=(4, 6)), replace(SMALL, references=7, blocks=0),
    replace(SMALL, grid=(2, 4, 3), groups=4)])
def test_shapes_are_those_of_the_network(config):
    expected = {name: list(value.shape) for name, value in build(config).state_dict().items()}
    assert tensor_shapes(config) == expected


def spectra(arrays, size, rng):
    """Reference spectra with noise and gaps, and others that are mere noise."""
    flux, _ = arrays.reference_spectra(rng.permutation(arrays.config.references)[:size])
    snr = np.geomspace(5.0, 300.0, size)[:, None]
    normalised = flux - 1.0 + rng.standard_normal(flux.shape) / snr
    ivar = np.tile(snr**2, (1, flux.shape[1]))
    ivar[::3, 400:600] = 0.0
    normalised[-4:] = 0.3 * rng.standard_normal((4, flux.shape[1]))
    return np.where(ivar > 0, normalised, 0.0).astype(np.float32), ivar.astype(np.float32)


def sigma(found, arrays):
    rows = found.output["directions"] @ arrays.unit_templates
    return np.sqrt(found.output["diagonal"] + (rows**2).sum(axis=1))


def test_directions_have_one_sign(rng):
    """Eigenvectors have either sign; simulated errors must not depend on the processor."""
    config, _, weights = read_weights(find_model("uara.stars2"))
    arrays = ArrayNetwork(config, weights)
    spectrum = spectra(arrays, 12, rng)
    for network in (arrays, TensorNetwork(network_of(config, weights), arrays, CPU)):
        found = network.values(*spectrum, 1600.0).output["directions"]
        largest = np.take_along_axis(found, np.abs(found).argmax(axis=2, keepdims=True), axis=2)
        assert (largest > 0).all()


@pytest.mark.parametrize("name", ["uara.stars2", "uara.synthetic3", "uara.da1"])
def test_packaged_models_give_the_numbers_of_torch(name, rng):
    config, _, weights = read_weights(find_model(name))
    arrays = ArrayNetwork(config, weights)
    reference = TensorNetwork(network_of(config, weights), arrays, CPU)
    normalised, ivar = spectra(arrays, 40, rng)
    ours, theirs = (network.values(normalised, ivar, 1600.0) for network in (arrays, reference))
    # torch adds up ln(SED), which is -8 at the least, in single precision.
    assert_allclose(ours.output["mean"], theirs.output["mean"], rtol=1e-6, atol=3e-6)
    assert_allclose(sigma(ours, arrays), sigma(theirs, arrays), rtol=2e-5)
    for key in ("misfit", "unusual", "strange", "evidence"):
        assert_allclose(ours.output[key], theirs.output[key], rtol=1e-5, err_msg=key)
    for key in ("label_mean", "excess"):
        assert_allclose(ours.output[key], theirs.output[key], rtol=1e-4, atol=1e-5, err_msg=key)
    if ours.solutions is not None:
        for ours_one, theirs_one in zip(ours.solutions, theirs.solutions, strict=True):
            assert_allclose(ours_one, theirs_one, rtol=2e-3, atol=1e-4)
    # A spectrum alone takes another way to its normal matrix.
    alone = arrays.values(normalised[7:8], ivar[7:8], 1600.0)
    assert_allclose(alone.output["mean"][0], ours.output["mean"][7], atol=2e-6)
    assert_allclose(sigma(alone, arrays)[0], sigma(ours, arrays)[7], rtol=1e-5)


@pytest.mark.parametrize("shrink", [True, False])
def test_networks_of_other_sizes_give_the_numbers_of_torch(shrink, tmp_path, rng):
    """Without references, and with a number of templates that is no multiple of any block."""
    torch.manual_seed(1)
    network = build(replace(SMALL, shrink=shrink)).eval()
    for name, value in network.state_dict().items():
        if not name.endswith(("spread", "spacing")):
            value.copy_(0.2 * torch.randn(value.shape))
    save_network(tmp_path / "net.safetensors", network, {})
    config, _, weights = read_weights(tmp_path / "net.safetensors")
    arrays = ArrayNetwork(config, weights)
    reference = TensorNetwork(network_of(config, weights), arrays, CPU)
    normalised = 0.1 * rng.standard_normal((7, 200)).astype(np.float32)
    ivar = np.full((7, 200), 400.0, dtype=np.float32)
    ours, theirs = (part.values(normalised, ivar, 1000.0).output for part in (arrays, reference))
    for key in ("mean", "label_mean", "misfit", "strange", "evidence", "diagonal"):
        assert_allclose(ours[key], theirs[key], rtol=2e-5, atol=2e-6, err_msg=key)


def test_coefficients_are_those_of_double_precision(rng):
    config, _, weights = read_weights(find_model("uara.stars2"))
    projection = ArrayNetwork(config, weights).projection
    normalised, ivar = spectra(ArrayNetwork(config, weights), 8, rng)
    found = projection(normalised, ivar)
    templates = projection.scaled.astype(float)
    for row in range(8):
        weighted = templates * found.weight[row]
        covariance = np.linalg.inv(weighted @ templates.T + np.eye(len(templates)))
        expected = covariance @ (weighted @ (normalised[row] - projection.mean))
        assert_allclose(found.coefficients[row], expected, atol=3e-6)
        assert_allclose(found.errors[row], np.sqrt(np.diag(covariance)), rtol=2e-6)


@pytest.mark.parametrize("size", [1, 7, 8, 20, 64])
def test_inverse_of_triangles(size, rng):
    triangle = np.tril(rng.standard_normal((3, size, size))) + 4.0 * np.eye(size)
    inverse = inverse_of_triangles(triangle)
    assert_allclose(inverse @ triangle, np.tile(np.eye(size), (3, 1, 1)), atol=1e-12)


def test_error_function():
    place = np.linspace(-7.0, 7.0, 5001, dtype=np.float32)
    assert_allclose(error_function(place), erf(place.astype(float)), atol=5e-7)
