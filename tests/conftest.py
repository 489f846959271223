"""Fixtures that many tests share: small, seeded, and offline; and how tests share processors."""

import os

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.table import Table

from sedflux.demo import demo_arrays
from sedflux.libraries.library import SpectralLibrary

#: Fixtures of several files that take seconds to make: tests that use one of them run in one
#: process.
SLOW_FIXTURES = ("toy_models", "responses", "survey")
#: Files of tests that take many seconds together.
SLOW_FILES = ("test_baselines.py", "test_chooser.py", "test_fuzz.py", "test_killing.py",
              "test_processes.py", "test_response_studies.py", "test_simulator.py",
              "test_slitless.py", "test_star_correction.py", "test_training.py",
              "test_white_dwarfs.py")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Compare figures with their baselines wherever pytest-mpl is installed."""
    if hasattr(config.option, "mpl"):
        config.option.mpl = True


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One process for files that are named; as many as pytest-xdist likes for more."""
    return 0 if all(".py" in name for name in config.args) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes():
    """
    Give processes side by side one thread each.

    Libraries read the variable when they are imported, and plugins import NumPy before a process
    reads this file: so the process that starts the others sets it.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Make what the tests of a file share in one process alone, and begin with what is slow."""
    ranks = {}
    for item in items:
        used = [name for name in SLOW_FIXTURES if name in getattr(item, "fixturenames", ())]
        group = used[0] if used else f"{item.path.parent.name}.{item.path.stem}"
        item.add_marker(pytest.mark.xdist_group(group))
        ranks[item] = (not used, item.path.name not in SLOW_FILES)
    if hasattr(config, "workerinput"):
        items.sort(key=ranks.get)


@pytest.fixture
def rng():
    return np.random.default_rng(20240123)


@pytest.fixture(scope="session")
def predictor():
    from sedflux import Predictor

    return Predictor()


@pytest.fixture(scope="session")
def star():
    """Wavelength and flux of the solar twin 16 Cyg B, flux of order one."""
    wavelength, flux = demo_arrays()
    return wavelength, flux / flux.mean()


@pytest.fixture
def spectrum(star):
    """The same star as a Spectrum with S/N 100."""
    from specutils import Spectrum

    wavelength, flux = star
    return Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.Jy / u.Jy,
                    uncertainty=StdDevUncertainty(0.01 * flux))


@pytest.fixture(scope="session")
def sed(predictor):
    """SED of the demo star as predict_sed gives it."""
    from sedflux import predict_sed
    from sedflux.demo import demo_spectrum

    return predict_sed(demo_spectrum("16cygb_miles"), model=predictor)


def toy_flux(wavelength, labels):
    """Black bodies with lines whose strengths depend smoothly on all labels."""
    flux = []
    for teff, logg, mh, alpha, carbon, vmicro in labels:
        planck = wavelength**-5 / np.expm1(1.4388e8 / wavelength / teff)
        depth = np.zeros_like(wavelength)
        for centre in (4102.9, 4341.7, 4862.7, 6564.6):
            strength = 0.6 * np.exp(-(((teff - 9000.0) / 3000.0) ** 2))
            depth += strength / (1.0 + ((wavelength - centre) / (4.0 + logg)) ** 2)
        for index, centre in enumerate(np.linspace(4030.0, 6950.0, 60)):
            strength = 0.3 * np.exp(0.8 * mh - teff / 9000.0 + 0.05 * vmicro)
            strength *= np.exp((0.5 * alpha, 0.5 * carbon, 0.0)[index % 3])
            depth += strength * np.exp(-0.5 * ((wavelength - centre) / 1.5) ** 2)
        jump = np.where(wavelength < 3700.0, -0.1 * (5.5 - logg) * np.exp(-depth.max()), 0.0)
        flux.append(planck * np.exp(jump) * (1.0 - np.clip(depth, 0.0, 0.95)))
    flux = np.array(flux)
    return flux / flux.mean(axis=1, keepdims=True)


@pytest.fixture(scope="session")
def toy_library():
    """A library of 90 toy models in the layout of the synthetic one."""
    rng = np.random.default_rng(5)
    size = 90
    labels = rng.uniform([4500, 1.0, -2.0, 0.0, -0.3, 1.0], [10000, 5.0, 0.5, 0.4, 0.3, 3.0],
                         (size, 6))
    labels[::2, 3:] = (0.0, 0.0, 2.0)
    wavelength = np.exp(np.arange(np.log(2445.0), np.log(10595.0), 1e-4))
    table = Table(labels, names=("TEFF", "LOGG", "MH", "ALPHA", "CARBON", "VMICRO"))
    table["INDEX"] = np.arange(size)
    flux = toy_flux(wavelength, labels).astype(np.float32)
    return SpectralLibrary(wavelength, flux, table, 5000.0, None, "toy")


def write_library(path, table, wavelength, flux, name, **more):
    """A FITS library in the layout that `read_library` takes."""
    from astropy.io import fits

    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(Table(table), name=name),
            fits.ImageHDU(wavelength, name="WAVELENGTH"),
            fits.ImageHDU(np.asarray(flux, dtype=np.float32), name="FLUX")]
    hdus += [fits.BinTableHDU(value, name=key) for key, value in more.items()]
    hdus[0].header["RPOWER"] = 5000
    fits.HDUList(hdus).writeto(path)
    return path


@pytest.fixture(scope="session")
def star_files(tmp_path_factory, toy_library):
    """
    Paths of a toy library and of toy stars: models, MILES, STIS and photometry.

    The stars are toy models whose blue SEDs are 10 % brighter than the library says.
    """
    folder, rng = tmp_path_factory.mktemp("stars"), np.random.default_rng(6)
    rows = np.flatnonzero((toy_library.labels[:, 0] > 4700) & (toy_library.labels[:, 1] > 3.2)
                          & (toy_library.labels[:, 0] < 10000) & (toy_library.labels[:, 1] < 4.95))
    labels, wave = toy_library.labels[rows], toy_library.wavelength
    flux = toy_library.flux[rows] * (1.0 + 0.1 / (1.0 + np.exp((wave - 4000.0) / 100.0)))
    names = [f"TOY{index}" for index in range(len(rows))]
    stars = {"NAME": names, "SPTYPE": ["F"] * len(rows), "TEFF": labels[:, 0],
             "LOGG": labels[:, 1], "FEH": labels[:, 2]}
    grid = np.arange(3541.0, 7411.0, 0.9)
    noise = 1.0 + 0.003 * rng.standard_normal((len(rows), grid.size))
    miles = write_library(folder / "miles.fits", stars, grid,
                          np.stack([np.interp(grid, wave, row) for row in flux]) * noise, "STARS")
    coarse = np.geomspace(2460.0, 10590.0, 4000)
    kinds = ["F5V"] * (len(rows) - 4) + ["DA2", "sdO", "M3V", "G2V"]
    partner = [*names[:-4], "", "", "", ""]
    stis = write_library(
        folder / "stis.fits",
        {"NAME": names, "HD": ["--"] * len(rows), "SOURCE": ["CALSPEC"] * len(rows),
         "SPTYPE": kinds, "TEFF": np.full(len(rows), np.nan), "LOGG": np.full(len(rows), np.nan),
         "FEH": np.full(len(rows), np.nan), "MILES": partner, "QUALITY": ["--"] * len(rows)},
        coarse, np.stack([np.interp(coarse, wave, row) for row in flux]), "STARS")
    edges = {"BLUE": (3400.0, 4400.0), "SDSS_R": (5600.0, 6900.0), "RED": (8000.0, 9500.0)}
    bands = {name: Table({"WAVELENGTH": np.linspace(low, high, 30), "THROUGHPUT": np.ones(30)})
             for name, (low, high) in edges.items()}
    magnitudes = {}
    for name, (low, high) in edges.items():
        inside = (wave > low) & (wave < high)
        step = wave[inside] * np.gradient(np.log(wave[inside])) * wave[inside]
        magnitudes[name] = -2.5 * np.log10((flux[:, inside] * step).sum(axis=1)
                                           / (step / wave[inside] ** 2).sum())
    photometry = folder / "photometry.fits"
    from astropy.io import fits

    table = Table({"NAME": names, "TEFF": labels[:, 0], "LOGG": labels[:, 1],
                   "FEH": labels[:, 2], "EBV": np.zeros(len(rows)), **magnitudes})
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name="STARS"),
                  *(fits.BinTableHDU(value, name=name) for name, value in bands.items())]
                 ).writeto(photometry)
    models = write_library(folder / "library.fits", toy_library.table, wave, toy_library.flux,
                           "MODELS")
    johnson = write_johnson(folder / "johnson.fits", names, np.random.default_rng(7)
                            .normal([0.2, 0.6, 0.3], 0.02, (len(rows), 3)))
    return {"library": models, "miles": miles, "stis": stis, "photometry": photometry,
            "johnson": johnson}


def write_johnson(path, names, colors):
    """Johnson colours of quiet, near stars in the layout of the catalogue's file."""
    from astropy.io import fits

    size = len(names)
    texts = {"R_I_SYS": "J", "VARID": "--", "OTYPE": "PM*"}
    numbers = {"PLX": 50.0, "EBV_EST": 0.03, "DMAG": 9.0, "SEP": 60.0}
    table = Table({"NAME": names, **dict(zip(("U_B", "B_V", "R_I"), colors.T, strict=True)),
                   **{name: [value] * size for name, value in texts.items()},
                   **{name: np.full(size, value) for name, value in numbers.items()}})
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(table, name="STARS")]
    hdus[0].header["UBZERO"], hdus[0].header["UBSLOPE"] = 0.4, 0.01
    edges = {"U": (3100, 4100), "B": (3700, 5500), "V": (4900, 6900), "R": (5500, 9400),
             "I": (7000, 11500)}
    for band, (low, high) in edges.items():
        passed = Table({"WAVELENGTH": [low, 0.5 * (low + high), high],
                        "THROUGHPUT": [0.0, 1.0, 0.0]})
        hdus.append(fits.BinTableHDU(passed, name=f"JOHNSON_{band}"))
    fits.HDUList(hdus).writeto(path)
    return path


@pytest.fixture(scope="session")
def johnson_writer():
    """Writes a file of Johnson colours: path, names, colours (N, 3)."""
    return write_johnson


@pytest.fixture(scope="session")
def toy_models(star_files, tmp_path_factory):
    """
    Paths of a pretrained and a fine-tuned toy model, trained by the commands in a few steps.

    The emulator's kernels are written first, so that none are fitted.
    """
    import json

    from sedflux.cli.main import main
    from sedflux.emulator.gaussian_process import Kernel
    from sedflux.emulator.principal import kernels_to_lists

    folder, files = tmp_path_factory.mktemp("train"), {k: str(v) for k, v in star_files.items()}
    (folder / "one").mkdir()
    (folder / "one" / "kernels.json").write_text(json.dumps(kernels_to_lists([Kernel.initial()])))
    common = ["--steps", "4", "--workers", "0"]
    assert main(["train", "pretrain", files["library"], "--output", str(folder / "one"),
                 "--name", "uara.one", *common]) == 0
    first = folder / "one" / "uara.one.safetensors"
    assert main(["train", "finetune", files["library"], files["miles"], files["stis"],
                 files["photometry"], "--start", str(first), "--output", str(folder / "two"),
                 "--name", "uara.two", "--leave-out", "1", "--johnson", files["johnson"],
                 "--effects", "--claim", "4800", "9800", *common]) == 0
    return first, folder / "two" / "uara.two.safetensors"


#: Pixels of DESI spectra in Angstrom, and for each arm: start, number of pixels, sigma of a line.
_STEP = 0.8
_ARMS = {"B": (3600.0, 2751, 1.1), "R": (5760.0, 2326, 0.9), "Z": (7520.0, 2881, 0.8)}


@pytest.fixture(scope="session")
def write_sdss():
    """A function that writes a spectrum in the layout of SDSS."""
    return _write_sdss


@pytest.fixture(scope="session")
def write_desi():
    """A function that writes a DESI coadd of three spectra, and its redshifts."""
    return _write_desi


def _write_sdss(path, spectrum, *, velocity=90.0, kind="STAR"):
    log_wavelength = 3.58 + 1e-4 * np.arange(3800)
    flux = spectrum(10**log_wavelength)
    ivar = np.full(flux.size, 25.0)
    ivar[100] = 0.0
    columns = [fits.Column(name, "E", array=values) for name, values in (
        ("flux", flux), ("loglam", log_wavelength), ("ivar", ivar),
        ("wdisp", np.full(flux.size, 1.0)))]
    header = fits.Header([("TELESCOP", "SDSS 2.5-M"), ("PLATEID", 4055), ("MJD", 55359),
                          ("FIBERID", 7), ("PLUG_RA", 240.5), ("PLUG_DEC", 30.25)])
    about = [fits.Column("CLASS", "6A", array=[kind]),
             fits.Column("Z", "E", array=[velocity / 299792.458])]
    fits.HDUList([fits.PrimaryHDU(header=header),
                  fits.BinTableHDU.from_columns(columns, name="COADD"),
                  fits.BinTableHDU.from_columns(about, name="SPECOBJ")]).writeto(path)
    return path


def _write_desi(path, spectrum, *, redrock=True):
    """Three targets, the second on the sky; the arms overlap, and the third misses B pixels."""
    targets = np.array([39627700000000001, 39627700000000002, 39627700000000003])
    fibers = [fits.Column("TARGETID", "K", array=targets),
              fits.Column("OBJTYPE", "3A", array=["TGT", "SKY", "TGT"]),
              fits.Column("TARGET_RA", "D", array=[10.0, 11.0, 12.0]),
              fits.Column("TARGET_DEC", "D", array=[-1.0, -2.0, -3.0])]
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(fibers, name="FIBERMAP")]
    for level, (name, (start, size, sigma)) in enumerate(_ARMS.items()):
        wavelength = start + _STEP * np.arange(size)
        flux = np.tile(spectrum(wavelength) + 0.1 * level, (3, 1)).astype(np.float32)
        ivar = np.full((3, size), 4.0 * (level + 1), dtype=np.float32)
        mask = np.zeros((3, size), dtype=np.int32)
        if name == "B":
            mask[2, :50] = 1
        offset = np.arange(-5, 6)[:, None]
        profile = np.exp(-0.5 * (offset / (sigma / _STEP)) ** 2)
        resolution = np.broadcast_to(profile / profile.sum(), (3, 11, size)).astype(np.float32)
        hdus += [fits.ImageHDU(wavelength, name=f"{name}_WAVELENGTH"),
                 fits.ImageHDU(flux, name=f"{name}_FLUX"),
                 fits.ImageHDU(ivar, name=f"{name}_IVAR"),
                 fits.CompImageHDU(mask, name=f"{name}_MASK"),
                 fits.ImageHDU(resolution, name=f"{name}_RESOLUTION")]
    fits.HDUList(hdus).writeto(path)
    if redrock:
        found = [fits.Column("TARGETID", "K", array=targets[::-1]),
                 fits.Column("SPECTYPE", "6A", array=["STAR", "STAR", "GALAXY"]),
                 fits.Column("Z", "D", array=[2e-4, 0.0, 0.3])]
        fits.HDUList([fits.PrimaryHDU(),
                      fits.BinTableHDU.from_columns(found, name="REDSHIFTS")]).writeto(
            path.with_name(path.name.replace("coadd-", "redrock-")))
    return path
