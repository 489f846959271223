"""
What predictions and fits were before the modules moved: the numbers, and how to record them.

``python tests/contracts/golden.py FILE`` records what the sedflux that is imported computes.
`test_golden` compares it with ``golden.npz`` to what processors differ by; with
``SEDFLUX_GOLDEN=FILE`` it compares with a record of the same machine, bit by bit.
"""

import sys

import numpy as np
from astropy import units as u

MODELS = ("uara.stars2", "uara.synthetic3", "uara.da1")


def spectra():
    """Real and simulated spectra: wavelength, flux, inverse variance, options of `predict`."""
    from sedflux.demo import demo_arrays

    rng = np.random.default_rng(20261125)
    wavelength, flux = demo_arrays("16cygb_miles")
    flux = flux / flux.mean()
    grid = 10 ** np.arange(3.5911, 3.8513, 1e-4)
    lines = ((4102.9, 0.5), (4341.7, 0.55), (4482.0, 0.1), (4862.7, 0.6), (6564.6, 0.5))
    hot = 1.0 - sum(depth / (1.0 + ((grid - centre) / 12.0) ** 2) for centre, depth in lines)
    hot = hot * (grid / 5500.0) ** -2.5
    noisy = {snr: np.interp(grid, wavelength, flux) * (1.0 + rng.standard_normal(grid.size) / snr)
             for snr in (4.0, 20.0, 80.0)}
    gaps = np.full(grid.size, 400.0)
    gaps[rng.permutation(grid.size)[:300]] = 0.0
    found = {f"noise {snr:g}": (grid, values, np.full(grid.size, snr**2), {})
             for snr, values in noisy.items()}
    found["miles"] = (wavelength, flux, (100.0 / flux) ** 2, {})
    found["noise unknown"] = (wavelength, flux, None, {})
    found["hot"] = (grid, hot, np.full(grid.size, 1e4), {})
    found["gaps and velocity"] = (grid, noisy[20.0], gaps,
                                  {"radial_velocity": 75.0, "resolving_power": 1500.0})
    found["sharp"] = (wavelength, flux, np.full(flux.size, 1e4), {"resolving_power": 2600.0})
    found["no star"] = (grid, 1.0 + 0.2 * rng.standard_normal(grid.size),
                        np.full(grid.size, 25.0), {})
    return found


def summary(name, prediction):
    """Arrays of one prediction, and the number of its flags."""
    probe = np.random.default_rng(7).standard_normal((3, prediction.flux.size))
    found = {"flux": prediction.flux, "sigma": prediction.sigma,
             "covariance": prediction.covariance.propagate(probe).to_dense()}
    found |= {key: np.asarray(value, dtype=float)
              for key, value in prediction.diagnostics.items()}
    found["flags"] = np.array(float(len(prediction.flags)))
    return {f"{name}: {key}": value for key, value in found.items()}


def predictions():
    """Predictions of all packaged models."""
    from sedflux import Predictor

    found = {}
    for model in MODELS:
        predictor = Predictor(model)
        for name, (wavelength, flux, ivar, options) in spectra().items():
            found |= summary(f"{model}, {name}",
                             predictor.predict(wavelength, flux, ivar, **options))
        wavelength, flux, ivar, _ = spectra()["noise 20"]
        rows = flux * (1.0 + np.random.default_rng(8).standard_normal((5, flux.size)) / 30.0)
        many = predictor.predict(wavelength, rows, np.tile(ivar, (5, 1)),
                                 radial_velocity=np.array([0.0, 10.0, -40.0, 0.0, 3.0]))
        found |= summary(f"{model}, fourth of five", many[3])
    return found


def products():
    """What `predict_sed` and what follows it make of the demo stars."""
    from synphot import SpectralElement
    from synphot.models import Box1D

    from sedflux import anchor, predict_sed, synthetic_photometry
    from sedflux.demo import demo_spectrum

    bands = {name: SpectralElement(Box1D, amplitude=1.0, x_0=centre, width=600.0)
             for name, centre in (("blue", 3600.0), ("green", 5500.0), ("red", 8200.0))}
    found = {}
    for name in ("bd17_stis", "16cygb_miles"):
        sed = predict_sed(demo_spectrum(name), reddening=(0.05, 0.02))
        absolute = anchor(sed, 12.3 * u.ABmag, bands["green"], magnitude_error=0.02 * u.mag)
        magnitudes = synthetic_photometry(absolute, bands)
        coarse = predict_sed(demo_spectrum(name), wavelengths=np.arange(3000, 9000, 50) * u.AA)
        found |= {f"{name}: sed": sed.flux.value, f"{name}: sigma": sed.uncertainty.array,
                  f"{name}: absolute": absolute.flux.value,
                  f"{name}: absolute sigma": absolute.uncertainty.array,
                  f"{name}: magnitudes": magnitudes.value.value,
                  f"{name}: covariance": magnitudes.covariance,
                  f"{name}: coarse": coarse.flux.value,
                  f"{name}: coarse sigma": coarse.uncertainty.array}
    return found


def responses():
    """One simulated field, the responses fitted to it, and a star calibrated by them."""
    from sedflux import error_budget, fit_responses, get_instrument, simulate_field

    bands = {name: get_instrument("lookalike").bands[name] for name in ("GU", "GV")}
    field = simulate_field(bands, size=30, seed=11, outliers=0.1)
    fitted = fit_responses(field.counts, field.seds, bands, names=field.names, grey_error=0.01,
                           wavelength_error=0.5 * u.AA)
    found = {}
    for name, response in fitted.items():
        budget = error_budget(response)
        calibrated = response.calibrate(field.counts[name][3])
        found |= {f"{name}: counts": field.counts[name][3].flux.value,
                  f"{name}: throughput": response.throughput, f"{name}: sigma": response.sigma,
                  f"{name}: total": response.total_covariance.sigma,
                  f"{name}: good": response.good.astype(float),
                  f"{name}: chi2": np.array([response.chi2, response.smoothness]),
                  f"{name}: used": np.array(response.stars["used"], dtype=float),
                  f"{name}: budget": np.stack([budget[key] for key in ("photons", "sed",
                                                                       "statistical", "total")]),
                  f"{name}: calibrated": calibrated.flux.value,
                  f"{name}: calibrated sigma": calibrated.uncertainty.array}
    return found


def compute():
    """All golden numbers by name."""
    return predictions() | products() | responses()


if __name__ == "__main__":
    np.savez_compressed(sys.argv[1], **compute())
