"""What spectra suffer: the error grows no more than sigma says."""

import numpy as np
import pytest

from sedflux.spectra.grids import input_grid
from sedflux.spectra.reddening import extinction_curve
from sedflux.spectra.resolution import broadening_sigma, degrade_spectra, lsf_matrix
from sedflux.training.augment import Observing, observe

SNR = 60.0


@pytest.fixture(scope="module")
def clean(star):
    """The demo star on the input grid at R = 2000, noiseless as far as a real star is."""
    wavelength, flux = star
    return np.interp(input_grid(), wavelength, flux)


def predict(predictor, flux, *, snr=SNR, seed=0, **options):
    noisy = flux * (1.0 + np.random.default_rng(seed).standard_normal(flux.shape) / snr)
    return predictor.predict(input_grid(), noisy, (snr / flux) ** 2, **options)


def check(changed, reference, limit=1.0):
    """Rms of the change of ln(SED), in units of the sigma that is claimed for it."""
    sigma = np.sqrt(changed.diagonal + (changed.factor**2).sum(axis=0))
    pulls = np.log(changed.flux / reference.flux) / sigma
    assert np.sqrt(np.mean(pulls**2)) < limit
    return pulls


@pytest.fixture(scope="module")
def reference(predictor, clean):
    return predict(predictor, clean)


@pytest.mark.parametrize("velocity", [-100.0, -50.0, 50.0, 100.0])
def test_wrong_velocity(predictor, clean, reference, velocity):
    moved = np.interp(input_grid() / (1.0 + velocity / 299792.458), input_grid(), clean)
    check(predict(predictor, moved), reference)


@pytest.mark.parametrize("power", [800.0, 1200.0, 1800.0])
def test_lower_resolving_power(predictor, clean, reference, power):
    grid = input_grid()
    broad = lsf_matrix(grid, broadening_sigma(grid, 2000.0, power)) @ clean
    check(predict(predictor, broad, resolving_power=power), reference)


def test_higher_resolving_power_is_degraded(predictor, star, reference):
    """R = 2500 is brought to 2000 before anything else."""
    wavelength, flux = star
    sharp, _ = degrade_spectra(wavelength, flux[None], np.ones((1, flux.size)), 2500.0, 2000.0)
    direct = predictor.predict(wavelength, sharp[0], np.full(flux.size, 1e4))
    told = predictor.predict(wavelength, flux, np.full(flux.size, 1e4), resolving_power=2500.0)
    check(told, direct, limit=0.2)


def test_a_fifth_of_the_pixels_is_masked(predictor, clean, reference, rng):
    mask = np.zeros(clean.size, dtype=bool)
    mask[rng.permutation(clean.size)[: clean.size // 5]] = True
    scattered = predict(predictor, np.where(mask, 50.0, clean), mask=mask)
    check(scattered, reference)
    gap = np.zeros(clean.size, dtype=bool)
    gap[1000 : 1000 + clean.size // 5] = True
    check(predict(predictor, clean, mask=gap), reference)


@pytest.mark.parametrize("ebv", [0.3, 1.0])
def test_dust_on_the_input(predictor, clean, reference, ebv):
    dimmed = clean * np.exp(ebv * extinction_curve(input_grid()))
    check(predict(predictor, dimmed), reference, limit=0.1)


def test_wrong_continuum(predictor, clean, reference):
    """A ripple of 1 % that no polynomial of the continuum follows."""
    x = np.linspace(-1.0, 1.0, clean.size)
    check(predict(predictor, clean * (1.0 + 0.01 * np.cos(14.0 * np.arccos(x)))), reference, 1.5)


@pytest.mark.parametrize("rotation", [50.0, 150.0, 250.0])
def test_rotation(predictor, rotation):
    """A-type models with rotation, against themselves without."""
    hot = 1.0 - 0.55 * sum(1.0 / (1.0 + ((input_fine() - centre) / 14.0) ** 2)
                           for centre in (4102.9, 4341.7, 4862.7, 6564.6))
    hot = hot * (1.0 - 0.12 * np.exp(-0.5 * ((input_fine() - 4482.0) / 1.0) ** 2))
    still, spinning = (observe(hot[None], Observing(np.array([2000.0]), np.zeros(1),
                                                    np.array([value])))[0]
                       for value in (0.0, rotation))
    check(predict(predictor, spinning), predict(predictor, still), limit=1.5)


def input_fine():
    from sedflux.training.augment import fine_grid

    return fine_grid()


def test_low_signal_gives_wide_errors(predictor, clean, reference):
    noisy = predict(predictor, clean, snr=5.0)
    assert np.median(noisy.sigma / noisy.flux) > 1.5 * np.median(reference.sigma / reference.flux)
    check(noisy, reference, limit=2.0)


def test_high_signal_keeps_the_floor(predictor, clean):
    """Lines of models are not those of stars: no S/N takes sigma below that."""
    good, better = (predict(predictor, clean, snr=snr) for snr in (100.0, 300.0))
    ratio = np.median(better.sigma / good.sigma)
    assert 0.6 < ratio < 1.1
