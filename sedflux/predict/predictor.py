"""
A loaded model: from spectra to predicted SEDs.

`Predictor` takes plain arrays or a `specutils.Spectrum`.  Both are checked by
`sedflux.spectra.arrays.check_spectra` and then take the same path.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from astropy import units as u

from sedflux.libraries.labels import STARS
from sedflux.network.arrays import ArrayNetwork
from sedflux.network.threads import parallel_map
from sedflux.predict.checks import (
    MIN_COVERAGE,
    MIN_RESOLVING_POWER,
    RESOLVING_POWER,
    check_coverage,
    check_resolving_power,
    check_velocity,
    refuse_if_foreign,
    refuse_if_none,
    unusable_reasons,
    velocity_of,
)
from sedflux.predict.flags import domain_flags, flag, sentences, severity_of
from sedflux.predict.line_shapes import line_shapes
from sedflux.predict.pieces import near_input, pieces_of
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.rejection import joint_filters, reject_outliers
from sedflux.predict.sigma import Widening
from sedflux.predict.solutions import SOLUTION_NAMES, describe_solutions
from sedflux.spectra.arrays import CheckedSpectra, SpectrumArrays, check_spectra
from sedflux.spectra.grids import INPUT_PIXELS, input_grid, optical_mean, sed_grid
from sedflux.spectra.normalise import input_basis, normalise_spectra, rebinning_to_input
from sedflux.spectra.resolution import broadening_sigma, lsf_matrix, smooth_spectra
from sedflux.spectra.spectrum import from_spectrum
from sedflux.units import LIGHT_KM_S

if TYPE_CHECKING:
    from specutils import Spectrum

    from sedflux.network.architecture import UncertaintyAwareResidualAttention
    from sedflux.network.tensors import TensorNetwork

__all__ = ["Predictor"]

#: Inverse variance of a flux of order one that single precision holds after all scaling.
_MAX_IVAR = 1e12
#: S/N per pixel beyond which no training spectrum reaches.
MAX_SNR = 300.0
#: |ln(flux)| beyond which a model is damaged.
_MOST_LN_FLUX = 700.0
#: One rebinning operator serves velocities within this step (km/s), a thirtieth of a pixel.
_VELOCITY_STEP = 2.0
#: Numbers behind the flags that users see.
_DIAGNOSTICS = ("snr", "resolving_power", "misfit", "excess", "unusual", "strange", "teff",
                "logg", "mh", "broadening", "nebular", "rejected", "rejected_pixels",
                *SOLUTION_NAMES)
#: Outputs of the network.
_OUTPUTS = ("mean", "label_mean", "misfit", "unusual", "excess", "strange", "evidence",
            "diagonal", "directions")


class Predictor:
    """
    A loaded model that predicts SEDs from plain arrays.

    Parameters
    ----------
    model : str or path-like, optional
        A registered name or the path of a model; the packaged default if not given.
    device : str or `torch.device`, optional
        Where the network works: ``"cpu"`` or ``"cuda"``.  Everything else is done by the processor.

    Raises
    ------
    sedflux.exceptions.ModelError, sedflux.exceptions.WeightsError
        If the model is unknown, missing or damaged.
    sedflux.exceptions.InputError
        If there is no such device.

    Examples
    --------
    >>> import numpy as np
    >>> from sedflux import Predictor
    >>> from sedflux.demo import demo_arrays
    >>> wavelength, flux = demo_arrays()
    >>> sed = Predictor().predict(wavelength, flux, np.full(flux.size, 1e4) / flux**2)
    >>> sed.flux.shape, sed.covariance.rank >= 10
    ((575,), True)
    """

    def __init__(self, model: str | os.PathLike[str] | None = None, *, device: Any = "cpu"
                 ) -> None:
        from sedflux.io.download import file_hash
        from sedflux.network.header import require_entries, require_sizes
        from sedflux.network.stored import read_weights
        from sedflux.predict.models import DEFAULT_MODEL, find_model, model_labels

        path = find_model(model)
        config, self.metadata, weights = read_weights(path)
        require_entries(self.metadata, ("calibration", "domain"), path)
        self.label_set = model_labels(self.metadata, path)
        require_sizes(config, path, pixels=INPUT_PIXELS, samples=sed_grid().size,
                      labels=len(self.label_set.names))
        self.arrays = ArrayNetwork(config, weights)
        self._core = self._core_on(device)
        self.name = self.metadata.get("name", DEFAULT_MODEL if model is None else str(model))
        self.sha256 = file_hash(path)
        shared = self.metadata.get("library_error", {"wavelength": (), "error": ()})
        self.library_error = tuple(zip(shared["wavelength"], shared["error"], strict=True))
        self._grid = input_grid()
        self.wavelength = sed_grid()
        self._basis = input_basis()
        self._joints = joint_filters(self.arrays.projection.scaled, self._basis)
        self._optical_mean = optical_mean(self.wavelength)
        self._widening = Widening(self.metadata, self.wavelength, self.arrays.unit_templates,
                                  weights["sed_templates"])

    def __repr__(self) -> str:
        return f"<Predictor {self.name}>"

    def _core_on(self, device: Any) -> ArrayNetwork | TensorNetwork:
        """The network that predicts: arrays, or torch on a GPU and with convolutions."""
        if str(device) == "cpu" and not self.arrays.config.channels:
            return self.arrays
        from sedflux.network.device import torch_device
        from sedflux.network.tensors import TensorNetwork

        place = torch_device(device)
        if place.type == "cpu" and not self.arrays.config.channels:
            return self.arrays
        return TensorNetwork(self._as_torch(), self.arrays, place)

    def _as_torch(self):
        from sedflux.network.checkpoint import network_of

        return network_of(self.arrays.config, self.arrays.weights)

    @cached_property
    def network(self) -> UncertaintyAwareResidualAttention:
        """The network as a module of torch, made when it is first asked for."""
        return self._as_torch()

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        """The models that this one uses: itself."""
        return (self,)

    def predict(self, wavelength: npt.ArrayLike, flux: npt.ArrayLike,
                ivar: npt.ArrayLike | None = None, *, mask: npt.ArrayLike | None = None,
                resolving_power: Any = RESOLVING_POWER,
                radial_velocity: Any = 0.0) -> SEDPrediction:
        """
        Predict the intrinsic SEDs of N spectra on one wavelength grid.

        Parameters
        ----------
        wavelength : array_like, shape (n,)
            Vacuum wavelength in Angstrom, ascending, 4000 to 7000 or more.
        flux : array_like, shape (n,) or (N, n)
            F_lambda in any unit, with any smooth calibration error, normalised or not.
        ivar : array_like, shape of ``flux``, optional
            Inverse variance of the flux, zero for bad pixels; estimated from the
            spectrum (and flagged) if not given.
        mask : array_like, shape of ``flux`` or (n,), optional
            True, or not zero, for bad pixels.
        resolving_power : float or array_like, shape (n,), optional
            lambda / FWHM of the spectra, 500 or more (300 for white dwarfs); where it varies,
            all is degraded to the least.
        radial_velocity : float, array_like or Quantity, shape () or (N,), optional
            Velocity of each star, which is taken out; in km/s if it has no unit.

        Returns
        -------
        prediction : `~sedflux.SEDPrediction`
            Of one star if ``flux`` has one dimension.

        Raises
        ------
        sedflux.exceptions.InputError
            If shapes disagree, values are not finite, too little is covered, or no spectrum is
            that of a star as the model knows them.

        Notes
        -----
        Spectra are worked on a few hundred at a time: beyond the arrays given, a star takes the
        memory of its result, 60 kB with the packaged model, nine tenths of it for the 22 rows of
        ``factor``.  For more stars than memory holds see `sedflux.catalog`.
        """
        spectra = check_spectra(wavelength, flux, ivar, mask=mask)
        return self._predict(spectra, resolving_power, radial_velocity)

    def predict_spectrum(self, spectrum: Spectrum, *, resolving_power: Any = None,
                         radial_velocity: u.Quantity | None = None,
                         medium: str | None = None) -> SEDPrediction:
        """
        Predict the intrinsic SED of a spectrum, or of several on one axis.

        `sedflux.predict_sed` without its last step, the conversion to a spectrum.

        Parameters
        ----------
        spectrum : `~specutils.Spectrum`
            See `sedflux.predict_sed`, as for the other parameters.
        resolving_power : float or array_like, shape (n,), optional
        radial_velocity : `~astropy.units.Quantity`, optional
        medium : {'vacuum', 'air'}, optional

        Returns
        -------
        prediction : `~sedflux.SEDPrediction`

        Raises
        ------
        sedflux.exceptions.InputError
            If the spectrum cannot be used; the message says what to do.

        Examples
        --------
        >>> from sedflux import Predictor
        >>> from sedflux.demo import demo_spectrum
        >>> Predictor().predict_spectrum(demo_spectrum("bd17_stis")).radial_velocity
        -291.0
        """
        spectra = from_spectrum(spectrum, medium=medium, resolving_power=resolving_power)
        power = RESOLVING_POWER if spectra.resolving_power is None else spectra.resolving_power
        velocity = velocity_of(spectrum, spectra.meta, radial_velocity)
        return self._predict(spectra, power, velocity)

    def _predict(self, spectra: CheckedSpectra | SpectrumArrays, resolving_power: Any,
                 radial_velocity: Any) -> SEDPrediction:
        """Predict spectra that are checked."""
        prediction, _ = self.evaluate(spectra, resolving_power, radial_velocity)
        refuse_if_foreign(np.asarray(prediction.flag_bits), prediction.diagnostics,
                          self.metadata["domain"])
        return prediction[0] if spectra.single else prediction

    def evaluate(self, spectra: CheckedSpectra | SpectrumArrays, resolving_power: Any,
                 radial_velocity: Any, *, screen: Callable[..., np.ndarray] | None = None
                 ) -> tuple[SEDPrediction, dict[str, np.ndarray]]:
        """
        Predict spectra, and tell how well the model explains them.

        They are worked on piece by piece: more spectra take no more memory.

        Parameters
        ----------
        spectra : `~sedflux.spectra.arrays.CheckedSpectra` or `SpectrumArrays`
            N spectra.
        resolving_power, radial_velocity
            See `predict`.
        screen : callable, optional
            Gets normalised spectra and their inverse variance (N, pixels), and their evidence (N,);
            gives a number for each.

        Returns
        -------
        prediction : `~sedflux.SEDPrediction`
            With a first axis for stars.
        fit : dict of str to `~numpy.ndarray`, shape (N,)
            ``evidence``, see `sedflux.network.output.Output`, and the result of ``screen``.
        """
        velocity = check_velocity(radial_velocity, len(spectra))
        sharp, power = check_resolving_power(
            resolving_power, spectra.wavelength,
            lowest=self.metadata.get("least_resolving_power", MIN_RESOLVING_POWER))
        none = np.zeros((0, spectra.wavelength.size))
        near = near_input(SpectrumArrays(spectra.wavelength, none, none, False,
                                         resolving_power=sharp))
        own_power = cast("float | np.ndarray", near.resolving_power)
        sigma = broadening_sigma(near.wavelength, own_power, power)
        kernel = lsf_matrix(near.wavelength, sigma) if sigma.any() else None
        # One operator serves all stars within 1 km/s, a seventieth of a pixel: such stars go
        # together.
        steps = _VELOCITY_STEP * np.round(velocity / _VELOCITY_STEP)
        order = np.argsort(steps, kind="stable")
        pieces = pieces_of(len(spectra))

        def work(piece):
            rows = order[piece]
            return self._piece(near_input(spectra.take(rows)), kernel, steps[rows], power, screen)

        values: dict[str, np.ndarray] = {}
        with parallel_map(len(pieces), torch=self._core.torch) as each:
            for piece, part in zip(pieces, each(work, pieces), strict=True):
                for name, value in part.items():
                    if name not in values:
                        values[name] = np.empty((len(spectra), *value.shape[1:]), value.dtype)
                    values[name][order[piece]] = value
            refuse_if_none(values.pop("reasons"))
            prediction = self._assemble(values, velocity, spectra.noise_estimated, pieces, each)
        return prediction, {name: values[name] for name in ("evidence", "screen")
                            if name in values}

    def _piece(self, near, kernel, velocity, power, screen):
        """Output of the network for some of the spectra, and why some of them are unusable."""
        # Pixels become the slow axis: every operator then works on many spectra at a time.
        # Lines are small differences of large numbers, and stay in double precision.
        flux = np.asfortranarray(near.flux)
        ivar = np.asfortranarray(np.minimum(near.ivar, _MAX_IVAR), dtype=np.float32)
        if kernel is not None:
            flux, ivar = smooth_spectra(kernel, flux, ivar)
        flux, ivar = self._to_grid(near.wavelength, flux, ivar, velocity)
        reasons = unusable_reasons(flux, ivar)
        usable = reasons == ""
        ivar = ivar * usable[:, None]
        found = self._lines(flux, ivar, power)
        if screen is not None:
            found["screen"] = screen(found["normalised"], found["ivar"], found["evidence"])
        rejected = np.zeros(flux.shape, dtype=bool)
        if self.label_set is STARS:
            found |= line_shapes(found, power)
            rejected = reject_outliers(flux, ivar, found, self._joints, self._lines, power)
        del found["normalised"], found["ivar"], found["residual"]
        return self._guarded(found | {
            "usable": usable & (found["good"] > 0), "reasons": reasons,
            "resolving_power": np.full(len(near), power),
            "rejected": rejected.sum(axis=1), "rejected_pixels": rejected})

    def _lines(self, flux, ivar, power):
        """Normalised spectra, their noise, and what the network returns for them."""
        normalised, ivar, spikes = normalise_spectra(flux, ivar, self._basis)
        good = ivar > 0
        count = np.maximum(good.sum(axis=1), 1)
        claimed = np.sqrt(ivar.sum(axis=1) / count)
        # No training spectrum was better: what is called better is limited by other errors.
        ivar = np.minimum(ivar, np.float32(MAX_SNR**2))
        snr = np.sqrt(ivar.sum(axis=1) / count)
        return self._network_values(normalised, ivar, power) | {
            "normalised": normalised, "ivar": ivar, "snr": snr.astype(float),
            "claimed_snr": claimed.astype(float), "spikes": spikes, "good": good.mean(axis=1)}

    def _to_grid(self, wavelength, flux, ivar, velocity):
        """Into the rest frame and onto the input grid; stars of one velocity stand together."""
        shape = (len(flux), self._grid.size)
        new_flux, new_ivar = (np.empty(shape, part.dtype, order="F") for part in (flux, ivar))
        values, begins = np.unique(velocity, return_index=True)
        for value, begin, end in zip(values, begins, [*begins[1:], len(flux)], strict=True):
            rest = wavelength / (1.0 + value / LIGHT_KM_S)
            check_coverage(rest, self._grid,
                           least=self.metadata.get("least_coverage", MIN_COVERAGE))
            new_flux[begin:end], new_ivar[begin:end] = rebinning_to_input(rest)(
                flux[begin:end], ivar[begin:end])
        return new_flux, new_ivar

    def _network_values(self, normalised, ivar, power):
        """What the network returns for a few normalised spectra."""
        found, solutions = self._core.values(normalised, ivar, power)
        if solutions is not None:
            weights = self.arrays.weights
            found |= describe_solutions(solutions, weights["sed_templates"].astype(float),
                                        weights["sed_mean"], self._optical_mean)
        return found

    def _guarded(self, values):
        """The last guard: what is not finite becomes the mean of the training, and is marked."""
        finite = (np.abs(values["mean"]) < _MOST_LN_FLUX).all(axis=1)
        for name in _OUTPUTS:
            finite &= np.isfinite(values[name].reshape(len(finite), -1)).all(axis=1)
        values["finite"] = finite
        if not finite.all():
            for name in _OUTPUTS:
                values[name] = np.array(values[name])
                values[name][~finite] = 0.0
            values["mean"][~finite] = self.arrays.weights["sed_mean"]
            values["diagonal"][~finite] = np.exp(self.arrays.weights["log_variance_start"])
        return values

    def _assemble(self, values, velocity, noise_estimated, pieces, each):
        """One prediction from the output of the network, with flags and widened errors."""
        limits = self.metadata["domain"]
        bits = domain_flags(values, limits, self.label_set)
        if noise_estimated:
            bits |= flag("noise_estimated").mask
        flux = np.exp(values["mean"], out=values.pop("mean"))
        flux /= (self._optical_mean @ flux.T).T
        diagonal, factor = self._widening.covariance(
            values, severity_of(bits, values, limits, self.label_set), pieces, each)
        values |= self._shown_labels(values["label_mean"])
        return SEDPrediction(
            self.wavelength, flux, diagonal, factor, sentences(bits, limits), self.name,
            self.sha256, {name: values[name] for name in _DIAGNOSTICS if name in values},
            self._widening.parts(factor, values["directions"].shape[1]), flag_bits=bits,
            radial_velocity=velocity, library_error={self.name: self.library_error})

    def _shown_labels(self, scaled):
        """Labels that users see; those that a kind of star does not have are NaN."""
        labels = dict(zip(self.label_set.names, self.label_set.unscale(scaled).T, strict=True))
        none = np.full(len(scaled), np.nan)
        return {name.lower(): labels.get(name, none) for name in ("TEFF", "LOGG", "MH")}
