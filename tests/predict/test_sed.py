"""The pipeline: what it returns, what it flags, and what it refuses."""

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from numpy.testing import assert_allclose
from specutils import Spectrum

from sedflux import InputError, LowRankCovariance, Predictor, covariance_of, predict_sed
from sedflux.demo import demo_spectrum
from sedflux.predict.flags import FLAGS, flag, flag_names
from sedflux.spectra.grids import average_matrix


def test_default_output(sed):
    assert sed.spectral_axis[0] == 2500 * u.AA
    assert_allclose(sed.spectral_axis[-1].value, 10500.0)
    assert sed.flux.unit == u.dimensionless_unscaled
    assert isinstance(sed.uncertainty, StdDevUncertainty)
    inside = (sed.spectral_axis > 4000 * u.AA) & (sed.spectral_axis < 7000 * u.AA)
    assert_allclose(np.trapezoid(sed.flux[inside], sed.spectral_axis[inside])
                    / np.ptp(sed.spectral_axis[inside]), 1.0, atol=2e-3)
    notes = sed.meta["sedflux"]
    assert notes["model"] == "uara.stars2"
    assert len(notes["sha256"]) == 64
    assert isinstance(covariance_of(sed), LowRankCovariance)
    assert_allclose(covariance_of(sed).sigma, sed.uncertainty.array)


def test_a_solar_twin_looks_like_the_sun(sed):
    """Ratios to 5500 A of the solar spectrum (Thuillier et al. 2004)."""
    flux = np.interp([4500, 8500], sed.spectral_axis.value, sed.flux.value)
    assert_allclose(flux / np.interp(5500, sed.spectral_axis.value, sed.flux.value),
                    [1.12, 0.53], rtol=0.1)
    assert 5400 < sed.meta["sedflux"]["diagnostics"]["teff"] < 6200


def test_real_f_star_against_hst(predictor):
    """BD+17 4708 from lines alone, against its own STIS fluxes: 10 % from 3800 A on."""
    star = demo_spectrum("bd17_stis")
    sed = predict_sed(star, model=predictor)
    grid = np.array([3850.0, 4500.0, 5500.0, 6600.0, 8000.0, 9900.0])
    moved = star.spectral_axis.value / (1 - 291.0 / 299792.458)
    measured = np.interp(grid, moved, star.flux.value)
    predicted = np.interp(grid, sed.spectral_axis.value, sed.flux.value)
    ratio = predicted / measured
    assert_allclose(ratio / np.median(ratio), 1.0, atol=0.10)


def test_plain_arrays_and_spectrum_agree(predictor, star, spectrum):
    wavelength, flux = star
    prediction = predictor.predict(wavelength, flux, (0.01 * flux) ** -2.0)
    assert_allclose(prediction.flux, predict_sed(spectrum, model=predictor).flux.value, rtol=1e-5)
    assert prediction.single
    assert len(prediction) == 1


def test_batch(predictor, star):
    wavelength, flux = star
    batch = predictor.predict(wavelength, np.stack([flux] * 3), np.full((3, flux.size), 1e4))
    assert batch.flux.shape == (3, 575)
    assert len(batch.covariance) == len(batch) == len(batch.flags) == 3
    assert batch[1].covariance.sigma.shape == (575,)
    assert batch.sample(4, np.random.default_rng(0)).shape == (3, 4, 575)


def test_samples_scatter_by_sigma(predictor, star, rng):
    wavelength, flux = star
    one = predictor.predict(wavelength, flux, np.full(flux.size, 400.0))
    samples = np.log(one.sample(4000, rng) / one.flux)
    assert_allclose(samples.std(axis=0), one.sigma / one.flux, rtol=0.1)


def test_radial_velocity_is_taken_out(predictor, star):
    wavelength, flux = star
    moving = predictor.predict(wavelength * (1 + 200.0 / 299792.458), flux,
                               np.full(flux.size, 1e4), radial_velocity=200.0)
    resting = predictor.predict(wavelength, flux, np.full(flux.size, 1e4))
    assert_allclose(moving.flux, resting.flux, rtol=1e-3)


def test_velocity_of_each_star(predictor, star):
    wavelength, flux = star
    both = predictor.predict(wavelength, np.stack([flux, flux]), np.full((2, flux.size), 1e4),
                             radial_velocity=[0.0, 6.0])
    alone = predictor.predict(wavelength, flux, np.full(flux.size, 1e4), radial_velocity=6.0)
    assert_allclose(both.flux[1], alone.flux, rtol=1e-5)


def test_wavelengths_rebin_flux_and_covariance(predictor, spectrum):
    centres = np.arange(3000.0, 9000.0, 100.0) * u.AA
    coarse = predict_sed(spectrum, model=predictor, wavelengths=centres)
    fine = predict_sed(spectrum, model=predictor)
    covariance = covariance_of(coarse)
    assert_allclose(np.sqrt(np.diag(covariance.to_dense())), coarse.uncertainty.array, rtol=1e-10)
    expected = np.interp(5000.0, fine.spectral_axis.value, fine.flux.value)
    assert_allclose(np.interp(5000.0, centres.value, coarse.flux.value), expected, rtol=0.02)
    reverse = predict_sed(spectrum, model=predictor, wavelengths=centres[::-1].to(u.um))
    assert_allclose(reverse.flux.value, coarse.flux.value[::-1])
    assert reverse.spectral_axis.unit == u.um


def test_reddening_of_many_stars_equals_that_of_each(predictor, star):
    """Also where one of them has no dust, or an E(B-V) without error."""
    wavelength, flux = star
    many = predictor.predict(wavelength, np.stack([flux] * 3), np.full((3, flux.size), 1e4))
    dusty = many.reddened([0.0, 0.3, 0.2], reddening_error=[0.0, 0.02, 0.0])
    for row, (ebv, error) in enumerate([(0.0, 0.0), (0.3, 0.02), (0.2, 0.0)]):
        alone = many[row].reddened(ebv, reddening_error=error)
        assert_allclose(dusty.flux[row], alone.flux, rtol=1e-12)
        assert_allclose(dusty.sigma[row], alone.sigma, rtol=1e-6)
        assert_allclose(dusty[row].parts["reddening"], alone.parts["reddening"], atol=1e-15)
    for wrong in ([0.1, 0.2], -0.1, np.nan, "much"):
        with pytest.raises(InputError, match="reddening"):
            many.reddened(wrong)


def test_reddening(predictor, spectrum):
    clean = predict_sed(spectrum, model=predictor)
    dusty = predict_sed(spectrum, model=predictor, reddening=(0.3, 0.02))
    color = [np.interp(3000, s.spectral_axis.value, s.flux.value)
             / np.interp(9000, s.spectral_axis.value, s.flux.value) for s in (clean, dusty)]
    assert color[1] < 0.45 * color[0]
    exact = predict_sed(spectrum, model=predictor, reddening=0.3)
    assert_allclose(dusty.flux, exact.flux)
    assert dusty.uncertainty.array[0] > exact.uncertainty.array[0]
    assert dusty.meta["header"]["SEDEBV"] == 0.3


def test_lower_resolving_power_is_told_to_the_model(predictor, star):
    from sedflux.spectra.resolution import degrade_spectra

    wavelength, flux = star
    ivar = np.full((1, flux.size), 1e4)
    coarse, weights = degrade_spectra(wavelength, flux[None], ivar, wavelength / 2.5, 700.0)
    low = predictor.predict(wavelength, coarse, weights, resolving_power=700.0)
    high = predictor.predict(wavelength, flux[None], ivar, resolving_power=wavelength / 2.5)
    inside = (predictor.wavelength > 4000) & (predictor.wavelength < 9000)
    assert_allclose(low.flux[0, inside], high.flux[0, inside], rtol=0.08)


def test_low_snr_is_flagged_and_sigma_grows(predictor, star, rng):
    wavelength, flux = star
    noisy = np.stack([flux * (1 + rng.standard_normal(flux.size) / s) for s in (100, 4)])
    ivar = np.stack([(s / flux) ** 2.0 for s in (100, 4)])
    good, poor = (predictor.predict(wavelength, noisy, ivar)[i] for i in (0, 1))
    assert "low S/N" in poor.flags
    assert "low S/N" not in good.flags
    assert np.median(poor.sigma / poor.flux) > 2 * np.median(good.sigma / good.flux)


def test_foreign_objects_are_flagged_and_sigma_grows(predictor, star):
    """A quasar-like spectrum with broad emission, and a white dwarf with vast Balmer lines."""
    wavelength, flux = star
    ivar = np.full((3, flux.size), 50.0**2)
    lines = (4341.7, 4862.7, 6564.6)
    quasar = 1.0 + sum(0.6 * np.exp(-0.5 * ((wavelength - c) / 60.0) ** 2) for c in (4700, 5900))
    dwarf = 1.0 - sum(0.5 / (1 + ((wavelength - c) / 90.0) ** 2) for c in lines)
    result = predictor.predict(wavelength, np.stack([flux, quasar, dwarf]), ivar)
    for row in (1, 2):
        assert any("unlike" in text or "limit" in text for text in result.flags[row])
        assert np.median(result[row].sigma / result[row].flux) > np.median(
            result[0].sigma / result[0].flux)
    assert not any("unlike" in text for text in result.flags[0])


def test_quasars_are_refused_alone_and_flagged_among_stars(predictor, star):
    """Broad lines as of C IV and C III] at a redshift of 2.6; a star beside it is not touched."""
    wavelength, flux = star
    quasar = (wavelength / 5000) ** -1.5 * (
        1 + sum(height * np.exp(-0.5 * ((wavelength - centre) / width) ** 2)
                for centre, height, width in ((4376, 1.0, 70.0), (5577, 0.6, 51), (6871, 0.3, 80))))
    spectrum = Spectrum(spectral_axis=wavelength * u.AA, flux=quasar * u.ct,
                        uncertainty=StdDevUncertainty(quasar / 50))
    for model in (predictor, "auto"):
        with pytest.raises(InputError, match=r"far from all stars.*quasars"):
            predict_sed(spectrum, model=model)
    both = predictor.predict(wavelength, np.stack([flux, quasar]),
                             2500 / np.stack([flux, quasar]) ** 2)
    assert [bool(bits & flag("foreign").mask) for bits in both.flag_bits] == [False, True]
    assert (both[1].sigma > both[1].flux).mean() > 0.7
    alone = predictor.predict(wavelength, flux, 2500 / flux**2)
    assert_allclose(both[0].flux, alone.flux, rtol=1e-6)
    assert_allclose(both[0].sigma, alone.sigma, rtol=3e-6)


def test_a_hot_star_without_metal_lines_is_flagged(predictor, star):
    wavelength, _ = star
    lines = (4102.9, 4341.7, 4862.7, 6564.6)
    hot = 1.0 - sum(0.2 / (1 + ((wavelength - c) / 8.0) ** 2) for c in lines)
    result = predictor.predict(wavelength, hot, np.full(hot.size, 1e4))
    assert any("hardly any metal lines" in text or "unlike" in text for text in result.flags)
    assert np.median(result.sigma / result.flux) > 0.05


def test_emission_is_left_out_and_flagged(predictor, star):
    wavelength, flux = star
    active = flux + 3.0 * np.exp(-0.5 * ((wavelength - 6564.6) / 6.0) ** 2)
    result = predictor.predict(wavelength, active, np.full(flux.size, 1e4))
    assert any("emission" in text for text in result.flags)


def test_one_bad_spectrum_does_not_spoil_the_batch(predictor, star):
    wavelength, flux = star
    ivar = np.full((2, flux.size), 1e4)
    ivar[1, 100:] = 0.0
    result = predictor.predict(wavelength, np.stack([flux, flux]), ivar)
    assert any("too few good pixels" in text for text in result.flags[1])
    assert np.isfinite(result.flux).all()
    assert np.isfinite(result.sigma).all()
    assert np.median(result.sigma[1] / result.flux[1]) > 0.2


BAD = {
    "pixels": (dict(spectral_axis=np.arange(3000.0) * u.pix), "unit 'pix'"),
    "too little coverage": (dict(spectral_axis=np.linspace(4000, 5500, 3000) * u.AA),
                            r"5500-6998 Angstrom are missing"),
    "microns taken for Angstrom": (dict(spectral_axis=np.linspace(0.4, 0.7, 3000) * u.AA),
                                   "missing"),
    "negative": (dict(flux=-np.ones(3000) * u.ct), "zero or negative"),
    "zero": (dict(flux=np.zeros(3000) * u.ct), "zero or negative|no finite"),
    "constant": (dict(flux=np.ones(3000) * u.ct), "constant"),
    "all NaN": (dict(flux=np.full(3000, np.nan) * u.ct), "no good pixel"),
    "NaN sigma": (dict(uncertainty=StdDevUncertainty(np.full(3000, np.nan))), "no finite"),
    "all masked": (dict(mask=np.ones(3000, dtype=bool)), "no good pixel"),
    "3-D": (dict(flux=np.ones((2, 2, 3000)) * u.ct), "3 dimensions"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_spectra_say_what_to_do(predictor, case):
    change, message = BAD[case]
    wavelength = np.linspace(3900.0, 7100.0, 3000)
    arguments = {"spectral_axis": wavelength * u.AA,
                 "flux": (1 + 0.1 * np.sin(wavelength)) * u.ct} | change
    with pytest.raises(InputError, match=message):
        predict_sed(Spectrum(**arguments), model=predictor)


@pytest.mark.parametrize(("change", "message"), [
    ({"resolving_power": 300.0}, "resolving_power is 300"),
    ({"resolving_power": "high"}, "resolving_power is 'high'"),
    ({"resolving_power": np.nan}, "resolving_power is nan"),
    ({"radial_velocity": 1e5}, "3000 km/s"),
    ({"radial_velocity": np.zeros(4)}, "shape"),
    ({"mask": np.zeros(3)}, "mask has the shape"),
    ({"ivar": np.zeros(3)}, "ivar has the shape"),
    ({"ivar": -np.ones(100)}, "ivar"),
    ({"flux": np.zeros(0)}, "shapes"),
])
def test_bad_arrays_say_what_to_do(predictor, star, change, message):
    wavelength, flux = star
    arguments = {"flux": flux, "ivar": np.ones_like(flux)} | change
    with pytest.raises(InputError, match=message):
        predictor.predict(wavelength, **arguments)


def test_descending_arrays_are_refused(predictor, star):
    wavelength, flux = star
    with pytest.raises(InputError, match="ascend"):
        predictor.predict(wavelength[::-1], flux)


def test_integers_do_not_overflow(predictor, star):
    wavelength, flux = star
    counts = np.round(flux / flux.max() * 32000).astype(np.int16)
    assert counts.max() > 0
    ivar = 1.0 / np.abs(counts.astype(float))
    result = predictor.predict(wavelength, counts, ivar)
    reference = predictor.predict(wavelength, counts.astype(float), ivar)
    assert_allclose(result.flux, reference.flux)


@pytest.mark.parametrize(("change", "message"), [
    ({"wavelengths": np.arange(3000.0, 4000.0)}, "give a Quantity"),
    ({"wavelengths": [2000.0, 2100.0] * u.AA}, "not extrapolated"),
    ({"wavelengths": [3000.0] * u.AA}, "two or more"),
    ({"reddening": -0.1}, "not negative"),
    ({"reddening": (0.1, 0.1, 0.1)}, "reddening is"),
    ({"radial_velocity": 3 * u.AA}, "Quantity in km/s"),
    ({"radial_velocity": 10**400}, "Quantity in km/s"),
    ({"medium": np.array([])}, "medium is"),
    ({"resolving_power": 100.0}, "500 or more"),
])
def test_bad_options_say_what_to_do(predictor, spectrum, change, message):
    with pytest.raises(InputError, match=message):
        predict_sed(spectrum, model=predictor, **change)


def test_model_by_name_is_loaded():
    assert Predictor("uara.stars2").name == "uara.stars2"


def test_stars_behind_different_dust(star):
    """E(B-V) of each star at once, and one by one."""
    grid, flux = star
    many = Predictor().predict(grid, np.stack([flux, flux]), np.full((2, flux.size), 1e4))
    both = many.reddened([0.0, 0.2], ebv_error=[0.01, 0.03])
    for row, (ebv, error) in enumerate(((0.0, 0.01), (0.2, 0.03))):
        one = many[row].reddened(ebv, ebv_error=error)
        assert_allclose(both[row].flux, one.flux)
        assert_allclose(both[row].sigma, one.sigma)
        assert_allclose(both[row].parts["reddening"], one.parts["reddening"])
    with pytest.raises(InputError, match="one number or 2"):
        many.reddened([0.1, 0.2, 0.3])


def test_dust_of_several_stars_is_that_of_each(predictor, star):
    """Two numbers for two stars are not E(B-V) and its error."""
    wavelength, flux = star
    both = Spectrum(spectral_axis=wavelength * u.AA, flux=np.stack([flux, flux]) * u.ct)
    one = Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.ct)
    for dust, each in (([0.1, 0.2], [0.1, 0.2]), (([0.1, 0.2], 0.03), [(0.1, 0.03), (0.2, 0.03)]),
                       (0.3, [0.3, 0.3]), ((0.1, 0.2), [(0.1, 0.2)] * 2)):
        seds = predict_sed(both, model=predictor, reddening=dust)
        for row, value in enumerate(each):
            alone = predict_sed(one, model=predictor, reddening=value)
            assert_allclose(seds.flux[row].value, alone.flux.value, rtol=1e-5)
            assert_allclose(seds.uncertainty.array[row], alone.uncertainty.array, rtol=1e-5)
    for wrong in ([0.1, 0.2, 0.3], ([0.1] * 3, 0.1), "dusty"):
        with pytest.raises(InputError, match="reddening"):
            predict_sed(both, model=predictor, reddening=wrong)


def test_noise_alone_gives_finite_errors_and_flags(predictor, star):
    """Where the fitted continuum crosses zero, the normalised flux overflows."""
    noise = np.random.default_rng(12).standard_normal((64, star[0].size))
    result = predictor.predict(star[0], noise, np.ones_like(noise))
    assert np.isfinite(result.flux).all()
    assert np.isfinite(result.sigma).all()
    assert all(result.flags)


def test_what_is_not_finite_is_marked(predictor, star, monkeypatch):
    """The last guard: damaged weights give the prior and a flag, never NaN."""
    wavelength, flux = star
    real = predictor._chain._network_values

    def damaged(*arguments):
        values = real(*arguments)
        values["mean"][0] = np.nan
        return values

    monkeypatch.setattr(predictor._chain, "_network_values", damaged)
    result = predictor.predict(wavelength, np.stack([flux, flux]), np.full((2, flux.size), 1e4))
    assert np.isfinite(result.flux).all()
    assert np.isfinite(result.sigma).all()
    assert flag_names(result.flag_bits[0]) == ("unlike_training", "not_finite")
    assert flag_names(result.flag_bits[1]) == ()
    assert result[0].sigma.mean() > 5 * result[1].sigma.mean()


def test_dropped_pixels_are_no_good_pixels(predictor, star):
    wavelength, flux = star
    keep = (wavelength < 4600.0) | (wavelength > 5500.0)
    result = predictor.predict(wavelength[keep], flux[keep], np.full(keep.sum(), 1e4))
    assert "bad_pixels" in flag_names(result.flag_bits)
    keep = (wavelength < 4500.0) | (wavelength > 6500.0)
    with pytest.raises(InputError, match="too few pixels"):
        predictor.predict(wavelength[keep], flux[keep], np.full(keep.sum(), 1e4))


@pytest.mark.parametrize("step", [3.0, 5.0])
def test_coarse_pixels_cap_the_resolving_power(predictor, star, step):
    from sedflux.spectra.grids import rebin_matrix

    wavelength, flux = star
    coarse = np.arange(3900.0, 7100.0, step)
    matrix = rebin_matrix(wavelength, coarse)
    ivar = 1.0 / (matrix.power(2) @ np.full(flux.size, 1e-4))
    result = predictor.predict(coarse, matrix @ flux, ivar)
    fine = predictor.predict(wavelength, flux, np.full(flux.size, 1e4))
    assert result.diagnostics["resolving_power"] < 4000.0 / step
    pulls = np.log(result.flux / fine.flux) / (fine.sigma / fine.flux)
    assert np.sqrt(np.mean(pulls**2)) < 1.0


@pytest.mark.parametrize("step", [10.0, 1500.0])
def test_pixels_too_coarse_are_refused(predictor, step):
    wavelength = np.arange(3900.0, 7100.0, step)
    with pytest.raises(InputError, match="pixels are so wide"):
        predictor.predict(wavelength, 1.0 + 0.1 * np.sin(wavelength), np.ones(wavelength.size))


def test_units_of_arrays(predictor, star):
    wavelength, flux = star
    ivar = np.full(flux.size, 1e4)
    slow = predictor.predict(wavelength, flux, ivar, radial_velocity=5e4 * u.m / u.s)
    assert slow.radial_velocity == 50.0
    with pytest.raises(InputError, match="resolving_power is"):
        predictor.predict(wavelength, flux, ivar, resolving_power=2000 * u.m)
    with pytest.raises(InputError, match="radial_velocity is"):
        predictor.predict(wavelength, flux, ivar, radial_velocity=50 * u.m)


@pytest.mark.parametrize("unit", ["m", "K", "kg", "mag", "dB", "mag(AB)"])
def test_flux_in_other_units_is_refused(predictor, star, unit):
    wavelength, flux = star
    with pytest.raises(InputError, match="flux has the unit"):
        predict_sed(Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.Unit(unit)),
                    model=predictor)


@pytest.mark.parametrize("unit", ["Jy", "adu", "electron / s", "ct / (s Angstrom)",
                                  "erg / (s cm2 Angstrom sr)", "W / (m2 um)"])
def test_flux_in_units_of_light(predictor, star, unit):
    wavelength, flux = star
    result = predict_sed(Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.Unit(unit)),
                         model=predictor)
    assert np.isfinite(result.flux).all()


def test_errors_that_cannot_be_right(predictor, star):
    wavelength, flux = star
    sigma = np.stack([0.02 * flux, -0.02 * flux])
    both = Spectrum(spectral_axis=wavelength * u.AA, flux=np.stack([flux, flux]) * u.ct,
                    uncertainty=StdDevUncertainty(sigma))
    bits = predict_sed(both, model=predictor).meta["sedflux"]["flag_bits"]
    assert "unusable" in flag_names(bits[1])
    assert flag_names(bits[0]) == ()
    proud = predictor.predict(wavelength, flux, np.full(flux.size, 1e10))
    assert "implausible_snr" in flag_names(proud.flag_bits)


@pytest.mark.parametrize("reddening", [300.0, (0.1, 1e300), "dusty", np.nan, True, 0.1 * u.m,
                                       (0.1, "b"), np.ma.masked, {}])
def test_reddening_that_cannot_be(predictor, spectrum, reddening):
    with pytest.raises(InputError, match="reddening"):
        predict_sed(spectrum, model=predictor, reddening=reddening)


def test_the_model_is_read_once(spectrum, monkeypatch):
    from sedflux.network import checkpoint

    predict_sed(spectrum)
    monkeypatch.setattr(checkpoint, "load_network", None)
    predict_sed(spectrum)


@pytest.mark.parametrize("name", [one.name for one in FLAGS])
def test_every_flag_has_a_bit_and_a_sentence_of_its_own(name):
    one = flag(name)
    assert sum(other.mask & one.mask != 0 for other in FLAGS) == 1
    assert len(one.explanation) > len(one.sentence.split(":")[0]) / 2
    assert one.sentence in [other.sentence for other in FLAGS]
    assert flag_names(one.mask) == (name,)


def test_unknown_flags_are_told():
    with pytest.raises(InputError, match="there are compact"):
        flag("magic")


def test_dust_is_told_and_never_put_on_twice(predictor, star):
    """A file without SEDEBV is intrinsic, whoever made it."""
    wavelength, flux = star
    prediction = predictor.predict(wavelength, flux, 1e4 / flux**2)
    dusty = prediction.reddened(0.3, reddening_error=0.05)
    header = dusty.to_spectrum().meta["header"]
    assert (header["SEDEBV"], header["SEDEBVER"], header["SEDRVEXT"]) == (0.3, 0.05, 3.1)
    assert "SEDEBV" not in prediction.to_spectrum().meta["header"]
    with pytest.raises(InputError, match="reddening is on this prediction already"):
        dusty.reddened(0.1)


def test_errors_of_pixels_are_those_of_their_mean_flux(predictor, star):
    """The covariance of averaged pixels, in flux, by dense algebra."""
    wavelength, flux = star
    one = predictor.predict(wavelength, flux, (50.0 / flux) ** 2)
    one = one.reddened(0.1, reddening_error=0.03)
    pixels = np.arange(3000.0, 9000.0, 40.0)
    average = average_matrix(one.wavelength, pixels)
    dense = average @ one.covariance.to_dense() @ average.T
    sed = one.to_spectrum(wavelengths=pixels * u.AA)
    assert_allclose(sed.flux.value, average @ one.flux, rtol=1e-10)
    assert_allclose(sed.uncertainty.array, np.sqrt(np.diag(dense)), rtol=1e-6)
    assert_allclose(covariance_of(sed).to_dense(), dense, rtol=1e-5, atol=1e-12)
