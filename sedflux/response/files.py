"""
Response files.

``fits`` and ``ecsv`` hold everything that `ResponseCurve.evaluate` needs, with covariances and
checksums.  ``axe`` (WAVELENGTH, SENSITIVITY, ERROR) is the format of slitless extraction packages,
and ``synphot`` (WAVELENGTH, THROUGHPUT) that of synphot and stsynphot.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from astropy import units as u
from astropy.io import fits
from astropy.io.registry import IORegistryError
from astropy.table import Table

from sedflux._version import __version__
from sedflux.covariance import LowRankCovariance
from sedflux.exceptions import InputError
from sedflux.io.checked_fits import (
    LAYOUT,
    check_hdus,
    describe_columns,
    open_checked,
    write_checked,
)
from sedflux.io.reading import FITS_ERRORS
from sedflux.response.curve import FILE_FORMATS, ResponseCurve
from sedflux.response.field_terms import FieldTerms
from sedflux.slitless.throughput import as_throughput
from sedflux.units import photons_per_flux
from sedflux.writing import write_whole

__all__ = ["READ_ERRORS", "register_formats", "response_hdus", "response_of_hdus"]

#: Version of the layout of ``fits`` and ``ecsv`` files.
_VERSION = "sedflux-response-1"
#: Descriptions of the columns of the curve.
_COLUMNS = {
    "WAVELENGTH": ("wavelength in vacuum", "em.wl"),
    "THROUGHPUT": ("electrons per photon that falls on the collecting area", "phys.transmission"),
    "ERROR": ("standard deviation of THROUGHPUT, statistical", "stat.error"),
    "TOTAL_ERROR": ("standard deviation with systematic errors", "stat.error"),
    "GOOD": ("true where enough stars and photons constrain the curve", "meta.code.qual"),
    "STARS": ("effective number of stars", "meta.number"),
}
#: Descriptions of the columns of the stars.
_STAR_COLUMNS = {
    "name": ("name of the star", "meta.id;meta.main"),
    "used": ("whether the star has weight in the fit", "meta.code"),
    "kind": ("kind of the reason why it has none or little", "meta.code"),
    "reason": ("why it has none or little weight", "meta.note"),
    "weight": ("weight of the errors of its SED, about 1 if it fits", "stat.weight"),
    "pixels": ("number of pixels with weight", "meta.number;instr.pixel"),
    "chi2": ("chi-square of the pixels", "stat.fit.chi2"),
    "sed_chi2": ("chi-square along the directions of the SED's errors", "stat.fit.chi2"),
    "sed_number": ("number of these directions: what sed_chi2 should be", "meta.number"),
    "largest": ("largest deviation along one direction, in sigma", "stat.value"),
    "offset": ("median of counts over expected counts, minus one", "stat.fit.residual"),
}
#: Descriptions of the columns of a sensitivity.
_SENSITIVITY_COLUMNS = {
    "WAVELENGTH": ("wavelength in vacuum", "em.wl"),
    "SENSITIVITY": ("electron/s for 1 erg/s/cm2/Angstrom", "arith.factor"),
    "ERROR": ("standard deviation of SENSITIVITY", "stat.error"),
    "MEASURED": ("false where the published curve goes on", "meta.code"),
}
#: Unit of a sensitivity, electron/s per erg/s/cm2/Angstrom: FITS knows no electrons, but counts.
_SENSITIVITY = "ct cm2 Angstrom erg-1"
_FIELD_KEYS = ("position", "detectors", "epoch", "size", "epochs", "epoch_knots", "degree",
               "scatter")
#: Start of the names of extensions with systematics.
_SYSTEMATIC = "SYSTEMATIC "
#: Errors that readers raise on a damaged file.
READ_ERRORS = (*FITS_ERRORS, LookupError, IORegistryError, yaml.YAMLError)


def _curve_table(response):
    """One row per wavelength."""
    table = Table({"WAVELENGTH": response.wavelength * u.AA, "THROUGHPUT": response.throughput,
                   "ERROR": response.sigma,
                   "TOTAL_ERROR": response.throughput * response.total_covariance.sigma,
                   "GOOD": response.good})
    if response.effective_stars is not None:
        table["STARS"] = response.effective_stars
    return table


def _header(response):
    """Numbers and field terms, which are not in columns."""
    return {"format": _VERSION, "area_cm2": response.area.to_value(u.cm**2),
            "chi2": float(response.chi2), "dof": int(response.degrees_of_freedom),
            "smoothness": float(response.smoothness),
            "grey_error": float(response.grey_error),
            "wavelength_error": float(response.wavelength_error),
            "field": {name: asdict(response.field)[name] for name in _FIELD_KEYS}}


def _arrays(response):
    """Arrays by name: covariances and coefficients."""
    found = {"COVARIANCE": response.covariance.factor}
    found |= {_SYSTEMATIC + name: shared.factor for name, shared in response.systematics.items()}
    if response.knots is not None:
        found |= {"KNOTS": response.knots, "COEFFICIENTS": response.coefficients,
                  "ROOT": response.root}
    return {name: np.asarray(value, dtype=float) for name, value in found.items()}


def response_hdus(response: ResponseCurve) -> list[Any]:
    """
    A response as FITS extensions, the primary one first.

    Parameters
    ----------
    response : `~sedflux.ResponseCurve`

    Returns
    -------
    hdus : list of HDU
    """
    table = fits.BinTableHDU(_curve_table(response), name="RESPONSE")
    primary = fits.PrimaryHDU()
    primary.header["AREA"] = (response.area.to_value(u.cm**2), "[cm2] collecting area")
    header = fits.BinTableHDU(Table({"JSON": [json.dumps(_header(response))]}), name="HEADER")
    describe_columns(table, _COLUMNS)
    describe_columns(header, {"JSON": ("numbers and field terms of the response", "meta.note")})
    # FITS has no arrays without values: a factor without rows has no extension.
    images = [fits.ImageHDU(value, name=name) for name, value in _arrays(response).items()
              if value.size]
    for hdu in images:
        if hdu.name == "COVARIANCE" or hdu.name.startswith(_SYSTEMATIC):
            hdu.header["COVOF"] = ("ln(throughput)", "what the covariance is of")
            hdu.header["COVFORM"] = ("FACTOR^T FACTOR", "how it is rebuilt from this array")
    stars = []
    if response.stars is not None and len(response.stars):
        stars = [fits.BinTableHDU(response.stars, name="STARS")]
        describe_columns(stars[0], _STAR_COLUMNS)
    return [primary, table, header, *stars, *images]


def _write_fits(response, path):
    write_checked(path, response_hdus(response), layout=_VERSION, overwrite=True)


def _write_ecsv(response, path):
    table, header, arrays = _curve_table(response), _header(response), _arrays(response)
    table.meta = {"sedflux": header | {
        "sha256": _digest(header, table, arrays),
        # One text: YAML takes seconds over as many numbers.
        "arrays": json.dumps({name: value.tolist() for name, value in arrays.items()})}}
    table.write(path, format="ascii.ecsv")


def _digest(header, table, arrays):
    """SHA-256 of the content of a response file."""
    content = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(table.colnames):
        content.update(name.encode() + np.asarray(table[name], dtype="<f8").tobytes())
    for name in sorted(arrays):
        content.update(name.encode() + np.asarray(arrays[name], dtype="<f8").tobytes())
    return content.hexdigest()


def _good_rows(response):
    """Rows from the first to the last good one."""
    if not response.good.any():
        raise InputError("the response is good nowhere; there is nothing to write: use format "
                         "'fits' or 'ecsv' to keep it as it is")
    rows = np.flatnonzero(response.good)
    return slice(rows[0], rows[-1] + 1)


def _write_axe(response, path, published=None):
    """Sensitivity in electron/s per erg/s/cm2/Angstrom, with its total error."""
    rows = _good_rows(response)
    wavelength, measured = response.wavelength[rows], response.good[rows]
    value = np.where(measured, response.throughput[rows], 0.0)
    error = value * response.total_covariance.sigma[rows]
    if published is not None:
        wavelength, value, error, measured = _spliced(
            as_throughput(published, area=response.area), wavelength, value, error, measured)
    scale = response.area.to_value(u.cm**2) * photons_per_flux(wavelength)
    columns = [fits.Column("WAVELENGTH", "E", array=wavelength, unit="Angstrom"),
               fits.Column("SENSITIVITY", "E", array=scale * value, unit=_SENSITIVITY),
               fits.Column("ERROR", "E", array=scale * error, unit=_SENSITIVITY)]
    if published is not None:
        columns.append(fits.Column("MEASURED", "L", array=measured))
    hdu = fits.BinTableHDU.from_columns(columns)
    describe_columns(hdu, {
        name: about for name, about in _SENSITIVITY_COLUMNS.items()
        if name in hdu.columns.names})
    hdu.header["CREATOR"] = (f"sedflux {__version__}", "what wrote this file")
    hdu.header["SPLICED"] = (published is not None, "a published curve follows beyond MEASURED")
    hdu.header["AREA"] = (response.area.to_value(u.cm**2), "[cm2] collecting area")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, checksum=True)


def _spliced(known, wavelength, value, error, measured):
    """A measured curve with a published one beyond its ends, which is scaled to meet it there."""
    parts = [(wavelength, value, error, measured)]
    for side, end in ((known.wavelength < wavelength[0], 0),
                      (known.wavelength > wavelength[-1], -1)):
        level = float(known(wavelength[end]))
        if not side.any() or not level > 0:
            continue
        ratio = value[end] / level
        # The published shape has no error here that could be known: its change of scale is one.
        relative = np.hypot(error[end] / value[end], ratio - 1.0)
        beyond = ratio * known.value[side]
        parts.insert(0 if end == 0 else len(parts),
                     (known.wavelength[side], beyond, relative * beyond,
                      np.zeros(side.sum(), dtype=bool)))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _write_synphot(response, path):
    """Throughput in the format of synphot's files, zero at both ends."""
    rows = _good_rows(response)
    wavelength, value = response.wavelength[rows], response.throughput[rows]
    value = np.where(response.good[rows], value, 0.0)
    step = np.diff(wavelength)[[0, -1]]
    wavelength = np.r_[wavelength[0] - 1e-3 * step[0], wavelength, wavelength[-1] + 1e-3 * step[1]]
    columns = [fits.Column("WAVELENGTH", "D", array=wavelength, unit="ANGSTROMS"),
               fits.Column("THROUGHPUT", "D", array=np.r_[0.0, value, 0.0])]
    hdu = fits.BinTableHDU.from_columns(columns)
    describe_columns(hdu, _COLUMNS)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, checksum=True)


def _read(path: str, read: Callable[[Path], tuple[Any, ...]]) -> ResponseCurve:
    """Read a response from a file; any error of the reader becomes one that names the file."""
    place = Path(path)
    if not place.is_file():
        raise InputError(f"response file {path!r} does not exist")
    try:
        return _response(*read(place))
    except READ_ERRORS as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{place.name} is no response of sedflux, or damaged ({reason}); write it again with "
            "ResponseCurve.write, and read files for aXe and synphot with "
            "ResponseCurve.from_throughput") from error


def _read_fits(path):
    with open_checked(path) as hdus:
        if hdus[0].header.get(LAYOUT) != _VERSION:
            raise ValueError(f"its format is {hdus[0].header.get(LAYOUT)!r}")
        check_hdus(hdus)
        return _content({hdu.name: hdu for hdu in hdus})


def _content(named):
    """Header, tables and arrays of a response from its extensions by name."""
    table = Table.read(named["RESPONSE"], format="fits")
    header = json.loads(str(named["HEADER"].data["JSON"][0]))
    arrays = {name: np.asarray(hdu.data, dtype=float) for name, hdu in named.items()
              if isinstance(hdu, fits.ImageHDU)}
    stars = Table.read(named["STARS"], format="fits") if "STARS" in named else None
    return header, table, arrays, stars


def _read_ecsv(path):
    table = Table.read(path, format="ascii.ecsv")
    header = dict(table.meta["sedflux"])
    if header["format"] != _VERSION:
        raise ValueError(f"its format is {header['format']!r}")
    stored = header.pop("arrays")
    arrays = {name: np.asarray(value, dtype=float) for name, value in
              (json.loads(stored) if isinstance(stored, str) else stored).items()}
    digest = header.pop("sha256")
    if digest != _digest(header, table, arrays):
        raise ValueError("its content does not have the SHA-256 that it had when it was written")
    return header, table, {name.upper(): value for name, value in arrays.items()}, None


def response_of_hdus(named: dict[str, Any]) -> ResponseCurve:
    """
    A response from its FITS extensions.

    Parameters
    ----------
    named : dict of str to HDU
        Those of `response_hdus` by name, without the primary one.

    Returns
    -------
    response : `~sedflux.ResponseCurve`
    """
    return _response(*_content(named))


def _response(header, table, arrays, stars):
    wavelength = np.asarray(table["WAVELENGTH"], dtype=float)
    zeros = np.zeros(wavelength.size)

    def covariance(name):
        factor = arrays.get(name, np.zeros((0, wavelength.size)))
        return LowRankCovariance(zeros, factor.reshape(-1, wavelength.size))

    systematics = {name[len(_SYSTEMATIC):].lower(): covariance(name)
                   for name in arrays if name.startswith(_SYSTEMATIC)}
    terms = {name: tuple(value) if isinstance(value, list) else value
             for name, value in header["field"].items()}
    return ResponseCurve(
        wavelength=wavelength, throughput=np.asarray(table["THROUGHPUT"], dtype=float),
        covariance=covariance("COVARIANCE"), area=header["area_cm2"] * u.cm**2,
        good=np.asarray(table["GOOD"], dtype=bool), systematics=systematics,
        chi2=header["chi2"], degrees_of_freedom=header["dof"], smoothness=header["smoothness"],
        effective_stars=np.asarray(table["STARS"], float) if "STARS" in table.colnames else None,
        stars=stars, knots=arrays.get("KNOTS"), coefficients=arrays.get("COEFFICIENTS"),
        root=arrays.get("ROOT"), field=FieldTerms(**terms),
        # Files of former versions have no errors of the extraction.
        grey_error=header.get("grey_error", 0.0),
        wavelength_error=header.get("wavelength_error", 0.0))


def _write(response, path, write, *, overwrite, published=None):
    if published is not None:
        if write is not _write_axe:
            raise InputError("published has an effect on axe files alone; give format='axe'")
        write = partial(write, published=published)
    write_whole(path, partial(write, response), overwrite=overwrite)


def register_formats() -> None:
    """Register the formats of `ResponseCurve.read` and `ResponseCurve.write`."""
    writers = {"fits": _write_fits, "ecsv": _write_ecsv, "axe": _write_axe,
               "synphot": _write_synphot}
    for name, write in writers.items():
        FILE_FORMATS.register_writer(name, ResponseCurve, partial(_write, write=write))
    for name, read in {"fits": _read_fits, "ecsv": _read_ecsv}.items():
        FILE_FORMATS.register_reader(name, ResponseCurve, partial(_read, read=read))


register_formats()
