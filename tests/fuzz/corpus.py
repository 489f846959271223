"""A good file of every kind that the package reads, and how each is read."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

import sedflux
from sedflux.demo import demo_arrays
from sedflux.io.registry import read_spectrum
from sedflux.io.sed import write_sed
from sedflux.libraries.library import SpectralLibrary, read_library, write_library
from sedflux.network.checkpoint import load_network
from sedflux.predict.models import find_model

from .arrays import base
from .judge import check_prediction, check_sed, numbers_of

__all__ = ["CHECKSUMMED", "KINDS", "good_files", "read"]

#: Kind, file name, and what reads it.
KINDS = {
    "lamost_image": "spec-1.fits", "lamost_table": "spec-2.fits.gz", "calspec": "star_stis.fits",
    "ngsl": "ngsl_star.fits", "miles": "miles_star.fits", "sed": "sed.fits",
    "absolute_sed": "absolute.fits", "throughput": "throughput.fits",
    "throughput_ecsv": "throughput.ecsv", "throughput_csv": "throughput.csv",
    "sensitivity": "axe.fits", "response": "response.fits", "response_ecsv": "response.ecsv",
    "model": "model.safetensors", "library": "library.fits",
}
#: Kinds whose files hold a checksum of their content: damage of it is always told.
CHECKSUMMED = ("response", "response_ecsv")


def _lamost(folder):
    wavelength = 10 ** (3.5682 + 1e-4 * np.arange(3908))
    flux = 1000.0 * np.interp(wavelength, *demo_arrays())
    rows = [flux, (50.0 / flux) ** 2, wavelength, np.zeros(3908), np.zeros(3908)]
    header = fits.Header({"ORIGIN": "NAOC-LAMOST", "COEFF0": 3.5682, "COEFF1": 1e-4, "Z": -2e-4,
                          "CLASS": "STAR", "SUBCLASS": "G5", "DESIG": "LAMOST J0"})
    fits.PrimaryHDU(np.array(rows, dtype=np.float32), header).writeto(
        folder / KINDS["lamost_image"])
    names = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, "3908E", array=row[None])
         for name, row in zip(names, rows, strict=True)], name="COADD")
    fits.HDUList([fits.PrimaryHDU(header=header), table]).writeto(folder / KINDS["lamost_table"])


def _stis(folder):
    wavelength = np.arange(3800.0, 7300.0, 1.5)
    flux = 1e-13 * np.interp(wavelength, *demo_arrays())
    columns = {"WAVELENGTH": wavelength, "FLUX": flux, "STATERROR": 0.01 * flux}
    header = fits.Header({"TARGETID": "STAR", "RADVEL": 5.0})
    table = fits.BinTableHDU(Table(columns))
    fits.HDUList([fits.PrimaryHDU(header=header), table]).writeto(folder / KINDS["ngsl"])
    columns |= {"SYSERROR": 0.01 * flux, "FWHM": np.full(wavelength.size, 2.5)}
    table = fits.BinTableHDU(Table(columns))
    fits.HDUList([fits.PrimaryHDU(header=header), table]).writeto(folder / KINDS["calspec"])


def _miles(folder):
    wavelength = 3541.4 + 0.9 * np.arange(4300)
    header = fits.Header({"CRVAL1": 3541.4, "CDELT1": 0.9, "CRPIX1": 1.0, "OBJECT": "HD 1",
                          "TPLLIB": "MILES"})
    fits.PrimaryHDU(np.interp(wavelength, *demo_arrays())[None].astype(np.float32),
                    header).writeto(folder / KINDS["miles"])


def _throughputs(folder):
    band = sedflux.get_instrument("lookalike").bands["GV"]
    columns = Table({"WAVELENGTH": band.throughput.wavelength * u.AA,
                     "THROUGHPUT": band.throughput.value})
    for kind in ("throughput", "throughput_ecsv", "throughput_csv"):
        columns.write(folder / KINDS[kind])
    response = sedflux.ResponseCurve.from_throughput(band.throughput, area=band.area)
    response.write(folder / KINDS["sensitivity"], format="axe")
    field = sedflux.simulate_field({"GV": band}, size=4, seed=1, model=base()[3])
    # Few knots: the file is small, and YAML's parser takes its time for each letter.
    fitted = sedflux.fit_response(field.counts["GV"], field.seds, band=band, knot_spacing=100.0)
    fitted.write(folder / KINDS["response"])
    fitted.write(folder / KINDS["response_ecsv"])


def _library(folder):
    rng = np.random.default_rng(5)
    names = ("TEFF", "LOGG", "MH", "ALPHA", "CARBON", "VMICRO")
    table = Table(rng.uniform(1.0, 5.0, (6, 6)), names=names)
    table["INDEX"] = np.arange(6)
    wavelength = np.geomspace(3000.0, 9000.0, 200)
    flux = rng.uniform(0.5, 1.5, (6, 200)).astype(np.float32)
    write_library(folder / KINDS["library"],
                  SpectralLibrary(wavelength, flux, table, 5000.0, np.ones_like(flux)))


@cache
def good_files():
    """Content of a good file of every kind: dict of bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for write in (_lamost, _stis, _miles, _throughputs, _library):
            write(folder)
        wavelength, flux, ivar, predictor = base()[:4]
        sed = predictor.predict(wavelength, flux, ivar).to_spectrum()
        write_sed(sed, folder / KINDS["sed"])
        from .options import parts

        write_sed(parts()["absolute"], folder / KINDS["absolute_sed"])
        shutil.copy(find_model(None), folder / KINDS["model"])
        return {kind: (folder / name).read_bytes() for kind, name in KINDS.items()}


def read(kind, path):
    """Read a file of a kind, and use what it holds."""
    if kind in ("sed", "absolute_sed"):
        sed = read_spectrum(path)
        return sed, sedflux.synthetic_photometry(sed, _box(), unit=u.ct, area=100 * u.cm**2)
    if kind in ("throughput", "throughput_ecsv", "throughput_csv", "sensitivity"):
        return sedflux.read_throughput(path, area=31416 * u.cm**2)
    if kind in ("response", "response_ecsv"):
        return sedflux.ResponseCurve.read(path)
    if kind == "model":
        load_network(path)
        wavelength, flux, ivar = base()[:3]
        return sedflux.Predictor(path).predict(wavelength, flux, ivar)
    if kind == "library":
        return read_library(path)
    return sedflux.predict_sed(read_spectrum(path), model=base()[3])


@cache
def _box():
    from synphot import SpectralElement
    from synphot.models import Box1D

    return SpectralElement(Box1D, x_0=5000.0, width=800.0)


def check(kind, result):
    """What was read is finite."""
    if kind in ("sed", "absolute_sed"):
        if "SEDMODEL" not in result[0].meta.get("header", {}):
            return  # the content of another file, which is an ordinary spectrum
        check_sed(result[0])
        numbers_of(result[1].value.value, "counts", positive=True)
        numbers_of(result[1].sigma.value, "sigma of counts", positive=True)
    elif kind in ("throughput", "throughput_ecsv", "throughput_csv", "sensitivity"):
        numbers_of(result.value, "throughput")
        numbers_of(result.wavelength, "wavelength", positive=True)
    elif kind in ("response", "response_ecsv"):
        numbers_of(result.throughput[result.good], "throughput", positive=True)
        numbers_of(result.total_covariance.sigma, "sigma")
    elif kind == "model":
        check_prediction(result)
    elif kind == "library":
        numbers_of(result.wavelength, "wavelength", positive=True)
        numbers_of(result.labels, "labels")
    else:
        check_sed(result)
