"""Inputs that once passed, or ended in a traceback, and are refused by name."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from specutils import Spectrum

from sedflux import InputError, covariance_of, predict_sed
from sedflux.demo import demo_spectrum
from sedflux.io.registry import read_spectrum
from sedflux.io.sed import write_sed

from .arrays import base


@pytest.mark.parametrize("value", ["x", None, [0.1, 0.2], 1j, True, 300.0, 0.1 * u.m])
@pytest.mark.parametrize("name", ["reddening", "reddening_error"])
def test_reddening_of_predictions(name, value):
    with pytest.raises(InputError, match="reddening"):
        base()[4].reddened(**({"reddening": 0.1} | {name: value}))


@pytest.mark.parametrize("row", ["x", None, 5.5])
def test_rows_of_predictions(row):
    wavelength, flux, ivar, predictor, _ = base()
    both = predictor.predict(wavelength, np.stack([flux, flux]), np.stack([ivar, ivar]))
    with pytest.raises(InputError, match="row"):
        both[row]


def test_number_of_output_pixels():
    """More pixels than 100,000 fill the memory with the rows of the covariance."""
    with pytest.raises(InputError, match="wavelengths"):
        predict_sed(demo_spectrum(), model=base()[3],
                    wavelengths=np.linspace(2500.0, 10500.0, 100_001) * u.AA)


def test_magnitudes_are_no_sed():
    magnitudes = Spectrum(spectral_axis=np.linspace(3000, 9000, 50) * u.AA,
                          flux=np.full(50, 12.0) * u.ABmag)
    with pytest.raises(InputError, match="unit"):
        covariance_of(magnitudes)


@pytest.mark.parametrize("rows", ["x", None, 5.5, [7], [[0, 1]], {}])
def test_several_rows_of_predictions(rows):
    wavelength, flux, ivar, predictor, _ = base()
    both = predictor.predict(wavelength, np.stack([flux, flux]), np.stack([ivar, ivar]))
    with pytest.raises(InputError, match="rows of a prediction"):
        both.take(rows)
    assert len(both.take([True, False])) == 1


@pytest.mark.parametrize(("options", "message"), [
    ({"kind": len}, "kind is"), ({"kind": dict}, "kind is"), ({"header": "x"}, "header is"),
    ({"header": {"OBJECT": np.zeros((2, 2))}}, "header has .* for the card 'OBJECT'")])
def test_spectra_of_predictions(options, message):
    with pytest.raises(InputError, match=message):
        base()[4].to_spectrum(**options)


@pytest.mark.parametrize("notes", ["x", 1j, {"errors": 5 * u.kg}, {"errors": ("x",)}])
def test_notes_that_were_replaced(notes, tmp_path):
    sed = predict_sed(demo_spectrum(), model=base()[3])
    sed.meta["sedflux"] = notes
    for use in (covariance_of, lambda one: write_sed(one, tmp_path / "sed.fits")):
        with pytest.raises(InputError, match="covariance"):
            use(sed)


@pytest.mark.parametrize("lost", ["DIAGONAL", "FACTOR"])
def test_seds_without_an_extension(lost, tmp_path):
    sed = predict_sed(demo_spectrum(), model=base()[3])
    write_sed(sed, tmp_path / "sed.fits")
    with fits.open(tmp_path / "sed.fits") as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.HDUList([hdu for hdu in hdus if hdu.name != lost]).writeto(tmp_path / "cut.fits")
    with pytest.raises(InputError, match=r"cut\.fits"):
        read_spectrum(tmp_path / "cut.fits")


def test_diagnostics_that_were_replaced(tmp_path):
    sed = base()[4].to_spectrum()
    sed.meta["sedflux"]["diagnostics"] = 3.0 * u.m
    with pytest.raises(InputError, match="diagnostics"):
        sed.write(tmp_path / "sed.fits")


@pytest.mark.parametrize(("name", "value"), [
    ("flags", slice(3)), ("flags", 3.0 * u.m), ("flags", ("\xe9",)), ("flags", (1,)),
    ("flag_names", ("a", "b")), ("resolving_power", 5.0 * u.m), ("resolving_power", "x"),
    ("resolving_power", -1.0)])
def test_notes_of_other_kinds(name, value, tmp_path):
    sed = base()[4].to_spectrum()
    sed.meta["sedflux"] |= {"flags": ("a flag",), "flag_names": ("flag",)} | {name: value}
    with pytest.raises(InputError, match=name):
        sed.write(tmp_path / "sed.fits")


def test_complex_numbers_of_stars(tmp_path):
    from sedflux import predict_catalog

    wavelength, flux, ivar = base()[:3]
    np.savez(tmp_path / "stars.npz", wavelength=wavelength, flux=flux[None], ivar=ivar[None],
             reddening=np.array([0.1 + 1j]))
    with pytest.raises(InputError, match="'reddening' of the type complex128"):
        predict_catalog(tmp_path / "stars.npz", tmp_path / "out")


def test_wavelengths_that_were_replaced():
    from dataclasses import replace

    prediction = base()[4]
    with pytest.raises(InputError, match="the SED is no spectrum"):
        replace(prediction, wavelength=np.abs(prediction.wavelength - 5000.0)).to_spectrum()


def test_one_power_in_an_array():
    wavelength, flux, ivar, predictor, _ = base()
    power = u.Quantity(2000.0)
    assert (predictor.predict(wavelength, flux, ivar, resolving_power=power).flux
            == predictor.predict(wavelength, flux, ivar, resolving_power=2000.0).flux).all()
