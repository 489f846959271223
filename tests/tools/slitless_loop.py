"""
A loop through slitlessutils: simulate an image, extract, fit, write a sensitivity, extract again.

``python tests/tools/slitless_loop.py FOLDER GRISM`` prints what the loop finds as JSON.  GRISM is
the folder ``IR`` of the repository npirzkal/GRISM_WFC3, with trace, dispersion and sensitivity of
the WFC3 grism G102.  It is a program of its own: slitlessutils reads its reference files from the
home folder when it is imported.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import yaml
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.table import Table
from astropy.wcs import WCS

__all__ = ["run"]

#: Collecting area of HST in cm2.
_AREA = 45238.93
_SIZE, _SCALE, _CENTRE = 1014, 0.128, (42.0, 42.0)
#: Range and step of the extracted spectra in Angstrom, and the range that is compared.
_RANGE, _STEP, _COMPARED = (7700.0, 11700.0), 24.5, (8300.0, 11000.0)
#: Standard deviation of the stars' images, and radius of their segments, in pixels.
_PSF, _RADIUS = 1.0, 4
_ZERO_POINT = 26.27
_FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
_SENSITIVITY = "WFC3.IR.G102.1st.sens.2.fits"
_UNIT = u.Unit("erg / (s cm2 Angstrom)")


def _reference_files(home, grism):
    """Reference files of slitlessutils, with the first order alone."""
    root = home / ".slitlessutils" / "1.0.0"
    instrument = root / "instruments" / "wfc3ir"
    instrument.mkdir(parents=True)
    (root / "bandpasses").mkdir()
    (root / "version.json").write_text(json.dumps({"version": "1.0.0", "date": "2026-01-01"}))
    (root / "defaults.json").write_text(json.dumps({
        name: {"value": value, "keyword": keyword, "comment": name}
        for name, value, keyword in (("fluxscale", 1e-17, "FLUXSCL"),
                                     ("fluxunits", "erg/(s*cm**2*Angstrom)", "FLUXUNI"),
                                     ("compression", "gzip", "COMPRESS"),
                                     ("compression_opts", 4, "COMPOPT"))}))
    # The first order is the first block of the file.
    lines = (grism / "G102.conf").read_text().splitlines()
    beams = [row for row, line in enumerate(lines) if line.startswith("BEAM_")]
    (instrument / "G102.conf").write_text("\n".join(lines[:beams[1]]) + "\n")
    wavelength = np.arange(9000.0, 12001.0, 10.0)
    passed = 0.5 / (1.0 + np.exp((np.abs(wavelength - 10500.0) - 1300.0) / 30.0))
    fits.BinTableHDU(Table({"wavelength": wavelength * u.AA, "transmission": passed}),
                     header=fits.Header({"ZEROPT": _ZERO_POINT})).writeto(
                         root / "bandpasses" / "hst_wfc3_f105w.fits")
    grid = {"disptype": "grism", "units": "angstrom"}
    # Entries are read by their position.
    (root / "instruments" / "hst_wfc3ir.yaml").write_text(yaml.safe_dump({
        "telescope": "HST", "instrument": "WFC3IR", "bunit": "ELECTRONS/S", "suffix": "flt",
        "path": "wfc3ir", "siaf": {"v2": 0.0, "v3": 0.0, "v3y": 0.0},
        "dispersers": {"G102": {None: {
            "extraction": grid | {"wave0": _RANGE[0], "wave1": _RANGE[1], "dwave": _STEP},
            "tabulation": grid | {"wave0": 7000.0, "wave1": 12400.0, "dwave": 10.0}}}},
        "detectors": {"IR": {
            "naxis": [_SIZE, _SIZE], "crpix": [_SIZE / 2, _SIZE / 2], "scale": [_SCALE, _SCALE],
            "noise": {"dark": 0.0, "read": 0.0}, "bitmask": None,
            "extensions": {name: {"extname": card, "extver": 1, "dtype": dtype}
                           for name, card, dtype in (("science", "SCI", "np.float64"),
                                                     ("uncertainty", "ERR", "np.float64"),
                                                     ("dataquality", "DQ", "np.int16"))},
            "siaf": {"v2": 0.0, "v3": 0.0, "v3y": 0.0},
            "blockers": {None: {"sip": None, "config": {"G102": "G102.conf"}}}}}},
        sort_keys=False))
    return instrument / _SENSITIVITY


def _shapes(number, rng):
    """Wavelengths, and fluxes of stars relative to each other, (number, n)."""
    wavelength = np.arange(6800.0, 12600.0, 5.0)
    shapes = []
    for temperature in rng.uniform(4800.0, 9500.0, number):
        flux = (wavelength / 1e4) ** -5 / np.expm1(1.4388e8 / (temperature * wavelength))
        for line in (8544.4, 8664.5, 9548.6, 10052.1, 10941.1):
            flux = flux * (1.0 - rng.uniform(0.02, 0.15) * np.exp(
                -0.5 * ((wavelength - line) / 20.0) ** 2))
        shapes.append(flux / flux.mean())
    return wavelength, np.array(shapes)


def _scene(number, rng):
    """Direct image, segments, and spectra of stars on a grid; the width of their images."""
    image, segment = np.zeros((_SIZE, _SIZE)), np.zeros((_SIZE, _SIZE), dtype=int)
    y, x = np.mgrid[:_SIZE, :_SIZE]
    widths = []
    for star in range(number):
        # The first orders of three columns of stars do not overlap.
        middle = (100.0 + 290.0 * (star % 3) + rng.uniform(-0.5, 0.5),
                  60.0 + 90.0 * (star // 3) + rng.uniform(-0.5, 0.5))
        square = (x - middle[0]) ** 2 + (y - middle[1]) ** 2
        here = square < _RADIUS**2
        light = np.where(here, np.exp(-0.5 * square / _PSF**2), 0.0)
        image += light / light.sum() * 10.0 ** (-0.4 * (rng.uniform(17.0, 18.5) - _ZERO_POINT))
        segment[here] = star + 1
        widths.append((light * (x - middle[0]) ** 2).sum() / light.sum())
    wcs = WCS(naxis=2)
    wcs.wcs.crpix, wcs.wcs.crval = [_SIZE / 2, _SIZE / 2], _CENTRE
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cd = [[-_SCALE / 3600.0, 0.0], [0.0, _SCALE / 3600.0]]
    header = wcs.to_header()
    header.update({"TELESCOP": "HST", "INSTRUME": "WFC3", "FILTER": "F105W", "ZERO": _ZERO_POINT})
    fits.writeto("seg.fits", segment, header=header)
    fits.writeto("sci.fits", image, header=header)
    wavelength, shapes = _shapes(number, rng)
    tables = [fits.BinTableHDU(Table({"wavelength": wavelength * u.AA, "flux": 1e-16 * shape}),
                               header=fits.Header({"EXTNAME": str(row + 1), "EXTVER": 0}))
              for row, shape in enumerate(shapes)]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto("seds.fits")
    # Pixels of both images add their widths to that of the stars.
    return np.sqrt(np.mean(widths) + 1.0 / 12.0)


def _simulated(su):
    """Write the grism image; wavelengths and fluxes of the stars, as they are scaled in it."""
    import pandas as pd

    table = pd.DataFrame({
        "telescope": ["HST"], "instrument": ["WFC3IR"], "ra": [_CENTRE[0]], "dec": [_CENTRE[1]],
        "orientat": [0.0], "disperser": ["G102"], "blocking": [""], "exptime": [1000.0],
        "background": [0.0]}, index=["field"])
    data = su.wfss.WFSSCollection.from_dataframe(table)
    sources = su.sources.SourceCollection("seg.fits", "sci.fits", local_back=False,
                                          sedfile="seds.fits")
    su.modules.Tabulate(ncpu=1)(data, sources)
    su.modules.Simulate(ncpu=1, addnoise=False, gzip=False)(data, sources)
    return {str(name): (np.array(source[0].sed.lamb, float), np.array(source[0].sed.flam, float))
            for name, source in sources.items()}


def _extracted(su, name):
    """Extract with the sensitivity file that is in place; path of the spectra."""
    data = su.wfss.WFSSCollection.from_list(["field_flt.fits"])
    sources = su.sources.SourceCollection("seg.fits", "sci.fits", local_back=False)
    su.modules.Single("+1", mskorders=None, root=name, ncpu=1, writecsv=False)(
        data, sources)
    return f"{name}_x1d.fits"


def _fluxes(path, truths):
    """Mean extracted flux over the true one, of every star."""
    found = []
    with fits.open(path) as hdus:
        for name, (wavelength, flux) in truths.items():
            table = hdus[name].data
            inside = ((table["lamb"] > _COMPARED[0]) & (table["lamb"] < _COMPARED[1])
                      & np.isfinite(table["flam"]))
            true = np.interp(table["lamb"][inside], wavelength, flux)
            found.append(1e-17 * table["flam"][inside].sum() / true.sum() - 1.0)
    return np.array(found)


def _seds(truths):
    """SEDs of the stars with errors of one percent."""
    from specutils import Spectrum

    from sedflux import LowRankCovariance

    found = {}
    for name, (wavelength, flux) in truths.items():
        errors = LowRankCovariance(np.full(flux.size, 1e-8), np.full((1, flux.size), 0.01))
        covariance = errors.scaled(flux)
        found[name] = Spectrum(
            spectral_axis=wavelength * u.AA, flux=flux * _UNIT,
            uncertainty=StdDevUncertainty(covariance.sigma * _UNIT),
            meta={"sedflux": {"covariance": covariance}})
    return found


def _fitted(path, truths, width):
    """Response of the counts of a file."""
    from sedflux import LineSpread, SlitlessBand, fit_response
    from sedflux.io.slitless import read_counts

    counts, seds = read_counts(path, layout="slitlessutils"), _seds(truths)
    names = sorted(seds, key=int)
    spread = LineSpread.from_fwhm(_FWHM_PER_SIGMA * width * _STEP)
    number = int((_RANGE[1] - _RANGE[0]) / _STEP)
    band = SlitlessBand("G102", _AREA * u.cm**2, (_RANGE[0], 11600.0), spread,
                        (_RANGE[0], _STEP), number)
    # Columns fall anywhere into the bins of the wavelengths.
    return fit_response([counts[name] for name in names], [seds[name] for name in names],
                        band=band, names=names, wavelength_error=0.3 * u.pix)


def _mend(indices):
    """What numpy 2 has under other names, and pixels by their source: inverses were flat."""
    vars(np)["string_"] = np.bytes_
    flat = indices.reverse

    def reverse(ints, ignore=()):
        found = flat(np.ravel(ints), ignore=ignore)
        return {key: np.unravel_index(rows, np.shape(ints)) for key, (rows,) in found.items()}

    indices.reverse = reverse


def run(folder, grism, number=30, seed=1):
    """
    The whole loop, in an empty folder.

    Returns
    -------
    found : dict
        ``response``: mean and largest difference of response and sensitivity (relative); ``own``
        and ``ours``: mean and scatter of star fluxes over the true ones, minus one, by the
        sensitivity of the instrument and by that which the fit wrote.
    """
    folder, grism = Path(folder).resolve(), Path(grism).resolve()
    place = _reference_files(folder / "home", grism)
    os.environ["HOME"] = str(folder / "home")
    os.chdir(folder)
    import slitlessutils as su
    from slitlessutils.core.utilities import indices

    from sedflux.slitless.throughput import Throughput
    from sedflux.units import photons_per_flux

    _mend(indices)
    width = _scene(number, np.random.default_rng(seed))
    published = Table.read(grism / _SENSITIVITY, 1)
    wavelength, sensitivity = (np.array(published[name], float)
                               for name in ("WAVELENGTH", "SENSITIVITY"))
    place.write_bytes((grism / _SENSITIVITY).read_bytes())
    truths = _simulated(su)
    own = _fluxes(_extracted(su, "own"), truths)
    # With this sensitivity a flux of 1e-17 is an electron/s/Angstrom.
    flat = Table({"WAVELENGTH": wavelength * u.AA, "SENSITIVITY": np.full(wavelength.size, 1e17)})
    flat.write(place, overwrite=True)
    response = _fitted(_extracted(su, "flat"), truths, width)
    known = Throughput(wavelength, sensitivity / (_AREA * photons_per_flux(wavelength)))
    response.write(place, format="axe", published=known, overwrite=True)
    ours = _fluxes(_extracted(su, "ours"), truths)
    inside = (response.good & (response.wavelength > _COMPARED[0])
              & (response.wavelength < _COMPARED[1]))
    ratio = response.throughput[inside] / known(response.wavelength[inside]) - 1.0
    return {"response": [float(ratio.mean()), float(np.abs(ratio).max())],
            "own": [float(own.mean()), float(own.std())],
            "ours": [float(ours.mean()), float(ours.std())]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(*sys.argv[1:3])) + "\n")
