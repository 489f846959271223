"""
From a spectrum to its SED: the pipeline on one screen.

`predict_sed` takes and gives a `specutils.Spectrum`; `Predictor` takes plain arrays,
loads its model once, and is made for many spectra.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sedflux.predict.checks import (
    RESOLVING_POWER,
    check_arrays,
    check_coverage,
    check_resolving_power,
    check_velocity,
    refuse_if_none,
    unusable_reasons,
)
from sedflux.predict.flags import flag_rows
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.sigma import calibrated, inflate, with_scatter
from sedflux.spectra.continuum import remove_continuum, smooth_basis
from sedflux.spectra.grids import input_grid, optical_mean, rebin_spectra, sed_grid
from sedflux.spectra.reddening import continuum_shapes
from sedflux.spectra.resolution import degrade_spectra
from sedflux.units import LIGHT_KM_S

__all__ = ["Predictor"]

#: S/N a pixel beyond which no training spectrum reaches.
MAX_SNR = 300.0
#: Positive excursions beyond this, and five sigma, are no stellar spectrum.
_SPIKE = 0.5
#: Wavelengths around the input grid that are worth reading, in Angstrom.
_NEAR = (3900.0, 7150.0)
_CHUNK = 256
_VELOCITY_STEP = 2.0


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

    def __init__(self, model=None):
        from sedflux.io.download import file_hash
        from sedflux.network.checkpoint import load_network
        from sedflux.predict.models import DEFAULT_MODEL, find_model

        path = find_model(model)
        self.network, self.metadata = load_network(path)
        self.name = self.metadata.get("name", DEFAULT_MODEL if model is None else str(model))
        self.sha256 = file_hash(path)
        self._grid = input_grid()
        self.wavelength = sed_grid()
        self._basis = smooth_basis(self._grid.size, shapes=continuum_shapes(self._grid))
        self._optical_mean = optical_mean(self.wavelength)

    def predict(self, wavelength, flux, ivar=None, *, mask=None, resolving_power=RESOLVING_POWER,
                radial_velocity=0.0):
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
        radial_velocity : float or array_like, shape (N,), optional
            Velocity of each star in km/s, which is taken out.

        Returns
        -------
        prediction : `~sedflux.SEDPrediction`
            Of one star if ``flux`` has one dimension.

        Raises
        ------
        sedflux.exceptions.InputError
            If shapes disagree, values are not finite, or too little is covered.
        """
        flux, ivar, single, assumed = check_arrays(wavelength, flux, ivar, mask)
        wavelength = np.asarray(wavelength, dtype=float)
        velocity = check_velocity(radial_velocity, len(flux))
        sharp, power = check_resolving_power(resolving_power, wavelength)
        near = (wavelength > _NEAR[0]) & (wavelength < _NEAR[1])
        if near.sum() > 2:
            wavelength, sharp = wavelength[near], sharp[near]
            flux, ivar = flux[:, near], ivar[:, near]

        def work(begin):
            rows = slice(begin, begin + _CHUNK)
            piece = degrade_spectra(wavelength, flux[rows], ivar[rows], sharp, power)
            piece = self._to_grid(wavelength, *piece, velocity[rows])
            reasons = unusable_reasons(*piece)
            return reasons, self._chunk(*piece, power, reasons == "")

        # Piece by piece, so that each stays in the processor's cache; two at a time,
        # because half of the work (numpy's) uses one core only.
        begins = range(0, len(flux), _CHUNK)
        with ThreadPoolExecutor(max_workers=2) as pool:
            done = list(pool.map(work, begins) if len(begins) > 1 else map(work, begins))
        refuse_if_none(np.concatenate([reasons for reasons, _ in done]))
        return self._assemble([part for _, part in done], assumed, single)

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

    def _chunk(self, flux, ivar, power, usable):
        """Normalise and predict a few spectra; arrays of what the network says."""
        import torch

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
        # A spectrum without a continuum, all noise, says nothing.
        finite = np.isfinite(normalised).all(axis=1) & np.isfinite(new_ivar).all(axis=1)
        usable = usable & finite
        normalised = np.where(finite[:, None], normalised, 0.0)
        new_ivar = np.where(finite[:, None], new_ivar, 0.0)
        # No training spectrum was better: what is called better is limited by other errors.
        new_ivar = np.minimum(new_ivar, MAX_SNR**2)
        # The same number of rows in every product makes a star's result independent
        # of its company.
        size = next(size for size in (16, 64, _CHUNK) if len(flux) <= size)
        padded = [np.zeros((size, self._grid.size), dtype=np.float32) for _ in range(2)]
        padded[0][: len(flux)], padded[1][: len(flux)] = normalised, new_ivar
        with torch.inference_mode():
            output = self.network(*map(torch.from_numpy, padded), torch.full((size,), power))
            diagonal, factor = self.network.compact_covariance(output)
        names = ("mean", "label_mean", "misfit", "unusual", "excess", "strange")
        values = {name: getattr(output, name).numpy()[: len(flux)].astype(float)
                  for name in names}
        values |= {"diagonal": diagonal.numpy()[: len(flux)], "factor": factor.numpy()[: len(flux)]}
        weight = new_ivar.sum(axis=1) / np.maximum((new_ivar > 0).sum(axis=1), 1)
        values |= {"snr": np.sqrt(weight), "spikes": spikes.sum(axis=1), "usable": usable,
                   "good": (new_ivar > 0).mean(axis=1),
                   "resolving_power": np.full(len(flux), power)}
        values["diagonal"], values["factor"] = calibrated(values, self.metadata["calibration"],
                                                          self.wavelength)
        if "scatter" in self.metadata:
            values["diagonal"], values["factor"] = with_scatter(
                values, self.metadata["scatter"], self.wavelength)
        return values

    def _assemble(self, parts, assumed, single):
        """One prediction from the chunks, with flags and errors that grow with them."""
        values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        flags, severity = flag_rows(values, self.metadata["domain"])
        if assumed:
            flags = tuple((*row, *assumed) for row in flags)
        flux = np.exp(values["mean"])
        flux /= (self._optical_mean @ flux.T).T
        diagonal, factor = inflate(values, severity, self.network.sed_templates.numpy())
        diagnostics = {name: values[name] for name in
                       ("snr", "resolving_power", "misfit", "excess", "unusual", "strange",
                        "teff", "logg", "mh")}
        prediction = SEDPrediction(self.wavelength, flux, diagonal, factor, flags, self.name,
                                   self.sha256, diagnostics)
        return prediction[0] if single else prediction
