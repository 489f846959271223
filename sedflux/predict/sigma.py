"""
The last scale of sigma: calibration, scatter between trainings, errors that the models share,
spectra beyond the domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sedflux.libraries.labels import LABELS, find_label_set
from sedflux.predict.factor import FactorRows

__all__ = ["GRID_ROWS", "PRIOR_ROWS", "Widening", "factor_rows", "interpolation_weights",
           "part_rows"]

#: Rows of the best model of a grid of labels, see `sedflux.predict.solutions.refined`.
GRID_ROWS = 3
#: Directions of the prior that open when a star is unlike the training.
PRIOR_ROWS = 4
#: Spectra whose factors are made at a time, in the processor's cache.
_BLOCK = 16
#: Severity beyond one at which they are as long as the prior, and the most that they open.
_OPENING_SEVERITY, _MOST_OPENING = 3.0, 3.0


def part_rows(metadata: Mapping[str, Any], rank: int) -> dict[str, int]:
    """
    Numbers of the rows of a prediction's factor whose origin is known.

    Parameters
    ----------
    metadata : dict
        Of a model, see `Widening`.
    rank : int
        Rows that the network gives.

    Returns
    -------
    rows : dict of str to int
        By the names of the errors that the SEDs of the model share.
    """
    first = rank + len(metadata.get("scatter", {}).get("directions", ()))
    return {name: first + row
            for row, name in enumerate(metadata.get("common", {}).get("scores", {}))}


def factor_rows(metadata: Mapping[str, Any], rank: int) -> int:
    """Most rows of a prediction's factor: scatter, parts, prior, and what joins the network's."""
    scatter = len(metadata.get("scatter", {}).get("directions", ()))
    joined = GRID_ROWS if "grid_weight" in metadata else 0
    return rank + scatter + len(part_rows(metadata, rank)) + PRIOR_ROWS + joined


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
        (m, l, b).  With ``common`` there are errors of the models, which all stars of one
        temperature share: by its name, ``scores`` (m, c) of each in units of the templates, at
        temperatures ``teff`` (m,).
    wavelength : `~numpy.ndarray`, shape (n,)
    units : `~numpy.ndarray`, shape (c, n)
        Components of ln(SED) that the network's factor is given in.
    templates : `~numpy.ndarray`, shape (c, n)
        Principal components of ln(SED), each as long as its spread.

    Attributes
    ----------
    samples : int
        Number of wavelengths.
    """

    def __init__(self, metadata: Mapping[str, Any], wavelength: npt.ArrayLike,
                 units: np.ndarray, templates: np.ndarray) -> None:
        place, calibration = np.log(wavelength), metadata["calibration"]
        self._metadata, self.samples = metadata, place.size
        self._label_set = find_label_set(metadata.get("labels", LABELS))
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
        common = metadata.get("common", {"teff": [1.0], "scores": {}})
        self._common_nodes = np.log(common["teff"])
        self._common = {name: (np.asarray(scores) @ templates).astype(np.float32)
                        for name, scores in common["scores"].items()}

    def covariance(self, values: Mapping[str, np.ndarray], severity: np.ndarray
                   ) -> tuple[np.ndarray, FactorRows]:
        """
        Covariance of ln(flux).

        Parameters
        ----------
        values : dict of str to `~numpy.ndarray`
            With ``snr`` (N,), ``label_mean`` (N, l), ``diagonal`` (N, n) and ``directions``
            (N, r, c), the rows of the factor in terms of the components.
        severity : `~numpy.ndarray`, shape (N,)
            Above one for spectra beyond the domain.

        Returns
        -------
        diagonal : `~numpy.ndarray`, shape (N, n)
        factor : `~sedflux.predict.factor.FactorRows`, shape (N, r + k + p, n)
            Rows of the network, of the scatter, and of the common errors; and four more if any
            spectrum is beyond.
        """
        return self.diagonal(values, severity), self.factor(values, severity)

    def factor(self, values: Mapping[str, np.ndarray], severity: np.ndarray) -> FactorRows:
        """
        The factor of a covariance, which is made when it is asked for.

        Parameters
        ----------
        values, severity
            See `covariance`.

        Returns
        -------
        factor : `~sedflux.predict.factor.FactorRows`, shape (N, r, n)
        """
        return FactorRows(self, values, severity, opened=bool((severity > 1.0).any()))

    def empty_factor(self, values: Mapping[str, np.ndarray], *, opened: bool,
                     size: int | None = None) -> np.ndarray:
        """
        An array for a factor, see `fill_factor`.

        Parameters
        ----------
        values : dict of str to `~numpy.ndarray`
        opened : bool
            Whether the factor has rows of the prior.
        size : int, optional
            Number of stars, if it is not that of the values.

        Returns
        -------
        factor : `~numpy.ndarray`, shape (N, r, n)
        """
        count, rank = values["directions"].shape[:2]
        rank += len(self._directions) + len(self._common) + (len(self._prior) if opened else 0)
        return np.empty((count if size is None else size, rank, self.samples), dtype=np.float32)

    @property
    def has_parts(self) -> bool:
        """Whether the origin of some rows is known."""
        return bool(self._common)

    def parts(self, factor: Any, rank: int) -> dict[str, np.ndarray]:
        """
        Rows of a factor whose origin is known.

        Parameters
        ----------
        factor : `~numpy.ndarray`, shape (N, r, n)
            An array, if there are any.
        rank : int
            Rows that the network gave.

        Returns
        -------
        parts : dict of str to `~numpy.ndarray`, shape (N, n)
        """
        return {name: factor[:, row] for name, row in part_rows(self._metadata, rank).items()}

    def diagonal(self, values: Mapping[str, np.ndarray], severity: np.ndarray) -> np.ndarray:
        """
        The independent part of the variance.

        Parameters
        ----------
        values, severity
            See `covariance`.

        Returns
        -------
        diagonal : `~numpy.ndarray`, shape (N, n)
        """
        scale, _ = self._scales(values, severity)
        scale *= scale
        scale *= values["diagonal"]
        return scale

    def fill_factor(self, values: Mapping[str, np.ndarray], severity: np.ndarray,
                    factor: np.ndarray) -> None:
        """
        Write the factor of a few spectra, each number once.

        Parameters
        ----------
        values, severity
            See `covariance`.
        factor : `~numpy.ndarray`
            From `empty_factor`; changed in place.
        """
        rank = values["directions"].shape[1]
        growth = np.maximum(severity, 1.0).astype(np.float32)
        scale, own_scale = self._scales(values, severity)
        own = factor[:, :rank]
        for begin in range(0, len(own), _BLOCK):
            some = slice(begin, begin + _BLOCK)
            np.matmul(values["directions"][some], self._units, out=own[some])
            own[some] *= scale[some, None]
        place = np.log(self._label_set.unscale(values["label_mean"])[:, 0])
        length = _columns(place, self._nodes, self._length) * growth[:, None]
        beyond = rank + len(self._directions)
        np.multiply(length[:, :, None], self._directions, out=factor[:, rank:beyond])
        if own_scale is not None:
            factor[:, rank:beyond] *= own_scale[:, None]
        for row, nodes in enumerate(self._common.values()):
            factor[:, beyond + row] = _columns(place, self._common_nodes, nodes)
        beyond += len(self._common)
        if factor.shape[1] > beyond:
            opening = np.minimum((growth - 1.0) / _OPENING_SEVERITY, _MOST_OPENING)
            np.multiply(opening[:, None, None], self._prior, out=factor[:, beyond:])

    def _scales(self, values, severity):
        """Scales of sigma at the wavelengths, (N, n): of all, and that of the scatter, or None."""
        growth = np.maximum(severity, 1.0).astype(np.float32)
        bands = _columns(np.log(np.maximum(values["snr"], 1.0)), self._levels, self._table)
        scale = bands @ self._bands * growth[:, None]
        if not self._scale_tables:
            return scale, None
        labels = self._label_set.unscale(values["label_mean"])
        own_scale = self._own_scales(labels) @ self._scale_weights
        scale *= own_scale
        return scale, own_scale

    def _own_scales(self, labels):
        """Scales of stars at the wavelengths of the table, (N, b), from labels (N, 6)."""
        nodes = np.log(labels[:, 0])
        if len(self._scale_tables) == 1:
            return _columns(nodes, self._nodes, self._scale_tables[0])
        shares = interpolation_weights(labels[:, LABELS.index("MH")], self._metallicities)
        return sum(share[:, None].astype(np.float32) * _columns(nodes, self._nodes, table)
                   for share, table in zip(shares, self._scale_tables, strict=True))


def _columns(place, nodes, table):
    """Columns of a table interpolated at places, (N, k)."""
    if len(nodes) == 1:
        return np.repeat(table.astype(np.float32), len(place), axis=0)
    # The place among the nodes, in whole steps and a share of the next.
    steps = np.interp(place, nodes, np.arange(len(nodes)))
    below = np.minimum(steps.astype(int), len(nodes) - 2)
    share = (steps - below)[:, None]
    found = (1.0 - share) * table[below]
    found += share * table[below + 1]
    return found.astype(np.float32)


def interpolation_weights(place: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Weights of values at centres (k,) in their interpolation to places (n,), shape (k, n)."""
    return np.stack([np.interp(place, centres, unit) for unit in np.eye(len(centres))])
