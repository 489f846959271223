"""Where spectra are worked on: the processor, or a GPU if there is one."""

import pickle

import numpy as np
import pytest
import torch
from astropy import units as u
from numpy.testing import assert_allclose, assert_array_equal

from sedflux import InputError, Predictor
from sedflux.network.tensors import TensorNetwork
from sedflux.predict import tensor_chain
from sedflux.predict.chooser import Chooser
from sedflux.predict.flags import flag
from sedflux.predict.tensor_chain import TensorChain

GRID = 10 ** np.arange(3.5911, 3.8513, 1e-4)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def noisy(star, count):
    wavelength, flux = star
    rng = np.random.default_rng(3)
    return (wavelength, flux * (1.0 + rng.standard_normal((count, flux.size)) / 50.0),
            np.tile(2500.0 / flux**2, (count, 1)))


def various(predictor, count=24):
    """Stars of S/N 5-300 with gaps, emission, cosmic rays, a dip, no light, and mostly noise."""
    rng = np.random.default_rng(5)
    normalised, _ = predictor.arrays.reference_spectra(rng.permutation(2048)[:count])
    flux = np.stack([np.interp(GRID, predictor._grid, row) for row in normalised])
    flux *= (GRID / 5500.0) ** rng.normal(0.0, 1.0, (count, 1)) * 1e-16
    snr = np.geomspace(5.0, 300.0, count)[:, None]
    ivar = (snr / flux) ** 2
    flux *= 1.0 + rng.standard_normal(flux.shape) / snr
    ivar[::3, 300:600] = 0.0
    flux[1::5] *= 1.0 + 4.0 * np.exp(-0.5 * ((GRID - 6564.6) / 4.0) ** 2)
    flux[np.arange(2, count, 4), rng.integers(200, 2400, size=len(range(2, count, 4)))] *= 1.4
    flux[9] *= np.where((GRID > 5750.0) & (GRID < 6050.0), 0.8, 1.0)
    flux[7], flux[11] = np.nan, 1e-16
    flux[13] = 1e-16 * (1.0 + rng.standard_normal(GRID.size))
    return GRID, flux, ivar, rng.normal(0.0, 60.0, count)


@pytest.fixture(scope="module")
def tensors():
    """A predictor that works with tensors on the processor, as on a GPU."""
    predictor = Predictor()
    network = TensorNetwork(predictor.network, predictor.arrays, torch.device("cpu"))
    predictor._chain = TensorChain(network, predictor.label_set)
    return predictor


def assert_same(found, expected):
    """To 1e-4 of sigma, with the same flags and rejected pixels."""
    relative = expected.sigma / expected.flux
    assert (np.abs(np.log(found.flux / expected.flux)) < 1e-4 * relative).all()
    assert_allclose(found.sigma, expected.sigma, rtol=1e-4)
    assert found.factor.shape == expected.factor.shape
    probe = np.random.default_rng(7).standard_normal((found.wavelength.size, 3))
    ours, theirs = ((one.factor @ probe) for one in (found, expected))
    assert_allclose(*(np.einsum("nrp,nrq->npq", part, part) for part in (ours, theirs)),
                    rtol=1e-3, atol=1e-3 * np.square(theirs).sum(axis=1).min())
    assert_array_equal(found.flag_bits, expected.flag_bits)
    assert found.flags == expected.flags
    for name, value in expected.diagnostics.items():
        assert_allclose(found.diagnostics[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
        assert found.diagnostics[name].dtype == value.dtype


@pytest.mark.parametrize("power", [2000.0, 2600.0])
def test_tensors_give_the_numbers_of_arrays(tensors, predictor, power, monkeypatch):
    """In one piece and in several, each with a thread."""
    *spectra, velocity = various(predictor)
    options = {"radial_velocity": velocity, "resolving_power": power}
    expected = predictor.predict(*spectra, **options)
    assert expected.diagnostics["rejected"].any()
    assert_same(tensors.predict(*spectra, **options), expected)
    monkeypatch.setattr(tensor_chain, "_LEAST_PIECE", 5)
    assert_same(tensors.predict(*spectra, **options), expected)


def test_every_kind_of_input(tensors, predictor):
    """Units, masks, single precision, dropped pixels, and no known noise."""
    wavelength, flux, ivar, _ = various(predictor, 16)
    keep = (wavelength < 4600.0) | (wavelength > 4700.0)
    wavelength, flux, ivar = wavelength[keep], flux[:, keep], ivar[:, keep]
    in_jansky = (flux * u.Unit("erg / (s cm2 AA)")).to(u.Jy, u.spectral_density(wavelength * u.AA))
    inverse = ivar * (flux / in_jansky.value) ** 2
    mask = np.zeros(flux.shape, dtype=bool)
    mask[:, 500:520] = True
    for given in ((in_jansky, np.nan_to_num(inverse) * u.Jy**-2, mask),
                  (flux.astype(">f4"), np.ma.masked_array(ivar, mask).astype("f4"), None),
                  (flux, None, mask)):
        assert_same(*(one.predict(wavelength, *given[:2], mask=given[2])
                      for one in (tensors, predictor)))


def test_a_star_alone_and_in_a_piece(tensors, predictor):
    *spectra, velocity = various(predictor)
    together = tensors.predict(*spectra, radial_velocity=velocity)
    wavelength, flux, ivar = spectra
    alone = tensors.predict(wavelength, flux[4], ivar[4], radial_velocity=velocity[4])
    assert_allclose(alone.flux, together.flux[4], rtol=1e-6)
    assert_allclose(alone.sigma, together.sigma[4], rtol=1e-5)


def test_stars_inside_the_domain_have_no_rows_of_the_prior(tensors, predictor, star, monkeypatch):
    monkeypatch.setattr(tensor_chain, "_LEAST_PIECE", 2)
    assert_same(tensors.predict(*noisy(star, 5)), predictor.predict(*noisy(star, 5)))


@pytest.mark.parametrize(("flux", "message"), [
    (-1.0, "zero or negative throughout"), (1.0, "flux is constant")])
def test_tensors_refuse_what_arrays_refuse(tensors, flux, message):
    with pytest.raises(InputError, match=message):
        tensors.predict(GRID, np.full((2, GRID.size), flux), np.ones((2, GRID.size)))


def test_tensors_mark_what_is_not_finite(tensors, star, monkeypatch):
    real = tensors._chain._core.tensors

    def damaged(*arguments, **options):
        values = real(*arguments, **options)
        values["mean"][0] = np.nan
        return values

    monkeypatch.setattr(tensors._chain._core, "tensors", damaged)
    found = tensors.predict(*noisy(star, 2))
    assert np.isfinite(found.sigma).all()
    assert_array_equal((found.flag_bits & flag("not_finite").mask) > 0, [True, False])


def test_a_choice_among_models_with_tensors(tensors, predictor):
    *spectra, _ = various(predictor, 16)
    ours, theirs = (Chooser(first).predict(*spectra) for first in (tensors, predictor))
    assert_same(ours, theirs)
    assert len(set(ours.diagnostics["log_odds"])) > 4


def test_tensors_are_pickled(tensors, star):
    again = pickle.loads(pickle.dumps(tensors))
    assert_array_equal(again.predict(*noisy(star, 1)).flux, tensors.predict(*noisy(star, 1)).flux)


def test_the_processor_is_the_default(star, predictor):
    here = Predictor(device=torch.device("cpu")).predict(*noisy(star, 3))
    default = predictor.predict(*noisy(star, 3))
    for name in ("flux", "diagonal", "factor"):
        assert_array_equal(getattr(here, name), getattr(default, name))


@pytest.mark.parametrize(("device", "message"), [
    ("gpu", "device is 'gpu'; give 'cpu' or 'cuda'"), ("meta", "'cpu' and 'cuda' are allowed"),
    (1.5, "device is 1.5"), ("cuda:99", "torch sees .* GPUs")])
def test_devices_that_are_none(device, message):
    with pytest.raises(InputError, match=message):
        Predictor(device=device)


@needs_gpu
@pytest.mark.parametrize("count", [1, 24, 3000])
def test_a_gpu_gives_the_same_numbers(predictor, count):
    *spectra, velocity = various(predictor, 24)
    wavelength, flux, ivar = spectra
    rows = np.arange(count) % 24
    there, here = (one.predict(wavelength, flux[rows], ivar[rows], radial_velocity=velocity[rows])
                   for one in (Predictor(device="cuda"), predictor))
    assert_same(there, here)


@needs_gpu
def test_a_gpu_works_for_a_network_alone(star):
    there, here = (Predictor("uara.da1", device=device).predict(*noisy(star, 3))
                   for device in ("cuda", "cpu"))
    assert_allclose(there.flux, here.flux, rtol=1e-4)
