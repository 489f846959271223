"""The last scale of sigma: calibration, scatter between trainings, spectra beyond the domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sedflux.libraries.labels import LABELS, unscale_labels

__all__ = ["PRIOR_ROWS", "Widening", "interpolation_weights"]

#: Directions of the prior that open when a star is unlike the training.
PRIOR_ROWS = 4


class Widening:
    """
    What widens the network's covariance: measured scales, scatter, and the prior.

    Beyond the limit of the domain the predicted sigma grows with the severity, and the leading
    directions in which training SEDs differ open towards the prior.

    Parameters
    ----------
    metadata : dict
        Of a model, with ``calibration`` from
        `sedflux.training.covariance_stage.measure_calibration` and, if there is any,
        ``scatter`` from `sedflux.training.calibrate`: ``directions`` (k, n), their ``length``
        (m, k) at temperatures ``teff`` (m,), and a ``scale`` at ``wavelength`` (b,): of all
        stars (b,), at every temperature (m, b), or there at every metallicity ``mh`` (l,) too,
        (m, l, b).
    wavelength : `~numpy.ndarray`, shape (n,)
    units : `~numpy.ndarray`, shape (c, n)
        Components of ln(SED) that the network's factor is given in.
    templates : `~numpy.ndarray`, shape (c, n)
        Principal components of ln(SED), each as long as its spread.
    """

    def __init__(self, metadata: Mapping[str, Any], wavelength: npt.ArrayLike,
                 units: np.ndarray, templates: np.ndarray) -> None:
        place, calibration = np.log(wavelength), metadata["calibration"]
        scatter = metadata.get("scatter", {})
        scale_table = np.array(scatter.get("scale", [1.0]))
        scale_weights = interpolation_weights(place, np.log(scatter.get("wavelength", [1.0])))
        # One scale of all stars is put into the tables that follow.
        common = scale_table.ndim == 1
        scale = scale_table @ scale_weights if common else 1.0
        self._metallicities = np.asarray(scatter.get("mh", [0.0]))
        self._scale_tables = [] if common else list(
            scale_table.reshape(len(scale_table), len(self._metallicities), -1).swapaxes(0, 1))
        self._scale_weights = scale_weights.astype(np.float32)
        weights = interpolation_weights(place, np.log(calibration["wavelength"]))
        self._bands = (weights * scale).astype(np.float32)
        self._levels, self._table = np.log(calibration["snr"]), np.asarray(calibration["scale"])
        self._nodes = np.log(scatter.get("teff", [1.0]))
        self._length = np.reshape(scatter.get("length", []), (len(self._nodes), -1))
        directions = np.reshape(scatter.get("directions", []), (-1, place.size))
        self._directions = (directions * scale).astype(np.float32)
        self._units, self._prior = units, templates[:PRIOR_ROWS]

    def covariance(self, values: Mapping[str, np.ndarray], severity: np.ndarray,
                   pieces: Iterable[slice], each: Callable[..., Any] = map,
                   product: Callable[..., np.ndarray] = np.matmul) \
            -> tuple[np.ndarray, np.ndarray]:
        """
        Covariance of ln(flux).

        Parameters
        ----------
        values : dict of str to `~numpy.ndarray`
            With ``snr`` (N,), ``label_mean`` (N, 6), ``diagonal`` (N, n) and ``directions``
            (N, r, c), the rows of the factor in terms of the components.
        severity : `~numpy.ndarray`, shape (N,)
            Above one for spectra beyond the domain.
        pieces : iterable of slice
            Rows to work on at a time.
        each : callable, optional
            `map`, or a like function that works side by side.
        product : callable, optional
            Multiplies matrices.

        Returns
        -------
        diagonal : `~numpy.ndarray`, shape (N, n)
        factor : `~numpy.ndarray`, shape (N, r + k, n), or (N, r + k + 4, n) if any is beyond
        """
        size = values["diagonal"].shape
        rank = values["directions"].shape[1] + len(self._directions)
        rank += len(self._prior) if (severity > 1.0).any() else 0
        diagonal = np.empty(size, dtype=np.float32)
        factor = np.empty((size[0], rank, size[-1]), dtype=np.float32)

        def fill(rows):
            self._fill({name: values[name][rows] for name in
                        ("snr", "label_mean", "diagonal", "directions")},
                       severity[rows], diagonal[rows], factor[rows], product)

        list(each(fill, pieces))
        return diagonal, factor

    def _fill(self, values, severity, diagonal, factor, product):
        """Write the covariance of a few spectra, each number once."""
        rank, size = values["directions"].shape[1:]
        growth = np.maximum(severity, 1.0).astype(np.float32)
        bands = _columns(np.log(np.maximum(values["snr"], 1.0)), self._levels, self._table)
        scale = product(bands, self._bands) * growth[:, None]
        labels = unscale_labels(values["label_mean"])
        place = np.log(labels[:, 0])
        if self._scale_tables:
            own_scale = product(self._own_scales(labels), self._scale_weights)
            scale *= own_scale
        np.multiply(values["diagonal"], scale**2, out=diagonal)
        own = factor[:, :rank]
        rows = product(values["directions"].reshape(-1, size), self._units)
        np.multiply(rows.reshape(own.shape), scale[:, None], out=own)
        length = _columns(place, self._nodes, self._length) * growth[:, None]
        beyond = rank + len(self._directions)
        np.multiply(length[:, :, None], self._directions, out=factor[:, rank:beyond])
        if self._scale_tables:
            factor[:, rank:beyond] *= own_scale[:, None]
        if factor.shape[1] > beyond:
            opening = np.clip((growth - 1.0) / 3.0, 0.0, 1.0)
            np.multiply(opening[:, None, None], self._prior, out=factor[:, beyond:])

    def _own_scales(self, labels):
        """Scales of stars at the wavelengths of the table, (N, b), from labels (N, 6)."""
        nodes = np.log(labels[:, 0])
        if len(self._scale_tables) == 1:
            return np.ascontiguousarray(_columns(nodes, self._nodes, self._scale_tables[0]))
        shares = interpolation_weights(labels[:, LABELS.index("MH")], self._metallicities)
        return sum(share[:, None].astype(np.float32) * _columns(nodes, self._nodes, table)
                   for share, table in zip(shares, self._scale_tables, strict=True))


def _columns(place, nodes, table):
    """Columns of a table interpolated at places, (N, k)."""
    found = [np.interp(place, nodes, column) for column in table.T]
    return np.array(found, dtype=np.float32).reshape(-1, len(place)).T


def interpolation_weights(place: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Weights of values at centres (k,) in their interpolation to places (n,), shape (k, n)."""
    return np.stack([np.interp(place, centres, unit) for unit in np.eye(len(centres))])
