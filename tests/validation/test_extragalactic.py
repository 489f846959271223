"""Galaxies that are made from spectra of stars."""

import numpy as np
import pytest
from astropy.table import Table

from sedflux.libraries.library import SpectralLibrary
from sedflux.spectra.grids import optical_mean, sed_grid
from sedflux.validation.extragalactic import galaxies

#: T_eff, log g and [M/H] of one star of each population.
LABELS = np.array([[4300.0, 2.0, 0.0], [4800.0, 2.6, 0.0], [5700.0, 4.4, 0.0], [6500.0, 4.2, 0.0],
                   [9000.0, 4.0, 0.0]])


@pytest.fixture(scope="module")
def made():
    """Galaxies of flat stars with one line, deeper in cooler ones."""
    wavelength = np.arange(3550.0, 7400.0, 0.9)
    line = np.exp(-0.5 * ((wavelength - 5270.0) / 2.0) ** 2)
    flux = 1.0 - np.linspace(0.8, 0.2, 5)[:, None] * line
    library = SpectralLibrary(wavelength, flux, Table({"NAME": list("abcde")}), 2000.0)
    return galaxies(library, LABELS), galaxies(library, LABELS[1:])


def test_galaxies_are_mixed_broadened_and_given_emission(made):
    found, without_giants = made
    assert without_giants == {}
    assert {kind: len(flux) for kind, (_, flux, _) in found.items()} == {
        "galaxy at rest, old": 6, "galaxy at rest, young": 6, "galaxy at rest, H II": 36,
        "galaxy at rest, LINER": 36, "galaxy, z = 0.02-0.1": 36}
    wavelength, old, truth = found["galaxy at rest, old"]
    near = (wavelength > 5200.0) & (wavelength < 5340.0)
    widths = (1.0 - old[:, near]) @ np.gradient(wavelength)[near]
    # Dispersions of 100, 200 and 300 km/s make lines shallow, and keep their strength.
    assert (np.diff(old[:3, near].min(axis=1)) > 0.05).all()
    assert widths[:3] == pytest.approx(widths[0], rel=0.02)
    assert (optical_mean(sed_grid()) @ np.nan_to_num(truth).T).ravel() == pytest.approx(1.0)
    _, lines, _ = found["galaxy at rest, LINER"]
    alpha = (wavelength > 6480.0) & (wavelength < 6680.0)
    # H alpha of 1, 3 and 10 Angstrom, with 1.73 times as much in [N II].
    widths = (lines[:3, alpha] - 1.0) @ np.gradient(wavelength)[alpha]
    assert widths == pytest.approx(2.73 * np.array([1.0, 3.0, 10.0]), rel=0.02)
    assert not np.isfinite(found["galaxy, z = 0.02-0.1"][2]).any()
