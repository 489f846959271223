import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux import InputError
from sedflux.emulator.gaussian_process import Kernel
from sedflux.libraries.prior import SURVEY, label_chances, survey_density
from sedflux.training.examples import ExampleGenerator


def test_shares_are_those_of_all_stars():
    assert_allclose(sum(locus.share for locus in SURVEY), 1.0)


def test_density_integrates_to_about_one():
    """The loci end within the library, and stars beyond their ends are few."""
    rng = np.random.default_rng(1)
    low, high = np.array([3500.0, 0.0, -3.5]), np.array([12000.0, 5.5, 1.5])
    points = rng.uniform(low, high, (400_000, 3))
    total = survey_density(points).mean() * np.prod(high - low)
    assert 0.7 < total < 1.05


def test_flat_is_even_and_survey_is_not(toy_library):
    flat, survey = (label_chances(toy_library.labels, prior) for prior in ("flat", "survey"))
    assert_allclose(flat, 1.0 / len(flat))
    assert_allclose(survey.sum(), 1.0)
    assert survey.max() > 10 * survey.min() > 0


def test_engine_draws_from_its_prior(toy_library):
    generators = [ExampleGenerator(toy_library, kernels=(Kernel.initial(),), prior=prior)
               for prior in ("flat", "survey")]
    flat, survey = (np.log(survey_density(generator.draw_labels(4000, np.random.default_rng(3)))
                           + 1e-12).mean() for generator in generators)
    assert survey > flat + 2.0


def test_unknown_prior(toy_library):
    with pytest.raises(InputError, match="choose one of flat, survey"):
        label_chances(toy_library.labels, "galactic")
