"""
A loaded model: from spectra to predicted SEDs.

`Predictor` takes plain arrays or a `specutils.Spectrum`; both go through one door,
`sedflux.spectra.arrays.spectrum_arrays`, and one path follows.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.libraries.labels import LABELS, unscale_labels
from sedflux.predict.checks import (
    RESOLVING_POWER,
    check_coverage,
    check_resolving_power,
    check_velocity,
    refuse_if_none,
    unusable_reasons,
)
from sedflux.predict.flags import domain_flags, flag, sentences, severity_of
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.sigma import calibrated, inflate, with_scatter
from sedflux.spectra.arrays import SpectrumArrays, fill_gaps, spectrum_arrays
from sedflux.spectra.continuum import remove_continuum
from sedflux.spectra.grids import INPUT_PIXELS, input_grid, optical_mean, rebin_spectra, sed_grid
from sedflux.spectra.normalise import input_basis
from sedflux.spectra.resolution import degrade_spectra
from sedflux.spectra.spectrum import from_spectrum
from sedflux.units import LIGHT_KM_S

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["Predictor", "loaded_predictor", "use_threads", "velocity_of"]

#: S/N a pixel beyond which no training spectrum reaches.
MAX_SNR = 300.0
#: Positive excursions beyond this, and five sigma, are no stellar spectrum.
_SPIKE = 0.5
#: Where the normalised flux is further from zero than this, the fitted continuum crosses zero.
_NO_CONTINUUM = 1e4
#: Wavelengths around the input grid that are worth reading, in Angstrom.
_NEAR = (3900.0, 7150.0)
#: Spectra that are worked on at a time: so few that they stay in the processor's cache.
_CHUNK = 256
#: One rebinning operator serves velocities within this step (km/s), a thirtieth of a pixel.
_VELOCITY_STEP = 2.0
#: Numbers behind the flags that users see.
_DIAGNOSTICS = ("snr", "resolving_power", "misfit", "excess", "unusual", "strange", "teff",
                "logg", "mh")
#: What the network answers, and the errors made of it.
_ANSWERS = ("mean", "label_mean", "misfit", "unusual", "excess", "strange", "diagonal", "factor")
#: Models that `loaded_predictor` keeps.
_KEPT = 4


class Predictor:
    """
    A loaded model that predicts SEDs from plain arrays.

    Parameters
    ----------
    model : str or path-like, optional
        A registered name or the path of a model; the packaged default if not given.

    Raises
    ------
    sedflux.exceptions.ModelError, sedflux.exceptions.WeightsError
        If the model is unknown, missing or damaged.

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

    def __init__(self, model: str | os.PathLike[str] | None = None) -> None:
        from sedflux.io.download import file_hash
        from sedflux.network.checkpoint import load_network
        from sedflux.network.header import require_entries, require_sizes
        from sedflux.predict.models import DEFAULT_MODEL, find_model

        path = find_model(model)
        self.network, self.metadata = load_network(path)
        require_entries(self.metadata, ("calibration", "domain"), path)
        require_sizes(self.network.config, path, pixels=INPUT_PIXELS, samples=sed_grid().size,
                      labels=len(LABELS))
        self.name = self.metadata.get("name", DEFAULT_MODEL if model is None else str(model))
        self.sha256 = file_hash(path)
        self._grid = input_grid()
        self.wavelength = sed_grid()
        self._basis = input_basis()
        self._optical_mean = optical_mean(self.wavelength)
        _use_one_thread_after_fork()

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
            lambda / FWHM of the spectra, 500 or more; where it varies, all is
            degraded to the least.
        radial_velocity : float, array_like or Quantity, shape () or (N,), optional
            Velocity of each star, which is taken out; in km/s if it has no unit.

        Returns
        -------
        prediction : `~sedflux.SEDPrediction`
            Of one star if ``flux`` has one dimension.

        Raises
        ------
        sedflux.exceptions.InputError
            If shapes disagree, values are not finite, or too little is covered.
        """
        spectra = spectrum_arrays(wavelength, flux, ivar, mask=mask)
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
        >>> Predictor().predict_spectrum(demo_spectrum()).radial_velocity
        -291.0
        """
        spectra = from_spectrum(spectrum, medium=medium, resolving_power=resolving_power)
        power = RESOLVING_POWER if spectra.resolving_power is None else spectra.resolving_power
        velocity = velocity_of(spectrum, spectra.meta, radial_velocity)
        return self._predict(spectra, power, velocity)

    def _predict(self, spectra: SpectrumArrays, resolving_power: Any,
                 radial_velocity: Any) -> SEDPrediction:
        """Predict spectra that are checked, chunk by chunk."""
        velocity = check_velocity(radial_velocity, len(spectra))
        sharp, power = check_resolving_power(resolving_power, spectra.wavelength)
        near = fill_gaps(SpectrumArrays(spectra.wavelength, spectra.flux, spectra.ivar, False,
                                        resolving_power=sharp).near(*_NEAR))
        wavelength, sharp = near.wavelength, np.asarray(near.resolving_power)

        def work(begin):
            rows = slice(begin, begin + _CHUNK)
            piece = degrade_spectra(wavelength, near.flux[rows], near.ivar[rows], sharp, power)
            piece = self._to_grid(wavelength, *piece, velocity[rows])
            reasons = unusable_reasons(*piece)
            return reasons, self._chunk(*piece, power, reasons == "")

        # Two chunks at a time, because half of the work (numpy's) uses one core only.
        begins = range(0, len(spectra), _CHUNK)
        with ThreadPoolExecutor(max_workers=2) as pool:
            done = list(pool.map(work, begins) if len(begins) > 1 else map(work, begins))
        refuse_if_none(np.concatenate([reasons for reasons, _ in done]))
        values = {name: np.concatenate([part[name] for _, part in done]) for name in done[0][1]}
        prediction = self._assemble(values, velocity, spectra.noise_estimated)
        return prediction[0] if spectra.single else prediction

    def _to_grid(self, wavelength, flux, ivar, velocity):
        """Into the rest frame and onto the input grid."""
        # One operator serves all stars within 1 km/s, a seventieth of a pixel.
        velocity = _VELOCITY_STEP * np.round(velocity / _VELOCITY_STEP)
        unique = np.unique(velocity)
        new_flux = np.zeros((len(flux), self._grid.size))
        new_ivar = np.zeros_like(new_flux)
        for value in unique:
            rest = wavelength / (1.0 + value / LIGHT_KM_S)
            check_coverage(rest, self._grid)
            rows = velocity == value
            new_flux[rows], new_ivar[rows] = rebin_spectra(rest, flux[rows], ivar[rows],
                                                           self._grid)
        return new_flux, new_ivar

    def _normalised(self, flux, ivar, usable):
        """Normalised flux and inverse variance of a few spectra, and what was masked."""
        good = ivar > 0
        level = np.array([np.mean(f[g]) if ok else 1.0
                          for f, g, ok in zip(flux, good, usable, strict=True)])[:, None]
        flux, ivar = flux / level, ivar * level**2
        ivar = np.where(usable[:, None], ivar, 0.0)
        normalised, new_ivar = remove_continuum(flux, ivar, self._basis, tolerance=1e-7)
        spikes = (normalised > _SPIKE) & (normalised**2 * new_ivar > 25.0)
        if spikes.any():
            ivar = np.where(spikes, 0.0, ivar)
            normalised, new_ivar = remove_continuum(flux, ivar, self._basis, tolerance=1e-7)
        # A spectrum of noise alone may have no continuum, here and there or anywhere.
        with np.errstate(invalid="ignore"):
            none = ~(np.abs(normalised) < _NO_CONTINUUM) | ~np.isfinite(new_ivar)
        normalised, new_ivar = np.where(none, 0.0, normalised), np.where(none, 0.0, new_ivar)
        return normalised, new_ivar, spikes.sum(axis=1), usable & ~none.all(axis=1)

    def _chunk(self, flux, ivar, power, usable):
        """Normalise and predict a few spectra; arrays of what the network says."""
        normalised, ivar, spikes, usable = self._normalised(flux, ivar, usable)
        count = np.maximum((ivar > 0).sum(axis=1), 1)
        claimed = np.sqrt(ivar.sum(axis=1) / count)
        # No training spectrum was better: what is called better is limited by other errors.
        ivar = np.minimum(ivar, MAX_SNR**2)
        values = self._network_values(normalised, ivar, power)
        weight = ivar.sum(axis=1) / count
        values |= {"snr": np.sqrt(weight), "claimed_snr": claimed, "spikes": spikes,
                   "usable": usable, "good": (ivar > 0).mean(axis=1),
                   "resolving_power": np.full(len(flux), power)}
        values["diagonal"], values["factor"] = calibrated(values, self.metadata["calibration"],
                                                          self.wavelength)
        if "scatter" in self.metadata:
            values["diagonal"], values["factor"] = with_scatter(
                values, self.metadata["scatter"], self.wavelength)
        return self._guarded(values)

    def _network_values(self, normalised, ivar, power):
        """What the network says of a few normalised spectra."""
        import torch

        # The same number of rows in every product makes a star's result independent
        # of its company.
        count = len(normalised)
        size = next(size for size in (16, 64, _CHUNK) if count <= size)
        padded = [np.zeros((size, self._grid.size), dtype=np.float32) for _ in range(2)]
        padded[0][:count], padded[1][:count] = normalised, ivar
        with torch.inference_mode():
            output = self.network(*map(torch.from_numpy, padded), torch.full((size,), power))
            diagonal, factor = self.network.compact_covariance(output)
        names = ("mean", "label_mean", "misfit", "unusual", "excess", "strange")
        values = {name: getattr(output, name).numpy()[:count].astype(float) for name in names}
        return values | {"diagonal": diagonal.numpy()[:count], "factor": factor.numpy()[:count]}

    def _guarded(self, values):
        """The last guard: what is not finite becomes the mean of the training, and is marked."""
        finite = np.ones(len(values["mean"]), dtype=bool)
        for name in _ANSWERS:
            finite &= np.isfinite(values[name].reshape(len(finite), -1)).all(axis=1)
        values["finite"] = finite
        if not finite.all():
            for name in _ANSWERS:
                values[name] = np.array(values[name])
                values[name][~finite] = 0.0
            values["mean"][~finite] = self.network.sed_mean.numpy()
            values["diagonal"][~finite] = np.exp(self.network.log_variance_start.numpy())
        return values

    def _assemble(self, values, velocity, noise_estimated):
        """One prediction from what the network says, with flags and errors that grow with them."""
        limits = self.metadata["domain"]
        bits = domain_flags(values, limits)
        if noise_estimated:
            bits |= flag("noise_estimated").mask
        flux = np.exp(values["mean"])
        flux /= (self._optical_mean @ flux.T).T
        diagonal, factor = inflate(values, severity_of(bits, values, limits),
                                   self.network.sed_templates.numpy())
        labels = unscale_labels(values["label_mean"])
        values |= {"teff": labels[:, 0], "logg": labels[:, 1], "mh": labels[:, 2]}
        return SEDPrediction(
            self.wavelength, flux, diagonal, factor, sentences(bits, limits), self.name,
            self.sha256, {name: values[name] for name in _DIAGNOSTICS}, flag_bits=bits,
            radial_velocity=velocity)


def velocity_of(spectrum: Spectrum, meta: dict[str, Any], radial_velocity: Any) -> float:
    """Velocity in km/s from the argument, the meta or the spectrum itself."""
    candidates = (radial_velocity, meta.get("radial_velocity"),
                  getattr(spectrum, "radial_velocity", None), 0.0 * u.km / u.s)
    value = next(value for value in candidates if value is not None)
    try:
        return u.Quantity(value).to_value(u.km / u.s)
    except (u.UnitConversionError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"radial_velocity is {value!r}; give a Quantity in km/s, such as -20 * u.km / u.s"
        ) from error


def loaded_predictor(model: str | os.PathLike[str] | Predictor | None = None) -> Predictor:
    """
    A predictor for a model, read once: from a small cache if its file has not changed.

    Parameters
    ----------
    model : str, path-like or `Predictor`, optional
        The packaged default if not given; a predictor is handed back.

    Returns
    -------
    predictor : `Predictor`

    Raises
    ------
    sedflux.exceptions.ModelError, sedflux.exceptions.WeightsError
        If the model is unknown, missing or damaged.

    Examples
    --------
    >>> from sedflux.predict.predictor import loaded_predictor
    >>> loaded_predictor() is loaded_predictor("uara.stars1")
    True
    """
    from sedflux.predict.models import DEFAULT_MODEL, find_model

    if isinstance(model, Predictor):
        return model
    path = find_model(model)
    state = path.stat()
    return _read_once(str(model or DEFAULT_MODEL), str(path), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=_KEPT)
def _read_once(model: str, path: str, size: int, time: int) -> Predictor:
    """Read a model; another size or time of its file is another model."""
    return Predictor(model)


def use_threads(count: int) -> None:
    """
    Let predictions of this process use some threads, such as 1 where every core has a process.

    Parameters
    ----------
    count : int
    """
    import torch

    torch.set_num_threads(count)


@lru_cache(maxsize=1)
def _use_one_thread_after_fork() -> None:
    """In forked processes torch waits for threads that do not exist there: use one."""
    import torch

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
