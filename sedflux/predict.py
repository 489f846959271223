"""
From a spectrum to its SED: the pipeline on one screen.

`predict_sed` takes and gives a `specutils.Spectrum`; `Predictor` takes plain arrays,
loads its model once, and is made for many spectra.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from astropy import units as u
from astropy.constants import c as _LIGHT

from sedflux.continuum import remove_continuum, smooth_basis
from sedflux.domain import calibrated, flag_rows, inflate, with_scatter
from sedflux.exceptions import InputError
from sedflux.grids import input_grid, rebin_spectra, sed_grid
from sedflux.prediction import SEDPrediction, optical_mean
from sedflux.reddening import continuum_shapes
from sedflux.resolution import degrade_spectra
from sedflux.spectrum import estimate_variance, from_spectrum, require_light

__all__ = ["MIN_RESOLVING_POWER", "RESOLVING_POWER", "Predictor", "predict_sed"]

#: Sharper spectra are degraded to this resolving power.
RESOLVING_POWER = 2000.0
#: Less sharp spectra than this are refused.
MIN_RESOLVING_POWER = 500.0
#: Share of the input grid that the wavelengths must cover.
MIN_COVERAGE = 0.85
#: Share of good input pixels below which a spectrum says too little.
MIN_GOOD = 0.5
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
        from sedflux.network.checkpoint import load_network
        from sedflux.weights import DEFAULT_MODEL, file_hash, find_model

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
        flux, ivar, single, assumed = _check_arrays(wavelength, flux, ivar, mask)
        wavelength = np.asarray(wavelength, dtype=float)
        velocity = _check_velocity(radial_velocity, len(flux))
        sharp, power = _check_resolving_power(resolving_power, wavelength)
        near = (wavelength > _NEAR[0]) & (wavelength < _NEAR[1])
        if near.sum() > 2:
            wavelength, sharp = wavelength[near], sharp[near]
            flux, ivar = flux[:, near], ivar[:, near]

        def work(begin):
            rows = slice(begin, begin + _CHUNK)
            piece = degrade_spectra(wavelength, flux[rows], ivar[rows], sharp, power)
            piece = self._to_grid(wavelength, *piece, velocity[rows])
            reasons = _content(*piece)
            return reasons, self._chunk(*piece, power, reasons == "")

        # Piece by piece, so that each stays in the processor's cache; two at a time,
        # because half of the work (numpy's) uses one core only.
        begins = range(0, len(flux), _CHUNK)
        with ThreadPoolExecutor(max_workers=2) as pool:
            done = list(pool.map(work, begins) if len(begins) > 1 else map(work, begins))
        _refuse_if_none(np.concatenate([reasons for reasons, _ in done]))
        return self._assemble([part for _, part in done], assumed, single)

    def _to_grid(self, wavelength, flux, ivar, velocity):
        """Into the rest frame and onto the input grid."""
        # One operator serves all stars within 1 km/s, a seventieth of a pixel.
        velocity = _VELOCITY_STEP * np.round(velocity / _VELOCITY_STEP)
        unique = np.unique(velocity)
        new_flux = np.zeros((len(flux), self._grid.size))
        new_ivar = np.zeros_like(new_flux)
        for value in unique:
            rest = wavelength / (1.0 + value / _LIGHT.to_value(u.km / u.s))
            _check_coverage(rest, self._grid)
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


def predict_sed(spectrum, *, model=None, resolving_power=None, radial_velocity=None,
                reddening=None, wavelengths=None, medium=None):
    """
    Predict a star's spectral energy distribution from its spectrum.

    Only lines count: the continuum is removed, so that neither flux calibration nor
    dust matters.  The result is the intrinsic SED, unless ``reddening`` is given.
    Follows Yang, Yuan & Duan et al. 2024 (arXiv:2401.13167).

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
        One star (n,) or several on one axis (N, n), covering 4000-7000 Angstrom.
        Any spectral and flux unit, order, uncertainty and mask; without an
        uncertainty the noise is estimated and the result flagged.
    model : str, path-like or `Predictor`, optional
        The packaged model by default.
    resolving_power : float or array_like, shape (n,), optional
        lambda / FWHM, one or for every wavelength; by default
        ``spectrum.meta["resolving_power"]``, or 2000.  Sharper spectra are degraded,
        those below 500 refused.
    radial_velocity : `~astropy.units.Quantity`, optional
        Velocity to take out, one or (N,); by default
        ``spectrum.meta["radial_velocity"]``, the spectrum's own, or zero.
    reddening : float or tuple of float, optional
        E(B-V), or E(B-V) and its error, of the dust that the SED is to be seen
        through (Gordon et al. 2023, R_V = 3.1).
    wavelengths : `~astropy.units.Quantity`, optional
        Pixel centres over which the SED and its covariance are averaged; by default
        2500-10500 Angstrom at R = 200, two samples a resolution element.
    medium : {'vacuum', 'air'}, optional
        What the spectrum's wavelengths refer to; by default
        ``spectrum.meta["medium"]``, or vacuum.  The SED's are vacuum.

    Returns
    -------
    sed : type of ``spectrum``
        F_lambda relative to its mean over 4000-7000 Angstrom, with
        `~astropy.nddata.StdDevUncertainty`.  ``meta["sedflux"]`` holds model, hash,
        flags, diagnostics and the `LowRankCovariance` of the flux; ``meta["header"]``
        the cards that survive writing.

    Raises
    ------
    sedflux.exceptions.InputError
        If the spectrum cannot be used; the message says what to do.

    Examples
    --------
    >>> from sedflux import predict_sed
    >>> from sedflux.demo import demo_spectrum
    >>> sed = predict_sed(demo_spectrum())
    >>> sed.flux.shape, sed.uncertainty.uncertainty_type
    ((575,), 'std')
    """
    arrays = from_spectrum(spectrum, medium=medium, resolving_power=resolving_power)
    predictor = model if isinstance(model, Predictor) else Predictor(model)
    power = _first(arrays.resolving_power, RESOLVING_POWER)
    velocity = _velocity_of(spectrum, arrays.meta, radial_velocity)
    prediction = predictor.predict(arrays.wavelength, arrays.flux, arrays.ivar,
                                   resolving_power=power, radial_velocity=velocity)
    if arrays.flags:
        prediction = _with_flags(prediction, arrays.flags)
    if arrays.single:
        prediction = prediction[0]
    used = prediction.diagnostics["resolving_power"]
    header = {"SEDRPOW": (float(np.ravel(used)[0]), "resolving power of the input, as used"),
              "SEDRV": (float(np.ravel(velocity)[0]), "[km/s] velocity taken out")}
    if reddening is not None:
        ebv, error = _check_reddening(reddening)
        prediction = prediction.reddened(ebv, ebv_error=error)
        header["SEDEBV"] = (ebv, "[mag] E(B-V) put on the SED")
        header["SEDEBVER"] = (error, "[mag] its error")
    return prediction.to_spectrum(type(spectrum), wavelengths=wavelengths, header=header)


def _first(*values):
    """The first value that is not None."""
    return next(value for value in values if value is not None)


def _with_flags(prediction, flags):
    return replace(prediction, flags=tuple((*row, *flags) for row in prediction.flags))


def _velocity_of(spectrum, meta, radial_velocity):
    """Velocity in km/s from the argument, the meta or the spectrum itself."""
    value = _first(radial_velocity, meta.get("radial_velocity"),
                   getattr(spectrum, "radial_velocity", None), 0.0 * u.km / u.s)
    try:
        return u.Quantity(value).to_value(u.km / u.s)
    except (u.UnitConversionError, TypeError) as error:
        raise InputError(
            f"radial_velocity is {value!r}; give a Quantity in km/s, such as -20 * u.km / u.s"
        ) from error


def _check_reddening(reddening):
    """E(B-V) and its error from a number or a pair."""
    pair = np.atleast_1d(np.asarray(reddening, dtype=float))
    if pair.shape not in ((1,), (2,)) or not np.isfinite(pair).all() or (pair < 0).any():
        raise InputError(
            f"reddening is {reddening!r}; give E(B-V), or E(B-V) and its error, "
            "finite and not negative"
        )
    return float(pair[0]), float(pair[1]) if pair.size == 2 else 0.0


def _check_resolving_power(resolving_power, wavelength):
    """Resolving power at each wavelength, and the one to which all is degraded."""
    try:
        power = np.broadcast_to(np.asarray(resolving_power, dtype=float), wavelength.shape)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"resolving_power is {resolving_power!r}; give one number, or one for each of the "
            f"{wavelength.size} wavelengths"
        ) from error
    inside = (wavelength > 4000.0) & (wavelength < 7000.0)
    least = power[inside].min() if inside.any() else power.min()
    if not least >= MIN_RESOLVING_POWER:
        raise InputError(
            f"resolving_power is {least:g}; sedflux needs {MIN_RESOLVING_POWER:g} or more, "
            "because lines of coarser spectra say too little"
        )
    return power, float(min(least, RESOLVING_POWER))


def _check_velocity(radial_velocity, size):
    """Velocities of all stars, shape (size,)."""
    velocity = np.asarray(radial_velocity, dtype=float)
    if velocity.shape not in ((), (1,), (size,)):
        raise InputError(
            f"radial_velocity has the shape {velocity.shape}; one for all or ({size},) is allowed"
        )
    if not np.isfinite(velocity).all() or np.abs(velocity).max(initial=0.0) > 3000.0:
        raise InputError(
            f"radial_velocity reaches {np.abs(velocity).max(initial=0.0):g} km/s; "
            "stars move by less than 3000 km/s: is the unit right?"
        )
    return np.broadcast_to(velocity, (size,))


def _check_coverage(rest, grid):
    """Refuse wavelengths that leave too much of the input grid uncovered."""
    covered = (grid >= rest[0]) & (grid <= rest[-1])
    if covered.mean() >= MIN_COVERAGE:
        return
    missing = []
    if rest[0] > grid[0]:
        missing.append(f"{grid[0]:.0f}-{min(rest[0], grid[-1]):.0f}")
    if rest[-1] < grid[-1]:
        missing.append(f"{max(rest[-1], grid[0]):.0f}-{grid[-1]:.0f}")
    raise InputError(
        f"wavelength covers {rest[0]:.0f}-{rest[-1]:.0f} Angstrom in the rest frame; "
        f"{' and '.join(missing)} Angstrom are missing of the 4000-7000 that sedflux needs "
        f"(at least {100 * MIN_COVERAGE:.0f} % of them): is the unit right?"
    )


def _check_arrays(wavelength, flux, ivar, mask):
    """Arrays of matching shapes, finite, scaled to order one; bad pixels at zero weight."""
    wavelength = np.asarray(wavelength, dtype=float)
    flux = np.asarray(flux)
    if flux.ndim not in (1, 2) or flux.shape[-1:] != wavelength.shape or flux.size == 0:
        raise InputError(
            f"wavelength and flux have the shapes {wavelength.shape} and {flux.shape}; "
            "(n,) and (n,) or (N, n) are allowed, and not empty"
        )
    if not np.isfinite(wavelength).all() or (np.diff(wavelength) <= 0).any():
        raise InputError("wavelength must be finite and ascend; sort it, and flux with it")
    single = flux.ndim == 1
    flux = np.atleast_2d(flux.astype(float))
    good = np.isfinite(flux)
    if mask is not None:
        mask = np.asarray(mask)
        if mask.shape not in (wavelength.shape, flux.shape):
            raise InputError(f"mask has the shape {mask.shape}, flux has {flux.shape}")
        good &= ~(mask != 0)
    if good.any():
        require_light(flux, good)
    if not good.all():
        flux = np.where(good, flux, 0.0)
    count = np.maximum(good.sum(axis=1), 1)
    size = np.abs(flux).sum(axis=1) / count
    size = np.where(size > 0, size, 1.0)[:, None]
    flux = flux / size
    if ivar is None:
        variance = estimate_variance(flux, good)
        return flux, np.divide(1.0, variance, out=np.zeros_like(flux), where=variance > 0), \
            single, ("noise estimated",)
    ivar = np.atleast_2d(np.asarray(ivar, dtype=float))
    if ivar.shape != flux.shape:
        raise InputError(f"ivar has the shape {ivar.shape}, flux has {flux.shape}")
    if (ivar < 0).any() or not np.isfinite(ivar[good]).any():
        raise InputError(f"ivar reaches down to {np.nanmin(ivar):g}; it must not be negative, "
                         "and finite somewhere (zero marks bad pixels)")
    ivar = np.where(good & np.isfinite(ivar), ivar, 0.0) * size**2
    return flux, ivar, single, ()


def _content(flux, ivar):
    """Why each spectrum cannot be used; empty text if it can."""
    good = ivar > 0
    share = good.mean(axis=1)
    count = np.maximum(good.sum(axis=1), 1)
    mean = np.where(good, flux, 0.0).sum(axis=1) / count
    spread = np.where(good, np.abs(flux - mean[:, None]), 0.0).max(axis=1)
    return np.select(
        [share < MIN_GOOD, mean <= 0, spread <= 1e-10 * np.abs(mean)],
        ["few", "dark", "constant"], default="",
    )


def _refuse_if_none(reasons):
    """Refuse spectra of which none can be used, and say why."""
    if (reasons != "").all():
        raise InputError({
            "few": "too few pixels in 4000-7000 Angstrom are good; "
                   f"{100 * MIN_GOOD:.0f} % are needed: check mask, NaN and uncertainty",
            "dark": "flux is zero or negative throughout 4000-7000 Angstrom: "
                    "there is no star to predict, or the sky is over-subtracted",
            "constant": "flux is constant over 4000-7000 Angstrom: there are no lines to read",
        }[str(reasons[0])])
