"""Labels of stars and models, and the coordinates of order one that emulators use."""

import numpy as np

__all__ = ["LABELS", "is_solar_scaled", "scale_labels", "unscale_labels"]

# Centres and widths that bring the labels to order one: 5040 K / TEFF, LOGG, MH,
# ALPHA, CARBON, VMICRO.
_CENTRE = np.array([0.75, 3.3, -0.85, 0.1, 0.0, 2.0])
_WIDTH = np.array([0.2, 1.1, 0.9, 0.15, 0.2, 0.6])
#: Labels of the synthetic library, in the order of every label array.
LABELS = ("TEFF", "LOGG", "MH", "ALPHA", "CARBON", "VMICRO")


def scale_labels(labels):
    """
    Labels to the emulator's coordinates of order one.

    Parameters
    ----------
    labels : array_like, shape (N, 6)
        TEFF (K), LOGG, MH, ALPHA, CARBON, VMICRO (km/s).

    Returns
    -------
    scaled : `~numpy.ndarray`, shape (N, 6)
        With 5040 K / TEFF for the temperature.
    """
    scaled = np.array(np.atleast_2d(labels), dtype=float)
    scaled[:, 0] = 5040.0 / scaled[:, 0]
    return (scaled - _CENTRE) / _WIDTH


def unscale_labels(scaled):
    """The inverse of `scale_labels`."""
    labels = np.atleast_2d(scaled) * _WIDTH + _CENTRE
    labels[:, 0] = 5040.0 / np.maximum(labels[:, 0], 1e-2)
    return labels


def is_solar_scaled(labels):
    """Which models (N, 6) have solar-scaled abundances."""
    columns = [LABELS.index("ALPHA"), LABELS.index("CARBON")]
    return (labels[:, columns] == 0).all(axis=1)
