"""What `condition` takes, gives and refuses."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, Table
from numpy.testing import assert_allclose
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import InputError, condition, read_throughput, synthetic_photometry
from sedflux.slitless.throughput import Throughput
from sedflux.spectra.reddening import extinction_curve
from sedflux.spectra.sed import covariance_of, parts_of
from sedflux.units import FLAM

AREA = 3000.0 * u.cm**2


def test_the_result_fits_the_magnitudes(toy_sed, star_photometry, bandpasses):
    sed = condition(toy_sed, star_photometry, bandpasses)
    result = sed.meta["sedflux"]["photometry"]
    synthetic = synthetic_photometry(sed, bandpasses)
    measured = np.array([pair[0] for pair in star_photometry.values()])
    assert np.abs(synthetic.value.value - measured).max() < 0.1
    # The photometry of the result is better known than by the magnitudes alone.
    errors = np.array([pair[1] for pair in star_photometry.values()])
    assert (synthetic.sigma.value < 1.05 * errors).all()
    assert result.bands == tuple(star_photometry)
    assert result.dof == 3
    assert 0.0 <= result.p_value <= 1.0
    assert result.reddening > 0.0
    assert_allclose(covariance_of(sed).sigma, sed.uncertainty.array)
    assert sed.meta["header"]["SEDEBV"] == result.reddening
    assert list(result.table().colnames)[:3] == ["reddening", "reddening_error", "chi2"]


def test_the_file_brings_it_back(toy_sed, star_photometry, bandpasses, tmp_path):
    from sedflux.io.sed import read_sed, write_sed

    sed = condition(toy_sed, star_photometry, bandpasses, zero_point_error={"u": 0.02})
    write_sed(sed, tmp_path / "sed.fits")
    again = read_sed(tmp_path / "sed.fits")
    assert_allclose(covariance_of(again).to_dense(), covariance_of(sed).to_dense())
    assert set(parts_of(again)) == {"reddening", "zero point u"}
    assert again.meta["header"]["SEDCHI2"] == sed.meta["header"]["SEDCHI2"]


def test_many_stars_are_the_stars_one_by_one(draw, photometry, bandpasses):
    drawn = draw(40, 0.1)
    measured = photometry(drawn.magnitudes, 0.02)
    measured["z"][0][::3] = measured["z"][1][::3] = np.nan
    many = condition(drawn.prediction, measured, bandpasses, zero_point_error=0.01)
    threads = condition(drawn.prediction, measured, bandpasses, zero_point_error=0.01, workers=2)
    assert_allclose(threads.flux, many.flux, rtol=0)
    for row in (0, 1, 39):
        pairs = {name: (value[row], error[row]) for name, (value, error) in measured.items()
                 if np.isfinite(value[row])}
        one = condition(drawn.prediction[row], pairs, bandpasses, zero_point_error=0.01)
        assert_allclose(one.flux, many.flux[row], rtol=1e-9)
        assert_allclose(one.sigma, many[row].sigma, rtol=1e-7)
        assert_allclose(one.reddening, many.reddening[row], rtol=1e-8)
        assert_allclose(one.chi2, many.chi2[row], rtol=1e-7)
        assert_allclose(one.pulls, many.pulls[row][np.isfinite(many.pulls[row])], rtol=1e-6)
    (alone,) = one
    assert alone is one
    assert_allclose([each.reddening for each in many], many.reddening, rtol=0)


def test_tables_mappings_and_masks_say_the_same(draw, photometry, bandpasses):
    drawn = draw(3, 0.1)
    measured = photometry(drawn.magnitudes, 0.02)
    columns = {}
    for name, (value, error) in measured.items():
        columns |= {name: np.ma.masked_array(value, [False, name == "u", False]),
                    f"{name}_error": np.ma.masked_array(error, [False, name == "u", False])}
    table = condition(drawn.prediction, Table(columns, masked=True), bandpasses)
    measured["u"][0][1] = measured["u"][1][1] = np.nan
    assert_allclose(table.flux, condition(drawn.prediction, measured, bandpasses).flux, rtol=0)
    assert table.dof.tolist() == [3, 2, 3]
    assert np.isnan(table.pulls[1, 0])


@pytest.mark.parametrize("system", ["ST", "Vega", "counts"])
def test_every_system_gives_the_same(toy_sed, star_photometry, bandpasses, vega, system):
    """AB magnitudes, turned into the other system by synphot."""
    from synphot import Observation, SourceSpectrum
    from synphot.models import Empirical1D

    expected = condition(toy_sed, star_photometry, bandpasses)
    source = SourceSpectrum(Empirical1D, points=vega.spectral_axis, lookup_table=vega.flux)
    other, options = {}, {}
    for name, (value, error) in star_photometry.items():
        observed = Observation(source, bandpasses[name])
        shift = value - observed.effstim(u.ABmag).value
        if system == "ST":
            other[name] = ((observed.effstim(u.STmag).value + shift) * u.STmag, error * u.mag)
        elif system == "Vega":
            other[name], options = (shift, error), {"system": "Vega", "vega": vega}
        else:
            rate = observed.effstim(u.ct, area=AREA).value * 10 ** (-0.4 * shift)
            other[name] = (rate * u.ct / u.s, rate * error * np.log(10) / 2.5 * u.ct / u.s)
            options = {"area": AREA}
    found = condition(toy_sed, other, bandpasses, **options)
    # synphot's own grid of the counts is that of the band.
    assert_allclose(found.flux.value, expected.flux.value, rtol=2e-3)


def test_vega_taken_for_ab_is_seen(toy_sed, bandpasses, vega):
    """A star of Vega's magnitudes: consistent as such, refused by chi2 as AB."""
    wavelength = toy_sed.spectral_axis.value
    flux = toy_sed.flux.value
    from sedflux.photometry import band_rows

    _, (rows, _) = band_rows(wavelength, bandpasses)
    _, (own, _) = band_rows(vega.spectral_axis.value, bandpasses)
    magnitudes = -2.5 * np.log10(1e-13 * (rows @ flux) / (own @ vega.flux.value))
    pairs = {name: (value, 0.02) for name, value in zip(bandpasses, magnitudes, strict=True)}
    right = condition(toy_sed, pairs, bandpasses, system="Vega", vega=vega, reddening=(0.0, 0.02))
    wrong = condition(toy_sed, pairs, bandpasses, reddening=(0.0, 0.02))
    assert right.meta["sedflux"]["photometry"].p_value > 0.1
    assert wrong.meta["sedflux"]["photometry"].p_value < 1e-6


@pytest.mark.parametrize("band", ["u", "g", "r", "i", "z"])
def test_a_wrong_magnitude_is_found(draw, photometry, bandpasses, band):
    drawn = draw(400, 0.05)
    magnitudes = drawn.magnitudes.copy()
    magnitudes[:, list(bandpasses).index(band)] += 0.3
    found = condition(drawn.prediction, photometry(magnitudes, 0.02), bandpasses,
                      reddening=(0.05, 0.02))
    assert np.mean(found.p_value < 1e-3) > 0.95
    worst = np.nanargmax(np.abs(found.pulls), axis=1)
    assert np.mean(worst == list(bandpasses).index(band)) > 0.5


def test_a_wrong_star_is_found(draw, photometry, bandpasses):
    drawn = draw(400, 0.05)
    found = condition(drawn.prediction, photometry(drawn.magnitudes[::-1], 0.02), bandpasses,
                      reddening=(0.05, 0.02))
    # The stars in the middle of the row are nearly the same.
    far = np.abs(np.arange(400) - 199.5) > 100
    assert np.mean(found.p_value[far] < 1e-3) > 0.95


def test_zero_points_move_all_stars_alike(toy_sed, star_photometry, bandpasses):
    error = {"g": 0.03}
    options = {"reddening": (0.2, 0.02), "zero_point_error": error}
    sed = condition(toy_sed, star_photometry, bandpasses, **options)
    moved = dict(star_photometry, g=(star_photometry["g"][0] + 0.03, star_photometry["g"][1]))
    change = np.log(condition(toy_sed, moved, bandpasses, **options).flux / sed.flux).value
    part = parts_of(sed)["zero point g"]
    assert_allclose(change, part, atol=0.03 * np.abs(part).max())
    # The part is one of the directions of the covariance, not more.
    dense = covariance_of(sed).scaled(1.0 / sed.flux.value).to_dense() - np.outer(part, part)
    assert np.linalg.eigvalsh(dense).min() > -1e-12


def test_intrinsic_is_the_seen_without_its_dust(toy_sed, star_photometry, bandpasses):
    seen = condition(toy_sed, star_photometry, bandpasses)
    bare = condition(toy_sed, star_photometry, bandpasses, intrinsic=True)
    result = seen.meta["sedflux"]["photometry"]
    assert "SEDEBV" not in bare.meta["header"]
    assert bare.meta["header"]["SEDDUST"] == seen.meta["header"]["SEDEBV"]
    curve = extinction_curve(toy_sed.spectral_axis.value)
    assert_allclose(np.log(bare.flux / seen.flux), -result.reddening * curve, atol=1e-9)
    part = parts_of(seen)["reddening"]
    variance = (covariance_of(bare).sigma / bare.flux.value) ** 2
    expected = ((covariance_of(seen).sigma / seen.flux.value) ** 2
                + (result.reddening_error * curve) ** 2
                - 2.0 * result.reddening_error * curve * part)
    assert_allclose(variance, expected, rtol=1e-5)


def test_an_error_of_r_v_widens_what_dust_hides(toy_sed, star_photometry, bandpasses):
    options = {"reddening": (1.0, 0.02)}
    sharp = condition(toy_sed, star_photometry, bandpasses, **options)
    wide = condition(toy_sed, star_photometry, bandpasses, r_v_error=0.3, **options)
    assert (covariance_of(wide).sigma / wide.flux.value)[0] > \
        1.02 * (covariance_of(sharp).sigma / sharp.flux.value)[0]


def test_bands_are_elements_throughputs_and_files(toy_sed, star_photometry, bandpasses, tmp_path):
    grid = np.array([4000.0, 4001.0, 5399.0, 5400.0])
    curve = Throughput(grid, [0.0, 0.5, 0.5, 0.0])
    path = tmp_path / "g.ecsv"
    Table({"wavelength": grid * u.AA, "throughput": curve.value}).write(path)
    assert_allclose(read_throughput(path).value, curve.value)
    flux = [condition(toy_sed, {"g": (14.0, 0.02)}, {"g": band}, reddening=0).flux.value
            for band in (curve, path, str(path), curve.to_synphot())]
    for other in flux[1:]:
        assert_allclose(other, flux[0], rtol=1e-12)


FAR = SpectralElement(Box1D, x_0=12000, width=1000)


@pytest.mark.parametrize(("photometry", "options", "message"), [
    ({"g": (14.0, -0.1)}, {}, "error of 'g' is -0.1"),
    ({"g": (14.0, 0.0)}, {}, "error of 'g' is 0"),
    ({"g": (np.nan, 0.1)}, {}, "'g' is nan with the error 0.1"),
    ({"g": (14.0, np.nan)}, {}, "'g' is 14.0 with the error nan"),
    ({"g": (14.0, np.inf)}, {}, "with the error inf"),
    ({"g": (99.0, 0.1)}, {}, "mask values that stand for missing"),
    ({"g": (-99.0, 0.1)}, {}, "magnitude of 'g' is -99"),
    ({"g": 14.0}, {}, "a pair is needed"),
    ({"g": ("14", 0.1)}, {}, "numbers are needed"),
    ({"g": ([14.0, 15.0], 0.1)}, {}, "has the shape"),
    ({"g": (14.0 * u.Jy, 0.1)}, {}, "has the unit Jy"),
    ({"g": (14.0, 0.1 * u.Jy)}, {}, "u.mag is needed"),
    ({"g": (14.0 * u.ct / u.s, 0.1 * u.ct / u.s)}, {}, "give area"),
    ({"g": (14.0 * u.ct / u.s, 9.0 * u.ct / u.s)}, {"area": AREA}, "S/N of 3"),
    ({"g": (14.0, 0.1)}, {"system": "Vega"}, "give vega"),
    ({"g": (14.0, 0.1)}, {"system": "Johnson"}, "AB, ST and Vega"),
    ({"K": (14.0, 0.1)}, {}, "has the band 'K', bandpasses has u, g"),
    ({"far": (14.0, 0.1)}, {}, "must lie inside"),
    ({}, {}, "of 0 bands"),
    (3.0, {}, "photometry is a float"),
    ({"g": (None, None)}, {}, "no magnitude of this star"),
    ({"g": (14.0, 0.1)}, {"reddening": None}, "cannot tell scale from dust"),
    ({"g": (14.0, 0.1)}, {"reddening": -0.1}, "reddening is -0.1"),
    ({"g": (14.0, 0.1)}, {"reddening": (0.1, -0.1)}, "reddening is"),
    ({"g": (14.0, 0.1)}, {"r_v": 20.0}, "r_v = 20"),
    ({"g": (14.0, 0.1)}, {"r_v_error": -1.0}, "r_v_error is -1"),
    ({"g": (14.0, 0.1)}, {"zero_point_error": {"r": 0.1}}, "names the band 'r'"),
    ({"g": (14.0, 0.1)}, {"zero_point_error": -0.1}, "zero_point_error of 'g'"),
    ({"g": (14.0, 0.1)}, {"workers": 0}, "workers is 0"),
    (Table({"g": [14.0]}), {}, "g and g_error"),
])
def test_bad_input_is_named(toy_sed, bandpasses, photometry, options, message):
    with pytest.raises(InputError, match=message):
        condition(toy_sed, photometry, bandpasses | {"far": FAR}, **{"reddening": 0} | options)


def test_data_frames_are_named_and_not_printed(toy_sed, bandpasses):
    frame = pytest.importorskip("pandas").DataFrame({"g": [14.0] * 99, "g_error": [0.1] * 99})
    with pytest.raises(InputError, match=r"is a DataFrame; .*Table\.from_pandas") as caught:
        condition(toy_sed, frame, bandpasses)
    assert len(str(caught.value)) < 300
    table = Table.from_pandas(frame[:1])
    assert condition(toy_sed, table, bandpasses, reddening=0).flux.unit == FLAM


def test_bad_bandpasses_and_seds_are_named(toy_sed, bandpasses, star_photometry):
    with pytest.raises(InputError, match="bandpasses is None"):
        condition(toy_sed, star_photometry, None)
    with pytest.raises(InputError, match="SpectralElement"):
        condition(toy_sed, {"g": (14.0, 0.1)}, {"g": 3}, reddening=0)
    with pytest.raises(InputError, match="does not exist"):
        condition(toy_sed, {"g": (14.0, 0.1)}, {"g": "none.ecsv"}, reddening=0)
    with pytest.raises(InputError, match=r"one specutils\.Spectrum"):
        condition(3.0, star_photometry, bandpasses)


def test_dust_is_not_put_on_twice(draw, bandpasses, star_photometry):
    reddened = draw(1, 0.0).prediction[0].reddened(0.1, reddening_error=0.02)
    with pytest.raises(InputError, match="reddened twice"):
        condition(reddened, star_photometry, bandpasses)
    assert condition(reddened, star_photometry, bandpasses, reddening=0).reddening == 0.0


def test_columns_without_a_unit_are_mag(draw, photometry, bandpasses):
    drawn = draw(3, 0.1)
    measured = photometry(drawn.magnitudes, 0.02)
    plain = condition(drawn.prediction, measured, bandpasses, reddening=(np.full(3, 0.1), 0.02))
    column = condition(drawn.prediction, measured, bandpasses,
                       reddening=(Column(np.full(3, 0.1)), 0.02))
    assert_allclose(column.flux, plain.flux, rtol=1e-12)


def test_later_stars_may_need_more_rows_than_the_first(draw, photometry, bandpasses):
    drawn = draw(40, 0.1)
    drawn.prediction.diagonal[:20] = 0.0
    measured = photometry(drawn.magnitudes, 0.02)
    many = condition(drawn.prediction, measured, bandpasses, workers=2)
    for row in (0, 19, 30, 39):
        one = condition(drawn.prediction[row], {name: (value[row], error[row]) for name,
                                                (value, error) in measured.items()}, bandpasses)
        assert_allclose(many[row].relative_covariance.to_dense(),
                        one.relative_covariance.to_dense(), rtol=0, atol=1e-10)
    assert not many.removed[:16].any()
    assert many.removed[30].any()
