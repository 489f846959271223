"""The label fit's options; its results are tested with the validation."""

import numpy as np
import pytest

from sedflux import InputError
from sedflux.emulator.gaussian_process import Kernel
from sedflux.emulator.labelfit import LabelFit
from sedflux.libraries import split_models
from sedflux.libraries.labels import scale_labels


@pytest.fixture(scope="module")
def fitter(toy_library):
    return LabelFit(split_models(toy_library)[0], (Kernel.initial(),))


@pytest.fixture(scope="module")
def model(fitter):
    """The model in the middle of the library, without noise, and its labels."""
    scaled = scale_labels(fitter.emulator.labels)
    labels = fitter.emulator.labels[np.argmin((scaled**2).sum(axis=1))]
    return labels, fitter.models(labels[None])[0][0]


def test_a_model_gives_its_labels_back(fitter, model):
    labels, normalised = model
    result = fitter.fit(normalised, np.full(normalised.size, 1e4))
    assert result.labels[0] == pytest.approx(labels[0], abs=100.0)
    assert result.labels[1:3] == pytest.approx(labels[1:3], abs=0.3)
    assert result.log_sed.shape == result.diagonal.shape == (575,)


def test_known_labels_hold_the_fit(fitter, model):
    """Errors of the start are a prior: the smaller they are, the less the labels move."""
    labels, normalised = model
    wrong = labels + np.array([300.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    ivar = np.full(normalised.size, 1e4)
    free, held = (fitter.fit(normalised, ivar, start=wrong, errors=scale * np.ones(6)
                             * (100.0, 0.2, 0.2, 0.1, 0.1, 0.3)) for scale in (1.0, 1e-4))
    assert abs(held.labels[0] - wrong[0]) < 1.0 < 50.0 < abs(free.labels[0] - wrong[0])


def test_more_noise_gives_a_wider_bound(fitter, model):
    labels, normalised = model
    quiet, noisy = (fitter.bound(labels, np.full(normalised.size, ivar)) for ivar in (1e4, 1e2))
    assert (noisy >= quiet).all()
    assert (quiet > 0).all()


def test_options_that_do_not_fit(fitter, model):
    normalised, ivar = model[1], np.ones(model[1].size)
    with pytest.raises(InputError, match="iterations is 0"):
        fitter.fit(normalised, ivar, iterations=0)
    with pytest.raises(InputError, match="without start"):
        fitter.fit(normalised, ivar, errors=np.ones(6))
