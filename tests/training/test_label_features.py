"""Smooth functions of the labels that vanish away from the stars."""

import numpy as np
from numpy.testing import assert_allclose

from sedflux.training.label_features import LabelFeatures, choose_centres

LENGTHS = (0.5, 1.0, 1.0)


def stars(size, seed=1):
    rng = np.random.default_rng(seed)
    labels = np.tile([6000.0, 4.0, 0.0, 0.0, 0.0, 2.0], (size, 1))
    labels[:, 0] = rng.uniform(5000, 7000, size)
    labels[:, 1] = rng.uniform(3.0, 4.6, size)
    labels[:, 2] = rng.uniform(-1.0, 0.3, size)
    return labels


def test_features_have_unit_variance_at_their_centres():
    labels = stars(200)
    features = LabelFeatures.of_stars(labels, LENGTHS)
    at_centres = features(labels[choose_centres(labels, LENGTHS)])
    assert_allclose((at_centres**2).sum(axis=1), 1.0, atol=1e-4)
    assert features.unknown(labels).max() < 0.1


def test_features_are_the_kernel_between_stars():
    labels = stars(40)
    features = LabelFeatures.of_stars(labels, LENGTHS)
    values = features(labels)
    scaled = np.column_stack([5040.0 / labels[:, 0] / 0.2, labels[:, 1] / 1.1, labels[:, 2] / 0.9])
    gap = (scaled[:, None] - scaled) / LENGTHS
    assert_allclose(values @ values.T, np.exp(-0.5 * (gap**2).sum(axis=-1)), atol=0.03)


def test_features_vanish_far_away():
    far = np.array([[12000.0, 4.0, 0.0, 0.0, 0.0, 2.0], [6000.0, 0.0, 0.0, 0.0, 0.0, 2.0]])
    features = LabelFeatures.of_stars(stars(100), LENGTHS)
    assert np.abs(features(far)).max() < 0.05
    assert features.unknown(far).min() > 0.99


def test_few_centres_are_enough_for_a_smooth_process():
    labels = stars(300)
    few = choose_centres(labels, (3.0, 6.0, 6.0))
    many = choose_centres(labels, (0.3, 0.6, 0.6))
    assert len(few) < 15 < len(many)
    assert len(set(many)) == len(many)
