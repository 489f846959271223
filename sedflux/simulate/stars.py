"""Where the stars of a simulated field come from."""

import numpy as np

from sedflux.exceptions import InputError
from sedflux.libraries.prior import label_chances
from sedflux.spectra.grids import SED_RESOLVING_POWER, input_grid

__all__ = ["LibraryStars", "ModelStars"]


class LibraryStars:
    """
    Stars whose spectra and true SEDs a library holds.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        Models that the predicting model never saw, for honest results.
    teff : tuple of float
    prior : str
    """

    def __init__(self, library, *, teff, prior):
        from sedflux.libraries.inputs import library_inputs

        labels = library.labels
        rows = np.flatnonzero((labels[:, 0] >= teff[0]) & (labels[:, 0] <= teff[1]))
        if rows.size < 2:
            raise InputError(f"the library has {rows.size} stars between {teff[0]:.0f} and "
                             f"{teff[1]:.0f} K; at least two are needed")
        chosen = library.take(rows)
        self.labels = labels[rows, :3]
        self.wavelength = chosen.wavelength
        self.resolving_power = None
        self._flux = np.asarray(chosen.sed_flux, dtype=float)
        self._lines = library_inputs(chosen, 2000.0, input_grid())
        self._chances = label_chances(self.labels, prior, floor=0.0)

    def draw(self, size, snr, predictor, rng):
        """Rows, predicted SEDs, and true fluxes (size, n)."""
        rows = rng.choice(len(self.labels), size, p=self._chances)
        return rows, _predict(predictor, self._lines[rows], snr, 2000.0, rng), self._flux[rows]


class ModelStars:
    """
    The reference stars of a packaged model: no library is needed.

    Parameters
    ----------
    predictor : `~sedflux.Predictor`
    teff : tuple of float
    prior : str
    """

    def __init__(self, predictor, *, teff, prior):
        from sedflux.network.architecture import POWER_SPREAD

        network = predictor.network
        places = network.references.numpy().astype(float)
        if not len(places):
            raise InputError(f"model {predictor.name!r} holds no reference stars; give a library")
        power = 1500.0 * np.exp(POWER_SPREAD * places[:, -1])
        # Those of about the nominal resolving power serve for it.
        sharp = np.flatnonzero(power > np.quantile(power, 0.6))
        templates = (network.projection.templates * network.projection.spread[:, None]).numpy()
        self._lines = 1.0 + network.projection.mean.numpy() + places[sharp, :-1] @ templates
        self._power = float(np.median(power[sharp]))
        labels = predictor.predict(input_grid(), self._lines, np.full(self._lines.shape, 4e4),
                                   resolving_power=self._power).diagnostics
        self.labels = np.stack([labels[name] for name in ("teff", "logg", "mh")], axis=1)
        rows = (self.labels[:, 0] >= teff[0]) & (self.labels[:, 0] <= teff[1])
        self.labels, self._lines = self.labels[rows], self._lines[rows]
        self.wavelength, self.resolving_power = predictor.wavelength, SED_RESOLVING_POWER
        self._chances = label_chances(self.labels, prior, floor=0.0)

    def draw(self, size, snr, predictor, rng):
        """Rows, predicted SEDs, and true fluxes (size, n) from their covariance."""
        rows = rng.choice(len(self.labels), size, p=self._chances)
        prediction = _predict(predictor, self._lines[rows], snr, self._power, rng)
        # The independent part is noise of a sampled curve, which no true SED has.
        draw = rng.standard_normal((size, 1, prediction.factor.shape[1])) @ prediction.factor
        return rows, prediction, prediction.flux * np.exp(draw[:, 0])


def _predict(predictor, lines, snr, power, rng):
    """Predictions from noisy copies of spectra."""
    noise = rng.standard_normal(lines.shape) / snr[:, None]
    flux = lines * (1.0 + noise)
    return predictor.predict(input_grid(), flux, (snr[:, None] / lines) ** 2,
                             resolving_power=power)
