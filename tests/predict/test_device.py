"""Where the network works: the processor, or a GPU if there is one."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sedflux import InputError, Predictor


def noisy(star, count):
    wavelength, flux = star
    rng = np.random.default_rng(3)
    return (wavelength, flux * (1.0 + rng.standard_normal((count, flux.size)) / 50.0),
            np.tile(2500.0 / flux**2, (count, 1)))


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("count", [1, 700])
def test_a_gpu_gives_the_same_numbers(star, predictor, count):
    spectra = noisy(star, count)
    there, here = Predictor(device="cuda").predict(*spectra), predictor.predict(*spectra)
    assert_allclose(there.flux, here.flux, rtol=1e-4)
    assert_allclose(there.sigma, here.sigma, rtol=1e-4)
    assert_array_equal(there.flag_bits, here.flag_bits)
