"""Galaxies at rest look like stars, but for forbidden lines and the velocities of their stars."""

import numpy as np
import pytest

from sedflux.predict.flags import flag_names
from sedflux.predict.galaxies import forbidden_emission, line_broadening
from sedflux.spectra.grids import input_grid
from sedflux.units import LIGHT_KM_S

NEW = {"broad_lines", "nebular"}


def broadened(wavelength, flux, dispersion):
    """A spectrum whose lines have a dispersion in km/s."""
    grid = np.exp(np.arange(np.log(wavelength[0]), np.log(wavelength[-1]), 1e-4))
    offset = np.arange(-100, 101) * 1e-4 * LIGHT_KM_S
    kernel = np.exp(-0.5 * (offset / dispersion) ** 2)
    smooth = np.convolve(np.pad(np.interp(grid, wavelength, flux), 100, mode="edge"),
                         kernel / kernel.sum(), mode="valid")
    return np.interp(wavelength, grid, smooth)


def with_lines(wavelength, flux, widths):
    """A spectrum with emission lines, by their wavelength and equivalent width (Angstrom)."""
    emission = sum(width * np.exp(-0.5 * ((wavelength - place) / 2.5) ** 2)
                   for place, width in widths.items()) / (2.5 * np.sqrt(2.0 * np.pi))
    return flux * (1.0 + emission)


def test_galaxies_are_flagged_and_stars_are_not(predictor, star, rng):
    """A solar twin, it broadened as in a galaxy, with lines of a LINER, with one cosmic ray."""
    wavelength, flux = star
    liner = {4960.3: 0.3, 5008.24: 0.9, 6549.86: 0.3, 6585.27: 0.9, 6718.29: 0.4, 6732.67: 0.4}
    spectra = np.stack([flux, broadened(wavelength, flux, 150.0),
                        with_lines(wavelength, flux, liner),
                        with_lines(wavelength, flux, {5008.24: 1.5})])
    spectra = spectra * (1.0 + 0.01 * rng.standard_normal(spectra.shape))
    found = predictor.predict(wavelength, spectra, 1e4 / spectra**2, resolving_power=1800.0)
    names = [NEW & set(flag_names(bits)) for bits in found.flag_bits]
    assert names == [set(), {"broad_lines"}, {"nebular"}, set()]
    assert 90.0 < found.diagnostics["broadening"][1] < 180.0
    sigma = found.sigma / found.flux
    assert (np.median(sigma[1:3], axis=1) > 3.0 * np.median(sigma[0])).all()


def test_coarse_spectra_and_few_lines_say_nothing(star):
    grid = input_grid()
    lines = np.interp(grid, *star)
    lines = broadened(grid, lines / lines.mean() - 1.0, 300.0)[None]
    assert line_broadening(lines, 2000.0) > 90.0
    assert not line_broadening(lines, 1400.0)
    assert not line_broadening(0.1 * lines, 2000.0)
    assert not forbidden_emission(lines, np.zeros_like(lines))


def test_significance_is_that_of_noise(rng):
    """Without lines it has a mean of zero and a standard deviation of one."""
    ivar = np.full((400, input_grid().size), 100.0, dtype=np.float32)
    noise = 0.1 * rng.standard_normal(ivar.shape) * np.sqrt(1.0 + 100.0 * 0.03**2)
    found = forbidden_emission(noise, ivar)
    assert found.mean() == pytest.approx(0.0, abs=0.2)
    assert found.std() == pytest.approx(1.0, abs=0.15)
