"""Simulated fields follow their settings, and responses fitted to them are right."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from numpy.testing import assert_allclose
from specutils import Spectrum

from sedflux import (
    InputError,
    LowRankCovariance,
    covariance_of,
    fit_response,
    fit_responses,
    get_instrument,
    predict_sed,
    simulate_field,
)
from sedflux.exceptions import WriteError
from sedflux.io.sed import read_sed
from sedflux.simulate.settings import FieldSettings
from sedflux.simulate.simulator import Simulator
from sedflux.simulate.stars import ModelStars

BANDS = get_instrument("lookalike").bands


@pytest.fixture(scope="module")
def simulator():
    return Simulator({"GV": BANDS["GV"]}, FieldSettings(outliers=0.2, grey_error=0.0,
                                                        wavelength_error=0.0))


def test_a_seed_fixes_the_field(simulator):
    one, two, other = (simulator.draw(6, seed=seed) for seed in (1, 1, 2))
    assert_allclose(one.counts["GV"][3].flux.value, two.counts["GV"][3].flux.value)
    assert one.truth["magnitude"][0] != other.truth["magnitude"][0]


def test_a_field_prints_in_a_line(simulator):
    field = simulator.draw(3, seed=1)
    assert repr(field) == f"<SimulatedField of 3 stars in {', '.join(field.bands)}>"


def test_fields_follow_their_settings(simulator):
    field = simulator.draw(120, seed=3)
    settings, truth = simulator.settings, field.truth
    for name, (low, high) in (("magnitude", settings.magnitudes), ("snr", settings.snr),
                              ("teff", settings.teff)):
        assert truth[name].min() >= low
        assert truth[name].max() <= high
    # A magnitude-limited field has more faint stars.
    assert np.median(truth["magnitude"]) > np.mean(settings.magnitudes)
    assert (truth["outlier"] != "").sum() == 24
    assert (truth["variable"][truth["outlier"] != "variable"] == 0).all()


def test_true_magnitudes_are_those_of_the_true_seds(simulator):
    from synphot import SourceSpectrum, SpectralElement
    from synphot.models import Box1D, Empirical1D
    from synphot.observation import Observation

    field = simulator.draw(3, seed=5)
    band = SpectralElement(Box1D, amplitude=1.0, x_0=6300.0, width=1400.0, step=5.0)
    for star, flux in zip(field.truth, field.flux, strict=True):
        source = SourceSpectrum(Empirical1D, points=field.wavelength * u.AA,
                                lookup_table=flux * u.Unit("erg / (s cm2 Angstrom)"))
        magnitude = Observation(source, band).effstim(u.ABmag).value
        assert magnitude == pytest.approx(star["magnitude"], abs=0.005)


def test_errors_of_predicted_seds_follow_their_covariance(simulator):
    pulls = []
    for seed in range(8):
        field = simulator.draw(20, seed=100 + seed)
        clean = np.asarray(field.truth["hidden_ebv"]) == 0
        for sed, truth in zip(np.array(field.seds, dtype=object)[clean], field.flux[clean],
                              strict=True):
            pulls.append(((sed.flux.value - truth) / sed.uncertainty.array)[::60])
    assert 0.85 < np.std(pulls) < 1.15
    assert abs(np.mean(pulls)) < 0.15


def test_noise_is_that_of_photons(simulator):
    field = simulator.draw(30, seed=9)
    counts = field.counts["GV"][0]
    clean = np.asarray(field.truth["outlier"]) == ""
    chi2 = []
    for row in np.flatnonzero(clean):
        spectrum = field.counts["GV"][row].flux.value
        # Adjacent pixels differ by noise and little else.
        step = np.diff(spectrum)[100:300]
        step = step - np.convolve(step, np.ones(9) / 9.0, mode="same")
        sigma = field.counts["GV"][row].uncertainty.array[100:300]
        chi2.append(np.median(np.abs(step) / sigma))
    assert np.median(chi2) == pytest.approx(0.6745 * np.sqrt(2.0), rel=0.15)
    assert counts.flux.unit == u.ct / u.s


def test_files_are_read_by_specutils(simulator, tmp_path):
    field = simulator.draw(3, seed=2)
    field.write(tmp_path)
    back = Spectrum.read(tmp_path / "counts" / "GV" / "star0001.fits", format="tabular-fits")
    assert_allclose(back.flux.value, field.counts["GV"][1].flux.value)
    assert_allclose(back.uncertainty.array, field.counts["GV"][1].uncertainty.array)
    truth = Table.read(tmp_path / "truth.ecsv")
    assert_allclose(truth["magnitude"], field.truth["magnitude"])
    sed = read_sed(tmp_path / "seds" / "star0001.fits")
    assert isinstance(covariance_of(sed), LowRankCovariance)


def test_stars_of_a_library(toy_library):
    field = simulate_field({"GI": BANDS["GI"]}, size=6, seed=3, library=toy_library,
                           model="uara.synthetic3", prior="flat", outliers=0.0)
    assert field.flux.shape == (6, toy_library.wavelength.size)
    assert set(field.truth["teff"]) <= set(toy_library.labels[:, 0])


def test_a_fitted_response_calibrates_other_stars():
    """Responses fitted to one field turn the counts of another into its true SEDs."""
    field = simulate_field(BANDS, size=30, seed=21, outliers=0.1)
    others = simulate_field(BANDS, size=4, seed=22, outliers=0.0, grey_error=0.0,
                            magnitudes=(13.0, 14.0))
    responses = fit_responses(field.counts, field.seds, BANDS, names=field.names, grey_error=0.01,
                              wavelength_error=0.5 * u.AA)
    pulls = []
    for name, response in responses.items():
        for counts, flux in zip(others.counts[name], others.flux, strict=True):
            result = response.calibrate(counts)
            low, high = response.wavelength_range
            wavelength = result.spectral_axis.value
            # Away from edges and lines, where the line-spread function blurs.
            inside = ~result.mask & (wavelength > low + 150.0) & (wavelength < high - 150.0)
            truth = np.interp(wavelength, others.wavelength, flux)
            sigma = result.uncertainty.array
            pulls.append(np.median(((result.flux.value - truth) / sigma)[inside]))
            ratio = np.median((result.flux.value / truth)[inside])
            assert ratio == pytest.approx(1.0, abs=0.05)
    assert np.sqrt(np.mean(np.square(pulls))) < 1.6


def test_reference_spectra_give_their_own_labels(simulator):
    """`predict_sed` finds the temperature of a reference star from its noisy spectrum."""
    predictor = simulator.predictor
    stars = ModelStars(predictor, teff=(5500.0, 7000.0), prior="survey")
    line = stars.normalised[0]
    rng = np.random.default_rng(0)
    from sedflux.spectra.grids import input_grid

    spectrum = Spectrum(spectral_axis=input_grid() * u.AA,
                        flux=(line + rng.standard_normal(line.size) / 50.0)
                        * u.dimensionless_unscaled)
    sed = predict_sed(spectrum, model=predictor, resolving_power=stars.input_resolving_power)
    assert sed.meta["sedflux"]["resolving_power"] == 200.0
    assert abs(float(sed.meta["sedflux"]["diagnostics"]["teff"]) - stars.labels[0, 0]) < 300.0


def test_wrong_input_is_refused(toy_library):
    with pytest.raises(InputError, match="no throughput"):
        simulate_field(get_instrument("csst").bands, size=2, seed=1)
    with pytest.raises(InputError, match="size is 0"):
        simulate_field(BANDS, size=0, seed=1)
    with pytest.raises(InputError, match="exposure"):
        FieldSettings(exposure=-1.0)
    with pytest.raises(InputError, match="grey_error"):
        FieldSettings(grey_error=-1.0)
    with pytest.raises(InputError, match="at least two"):
        simulate_field(BANDS, size=2, seed=1, library=toy_library, teff=(100.0, 200.0))
    with pytest.raises(InputError, match="prior is 'x'"):
        simulate_field(BANDS, size=2, seed=1, prior="x")
    with pytest.raises(InputError, match="counts has the band 'GX'"):
        fit_responses({"GX": []}, [], BANDS)
    with pytest.raises(InputError, match="None where a star has none"):
        fit_responses({"GV": []}, [1], BANDS)


@pytest.mark.parametrize(("settings", "message"), [
    ({"magnitudes": (-500.0, 500.0)}, "magnitudes is .*from -5 to 40"),
    ({"magnitudes": (20.0, 10.0)}, "magnitudes is .*ascending"),
    ({"magnitudes": (10.0, np.nan)}, "magnitudes"),
    ({"magnitudes": 15.0}, "magnitudes"),
    ({"magnitudes": ("a", "b")}, "magnitudes"),
    ({"snr": (0.0, 10.0)}, "snr"),
    ({"snr": (10.0, 1e300)}, "snr"),
    ({"snr": (80.0, 20.0)}, "snr"),
    ({"teff": (9000.0, 5000.0)}, "teff"),
    ({"teff": (5.0, 9.0) * u.s}, "teff"),
    ({"ebv_scale": 300.0}, "ebv_scale is 300.0; 0 to 5"),
    ({"ebv_error": "small"}, "ebv_error"),
    ({"magnitude_error": -0.1}, "magnitude_error"),
    ({"grey_error": np.inf}, "grey_error"),
    ({"wavelength_error": 0.5 * u.s}, "wavelength_error"),
    ({"exposure": 0.0}, "exposure"),
    ({"exposure": 1e300}, "exposure"),
    ({"exposure": None}, "exposure"),
    ({"outliers": 1.0}, "outliers"),
    ({"outliers": "few"}, "outliers"),
    ({"prior": ["survey"]}, "prior"),
])
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        FieldSettings(**settings)


def test_settings_take_units():
    settings = FieldSettings(wavelength_error=0.05 * u.nm, exposure=5.0 * u.min,
                             teff=(6.0, 8.0) * u.kK, magnitudes=(14.0, 15.0) * u.ABmag)
    assert settings.wavelength_error == pytest.approx(0.5)
    assert settings.exposure == pytest.approx(300.0)
    assert settings.teff == pytest.approx((6000.0, 8000.0))
    assert settings.magnitudes == (14.0, 15.0)


def test_the_faintest_and_brightest_stars_have_finite_counts():
    for magnitudes in ((-5.0, -5.0), (40.0, 40.0)):
        field = simulate_field({"GV": BANDS["GV"]}, size=3, seed=1, magnitudes=magnitudes)
        for counts in field.counts["GV"]:
            assert np.all(np.isfinite(counts.flux.value))
            assert np.all(counts.uncertainty.array > 0)


@pytest.mark.parametrize(("options", "message"), [
    ({"size": 2.5}, "size is 2.5"),
    ({"size": "many"}, "size is 'many'"),
    ({"seed": -1}, "seed is -1"),
    ({"seed": 0.5}, "seed is 0.5"),
    ({"detectors": "12"}, "detectors is '12'"),
    ({"detectors": ()}, "detectors"),
    ({"detectors": None}, "detectors is None"),
    ({"detectors": 3}, "detectors is 3"),
    ({"detectors": 3 * u.m}, "detectors is"),
    ({"size": True}, "size is True"),
])
def test_impossible_sizes_and_seeds_are_refused(simulator, options, message):
    with pytest.raises(InputError, match=message):
        simulator.draw(**({"size": 2, "seed": 1} | options))


def test_impossible_options_are_refused():
    with pytest.raises(InputError, match="bands is list"):
        simulate_field([BANDS["GV"]], size=2, seed=1)
    with pytest.raises(InputError, match="'outlier' is no setting; magnitudes"):
        simulate_field(BANDS, size=2, seed=1, outlier=0.1)
    with pytest.raises(InputError, match="response is a float"):
        simulate_field(BANDS, size=2, seed=1, response=0.1)
    with pytest.raises(InputError, match="library is a str"):
        simulate_field(BANDS, size=2, seed=1, library="bosz.fits")
    with pytest.raises(InputError, match="settings is a dict"):
        Simulator(BANDS, {"outliers": 0.0})
    for change, message in ((np.ones(3), "shape of its wavelengths"), ("grey", "shape"),
                            (np.nan, "not finite"), (1e3, "larger than 20")):
        with pytest.raises(InputError, match=message):
            simulate_field({"GV": BANDS["GV"]}, size=2, seed=1,
                           response=lambda wavelength, star, change=change: change)
    with pytest.raises(InputError, match="one instrument"):
        simulate_field({"GU": BANDS["GU"], "GV": replace(BANDS["GV"], detector_size=(10, 10))},
                       size=2, seed=1)
    with pytest.raises(InputError, match="reference stars between 100 and 200 K"):
        simulate_field(BANDS, size=2, seed=1, teff=(100.0, 200.0))


def test_a_change_of_the_throughput_changes_the_counts():
    options = {"size": 2, "seed": 1, "outliers": 0.0}
    plain = simulate_field({"GV": BANDS["GV"]}, **options)
    changed = simulate_field({"GV": BANDS["GV"]}, **options,
                             response=lambda wavelength, star: np.log(2.0))
    for one, two in zip(plain.counts["GV"], changed.counts["GV"], strict=True):
        assert two.flux.value.sum() / one.flux.value.sum() == pytest.approx(2.0, rel=0.02)


def test_positions_fill_the_detector_of_the_bands(simulator):
    truth = simulator.draw(200, seed=4).truth
    size = get_instrument("lookalike").size
    for axis, length in zip("xy", size, strict=True):
        assert 0.95 * length < truth[axis].max() < length


def test_reference_spectra_invert_the_projection(simulator):
    """The projection of the reference spectra gives the coefficients of the references."""
    import torch

    network, arrays = simulator.predictor.network, simulator.predictor.arrays
    spectra, power = arrays.reference_spectra(np.arange(5))
    coefficients, *_ = network.projection(
        torch.tensor(spectra - 1.0, dtype=torch.float32),
        torch.full(spectra.shape, 1e8, dtype=torch.float32))
    places = network.coordinates(coefficients, torch.tensor(power, dtype=torch.float32)).numpy()
    assert_allclose(places[:, -1], network.references[:5, -1].numpy(), rtol=1e-4, atol=1e-5)
    assert np.corrcoef(places[:, :-1].ravel(), network.references[:5, :-1].numpy().ravel())[
        0, 1] > 0.999
    assert_allclose(arrays.reference_spectra()[0][:5], spectra, rtol=1e-12)


def test_an_interrupted_write_keeps_the_former_file(simulator, tmp_path, monkeypatch):
    field = simulator.draw(2, seed=2)
    field.write(tmp_path)
    path = tmp_path / "counts" / "GV" / f"{field.names[0]}.fits"
    former, write = path.read_bytes(), fits.HDUList.writeto

    def fail(hdus, place, **options):
        if Path(place).parent.name != "GV":
            return write(hdus, place, **options)
        Path(place).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(fits.HDUList, "writeto", fail)
        with pytest.raises(WriteError, match="No space left"):
            field.write(tmp_path)
    assert path.read_bytes() == former
    assert not list(path.parent.glob(".*"))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WriteError, match="cannot be made"):
        field.write(tmp_path / "file")


def test_a_star_without_counts_in_a_band_is_left_out_of_its_fit():
    field = simulate_field({"GV": BANDS["GV"]}, size=8, seed=6, outliers=0.0)
    counts = list(field.counts["GV"])
    counts[2] = None
    found = fit_responses({"GV": counts}, field.seds, BANDS, names=field.names, grey_error=0.01,
                          wavelength_error=0.5 * u.AA)["GV"]
    assert field.names[2] not in set(found.stars["name"])
    one = fit_response([field.counts["GV"][0]], [field.seds[0]], band=BANDS["GV"])
    assert one.good.any()


@pytest.mark.parametrize("settings", [0, {}, "x", {"snr": 5}, [1]])
def test_settings_are_of_their_type(settings):
    with pytest.raises(InputError, match="settings is a"):
        simulate_field(BANDS, size=1, seed=1, settings=settings)
