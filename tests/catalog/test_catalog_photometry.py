"""Catalogues with photometry: magnitudes in, the posterior of lines and magnitudes out."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from numpy.testing import assert_allclose

from sedflux import (
    InputError,
    SEDCatalog,
    condition,
    covariance_of,
    photometric_offsets,
    predict_catalog,
    synthetic_photometry,
)
from sedflux.cli.main import main
from sedflux.slitless.throughput import Throughput

BANDS = {name: Throughput(centre + width * np.array([-0.5, -0.499, 0.499, 0.5]),
                          [0.0, 1.0, 1.0, 0.0]).to_synphot()
         for name, centre, width in (("u", 3600, 600), ("g", 4750, 1400), ("r", 6200, 1300),
                                     ("i", 7650, 1500))}
#: g, r and i of five stars: all; all, with dust unknown; none; one, with dust unknown; one.
MAGNITUDES = np.array([[14.60, 14.01, 13.80], [14.62, 14.00, 13.81], [np.nan] * 3,
                       [np.nan, 14.0, np.nan], [np.nan, 14.0, np.nan]])
ERRORS = np.where(np.isfinite(MAGNITUDES), 0.02, np.nan)
DUST = np.array([[0.05, 0.02], [np.nan, np.nan], [0.0, 0.0], [np.nan, np.nan], [0.0, 0.0]])


def columns():
    found = {"reddening": DUST[:, 0], "reddening_error": DUST[:, 1]}
    for index, band in enumerate("gri"):
        found |= {band: MAGNITUDES[:, index], f"{band}_error": ERRORS[:, index]}
    return found


@pytest.fixture(scope="module")
def source(star, tmp_path_factory):
    wavelength, flux = star
    path = tmp_path_factory.mktemp("source") / "stars.npz"
    np.savez(path, wavelength=wavelength, flux=np.stack([flux] * 5),
             ivar=np.full((5, flux.size), 2500.0) / flux**2, **columns())
    return path


@pytest.fixture(scope="module")
def catalog(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("conditioned") / "out"
    predict_catalog(source, path, workers=1, shard_size=3, bands=BANDS, photometry=("g", "r", "i"))
    return SEDCatalog(path)


@pytest.fixture(scope="module")
def alone(star, predictor):
    """The SEDs of two stars, each conditioned by itself."""
    wavelength, flux = star
    sed = predictor.predict(wavelength, flux, 2500.0 / flux**2).to_spectrum()
    return [condition(sed, {band: (MAGNITUDES[row, index], 0.02)
                            for index, band in enumerate("gri")}, BANDS, reddening=known)
            for row, known in ((0, (0.05, 0.02)), (1, None))]


def test_the_posterior_is_that_of_condition(catalog, alone):
    table = catalog.table
    for row, sed in enumerate(alone):
        wanted, found = sed.meta["sedflux"]["photometry"], table[row]
        for name, value in (("posterior_reddening", wanted.reddening), ("chi2", wanted.chi2),
                            ("posterior_reddening_error", wanted.reddening_error),
                            ("p_value", wanted.p_value), ("dof", wanted.dof)):
            # Alone and among others a star has the same SED to single precision alone.
            assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
        for index, band in enumerate("gri"):
            assert_allclose(found[f"pull_{band}"], wanted.pulls[index], rtol=1e-5)
            assert found[f"measured_{band}"] == MAGNITUDES[row, index]
        photometry = synthetic_photometry(sed, BANDS)
        for band, value, sigma in zip(photometry.bands, photometry.value.value,
                                      photometry.sigma.value, strict=True):
            assert_allclose(found[f"mag_{band}"], value, atol=1e-6)
            assert_allclose(found[f"mag_{band}_error"], sigma, rtol=1e-5)
    assert table["posterior_reddening"].unit == u.mag
    assert table["mag_u"].unit == table["measured_g"].unit == u.mag(u.AB)


def test_stars_with_too_few_magnitudes_stay_relative(catalog):
    table = catalog.table
    assert list(np.isfinite(table["posterior_reddening"])) == [True, True, False, False, True]
    assert list(np.isfinite(table["p_value"])) == [True, True, False, False, False]
    units = [sed.flux.unit for sed in catalog.spectra()]
    assert units[2] == units[3] == u.dimensionless_unscaled
    assert units[0] == units[1] == units[4]
    assert units[0].physical_type == "spectral flux density wav"


def test_spectra_are_conditioned_when_they_are_asked_for(catalog, alone):
    for name, wanted in zip("01", alone, strict=True):
        found = catalog[name]
        assert_allclose(found.flux.value, wanted.flux.value, rtol=2e-4)
        # The factor is stored in half precision.
        assert_allclose(covariance_of(found).sigma / wanted.flux.value,
                        covariance_of(wanted).sigma / wanted.flux.value, rtol=5e-3, atol=5e-5)
        assert_allclose(found.meta["sedflux"]["photometry"].reddening,
                        wanted.meta["sedflux"]["photometry"].reddening, atol=1e-4)
        assert found.meta["sedflux"]["flags"] == wanted.meta["sedflux"]["flags"]


def test_selections_and_photometry_know_the_posterior(catalog):
    good = catalog.select(p_value=(1e-9, None), posterior_reddening=(0.0, 1.0))
    assert len(good) == 2
    table = catalog.photometry({"u": BANDS["u"]})
    assert_allclose(table["u"].value, catalog.table["mag_u"], atol=1e-4)
    assert_allclose(table["u_error"].value, catalog.table["mag_u_error"], rtol=1e-2)
    with pytest.raises(InputError, match="conditioned on photometry"):
        catalog.reddened(0.1)


@pytest.fixture(scope="module")
def field(star, tmp_path_factory):
    """Eight stars of one prior of dust, the third without flux, whose g is 0.1 mag too faint."""
    wavelength, flux = star
    rng = np.random.default_rng(3)
    fluxes = np.stack([flux] * 8)
    fluxes[2] = 0.0
    magnitudes = [14.7, 14.01, 13.80] + 0.01 * rng.standard_normal((8, 3))
    folder = tmp_path_factory.mktemp("field")
    np.savez(folder / "stars.npz", wavelength=wavelength, flux=fluxes,
             ivar=np.full(fluxes.shape, 2500.0) / flux**2, reddening=np.full(8, 0.05),
             reddening_error=np.full(8, 0.02),
             **{f"{band}{end}": values for index, band in enumerate("gri")
                for end, values in (("", magnitudes[:, index]), ("_error", np.full(8, 0.01)))})
    predict_catalog(folder / "stars.npz", folder / "out", workers=1, shard_size=4, bands=BANDS,
                    photometry=("g", "r", "i"))
    return SEDCatalog(folder / "out"), magnitudes


def test_offsets_of_a_catalogue_are_those_of_its_stars(field, monkeypatch):
    catalog, magnitudes = field
    monkeypatch.setattr("sedflux.catalog.catalog._CHUNK", 3)
    found = catalog.photometric_offsets()
    good = np.arange(8) != 2
    wanted = photometric_offsets(
        catalog.predictions(slice(None)).take(good),
        {band: (magnitudes[good, index], np.full(7, 0.01)) for index, band in enumerate("gri")},
        BANDS, reddening=(0.05, 0.02))
    for name in ("offset", "error"):
        assert_allclose(found[name].value, wanted[name].value, rtol=1e-6, atol=1e-10)
    assert list(found["stars"]) == [7, 7, 7]
    assert np.isnan(found.meta["weights"][2])
    assert_allclose(found.meta["weights"][good], wanted.meta["weights"], rtol=1e-6)
    assert np.isnan(catalog.photometry({"u": BANDS["u"]})["u"].value[2])


def test_catalogues_without_photometry_have_no_offsets(field, survey, tmp_path):
    catalog, _ = field
    with pytest.raises(InputError, match="width is -1"):
        catalog.photometric_offsets(width=-1.0)
    with pytest.raises(InputError, match="no star of this selection"):
        catalog.select(predicted=False).photometric_offsets()
    predict_catalog(survey, tmp_path / "out", workers=1)
    with pytest.raises(InputError, match="photometry in 0 bands"):
        SEDCatalog(tmp_path / "out").photometric_offsets()


def test_a_copy_stays_conditioned(catalog, tmp_path):
    copy = catalog.select(identifier=["1"]).write(tmp_path / "copy")
    copy.verify()
    assert copy.facts["photometry"] == ["g", "r", "i"]
    assert_allclose(copy["1"].flux.value, catalog["1"].flux.value, rtol=1e-6)
    assert_allclose(copy.table["chi2"], catalog.table["chi2"][1:2])


def test_one_band_and_known_dust_are_a_magnitude(star, source, tmp_path):
    """Numbers of `anchor` and `condition` agree to 1e-10."""
    wavelength, flux = star
    shared = {"wavelength": wavelength, "flux": flux[None], "ivar": 2500.0 / flux[None] ** 2}
    np.savez(tmp_path / "one.npz", **shared, magnitude=[14.0], magnitude_error=[0.02], band=["r"])
    np.savez(tmp_path / "two.npz", **shared, r=[14.0], r_error=[0.02], reddening=[0.0])
    for name, more in (("one", {}), ("two", {"photometry": ["r"]})):
        predict_catalog(tmp_path / f"{name}.npz", tmp_path / name, workers=1, bands=BANDS, **more)
    first, second = (SEDCatalog(tmp_path / name) for name in ("one", "two"))
    for band in BANDS:
        for end in ("", "_error"):
            assert_allclose(second.table[f"mag_{band}{end}"], first.table[f"mag_{band}{end}"],
                            rtol=1e-10)
    assert_allclose(second["0"].flux.value, first["0"].flux.value, rtol=1e-10)
    assert_allclose(covariance_of(second["0"]).sigma, covariance_of(first["0"]).sigma, rtol=1e-10)


def test_a_run_is_resumed_with_the_same_photometry_alone(source, catalog):
    options = {"workers": 1, "shard_size": 3, "bands": BANDS, "photometry": ("g", "r", "i")}
    assert predict_catalog(source, catalog.path, **options)["shards"] == 0
    for change, message in (({"photometry": ("g", "r")}, "another photometry"),
                            ({"photometry": None}, "another photometry"),
                            ({"photometry": {"g": ("r", "r_error"), "r": ("g", "g_error"),
                                             "i": ("i", "i_error")}}, "another source"),
                            ({"bands": {name: BANDS[name] for name in "gri"}}, "another bands")):
        with pytest.raises(InputError, match=message):
            predict_catalog(source, catalog.path, **(options | change))


@pytest.mark.parametrize(("change", "options", "message"), [
    ({}, {"photometry": ("z",), "bands": BANDS}, "in the column 'z'; the source has .*wavelength"),
    ({}, {"photometry": ("g",)}, "band 'g', bands has none"),
    ({}, {"photometry": "g", "bands": BANDS}, "photometry is 'g'; give names of bands"),
    ({}, {"photometry": {"g": "gmag"}, "bands": BANDS}, "columns of its magnitude and error"),
    ({"g": [99.0] * 5, "g_error": [0.1] * 5}, {"photometry": ("g",), "bands": BANDS},
     "magnitude of 'g' is 99 for the star of row 0"),
    ({"g_error": [np.nan] * 5}, {"photometry": ("g",), "bands": BANDS}, "error nan"),
    ({"magnitude": [14.0] * 5, "band": ["g"] * 5}, {"photometry": ("g",), "bands": BANDS},
     "both set the scale"),
    ({"reddening": [0.1, -0.1, 0.0, 0.0, 0.0]}, {}, "star '1' has the reddening -0.1"),
    ({"reddening_error": [np.inf] * 5}, {}, "star '0' has the reddening_error inf"),
])
def test_bad_photometry_is_refused_before_the_work(source, tmp_path, change, options, message):
    with np.load(source) as arrays:
        np.savez(tmp_path / "stars.npz", **(dict(arrays) | change))
    with pytest.raises(InputError, match=message):
        predict_catalog(tmp_path / "stars.npz", tmp_path / "out", workers=1, **options)
    assert not (tmp_path / "out" / "catalog.json").exists()


def test_magnitudes_of_another_system_are_refused(tmp_path):
    table = Table({"path": ["a.fits"], "g": [14.0] * u.STmag, "g_error": [0.1]})
    with pytest.raises(InputError, match=r"column g is no column of numbers in mag .*ST"):
        predict_catalog(table, tmp_path / "out", workers=1, bands=BANDS, photometry=("g",))


def test_a_folder_has_no_magnitudes(survey, tmp_path):
    with pytest.raises(InputError, match="needs columns of magnitudes"):
        predict_catalog(survey, tmp_path / "out", workers=1, bands=BANDS, photometry=("g",))


def test_the_shell_conditions_a_table_of_files(survey, tmp_path, capsys):
    files = sorted(survey.glob("plate0/*.fits"))[:2]
    Table({"path": [str(path) for path in files], "gmag": [14.6, 14.7], "e_gmag": [0.02, 0.02],
           "r": [14.0, 14.1], "r_error": [0.02, 0.02]}).write(tmp_path / "stars.ecsv")
    for name in "gr":
        x = BANDS[name].waveset.value
        Table({"wavelength": x * u.AA, "throughput": BANDS[name](x * u.AA).value}).write(
            tmp_path / f"{name}.ecsv")
    pairs = [f"{name}={tmp_path / name}.ecsv" for name in "gr"]
    assert main(["catalog", str(tmp_path / "stars.ecsv"), str(tmp_path / "out"), "--workers", "1",
                 "--photometry", "g=gmag,e_gmag", "r", "--bandpasses", *pairs]) == 0
    assert np.isfinite(SEDCatalog(tmp_path / "out").table["posterior_reddening"]).all()
    assert main(["catalog", str(tmp_path / "stars.ecsv"), str(tmp_path / "new"),
                 "--photometry", "g=gmag", "--bandpasses", *pairs]) == 2
    assert "--photometry has 'g=gmag'" in capsys.readouterr().err
