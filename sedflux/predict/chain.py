"""
From checked spectra to what the network finds in them, piece by piece, as plain arrays.

`sedflux.predict.tensor_chain` does the same with torch on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from sedflux.libraries.labels import STARS, LabelSet
from sedflux.network.arrays import ArrayNetwork
from sedflux.network.least_squares import Projected
from sedflux.predict.checks import unusable_reasons
from sedflux.predict.line_shapes import line_shapes
from sedflux.predict.pieces import READ_RANGE, near_input
from sedflux.predict.rejection import joint_filters, reject_outliers
from sedflux.predict.solutions import describe_solutions
from sedflux.spectra.arrays import CheckedSpectra, SpectrumArrays
from sedflux.spectra.grids import input_grid, optical_mean, sed_grid
from sedflux.spectra.normalise import input_basis, normalise_spectra, rebinning_to_input
from sedflux.spectra.resolution import smooth_spectra
from sedflux.units import LIGHT_KM_S

__all__ = ["MAX_IVAR", "MAX_SNR", "MOST_LN_FLUX", "OF_LINES", "OUTPUTS",
           "ArrayChain", "Conditions"]

#: Inverse variance of a flux of order one that single precision holds after all scaling.
MAX_IVAR = 1e12
#: S/N per pixel beyond which no training spectrum reaches.
MAX_SNR = 300.0
#: |ln(flux)| beyond which a model is damaged.
MOST_LN_FLUX = 700.0
#: Outputs of the network.
OUTPUTS = ("mean", "label_mean", "misfit", "unusual", "excess", "strange", "evidence",
           "diagonal", "directions")
#: What is told of spectra before the network sees them.  Their evidence is that of all pixels.
OF_LINES = ("snr", "claimed_snr", "spikes", "good", "evidence")


@dataclass(frozen=True)
class Conditions:
    """
    How spectra were taken: what all of them share, and their velocities.

    Attributes
    ----------
    kernel : sparse matrix, shape (n, n), or None
        Brings the pixels around the input grid to the resolving power that all are degraded to.
    power : float
        This resolving power.
    velocity : `~numpy.ndarray`, shape (N,)
        In km/s, in steps that share an operator.
    """

    kernel: sparse.csr_matrix | None
    power: float
    velocity: np.ndarray


class ArrayChain:
    """
    Brings spectra to rest and onto the input grid, removes the continuum, and asks the network.

    Parameters
    ----------
    core : `~sedflux.network.arrays.ArrayNetwork` or `~sedflux.network.tensors.TensorNetwork`
        That predicts.
    arrays : `~sedflux.network.arrays.ArrayNetwork`
    label_set : `~sedflux.libraries.labels.LabelSet`
    """

    def __init__(self, core: Any, arrays: ArrayNetwork, label_set: LabelSet) -> None:
        self._core, self._arrays, self._label_set = core, arrays, label_set
        self._grid, self._basis = input_grid(), input_basis()
        self._optical_mean = optical_mean(sed_grid())
        self._joints = joint_filters(arrays.projection.scaled, self._basis)

    @property
    def torch(self) -> Any:
        """Torch, if the network works with it."""
        return self._core.torch

    def values(self, spectra: CheckedSpectra | SpectrumArrays, conditions: Conditions,
               pieces: list[slice], each: Callable[..., Any],
               done: Callable[[dict[str, np.ndarray], slice], None], *,
               screen: Callable[..., np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """
        Output of the network for N spectra, and what is needed to judge it.

        Parameters
        ----------
        spectra : `~sedflux.spectra.arrays.CheckedSpectra` or `SpectrumArrays`
        conditions : `Conditions`
        pieces : list of slice
            Spectra to work on at a time.
        each : callable
            `map`, or a like function that works side by side.
        done : callable
            Gets the values, and those of the N spectra of which they are known: they may be needed
            before all are.
        screen : callable, optional
            See `sedflux.predict.predictor.Predictor.evaluate`.

        Returns
        -------
        values : dict of str to `~numpy.ndarray`, shape (N, ...)
        """
        # Stars of one velocity stand together, and share an operator.
        order = np.argsort(conditions.velocity, kind="stable")
        sorted_already = bool((order[1:] > order[:-1]).all())
        spectra = spectra.near(*READ_RANGE)

        def rows_of(piece):
            return piece if sorted_already else order[piece]

        def work(piece):
            rows = rows_of(piece)
            return self._piece(near_input(spectra.take(rows)), conditions.kernel,
                               conditions.velocity[rows], conditions.power, screen)

        values: dict[str, np.ndarray] = {}
        for piece, part in zip(pieces, each(work, pieces), strict=True):
            for name, value in part.items():
                if name not in values:
                    values[name] = np.empty((len(spectra), *value.shape[1:]), value.dtype)
                values[name][rows_of(piece)] = value
        done(values, slice(len(spectra)))
        return values

    def _piece(self, near, kernel, velocity, power, screen):
        """Output of the network for some of the spectra, and why some of them are unusable."""
        # Pixels become the slow axis: every operator then works on many spectra at a time.
        # Lines are small differences of large numbers, and stay in double precision.
        flux = np.asfortranarray(near.flux)
        ivar = np.asfortranarray(np.minimum(near.ivar, MAX_IVAR), dtype=np.float32)
        if kernel is not None:
            flux, ivar = smooth_spectra(kernel, flux, ivar)
        flux, ivar = self._to_grid(near.wavelength, flux, ivar, velocity)
        reasons = unusable_reasons(flux, ivar)
        usable = reasons == ""
        if not usable.all():
            ivar = ivar * usable[:, None]
        searched = self._label_set is STARS or screen is not None
        lines = self._projected(flux, ivar) if searched else self._lines(flux, ivar)
        shapes, rejected = {}, np.zeros(flux.shape, dtype=bool)
        if screen is not None:
            shapes["screen"] = screen(lines["normalised"], lines["ivar"], lines["evidence"])
        if self._label_set is STARS:
            shapes |= line_shapes(lines, power)
            rejected = reject_outliers(flux, ivar, lines, self._joints, self._projected)
        found = self._network_values(lines, power)
        return self._guarded(found | shapes | {
            "usable": usable & (found["good"] > 0), "reasons": reasons,
            "resolving_power": np.full(len(near), power),
            "rejected": rejected.sum(axis=1), "rejected_pixels": rejected})

    def _lines(self, flux, ivar):
        """Normalised spectra and their noise."""
        normalised, ivar, spikes = normalise_spectra(flux, ivar, self._basis)
        good = ivar > 0
        count = np.maximum(good.sum(axis=1), 1)
        claimed = np.sqrt(ivar.sum(axis=1) / count)
        # No training spectrum was better: what is called better is limited by other errors.
        ivar = np.minimum(ivar, np.float32(MAX_SNR**2))
        snr = np.sqrt(ivar.sum(axis=1) / count)
        return {"normalised": np.asfortranarray(normalised, dtype=np.float32), "ivar": ivar,
                "snr": snr.astype(float), "claimed_snr": claimed.astype(float), "spikes": spikes,
                "good": good.mean(axis=1)}

    def _projected(self, flux, ivar):
        """Normalised spectra, their noise, and their projection."""
        lines = self._lines(flux, ivar)
        projected = self._arrays.project(lines["normalised"], lines["ivar"])
        return lines | projected._asdict() | {"evidence": projected.evidence()}

    def _to_grid(self, wavelength, flux, ivar, velocity):
        """Into the rest frame and onto the input grid; stars of one velocity stand together."""
        shape = (len(flux), self._grid.size)
        new_flux, new_ivar = (np.empty(shape, part.dtype, order="F") for part in (flux, ivar))
        values, begins = np.unique(velocity, return_index=True)
        for value, begin, end in zip(values, begins, [*begins[1:], len(flux)], strict=True):
            new_flux[begin:end], new_ivar[begin:end] = rebinning_to_input(
                wavelength / (1.0 + value / LIGHT_KM_S))(flux[begin:end], ivar[begin:end])
        return new_flux, new_ivar

    def _network_values(self, lines, power):
        """What the network returns for a few normalised spectra, and their noise."""
        projected = Projected(*(lines[name] for name in Projected._fields)) \
            if "residual" in lines else None
        found, solutions = self._core.values(lines["normalised"], lines["ivar"], power,
                                             projected=projected)
        del found["residual"]
        if solutions is not None:
            weights = self._arrays.weights
            found |= describe_solutions(solutions, weights["sed_templates"].astype(float),
                                        weights["sed_mean"], self._optical_mean)
        return found | {name: lines[name] for name in OF_LINES if name in lines}

    def _guarded(self, values):
        """The last guard: what is not finite becomes the mean of the training, and is marked."""
        finite = (np.abs(values["mean"]) < MOST_LN_FLUX).all(axis=1)
        for name in OUTPUTS:
            finite &= np.isfinite(values[name].reshape(len(finite), -1)).all(axis=1)
        values["finite"] = finite
        if not finite.all():
            for name in OUTPUTS:
                values[name] = np.array(values[name])
                values[name][~finite] = 0.0
            values["mean"][~finite] = self._arrays.weights["sed_mean"]
            values["diagonal"][~finite] = np.exp(
                self._arrays.weights["log_variance_start"])
        return values
