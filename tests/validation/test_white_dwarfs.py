"""The study of white dwarfs: Fisher bound, real stars, colours and the command."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from numpy.testing import assert_allclose

from sedflux.cli.main import main
from sedflux.libraries.library import SpectralLibrary
from sedflux.predict.prediction import SEDPrediction
from sedflux.spectra.grids import sed_grid
from sedflux.spectra.reddening import extinction_curve
from sedflux.training.white_dwarf_spectra import WhiteDwarfSpectra
from sedflux.validation.white_dwarf_stars import (
    color_rows,
    color_scores,
    each_white_dwarf,
    names_with_seds,
    white_dwarf_scores,
)
from sedflux.validation.white_dwarfs import fisher_bound, held_out

WAVELENGTH = np.exp(np.arange(np.log(2400.0), np.log(10700.0), 4e-4))


def spectrum(teff, logg, wavelength=WAVELENGTH):
    strength = np.exp(-((np.log(teff / 13000.0) / 0.8) ** 2))
    flux = (wavelength / 5000.0) ** (-2.0 - 2.0 * np.tanh(np.log(teff / 15000.0)))
    width = 12.0 * 10 ** (0.2 * (logg - 8.0))
    for centre in (4102.9, 4341.7, 4862.7, 6564.6):
        flux = flux * (1.0 - 0.5 * strength / (1.0 + ((wavelength - centre) / width) ** 2))
    return flux


@pytest.fixture(scope="module")
def library():
    labels = [(t, g) for t in np.geomspace(6500.0, 79000.0, 14) for g in (7.0, 7.6, 8.2, 8.8, 9.5)]
    table = Table({"TEFF": [t for t, _ in labels], "LOGG": [g for _, g in labels],
                   "INDEX": np.arange(len(labels))})
    flux = np.array([spectrum(*one) for one in labels], np.float32)
    return SpectralLibrary(WAVELENGTH, flux, table, 20000.0)


def write(path, kind, table, flux, **more):
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(table, name=kind),
            fits.ImageHDU(WAVELENGTH, name="WAVELENGTH"), fits.ImageHDU(flux, name="FLUX")]
    hdus += [fits.ImageHDU(value, name=name) for name, value in more.items()]
    fits.HDUList(hdus).writeto(path)
    return str(path)


def prediction(flux, sigma=0.01):
    """One SED with independent errors and one that all wavelengths share."""
    size = sed_grid().size
    numbers = {name: 1.0 for name in ("snr", "teff", "logg", "second_weight", "excess")}
    return SEDPrediction(sed_grid(), flux, np.full(size, sigma**2), np.full((1, size), sigma),
                         (), diagnostics=numbers | {"teff": 30000.0})


def test_the_bound_falls_with_the_noise(library):
    training, test = held_out(library)
    assert set(training.table["INDEX"]).isdisjoint(test.table["INDEX"])
    spectra = WhiteDwarfSpectra(training)
    noisy, better = (fisher_bound(spectra, test.labels[:3], snr) for snr in (100.0, 200.0))
    assert noisy.shape == (3, sed_grid().size)
    assert_allclose(better[:, :60], noisy[:, :60] / 4.0, rtol=0.05)


def test_colors_are_those_of_the_sed_behind_its_dust():
    """Against a fine sum over a power law, whose slope continues it."""
    part = prediction((sed_grid() / 5000.0) ** -3.0)
    bands = {name: (np.linspace(low, high, 200), np.ones(200)) for name, low, high in
             (("F275W", 2300.0, 3100.0), ("F336W", 3100.0, 3700.0), ("F475W", 4000.0, 5500.0),
              ("F775W", 7000.0, 8500.0))}
    rows = color_rows(part, 0.31, {name: (0.0, 0.003) for name in bands}, bands)

    def magnitude(low, high):
        place = np.linspace(low, high, 4000)
        light = (place / 5000.0) ** -3.0 * np.exp(0.1 * extinction_curve(place))
        return -2.5 * np.log10((light * place).sum() / (1.0 / place).sum())

    expected = magnitude(2300.0, 3100.0) - magnitude(4000.0, 5500.0)
    assert rows[0]["color"] == "F275W-F475W"
    assert_allclose(rows[0]["difference"], expected, atol=0.01)
    # The error that all wavelengths share leaves colours as they are.
    assert rows[1]["sigma"] < 0.003
    # An error of A_V moves a colour by what a change of A_V does to it.
    known, dusty, redder = (
        color_rows(part, av, {name: (0.0, 0.003) for name in bands}, bands, av_error=error)[0]
        for av, error in ((0.31, 0.0), (0.31, 0.02), (0.33, 0.0)))
    assert_allclose(np.sqrt(dusty["sigma"] ** 2 - known["sigma"] ** 2),
                    redder["difference"] - known["difference"], rtol=0.02)
    scores = color_scores(Table(rows))
    assert list(scores["color"]) == ["F275W-F475W", "F336W-F475W", "F475W-F775W"]


def test_stars_are_matched_and_scored(library):
    stars = Table({"NAME": ["GD71", "WDFS1206_27"], "TEFF": [np.nan] * 2})
    flux = np.array([spectrum(30000.0, 8.0)] * 2, np.float32)
    stis = SpectralLibrary(WAVELENGTH, flux, stars, 600.0)
    truth = np.interp(sed_grid(), WAVELENGTH, flux[0])
    truth = truth / truth[(sed_grid() > 4000.0) & (sed_grid() < 7000.0)].mean()
    names = {0: "gd71", 1: "sdssj120650", 2: "sdssj999999"}
    each, arrays = each_white_dwarf({key: prediction(truth) for key in names}, names, stis,
                                    "ground")
    assert list(each["star"]) == ["gd71", "sdssj120650"]
    assert np.abs(each["2550-3000"]).max() < 0.02
    scores = white_dwarf_scores(each, arrays)
    assert set(scores["stars"]) == {2}
    assert scores["error"][0] < 0.03


def test_a_star_of_the_same_minute_is_another_star():
    ground = SimpleNamespace(
        names=["gd71", "sdssj120650", "sdssj111059", "sdssj999999", "sdssj130234"],
        library=SimpleNamespace(table=Table({"TEFF": [9e3, 23400.0, 46300.0, 3e4, np.nan]})))
    from_stis = {name: SimpleNamespace(diagnostics={"teff": np.array(teff)}) for name, teff in
                 {"GD71": 33e3, "WDFS1206_27": 34e3, "WDFS1110_17": 47e3,
                  "WDFS1302_10": 4e4}.items()}
    assert names_with_seds(ground, from_stis) == {0: "gd71", 2: "sdssj111059", 4: "sdssj130234"}


def test_the_command_writes_its_tables(library, tmp_path, capsys):
    grid = write(tmp_path / "grid.fits", "MODELS", library.table, library.flux)
    flux = np.array([spectrum(30000.0, 8.0), spectrum(20000.0, 8.0)], np.float32)
    stis = write(tmp_path / "stis.fits", "STARS", Table(
        {"NAME": ["GD71", "OTHER"], "SPTYPE": ["DA1.5", "G2V"], "TEFF": [np.nan] * 2}), flux)
    magnitudes = {name: [15.0] for band in ("F275W", "F336W", "F475W", "F775W")
                  for name in (band, f"E_{band}")}
    ground = write(tmp_path / "ground.fits", "STARS", Table(
        {"NAME": ["gd71"], "TEFF": [3e4], "AV": [0.1], **magnitudes}), flux[:1],
        ERROR=flux[:1] / 50.0)
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(Table({"A": [1]}))]
    for band, low, high in (("F275W", 2300.0, 3100.0), ("F336W", 3100.0, 3700.0),
                            ("F475W", 4000.0, 5500.0), ("F775W", 7000.0, 8500.0)):
        hdus.append(fits.BinTableHDU(Table({"WAVELENGTH": np.linspace(low, high, 50),
                                            "THROUGHPUT": np.ones(50)}), name=band))
    fits.HDUList(hdus).writeto(tmp_path / "bands.fits")
    code = main(["validate", "--white-dwarfs", grid, stis, ground, str(tmp_path / "bands.fits"),
                 "--realisations", "1", "-o", str(tmp_path / "tables")])
    assert code == 0, capsys.readouterr().err
    tables = {path.stem: Table.read(path, format="ascii.ecsv")
              for path in (tmp_path / "tables").glob("*.ecsv")}
    assert sorted(tables) == ["each_white_dwarf", "white_dwarf_colors", "white_dwarf_stars",
                              "white_dwarfs"]
    assert len(tables["each_white_dwarf"]) == 2
    assert np.isfinite(tables["white_dwarfs"]["ratio"]).all()
