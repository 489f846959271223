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

from sedflux.network.arrays import ArrayNetwork
from sedflux.network.threads import parallel_map, thread_count
from sedflux.predict.assembly import Assembly
from sedflux.predict.chain import ArrayChain, Conditions
from sedflux.predict.checks import (
    MIN_COVERAGE,
    MIN_RESOLVING_POWER,
    RESOLVING_POWER,
    check_coverage,
    check_resolving_power,
    check_velocity,
    refuse_if_foreign,
    refuse_if_none,
    velocity_of,
)
from sedflux.predict.flags import flag, sentences
from sedflux.predict.pieces import near_input, pieces_of
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.sigma import Widening
from sedflux.predict.solutions import SOLUTION_NAMES, refined
from sedflux.spectra.arrays import CheckedSpectra, SpectrumArrays, check_spectra
from sedflux.spectra.grids import INPUT_PIXELS, input_grid, optical_mean, sed_grid
from sedflux.spectra.resolution import broadening_sigma, lsf_matrix
from sedflux.spectra.spectrum import from_spectrum
from sedflux.units import LIGHT_KM_S

if TYPE_CHECKING:
    from specutils import Spectrum

    from sedflux.network.architecture import UncertaintyAwareResidualAttention
    from sedflux.predict.tensor_chain import TensorChain

__all__ = ["Predictor"]

#: One rebinning operator serves velocities within this step (km/s), a thirtieth of a pixel.
_VELOCITY_STEP = 2.0
#: Numbers behind the flags that users see.
_DIAGNOSTICS = ("snr", "resolving_power", "misfit", "excess", "unusual", "strange", "teff",
                "logg", "mh", "broadening", "nebular", "rejected", "rejected_pixels",
                *SOLUTION_NAMES)


class Predictor:
    """
    A loaded model that predicts SEDs from plain arrays.

    Parameters
    ----------
    model : str or path-like, optional
        A registered name or the path of a model; the packaged default if not given.
    device : str or `torch.device`, optional
        Where spectra are worked on: ``"cpu"`` or ``"cuda"``.  With a model of white dwarfs, or one
        with convolutions, only the network works on the GPU.

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
        from sedflux.network.header import require_entries, require_sizes
        from sedflux.network.stored import read_weights
        from sedflux.predict.models import DEFAULT_MODEL, find_model, model_hash, model_labels

        path = find_model(model)
        config, self.metadata, weights = read_weights(path)
        require_entries(self.metadata, ("calibration", "domain"), path)
        self.label_set = model_labels(self.metadata, path)
        require_sizes(config, path, pixels=INPUT_PIXELS, samples=sed_grid().size,
                      labels=len(self.label_set.names))
        self.arrays = ArrayNetwork(config, weights)
        self.name = self.metadata.get("name", DEFAULT_MODEL if model is None else str(model))
        self.sha256 = model_hash(path)
        shared = self.metadata.get("library_error", {"wavelength": (), "error": ()})
        self.library_error = tuple(zip(shared["wavelength"], shared["error"], strict=True))
        self.wavelength, self._grid = sed_grid(), input_grid()
        self._chain = self._chain_on(device)
        self._optical_mean = optical_mean(self.wavelength)
        self._widening = Widening(self.metadata, self.wavelength, self.arrays.unit_templates,
                                  weights["sed_templates"])

    def __repr__(self) -> str:
        return f"<Predictor {self.name}>"

    def _chain_on(self, device: Any) -> ArrayChain | TensorChain:
        """What works on spectra: arrays, or torch on a GPU and with convolutions."""
        arrays, convolutions = self.arrays, bool(self.arrays.config.channels)
        if str(device) == "cpu" and not convolutions:
            return ArrayChain(arrays, arrays, self.label_set)
        from sedflux.network.device import torch_device
        from sedflux.network.tensors import TensorNetwork

        place = torch_device(device)
        if place.type == "cpu" and not convolutions:
            return ArrayChain(arrays, arrays, self.label_set)
        core = TensorNetwork(self._as_torch(), arrays, place)
        if place.type == "cpu" or convolutions or arrays.posterior is not None:
            return ArrayChain(core, arrays, self.label_set)
        from sedflux.predict.tensor_chain import TensorChain

        return TensorChain(core, self.label_set)

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
        memory of its result, 11 kB with the packaged model.  The rows of ``factor`` are made when
        they are asked for, and take 40 kB more, or 50.  For more stars than memory holds see
        `sedflux.catalog`.
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
            A `~sedflux.predict.screen.Screen` of another model; without a GPU, anything that takes
            and gives the same.

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
        # One operator serves all stars within 1 km/s, a seventieth of a pixel.
        steps = _VELOCITY_STEP * np.round(velocity / _VELOCITY_STEP)
        for step in np.unique(steps):
            check_coverage(near.wavelength / (1.0 + step / LIGHT_KM_S), self._grid,
                           least=self.metadata.get("least_coverage", MIN_COVERAGE))
        conditions = Conditions(lsf_matrix(near.wavelength, sigma) if sigma.any() else None, power,
                                steps)
        pieces = pieces_of(len(spectra), thread_count())
        with parallel_map(len(pieces), torch=self._chain.torch) as each:
            assembly = Assembly(len(spectra), self.metadata["domain"], self.label_set,
                                self._widening, each)
            values = self._chain.values(spectra, conditions, pieces, each, assembly.add,
                                        screen=screen)
            refuse_if_none(values.pop("reasons"))
            diagonal, factor = self._refined(values, assembly)
        bits = assembly.bits
        if spectra.noise_estimated:
            bits |= flag("noise_estimated").mask
        return self._prediction(values, bits, diagonal, factor, velocity), {
            name: values[name] for name in ("evidence", "screen") if name in values}

    def _refined(self, values, assembly):
        """Diagonal and factor; rows that are known by name, or joined by others, are made now."""
        diagonal, factor = assembly.covariance(values)
        if not self._widening.has_parts and "grid_weight" not in self.metadata:
            return diagonal, factor
        return refined(values, assembly.severity, diagonal, factor.array(), self.metadata,
                       self.arrays.weights)

    def _prediction(self, values, bits, diagonal, factor, velocity):
        """One prediction from the output of the network, with flags and widened errors."""
        flux = values.pop("flux", None)
        if flux is None:
            flux = np.exp(values["mean"], out=values.pop("mean"))
            flux /= (self._optical_mean @ flux.T).T
        values |= self._shown_labels(values["label_mean"])
        return SEDPrediction(
            self.wavelength, flux, diagonal, factor, sentences(bits, self.metadata["domain"]),
            self.name, self.sha256, {name: values[name] for name in _DIAGNOSTICS if name in values},
            self._widening.parts(factor, values["directions"].shape[1]), flag_bits=bits,
            radial_velocity=velocity, library_error={self.name: self.library_error})

    def _shown_labels(self, scaled):
        """Labels that users see; those that a kind of star does not have are NaN."""
        labels = dict(zip(self.label_set.names, self.label_set.unscale(scaled).T, strict=True))
        none = np.full(len(scaled), np.nan)
        return {name.lower(): labels.get(name, none) for name in ("TEFF", "LOGG", "MH")}
