import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import (
    InverseVariance,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from numpy.testing import assert_allclose
from specutils import Spectrum

from sedflux.exceptions import InputError
from sedflux.spectra.flux_units import flux_factor
from sedflux.spectra.noise import estimate_variance
from sedflux.spectra.sed import from_sed, with_covariance
from sedflux.spectra.spectrum import air_to_vacuum, from_spectrum

WAVELENGTH = np.linspace(4000.0, 7000.0, 300)
FLUX = 1.0 + 0.1 * np.sin(WAVELENGTH / 50.0)


def build(axis=WAVELENGTH * u.AA, flux=FLUX * u.ct, **kwargs):
    return Spectrum(spectral_axis=axis, flux=flux, **kwargs)


def test_air_to_vacuum_at_published_lines():
    """Air and vacuum wavelengths of H alpha, H beta and Ca K from NIST."""
    assert_allclose(air_to_vacuum([6562.80, 4861.33, 3933.66]), [6564.61, 4862.68, 3934.78],
                    atol=0.02)


@pytest.mark.parametrize("axis", [
    WAVELENGTH / 10 * u.nm, (WAVELENGTH * u.AA).to(u.THz, u.spectral()),
    (WAVELENGTH * u.AA).to(u.eV, u.spectral()), (WAVELENGTH * u.AA).to(1 / u.cm, u.spectral()),
])
def test_any_spectral_unit_and_order(axis):
    arrays = from_spectrum(build(axis))
    assert_allclose(arrays.wavelength, WAVELENGTH, rtol=1e-10)
    reference = from_spectrum(build())
    assert_allclose(arrays.flux, reference.flux, rtol=1e-8)


@pytest.mark.parametrize("uncertainty", [
    StdDevUncertainty(0.02 * FLUX), VarianceUncertainty((0.02 * FLUX) ** 2),
    InverseVariance((0.02 * FLUX) ** -2),
])
def test_uncertainties_agree(uncertainty):
    arrays = from_spectrum(build(uncertainty=uncertainty))
    assert_allclose(arrays.flux[0] * np.sqrt(arrays.ivar[0]), 50.0, rtol=1e-6)
    assert not arrays.noise_estimated


@pytest.mark.parametrize("unit", [None, "Jy", "mJy"])
def test_small_errors_in_single_precision(unit):
    """The square of 1e-29 is zero in single precision."""
    small = (1e-27 * FLUX).astype(np.float32)
    sigma = (0.02 * small).astype(np.float32) * u.Jy
    uncertainty = StdDevUncertainty(sigma.value if unit is None else sigma.to(unit))
    assert uncertainty.array.dtype == np.float32
    spectrum = build(flux=small * u.Jy, uncertainty=uncertainty)
    arrays = from_spectrum(spectrum)
    assert_allclose(arrays.flux[0] * np.sqrt(arrays.ivar[0]), 50.0, rtol=1e-4)


def test_a_pixel_whose_square_is_no_number():
    """One damaged pixel leaves nothing of the others, and is told without a warning of numpy."""
    flux = FLUX.copy()
    flux[7] = 1e160
    with pytest.raises(InputError, match="uncertainty has no finite, positive value"):
        from_spectrum(build(flux=flux * u.ct, uncertainty=StdDevUncertainty(0.02 * FLUX)))


def test_f_nu_becomes_f_lambda():
    f_nu = (FLUX * u.Unit("erg/(s cm2 AA)")).to(u.Jy, u.spectral_density(WAVELENGTH * u.AA))
    ratio = from_spectrum(build(flux=f_nu)).flux[0] / FLUX
    assert_allclose(ratio, ratio[0], rtol=1e-8)


def test_counts_are_not_compared_with_flux_densities(monkeypatch):
    """This takes longer than the prediction."""
    monkeypatch.setattr(u, "spectral_density", None)
    for unit in (u.ct, u.electron / u.s, u.dimensionless_unscaled):
        assert_allclose(flux_factor(unit, WAVELENGTH), 1.0)


def test_masks_and_nan():
    flux = FLUX.copy()
    flux[5] = np.nan
    mask = np.zeros(300, dtype=int)
    mask[10] = 4
    for kind in (int, bool):
        arrays = from_spectrum(build(flux=flux * u.ct, mask=mask.astype(kind),
                                     uncertainty=StdDevUncertainty(0.1 * np.ones(300))))
        assert (arrays.ivar[0] == 0).nonzero()[0].tolist() == [5, 10]
        assert np.isfinite(arrays.flux).all()


def test_noise_is_estimated_and_flagged(rng):
    noisy = FLUX + 0.03 * rng.standard_normal(300)
    arrays = from_spectrum(build(flux=noisy * u.ct))
    assert arrays.noise_estimated
    sigma = np.sqrt(np.median(1 / arrays.ivar)) * np.median(noisy)
    assert_allclose(sigma, 0.03, rtol=0.3)


def test_estimated_variance_is_right_on_white_noise(rng):
    flux = 1.0 + 0.05 * rng.standard_normal((3, 2000))
    variance = estimate_variance(flux, np.ones_like(flux, dtype=bool))
    assert_allclose(np.sqrt(np.median(variance, axis=1)), 0.05, rtol=0.15)


def test_air_is_taken_from_meta_or_argument():
    by_meta = from_spectrum(build(meta={"medium": "air"})).wavelength
    assert_allclose(by_meta, from_spectrum(build(), medium="air").wavelength)
    assert by_meta[0] > WAVELENGTH[0] + 1.0


@pytest.mark.parametrize("medium", ["air", "vacuum"])
def test_a_part_of_a_spectrum_has_its_resolving_power(medium):
    power = np.linspace(500.0, 900.0, 300)
    whole = build(meta={"resolving_power": power, "resolving_power_wavelength": WAVELENGTH,
                        "medium": medium})
    assert_allclose(from_spectrum(whole).resolving_power, power, rtol=0)
    for part in (whole[40:200], whole[WAVELENGTH[40] * u.AA:WAVELENGTH[200] * u.AA]):
        assert_allclose(from_spectrum(part).resolving_power, power[40:200], rtol=1e-12)


def test_a_part_without_wavelengths_of_its_resolving_power_is_refused():
    with pytest.raises(InputError, match=r"resolving_power has the shape \(300,\)"):
        from_spectrum(build(meta={"resolving_power": np.full(300, 900.0)})[40:200])


@pytest.mark.parametrize(("bad", "message"), [
    ("text", r"is a str; .*Spectrum\.read reads a file after sedflux\.register_readers"),
    ([build(), build()], "is a list; .*one at a time"),
    (FLUX, r"is a ndarray; .*Predictor\.predict"),
    (build(np.arange(300) * u.pix), "spectral axis has the unit 'pix'"),
    (build(uncertainty=UnknownUncertainty(np.ones(300))), "UnknownUncertainty"),
    (build(mask=np.ones(300, dtype=bool)), "no good pixel"),
    (build(uncertainty=StdDevUncertainty(np.full(300, np.nan))), "no finite, positive value"),
    (build(flux=np.ones((2, 2, 300)) * u.ct), "3 dimensions"),
    (build(axis=WAVELENGTH[:5] * u.AA, flux=FLUX[:5] * u.ct), "too short"),
])
def test_bad_spectra_are_refused(bad, message):
    with pytest.raises(InputError, match=message):
        from_spectrum(bad)


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="medium is 'water'"):
        from_spectrum(build(), medium="water")
    with pytest.raises(InputError, match="resolving_power has the shape"):
        from_spectrum(build(), resolving_power=np.ones(7))


def test_sed_needs_positive_flux_and_a_flux_density():
    with pytest.raises(InputError, match="positive and finite"):
        from_sed(build(flux=(FLUX - 1.0) * u.Jy))
    with pytest.raises(InputError, match="flux unit"):
        from_sed(build())
    measured = build(flux=FLUX * u.Unit("erg/(s cm2 AA)"),
                     uncertainty=StdDevUncertainty(0.1 * FLUX))
    with pytest.raises(InputError, match="has no covariance"):
        from_sed(measured)
    arrays = from_sed(with_covariance(measured))
    assert arrays.absolute
    assert_allclose(arrays.relative_covariance.sigma, 0.1)
